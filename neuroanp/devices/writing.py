"""Write the devices of an array: by decree, by write and verify, or by single pulses."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from neuroanp.devices.arriving import Arrived, more_pulses, weakened
from neuroanp.devices.disturb import RESET, SET, conducts
from neuroanp.devices.draws import normal
from neuroanp.devices.protocol import Cells
from neuroanp.devices.reading import aged
from neuroanp.devices.switched import Switched
from neuroanp.errors import InputError


def place(
    on: Switched, cells: Cells, g_target: Tensor, mask: Tensor | None, now: float, rng: np.random.Generator
) -> Cells:
    """Put the cells of `mask` on their targets by decree (see Device.place)."""
    cells = _settled(on, cells, now)
    moved = _moved(on, cells, g_target, mask, 0.0)
    changed = _stands(on, cells, g_target)
    whole = mask is None and on.lands and len(changed) == 1  # a state beside g may differ at the same g
    return _written(on, cells, changed, moved, g_target, now, rng, cells.get("stuck"), whole)


def program(
    on: Switched, cells: Cells, g_target: Tensor, mask: Tensor | None, now: float, rng: np.random.Generator,
    arrived: Arrived | None = None,
) -> tuple[Cells, Tensor, Tensor | None]:  # fmt: skip
    """Write and verify the cells of `mask` whose target moved by more than the law's deadband (see Device.program)."""
    law = on.programming
    cells = _settled(on, cells, now)
    deadband = law.deadband if law is not None and "programming_error" in on.effects else 0.0
    moved = _moved(on, cells, g_target, mask, deadband)
    held = on.held(cells)
    if law is not None:
        # drawn even where it is off: what drift draws comes after it
        xi = None if law.exact else normal(rng, tuple(moved.shape), g_target)
        g = g_target if xi is None or on.lands else law.write(g_target, on.span.g_max, xi)
        changed = _stands(on, cells, g)
        whole = mask is None and on.lands and not deadband and len(changed) == 1
        cells = _written(on, cells, changed, moved, g_target, now, rng, held, whole)
        pulses = more_pulses(moved.to(torch.int32).mul_(law.pulses), arrived)
        gave_up = None if held is None else moved & held
    elif on.update is not None and on.update.program is not None:
        found = undisturbed(on, cells)
        seen = found if held is None else {**found, "stuck": held}
        done = on.update.program(weakened(on.update, seen, arrived), g_target, moved, on.span, rng, on.effects)
        pulses = done.pulses
        gave_up = done.gave_up
        if held is not None and gave_up is not None:
            gave_up = gave_up | (moved & held & (found["g"] != g_target))
        aimed = {**cells, "target": torch.where(moved, g_target, cells["target"])}
        cells = _written(on, aimed, done.cells, pulses > 0, g_target, now, rng, held)
    else:
        raise InputError(
            f"profile '{on.profile.meta.name}': no law to write and verify by; "
            "add a programming section or write ideally (hardware.write: ideal)"
        )
    return {**cells, "wear": _worn(cells["wear"], pulses)}, pulses, gave_up


def pulse(
    on: Switched, cells: Cells, dg: Tensor, now: float, rng: np.random.Generator, arrived: Arrived | None = None
) -> tuple[Cells, Tensor]:
    """Send single pulses that should change each cell by dg (see Device.pulse)."""
    if on.update is None:
        raise InputError(
            f"profile '{on.profile.meta.name}': no update law, so no in-situ pulses; "
            "add an update section or choose another way to write (hardware.write: ideal, verify)"
        )
    cells = _settled(on, cells, now)
    held = on.held(cells)
    done = on.update.pulse(weakened(on.update, undisturbed(on, cells), arrived), dg, on.span, rng, on.effects)
    cells = _written(on, cells, done.cells, done.pulses > 0, done.cells["g"], now, rng, held)
    return {**cells, "wear": _worn(cells["wear"], done.pulses)}, done.pulses


def _stands(on: Switched, cells: Cells, g: Tensor) -> Cells:
    """Return the state of devices that conduct g: more than g where pulses start from a state of their own."""
    hold = None if on.update is None else on.update.hold
    return {"g": g} if hold is None else hold(cells, g, on.span)


def _settled(on: Switched, cells: Cells, now: float) -> Cells:
    """Bring devices whose state itself relaxes to the time of a write, which starts from what is left."""
    if on.drift is None or not on.drift.settles:
        return cells
    return {**_at(on, cells, aged(on, cells, now)), "t": torch.full_like(cells["t"], now)}


def undisturbed(on: Switched, cells: Cells) -> Cells:
    """Return the same devices with what they were exposed to in their state, and no exposure left."""
    if on.disturb is None:
        return cells
    none = {name: torch.zeros_like(cells[name]) for name in (SET, RESET)}
    return {**_at(on, cells, conducts(cells["g"], cells, on.span, on.held(cells))), **none}


def _at(on: Switched, cells: Cells, g: Tensor) -> Cells:
    """Return devices whose state moved by itself to a conductance g."""
    if "w" not in cells:
        return {**cells, "g": g}
    # by as much as the conductance: the write noise on top of w is no part of the state
    return {**cells, "g": g, "w": cells["w"] + (g - cells["g"]) * (2.0 / on.span.width)}


def _moved(on: Switched, cells: Cells, g_target: Tensor, mask: Tensor | None, deadband: float) -> Tensor:
    """Return which cells of `mask` have a new target; NaN, before the first write, differs from all.

    What has leaked away from its target must be written again, too.
    """
    settles = on.drift is not None and on.drift.settles
    old = cells["g"] if settles else cells["target"]
    moved = ~((g_target - old).abs() <= deadband) if deadband else g_target != old
    return moved if mask is None else moved & mask


def _written(
    on: Switched,
    cells: Cells,
    changed: Cells,
    where: Tensor,
    g_target: Tensor,
    now: float,
    rng: np.random.Generator,
    held: Tensor | None,
    whole: bool = False,
) -> Cells:
    """Take over what a write changed; stamp time, target and drift of the written cells.

    `held` cells keep their state. `whole` promises that `changed` is right for every cell, moved or not.
    """
    moves = where if held is None else where & ~held
    new = dict(cells)
    if whole and held is None:  # cells outside `where` hold these very values: no need to pick
        new |= changed
        new["target"] = g_target
    else:
        new |= {name: torch.where(moves, value, cells[name]) for name, value in changed.items()}
        new["target"] = torch.where(where, g_target, cells["target"])
    for name in (SET, RESET) if on.disturb is not None else ():
        new[name] = torch.where(moves, 0.0, cells[name])
    if on.timed:
        new["t"] = torch.where(moves, now, cells["t"])
    if on.drift is not None:
        xi = normal(rng, tuple(g_target.shape), g_target)
        new["nu"] = torch.where(moves, on.drift.draw(g_target, on.span.g_max, xi), cells["nu"])
    return new


def _worn(wear: Tensor, pulses: Tensor) -> Tensor:
    """Return the pulses so far (int32); a count beyond what the type holds stays at its end."""
    total = wear + pulses
    return total.masked_fill_(total < 0, torch.iinfo(total.dtype).max)
