"""Make a table regular: one row for every time step, and no missing values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from neuroanp.tables.sheet import SHOWN_ROWS
from neuroanp.tables.times import Times
from neuroanp.tasks.table import Table

MOST_ROWS = 10
"""Rows of the regular table for each one of the file, at most."""


def regular(table: Table) -> tuple[Table, list[str]]:
    """Return the table with a row for every time step; rows that the file lacks are missing values.

    The step is the most frequent difference between neighbouring times. Times are compared as they
    stand: a column of local times repeats an hour when summer time ends, which is refused, so give
    a column in UTC.

    Returns: the table, with the times of its rows and their step, and what is wrong: a time that repeats,
        goes backward, or does not lie on the grid, each with its line. The table is then the one that was given.
    """
    times = table.times
    if times is None or len(table) < 2:
        return table, []
    elapsed = times.ns - times.ns[0]
    jumps = np.diff(times.ns)
    back = np.flatnonzero(jumps <= 0)
    if len(back):
        remedy = "sort the file, give a column in UTC, or leave the time column out to take rows as evenly spaced"
        said = lambda i: f"{'repeats' if jumps[i - 1] == 0 else 'goes backward'}; {remedy}"  # noqa: E731
        return table, _at(table, times, back + 1, said)
    steps, counts = np.unique(jumps, return_counts=True)
    step = int(steps[np.argmax(counts)])
    rows, rest = np.divmod(elapsed, step)
    off = np.flatnonzero(rest)
    if len(off):
        return table, _at(table, times, off, lambda i: f"is not a whole number of steps of {step / 1e9:g} s")
    total = int(rows[-1]) + 1
    lacking = total - len(rows)
    if total > MOST_ROWS * len(rows):
        missing = f"{lacking} of {total} steps of {step / 1e9:g} s are missing"
        return table, [f"{table.label}: {missing}; {times.name} was read as {times.told}"]
    values = np.full((total, len(table.columns)), np.nan)
    lines = np.zeros(total, dtype=int)
    values[rows], lines[rows] = table.values, table.lines
    said = f"{times.name}: {times.told}, from {times.text(0)}, a row every {step / 1e9:g} s"
    account = (*table.account, f"{said}; {lacking:,} rows are missing" if lacking else said)
    every = replace(times, ns=times.ns[0] + step * np.arange(total, dtype=np.int64))
    even = replace(table, values=values, lines=lines, times=every, account=account, form=times.told, step=step)
    return even, []


def hold(table: Table, limit: int) -> tuple[Table, list[str]]:
    """Return the table with missing values replaced by the column's last value.

    The last value is held rather than interpolated, since a forecaster knows no later one.

    Args:
        table: the table.
        limit: rows in a row that may be missing.

    Returns: the table, and what is wrong: more than `limit` values are missing in a row, or the first
        one is; with lines.
    """
    values = table.values.copy()
    problems, held = [], {}
    for j, name in enumerate(table.columns):
        gap = np.isnan(values[:, j])
        edges = np.flatnonzero(np.diff(np.concatenate([[0], gap.astype(int), [0]]))).reshape(-1, 2)
        wrong = []
        for start, end in edges:
            if start > 0 and end - start <= limit:
                values[start:end, j] = values[start - 1, j]
                held[name] = held.get(name, 0) + int(end - start)
            else:
                wrong.append((start, end))
        problems += _gaps(table, name, wrong, limit)
    said = ", ".join(f"{name} {count:,}" for name, count in held.items())
    account = (*table.account, f"missing values that hold the last one: {said}") if held else table.account
    return replace(table, values=values, account=account), problems


def _gaps(table: Table, name: str, wrong: list[tuple[int, int]], limit: int) -> list[str]:
    """Name the first gaps of a column that are too long, and what would fill them all."""
    longest = max((end - start for start, end in wrong if start > 0), default=0)
    said = []
    for start, end in wrong[:SHOWN_ROWS]:
        allowed = "no earlier value to hold" if start == 0 else f"at most {limit} may be"
        remedy = "cut these rows off" if start == 0 else f"set task.fill to {longest}, or leave the column out"
        count = f"{end - start} value{'s' if end - start > 1 else ''}"
        said.append(f"{_where(table, start)}: {name}: {count} missing; {allowed}; {remedy}")
    more = len(wrong) - SHOWN_ROWS
    return [*said, f"{table.label}: {name}: and {more:,} more gaps"] if more > 0 else said


def _at(table: Table, times: Times, rows: np.ndarray, said: Callable[[int], str]) -> list[str]:
    """Return what is said of rows with their lines and times: the first, and the number of the others."""
    shown = [
        f"{table.label}:{table.lines[i]}: time {times.text(i)} ({times.told}) {said(i)}" for i in rows[:SHOWN_ROWS]
    ]
    more = len(rows) - SHOWN_ROWS
    return [*shown, f"{table.label}: and {more:,} more times like these"] if more > 0 else shown


def _where(table: Table, start: int) -> str:
    """Name the place of a row; one that the file lacks is named by the line before it."""
    line = table.lines[start]
    if line:
        return f"{table.label}:{line}"
    return f"{table.label}: after line {table.lines[:start].max(initial=1)} (times read as {table.form})"
