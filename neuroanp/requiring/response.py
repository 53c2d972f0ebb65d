"""Find in the response of a metric to a parameter what a target asks of the parameter: pure functions of numbers.

A response has points in the order of the parameter; of each it knows where it lies (decades) and by how many decades
each seed's run is worse than the target. The point is met where the median over the seeds is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite
from statistics import median

from neuroanp.reporting.separation import MOST_BY_CHANCE, by_chance


@dataclass(frozen=True)
class Edge:
    """Where the median over the seeds crosses the target, between two neighbouring points.

    Args:
        met, missed: places of the points that bracket it, by index: of the one that meets the target, and the other.
        at: decades of the parameter at the crossing, linear between the two in decades of parameter and metric; None
            where one of the two is infinite.
    """

    met: int
    missed: int
    at: float | None


@dataclass(frozen=True)
class Window:
    """Neighbouring points all of which meet the target.

    Args:
        first, last: of them, by index.
        low, high: where it ends, or None where it reaches the end of what was swept.
    """

    first: int
    last: int
    low: Edge | None
    high: Edge | None


def middle(distances: Sequence[float]) -> float:
    """Return the median, of which an infinite half is infinite.

    >>> middle([1.0, inf, 3.0]), middle([0.0, inf])
    (3.0, inf)
    """
    found = median(distances)
    return inf if found != found else found


def windows(at: Sequence[float], medians: Sequence[float], met: Sequence[bool]) -> list[Window]:
    """Return the windows of a response, in the order of its points.

    Args:
        at: decades of each point, rising; -inf stands for 0, inf for no limit.
        medians: decades by which the median is worse than the target. met: whether it meets the target.

    >>> windows([-2.0, -1.0, 0.0], [-1.0, -0.5, 0.5], [True, True, False])
    [Window(first=0, last=1, low=None, high=Edge(met=1, missed=2, at=-0.5))]
    """
    found = []
    first = None
    for i, fine in enumerate([*met, False]):
        if fine and first is None:
            first = i
        if not fine and first is not None:
            low = _edge(at, medians, first, first - 1) if first else None
            high = _edge(at, medians, i - 1, i) if i < len(met) else None
            found.append(Window(first, i - 1, low, high))
            first = None
    return found


def _edge(at: Sequence[float], medians: Sequence[float], met: int, missed: int) -> Edge:
    return Edge(met, missed, crossing((at[met], medians[met]), (at[missed], medians[missed])))


def crossing(one: tuple[float, float], other: tuple[float, float]) -> float | None:
    """Return where the line through two points (place, distance from the target) has the distance 0.

    None where a number is infinite, or the line is level.

    >>> crossing((0.0, -1.0), (1.0, 1.0)), crossing((0.0, -1.0), (1.0, inf))
    (0.5, None)
    """
    (x, a), (y, b) = one, other
    if not all(map(isfinite, (x, a, y, b))) or a == b:
        return None
    return x + (y - x) * (0.0 - a) / (b - a)


def monotone(distances: Sequence[Sequence[float]]) -> bool | None:
    """Tell whether a metric goes one way along the points, as far as the seeds tell points apart; None: they do not.

    Two points are told apart where all seeds of one are worse than all of the other, if that is unlikely by chance: of
    s seeds each it has the probability 2 / C(2s, s), and of n points there are n (n - 1) / 2 pairs that it may befall.

    Args:
        distances: of each point, a number a seed.

    >>> rising, turning = [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]], [[0, 1, 2, 3], [4, 5, 6, 7], [0, 1, 2, 3]]
    >>> monotone(rising), monotone(turning), monotone([[0, 1], [2, 3]])
    (True, False, None)
    """
    pairs = [(before, after) for i, before in enumerate(distances) for after in distances[i + 1 :]]
    if not pairs or len(pairs) * by_chance([len(distances[0])] * 2) > MOST_BY_CHANCE:
        return None
    up = any(max(before) < min(after) for before, after in pairs)
    down = any(min(before) > max(after) for before, after in pairs)
    return None if not (up or down) else not (up and down)


def gained(worse: Sequence[float], better: Sequence[float]) -> list[float]:
    """Return by how many decades each seed's metric falls from one setting to another; equal infinities give 0.

    >>> gained([1.0, inf, inf], [0.5, 0.0, inf])
    [0.5, inf, 0.0]
    """
    return [0.0 if a == b else a - b for a, b in zip(worse, better, strict=True)]
