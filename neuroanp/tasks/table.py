"""Read a CSV file strictly: every cell is a number, a declared gap or an error with its line."""

from __future__ import annotations

import csv
import hashlib
import io
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from neuroanp.errors import InputError, did_you_mean

MAX_BYTES = 256 * 2**20
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "-"})
SHOWN = 10
"""Problems listed before the rest is only counted."""
TIME_FORMATS = ("%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%d.%m.%Y %H:%M")


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
    """

    path: Path
    sha256: str
    columns: tuple[str, ...]
    values: np.ndarray
    lines: np.ndarray
    times: tuple[datetime, ...] | None = None

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Raw:
    """The file as text: header, rows of cells and their lines."""

    path: Path
    sha256: str
    header: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]

    def column(self, name: str) -> int:
        """Return a column's index; InputError names the columns there are."""
        if name not in self.header:
            near = did_you_mean(name, self.header)
            raise InputError(f"{self.path}:1: no column '{name}'{near} (columns: {', '.join(self.header)})")
        return self.header.index(name)


def read_raw(path: Path) -> Raw:
    """Read the cells of a comma-separated file whose first line names the columns.

    Raises:
        InputError: the file is missing, a folder, unreadable, larger than 256 MiB, not UTF-8 text,
            empty, has doubled or blank column names, or a row of another length than the header.
    """
    data = _bytes(path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}:{line}: not UTF-8 text (byte {error.start}); save the file as CSV in UTF-8") from None
    if "\0" in text:
        raise InputError(f"{path}:{text.count(chr(10), 0, text.index(chr(0))) + 1}: binary data; a CSV file is needed")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows, lines = [], []
    try:
        for row in reader:
            if any(cell.strip() for cell in row):  # blank lines are no rows
                rows.append(row)
                lines.append(reader.line_num)
    except csv.Error as error:
        raise InputError(f"{path}:{reader.line_num}: not a CSV file ({error})") from None
    if not rows:
        raise InputError(f"{path}: the file is empty; its first line must name the columns")
    header = _header(path, rows.pop(0), lines.pop(0))
    problems = [
        f"{path}:{line}: {len(row)} cells, but the header names {len(header)} columns"
        for row, line in zip(rows, lines, strict=True)
        if len(row) != len(header)
    ]
    raise_problems(path, problems)
    if not rows:
        raise InputError(f"{path}: a header and no rows")
    return Raw(path, hashlib.sha256(data).hexdigest(), header, rows, lines)


def numeric_columns(raw: Raw, leave: Collection[str] = ()) -> tuple[str, ...]:
    """List the columns whose first cell that is not missing is a number, without those in `leave`."""
    names = []
    for index, name in enumerate(raw.header):
        first = next((row[index] for row in raw.rows if not _missing(row[index])), None)
        if name not in leave and first is not None and _number(first) is not None:
            names.append(name)
    return tuple(names)


def parse(raw: Raw, columns: Sequence[str], time: str | None = None) -> Table:
    """Turn the named columns into numbers and the column `time` into times.

    A cell that is empty, NA, N/A, NaN, null, none or - is missing (NaN in the table).

    Raises:
        InputError: a column is not there, or cells are neither finite numbers nor missing; all of
            them are listed with their lines.
    """
    problems: list[str] = []
    values = np.empty((len(raw.rows), len(columns)))
    for j, name in enumerate(columns):
        index = raw.column(name)
        for i, row in enumerate(raw.rows):
            value = math.nan if _missing(row[index]) else _number(row[index])
            if value is None:
                problems.append(f"{raw.path}:{raw.lines[i]}: {name}: '{row[index][:40]}' is not a finite number")
            values[i, j] = math.nan if value is None else value
    times = None
    if time is not None:
        index = raw.column(time)
        stamps = [_time(row[index]) for row in raw.rows]
        for stamp, row, line in zip(stamps, raw.rows, raw.lines, strict=True):
            if stamp is None:
                problems.append(
                    f"{raw.path}:{line}: {time}: '{row[index][:40]}' is not a time; write e.g. 2013-01-31T06:00:00Z"
                )
        times = tuple(stamp for stamp in stamps if stamp is not None)
        if times and len({stamp.tzinfo is None for stamp in times}) > 1:
            problems.append(f"{raw.path}: {time}: some times carry a zone and some do not; make them alike")
    raise_problems(raw.path, problems)
    return Table(raw.path, raw.sha256, tuple(columns), values, np.array(raw.lines), times)


def raise_problems(path: Path, problems: Sequence[str]) -> None:
    """Raise one InputError that lists the problems (the first ten, then their number)."""
    if problems:
        more = [f"... and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        raise InputError(f"{path} has {count}", [*problems[:SHOWN], *more])


def _bytes(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if path.is_dir():
            raise InputError(f"{path}: a folder; give the path of a CSV file")
        if size > MAX_BYTES:
            raise InputError(f"{path}: {size / 2**20:.0f} MiB, more than the {MAX_BYTES // 2**20} MiB allowed; cut it")
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file (looked in {path.absolute().parent})") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error


def _header(path: Path, row: Sequence[str], line: int) -> tuple[str, ...]:
    header = tuple(cell.strip() for cell in row)
    hint = ""
    if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
        hint = "; columns must be separated by commas"
    doubled = sorted({name for name in header if name and header.count(name) > 1})
    problems = [f"{path}:{line}: column '{name}' appears more than once" for name in doubled]
    if "" in header:
        problems.append(f"{path}:{line}: column {header.index('') + 1} has no name")
    if hint:
        problems.append(f"{path}:{line}: one column only{hint}")
    if all(_number(name) is not None for name in header):
        problems.append(f"{path}:{line}: numbers where the names of the columns should be; add a header line")
    raise_problems(path, problems)
    return header


def _missing(cell: str) -> bool:
    return cell.strip().lower() in MISSING


def _number(cell: str) -> float | None:
    if "_" in cell:  # float() would take Python's 1_000
        return None
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if abs(value) < 1e300 else None


def _time(cell: str) -> datetime | None:
    text = cell.strip()
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    for form in TIME_FORMATS:
        try:
            return datetime.strptime(text, form)
        except ValueError:
            continue
    return None
