"""Bad files are refused with their line and a remedy; gaps are filled as documented."""

from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroanp.errors import InputError
from neuroanp.tasks import table as table_module
from neuroanp.tasks.gaps import hold, regular
from neuroanp.tasks.table import Table, numeric_columns, parse, read_raw


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "data.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\n\n", "the file is empty"),
        (b"a,b\n", "a header and no rows"),
        (b"a,b\n1,2\n3\n", r"data.csv:3: 1 cells, but the header names 2 columns"),
        (b"a,a\n1,2\n", "column 'a' appears more than once"),
        (b"a,\n1,2\n", "column 2 has no name"),
        (b"a;b\n1;2\n", "separated by commas"),
        (b"1,2\n3,4\n", "add a header line"),
        (b"a,b\n1,2\n\xff\xfe,1\n", r"data.csv:3: not UTF-8"),
        (b"a,b\n1,\x002\n", r"data.csv:2: binary"),
        (b'a,b\n1,"2\n', "not a CSV file"),
    ],
)
def test_malformed_files_are_refused_with_their_line(tmp_path, content, message):
    with pytest.raises(InputError) as error:
        read_raw(write(tmp_path, content))
    assert message.replace("\\", "") in str(error.value)


def test_missing_folder_and_large_files_are_refused(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="no such file"):
        read_raw(tmp_path / "none.csv")
    with pytest.raises(InputError, match="a folder"):
        read_raw(tmp_path)
    monkeypatch.setattr(table_module, "MAX_BYTES", 4)
    with pytest.raises(InputError, match="MiB"):
        read_raw(write(tmp_path, "a,b\n1,2\n"))


@given(st.binary(max_size=200))
@settings(max_examples=150)
def test_any_bytes_are_read_or_refused(tmp_path_factory, content):
    path = write(tmp_path_factory.mktemp("fuzz"), content)
    with suppress(InputError):
        raw = read_raw(path)
        table = parse(raw, numeric_columns(raw))
        assert table.values.shape == (len(raw.rows), len(table.columns))
        assert not np.isinf(table.values).any()


def test_a_byte_order_mark_and_blank_lines_do_no_harm(tmp_path):
    raw = read_raw(write(tmp_path, b"\xef\xbb\xbfa, b\r\n1,2\r\n\r\n3,4\r\n"))
    assert raw.header == ("a", "b")
    assert raw.lines == [2, 4]
    np.testing.assert_array_equal(parse(raw, ("b", "a")).values, [[2, 1], [4, 3]])


def test_cells_that_are_no_numbers_are_all_listed(tmp_path):
    raw = read_raw(write(tmp_path, "a,b,c\n1,x,NA\n2,3,inf\n1_0,4,nan\n"))
    with pytest.raises(InputError) as error:
        parse(raw, ("a", "b", "c"))
    assert [p.split("data.csv:")[1] for p in error.value.problems] == [
        "4: a: '1_0' is not a finite number",
        "2: b: 'x' is not a finite number",
        "3: c: 'inf' is not a finite number",
    ]


def test_long_lists_of_problems_are_cut(tmp_path):
    raw = read_raw(write(tmp_path, "a\n1\n" + "x\n" * 30))
    with pytest.raises(InputError) as error:
        parse(raw, ("a",))
    assert len(error.value.problems) == 11
    assert error.value.problems[-1] == "... and 20 more"


def test_a_missing_column_is_named_with_the_nearest(tmp_path):
    raw = read_raw(write(tmp_path, "temp,dewp\n1,2\n"))
    with pytest.raises(InputError, match="no column 'tmep'; did you mean 'temp'"):
        parse(raw, ("tmep",))


def test_numeric_columns_are_told_by_their_first_value(tmp_path):
    raw = read_raw(write(tmp_path, "when,a,b,empty,word\n2013,NA,1,,up\n2014,2,x,,3\n"))
    assert numeric_columns(raw, leave=("when",)) == ("a", "b")


def timed(tmp_path, *rows: str) -> Table:
    return parse(read_raw(write(tmp_path, "t,a\n" + "".join(f"{row}\n" for row in rows))), ("a",), "t")


def test_missing_hours_become_rows_and_hold_the_last_value(tmp_path):
    table = timed(tmp_path, "2013-01-01T00:00Z,1", "2013-01-01T01:00Z,2", "2013-01-01T04:00Z,5", "2013-01-01T05:00Z,NA")
    even = regular(table)
    assert even.lines.tolist() == [2, 3, 0, 0, 4, 5]
    np.testing.assert_array_equal(hold(even, 2).values[:, 0], [1, 2, 2, 2, 5, 5])
    with pytest.raises(InputError, match=r"after line 3: a: 2 values missing; at most 1 may be \(fill\); set fill: 2"):
        hold(even, 1)


def test_the_first_value_cannot_be_held(tmp_path):
    with pytest.raises(InputError, match=r"data.csv:2: a: 1 value missing; no earlier value"):
        hold(timed(tmp_path, "2013-01-01,NA", "2013-01-02,1"), 5)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (("2013-11-03 00:00,1", "2013-11-03 01:00,2", "2013-11-03 01:00,3"), "data.csv:4: time .* repeats"),
        (("2013-11-03 02:00,1", "2013-11-03 01:00,2"), "goes backward"),
        (("2013-01-01 00:00,1", "2013-01-01 01:00,2", "2013-01-01 02:00,2", "2013-01-01 03:30,2"), "whole number"),
        (("2013-01-01 00:00,1", "2013-01-01 01:00,2", "2015-01-01 01:00,2"), "are missing"),
    ],
)
def test_irregular_times_are_refused(tmp_path, rows, message):
    with pytest.raises(InputError, match=message):
        regular(timed(tmp_path, *rows))


@pytest.mark.parametrize(("milliseconds", "start"), [(100, "2013-01-01T00:00:00"), (1, "2013-01-01T23:59:59.7")])
def test_fractions_of_a_second_are_a_grid(milliseconds, start):
    """0.3 s / 0.1 s is not 3 in floating point, and yet every row lies on the grid."""
    times = [datetime.fromisoformat(start) + k * timedelta(milliseconds=milliseconds) for k in range(500) if k != 300]
    values = np.arange(499.0)[:, None]
    even = regular(Table(Path("x"), "", ("a",), values, np.arange(2, 501), times))
    assert np.flatnonzero(np.isnan(even.values[:, 0])).tolist() == [300]
    assert even.lines[299:302].tolist() == [301, 0, 302]
    times[7] += timedelta(microseconds=1)
    with pytest.raises(InputError, match=rf"x:9: time .* is not a whole number of steps of {milliseconds / 1e3:g} s"):
        regular(Table(Path("x"), "", ("a",), values, np.arange(2, 501), times))


def test_times_are_read_in_the_common_forms_or_refused(tmp_path):
    assert len(regular(timed(tmp_path, "1/1/2010 0:00,1", "1/1/2010 1:00,2"))) == 2
    with pytest.raises(InputError, match="'noon' is not a time"):
        timed(tmp_path, "noon,1")
    with pytest.raises(InputError, match="carry a zone"):
        timed(tmp_path, "2013-01-01T00:00Z,1", "2013-01-01T01:00,2")


@given(st.lists(st.one_of(st.none(), st.integers(-5, 5)), min_size=1, max_size=30))
@settings(max_examples=50)
def test_holding_never_looks_ahead(cells):
    values = np.array([[0.0], *[[np.nan if cell is None else float(cell)] for cell in cells]])
    whole = hold(Table(Path("x"), "", ("a",), values, np.arange(2, 2 + len(values))), 99).values
    for cut in range(1, len(values)):
        part = hold(Table(Path("x"), "", ("a",), values[:cut], np.arange(2, 2 + cut)), 99).values
        np.testing.assert_array_equal(part, whole[:cut])
