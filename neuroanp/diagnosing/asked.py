"""What a diagnosis is asked for: updates of a training, passes, noise levels, and how many draws."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from neuroanp.diagnosing.statistics import FEWEST
from neuroanp.errors import InputError

LEAST, MOST = 16, 256
"""Updates that are drawn before it is looked whether they are enough, and at most."""
WITHIN = 0.05
"""Half an interval of the angle between mean update and gradient that is narrow enough, in cosine and sine."""
LARGEST = 1_000_000
"""Draws that can be asked for."""


@dataclass(frozen=True)
class Draws:
    """How many updates are drawn: until the angle of the mean to the gradient is known of all arrays, or so many.

    The width is looked at after `least` draws and whenever their number has doubled since.

    Args:
        least, most: as many at least and at most. within: half an interval that is narrow enough.

    Raises:
        InputError: fewer than FEWEST or more than LARGEST draws, or a width that is none.

    Source: Chow and Robbins, Ann. Math. Stat. 36, 457 (1965): stopped by its width, an interval covers as it should.

    >>> list(Draws(16, 100).looks()), list(Draws(40, 40, 0.0).looks())
    ([16, 32, 64, 100], [40])
    """

    least: int = LEAST
    most: int = MOST
    within: float = WITHIN

    def __post_init__(self) -> None:
        for name in ("least", "most"):
            number = vars(self)[name]
            if not FEWEST <= number <= LARGEST:
                raise InputError(f"draws: {number:,} updates; draw from {FEWEST} to {LARGEST:,}")
        if not 0 <= self.within < 1:
            raise InputError(f"within: {self.within:g} is no half width of an interval of cosines; take 0 to below 1")

    @classmethod
    def of(cls, draws: int | None = None, most: int | None = None, within: float | None = None) -> Draws:
        """Return what is asked for: so many `draws`, or as many as it takes; InputError where both are said."""
        if draws is None:
            most = MOST if most is None else most
            return cls(min(LEAST, most), most, WITHIN if within is None else within)
        if most is not None or within is not None:
            other = "most" if most is not None else "within"
            raise InputError(f"draws, {other}: so many draws are made, whatever comes of them; leave out {other}")
        return cls(draws, draws, 0.0)

    def looks(self) -> Iterator[int]:
        """Yield the numbers of draws after which it is looked whether they are enough; the last is `most`."""
        count = self.least
        while count < self.most:
            yield count
            count *= 2
        yield self.most


@dataclass(frozen=True)
class Asked:
    """What to look at.

    Args:
        at: updates after which to look, whole numbers, or shares of the training, with a point; None: the start, or
            of a run its newest checkpoint.
        K: replicas of the rule; None: its own, beside 1, 4 and 16, where it has any.
        sigma: of the Gaussian on the units; None: the configuration's own.
        draws: how many updates.
    """

    at: tuple[int | float, ...] | None = None
    K: tuple[int, ...] | None = None
    sigma: tuple[float, ...] | None = None
    draws: Draws = Draws()


def updates_of(at: Sequence[int | float], total: int) -> list[int]:
    """Return the updates that are meant, in order, each once.

    Args:
        at: whole numbers, or shares of the training, 0.0 to 1.0. total: updates of the training.

    Raises:
        InputError: one is beyond the training, or below its start.

    >>> updates_of([0, 0.5, 30, 1.0], 60)
    [0, 30, 60]
    >>> updates_of([61], 60)
    Traceback (most recent call last):
    ...
    neuroanp.errors.InputError: at: 61 is no update of a training of 60; name whole numbers from 0 to 60, or shares \
such as 0.5
    """
    found = []
    for each in at:
        update = round(each * total) if isinstance(each, float) and 0 <= each <= 1 else each
        if not isinstance(update, int) or not 0 <= update <= total:
            raise InputError(
                f"at: {each!r} is no update of a training of {total}; name whole numbers from 0 to {total}, or shares "
                "such as 0.5"
            )
        found.append(update)
    return sorted(set(found))
