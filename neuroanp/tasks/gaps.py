"""Make a table regular: one row for every time step, and no missing values."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import numpy as np

from neuroanp.errors import InputError
from neuroanp.tasks.table import Table, raise_problems


def regular(table: Table) -> Table:
    """Return the table with a row for every time step; rows that the file lacks are missing values.

    The step is the most frequent difference between neighbouring times. Times are compared as they
    stand: a column of local times repeats an hour when summer time ends, which is refused, so give
    a column in UTC.

    Raises:
        InputError: a time repeats, goes backward, or does not lie on the grid; with its line.
    """
    times = table.times
    if times is None or len(times) < 2:
        return table
    # whole microseconds, all that a datetime has: 0.3 s / 0.1 s is not 3 in floating point
    elapsed = np.array([(stamp - times[0]) // timedelta(microseconds=1) for stamp in times], dtype=np.int64)
    jumps = np.diff(elapsed)
    problems = [
        f"{table.path}:{table.lines[i + 1]}: time {times[i + 1]} {'repeats' if jumps[i] == 0 else 'goes backward'}; "
        "sort the file, give a column in UTC, or leave the time column out to take rows as evenly spaced"
        for i in np.flatnonzero(jumps <= 0)
    ]
    raise_problems(table.path, problems)
    step = Counter(jumps.tolist()).most_common(1)[0][0]
    shown = f"{step / 1e6:g} s"
    rows, rest = np.divmod(elapsed, step)
    raise_problems(
        table.path,
        [
            f"{table.path}:{table.lines[i]}: time {times[i]} is not a whole number of steps of {shown}"
            for i in np.flatnonzero(rest)
        ],
    )
    if rows[-1] + 1 > 10 * len(rows):
        raise InputError(f"{table.path}: {rows[-1] + 1 - len(rows)} of {rows[-1] + 1} steps of {shown} are missing")
    values = np.full((rows[-1] + 1, len(table.columns)), np.nan)
    lines = np.zeros(rows[-1] + 1, dtype=int)
    values[rows], lines[rows] = table.values, table.lines
    return replace(table, values=values, lines=lines, times=None)


def hold(table: Table, limit: int) -> Table:
    """Return the table with missing values replaced by the column's last value.

    The last value is held rather than interpolated, since a forecaster knows no later one.

    Args:
        table: the table.
        limit: rows in a row that may be missing.

    Raises:
        InputError: more than `limit` values are missing in a row, or the first one is; with lines.
    """
    values = table.values.copy()
    problems = []
    for j, name in enumerate(table.columns):
        gap = np.isnan(values[:, j])
        edges = np.flatnonzero(np.diff(np.concatenate([[0], gap.astype(int), [0]])))
        for start, end in edges.reshape(-1, 2):
            if start > 0 and end - start <= limit:
                values[start:end, j] = values[start - 1, j]
                continue
            allowed = "no earlier value to hold" if start == 0 else f"at most {limit} may be (fill)"
            remedy = "cut these rows off" if start == 0 else f"set fill: {end - start}, or leave the column out"
            problems.append(
                f"{_where(table, start, end)}: {name}: {end - start} value{'s' if end - start > 1 else ''} "
                f"missing; {allowed}; {remedy}"
            )
    raise_problems(table.path, problems)
    return replace(table, values=values)


def _where(table: Table, start: int, end: int) -> str:
    """Name the place of rows start .. end-1; a row the file lacks is named by the line before it."""
    line = table.lines[start]
    if line:
        return f"{table.path}:{line}"
    return f"{table.path}: after line {table.lines[:start].max(initial=1)}"
