"""The threshold of a synthetic response whose crossing is known, by how the seeds scatter, and windows."""

from __future__ import annotations

from math import inf, log10
from statistics import median

import numpy as np
import pytest

from neuroanp.requiring.finding import EXCEEDS, IDLE, NOWHERE, SHORT, THROUGHOUT, Finding, Point
from neuroanp.requiring.kinds import EITHER, HIGHER, LOWER, Better, Kind
from neuroanp.requiring.parameters import IDEAL, Parameter, Value
from neuroanp.requiring.response import Edge, Window, crossing, gained, monotone, windows
from neuroanp.requiring.target import Target
from tests.close import close

TARGET = Target("test_loss", "<", 0.01)
VALUES = [0.01, 0.1, 1.0, 10.0]


def finding(
    losses: dict[Value, list[float]], stated: float, better: Better = LOWER, target: Target = TARGET, count: str = ""
) -> Finding:
    """Return the finding of a parameter from its losses, a list over seeds by value."""
    parameter = Parameter(Kind("", ("x.y",), better=better, ideal=0.0, count=count), stated)
    points = [Point(value, tuple(some), ("",) * len(some)) for value, some in losses.items()]
    return Finding(parameter, target, tuple(sorted(points, key=lambda point: parameter.decades(point.value))))


@pytest.mark.parametrize("at", [0.02, 0.05, 0.3, 2.0, 7.0])
@pytest.mark.parametrize("power", [0.5, 1.0, 3.0])
def test_a_power_law_crosses_where_it_does(at: float, power: float) -> None:
    found = finding({x: [0.01 * (x / at) ** power] * 5 for x in VALUES}, stated=1.0)
    (limit,) = found.limits
    assert limit.at == close(at)  # exact in decades of both, whatever the grid
    assert limit.seeds == close((at, at))
    assert limit.met == max(x for x in VALUES if x < at) == found.requirement
    assert limit.missed == min(x for x in VALUES if x > at)
    assert found.margin == close(log10(at))
    assert found.verdict == (EXCEEDS if at > 1 else SHORT)
    assert found.monotone is True
    assert found.pays is not None
    assert found.pays[0] == 0.1
    assert found.pays[1] == close([power] * 5)


@pytest.mark.parametrize("at", [0.05, 3.0])
def test_what_is_better_when_higher_is_the_mirror_of_it(at: float) -> None:
    found = finding({x: [0.01 * at / x] * 3 for x in VALUES}, stated=1.0, better=HIGHER)
    (limit,) = found.limits
    assert limit.at == close(at)
    assert found.requirement == min(x for x in VALUES if x > at)
    assert found.margin == close(-log10(at))
    assert found.verdict == (EXCEEDS if at < 1 else SHORT)
    assert found.pays is not None
    assert found.pays[0] == 10.0


def test_a_score_that_must_be_high_crosses_where_it_does() -> None:
    target = Target("score", ">=", 0.5)
    found = finding({x: [0.5 * (0.3 / x) ** 0.25] * 2 for x in VALUES}, stated=1.0, target=target)
    assert found.limits[0].at == close(0.3)
    assert found.verdict == SHORT


def test_it_is_the_median_that_crosses_and_seeds_say_how_surely() -> None:
    factors = np.random.default_rng(0).lognormal(0.0, 0.5, 5)
    found = finding({x: [0.01 * (x / 0.3) * f for f in factors] for x in VALUES}, stated=1.0)
    (limit,) = found.limits
    assert limit.at == close(0.3 / median(factors))
    assert limit.seeds == close((0.3 / max(factors), 0.3 / min(factors)))


def test_bits_count_as_decades_of_their_steps() -> None:
    bits: dict[Value, list[float]] = {float(n): [0.01 * 2.0 ** (6.5 - n)] * 2 for n in (4, 6, 8, 10)}
    found = finding(bits, stated=8.0, better=HIGHER, count="bits")
    assert found.limits[0].at == close(6.5)
    assert found.requirement == 8.0
    assert found.margin == close(1.5 * log10(2.0))
    assert found.pays is not None
    assert found.pays[1] == close([1.0, 1.0])


def test_the_ends_of_the_range_are_no_thresholds() -> None:
    assert finding({x: [1e-4 * x] * 2 for x in VALUES}, stated=1.0).verdict == THROUGHOUT
    assert finding({x: [1e-3, 1e-4] for x in VALUES}, stated=1.0).verdict == IDLE
    nowhere = finding({x: [x + 1.0] * 2 for x in VALUES}, stated=1.0)
    assert nowhere.verdict == NOWHERE
    assert nowhere.requirement is None
    assert nowhere.limits == []
    assert nowhere.margin is None


def test_between_the_ideal_and_the_first_value_nothing_is_interpolated() -> None:
    found = finding({IDEAL: [1e-4] * 2, 0.1: [0.1] * 2, 1.0: [0.2] * 2}, stated=1.0)
    (limit,) = found.limits
    assert (limit.met, limit.missed, limit.at, limit.seeds) == (IDEAL, 0.1, None, None)
    assert found.requirement == IDEAL
    assert found.margin == close(-1.0)  # at the least
    assert found.gains([1.0, 1.0]) == close([3.0, 3.0])


def test_runs_that_diverged_are_infinitely_bad_and_are_not_interpolated_to() -> None:
    found = finding({0.1: [1e-3] * 3, 1.0: [1e-3, inf, inf], 10.0: [inf] * 3}, stated=1.0)
    (limit,) = found.limits
    assert (limit.met, limit.missed, limit.at) == (0.1, 1.0, None)
    assert found.margin == close(-1.0)
    assert gained([inf, inf, 1.0], [0.0, inf, 2.0]) == [inf, 0.0, -1.0]


def test_the_window_is_the_one_that_holds_the_stated_value_and_turns_are_told() -> None:
    losses: dict[Value, list[float]] = {0.01: [0.1] * 5, 0.1: [1e-3] * 5, 1.0: [1e-3] * 5, 10.0: [0.1] * 5}
    found = finding(losses, stated=1.0, better=EITHER)
    assert [(limit.met, limit.missed) for limit in found.limits] == [(0.1, 0.01), (1.0, 10.0)]
    assert [limit.at for limit in found.limits] == close([10**-1.5, 10**0.5])
    assert found.monotone is False
    assert found.requirement is None
    twice = finding({0.01: [1e-3] * 2, 0.1: [0.1] * 2, 1.0: [1e-3] * 2, 10.0: [0.1] * 2}, stated=1.0)
    assert len(twice.windows) == 2
    assert twice.limits[0].at == close(10**0.5)


def test_windows_of_every_pattern_are_what_is_met() -> None:
    for pattern in range(2**5):
        met = [bool(pattern >> i & 1) for i in range(5)]
        found = windows([0.0, 1.0, 2.0, 3.0, 4.0], [-1.0 if fine else 1.0 for fine in met], met)
        assert [i for one in found for i in range(one.first, one.last + 1)] == [i for i, fine in enumerate(met) if fine]
        for one in found:
            assert (one.low is None) == (one.first == 0)
            assert (one.high is None) == (one.last == 4)
            assert one.low is None or one.low == Edge(one.first, one.first - 1, one.first - 0.5)
            assert one.high is None or one.high == Edge(one.last, one.last + 1, one.last + 0.5)
    assert windows([0.0], [0.0], [True]) == [Window(0, 0, None, None)]


def test_a_level_or_infinite_line_has_no_crossing() -> None:
    assert crossing((0.0, 0.0), (1.0, 0.0)) is None
    assert crossing((-inf, -1.0), (0.0, 1.0)) is None


def test_few_seeds_tell_no_turn_for_chance_would() -> None:
    turn = [[0.0], [1.0], [0.0]]
    assert [monotone([some * seeds for some in turn]) for seeds in (1, 2, 3, 4, 5)] == [None, None, None, False, False]
    assert monotone([[3.0, 2.0, 5.0, 4.0], [1.0, 1.0, 0.0, 1.5]]) is True
    random = np.random.default_rng(0)
    told = [monotone(random.normal(size=(6, 5)).tolist()) for _ in range(2000)]
    # under no response at all a way is told in at most MOST_BY_CHANCE of cases, and a turn in fewer
    assert sum(one is not None for one in told) / len(told) < 0.125
    assert sum(one is False for one in told) / len(told) < 0.02
