"""Read a Parquet file as the text of a table, so that one reader judges its columns as it does those of CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from neuroanp.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

MAGIC = b"PAR1"
"""First bytes of such a file."""
MOST_CELLS = 50_000_000
MOST_TEXT = 256 * 2**20
"""Bytes of the table as text, as many as those of a CSV file."""
MOST_PAGES = 2 * MOST_TEXT
"""Bytes of the file without its compression: text, dictionaries and numbers of at most MOST_CELLS cells are fewer."""
ROWS = 8192
"""Rows that are written at a time."""
REMEDY = "pip install 'neuroanp[parquet]', or save the table as CSV"


def text_of(raw: bytes, label: str) -> str:
    """Return the table as CSV: numbers with all their digits, times as ISO 8601, nothing where a value is missing.

    Words that repeat are kept once for as long as can be: a file of some KiB may stand for GiB of text, which is
    refused before it is written.

    Args:
        raw: the file. label: its name in messages.

    Raises:
        InputError: pyarrow is not installed, the file is damaged or too large, as it is or as text, or a column holds
            lists, bytes or what else is no number, word or time.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise InputError(f"{label}: a Parquet file, which needs pyarrow ({error}); {REMEDY}") from None
    try:
        plain = pq.ParquetFile(pa.BufferReader(raw))
        _check(plain, label)
        deltas, rows = _deltas(plain.metadata)
        words = [field.name for field in plain.schema_arrow if _is_words(field.type) and field.name not in deltas]
        return _csv(pq.ParquetFile(pa.BufferReader(raw), read_dictionary=words), label, rows)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{label}: no Parquet file that can be read ({str(error)[:120]}); save it again") from None


def _check(file: pq.ParquetFile, label: str) -> None:
    """Refuse, before any of it is read, what is too large or what no table can hold."""
    about, fields = file.metadata, file.schema_arrow
    if about.num_rows * len(fields) > MOST_CELLS:
        size = f"{about.num_rows:,} rows of {len(fields):,} columns"
        raise InputError(f"{label}: {size}, at most {MOST_CELLS:,} cells; cut it")
    bad = [
        f"{field.name}: {field.type} is no number, word or time; leave the column out"
        for field in fields
        if not _can_be_text(field.type)
    ]
    if bad:
        raise InputError(f"{label}: columns that no table can hold", bad)
    groups = [about.row_group(k) for k in range(about.num_row_groups)]
    if sum(group.total_byte_size for group in groups) > MOST_PAGES:
        raise InputError(f"{label}: more than {MOST_PAGES >> 20} MiB without its compression; cut it")


def _deltas(about: pq.FileMetaData) -> tuple[set[str], int]:
    """Return the columns whose values say how they differ from those before, and how many rows to read at a time.

    pyarrow cannot keep such words once. Each may hold all that its pages do, so that fewer are read at a time.
    """
    found, rows = set(), ROWS
    for k in range(about.num_row_groups):
        group = about.row_group(k)
        for column in map(group.column, range(group.num_columns)):
            if any(kind.startswith("DELTA") for kind in column.encodings) and column.physical_type == "BYTE_ARRAY":
                found.add(column.path_in_schema)
                rows = min(rows, max(1, MOST_PAGES // max(column.total_uncompressed_size, 1)))
    return found, rows


def _is_words(kind: pa.DataType) -> bool:
    """Return whether values are words, in any of Arrow's layouts, repeated or kept once."""
    import pyarrow.types as types

    while types.is_dictionary(kind):
        kind = kind.value_type
    return types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)


def _can_be_text(kind: pa.DataType) -> bool:
    """Return whether values are numbers, words, times or truths: what Arrow writes into a CSV file, without bytes."""
    import pyarrow.types as types

    while types.is_dictionary(kind):
        kind = kind.value_type
    numbers = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
    return numbers or _is_words(kind) or types.is_temporal(kind) or types.is_boolean(kind) or types.is_null(kind)


def _csv(file: pq.ParquetFile, label: str, rows: int) -> str:
    """Write the rows, some at a time; InputError as soon as they are more text than MOST_TEXT."""
    import io

    import pyarrow as pa
    import pyarrow.csv as csv
    import pyarrow.types as types

    fields = file.schema_arrow
    text = [_is_words(field.type) or types.is_floating(field.type) for field in fields]
    kinds = [pa.string() if as_text else field.type for as_text, field in zip(text, fields, strict=True)]
    schema = pa.schema(list(zip(fields.names, kinds, strict=True)))
    target = io.BytesIO()
    with csv.CSVWriter(target, schema, write_options=csv.WriteOptions(quoting_style="needed")) as writer:
        for batch in file.iter_batches(rows):
            if target.tell() + sum(map(_least, batch.columns)) > MOST_TEXT:
                raise InputError(f"{label}: more than {MOST_TEXT >> 20} MiB as text; cut it, or leave long words out")
            writer.write_batch(pa.record_batch(list(map(_cells, batch.columns, kinds)), schema))
    return target.getvalue().decode()


def _least(column: pa.Array) -> int:
    """Return how many bytes a column takes as text, at least: of words that are kept once, without writing them."""
    import pyarrow as pa
    import pyarrow.compute

    pc: Any = pyarrow.compute  # whose functions are made when it is imported
    if isinstance(column, pa.DictionaryArray):
        lengths = pc.binary_length(column.dictionary).take(column.indices)
    elif _is_words(column.type):
        lengths = pc.binary_length(column.cast(pa.large_string()))
    else:
        return len(column)
    return len(column) + (pc.sum(lengths).as_py() or 0)


def _cells(column: pa.Array, kind: pa.DataType) -> pa.Array:
    import pyarrow as pa
    import pyarrow.types as types

    if types.is_floating(column.type):  # as numpy says them, shortest with all digits; no value is an empty cell
        wide = column.to_numpy(zero_copy_only=False).astype(f"f{max(column.type.bit_width // 8, 4)}")
        return pa.array([None if value != value else repr(value.item()) for value in wide], pa.string())
    return column.cast(kind)
