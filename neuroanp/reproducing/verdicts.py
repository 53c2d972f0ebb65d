"""Hold claims to results: seed by seed, with the probability of the count by chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from statistics import median
from typing import Any

from neuroanp.reporting.separation import LEAST
from neuroanp.reporting.tables import at_least
from neuroanp.reproducing.claims import Claim, Comparison, Number
from neuroanp.reproducing.running import Measured
from neuroanp.reproducing.ways import WAYS

HELD, NOT, OPEN = "held", "did not hold", "undecided"
RARE = 0.05
"""By chance: a count that is not of all seeds holds a claim where it is as rare, and its reverse refutes it."""
DISAGREE = "seeds disagree"
"""How it is said that a claim is undecided though all runs are there."""
Place = tuple[str, str, int, int]
"""Experiment, method, hidden units, seed."""


@dataclass(frozen=True)
class Finding:
    """What became of one comparison of a claim.

    Args:
        claim, whose: of the claim. comparison: what was held to what. verdict: HELD, NOT or OPEN.
        below: seeds in which the one is below `within` times the other, of `seeds`. chance: the probability of at least
            so many if each were as likely below as above; None where `within` is more than 1, as it is not then.
        luck: the probability that the claim is held if each were; None where it cannot be held or `within` is over 1.
        one, other: medians; infinite where most runs diverged. ratio: of the medians; None where there is none.
        why: why it is undecided, with the remedy.
    """

    claim: str
    whose: str
    comparison: Comparison
    verdict: str
    below: int = 0
    seeds: int = 0
    chance: float | None = None
    luck: float | None = None
    one: float | None = None
    other: float | None = None
    ratio: float | None = None
    why: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        compared = self.comparison
        own = {key: value for key, value in vars(self).items() if key != "comparison"}
        names = {"where": compared.where, "one_is": compared.one_label, "other_is": compared.other_label}
        return {**own, **names, "within": compared.within}


def held_to(
    found: Sequence[Claim], measured: Sequence[Measured], seeds: Sequence[int], missing: Mapping[str, str],
    run: Sequence[str],
) -> list[Finding]:  # fmt: skip
    """Hold claims to what runs gave.

    Args:
        found: the claims. measured: what runs gave. seeds: all of them.
        missing: why an experiment could not be run, by name. run: names of the experiments that were asked for.
    """
    places = {(each.experiment, each.way, each.hidden, each.seed): each for each in measured}
    return [
        _finding(claim, test, places, seeds, missing, run) for claim in found for test in claim.tests
    ]  # fmt: skip


def _finding(
    claim: Claim, test: Comparison, places: Mapping[Place, Measured], seeds: Sequence[int],
    missing: Mapping[str, str], run: Sequence[str],
) -> Finding:  # fmt: skip
    for name in dict.fromkeys((test.one.experiment, test.other.experiment)):
        if name not in run:
            return Finding(claim.name, claim.whose, test, OPEN, why=f"{name} was not run; add it to --only")
        if name in missing:
            return Finding(claim.name, claim.whose, test, OPEN, why=f"{name}: {missing[name]}")
    pairs, lost = [], []
    for seed in seeds:
        one, other = (_value(number, seed, places) for number in (test.one, test.other))
        lost += [problem for problem in (one, other) if isinstance(problem, str)]
        if not isinstance(one, str) and not isinstance(other, str):
            pairs.append((one, other))
    return decided(claim, test, pairs, list(dict.fromkeys(lost)))


def decided(claim: Claim, test: Comparison, pairs: Sequence[tuple[float, float]], lost: Sequence[str]) -> Finding:
    """Return what pairs of losses, a seed each, say of a comparison.

    Held: the one is below in every seed, of LEAST or more, or in so many that chance alone is as rare as RARE. It did
    not hold where this is so of the seeds in which it is not below. Else undecided, and so where any run is lost.

    Args:
        claim, test: which. pairs: (one, other) of each seed. lost: why others are not there.
    """
    below = sum(test.below(one, other) for one, other in pairs)
    one, other = (median(numbers) for numbers in zip(*pairs, strict=True)) if pairs else (None, None)
    verdict, why = _verdict(below, len(pairs), pairs, lost)
    even = test.within == 1  # within 1.1 times of equals is no toss of a coin
    chance = at_least(below, len(pairs)) if pairs and even else None
    luck = by_chance(len(pairs)) if even and (why is None or why.startswith(DISAGREE)) else None
    return Finding(
        claim.name, claim.whose, test, verdict, below, len(pairs), chance, luck, one, other, _ratio(one, other), why
    )


def by_chance(count: int) -> float:
    """Return the probability that a claim is held by so many seeds, LEAST or more, if each were a toss of a coin.

    >>> by_chance(3), by_chance(5), by_chance(8)  # all of 3, of 5; 7 or 8 of 8
    (0.125, 0.03125, 0.03515625)
    """
    return next(at_least(below, count) for below in range(count + 1) if _many(below, count))


def _many(below: int, count: int) -> bool:
    """Tell whether so many seeds of a count are all, or as many as is rare by chance."""
    return below == count or at_least(below, count) <= RARE


def _verdict(
    below: int, count: int, pairs: Sequence[tuple[float, float]], lost: Sequence[str]
) -> tuple[str, str | None]:
    if lost:
        more = f" (and {len(lost) - 1} more)" if len(lost) > 1 else ""
        return OPEN, f"{lost[0]}{more}"
    if count < LEAST:
        return OPEN, f"{count} seed{'s' * (count != 1)}; it takes {LEAST}: --seeds {LEAST}"
    both = sum(one == other == inf for one, other in pairs)
    if both * 2 > count:
        return OPEN, f"both diverged in {both} of {count} seeds; a lower learning rate would tell"
    if _many(below, count):
        return HELD, None
    if _many(count - below, count):
        return NOT, None
    return OPEN, f"{DISAGREE}, {below} of {count}; more would tell (--seeds)"


def _ratio(one: float | None, other: float | None) -> float | None:
    if one is None or other is None or not isfinite(one) or not isfinite(other) or other == 0:
        return None
    return one / other


def _value(number: Number, seed: int, places: Mapping[Place, Measured]) -> float | str:
    """Return a loss, or why there is none, with the remedy."""
    way = WAYS[number.way].label
    run = places.get((number.experiment, number.way, number.hidden, seed))
    if run is None:
        return f"{number.experiment}, {way}, seed {seed}: was not run; repeat the command"
    if run.error is not None:
        return (
            f"{number.experiment}, {way}, seed {seed}: {run.error.rstrip('.')}; repeat the command once that is mended"
        )
    if number.key in run.values:
        return run.values[number.key]
    if run.values.get("loss") == inf:
        return (
            f"{number.experiment}, seed {seed}: {number.label} is computed with the run of {way}, which diverged; "
            "lower its rate"
        )
    return f"{number.experiment}, {way}, seed {seed}: has no {number.key}; repeat the command"
