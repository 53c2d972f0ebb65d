"""Take the columns of a table that a task wants: numbers without doubt, times, and what is left out and why."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuroanp.errors import InputError
from neuroanp.tables.numbers import is_missing, looks_like_number, shown
from neuroanp.tables.sheet import SHOWN_ROWS, Bad, Sheet
from neuroanp.tables.suspects import counts_up, suspicions
from neuroanp.tables.thousands import thousands
from neuroanp.tables.times import Times, from_numbers, is_clock, looks_like_time, named_like_time, read_times
from neuroanp.yaml_io import display

SHOWN = 12
"""Problems listed before the rest is only counted."""
REMEDY = "if so, set task.missing to [{code}]; if all were measured, to []"
JOIN = " + "
"""Between the names of two columns that are one time: a date and a clock."""


@dataclass(frozen=True)
class Table:
    """Numeric columns of a CSV file.

    Args:
        path: the file.
        sha256: hash of the file's bytes.
        columns: names of the columns of `values`.
        values: (rows, columns) float64; NaN where a cell is missing.
        lines: (rows,) line of each row in the file; 0 for a row that the file does not have.
        times: time of each row, or None.
        account: what was taken, left out and filled, a line each.
        form: how the times were read that rows the file does not have were told by.
        step: nanoseconds from row to row, or None where no column of times says.
    """

    path: Path
    sha256: str
    columns: tuple[str, ...]
    values: np.ndarray
    lines: np.ndarray
    times: Times | None = None
    account: tuple[str, ...] = ()
    form: str = ""
    step: int | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def label(self) -> str:
        """The file's name in messages."""
        return display(self.path)


@dataclass(frozen=True)
class Left:
    """A column that is left out: its name and why; `time` where it holds times, `clock` where those lack a date."""

    name: str
    why: str
    time: bool = False
    clock: bool = False


def default_columns(
    sheet: Sheet, leave: Collection[str] = (), keep: Collection[str] = ()
) -> tuple[tuple[str, ...], list[Left]]:
    """List the columns that hold measurements, and each other one with the reason why it is left out.

    Left out are columns without a name, of words, of times (written out or Unix), counters and
    clocks (the same step from row to row), and empty ones; those in `keep` stay, those in `leave` go.
    """
    told = {index: _by_sample(sheet, index) for index in range(len(sheet.names))}
    wanted = [index for index, left in told.items() if left is None]
    values, _, bad = sheet.read(wanted)
    for index, column in zip(wanted, values, strict=True):
        told[index] = _by_values(sheet.names[index], column, bad, bool(_sampled(sheet, index)))
    names = [sheet.names[index] for index, left in told.items() if left is None]
    kept = [name for name in sheet.names if (name in names or name in keep) and name not in leave and name]
    left = [one for one in told.values() if one is not None and one.name not in (*leave, *keep)]
    return tuple(kept), left


def _by_sample(sheet: Sheet, index: int) -> Left | None:
    """Say why a column is no numbers, judged by some of its cells."""
    name = sheet.names[index]
    if not name:
        return Left(f"column {index + 1}", "it has no name")
    cells = _sampled(sheet, index)
    numbers = [looks_like_number(cell, sheet.layout.decimal) for cell in cells]
    if not cells or 2 * sum(numbers) >= len(cells):
        return None
    if all(map(looks_like_time, cells)):
        clock = all(map(is_clock, cells))
        return Left(name, "times of day" if clock else "times", True, clock)
    return Left(name, f"words: '{shown(cells[0], 20)}'")


def _sampled(sheet: Sheet, index: int) -> list[str]:
    """Return some of a column's cells that are not missing."""
    cells = (row[index].strip() for row in sheet.sample if index < len(row))
    return [cell for cell in cells if not is_missing(cell)]


def _by_values(name: str, column: np.ndarray, bad: Bad, sampled: bool) -> Left | None:
    """Say why a column is no measurement; `sampled`: some of its cells look like numbers, whatever is wrong with them.

    Numbers in which thousands are separated, or with a sign of percent, are no words: the column stays, and is told.
    """
    there = column[np.isfinite(column)]
    if bad.count(name):
        return None if sampled or bad.count(name) <= len(there) else Left(name, "words")
    if not len(there):
        return Left(name, "it is empty")
    rises = len(there) > 2 and bool((np.diff(there) > 0).all())
    times = from_numbers(name, there) if rises else None
    if times is not None:
        return Left(name, times.form, time=True)
    return Left(name, "it rises by the same step from row to row") if counts_up(there) else None


def parse(
    sheet: Sheet, columns: Sequence[str], time: str | None = None, missing: Sequence[float] | None = ()
) -> tuple[Table, list[str]]:
    """Turn columns into numbers and the column of times into times.

    Args:
        sheet: the table; columns: names of those wanted; time: name of that of times, or of two, joined by " + ".
        missing: numbers that stand for none; None: none do, and what looks like one is a problem.

    Returns: the table, and what is wrong with it, a line each: columns that are not there, cells that
        are neither finite numbers nor missing, suspected codes, marks that may separate thousands, and
        times that cannot be read. What is wrong is told once: such a column is zero in the table, and
        such times are left out.
    """
    problems: list[str] = []
    indices = [_index(sheet, name, problems) for name in columns]
    found, _, bad = sheet.read([index for index in indices if index is not None])
    read = iter(found)
    values = np.column_stack([np.zeros(len(sheet)) if index is None else next(read) for index in indices])
    problems += bad.problems()
    account: list[str] = []
    for name, index, column in zip(columns, indices, values.T, strict=True):
        if missing is None:
            problems += suspicions(name, column, sheet.lines, sheet.label, REMEDY)
        else:
            account += blank(name, column, missing)
        if index is not None and not bad.count(name) and not named_like_time(name):
            problems += thousands(sheet, index, column, missing is None)
        if bad.count(name):
            column[:] = 0.0
    times = None
    if time is not None:
        times, wrong = read_time(sheet, time)
        problems += wrong
    return Table(sheet.path, sheet.sha256, tuple(columns), values, sheet.lines, times, tuple(account)), problems


def doubtful_codes(table: Table) -> list[str]:
    """Return a line for each number that may stand for a missing value, in columns that were read as they are."""
    remedy = "if so, leave the cell empty"
    return [
        line
        for name, column in zip(table.columns, table.values.T, strict=True)
        for line in suspicions(name, column, table.lines, table.label, remedy)
    ]


def _index(sheet: Sheet, name: str, problems: list[str]) -> int | None:
    try:
        return sheet.index(name)
    except ValueError as error:
        problems.append(str(error))
        return None


def is_code(values: np.ndarray | float, missing: Sequence[float]) -> np.ndarray:
    """Return which values are one of the codes for missing values, in the shape of `values`.

    >>> is_code(np.array([-999.9, 1.0]), [-999.9])
    array([ True, False])
    """
    near = np.isclose(np.asarray(values)[..., None], np.asarray(missing, dtype=float), rtol=1e-9, atol=0.0)
    return np.asarray(near.any(axis=-1))


def blank(name: str, column: np.ndarray, missing: Sequence[float]) -> list[str]:
    """Make the codes for missing values NaN, in place, and say how many.

    Args:
        name: of the column. column: (rows,) its numbers. missing: the codes.

    Returns: a line for each code that there is.
    """
    said = []
    for code in missing:
        at = is_code(column, (code,))
        if at.any():
            column[at] = math.nan
            said.append(f"{name}: {code:g} in {at.sum():,} rows counts as missing")
    return said


def time_parts(sheet: Sheet, time: str) -> tuple[str, ...]:
    """Return the names of the columns that make the times: the one of that name, or those that " + " joins."""
    return (time,) if time in sheet.names else tuple(part.strip() for part in time.split(JOIN))


def read_time(sheet: Sheet, time: str) -> tuple[Times | None, list[str]]:
    """Return the times of a column, or of a date and a clock in two columns; None, and why, if they are none."""
    problems: list[str] = []
    indices = [_index(sheet, part, problems) for part in time_parts(sheet, time)]
    if problems:
        return None, problems
    columns = [sheet.words(index) for index in indices if index is not None]
    cells = columns[0] if len(columns) == 1 else [" ".join(both) for both in zip(*columns, strict=True)]
    times, wrong = read_times(time, cells, sheet.layout.decimal, sheet.lines, sheet.label)
    more = len(wrong) - SHOWN_ROWS
    wrong = wrong if more <= 0 else [*wrong[:SHOWN_ROWS], f"{sheet.label}: {time}: and {more:,} more like these"]
    return (None if wrong else times), wrong


def raise_problems(label: str, problems: Sequence[str]) -> None:
    """Raise one InputError that lists the problems (the first `SHOWN`, then how many more)."""
    if problems:
        more = [f"... and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        raise InputError(f"{label} has {count}", [*problems[:SHOWN], *more])
