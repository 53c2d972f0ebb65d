"""A mark that may separate thousands is never taken for a decimal one without a word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroanp.errors import InputError
from neuroanp.fitting.data import read_table
from neuroanp.fitting.table import TIME, VOLTAGE, Column
from neuroanp.tables import Sheet, read_sheet
from neuroanp.tables.thousands import thousands
from neuroanp.tasks.table import parse


def sheet_of(folder: Path, text: str) -> Sheet:
    (folder / "data.csv").write_text(text)
    return read_sheet(folder / "data.csv")


def doubts(folder: Path, text: str, name: str = "load") -> list[str]:
    """Return what is said of a column."""
    sheet = sheet_of(folder, text)
    return thousands(sheet, sheet.index(name), sheet.read([sheet.index(name)])[0][0], True)


@pytest.mark.parametrize(
    "text",
    [
        'load,site\n"1,000",a\n999,b\n',  # quoted, as US spreadsheets save
        'load,temp\n"1,000",16\n"1,032",17\n"1,063",18\n',
        'load,temp\n"10,056",16\n"1,619",16\n"-1,376",18\n',
        "load;temp\n1.000;16\n1.032;17\n999;18\n",
        "load;temp\n1.000;16\n1.032;17\n1.063;18\n",
        "load;temp\n1,000;16\n1,032;17\n1,063;18\n",
        "load\ttemp\n1.000\t16.5\n1.032\t17.5\n999\t18.5\n",
        "load,temp\n1.000,16.5\n1.032,17.5\n0,18.5\n950,18.5\n",
        "load;temp\n1,032;0,5\n1,063;0,7\n999;0,9\n",
        "load;temp\nNA;16\n1.032;17\n1.063;18\n1.061;18\n",
    ],
)
def test_what_may_be_thousands_is_refused_with_a_remedy(tmp_path, text):
    (said,) = doubts(tmp_path, text)
    assert ": load: '" in said
    assert "thousands separators? take them out (1" in said
    sheet = sheet_of(tmp_path, text)
    for missing in ((), None):
        _, problems = parse(sheet, ["load"], missing=missing)
        assert problems == [said]


@pytest.mark.parametrize(
    "text",
    [
        "load,temp\n12.345,16\n13.017,17\n14.250,18\n",  # millivolts with three decimals
        "load\n12.345\n13.017\n14.250\n",
        "load\ttemp\n12.345\t16\n13.017\t17\n13\t18\n",
        "load,temp\n12.345,16\n13.017,17\n14.250,17\n-999,18\n",  # a code for missing values
        "load;temp\n0.123;16\n1.456;17\n1.789;18\n",
        "load;temp\n0,123;16\n1,456;17\n1,789;18\n",
        "load;temp\n1,25;16\n1,456;17\n1,789;18\n",
        "load;temp\n1000,567;16\n1,456;17\n1,789;18\n",
        "load;temp\n1,456;16\n1,789;17\n1,897;18\n1234;19\n",  # whose thousands are not separated
        "load;temp\n15,631;1000,567\n15,639;1032,078\n17,741;1063,760\n",  # the neighbour's mark is decimal
        "load;temp\n12.345;0.5\n13.017;0.7\n14.250;0.9\n",
        "load,temp\n100,16\n106,17\n113,18\n",
        "load;temp\n1,2340;16\n1,789;17\n1,897;18\n",  # as the remedy says
    ],
)
def test_what_is_decimal_is_read(tmp_path, text):
    assert doubts(tmp_path, text) == []


def test_a_number_that_was_no_code_may_be_one_without_thousands(tmp_path):
    """999 beside 1.000 is asked about once as a code, and if it was measured as thousands."""
    sheet = sheet_of(tmp_path, "load,n\n1.000,1\n1.032,1\n1.063,2\n1.081,3\n999,4\n")
    assert "a code for missing values?" in "".join(parse(sheet, ["load"], missing=None)[1])
    assert "thousands separators?" in "".join(parse(sheet, ["load"], missing=())[1])
    assert not parse(sheet, ["load"], missing=(999.0,))[1]


@given(st.lists(st.integers(1, 99_999), min_size=6, max_size=30).filter(lambda rows: max(rows) > 999 > min(rows)))
def test_integers_grouped_by_commas_are_never_read_as_smaller_ones(tmp_path_factory, rows):
    text = "load\n" + "".join(f'"{row:,}"\n' for row in rows)
    assert doubts(tmp_path_factory.mktemp("grouped"), text)


@given(st.lists(st.floats(-999, 999), min_size=2, max_size=30))
def test_points_with_three_decimals_in_each_cell_are_decimal(tmp_path_factory, rows):
    text = "load,n\n" + "".join(f"{row:.3f},{k}\n" for k, row in enumerate(rows))
    assert not doubts(tmp_path_factory.mktemp("decimal"), text)


def test_a_fit_refuses_them_but_not_in_its_times(tmp_path):
    columns = [Column("time", (TIME,)), Column("voltage", (VOLTAGE,))]
    path = tmp_path / "m.csv"
    path.write_text("time_us;voltage_mV\n1,000;5\n2,000;6\n3,000;7\n")
    np.testing.assert_allclose(read_table(path, columns)["time"], [1e-6, 2e-6, 3e-6])
    path.write_text("time_us;voltage_mV\n1;1,234\n2;2,345\n3;3,456\n")
    with pytest.raises(
        InputError, match=r"m.csv:2: voltage_mV: '1,234': thousands separators\? take them out \(1234\)"
    ):
        read_table(path, columns)
    _, problems = parse(sheet_of(tmp_path, "time;load\n1,000;5\n2,000;6\n3,000;7\n"), ["time", "load"])
    assert not problems


def test_commas_of_words_stay_beside_decimal_commas(tmp_path):
    sheet = sheet_of(tmp_path, "load;place\n1,5;Ulm, Nord\n2,5;Ulm, West\n")
    assert sheet.words(1) == sheet.read([0], [1])[1][0] == ["Ulm, Nord", "Ulm, West"]
    assert sheet.words(0) == ["1,5", "2,5"]


@pytest.mark.parametrize("blank", ["\u00a0", "\u202f", " "])
@pytest.mark.parametrize("mark", [",", "."])
def test_blanks_that_do_not_break_are_blanks_on_each_way(tmp_path, blank, mark):
    """With and without a missing value, which decides how the file is read, the numbers are the same."""
    cells = [f"{blank}{value}{blank}".replace(".", mark) for value in ("15.631", "15.64", "1000.5")]
    text = "load;temp\n" + "".join(f"{cell};1\n" for cell in cells)
    for rows in (text, text + "NA;2\n"):
        sheet = sheet_of(tmp_path, rows)
        (values,), _, bad = sheet.read([0])
        assert not bad.shown
        assert values[:3].tolist() == [15.631, 15.64, 1000.5]
