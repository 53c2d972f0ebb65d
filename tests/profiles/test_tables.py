"""CSV and npz files of numbers: what is read, and everything that is refused with its place."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroanp.profiles.tables import Table, quantities, read_table


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(content: str | bytes, name: str = "t.csv") -> Path:
    path = Path(name)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refused(path: Path, names=None, **options) -> str:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        read_table(path, names, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,2\n3,4\n",
        "a,b\r\n1,2\r\n3,4",
        "\ufeffa,b\n1,2\n3,4\n",
        "# made on a Tuesday\n\na , b\n 1, +2.0\n# pause\n3e0,0.4E1\n\n",
        '"a","b"\n"1","2"\n3,4\n',
    ],
)
def test_spellings_of_one_table(folder, text):
    columns = read_table(written(text)).columns
    assert {name: column.tolist() for name, column in columns.items()} == {"a": [1.0, 3.0], "b": [2.0, 4.0]}
    assert all(column.dtype == np.float64 for column in columns.values())


def test_only_the_wanted_columns_are_looked_at(folder):
    path = written("note,b,a\nhello,2,1\n,4,3\n")
    columns = read_table(path, ["a", "b"]).columns
    assert {k: v.tolist() for k, v in columns.items()} == {"a": [1.0, 3.0], "b": [2.0, 4.0]}
    assert "t.csv:2: note: 'hello' is not a finite number" in refused(path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "t.csv: the file is empty"),
        ("# nothing\n\n", "t.csv: the file is empty"),
        ("a,b\n", "t.csv: no row below the names"),
        ("1,2\n3,4\n", "t.csv:1: the first line must name the columns"),
        ("a,a\n1,2\n", "t.csv:1: two columns are named 'a'"),
        ("a,\n1,2\n", "t.csv:1: a column has no name"),
        ("a;b\n1;2\n", "t.csv:1: columns are separated by commas"),
        ("a\tb\n1\t2\n", "t.csv:1: columns are separated by commas"),
        (",".join(f"c{k}" for k in range(65)) + "\n", "t.csv:1: 65 columns; at most 64"),
        ("a,b\n1,2\n3\n", "t.csv:3: 1 cells where the first line names 2 columns"),
        ("a,b\n1,2\n3,4,5\n", "t.csv:3: 3 cells"),
        ("a,b\n1,2\n3,\n", "t.csv:3: b: an empty cell: a gap"),
        ("a,b\n1,2\n\n3,4\n", "t.csv:3: an empty line between rows: a gap"),
        ("a,b\n1,2\n3,nan\n", "t.csv:3: b: 'nan' is not a finite number"),
        ("a,b\n1,2\n3,-inf\n", "t.csv:3: b: '-inf' is not a finite number"),
        ("a,b\n1,2\n3,1e999\n", "t.csv:3: b: '1e999' is not a finite number"),
        ("a,b\n1,2\n3,1_000\n", "t.csv:3: b: '1_000' is not a finite number"),
        ("a,b\n1,2\n3,x\n", "t.csv:3: b: 'x' is not a finite number"),
        ('a,b\n1,"2\n', "t.csv:2: not CSV"),
        (b"a,b\n1,2\n3,\xff\n", "t.csv:3: not UTF-8 (byte 0xff)"),
        (b"\xef\xbb\xbfa,b\n1,2\n3,\xfe\n", "t.csv:3: not UTF-8 (byte 0xfe)"),
        ("time_s\n1\n", "t.csv:1: no column 'tme_s'; did you mean 'time_s'? (columns: time_s)"),
    ],
)
def test_bad_csv(folder, text, says):
    assert says in refused(written(text), ["tme_s"] if "time_s" in str(text) else None)


def test_bad_files(folder):
    assert refused(Path("none.csv")) == "none.csv: no such file"
    assert "not a .csv or .npz file" in refused(written("a\n1\n", "t.txt"))
    Path("folder.csv").mkdir()
    assert "a directory; name a .csv or .npz file" in refused(Path("folder.csv"))
    os.mkfifo("pipe.csv")
    assert "not a regular file; name a .csv or .npz file" in refused(Path("pipe.csv"))
    assert refused(written("a\n" + "1\n" * 2000), max_bytes=1024) == "t.csv: larger than 1 KiB; shorten or thin it"
    assert "cannot be opened" in refused(Path("x" * 500 + ".csv"))


def test_lines_and_sum(folder):
    table = read_table(written("# one\na\n1\n# two\n2\n"))
    assert [table.place(row) for row in range(table.rows)] == ["t.csv:3", "t.csv:5"]
    assert len(table.sha256) == 64
    assert table == read_table(written("# one\na\n1\n# two\n2\n", "other.csv"))
    assert table != read_table(written("# one\na\n1\n# two\n3\n"))


@given(st.lists(st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 2), min_size=1, max_size=20))
def test_every_number_comes_back_to_the_last_bit(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("t")
    (folder / "t.csv").write_text("a,b\n" + "".join(f"{a!r},{b!r}\n" for a, b in rows))
    np.savez_compressed(folder / "t.npz", **dict(zip("ab", np.array(rows).T, strict=True)))
    expected = dict(zip("ab", np.array(rows).T.tolist(), strict=True))
    for name in ("t.csv", "t.npz"):
        assert {k: v.tolist() for k, v in read_table(folder / name).columns.items()} == expected


def test_npz_of_other_types_of_number(folder):
    np.savez("t.npz", a=np.array([1, 2], dtype=">i2"), b=np.array([0.5, 1.5], dtype=np.float32))
    table = read_table(Path("t.npz"))
    assert {k: v.tolist() for k, v in table.columns.items()} == {"a": [1.0, 2.0], "b": [0.5, 1.5]}
    assert table.place(1) == "t.npz: row 1"
    assert list(read_table(Path("t.npz"), ["b"]).columns) == ["b"]


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"a": np.array([1.0, np.nan])}, "t.npz: a[1]: nan is not a finite number"),
        ({"a": np.array([1.0, 2.0]), "b": np.array([1.0])}, "arrays of equal length"),
        ({"a": np.array([])}, "one number at least"),
        ({}, "found none"),
        ({"a": np.ones((2, 2))}, "float64 of shape (2, 2) is no column"),
        ({"a": np.array(["x"])}, "is no column of numbers"),
        ({"a": np.array([True])}, "is no column of numbers"),
        ({"a": np.array([1j])}, "is no column of numbers"),
        ({"a": np.array([{}], dtype=object)}, "is no column of numbers"),
    ],
)
def test_bad_arrays(folder, arrays, says):
    np.savez("t.npz", **arrays)
    assert says in refused(Path("t.npz"))


def test_npz_that_lies_about_its_size(folder):
    """A header that promises more numbers than there are makes no array of that size."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**15,)})
    with zipfile.ZipFile("t.npz", "w") as archive:
        archive.writestr("a.npy", header.getvalue() + b"\0" * 8)
    assert "8 bytes do not hold 1000000000000000 numbers" in refused(Path("t.npz"))
    np.savez_compressed("t.npz", a=np.zeros(10**6))
    assert os.path.getsize("t.npz") < 10**5
    assert refused(Path("t.npz"), max_bytes=10**6).endswith("once unpacked; shorten or thin it")


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_npz_is_packed_as_numpy_packs_it(folder, packing):
    """Python unpacks a block of the others at once, whatever it grows to: 64 MiB came out of 4 kB."""
    stream = io.BytesIO()
    np.save(stream, np.arange(5.0))
    with zipfile.ZipFile("t.npz", "w", packing) as archive:
        archive.writestr("a.npy", stream.getvalue())
    assert "packed otherwise than numpy does (a.npy); save it again" in refused(Path("t.npz"))
    for save in (np.savez, np.savez_compressed):
        save("t.npz", a=np.arange(5.0))
        assert read_table(Path("t.npz")).columns["a"].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("cell", ["\u0661", "\uff11", "1_0"])
def test_digits_of_other_scripts_are_no_numbers(folder, cell):
    assert "is not a finite number" in refused(written(f"a,b\n1,2\n{cell},3\n"))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_damaged_file_crashes(tmp_path_factory, data):
    """Bytes cut, doubled or replaced: the file is read, or refused with its name; nothing else is raised."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, a=np.arange(5.0), b=np.arange(5.0))
    suffix, raw = data.draw(st.sampled_from([("npz", buffer.getvalue()), ("csv", b"a,b\n1,2\n3,4\n5,6\n")]))
    at = data.draw(st.integers(0, len(raw)))
    raw = raw[:at] + data.draw(st.binary(max_size=6)) + raw[at + data.draw(st.integers(0, 6)) :]
    path = tmp_path_factory.mktemp("t") / f"t.{suffix}"
    path.write_bytes(raw)
    try:
        columns, message = read_table(path).columns, ""
    except ValueError as error:
        columns, message = {}, str(error)
    assert all(np.isfinite(column).all() for column in columns.values())
    assert columns or f"t.{suffix}" in message


def test_quantities_in_si_units():
    table = Table("t.csv", "", {"time_ms": np.array([1.0]), "v_mV": np.array([-3.0]), "state": np.array([2.0])})
    found = quantities(table, {"time": "s", "v": "V", "state": "", "none": "S"}, optional=["none"])
    assert {name: column.tolist() for name, column in found.items()} == {"time": [1e-3], "v": [-3e-3], "state": [2.0]}
    with pytest.raises(ValueError, match="no column 'none_uS'"):
        quantities(table, {"none": "S"})
    with pytest.raises(ValueError, match="column 'time_ms' should be 'time'"):
        quantities(table, {"time": ""})
    with pytest.raises(ValueError, match="'mV' is no unit of A"):
        quantities(table, {"v": "A"})
