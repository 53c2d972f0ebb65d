"""Draw the devices of an array before its first write.

The same random numbers are used whatever effects are on: switching one off shifts no other.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from neuroanp.devices.disturb import RESET, SET
from neuroanp.devices.draws import normal
from neuroanp.devices.faults import StuckDevices, dead_lines
from neuroanp.devices.switched import Switched


def sample(
    on: Switched,
    shape: tuple[int, int],
    rng: np.random.Generator,
    dtype: torch.dtype,
    device: torch.device | str = "cpu",
    pulsed: bool = True,
) -> dict[str, Tensor]:
    """Draw the devices of an array (see Device.sample)."""
    full = (on.planes, *shape)
    g = torch.full(full, on.span.g_min if on.planes == 2 else on.span.middle, dtype=dtype, device=device)
    cells = {
        "g": g,
        "target": torch.full_like(g, torch.nan),
        "wear": torch.zeros(full, dtype=torch.int32, device=device),
    }
    if on.timed:
        cells["t"] = torch.zeros(full, dtype=torch.float64, device=device)
    if on.disturb is not None:
        cells |= {name: torch.zeros(full, dtype=torch.float64, device=device) for name in (SET, RESET)}
    faults = on.profile.faults
    stuck = None if faults is None else StuckDevices(faults, full, rng, g)
    if on.update is not None:
        drawn = on.update.sample(full, rng, on.effects, g)
        holds = on.update.hold is not None  # its state follows every write, by decree too
        cells.update(drawn if pulsed or holds or on.programming is None else {})
    if on.drift is not None:
        cells["nu"] = torch.zeros_like(g)
    if stuck is not None and "faults" in on.effects:
        cells["g"], where = stuck.settle(g, on.span, cells.get("ref"))
        if where is not None:
            cells["stuck"] = where
    cells.update(_differences(on, full, rng, g))
    return cells


def _differences(on: Switched, full: tuple[int, int, int], rng: np.random.Generator, like: Tensor) -> dict[str, Tensor]:
    """Draw what sets devices apart for good besides their pulses: factor, broken lines, endurance."""
    found: dict[str, Tensor] = {}
    scale = None if on.variability is None else on.variability.sample(full, rng, like)
    if scale is not None and "d2d" in on.effects:
        found["scale"] = scale
    faults = on.profile.faults
    if faults is not None:
        rows, columns = dead_lines(faults, on.profile.array, full, rng, like)
        if rows is not None and "faults" in on.effects:
            found["dead"] = rows.expand(full).contiguous()
        if columns is not None and "faults" in on.effects:
            found["scale"] = found.get("scale", torch.ones_like(columns, dtype=like.dtype)) * ~columns
    if on.endurance_sd:
        xi = normal(rng, full, like)
        if on.endurance is not None:
            found["limit"] = on.endurance * torch.exp(on.endurance_sd * xi)
    return found
