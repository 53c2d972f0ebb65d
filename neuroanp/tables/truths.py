"""Columns that say true or false, as numbers: 1 and 0."""

from __future__ import annotations

from dataclasses import replace

from neuroanp.tables.numbers import is_missing
from neuroanp.tables.sheet import Sheet

TRUTHS = {"true": "1", "false": "0"}
"""What stands for a cell, which is compared in lower case."""


def with_truths(sheet: Sheet) -> Sheet:
    """Return a sheet in which 1 and 0 stand for "true" and "false", in columns that hold nothing else.

    Letters may be small or capital; cells may be missing. A table without such a column is returned as it is.

    Args:
        sheet: the table, of CSV or Parquet.

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from neuroanp.tables import read_sheet
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "valves.csv")
    ...     _ = path.write_text("open,state\\nTrue,true\\nfalse,off\\n,true\\n")
    ...     sheet = with_truths(read_sheet(path))
    >>> sheet.words(0), sheet.words(1)
    (['1', '0', ''], ['true', 'off', 'true'])
    """
    likely = [k for k in range(len(sheet.names)) if _truths([row[k] for row in sheet.sample if k < len(row)])]
    sure = [k for k in likely if _truths([row[k] for row in sheet.rows])]
    if not sure:
        return sheet
    cells, sample = (_written(rows, sure) for rows in (sheet.rows, sheet.sample))
    said = f"true is 1 and false 0 in {', '.join(sheet.names[k] or f'column {k + 1}' for k in sure)}"
    return replace(sheet, body="", cells=cells, sample=sample, notes=(*sheet.notes, said))


def _truths(cells: list[str]) -> bool:
    """Return whether there are cells, and all that are not missing say true or false."""
    there = [cell.strip().lower() for cell in cells if not is_missing(cell)]
    return bool(there) and all(cell in TRUTHS for cell in there)


def _written(rows: list[list[str]], columns: list[int]) -> list[list[str]]:
    found = [list(row) for row in rows]
    for row in found:
        for k in columns:
            if k < len(row):
                row[k] = TRUTHS.get(row[k].strip().lower(), row[k])
    return found
