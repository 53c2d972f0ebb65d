"""Read a table of one's own: the columns that a task wants, evenly spaced, and all that is wrong with it at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from neuroanp.errors import InputError
from neuroanp.tables import Sheet, read_sheet
from neuroanp.tasks.gaps import hold, regular
from neuroanp.tasks.table import (
    JOIN,
    Left,
    Table,
    default_columns,
    doubtful_codes,
    parse,
    raise_problems,
    read_time,
    time_parts,
)
from neuroanp.yaml_io import display


class OwnTable(Protocol):
    """Options of what reads a table of one's own.

    Args:
        columns: names of the inputs; None: all with measurements. time: name of the column of times, or of two.
        missing: numbers that stand for missing values; None: what looks like one is refused.
        window, washout: steps of a sequence, and those of them that are not scored. split: where the test part begins.
    """

    @property
    def columns(self) -> tuple[str, ...] | None: ...
    @property
    def time(self) -> str | None: ...
    @property
    def missing(self) -> tuple[float, ...] | None: ...
    @property
    def window(self) -> int: ...
    @property
    def washout(self) -> int: ...
    @property
    def split(self) -> float: ...


def opened(path: Path) -> Sheet:
    """Return the sheet of a task's own table; InputError says where a missing one was looked for."""
    if not path.exists():
        remedy = "put it back, or set task.path to where it is now: the same content is the same run"
        raise InputError(f"{display(path)}: no such file (looked in {path.absolute().parent}); {remedy}")
    return read_sheet(path)


def inputs_of(sheet: Sheet, options: OwnTable, targets: Collection[str]) -> tuple[str, ...]:
    """Return the names of the inputs: those that are stated, or all with measurements, in the table's order."""
    if options.columns is not None:
        return options.columns
    return default_columns(sheet, times_of(sheet, options), targets)[0]


def times_of(sheet: Sheet, options: OwnTable) -> tuple[str, ...]:
    """Return the names of the columns of times."""
    return () if options.time is None else time_parts(sheet, options.time)


def new_rows(
    sheet: Sheet, options: OwnTable, columns: Sequence[str], step: int | None, fill: int, evenly: bool = True
) -> Table:
    """Return rows for a network that learned from a table of such rows.

    Args:
        sheet: the rows. options: of the run. columns: its inputs. step: nanoseconds from row to row, if it is known.
        fill: rows in a row that may be missing. evenly: whether rows follow one another in time; those that do not may
            lack values, which stay NaN.
    """
    table, problems = rows_of_file(sheet, options, columns, options.missing or (), evenly=evenly)
    doubts = [] if options.missing is not None else doubtful_codes(table)
    table = replace(table, account=(*table.account, *(f"warning: {line}" for line in doubts)))
    return gapless(table, fill, problems, step) if evenly else _apart(table, problems)


def _apart(table: Table, problems: list[str]) -> Table:
    """Return rows apart, some of which may lack values, and say so; InputError where all do."""
    whole = ~np.isnan(table.values).any(axis=1)
    if not whole.any():
        problems = [
            *problems,
            f"{table.label}: each row lacks a value; fill them, or leave the column out and train anew",
        ]
    raise_problems(table.label, problems)
    if whole.all():
        return table
    return replace(table, account=(*table.account, gaps_told(table, "lack values, so that nothing is told of them")))


def gaps_told(table: Table, what: str) -> str:
    """Return the warning that some rows lack values: how many, in which columns and lines.

    Args:
        table: with NaN where a value is missing. what: becomes of such rows.
    """
    gaps = np.isnan(table.values)
    counts = [f"{name} {int(n):,}" for name, n in zip(table.columns, gaps.sum(axis=0), strict=True) if n]
    lines = table.lines[gaps.any(axis=1)]
    first = f"lines {', '.join(map(str, lines[:3].tolist()))}{', ...' if len(lines) > 3 else ''}"
    return f"warning: {len(lines):,} of {len(table):,} rows {what} ({', '.join(counts)}; {first})"


def rows_of_file(
    sheet: Sheet, options: OwnTable, columns: Sequence[str], missing: Sequence[float] | None,
    targets: Collection[str] = (), evenly: bool = True, words: Collection[str] = (),
) -> tuple[Table, list[str]]:  # fmt: skip
    """Take the columns of one's own table; say what is wrong, and in its account all that was taken and left.

    Args:
        targets: which of the columns are to be told. evenly: whether rows follow one another in time.
        words: columns that are read elsewhere, as words.
    """
    table, problems = parse(sheet, columns, options.time, missing)
    left = default_columns(sheet, times_of(sheet, options), (*targets, *words))[1]
    named = f"; target{'s' * (len(targets) > 1)}: {', '.join(targets)}" if targets else ""
    account = [*sheet.account(), f"inputs: {', '.join(columns)}{named}"]
    if left and options.columns is None:
        account.append(f"left out: {', '.join(f'{one.name} ({one.why})' for one in left)}")
    if options.time is None and evenly:
        said, step = _spacing(sheet, left)
        if step is not None and step < 0:
            problems.append(f"{table.label}: {said}: a forecast would be of the past; sort the file by time")
        table = replace(table, step=step)
        account.append(said)
    return replace(table, account=(*account, *table.account)), problems


def gapless(
    table: Table, fill: int, problems: list[str], step: int | None = None,
    check: Callable[[Table], list[str]] = lambda filled: [],
) -> Table:  # fmt: skip
    """Return a table with a row for every step and no missing value; InputError with all that is wrong with it.

    Args:
        fill: rows in a row that may be missing. problems: found before.
        step: nanoseconds from row to row that the table must have; None: any.
        check: what else may be wrong with the whole table.
    """
    even, uneven = regular(table)
    filled, gaps = hold(even, fill)
    if step is not None and even.step is not None and even.step != step:
        rows = f"a row every {even.step / 1e9:g} s, the network learned from rows every {step / 1e9:g} s"
        uneven = [*uneven, f"{table.label}: {rows}; give it such rows"]
    raise_problems(table.label, [*problems, *uneven, *gaps, *check(filled)])
    return filled


def _spacing(sheet: Sheet, left: Sequence[Left]) -> tuple[str, int | None]:
    """Say that rows are taken as evenly spaced, and whether a column of times that is not used contradicts it.

    Returns: the line, and the nanoseconds of most steps of that column, None without one.
    """
    evenly = "rows are taken as evenly spaced"
    dates, clocks = ([one for one in left if one.time and one.clock is clock] for clock in (False, True))
    if not dates:
        return evenly, None
    name = JOIN.join([dates[0].name, *(one.name for one in clocks[:1])])
    times, wrong = read_time(sheet, name)
    if times is None or wrong or len(times.ns) < 2:
        return f"{evenly}; to look for missing rows, set task.time to {name}", None
    steps, counts = np.unique(np.diff(times.ns), return_counts=True)
    step, other = int(steps[np.argmax(counts)]), len(times.ns) - 1 - int(counts.max())
    read = f" (read as {times.told})" if times.other or other else ""
    if not other:
        return f"{evenly}, as {name} says{read}: {step / 1e9:g} s", step
    steps_of = f"{other:,} step{'s are' if other > 1 else ' is'} not {step / 1e9:g} s"
    said = f"warning: {evenly}, but in {name}{read} {steps_of}; to take that into account, set task.time to {name}"
    return said, step


def first_tested(rows: int, split: float) -> int:
    """Return the first row of the test part.

    >>> first_tested(200, 0.85), first_tested(200, 150)
    (170, 150)
    """
    return int(split) if split >= 1 else int(rows * split)


def too_short(table: Table, options: OwnTable, ahead: int) -> list[str]:
    """Say which part of the table has too few rows; `ahead`: rows from an input to its target."""
    split, need = first_tested(len(table), options.split), options.window + ahead
    tile, tested = options.window - options.washout, max(len(table) - split, 0)
    parts = []
    if split < need:
        parts.append(f"the training part has {split} rows; window + horizon = {need} are needed")
    if tested < tile:
        parts.append(f"the test part has {tested} rows; window - washout = {tile} are needed")
    said = f"{len(table)} rows, split at {split}, are too few"
    return [f"{table.label}: {said}: {' and '.join(parts)}; lower window or horizon, or move split"] if parts else []
