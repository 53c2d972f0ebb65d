"""Values of an axis: lists and ranges are read as they are written, and what is no such thing is told in one line."""

from __future__ import annotations

from itertools import pairwise
from math import exp, log

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from neuroanp.comparing.values import MOST, values_of
from neuroanp.errors import InputError
from neuroanp.yaml_io import dump, parse_value
from tests.close import close

ends = st.floats(1e-9, 1e9).map(lambda x: float(f"{x:.6g}"))
counts = st.integers(2, 200)


@given(low=ends, high=ends, count=counts)
def test_a_logarithmic_range_has_equal_ratios(low, high, count):
    assume(high > low * 1.5)
    values = values_of(f"{low!r}..{high!r}:log,{count}", "--tune optimizer.lr")
    assert len(values) == count
    assert (values[0], values[-1]) == (low, high)
    expected = [exp(log(low) + (log(high) - log(low)) * k / (count - 1)) for k in range(count)]
    assert values == close(expected, rel=5.1e-4)  # four significant digits
    assert all(before < after for before, after in pairwise(values))


@given(low=st.floats(-1e6, 1e6).map(lambda x: float(f"{x:.6g}")), way=ends, count=counts)
def test_a_linear_range_has_equal_distances(low, way, count):
    high = float(f"{low + way:.9g}")
    assume(high - low > 0.2 * abs(low))
    assume("e" not in repr(low) or "." in repr(low))
    values = values_of(f"{low!r}..{high!r}:lin,{count}", "--axis x.y")
    assert (values[0], values[-1], len(values)) == (low, high, count)
    size = max(abs(low), abs(high))
    assert values == close([low + (high - low) * k / (count - 1) for k in range(count)], rel=0, abs=5.1e-4 * size)


@given(low=st.integers(1, 50), step=st.integers(1, 20), count=st.integers(2, 40))
def test_a_range_of_whole_numbers_is_whole_where_all_of_it_are(low, step, count):
    values = values_of(f"{low}..{low + step * (count - 1)}:lin,{count}", "--axis network.hidden")
    assert values == [low + step * k for k in range(count)]
    assert {type(value) for value in values} == {int}
    assert values_of("1..1000:log,4", "x") == [1, 10, 100, 1000]
    assert values_of("1..2:lin,3", "x") == [1.0, 1.5, 2.0]
    assert {type(value) for value in values_of("1.0..3:lin,3", "x")} == {float}


PLAIN = st.one_of(
    st.integers(-(10**6), 10**6), st.floats(-1e3, 1e3), st.booleans(), st.none(),
    st.text("abcdefgh_/", min_size=1, max_size=8), st.lists(st.sampled_from(["drift", "d2d"]), max_size=2, unique=True),
)  # fmt: skip


@given(values=st.lists(PLAIN, min_size=1, max_size=6, unique_by=repr))
def test_a_list_is_read_as_a_file_would_have_its_values(values):
    """Each part as YAML reads it: commas within brackets and quotes are of the part."""
    numbers = [float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    assume(len(set(numbers)) == len(numbers))
    parts = [dump([value]).strip().removeprefix("- ").replace("\n", " ").replace("- ", "") for value in values]
    parts = [
        str(value).replace("'", "") if isinstance(value, list) else part
        for value, part in zip(values, parts, strict=True)
    ]
    assert values_of(" , ".join(parts), "--axis x.y") == [parse_value(part) for part in parts] == values


def test_brackets_and_quotes_hold_commas():
    said = "{name: sgd, lr: 1.0},{name: adam}, [a, [b, c]], 'x, y', \"1e3\", 10 us"
    expected = [{"name": "sgd", "lr": 1.0}, {"name": "adam"}, ["a", ["b", "c"]], "x, y", "1e3", "10 us"]
    assert values_of(said, "--axis x") == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1e-2..1e-3:log,4", "runs backwards; write 1e-3..1e-2:log,4"),
        ("3..1:lin,2", "runs backwards; write 1..3:lin,2"),
        ("0..1e-2:log,4", "has no logarithm at 0; begin above 0, or write :lin,4"),
        ("-1..1:log,4", "has no logarithm at -1"),
        ("1..2:lin,0", "has 0 values; a range has 2 to 1,000"),
        ("1..2:lin,1", "has 1 values"),
        (f"1..2:lin,{MOST + 1}", "has 1,001 values"),
        ("1..2:log,99999999999999", "has 99,999,999,999,999 values"),
        ("1..1:lin,3", "begins where it ends; write the one value, 1"),
        ("1e-3..1e-2", "is no range; write lo..hi:lin,n or lo..hi:log,n"),
        ("1e-3..1e-2:lg,4", "is no range"),
        ("1e-3..1e-2:log", "is no range"),
        ("1e-3..1e-2:log,4,5", "is no range"),
        ("a..b:log,4", "is no range"),
        ("1..1.0001:lin,900", "4 significant digits do not tell apart"),
        ("1..1e309:lin,3", "an end that is out of range"),
        ("1,2,1.0", "1.0 is named twice"),
        ("[a],[a]", "is named twice"),
        ("1,,2", "has an empty part"),
        ("", "has an empty part"),
        ("1,[2", "cannot be read"),
    ],
)
def test_what_is_no_value_is_told_with_the_key(text, why):
    with pytest.raises(InputError) as caught:
        values_of(text, "--tune optimizer.lr")
    assert why in str(caught.value)
    assert "--tune optimizer.lr" in str(caught.value)
    assert len(str(caught.value)) < 250


def test_true_and_one_are_two_values_and_paths_are_no_ranges():
    assert values_of("true,1", "x") == [True, 1]
    assert values_of("../a.csv,../b.csv", "--axis task.path") == ["../a.csv", "../b.csv"]
