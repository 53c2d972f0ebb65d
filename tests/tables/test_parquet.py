"""Parquet files as text: the same cells as before, and no more of them than a table may have."""

from __future__ import annotations

import io
import math

import pytest

from neuroanp.errors import InputError
from neuroanp.tables import parquet

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def file_of(columns, **options) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream, **options)
    return stream.getvalue()


def test_cells_are_written_with_all_their_digits_however_words_are_kept(monkeypatch):
    words = ["a", None, 'b"c', "a,\u00e9"]
    columns = {
        "x": pa.array([0.1, math.nan, None, 1e-300]),
        "h": pa.array([0.1, 1.0, 2.0, 3.0], pa.float32()),
        "n": pa.array([1, None, 2**62, -3]),
        "t": pa.array([0, 1, 2, None], pa.timestamp("s")),
        "ok": pa.array([True, False, None, True]),
    }
    for kind in (pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())):
        columns[str(kind)] = pa.array(words, kind)
    first, *rows = parquet.text_of(file_of(columns), "x").splitlines()
    assert first.startswith('"x","h","n","t","ok","string"')
    assert rows[0] == '"0.1","0.10000000149011612",1,1970-01-01 00:00:00.000,true' + ',"a"' * 4
    assert rows[1] == ',"1.0",,1970-01-01 00:00:01.000,false,,,,'
    assert rows[3] == '"1e-300","3.0",-3,,true' + ',"a,\u00e9"' * 4
    monkeypatch.setattr(parquet, "ROWS", 3)
    assert parquet.text_of(file_of(columns), "x").splitlines() == [first, *rows]
    assert parquet.text_of(file_of({"x": pa.array([], pa.float64())}), "x") == '"x"\n'


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())], ids=str)
def test_a_small_file_of_much_text_is_refused_before_it_is_written(monkeypatch, kind):
    word = "w" * (1 << 20)
    raw = file_of({"w": pa.array([word], pa.string()).take(pa.array([0] * 300)).cast(kind)}, compression="zstd")
    assert len(raw) < 1 << 16
    least, seen = parquet._least, []
    monkeypatch.setattr(parquet, "_least", lambda column: seen.append(type(column)) or least(column))
    monkeypatch.setattr(parquet, "_cells", lambda column, kind: pytest.fail("the words are written"))
    with pytest.raises(InputError, match=r"^x\.parquet: more than 256 MiB as text; cut it"):
        parquet.text_of(raw, "x.parquet")
    assert seen == [pa.DictionaryArray]


def test_pages_that_unpack_to_more_than_a_table_are_not_read(monkeypatch):
    monkeypatch.setattr(parquet, "MOST_PAGES", 1 << 12)
    monkeypatch.setattr(parquet, "_csv", lambda file, label, rows: pytest.fail("the file is read"))
    raw = file_of({"w": ["w" * 100 + str(k % 10) for k in range(100)]}, use_dictionary=False, compression="zstd")
    with pytest.raises(InputError, match="without its compression"):
        parquet.text_of(raw, "x.parquet")


@pytest.mark.parametrize("how", ["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"])
def test_words_that_differ_a_little_are_read_few_at_a_time(monkeypatch, how):
    kept = {"use_dictionary": False, "compression": "zstd", "column_encoding": {"w": how}}
    raw = file_of({"w": ["w" * 2000 + str(k % 10) for k in range(100)]}, **kept)
    whole = parquet.text_of(raw, "x")
    assert len(whole) == 4 + 100 * 2004
    least, seen = parquet._least, []
    monkeypatch.setattr(parquet, "_least", lambda column: seen.append(len(column)) or least(column))
    pages = pq.ParquetFile(pa.BufferReader(raw)).metadata.row_group(0).column(0).total_uncompressed_size
    monkeypatch.setattr(parquet, "MOST_PAGES", 3 * pages)
    assert parquet.text_of(raw, "x") == whole
    assert seen == [3] * 33 + [1]


BYTES = pa.array([b"\xff", b"b"])


@pytest.mark.parametrize(
    "column",
    [
        BYTES,
        BYTES.cast(pa.large_binary()),
        pa.array([b"\xff", b"b"], pa.binary_view()),
        pa.array([b"a", b"b"], pa.binary(1)),
        BYTES.dictionary_encode(),
        pa.array([["a"], ["b"]]),
        pa.array([["a"], ["b"]], pa.list_(pa.dictionary(pa.int8(), pa.string()))),
        pa.array([{"a": "b"}, {"a": "c"}]),
        pa.array([b"0123456789abcdef"] * 2, pa.uuid()),
    ],
    ids=lambda column: str(column.type),
)
def test_a_column_that_is_no_number_word_or_time_is_named(column):
    with pytest.raises(InputError, match=r"(?s)^x\.parquet: columns that no table can hold.*\bw: .* is no number"):
        parquet.text_of(file_of({"n": [1, 2], "w": column}), "x.parquet")
