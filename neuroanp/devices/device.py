"""One device as its profile describes it: the laws that are switched on, acting on cells.

Cells are tensors by name, of shape (planes, n, m): two planes (G+, G-) for a differential pair,
one for offset coding. Every function is pure: cells in, cells out.

    g       conductance just after the last write, siemens; for a device read against a reference
            device, that reference is already subtracted (g = G_middle means weight 0)
    target  what the last write aimed at, siemens (NaN before the first)
    wear    pulses so far (int32)
    t       when the last write was, chip seconds (float64), where anything depends on it
    stuck   devices that never move, where the profile has any
    scale   fixed factor of a device's conductance: how devices differ, 0 on a broken bit line
    dead    devices on a broken word line
    limit   pulses after which a device moves no more, where that differs from device to device
    nu      what the drift law drew at the last write; further names belong to the laws
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from neuroanp.devices.draws import normal
from neuroanp.devices.faults import StuckDevices, dead_lines
from neuroanp.devices.protocol import (
    Cells,
    DriftLaw,
    ProgrammingLaw,
    ReadLaw,
    Span,
    UpdateLaw,
    VariabilityLaw,
)
from neuroanp.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from neuroanp.profiles import HardwareProfile

EFFECTS = (
    "programming_error", "drift", "read_noise", "frozen_noise", "write_noise", "d2d", "c2c", "faults",
    "dac", "dac_noise", "adc", "adc_mismatch", "amplifier_noise", "thermal_noise", "wires", "node_noise", "endurance",
    "neuron_mismatch",
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


def at_temperature(law: Any, kelvin: float) -> Any:
    """Return a law at a temperature, or as it is where it does not depend on one; InputError where it cannot be."""
    try:
        return law if law is None or law.at_temperature is None else law.at_temperature(kelvin)
    except ValueError as error:
        raise InputError(f"temperature: {error}") from None


def _worn(wear: Tensor, pulses: Tensor) -> Tensor:
    """Return the pulses so far (int32); a count beyond what the type holds stays at its end."""
    total = wear + pulses
    return total.masked_fill_(total < 0, torch.iinfo(total.dtype).max)


class Device:
    """The device of a profile with some of its non-idealities switched on.

    With all effects off a written cell is exactly its target, and stays so.

    Args:
        profile: gives the laws and the range of conductance.
        effects: subset of EFFECTS; InputError for others.
        temperature: kelvin, for the laws that depend on it; None: the profile's own.

    Raises: InputError for unknown effects and for what is no temperature.
    """

    def __init__(
        self, profile: HardwareProfile, effects: frozenset[str] = ALL_EFFECTS, temperature: float | None = None
    ) -> None:
        self.effects = check_effects(effects)
        self.profile = profile
        self.temperature = profile.temperature if temperature is None else temperature
        if not 0 < self.temperature < math.inf:
            raise InputError(f"temperature: {self.temperature} K is not a temperature above 0 K; give one in kelvin")
        self.span = Span(profile.conductance.g_min, profile.conductance.g_max)
        self.planes = 2 if profile.conductance.coding == "differential" else 1
        self.programming: ProgrammingLaw | None = profile.programming  # pyright: ignore[reportAttributeAccessIssue]
        self.update: UpdateLaw | None = profile.update  # pyright: ignore[reportAttributeAccessIssue]
        self.variability: VariabilityLaw | None = profile.variability  # pyright: ignore[reportAttributeAccessIssue]
        drift, read = at_temperature(profile.drift, self.temperature), profile.read
        self.drift: DriftLaw | None = drift if "drift" in effects else None
        self.read: ReadLaw | None = read if effects & {"read_noise", "frozen_noise"} else None  # pyright: ignore
        self.timed = self.drift is not None or self.read is not None
        figures = profile.energy
        self.endurance = figures.endurance if figures is not None and "endurance" in effects else None
        self.endurance_sd = (figures.endurance_sd or 0.0) if figures is not None else 0.0

    @property
    def _lands(self) -> bool:
        """Whether every write of this device ends exactly on its target."""
        law = self.programming
        return law is not None and (law.exact or "programming_error" not in self.effects)

    @property
    def can_program(self) -> bool:
        """Whether a write can be verified: a programming law, or pulses with a verify loop."""
        return self.programming is not None or (self.update is not None and self.update.program is not None)

    def sample(
        self,
        shape: tuple[int, int],
        rng: np.random.Generator,
        dtype: torch.dtype,
        device: torch.device | str = "cpu",
        pulsed: bool = True,
    ) -> dict[str, Tensor]:
        """Draw the devices of an array before its first write.

        The same random numbers are used whatever effects are on: switching one off shifts no other.

        Args:
            shape: (n, m) of the weights.
            rng: device-to-device draws.
            dtype: float32 or float64.
            device: where the tensors live.
            pulsed: whether pulses will be sent in place: where they never are, and a programming law
                writes, what the update law draws is not kept.
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
        stuck = None if faults is None else StuckDevices(faults, full, rng, g)
        if self.update is not None:
            drawn = self.update.sample(full, rng, self.effects, g)
            holds = self.update.hold is not None  # its state follows every write, by decree too
            cells.update(drawn if pulsed or holds or self.programming is None else {})
        if self.drift is not None:
            cells["nu"] = torch.zeros_like(g)
        if stuck is not None and "faults" in self.effects:
            cells["g"], where = stuck.settle(g, self.span, cells.get("ref"))
            if where is not None:
                cells["stuck"] = where
        cells.update(self._differences(full, rng, g))
        return cells

    def _differences(self, full: tuple[int, int, int], rng: np.random.Generator, like: Tensor) -> dict[str, Tensor]:
        """Draw what sets devices apart for good besides their pulses: factor, broken lines, endurance."""
        found: dict[str, Tensor] = {}
        scale = None if self.variability is None else self.variability.sample(full, rng, like)
        if scale is not None and "d2d" in self.effects:
            found["scale"] = scale
        faults = self.profile.faults
        if faults is not None:
            rows, columns = dead_lines(faults, self.profile.array, full, rng, like)
            if rows is not None and "faults" in self.effects:
                found["dead"] = rows.expand(full).contiguous()
            if columns is not None and "faults" in self.effects:
                found["scale"] = found.get("scale", torch.ones_like(columns, dtype=like.dtype)) * ~columns
        if self.endurance_sd:
            xi = normal(rng, full, like)
            if self.endurance is not None:
                found["limit"] = self.endurance * torch.exp(self.endurance_sd * xi)
        return found

    def place(self, cells: Cells, g_target: Tensor, mask: Tensor | None, now: float, rng: np.random.Generator) -> Cells:
        """Put the cells of `mask` on their targets by decree: no error, no pulse, no wear; stuck cells stay.

        Args:
            cells: the array.
            g_target: siemens, (planes, n, m).
            mask: which to write (None: all); those whose target did not change are left alone.
            now: chip seconds.
            rng: draws the drift exponents.
        """
        cells = self._settled(cells, now)
        moved = self._moved(cells, g_target, mask, 0.0)
        changed = self._stands(cells, g_target)
        whole = mask is None and self._lands and len(changed) == 1  # a state beside g may differ at the same g
        return self._written(cells, changed, moved, g_target, now, rng, cells.get("stuck"), whole)

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
        cells = self._settled(cells, now)
        deadband = law.deadband if law is not None and "programming_error" in self.effects else 0.0
        moved = self._moved(cells, g_target, mask, deadband)
        held = self.held(cells)
        if law is not None:
            # drawn even where it is off: what drift draws comes after it
            xi = None if law.exact else normal(rng, tuple(moved.shape), g_target)
            g = g_target if xi is None or self._lands else law.write(g_target, self.span.g_max, xi)
            changed = self._stands(cells, g)
            whole = mask is None and self._lands and not deadband and len(changed) == 1
            cells = self._written(cells, changed, moved, g_target, now, rng, held, whole)
            pulses = moved.to(torch.int32).mul_(law.pulses)
            gave_up = None if held is None else moved & held
        elif self.update is not None and self.update.program is not None:
            seen = cells if held is None else {**cells, "stuck": held}
            done = self.update.program(seen, g_target, moved, self.span, rng, self.effects)
            pulses = done.pulses
            gave_up = done.gave_up
            if held is not None and gave_up is not None:
                gave_up = gave_up | (moved & held & (cells["g"] != g_target))
            aimed = {**cells, "target": torch.where(moved, g_target, cells["target"])}
            cells = self._written(aimed, done.cells, pulses > 0, g_target, now, rng, held)
        else:
            raise InputError(
                f"profile '{self.profile.meta.name}': no law to write and verify by; "
                "add a programming section or write ideally (hardware.write: ideal)"
            )
        return {**cells, "wear": _worn(cells["wear"], pulses)}, pulses, gave_up

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
        cells = self._settled(cells, now)
        held = self.held(cells)
        done = self.update.pulse(cells, dg, self.span, rng, self.effects)
        cells = self._written(cells, done.cells, done.pulses > 0, done.cells["g"], now, rng, held)
        return {**cells, "wear": _worn(cells["wear"], done.pulses)}, done.pulses

    def conductance(self, cells: Cells, now: float) -> Tensor:
        """Return the conductances at chip time `now` without read noise, siemens."""
        return self._seen(cells, self._state(cells, now))

    def _state(self, cells: Cells, now: float) -> Tensor:
        """Return the conductances as time left them, before what scales or breaks them."""
        if self.drift is None:
            return cells["g"]
        # what no pulse moves was not written to its target either: it stands for itself
        held = self.held(cells)
        target = cells["target"] if held is None else torch.where(held, cells["g"], cells["target"])
        g = self.drift.conductance(cells["g"], cells["nu"], now - cells["t"], target, self.span)
        return torch.where(cells["stuck"], cells["g"], g) if self.drift.settles and "stuck" in cells else g

    def _seen(self, cells: Cells, g: Tensor) -> Tensor:
        """Return what a device of state g conducts: its own factor, and nothing on broken lines."""
        if "scale" in cells:
            g = g * cells["scale"]
        if "dead" in cells:  # a broken word line drives neither the device nor its reference: the weight is 0
            g = torch.where(cells["dead"], 0.0 if self.planes == 2 else self.span.middle, g)
        return g

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
        broken = self._broken(cells)
        if broken is not None:
            fresh, frozen = fresh.masked_fill(broken, 0.0), frozen.masked_fill(broken, 0.0)
        return (
            fresh if "read_noise" in self.effects else None,
            frozen if "frozen_noise" in self.effects else None,
        )

    @staticmethod
    def _broken(cells: Cells) -> Tensor | None:
        """Return which devices lie on a broken line, or None where no line can be broken."""
        dead = cells.get("dead")
        if "scale" not in cells:
            return dead
        silent = cells["scale"] == 0
        return silent if dead is None else dead | silent

    def held(self, cells: Cells) -> Tensor | None:
        """Return which devices no pulse moves, stuck or worn out, or None: all move."""
        worn, stuck = self.worn_out(cells), cells.get("stuck")
        return stuck if worn is None else worn if stuck is None else stuck | worn

    def worn_out(self, cells: Cells) -> Tensor | None:
        """Return which devices have had the pulses they endure, or None where none has."""
        if self.endurance is None:
            return None
        limit = cells.get("limit")
        lowest = self.endurance if limit is None else float(limit.min())
        if int(cells["wear"].max()) < lowest:
            return None
        return cells["wear"] >= (self.endurance if limit is None else limit)

    def _stands(self, cells: Cells, g: Tensor) -> Cells:
        """Return the state of devices that conduct g: more than g where pulses start from a state of their own."""
        hold = None if self.update is None else self.update.hold
        return {"g": g} if hold is None else hold(cells, g, self.span)

    def _settled(self, cells: Cells, now: float) -> Cells:
        """Bring devices whose state itself relaxes to the time of a write, which starts from what is left."""
        if self.drift is None or not self.drift.settles:
            return cells
        state = {"g": self._state(cells, now), "t": torch.full_like(cells["t"], now)}
        if "w" in cells:  # by as much as the conductance: the write noise on top of w is no part of the state
            state["w"] = cells["w"] + (state["g"] - cells["g"]) * (2.0 / self.span.width)
        return {**cells, **state}

    def _moved(self, cells: Cells, g_target: Tensor, mask: Tensor | None, deadband: float) -> Tensor:
        """Return which cells of `mask` have a new target; NaN, before the first write, differs from all.

        What has leaked away from its target must be written again, too.
        """
        settles = self.drift is not None and self.drift.settles
        old = cells["g"] if settles else cells["target"]
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
        if self.timed:
            new["t"] = torch.where(moves, now, cells["t"])
        if self.drift is not None:
            xi = normal(rng, tuple(g_target.shape), g_target)
            new["nu"] = torch.where(moves, self.drift.draw(g_target, self.span.g_max, xi), cells["nu"])
        return new
