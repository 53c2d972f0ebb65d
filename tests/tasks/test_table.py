"""Columns of a user's table: nothing is taken or left without a word; gaps are filled as documented."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroanp.errors import InputError
from neuroanp.tables import read_sheet
from neuroanp.tables.times import Times
from neuroanp.tasks.gaps import hold, regular
from neuroanp.tasks.table import Table, default_columns, parse, raise_problems


def sheet(folder: Path, text: str):
    path = folder / "data.csv"
    path.write_text(text)
    return read_sheet(path)


def short(problems) -> list[str]:
    return [problem.split("data.csv:")[-1] for problem in problems]


def test_cells_that_are_no_numbers_are_all_listed(tmp_path):
    _, problems = parse(sheet(tmp_path, "a,b,c\n1,x,NA\n2,3,inf\n1_0,4,nan\n"), ("a", "b", "c"))
    assert short(problems) == [
        "4: a: '1_0' is not a number: it has an underscore",
        "2: b: 'x' is not a number",
        "3: c: 'inf' is not a finite number below 1e+300",
    ]


def test_columns_cells_times_and_codes_are_told_at_once(tmp_path):
    rows = "".join(f"2013-01-{k:02d},{k / 10},{k}\n" for k in range(1, 29))
    given = sheet(tmp_path, f"when,a,b\n{rows}noon,-999.9,x\n")
    _, problems = parse(given, ("a", "b", "bb"), "when", None)
    assert short(problems) == [
        "1: no column 'bb'; did you mean 'b'? (columns: when, a, b)",
        "30: b: 'x' is not a number",
        "30: a: -999.9 in one row, far outside the rest (0.1 to 2.8): a code for missing values? "
        "if so, set task.missing to [-999.9]; if all were measured, to []",
        "30: when: 'noon' is not a time; write e.g. 2013-01-31T06:00:00Z",
    ]


def test_long_lists_of_problems_are_cut():
    with pytest.raises(InputError) as error:
        raise_problems("x.csv", [f"x.csv:{k}: wrong" for k in range(30)])
    assert len(error.value.problems) == 13
    assert error.value.problems[-1] == "... and 18 more"


def test_codes_that_are_named_become_missing_and_are_told(tmp_path):
    given = sheet(tmp_path, "a,b\n1,5\n-999.9,6\n3,-999.9\n-999.90,8\n")
    table, problems = parse(given, ("a", "b"), missing=(-999.9, 77.0))
    assert not problems
    np.testing.assert_array_equal(table.values, [[1, 5], [np.nan, 6], [3, np.nan], [np.nan, 8]])
    assert table.account == ("a: -999.9 in 2 rows counts as missing", "b: -999.9 in 1 rows counts as missing")
    assert parse(given, ("a",), missing=())[0].values[1, 0] == -999.9


UNIX = 1_700_000_000


def test_what_is_no_measurement_is_left_out_with_its_reason(tmp_path):
    rows = [
        f"{k},{UNIX + 60 * k + k % 2},2013-01-{k + 1:02d},{k:02d}:00,"
        f"{'AB'[k % 2]}x,,{k * 7 % 5},{k * 3 % 7},{0.5 * k},{3 * k}"
        for k in range(20)
    ]
    given = sheet(tmp_path, ",unix,day,clock,site,empty,a,b,elapsed_h,room\n" + "\n".join(rows) + "\n")
    names, left = default_columns(given)
    assert names == ("a", "b")
    assert {one.name: one.why for one in left} == {
        "column 1": "it has no name",
        "unix": "Unix time in seconds",
        "day": "times",
        "clock": "times of day",
        "site": "words: 'Ax'",
        "empty": "it is empty",
        "elapsed_h": "elapsed time in h",
        "room": "it rises by the same step from row to row",
    }
    assert default_columns(given, leave=("a",), keep=("unix",))[0] == ("unix", "b")


@pytest.mark.parametrize("cell", ["1.000.567", "1,000,567", "12 %", "12 EUR"])
def test_numbers_with_marks_are_no_words_to_leave_out(tmp_path, cell):
    table = sheet(tmp_path, "a;b;c\n" + f"1.5;{cell};\n" * 500 + "1.5;12;said\n" + f"1.5;{cell};\n" * 500)
    names, left = default_columns(table)
    assert names == ("a", "b")
    assert [(one.name, one.why) for one in left] == [("c", "words")]
    assert cell in parse(table, names)[1][0]


@pytest.mark.parametrize("per_second", [1, 10**3, 10**6, 10**9])
def test_a_unix_time_is_never_an_input_by_itself(tmp_path, per_second):
    rows = "".join(f"{(UNIX + 60 * k + k % 3) * per_second},{k % 5}\n" for k in range(30))
    assert default_columns(sheet(tmp_path, f"stamp,a\n{rows}"))[0] == ("a",)


def timed(tmp_path, *rows: str) -> Table:
    table, problems = parse(sheet(tmp_path, "t,a\n" + "".join(f"{row}\n" for row in rows)), ("a",), "t")
    assert not problems
    return table


def test_missing_hours_become_rows_and_hold_the_last_value(tmp_path):
    table = timed(tmp_path, "2013-01-01T00:00Z,1", "2013-01-01T01:00Z,2", "2013-01-01T04:00Z,5", "2013-01-01T05:00Z,NA")
    even, problems = regular(table)
    assert not problems
    assert even.lines.tolist() == [2, 3, 0, 0, 4, 5]
    held, problems = hold(even, 2)
    assert not problems
    np.testing.assert_array_equal(held.values[:, 0], [1, 2, 2, 2, 5, 5])
    assert held.account == (
        "t: ISO 8601, from 2013-01-01T00:00:00, a row every 3600 s; 2 rows are missing",
        "missing values that hold the last one: a 3",
    )
    _, problems = hold(even, 1)
    assert short(problems) == [
        " after line 3 (times read as ISO 8601): a: 2 values missing; at most 1 may be; set task.fill to 2, "
        "or leave the column out"
    ]


def test_a_date_and_a_clock_in_two_columns_are_one_time(tmp_path):
    rows = "".join(f"0{1 + k // 24}.05.2020;{k % 24:02d}:00;{k % 7},5\n" for k in range(48))
    table, problems = parse(sheet(tmp_path, f"Datum;Uhrzeit;Last\n{rows}"), ("Last",), "Datum + Uhrzeit")
    assert not problems
    assert len(regular(table)[0]) == 48
    assert "Datum + Uhrzeit: day.month.year, from 2020-05-01T00:00:00, a row every 3600 s" in regular(table)[0].account
    _, problems = parse(sheet(tmp_path, f"Datum;Uhrzeit;Last\n{rows}"), ("Last",), "Datum + Uhrzet")
    assert "no column 'Uhrzet'; did you mean 'Uhrzeit'?" in problems[0]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            ("01/02/2013,1", "01/03/2013,1", "01/05/2013,1", "02/06/2013,1"),
            "after line 3 (times read as month/day/year, though day/",
        ),
        (("01/02/2013,1", "01/03/2013,1", "01/03/2013,1"), "2013-01-03T00:00:00 (month/day/year, though day/month"),
        (("01/30/2013,1", "01/31/2013,1", "02/03/2013,1"), "after line 3 (times read as month/day/year): a: 2 val"),
        (("01/02/2013,1", "01/03/2013,1", "01/01/2020,1"), "missing; t was read as month/day/year, though day/"),
    ],
)
def test_problems_of_times_name_the_form_in_which_they_were_read(tmp_path, rows, message):
    even, problems = regular(timed(tmp_path, *rows))
    said = [*problems, *hold(even, 0)[1]]
    assert message in said[0]


def test_the_first_value_cannot_be_held(tmp_path):
    _, problems = hold(timed(tmp_path, "2013-01-01,NA", "2013-01-02,1"), 5)
    assert short(problems) == ["2: a: 1 value missing; no earlier value to hold; cut these rows off"]


def test_many_gaps_are_counted_and_one_fill_serves_them_all(tmp_path):
    rows = ["1"] * 3 + ["", "1"] * 9 + ["", "", "", "1"]
    _, problems = hold(parse(sheet(tmp_path, "n,a\n" + "".join(f"0,{row}\n" for row in rows)), ("a",))[0], 0)
    assert len(problems) == 4
    assert "set task.fill to 3" in problems[0]
    assert problems[-1].endswith("a: and 7 more gaps")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            ("2013-11-03 00:00,1", "2013-11-03 01:00,2", "2013-11-03 01:00,3"),
            "4: time 2013-11-03T01:00:00 (ISO 8601) repeats",
        ),
        (("2013-11-03 02:00,1", "2013-11-03 01:00,2"), "goes backward"),
        (("2013-01-01 00:00,1", "2013-01-01 01:00,2", "2013-01-01 02:00,2", "2013-01-01 03:30,2"), "whole number"),
        (("2013-01-01 00:00,1", "2013-01-01 01:00,2", "2015-01-01 01:00,2"), "are missing"),
    ],
)
def test_irregular_times_are_refused(tmp_path, rows, message):
    assert message in regular(timed(tmp_path, *rows))[1][0]


@pytest.mark.parametrize("milliseconds", [100, 1])
def test_fractions_of_a_second_are_a_grid(milliseconds):
    """0.3 s / 0.1 s is not 3 in floating point, and yet every row lies on the grid."""
    ns = np.array([k * milliseconds * 10**6 for k in range(500) if k != 300])
    values = np.arange(499.0)[:, None]
    even, problems = regular(Table(Path("x"), "", ("a",), values, np.arange(2, 501), Times("t", "", ns)))
    assert not problems
    assert np.flatnonzero(np.isnan(even.values[:, 0])).tolist() == [300]
    assert even.lines[299:302].tolist() == [301, 0, 302]
    ns[7] += 1000
    _, problems = regular(Table(Path("x"), "", ("a",), values, np.arange(2, 501), Times("t", "", ns)))
    assert problems[0].startswith("x:9: time ")
    assert problems[0].endswith(f"is not a whole number of steps of {milliseconds / 1e3:g} s")


@given(st.lists(st.one_of(st.none(), st.integers(-5, 5)), min_size=1, max_size=30))
@settings(max_examples=50)
def test_holding_never_looks_ahead(cells):
    values = np.array([[0.0], *[[np.nan if cell is None else float(cell)] for cell in cells]])
    whole, _ = hold(Table(Path("x"), "", ("a",), values, np.arange(2, 2 + len(values))), 99)
    for cut in range(1, len(values)):
        part, _ = hold(Table(Path("x"), "", ("a",), values[:cut], np.arange(2, 2 + cut)), 99)
        np.testing.assert_array_equal(part.values, whole.values[:cut])
