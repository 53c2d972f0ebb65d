"""Ranges that a search draws from: read as they are written, and even on the scale that they name."""

from __future__ import annotations

from math import log

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import kstest

from neuroanp.comparing.ranges import Range, range_of
from neuroanp.comparing.search import drawn
from neuroanp.comparing.settings import Axis, axes_over
from neuroanp.errors import InputError
from tests.close import close

ends = st.floats(-1e9, 1e9).filter(lambda x: x == 0 or abs(x) > 1e-9)
above_0 = st.floats(1e-9, 1e9)
shares = st.floats(0, 1, exclude_max=True)


@given(one=ends, two=ends, log_scale=st.booleans(), spaces=st.sampled_from(["", " "]))
def test_a_range_is_read_as_it_is_written(one, two, log_scale, spaces):
    low, high = sorted((one, two))
    assume(high - low > 1e-6 * max(abs(low), abs(high)))
    low, high = (abs(low) + 1e-3, abs(low) + 1e-3 + high - low) if log_scale else (low, high)
    assume(high - low > 1e-6 * high)
    kind = ":log" if log_scale else ":lin"
    found = range_of(f"{low!r}{spaces}..{spaces}{high!r}{spaces}{kind}", "--tune a.b")
    assert found == Range(low, high, log_scale)
    assert found == range_of(str(found), "x") == range_of(found.to_dict(), "x")
    if not log_scale:
        assert found == range_of(f"{low!r}..{high!r}", "--tune a.b")


@given(low=st.integers(-(10**6), 10**6), width=st.integers(1, 10**6), share=shares)
def test_a_range_between_whole_ends_is_of_whole_numbers(low, width, share):
    found = range_of(f"{low}..{low + width}", "--tune network.hidden")
    assert found == Range(low, low + width, whole=True)
    assert found.count == width + 1
    value = found.at(share)
    assert type(value) is int
    assert value == low + int(share * (width + 1)) or value == close(low + share * (width + 1), rel=0, abs=1)
    assert range_of(f"{low}.0..{low + width}", "x").whole is False


@given(low=above_0, ratio=st.floats(1.01, 1e9), share=shares)
def test_a_draw_is_the_quantile_of_its_range(low, ratio, share):
    """log v = log low + s log(high/low), and v = low + s (high - low), up to the rounding of what is typed."""
    high = low * ratio
    value = Range(low, high, log=True).at(share)
    assert low <= value <= high
    assert log(value / low) / log(high / low) == close(share, rel=0, abs=6e-4)
    value = Range(low, high).at(share)
    assert low <= value <= high
    assert (value - low) / (high - low) == close(share, rel=0, abs=6e-5)
    assert Range(low, high).place(value) == close((value - low) / (high - low))
    assert Range(low, high, log=True).place(value) == close(log(value / low) / log(high / low), abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_points_are_even_on_the_scale_of_their_range(seed):
    """Kolmogorov and Smirnov: uniform in v, uniform in log v, and not the one where it should be the other."""
    axes = axes_over({"a": "1e-4..1e-1:log", "b": "0.1..0.9"}, "--tune")
    points = drawn(axes, 800, seed)
    of_a, of_b = [log(point["a"] / 1e-4) / log(1e3) for point in points], [(point["b"] - 0.1) / 0.8 for point in points]
    assert kstest(of_a, "uniform").pvalue > 1e-3
    assert kstest(of_b, "uniform").pvalue > 1e-3
    assert kstest([(point["a"] - 1e-4) / (1e-1 - 1e-4) for point in points], "uniform").pvalue < 1e-12


def test_whole_numbers_and_values_of_lists_are_equally_probable():
    """chi^2 of 10 and 4 equally probable values, and both ends among them."""
    shares = [(k + 0.5) / 1000 for k in range(1000)]
    over = Range(3, 12, whole=True)
    values = [over.at(share) for share in shares]
    assert {v: values.count(v) for v in range(3, 13)} == dict.fromkeys(range(3, 13), 100)
    points = drawn([Axis("a", ("x", "y", [1], True)), Axis("b", (), "--tune", Range(0.0, 1.0))], 1000, 0)
    counts = [sum(point["a"] == value for point in points) for value in ("x", "y", [1], True)]
    assert sum(counts) == 1000
    assert sum((n - 250) ** 2 / 250 for n in counts) < 16.3  # chi^2 of 3: beyond in 1 of 1,000


def test_whole_numbers_of_a_logarithmic_range_have_the_shares_of_what_rounds_to_them():
    over = Range(1, 100, log=True, whole=True)
    values = [over.at((k + 0.5) / 20_000) for k in range(20_000)]
    assert (min(values), max(values)) == (1, 100)
    for whole in (1, 2, 10, 100):
        share = log((whole + 0.5) / (whole - 0.5)) / log(100.5 / 0.5)
        assert values.count(whole) / 20_000 == close(share, rel=0, abs=1e-4)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("1..1", "'1..1' is empty: it begins where it ends; write the one value, 1"),
        ("1e-1..1e-4:log", "is empty: it runs backwards; write 1e-4..1e-1:log"),
        ("50..5", "runs backwards; write 5..50"),
        ("0..1e-2:log", "has no logarithm at 0; begin above 0, or write 0..1e-2"),
        ("-1..1:log", "has no logarithm at -1"),
        ("0..1e999", "an end that is out of range"),
        ("0..99999999999999999999", "an end that is out of range"),
        ("1.0..1.0000000000001", "one number to nine digits"),
        ("1e-3..1e-2:lg", "is no range; write lo..hi:lin,n or lo..hi:log,n"),
        ("1e-3..", "is no range"),
        ({"low": 1}, "is no range; write lo..hi or lo..hi:log"),
        ({"low": 1, "high": 2, "step": 1}, "is no range"),
        ({"low": 1, "high": 2, "log": "yes"}, "is no range"),
        ({"low": "a", "high": 2}, "has an end that is no number"),
        ({"low": True, "high": 2}, "has an end that is no number"),
        ({"low": float("nan"), "high": 2}, "an end that is out of range"),
        ({"low": 0, "high": 1.0, "log": True}, "has no logarithm at 0"),
        ({"low": 2, "high": 1}, "runs backwards; write 1..2"),
    ],
)
def test_what_is_no_range_is_told_with_the_key(given, why):
    with pytest.raises(InputError) as caught:
        axes_over({"optimizer.lr": given}, "--tune")
    assert why in str(caught.value)
    assert str(caught.value).startswith("--tune optimizer.lr: ")
    assert len(str(caught.value)) < 300


def test_ranges_are_of_tune_alone_and_everything_else_is_what_it_was():
    with pytest.raises(InputError, match=r"--axis optimizer.lr: '1e-3..1e-2' is no range; write lo..hi:lin,n"):
        axes_over({"optimizer.lr": "1e-3..1e-2"}, "--axis")
    (values,) = axes_over({"optimizer.lr": "1e-3..1e-2:log,2"}, "--tune")
    assert (values.values, values.over, values.ends, values.tried) == ((1e-3, 1e-2), None, (1e-3, 1e-2), [1e-3, 1e-2])
    (over,) = axes_over({"network.hidden": {"low": 5, "high": 50}}, "--tune")
    assert (over.values, over.ends, over.tried) == ((), (5, 50), {"low": 5, "high": 50, "log": False})
    (section,) = axes_over({"optimizer": {"name": "sgd"}}, "--tune")
    assert (section.values, section.over) == (({"name": "sgd"},), None)
