"""One device as its profile describes it: the laws that are switched on, acting on cells.

Cells are tensors by name, of shape (planes, n, m): two planes (G+, G-) for a differential pair,
one for offset coding. Every function is pure: cells in, cells out.

    g       conductance just after the last write, siemens; for a device read against a reference
            device, that reference is already subtracted (g = G_middle means weight 0)
    target  what the last write aimed at, siemens (NaN before the first)
    wear    pulses so far (int32)
    t       when the last write was, chip seconds (float64), where anything depends on it
    stuck   devices that never move, where there are any; further names belong to the laws
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from neuroanp.devices.draws import normal, uniform
from neuroanp.devices.protocol import Cells, DriftLaw, ProgrammingLaw, Pulsed, ReadLaw, Span, UpdateLaw
from neuroanp.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from neuroanp.profiles import HardwareProfile

EFFECTS = (
    "programming_error", "drift", "read_noise", "frozen_noise", "write_noise", "d2d", "c2c", "faults",
    "dac", "adc", "amplifier_noise", "node_noise",
)  # fmt: skip
"""Names of the non-idealities that can be isolated or switched off."""

ALL_EFFECTS = frozenset(EFFECTS)


def check_effects(effects: frozenset[str]) -> frozenset[str]:
    """Return the effects; InputError names those that do not exist.

    >>> sorted(check_effects(frozenset({"drift"})))
    ['drift']
    """
    unknown = sorted(effects - ALL_EFFECTS)
    if unknown:
        raise InputError(
            f"unknown effect{'s' if len(unknown) > 1 else ''} (known: {', '.join(EFFECTS)})",
            [f"effects: '{name}' is not an effect{did_you_mean(name, EFFECTS)}" for name in unknown],
        )
    return effects


class Device:
    """The device of a profile with some of its non-idealities switched on.

    With all effects off a written cell is exactly its target, and stays so.

    Args:
        profile: gives the laws and the range of conductance.
        effects: subset of EFFECTS; InputError for others.
    """

    def __init__(self, profile: HardwareProfile, effects: frozenset[str] = ALL_EFFECTS) -> None:
        self.effects = check_effects(effects)
        self.profile = profile
        self.span = Span(profile.conductance.g_min, profile.conductance.g_max)
        self.planes = 2 if profile.conductance.coding == "differential" else 1
        self.programming: ProgrammingLaw | None = profile.programming  # pyright: ignore[reportAttributeAccessIssue]
        self.update: UpdateLaw | None = profile.update  # pyright: ignore[reportAttributeAccessIssue]
        drift, read = profile.drift, profile.read
        self.drift: DriftLaw | None = drift if "drift" in effects else None  # pyright: ignore
        self.read: ReadLaw | None = read if effects & {"read_noise", "frozen_noise"} else None  # pyright: ignore
        self.timed = self.drift is not None or self.read is not None

    @property
    def _lands(self) -> bool:
        """Whether every write of this device ends exactly on its target."""
        law = self.programming
        return law is not None and (law.exact or "programming_error" not in self.effects)

    @property
    def can_program(self) -> bool:
        """Whether a write can be verified: a programming law, or pulses with a verify loop."""
        return self.programming is not None or hasattr(self.update, "program")

    def sample(
        self, shape: tuple[int, int], rng: np.random.Generator, dtype: torch.dtype, device: torch.device | str = "cpu"
    ) -> dict[str, Tensor]:
        """Draw the devices of an array before its first write.

        The same random numbers are used whatever effects are on: switching one off shifts no other.

        Args:
            shape: (n, m) of the weights.
            rng: device-to-device draws.
            dtype: float32 or float64.
            device: where the tensors live.
        """
        full = (self.planes, *shape)
        g = torch.full(full, self.span.g_min if self.planes == 2 else self.span.middle, dtype=dtype, device=device)
        cells = {
            "g": g,
            "target": torch.full_like(g, torch.nan),
            "wear": torch.zeros(full, dtype=torch.int32, device=device),
        }
        if self.timed:
            cells["t"] = torch.zeros(full, dtype=torch.float64, device=device)
        faults = self.profile.faults
        corrupt = (uniform(rng, full, g), uniform(rng, full, g)) if faults is not None else None
        if self.update is not None:
            cells.update(self.update.sample(full, rng, self.effects, g))
        if self.drift is not None:
            cells["nu"] = torch.zeros_like(g)
        if faults is not None and corrupt is not None and "faults" in self.effects:
            stuck = corrupt[0] < faults.corrupt
            at = faults.corrupt_range * (2.0 * corrupt[1] - 1.0)  # device units: -1 to 1 spans the range
            if self.planes == 2:
                value = self.span.g_min + self.span.width * at.abs()
            else:
                value = self.span.middle + 0.5 * self.span.width * (at - cells.get("ref", torch.zeros_like(at)))
            cells["g"] = torch.where(stuck, value, g)
            cells["stuck"] = stuck
        return cells

    def place(self, cells: Cells, g_target: Tensor, mask: Tensor | None, now: float, rng: np.random.Generator) -> Cells:
        """Put the cells of `mask` on their targets by decree: no error, no pulse, no wear; stuck cells stay.

        Args:
            cells: the array.
            g_target: siemens, (planes, n, m).
            mask: which to write (None: all); those whose target did not change are left alone.
            now: chip seconds.
            rng: draws the drift exponents.
        """
        moved = self._moved(cells, g_target, mask, 0.0)
        hold = getattr(self.update, "hold", None)
        changed = hold(cells, g_target, self.span) if hold else {"g": g_target}
        whole = mask is None and self._lands and hold is None
        return self._written(cells, changed, moved, g_target, now, rng, whole)

    def program(
        self, cells: Cells, g_target: Tensor, mask: Tensor | None, now: float, rng: np.random.Generator
    ) -> tuple[Cells, Tensor, Tensor | None]:
        """Write and verify the cells of `mask` whose target moved by more than the law's deadband.

        The deadband spares writes that are not worth their error: without the effect
        `programming_error` it is zero.

        Args:
            cells: the array.
            g_target: siemens, (planes, n, m).
            mask: which to write, or None for all.
            now: chip seconds.
            rng: programming error or the pulses' noise, and drift exponents.

        Returns: cells, pulses sent to each (int32), and where the write failed (None: nowhere).
        Raises: InputError if the profile has no law to program by.
        """
        law = self.programming
        deadband = law.deadband if law is not None and "programming_error" in self.effects else 0.0
        moved = self._moved(cells, g_target, mask, deadband)
        stuck = cells.get("stuck")
        if law is not None:
            if self._lands:
                g = g_target
            else:
                g = law.write(g_target, self.span.g_max, normal(rng, tuple(moved.shape), g_target))
            whole = mask is None and self._lands and not deadband
            cells = self._written(cells, {"g": g}, moved, g_target, now, rng, whole)
            pulses = moved.to(torch.int32).mul_(law.pulses)
            gave_up = None if stuck is None else moved & stuck
        elif self.can_program:
            done: Pulsed = self.update.program(  # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue]
                cells, g_target, moved, self.span, rng, self.effects
            )
            pulses = done.pulses
            gave_up = done.gave_up
            if stuck is not None and gave_up is not None:
                gave_up = gave_up | (moved & stuck & (cells["g"] != g_target))
            aimed = {**cells, "target": torch.where(moved, g_target, cells["target"])}
            cells = self._written(aimed, done.cells, pulses > 0, g_target, now, rng)
        else:
            raise InputError(
                f"profile '{self.profile.meta.name}': no law to write and verify by; "
                "add a programming section or write ideally (hardware.write: ideal)"
            )
        return {**cells, "wear": cells["wear"] + pulses}, pulses, gave_up

    def pulse(self, cells: Cells, dg: Tensor, now: float, rng: np.random.Generator) -> tuple[Cells, Tensor]:
        """Send single pulses that should change each cell by dg.

        Args:
            cells: the array.
            dg: siemens, (planes, n, m); of a pair only rises are carried out, so a falling weight is a rise of G-.
            now: chip seconds.
            rng: rounding to whole pulses, the pulses' noise, drift exponents.

        Returns: cells, pulses sent to each (int32).
        Raises: InputError if the profile has no update law.
        """
        if self.update is None:
            raise InputError(
                f"profile '{self.profile.meta.name}': no update law, so no in-situ pulses; "
                "add an update section or choose another way to write (hardware.write: ideal, verify)"
            )
        done = self.update.pulse(cells, dg, self.span, rng, self.effects)
        cells = self._written(cells, done.cells, done.pulses > 0, done.cells["g"], now, rng)
        return {**cells, "wear": cells["wear"] + done.pulses}, done.pulses

    def conductance(self, cells: Cells, now: float) -> Tensor:
        """Return the conductances at chip time `now` without read noise, siemens."""
        if self.drift is None:
            return cells["g"]
        return cells["g"] * self.drift.factor(cells["nu"], now - cells["t"])

    def read_sigma(
        self, cells: Cells, now: float, window: float, g_now: Tensor | None = None
    ) -> tuple[Tensor | None, Tensor | None]:
        """Return standard deviations of the fresh and the frozen read noise, or None for what is off.

        Args:
            cells: the array.
            now: chip seconds at the start of the window.
            window: seconds the passes of one update take.
            g_now: the conductance at `now`, where it is known already.

        Returns: two tensors (planes, n, m) in siemens.
        """
        if self.read is None:
            return None, None
        g = cells["g"]
        age = (now + window - cells["t"]).to(g.dtype)
        g_now = self.conductance(cells, now) if g_now is None else g_now
        fresh, frozen = self.read.split(g, g_now, self.span.g_max, age, window)
        return (
            fresh if "read_noise" in self.effects else None,
            frozen if "frozen_noise" in self.effects else None,
        )

    @staticmethod
    def _moved(cells: Cells, g_target: Tensor, mask: Tensor | None, deadband: float) -> Tensor:
        """Return which cells of `mask` have a new target; NaN, before the first write, differs from all."""
        old = cells["target"]
        moved = ~((g_target - old).abs() <= deadband) if deadband else g_target != old
        return moved if mask is None else moved & mask

    def _written(
        self,
        cells: Cells,
        changed: Cells,
        where: Tensor,
        g_target: Tensor,
        now: float,
        rng: np.random.Generator,
        whole: bool = False,
    ) -> Cells:
        """Take over what a write changed; stamp time, target and drift of the written cells.

        `whole` promises that `changed` is right for every cell, moved or not.
        """
        moves = where & ~cells["stuck"] if "stuck" in cells else where
        new = dict(cells)
        if whole and "stuck" not in cells:  # cells outside `where` hold these very values: no need to pick
            new |= changed
            new["target"] = g_target
        else:
            new |= {name: torch.where(moves, value, cells[name]) for name, value in changed.items()}
            new["target"] = torch.where(where, g_target, cells["target"])
        if self.timed:
            new["t"] = torch.where(where, now, cells["t"])
        if self.drift is not None:
            xi = normal(rng, tuple(g_target.shape), g_target)
            new["nu"] = torch.where(moves, self.drift.draw(g_target, self.span.g_max, xi), cells["nu"])
        return new
