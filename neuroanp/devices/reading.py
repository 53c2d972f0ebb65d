"""Read the devices of an array: what they conduct at a time, and the noise of the read."""

from __future__ import annotations

import torch
from torch import Tensor

from neuroanp.devices.disturb import conducts
from neuroanp.devices.pcm import PcmDrift, PcmRead, observe
from neuroanp.devices.protocol import Cells
from neuroanp.devices.switched import Switched


def conductance(on: Switched, cells: Cells, now: float) -> Tensor:
    """Return the conductances at chip time `now` without read noise, siemens.

    >>> import torch
    >>> from neuroanp.profiles.loader import load
    >>> on = Switched(load("pcm"), frozenset({"drift", "read_noise"}))
    >>> g, t = torch.full((2, 1, 1), 10e-6, dtype=torch.float64), torch.zeros(2, 1, 1, dtype=torch.float64)
    >>> cells = {"g": g, "target": g, "t": t, "nu": torch.full_like(g, 0.05), "wear": torch.zeros_like(g)}
    >>> round((conductance(on, cells, 20.0 * 1000.0) / g).min().item(), 6), round(1000.0**-0.05, 6)  # t0 = 20 s
    (0.707946, 0.707946)
    """
    return _seen(on, cells, aged(on, cells, now))


def aged(on: Switched, cells: Cells, now: float) -> Tensor:
    """Return the conductances as time, and what they were exposed to, left them, before what scales or breaks them."""
    g = _drifted(on, cells, now)
    return g if on.disturb is None else conducts(g, cells, on.span, on.held(cells))


def _drifted(on: Switched, cells: Cells, now: float) -> Tensor:
    if on.drift is None:
        return cells["g"]
    # what no pulse moves was not written to its target either: it stands for itself
    held = on.held(cells)
    target = cells["target"] if held is None else torch.where(held, cells["g"], cells["target"])
    g = on.drift.conductance(cells["g"], cells["nu"], now - cells["t"], target, on.span)
    return torch.where(cells["stuck"], cells["g"], g) if on.drift.settles and "stuck" in cells else g


def _seen(on: Switched, cells: Cells, g: Tensor) -> Tensor:
    """Return what a device of state g conducts: by its temperature and its own factor, and nothing on broken lines."""
    if on.thermal != 1.0:
        g = g * on.thermal
    if "scale" in cells:
        g = g * cells["scale"]
    if "dead" in cells:  # a broken word line drives neither the device nor its reference: the weight is 0
        g = torch.where(cells["dead"], 0.0 if on.planes == 2 else on.span.middle, g)
    return g


def read_sigma(
    on: Switched, cells: Cells, now: float, window: float, g_now: Tensor | None = None
) -> tuple[Tensor | None, Tensor | None]:
    """Return standard deviations of the fresh and the frozen read noise, or None for what is off.

    >>> import torch
    >>> from neuroanp.profiles.loader import load
    >>> on = Switched(load("pcm"), frozenset({"drift", "read_noise"}))
    >>> g, t = torch.full((2, 1, 1), 10e-6, dtype=torch.float64), torch.zeros(2, 1, 1, dtype=torch.float64)
    >>> cells = {"g": g, "target": g, "t": t, "nu": torch.full_like(g, 0.05), "wear": torch.zeros_like(g)}
    >>> fresh, frozen = read_sigma(on, cells, 1.0, 1e-3)
    >>> bool((fresh > 0).all()), frozen  # frozen noise is an effect of its own
    (True, None)
    """
    if on.read is None:
        return None, None
    g = cells["g"]
    age = (now + window - cells["t"]).to(g.dtype)
    g_now = conductance(on, cells, now) if g_now is None else g_now
    fresh, frozen = on.read.split(g, g_now, on.span.g_max, age, window)
    broken = _broken(cells)
    if broken is not None:
        fresh, frozen = fresh.masked_fill(broken, 0.0), frozen.masked_fill(broken, 0.0)
    return (
        fresh if "read_noise" in on.effects else None,
        frozen if "frozen_noise" in on.effects else None,
    )


def observed(
    on: Switched, cells: Cells, now: float, window: float
) -> tuple[Tensor, Tensor | None, Tensor | None]:  # fmt: skip
    """Return what `conductance` does and what `read_sigma` does of it: at once where the laws can."""
    plain = on.disturb is None and on.thermal == 1.0 and "scale" not in cells and "dead" not in cells
    if plain and type(on.drift) is PcmDrift and type(on.read) is PcmRead:
        found = observe(on.drift, on.read, cells, now, window, on.span.g_max)
        if found is not None:
            g, fresh, frozen = found
            return g, fresh if "read_noise" in on.effects else None, frozen if "frozen_noise" in on.effects else None
    g = conductance(on, cells, now)
    return g, *read_sigma(on, cells, now, window, g)


def _broken(cells: Cells) -> Tensor | None:
    """Return which devices lie on a broken line, or None where no line can be broken."""
    dead = cells.get("dead")
    if "scale" not in cells:
        return dead
    silent = cells["scale"] == 0
    return silent if dead is None else dead | silent
