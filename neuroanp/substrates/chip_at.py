"""A chip at another time of its clock, to look at."""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, NoReturn

from torch import Tensor

from neuroanp.errors import InputError
from neuroanp.substrates.chip_reads import ReadChip


class ChipAt(ReadChip):
    """What a chip would be at a later time if it lay idle until then: the same arrays, which relax, drift or leak.

    It is read as a chip is. Reading alters no device, so that the chip stays as it was; whatever would alter it,
    its clock or its books is refused. `ledger` is a copy of the books as they stood.

    Args:
        chip: the chip. now: seconds of its clock; see `DeviceChip.at`.
    """

    def __init__(self, chip: ReadChip, now: float) -> None:
        vars(self).update(vars(chip))
        self.now, self.ledger = now, deepcopy(chip.ledger)

    def at(self, seconds: float) -> ChipAt:
        """Return the chip at a later time; see `DeviceChip.at`."""
        return later(self, seconds)

    def ahead(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse to be asked what a write would do."""
        self._refuse("written to")

    def apply(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse to write."""
        self._refuse("written to")

    def decorrelate(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse other matrices."""
        self._refuse("decorrelated otherwise")

    def book_reads(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse to book."""
        self._refuse("charged for reads; present with book=False")

    def book_spikes(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse to book."""
        self._refuse("charged for spikes; present with book=False")

    def elapse(self, seconds: float) -> NoReturn:
        """Refuse to move on: `at` gives another time."""
        self._refuse("moved on in time; ask the chip for another `at`")

    def load_state_dict(self, state: Mapping[str, Tensor]) -> NoReturn:
        """Refuse to take a state."""
        self._refuse("given a state")

    def _refuse(self, what: str) -> NoReturn:
        raise InputError(f"a chip at another time ({self.now:g} s of its clock) is there to be read, not to be {what}")


def later(chip: ReadChip, seconds: float) -> ChipAt:
    """Return a chip as it would be at a later time of its clock; InputError for one before `now`, or none at all."""
    if not chip.now <= seconds < math.inf:
        raise InputError(f"{seconds} s is no later time of a chip whose clock stands at {chip.now:g} s")
    return ChipAt(chip, seconds)
