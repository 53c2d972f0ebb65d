"""Read measurements from a CSV file and check them: units in the header, no gaps, no NaN.

    # anything after a hash is a comment
    time_s,voltage_mV
    0.0,41.2
    1.0e-6,47.9

A quantity has its unit in its name (`conductance_uS`, `Time (us)`, `I [A]`), in a line of units below
the names, or in an oscilloscope's preamble. What separates columns, and decimal commas, are found.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from neuroanp.errors import InputError
from neuroanp.fitting.columns import Found, match
from neuroanp.fitting.table import TIME, Column, Table
from neuroanp.tables import Sheet, read_sheet
from neuroanp.tables.sheet import Bad
from neuroanp.tables.suspects import suspicions
from neuroanp.tables.thousands import thousands
from neuroanp.units import format_quantity

REMEDY = "correct it, or delete the row"
SETTLED = "if so, leave these rows out with --missing={code}; if it was measured, --missing=none"


def read_table(
    path: str | Path, columns: Sequence[Column], least: int = 2, missing: Sequence[float] | None = None,
    v_read: float | None = None,
) -> Table:  # fmt: skip
    """Read the columns of a table that a fit needs.

    Args:
        path: a text file of at most 256 MiB.
        columns: what is asked for; columns besides are left alone.
        least: fewest rows that make sense.
        missing: numbers that stand for none, whose rows are left out; None: what looks like one is refused.

    Raises:
        InputError: with one line "file:line: column: what; remedy" for each thing wrong.
    """
    sheet = read_sheet(path)
    found, problems = match(sheet, columns, v_read)
    numbers = [one for one in found if not one.column.label]
    labels = [one for one in found if one.column.label]
    cells, words, bad = sheet.read([one.index for one in numbers], [one.index for one in labels], REMEDY)
    for one, column in zip(numbers, cells, strict=True):
        _check_cells(sheet, one, column, bad)
        if missing is None and one.column.dimensions:
            name = sheet.names[one.index]
            problems += suspicions(name, column, sheet.lines, sheet.label, SETTLED, only_codes=True)
    problems += bad.problems()
    keep = _without(cells, missing or ())
    for one, column in zip(numbers, cells, strict=True):
        if one.dimension not in (None, TIME) and not bad.count(sheet.names[one.index]):
            problems += thousands(sheet, one.index, np.where(keep, column, np.nan), missing is None)
    if cells and keep.sum() < least:  # where no column was found, no row was read either
        problems.append(f"{sheet.label}: {keep.sum()} rows of numbers; a fit needs at least {least}: record more")
    if problems:
        raise InputError(f"{sheet.label} cannot be fitted", problems)
    values = {one.column.name: _si(one, column[keep]) for one, column in zip(numbers, cells, strict=True)}
    names: dict[str, list[str]] = {}
    for one, column in zip(labels, words, strict=True):
        values[one.column.name], names[one.column.name] = _coded(np.array(column)[keep])
    units = {one.column.name: one.dimension.unit if one.dimension else "" for one in found}
    headers = {one.column.name: sheet.names[one.index] for one in found}
    left = int((~keep).sum())
    account = [*sheet.account(), _taken(sheet, found), *([f"{left:,} rows left out: missing values"] if left else [])]
    currents = tuple(one.column.name for one in found if one.v_read)
    return Table(sheet.label, values, units, headers, names, sheet.lines[keep], sheet.sha256, tuple(account), currents)


def _check_cells(sheet: Sheet, one: Found, column: np.ndarray, bad: Bad) -> None:
    """Note each cell that is missing, and each resistance that has no inverse."""
    name = sheet.names[one.index]
    wrong = set(bad.rows.get(name, ()))
    for row in np.flatnonzero(np.isnan(column)):
        if row not in wrong:
            cell = sheet.rows[row][one.index].strip()
            said = f"'{cell}' is not a finite number" if cell else "the cell is empty"
            bad.add(int(row), int(sheet.lines[row]), name, said)
    if one.inverse:
        for row in np.flatnonzero(column <= 0.0):
            bad.add(int(row), int(sheet.lines[row]), name, f"a resistance of {column[row]:g} has no conductance")


def _without(cells: Sequence[np.ndarray], missing: Sequence[float]) -> np.ndarray:
    """Return which rows hold none of the codes for missing values."""
    keep = np.ones(len(cells[0]) if cells else 0, dtype=bool)
    for code in missing:
        for column in cells:
            keep &= ~np.isclose(column, code, rtol=1e-9, atol=0.0)
    return keep


def _si(one: Found, column: np.ndarray) -> np.ndarray:
    return 1.0 / (column * one.factor) if one.inverse else column * one.factor


def _taken(sheet: Sheet, found: Sequence[Found]) -> str:
    """Say which column was taken for what, and which were left alone."""
    said = []
    for one in found:
        unit = f" in {one.unit}" if one.unit else ""
        inverse = ", as its inverse" if one.inverse else ""
        why = f" ({one.why})" if one.why else ""
        over = f", over {format_quantity(one.v_read, 'V')}" if one.v_read else ""
        said.append(f"{one.column.name} from '{sheet.names[one.index]}'{unit}{inverse}{over}{why}")
    taken = {one.index for one in found}
    left = [name or f"column {index + 1}" for index, name in enumerate(sheet.names) if index not in taken]
    return f"taken: {', '.join(said)}" + (f"; left alone: {', '.join(left)}" if left else "")


def _coded(cells: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Return the index of each label among the labels in the order of their first row, and those labels."""
    names, first, code = np.unique(cells, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))
    return rank[code], [str(name) for name in names[np.argsort(first)]]
