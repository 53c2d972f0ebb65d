"""Say of one parameter what was found: what it must reach, what it exceeds, what it pays, what its ideal brings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf, isfinite
from statistics import median
from typing import Any

from neuroanp.requiring.kinds import EITHER, HIGHER, LOWER
from neuroanp.requiring.parameters import Parameter, Value, ideal_of
from neuroanp.requiring.response import Edge, Window, gained, middle, monotone, windows
from neuroanp.requiring.target import Target

EXCEEDS, SHORT, THROUGHOUT, NOWHERE = "exceeds", "falls short", "met throughout", "not reached"
"""What a parameter does: meets the target with a limit within the range, misses it with one, and without one either."""
IDLE = "plays no part"
"""What one does that makes no difference to any run."""


@dataclass(frozen=True)
class Point:
    """One setting: its value, the metric of each seed's run (infinite where it diverged), and the runs' directories."""

    value: Value
    metric: tuple[float, ...]
    runs: tuple[str, ...]


@dataclass(frozen=True)
class Limit:
    """An edge of what meets the target, in values of the parameter.

    Args:
        met, missed: the neighbouring values that were run, of which the first meets the target.
        at: the value where the median crosses the target, interpolated; None where that cannot be.
        seeds: lowest and highest of such values of single seeds; None where some seed has none between its points.
    """

    met: Value
    missed: Value
    at: float | None
    seeds: tuple[float, float] | None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"met": self.met, "missed": self.missed, "at": self.at, "seeds": self.seeds and [*self.seeds]}


@dataclass(frozen=True)
class Finding:
    """What the sweep of one parameter found.

    Args:
        parameter: which. target: what is asked. points: from low to high, the stated one among them.
    """

    parameter: Parameter
    target: Target
    points: tuple[Point, ...]

    @cached_property
    def distances(self) -> list[list[float]]:
        """By how many decades each run is worse than the target, a list a point."""
        return [[self.target.distance(value) for value in point.metric] for point in self.points]

    @cached_property
    def medians(self) -> list[float]:
        """The median of the metric over the seeds, a point each; infinite where half of the runs diverged."""
        bad = inf if self.target.less else -inf
        found = [median(point.metric) for point in self.points]
        return [bad if value != value else value for value in found]

    @cached_property
    def met(self) -> list[bool]:
        """Whether the median meets the target."""
        return [self.target.met(value) for value in self.medians]

    @cached_property
    def places(self) -> list[float]:
        """Where the points lie, in decades."""
        return [self.parameter.decades(point.value) for point in self.points]

    @cached_property
    def stated(self) -> int | None:
        """Which point is the profile's own; None of a law that is a table."""
        own = [i for i, point in enumerate(self.points) if point.value == self.parameter.stated]
        return own[0] if own else None

    @cached_property
    def windows(self) -> list[Window]:
        """Neighbouring points that meet the target, but for those on the worse side of the stated value alone.

        Where a parameter has a better side, what is met beyond a miss on the worse one is chance, or not one way.
        """
        found = windows(self.places, self._middles, self.met)
        here, better = self.stated, self.parameter.kind.better
        if here is None or better == EITHER:
            return found
        return [one for one in found if (one.first <= here if better == LOWER else one.last >= here)]

    @property
    def _middles(self) -> list[float]:
        """How far the median over the seeds is from the target, in decades; of numbers that have none, the middle."""
        medians = [self.target.distance(value) if isfinite(value) else value for value in self.medians]
        return [
            own if isfinite(own) else middle(some) for own, some in zip(medians, self.distances, strict=True)
        ]  # fmt: skip

    @cached_property
    def window(self) -> Window | None:
        """The window that the stated value is in, else the one nearest to it."""
        if not self.windows or self.stated is None:
            return None
        here = self.stated

        def away(one: Window) -> int:
            return max(one.first - here, here - one.last, 0)

        return min(self.windows, key=away)

    @cached_property
    def monotone(self) -> bool | None:
        """Whether the metric goes one way, as far as seeds tell points apart; None: they do not."""
        return monotone(self.distances)

    @property
    def limits(self) -> list[Limit]:
        """The edges of the window, on the side where the device gets worse; both where either side may be."""
        one = self.window
        if one is None:
            return []
        better = self.parameter.kind.better
        edges = {LOWER: [one.high], HIGHER: [one.low], EITHER: [one.low, one.high]}[better]
        return [self._limit(edge) for edge in edges if edge is not None]

    def _limit(self, edge: Edge) -> Limit:
        met, missed = self.points[edge.met].value, self.points[edge.missed].value
        at = None if edge.at is None else self.parameter.at(edge.at) * (-1.0 if float(met) < 0 else 1.0)
        return Limit(met, missed, at, self._of_seeds())

    def _of_seeds(self) -> tuple[float, float] | None:
        """Return lowest and highest crossing of single seeds, each sought as the median's is."""
        found = []
        for seed in range(len(self.points[0].metric)):
            own = tuple(Point(p.value, (p.metric[seed],), (p.runs[seed],)) for p in self.points)
            one = Finding(self.parameter, self.target, own).edge
            if one is None or one.at is None:
                return None
            found.append(self.parameter.at(one.at) * (-1.0 if float(own[one.met].value) < 0 else 1.0))
        return (min(found), max(found)) if len(found) > 1 else None

    @property
    def edge(self) -> Edge | None:
        """The edge of the window on the side where the device gets worse; None where there is none."""
        one = self.window
        return None if one is None else {LOWER: one.high, HIGHER: one.low}.get(self.parameter.kind.better)

    @cached_property
    def verdict(self) -> str:
        """One of EXCEEDS, SHORT, THROUGHOUT, NOWHERE, IDLE; "" of a table, of which the ideal alone was run."""
        if self.stated is None:
            return ""
        if len({point.metric for point in self.points}) == 1:
            return IDLE
        if not self.windows:
            return NOWHERE
        if not self.met[self.stated]:
            return SHORT
        return EXCEEDS if self.limits else THROUGHOUT

    @property
    def requirement(self) -> Value | None:
        """The value that the device must reach: the worst that was run and met, next to where the target is missed.

        Where all of the range meets the target, the end of it; None where nothing does, or either side may be worse.
        """
        one, better = self.window, self.parameter.kind.better
        if one is None or better == EITHER:
            return None
        return self.points[one.last if better == LOWER else one.first].value

    @property
    def margin(self) -> float | None:
        """Decades from the stated value to where the target is missed, below 0 where it is missed already.

        From the interpolated crossing where there is one. None where there is no edge, or the stated value is 0.
        """
        edge = self.edge
        if edge is None or self.stated is None:
            return None
        place = edge.at
        if place is None:
            place = self.places[edge.met] if isfinite(self.places[edge.met]) else self.places[edge.missed]
        way = 1.0 if self.parameter.kind.better == LOWER else -1.0
        found = way * (place - self.places[self.stated])
        return found if isfinite(found) else None

    @cached_property
    def ideal(self) -> int | None:
        """Which point has the least flaw: the ideal, or the best end of the range; None: the stated one has none."""
        value = ideal_of(self.parameter, [point.value for point in self.points if point.value != self.parameter.stated])
        return None if value is None else next(i for i, point in enumerate(self.points) if point.value == value)

    def gains(self, stated: Sequence[float]) -> list[float] | None:
        """Return by how many decades each seed's metric gets better with the ideal value alone; None: there is none.

        Args:
            stated: distances of the profile as it is, a seed each.
        """
        return None if self.ideal is None else gained(stated, self.distances[self.ideal])

    @cached_property
    def pays(self) -> tuple[Value, list[float]] | None:
        """The better value nearest to a decade away, and the decades each seed's metric gains per decade of the way.

        None where nothing better with a distance in decades was run.
        """
        if self.stated is None or self.parameter.kind.better == EITHER:
            return None
        way = -1.0 if self.parameter.kind.better == LOWER else 1.0
        ahead = [(way * (place - self.places[self.stated]), i) for i, place in enumerate(self.places)]
        ahead = [(decades, i) for decades, i in ahead if decades > 0 and isfinite(decades)]
        if not ahead:
            return None
        decades, i = min(ahead, key=lambda one: abs(one[0] - 1.0))
        gains = gained(self.distances[self.stated], self.distances[i])
        return self.points[i].value, [gain / decades for gain in gains]

    def to_dict(self, stated: Sequence[float]) -> dict[str, Any]:
        """Return it as plain data; `stated` as in `gains`."""
        one, gains, pays = self.parameter, self.gains(stated), self.pays
        return {
            "parameter": one.key,
            "keys": [*one.kind.keys],
            "name": one.kind.name,
            "better": one.kind.better,
            "unit": one.unit,
            "stated": one.stated,
            "status": one.status,
            "inherited": one.inherited or None,
            "verdict": self.verdict,
            "requirement": self.requirement,
            "limits": [limit.to_dict() for limit in self.limits],
            "margin_decades": self.margin,
            "monotone": self.monotone,
            "windows": len(self.windows),
            "pays": None if pays is None else {"to": pays[0], "per_decade": pays[1], "median": median(pays[1])},
            "ideal": None if gains is None or self.ideal is None else {
                "value": self.points[self.ideal].value, "gains_decades": gains, "median": median(gains),
                "met": self.met[self.ideal],
            },
            "points": [
                {"value": p.value, "metric": [*p.metric], "median": m, "met": ok, "runs": [*p.runs]}
                for p, m, ok in zip(self.points, self.medians, self.met, strict=True)
            ],
        }  # fmt: skip

    def shown(self, value: Value) -> str:
        """Write a value of the parameter."""
        return self.parameter.shown(value)


def in_order(parameter: Parameter, points: Mapping[Value, Point], stated: Point) -> tuple[Point, ...]:
    """Return points from low to high with that of the profile as it is among them.

    Args:
        parameter: which. points: swept ones by value. stated: of the profile as it is.
    """
    own = [] if parameter.stated is None else [Point(parameter.stated, stated.metric, stated.runs)]
    return tuple(sorted([*points.values(), *own], key=lambda point: parameter.decades(point.value)))
