"""Rank parameters by what they gain, paired by seed: a first one is named where it is ahead on every seed.

Were all of n parameters alike, one of them would be ahead of the others on all of s seeds with the probability
n^(1-s). Below LEAST seeds nothing is named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median
from typing import Any

from neuroanp.reporting.separation import LEAST, MOST_BY_CHANCE, higher_in_all
from neuroanp.requiring.finding import Finding


@dataclass(frozen=True)
class Ranked:
    """Parameters by their gain, the highest median first.

    Args:
        gains: a number a seed, in the order of the medians.
        first: what is ahead of all others on every seed, and gains on every seed; None where nothing is.
        ties: where nothing is: the one of the highest median, and those that it does not beat on every seed.
        chance: probability that one would be ahead of all on every seed if all were alike.
    """

    gains: Mapping[str, Sequence[float]]
    first: str | None
    ties: tuple[str, ...]
    chance: float

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        rows = [{"parameter": key, "gains": [*some], "median": median(some)} for key, some in self.gains.items()]
        return {"first": self.first, "ties": [*self.ties], "chance": self.chance, "parameters": rows}


def ranked(gains: Mapping[str, Sequence[float]]) -> Ranked:
    """Rank parameters.

    Args:
        gains: a number a seed, by parameter, in the same order of the seeds.

    >>> found = ranked({"a": [0.1, 0.2, 0.1, 0.1], "b": [1.0, 0.9, 1.2, 1.1]})
    >>> found.first, [*found.gains], found.chance
    ('b', ['b', 'a'], 0.125)
    >>> ranked({"a": [0.1, 1.2, 0.1], "b": [1.0, 0.9, 1.2]}).ties
    ('b', 'a')
    """
    order = sorted(gains, key=lambda key: -median(gains[key]))
    rows = {key: gains[key] for key in order}
    if not order:
        return Ranked(rows, None, (), 1.0)
    top, seeds = order[0], len(gains[order[0]])
    chance = float(len(order)) ** (1 - seeds)
    by_seed: dict[str, dict[object, float]] = {key: {**dict(enumerate(some))} for key, some in gains.items()}
    level = [key for key in order[1:] if not higher_in_all(by_seed[top], by_seed[key])]
    if seeds < LEAST or level or min(gains[top]) <= 0 or (len(order) > 1 and chance > MOST_BY_CHANCE):
        return Ranked(rows, None, (top, *level), chance)
    return Ranked(rows, top, (), chance)


def worst_pairs(findings: Sequence[Finding], stated: Sequence[float], met: bool, most: int) -> list[tuple[Any, Any]]:
    """Return the pairs to run: what brings most with both ideal, or where the target is met, what has least to spare.

    Args:
        findings: of all parameters. stated: distances of the profile as it is. met: whether it meets the target.
        most: pairs.

    Returns: ((finding, value), (finding, value)) each: both at their ideals, none where one ideal alone suffices; or
        both at the worst values that met the target one at a time.
    """
    if met:
        limited = [(one.margin, one) for one in findings if one.margin is not None and one.verdict == "exceeds"]
        found = [(margin, one, one.requirement) for margin, one in limited if one.requirement != one.parameter.stated]
    elif any(one.ideal is not None and one.met[one.ideal] for one in findings):
        return []
    else:
        found = [
            (-median(gains), one, one.points[one.ideal].value)
            for one in findings
            if one.ideal is not None and (gains := one.gains(stated)) is not None
        ]
    pairs = [
        (a[0] + b[0], (a[1], a[2]), (b[1], b[2]))
        for a, b in combinations(sorted(found, key=lambda one: one[0])[: most + 1], 2)
    ]
    return [(one, other) for _, one, other in sorted(pairs, key=lambda pair: pair[0])[:most]]
