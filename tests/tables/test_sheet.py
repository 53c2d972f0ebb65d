"""Tables as people and instruments save them: the right numbers, or a message with line and remedy."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroanp.errors import InputError
from neuroanp.tables import Sheet, read_sheet, source
from neuroanp.tables.numbers import is_missing, looks_like_number, why_not


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "data.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def numbers(sheet: Sheet) -> np.ndarray:
    """Return all columns as numbers, (rows, columns)."""
    columns, _, bad = sheet.read(range(len(sheet.names)))
    assert not bad.shown
    return np.column_stack(columns)


SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|", "blanks": "   "}
DIALECTS = [(name, mark) for name in SEPARATORS for mark in ".," if (name, mark) != ("comma", ",")]


@given(
    dialect=st.sampled_from(DIALECTS),
    rows=st.lists(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3), min_size=2, max_size=30),
    preamble=st.sampled_from(["", "# recorded in June\n", "Logger 7\n\n", "Model,X1\nSerial,A-7\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    quoted=st.booleans(),
    trailing=st.booleans(),
    commented=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_what_is_written_in_any_dialect_is_read_back(
    tmp_path_factory, dialect, rows, preamble, encoding, end, quoted, trailing, commented
):
    name, mark = dialect
    between = SEPARATORS[name]
    cells = [[repr(value).replace(".", mark) for value in row] for row in rows]
    if quoted and name != "blanks":
        cells = [[f'"{cell}"' for cell in row] for row in cells]
    names = ["load (kW)", "temp", "t_room"]
    lines = [("# " if commented else "") + between.join(names), *map(between.join, cells)]
    if trailing and name != "blanks" and not commented:
        lines = [line + between for line in lines]
    text = (preamble if not commented else "") + "\n".join(lines) + "\n"
    path = write(tmp_path_factory.mktemp("dialect"), text.replace("\n", end).encode(encoding))
    sheet = read_sheet(path)
    assert sheet.names == tuple(names)
    np.testing.assert_array_equal(numbers(sheet), rows)
    assert sheet.layout.decimal == mark or not any(mark in cell for row in cells for cell in row)
    assert {"blanks": None}.get(name, between) == sheet.layout.separator


@given(st.binary(max_size=200) | st.text(alphabet="ab01.,;\t #\"'-\n", max_size=120).map(str.encode))
@settings(max_examples=400, deadline=None)
def test_any_bytes_are_read_or_refused(tmp_path_factory, content):
    path = write(tmp_path_factory.mktemp("fuzz"), content)
    with suppress(InputError):
        sheet = read_sheet(path)
        columns, words, bad = sheet.read(range(len(sheet.names)), [0])
        assert all(len(column) == len(sheet) for column in columns)
        assert not np.isinf(np.array(columns)).any()
        for index, name in enumerate(sheet.names):  # no cell is lost without a word
            none = [row for row, cell in enumerate(sheet.words(index)) if is_missing(cell)]
            absent = np.flatnonzero(np.isnan(columns[index])).tolist()
            assert set(absent) - set(none) <= set(bad.rows.get(name, ()))
        assert words == [sheet.words(0)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\n\n", "the file is empty"),
        (b"a,b\n", "a header and no rows"),
        (b"a,b\n1,2\n3\n", "data.csv:3: 1 cells, but the header names 2 columns"),
        (b"a,b\n1,2\n3\n" + b"4\n" * 90, "data.csv: rows: and 88 more like these"),
        (b"a,a\n1,2\n", "data.csv:1: column 'a' appears more than once"),
        (b"1,2\n3,4\n", "data.csv:1: numbers where the names of the columns should be; add a header line such as"),
        (b"t;v\n0,5,1,2\n1,5,1,3\n", "data.csv:2: 4 cells, but line 1 names 1 column;"),
        (
            b"a,b\n0,5,1,2\n1,5,1,3\n",
            "data.csv:2: 4 cells, but line 1 names 2 columns: if these are decimal commas, separate",
        ),
        (b"a,b\n0,5,1\n1,5,2\n", "data.csv:2: 3 cells, but line 1 names 2 columns: if these are decimal commas"),
        (b"a,b\n1,2\n\xff\xfe,1\n", "data.csv:3: not UTF-8"),
        (b"a,b\n1,\x002\n", "data.csv:2: zero bytes: binary data"),
        ("a,b\n1,2\n".encode("utf-16-le"), "zero bytes: UTF-16 without a byte order mark"),
        (gzip.compress(b"a,b\n1,2\n", mtime=0), "data.csv: compressed by gzip; unpack it"),
        (lzma.compress(b"a,b\n1,2\n"), "data.csv: compressed by xz; unpack it"),
        (bz2.compress(b"a,b\n1,2\n"), "data.csv: compressed by bzip2; unpack it"),
        (b"\x28\xb5\x2f\xfd\x00", "data.csv: compressed by zstd; unpack it"),
        (b"PK\x03\x04" + bytes(40), "a spreadsheet or a zip archive; save the table as CSV"),
        (b'a,b\n1,"2\n', "not a CSV file"),
        (b"a," + b"x" * 140_000 + b"\n1,2\n", "data.csv:1: the name of column 2 has 140,000 characters"),
        (b'a,"' + b"x" * 140_000 + b'"\n1,2\n', "data.csv:1: the name of column 1 has 140,004 characters"),
        (b'a,b\n1,"' + b"2" * 140_000 + b'"\n', "not a CSV file (field larger than field limit (131072))"),
        (b"a,\x1b[31mb\n1,2\n", "data.csv:1: the name of column 2 has characters that cannot be shown"),
    ],
)
def test_malformed_files_are_refused_with_their_line(tmp_path, content, message):
    path = write(tmp_path, content)
    with pytest.raises(InputError) as error:
        read_sheet(path)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("cell", "decimal", "message"),
    [
        ("1.234,5", ",", "'1.234,5' has thousands separators; write 1234,5"),
        ("1'234.5", ".", "'1'234.5' has thousands separators; write 1234.5"),
        ("1 234 567", ".", "'1 234 567' has thousands separators; write 1234567"),
        ("12 %", ".", "'12 %' has a sign of percent; write 12, and the sign into the header"),
        ("€ 5", ".", "'€ 5' has a sign of currency; write 5"),
        ("1_000", ".", "'1_000' is not a number: it has an underscore"),
        ("5 mV", ".", "'5 mV' has a unit; write 5, and the unit into the header"),
        ("0.5", ",", "'0.5' has a decimal point where other cells have a comma; write them alike"),
        ("inf", ".", "'inf' is not a finite number below 1e+300"),
        ("1e999", ".", "'1e999' is not a finite number below 1e+300"),
        ("1e308", ".", "'1e308' is not a finite number below 1e+300"),
        ("\u22121.5", ".", "'\u22121.5' has a minus sign that is no hyphen (U+2212); write -1.5"),
        ("1.096D+01", ".", "'1.096D+01' has Fortran's exponent; write 1.096E+01"),
        ("١٢", ".", "'١٢' is not a number"),
        ("0x1F", ".", "'0x1F' is not a number"),
        ("\x1b[31m7", ".", "'\\x1b[31m7' is not a number"),
    ],
)
def test_a_cell_that_is_no_number_is_told_why(tmp_path, cell, decimal, message):
    rows = "".join(f"{k};{k}{decimal}5\n" for k in range(20))
    sheet = read_sheet(write(tmp_path, f"n;v\n{rows}20;{cell}\n"))
    (values,), _, bad = sheet.read([1])
    assert bad.problems() == [f"{sheet.label}:22: v: {message}"]
    assert np.flatnonzero(np.isnan(values)).tolist() == [20]


def test_thousands_in_every_row_are_named_and_counted(tmp_path):
    sheet = read_sheet(write(tmp_path, "load\n" + "1.234,5\n" * 8000))
    _, _, bad = sheet.read([0])
    assert len(bad.problems()) == 4
    assert bad.problems()[-1].endswith("load: and 7,997 more like these")


def test_commas_that_could_separate_thousands_are_told(tmp_path):
    assert "if they separate thousands" in read_sheet(write(tmp_path, "n;v\n1;1,234\n2;2,345\n")).account()[0]
    assert "thousands" not in read_sheet(write(tmp_path, "n;v\n1;1,234\n2;0,345\n")).account()[0]


@pytest.mark.parametrize("cell", ["", "NA", "n/a", "#N/A", "NaN", "null", "None", "-", "--"])
def test_missing_cells_are_no_numbers_and_no_errors(tmp_path, cell):
    sheet = read_sheet(write(tmp_path, f"a,b,c\n{cell},1,2\n3,{cell},4\n5,6,{cell}\n"))
    np.testing.assert_array_equal(numbers(sheet), [[np.nan, 1, 2], [3, np.nan, 4], [5, 6, np.nan]])


def test_a_bad_first_row_is_no_header(tmp_path):
    sheet = read_sheet(write(tmp_path, "a,b\n1,x\n2,3\n4,5\n"))
    assert (sheet.names, sheet.lines.tolist()) == (("a", "b"), [2, 3, 4])
    assert sheet.read([1])[2].problems() == [f"{sheet.label}:2: b: 'x' is not a number"]


def test_lines_of_rows_are_those_of_the_file(tmp_path):
    rows = '1,2,"two\r\nlines"\r\n\r\n# pause\r\n3,4,x # said\r\n,,\r\n5,6,y\r\n,,\r\n,,\r\n'
    text = f"\ufeff# logger\r\n\r\na, b,word\r\n{rows}"
    sheet = read_sheet(write(tmp_path, text))
    assert sheet.names == ("a", "b", "word")
    assert [text.split("\r\n")[line - 1][:1] for line in sheet.lines] == ["l", "3", ",", "5"]
    np.testing.assert_array_equal(np.column_stack(sheet.read([0, 1])[0]), [[1, 2], [3, 4], [np.nan, np.nan], [5, 6]])
    assert "2 rows without a cell at the end left out" in sheet.account()


def test_names_without_umlauts_trouble(tmp_path):
    """Latin letters in names are what Excel writes; in rows they could be anything."""
    sheet = read_sheet(write(tmp_path, "Außentemperatur (°C);b\n1,5;2\n2,5;3\n".encode("cp1252")))
    assert sheet.names[0] == "Außentemperatur (°C)"
    assert "text in CP1252" in sheet.account()
    with pytest.raises(InputError, match=r"data.csv:3: not UTF-8; save the file as UTF-8, e.g. iconv"):
        read_sheet(write(tmp_path, "a;b\n1;Ulm\n2;Köln\n".encode("cp1252")))


def test_missing_folder_pipes_and_large_files_are_refused(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="no such file"):
        read_sheet(tmp_path / "none.csv")
    with pytest.raises(InputError, match="a folder"):
        read_sheet(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="not a regular file; name a CSV file"):
        read_sheet(tmp_path / "pipe")
    monkeypatch.setattr(source, "MAX_BYTES", 4)
    with pytest.raises(InputError, match="MiB"):
        read_sheet(write(tmp_path, "a,b\n1,2\n"))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("above", ["", "Model,X1\n", "# said\n"])
def test_a_field_of_the_header_that_is_too_long_is_named(tmp_path, separator, above):
    header = separator.join(["time_s", "load", f'"{"x" * 140_000}"'])
    rows = "".join(separator.join(f"{k},1,2".split(",")) + "\n" for k in range(9))
    said = r"not a CSV file \(field larger than field limit|name of column 3 has 140,002 characters"
    with pytest.raises(InputError, match=said):
        read_sheet(write(tmp_path, f"{above}{header}\n{rows}"))


def test_the_account_says_what_was_taken(tmp_path):
    text = "Logger 7\nsite;A\n\nwhen;load\n(s);(kW)\n0;0,5\n1;0,7\n"
    assert read_sheet(write(tmp_path, text)).account() == [
        f"{tmp_path}/data.csv: columns separated by semicolons, decimal commas, names in line 4, "
        "2 lines above left out, units s, kW; 2 rows (lines 6 to 7)"
    ]


@pytest.mark.parametrize(
    ("cell", "decimal", "looks"),
    [
        ("1,234,567", ".", True), ("1.234.567", ",", True), ("1.234,5", ".", True),
        ("12 %", ".", True), ("EUR 5", ".", True),
        ("1,234", ".", False), ("5 V", ".", False), ("room 2 has a sign", ".", False), ("2 has thousands", ".", False),
    ],
)  # fmt: skip
def test_what_looks_like_a_number_does_not_hang_on_words(cell, decimal, looks):
    assert looks_like_number(cell, decimal) is looks
    assert ("thousands sep" in why_not(cell, decimal) or "has a sign of" in why_not(cell, decimal)) is looks


def test_the_quick_way_and_the_slow_one_agree(tmp_path):
    rng = np.random.default_rng(0)
    rows = [f"{a!r},{b!r},w{k % 3}" for k, (a, b) in enumerate(rng.standard_normal((300, 2)).tolist())]
    quick = read_sheet(write(tmp_path, "a,b,c\n" + "\n".join(rows) + "\n"))
    assert quick.cells is None
    slow = quick.select(np.arange(300))
    slow = type(slow)(**{**vars(slow), "cells": quick.rows, "body": ""})
    for one, two in zip(quick.read([0, 1], [2])[:2], slow.read([0, 1], [2])[:2], strict=True):
        np.testing.assert_array_equal(one, two)
