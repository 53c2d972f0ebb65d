"""The estimates against their definitions written out as loops, their invariances, and what their intervals promise."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t as student

from neuroanp.diagnosing.statistics import FEWEST, GROUPS, Alignment, Tally
from tests.close import close


def found_in(u: np.ndarray, g: np.ndarray, rounding: float = 0.0) -> Alignment:
    tally = Tally(g, {"w": slice(0, len(g))}, rounding)
    for each in u:
        tally.add(each)
    return tally.found()["w"]


def drawn(seed: int, n: int, d: int, away: float = 0.5, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Updates (n, d) of mean g + a bias of length away |g|, and g (d,)."""
    rng = np.random.default_rng(seed)
    g, other = rng.standard_normal((2, d))
    other -= (other @ g) / (g @ g) * g
    mean = 0.8 * g + away * np.linalg.norm(g) / np.linalg.norm(other) * other
    return mean + spread * rng.standard_normal((n, d)), g


def written_out(u: np.ndarray, g: np.ndarray) -> np.ndarray:
    """a, a^2, |b|^2, V of the definitions, in units of g: pairs of different updates, one after the other."""
    n, square = len(u), g @ g
    a = np.array([one @ g / square for one in u])
    p = [one - along * g for one, along in zip(u, a, strict=True)]
    pairs = [*permutations(range(n), 2)]
    a2 = sum(a[i] * a[j] for i, j in pairs) / len(pairs)
    b2 = sum(p[i] @ p[j] for i, j in pairs) / len(pairs) / square
    V = sum(np.var(u[:, k], ddof=1) for k in range(len(g))) / square
    return np.array([a.mean(), a2, b2, V])


@settings(max_examples=30)
@given(seed=st.integers(0, 999), n=st.integers(FEWEST, 70), d=st.integers(2, 6))
def test_estimates_are_those_of_the_definitions(seed, n, d):
    u, g = drawn(seed, n, d, spread=0.3)
    found, (a, a2, b2, V) = found_in(u, g), written_out(u, g)
    assert found.scale.value == close(a, rel=1e-9)
    assert found.variance.value == close(V, rel=1e-9)
    assert found.signal == close((max(a2, 0) + max(b2, 0)) / V, rel=1e-7)
    assert found.cosines == close(u @ g / np.linalg.norm(u, axis=1) / np.linalg.norm(g), rel=1e-9)
    if found.bias.value is not None:
        assert found.bias.value == close(np.sqrt(b2), rel=1e-7)
    if found.cosine.value is not None:
        assert found.cosine.value == close(np.sign(a) / np.sqrt(1 + max(b2, 0) / a**2), rel=1e-7)


@pytest.mark.parametrize("n", [9, GROUPS, GROUPS + 5, 2 * GROUPS + 1])
def test_intervals_are_the_jackknife_written_out(n):
    """Leave groups out one by one; groups may differ in size (Busing et al.), or be single updates."""
    u, g = drawn(3, n, 4, spread=0.4)
    groups = [np.arange(n) % GROUPS == k for k in range(min(n, GROUPS))]

    def of(rows):
        a, a2, b2, V = written_out(rows, g)
        return np.array([a, b2, V, b2 / a2])

    whole, parts = of(u), np.array([of(u[~group]) for group in groups])
    h = np.array([n / group.sum() for group in groups])[:, None]
    pseudo = h * whole - (h - 1) * parts
    middle = len(groups) * whole - ((1 - 1 / h) * parts).sum(0)
    variance = ((pseudo - middle) ** 2 / (h - 1)).sum(0) / len(groups)
    reach = student.ppf(0.975, len(groups) - 1) * np.sqrt(variance)
    found = found_in(u, g)
    assert found.scale[1:] == close((whole[0] - reach[0], whole[0] + reach[0]), rel=1e-9)
    assert found.bias[1:] == close(tuple(np.sqrt([whole[1] - reach[1], whole[1] + reach[1]])), rel=1e-7)
    assert found.variance[1:] == close((whole[2] - reach[2], whole[2] + reach[2]), rel=1e-9)
    assert found.cosine[1:] == close(tuple(1 / np.sqrt(1 + whole[3] + np.array([1, -1]) * reach[3])), rel=1e-7)


@pytest.mark.parametrize(("n", "d", "away", "spread"), [(16, 20, 0.5, 0.3), (64, 20, 0.5, 1.0), (40, 4, 2.0, 1.0)])
def test_intervals_hold_the_truth_as_often_as_they_say(n, d, away, spread):
    """95 of 100: 300 trials leave a standard error of 1.3 of 100; the jackknife of few updates is a little short."""
    hits = np.zeros(4)
    for seed in range(300):
        u, g = drawn(seed, n, d, away, spread)
        found, square = found_in(u, g), g @ g
        truth = (0.8, away, d * spread**2 / square, 0.8 / np.hypot(0.8, away))
        for k, one in enumerate((found.scale, found.bias, found.variance, found.cosine)):
            hits[k] += one.low <= truth[k] <= one.high
    assert (hits / 300 > 0.90).all(), hits / 300


@pytest.mark.parametrize(("n", "d"), [(16, 2), (16, 50), (64, 3), (64, 400)])
def test_no_bias_is_said_to_be_one_in_fewer_cases_than_stated(n, d):
    said = 0
    for seed in range(300):
        u, g = drawn(seed, n, d, away=0.0)
        said += found_in(u, g).bias.value is not None
    assert said / 300 < 0.04, said / 300


def test_the_plain_square_of_the_mean_would_be_a_bias_where_there_is_none():
    """Without cross products |b|^2 would come out as V/n: the estimate stays around 0 instead."""
    squares = []
    for seed in range(200):
        u, g = drawn(seed, 8, 30, away=0.0)
        squares.append(written_out(u, g)[2] * (g @ g) / (30 - 1) * 8)  # in units of what the plain square has in it
    assert np.mean(squares) == close(0.0, abs=3 * np.std(squares) / np.sqrt(200))


def test_updates_that_are_all_alike_are_known_exactly():
    g, side = np.array([3.0, 4.0, 0.0]), np.array([0.0, 0.0, 2.0])
    found = found_in(np.tile(0.5 * g + side, (20, 1)), g, rounding=1e-9)
    assert found.scale == close((0.5, 0.5, 0.5))
    assert found.bias == close((0.4, 0.4, 0.4))
    assert found.variance == (0.0, 0.0, 0.0)
    assert found.signal == np.inf
    assert found.cosine == close((2.5 / np.hypot(2.5, 2),) * 3)
    assert found.settled == 0


def test_a_bias_of_rounding_is_none():
    g, side = np.array([3.0, 4.0, 0.0]), np.array([0.0, 0.0, 5e-8])
    for rounding, value in ((1e-9, 1e-8), (1e-7, None)):
        found = found_in(np.tile(g + side, (5, 1)), g, rounding)
        assert found.bias.value == (None if value is None else close(value))
        assert found.bias.high == close(max(value or 0.0, rounding))


def test_an_update_that_goes_up_the_gradient_says_so():
    u, g = drawn(1, 30, 5, spread=0.1)
    up, down = found_in(-u, g), found_in(u, g)
    assert up.scale.value == close(-down.scale.value)  # pyright: ignore[reportOptionalOperand]
    assert up.cosine == close((-down.cosine.value, -down.cosine.high, -down.cosine.low))  # pyright: ignore
    assert up.bias == close(down.bias)


def test_a_mean_update_whose_sign_is_not_known_has_no_cosine():
    u, g = drawn(0, 12, 6, spread=30.0)
    found = found_in(u, g)
    assert found.scale.low < 0 < found.scale.high
    assert found.cosine == (None, -1.0, 1.0)
    assert found.settled == 1.0


@pytest.mark.parametrize(
    ("u", "g", "why"),
    [
        (np.zeros((5, 2)), np.ones(2), "the updates are all zero"),
        (np.ones((5, 2)), np.zeros(2), "the gradient is zero"),
    ],
)
def test_where_there_is_nothing_to_compare_it_says_why(u, g, why):
    found = found_in(u, g)
    assert found.why == why
    assert np.isnan(found.cosines).all()
    assert found.settled == 0
    assert found.scale.value is found.bias.value is found.cosine.value is found.variance.value is None


def test_updates_that_are_zero_now_and_then_count():
    u, g = drawn(2, 20, 3, spread=0.1)
    u[::4] = 0
    found = found_in(u, g)
    assert np.isnan(found.cosines).sum() == 5
    assert found.scale.value == close(written_out(u, g)[0])


@settings(max_examples=20)
@given(seed=st.integers(0, 99), size=st.floats(1e-6, 1e6), slope=st.floats(1e-6, 1e6), n=st.integers(8, 60))
def test_sizes_and_directions_are_what_they_are_in_any_units(seed, size, slope, n):
    """Updates times s, gradient times q: scale and bias times s/q, variance times its square, cosines as they were."""
    u, g = drawn(seed, n, 4, spread=0.2)
    turn = np.linalg.qr(np.random.default_rng(seed).standard_normal((4, 4)))[0]
    one, other = found_in(u, g), found_in(size * u @ turn, slope * g @ turn)
    ratio = size / slope
    assert other.scale == close(tuple(ratio * each for each in one.scale), rel=1e-6)  # pyright: ignore
    assert other.bias[1:] == close(tuple(ratio * each for each in one.bias[1:]), rel=1e-5)
    assert other.variance == close(tuple(ratio**2 * each for each in one.variance), rel=1e-6)  # pyright: ignore
    assert other.cosine == close(one.cosine, rel=1e-6)
    assert other.signal == close(one.signal, rel=1e-6)


def test_parts_are_looked_at_by_themselves_and_all_together():
    u, g = drawn(5, 20, 7, spread=0.3)
    tally = Tally(g, {"all": slice(0, 7), "left": slice(0, 3), "right": slice(3, 7)})
    for each in u:
        tally.add(each)
    found = tally.found()
    assert [one.weights for one in found.values()] == [7, 3, 4]
    for name, part in (("all", slice(0, 7)), ("left", slice(0, 3)), ("right", slice(3, 7))):
        alone = found_in(u[:, part], g[part])
        assert found[name].scale == close(alone.scale)
        assert found[name].variance == close(alone.variance)


@pytest.mark.parametrize(
    ("low", "high", "half"),
    [(0.6, 0.8, 0.1), (0.98, 1.0, 0.0995), (-0.1, 0.3, 0.2), (-0.9, 0.1, 0.5), (0.0, 0.1, 0.05)],
)
def test_an_angle_is_known_as_well_as_its_cosine_and_its_sine(low, high, half):
    """From .6 to .8 both span .2; near 1 the cosine hardly changes, the sine does; at 90 degrees it turns back."""
    u, g = drawn(0, 8, 3)
    one = found_in(u, g)
    cosine = one.cosine._replace(low=low, high=high)
    settled = type(one)(**{**vars(one), "cosine": cosine}).settled
    assert settled == close(half, rel=1e-3)


def test_too_few_updates_are_refused():
    tally = Tally(np.ones(2), {"w": slice(0, 2)})
    for _ in range(FEWEST - 1):
        tally.add(np.ones(2))
    with pytest.raises(ValueError, match="3 updates: at least 4 are needed"):
        tally.found()
