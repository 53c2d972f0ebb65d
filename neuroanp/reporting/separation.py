"""Tell whether seeds name a winner: a ranking needs spread.

One method is told apart from the others where every one of its seeds is below every seed of theirs. Were all methods
alike, their seeds would lie in any order, and so that n of all N seeds are the lowest ones and of one method has the
probability sum over the methods of 1 / C(N, n). Below LEAST seeds nothing is named: of two methods with two seeds each
one would be below the other by chance in a third of all cases, with three in a tenth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import comb

LEAST = 3
"""Seeds that a ranking takes."""
MOST_BY_CHANCE = 0.125
"""Probability by chance above which no dearest non-ideality is named: of two that change a loss it takes 4 seeds."""
MORE = "compare over --seeds 5"


def lowest_apart(losses: Sequence[Sequence[float]]) -> int | None:
    """Return the place of the one whose every loss is below all losses of all others, or None.

    None too where there is one alone, or any has fewer than LEAST seeds.

    >>> lowest_apart([[3.0, 4.0, 5.0], [1.0, 2.0, 2.5]]), lowest_apart([[3.0, 4.0, 5.0], [1.0, 2.0, 3.5]])
    (1, None)
    """
    if len(losses) < 2 or min(map(len, losses)) < LEAST:
        return None
    first = min(range(len(losses)), key=lambda i: min(losses[i]))
    others = [loss for i, some in enumerate(losses) if i != first for loss in some]
    return first if max(losses[first]) < min(others) else None


def by_chance(counts: Sequence[int]) -> float:
    """Return the probability that one of several alike methods, of so many seeds each, is below all others.

    >>> by_chance([3, 3]), round(by_chance([5, 5]), 4)
    (0.1, 0.0079)
    """
    return min(sum(1 / comb(sum(counts), count) for count in counts), 1.0)


def higher_in_all(one: Mapping[object, float], other: Mapping[object, float]) -> bool:
    """Tell whether one is higher in each seed that both have, and at least LEAST of them are shared.

    >>> higher_in_all({0: 2.0, 1: 5.0, 2: 7.0}, {0: 1.0, 1: 4.0, 2: 6.5})
    True
    """
    shared = one.keys() & other.keys()
    return len(shared) >= LEAST and all(one[seed] > other[seed] for seed in shared)


def too_few(seeds: int) -> str:
    """Say that so many seeds make no ranking.

    >>> too_few(1)
    'one seed: no ranking; compare over --seeds 5'
    """
    count = "one seed" if seeds == 1 else f"{seeds} seeds"
    needed = "" if seeds == 1 else f", it takes {LEAST}"
    return f"{count}: no ranking{needed}; {MORE}"
