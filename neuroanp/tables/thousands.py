"""Tell a decimal mark from a separator of thousands: 1,234 is either, and a factor of 1000 lies between."""

from __future__ import annotations

import re

import numpy as np

from neuroanp.tables.numbers import number
from neuroanp.tables.sheet import Sheet
from neuroanp.tables.suspects import suspected_codes

SEVERAL = 3
"""Cells that must all look grouped before a column without a bare number is doubted."""


def thousands(sheet: Sheet, index: int, values: np.ndarray, suspects: bool = False) -> list[str]:
    """Return a line if the mark in a column's cells may separate thousands; none if it is decimal.

    A column is doubted only if each of its marked cells has one to three digits before the mark, no
    zero first, and three behind it (`1,234`), no cell lies between -1 and 1 but 0, and none has four
    digits or more before the mark or without one: who groups thousands groups them all.

    Whether the mark is known to be decimal decides what it takes besides. It is where a point stands in
    a table that is not separated by semicolons, as instruments write, and where any cell of the table
    has other than three digits behind the mark, or a zero before it.

        known:     whole numbers without a mark that exceed all marked ones (999 beside 1.000)
        not known: any whole number without a mark (999 beside 1,000), or three marked cells

    Args:
        sheet: the table; index: the column.
        values: (rows,) the column as it was read; NaN where a cell stands for none.
        suspects: leave suspected codes for missing values out, which have been told as such.
    """
    if not _groupable(values):
        return []
    mark, cells = sheet.layout.decimal, sheet.words(index)
    marked = np.array([mark in cell for cell in cells]) & np.isfinite(values)
    rows = np.flatnonzero(marked)
    if not len(rows) or not all(_grouped(cells[row], mark) for row in rows.tolist()):
        return []
    bare = np.unique(values[~marked & np.isfinite(values)])
    if _known_decimal(sheet):
        if suspects:
            bare = np.setdiff1d(bare, [code for code, _ in suspected_codes(values, only_codes=True)])
        doubted = len(bare) > 0 and np.abs(bare).max() > np.abs(values[marked]).max()
    else:
        doubted = len(bare) > 0 or len(rows) >= SEVERAL
    if not doubted:
        return []
    cell, name = cells[rows[0]], "comma" if mark == "," else "point"
    beside = f" beside {np.abs(bare).max():g}" if len(bare) else ""
    return [
        f"{sheet.label}:{sheet.lines[rows[0]]}: {sheet.names[index]}: '{cell}'{beside}: thousands separators? take "
        f"them out ({cell.replace(mark, '')}); or if each {name} is a decimal mark, write one more digit ({cell}0)"
    ]


def _groupable(values: np.ndarray) -> bool:
    """Whether each number could be one to three digits, with or without three more behind a mark."""
    there = np.abs(values[np.isfinite(values)])
    if not len(there) or there.max() >= 1000 or ((there > 0) & (there < 1)).any():
        return False
    return bool(np.abs(there * 1000 - np.rint(there * 1000)).max() < 1e-6)


def _grouped(cell: str, mark: str) -> bool:
    return bool(re.fullmatch(rf"[+-]?[1-9]\d{{0,2}}\{mark}\d{{3}}", cell))


def _known_decimal(sheet: Sheet) -> bool:
    """Whether the table itself shows that its mark is decimal."""
    mark = sheet.layout.decimal
    if mark == "." and sheet.layout.separator != ";":
        return True
    cells = (cell.strip() for row in sheet.sample for cell in row)
    return any(mark in cell and not _grouped(cell, mark) and number(cell, mark) is not None for cell in cells)
