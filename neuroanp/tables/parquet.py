"""Read a Parquet file as the text of a table, so that one reader judges its columns as it does those of CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuroanp.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

MAGIC = b"PAR1"
"""First bytes of such a file."""
MOST_CELLS = 50_000_000
REMEDY = "pip install 'neuroanp[parquet]', or save the table as CSV"


def text_of(raw: bytes, label: str) -> str:
    """Return the table as CSV: numbers with all their digits, times as ISO 8601, nothing where a value is missing.

    Args:
        raw: the file. label: its name in messages.

    Raises:
        InputError: pyarrow is not installed, the file is damaged or too large, or a column holds lists or bytes.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise InputError(f"{label}: a Parquet file, which needs pyarrow ({error}); {REMEDY}") from None
    try:
        file = pq.ParquetFile(pa.BufferReader(raw))
        rows, columns = file.metadata.num_rows, len(file.schema_arrow)
        if rows * columns > MOST_CELLS:
            raise InputError(f"{label}: {rows:,} rows of {columns:,} columns, at most {MOST_CELLS:,} cells; cut it")
        table = file.read()
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{label}: no Parquet file that can be read ({str(error)[:120]}); save it again") from None
    return _csv(table, label)


def _csv(table: pa.Table, label: str) -> str:
    import io

    import pyarrow as pa
    import pyarrow.csv as csv

    parts, bad = [], []
    for name, column in zip(table.column_names, table.columns, strict=True):
        kind = column.type
        if pa.types.is_dictionary(kind):
            column = column.cast(kind.value_type)
        elif pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            bad.append(f"{name}: {kind} is no number, word or time; leave the column out")
        elif pa.types.is_floating(kind):  # as numpy says them, shortest with all digits; no value is an empty cell
            wide = column.to_numpy().astype(f"f{max(kind.bit_width // 8, 4)}")
            cells = [None if value != value else repr(value.item()) for value in wide]
            column = pa.chunked_array([pa.array(cells, pa.string())])
        parts.append(column)
    if bad:
        raise InputError(f"{label}: columns that no table can hold", bad)
    target = io.BytesIO()
    csv.write_csv(pa.table(parts, names=table.column_names), target, csv.WriteOptions(quoting_style="needed"))
    return target.getvalue().decode()
