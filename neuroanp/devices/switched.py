"""The laws of a profile's device that are switched on, and which devices they still move."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from torch import Tensor

from neuroanp.devices.effects import ALL_EFFECTS, check_effects
from neuroanp.devices.protocol import Cells, DriftLaw, ProgrammingLaw, ReadLaw, Span, UpdateLaw, VariabilityLaw
from neuroanp.errors import InputError

if TYPE_CHECKING:
    from neuroanp.profiles import HardwareProfile
    from neuroanp.profiles.sections import Disturb


def at_temperature(law: Any, kelvin: float) -> Any:
    """Return a law at a temperature, or as it is where it does not depend on one; InputError where it cannot be.

    >>> at_temperature(None, 350.0) is None
    True
    """
    try:
        return law if law is None or law.at_temperature is None else law.at_temperature(kelvin)
    except ValueError as error:
        raise InputError(f"temperature: {error}") from None


class Switched:
    """The laws of a profile with some of its non-idealities switched on; what is off is None.

    Args:
        profile: gives the laws and the range of conductance.
        effects: subset of EFFECTS; InputError for others.
        temperature: kelvin, for the laws that depend on it; None: the profile's own.

    Raises: InputError for unknown effects and for what is no temperature.

    >>> import torch
    >>> from neuroanp.profiles.loader import load
    >>> pcm = Switched(load("pcm"))
    >>> pcm.lands, pcm.can_program, pcm.endurance
    (False, True, 1000000000.0)
    >>> cells = {"wear": torch.tensor([[[0, 2_000_000_000]]])}
    >>> pcm.worn_out(cells), torch.equal(pcm.held(cells), pcm.worn_out(cells))
    (tensor([[[False,  True]]]), True)
    """

    def __init__(
        self, profile: HardwareProfile, effects: frozenset[str] = ALL_EFFECTS, temperature: float | None = None
    ) -> None:
        self.effects: frozenset[str] = check_effects(effects)
        self.profile = profile
        self.temperature: float = profile.temperature if temperature is None else temperature
        if not 0 < self.temperature < math.inf:
            raise InputError(f"temperature: {self.temperature} K is not a temperature above 0 K; give one in kelvin")
        self.thermal: float = self._thermal() if "conductance_temperature" in effects else 1.0
        self.span: Span = Span(profile.conductance.g_min, profile.conductance.g_max)
        self.planes = 2 if profile.conductance.coding == "differential" else 1
        self.programming: ProgrammingLaw | None = profile.programming  # pyright: ignore[reportAttributeAccessIssue]
        self.update: UpdateLaw | None = profile.update  # pyright: ignore[reportAttributeAccessIssue]
        self.variability: VariabilityLaw | None = profile.variability  # pyright: ignore[reportAttributeAccessIssue]
        drift, read = at_temperature(profile.drift, self.temperature), profile.read
        self.drift: DriftLaw | None = drift if "drift" in effects else None
        self.read: ReadLaw | None = read if effects & {"read_noise", "frozen_noise"} else None  # pyright: ignore
        self.timed: bool = self.drift is not None or self.read is not None
        self.disturb: Disturb | None = profile.disturb if effects & {"read_disturb", "write_disturb"} else None
        figures = profile.energy
        self.endurance: float | None = figures.endurance if figures is not None and "endurance" in effects else None
        self.endurance_sd: float = (figures.endurance_sd or 0.0) if figures is not None else 0.0

    def _thermal(self) -> float:
        """Return what devices conduct over what they do at the reference temperature of their profile."""
        try:
            return self.profile.conductance.thermal(self.temperature)
        except ValueError as error:
            raise InputError(f"temperature: {error}") from None

    @property
    def lands(self) -> bool:
        """Whether every write of this device ends exactly on its target."""
        law = self.programming
        return law is not None and (law.exact or "programming_error" not in self.effects)

    @property
    def can_program(self) -> bool:
        """Whether a write can be verified: a programming law, or pulses with a verify loop."""
        return self.programming is not None or (self.update is not None and self.update.program is not None)

    def held(self, cells: Cells) -> Tensor | None:
        """Return which devices of an array, its cells, no pulse moves, stuck or worn out, or None: all move."""
        worn, stuck = self.worn_out(cells), cells.get("stuck")
        return stuck if worn is None else worn if stuck is None else stuck | worn

    def worn_out(self, cells: Cells) -> Tensor | None:
        """Return which devices of an array, its cells, have had the pulses they endure, or None where none has."""
        if self.endurance is None:
            return None
        limit = cells.get("limit")
        lowest = self.endurance if limit is None else float(limit.min())
        if int(cells["wear"].max()) < lowest:
            return None
        return cells["wear"] >= (self.endurance if limit is None else limit)
