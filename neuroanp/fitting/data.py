"""Read measurements from a CSV file and check them: units in the header, no gaps, no NaN.

    # anything after a hash is a comment
    time_s,voltage_mV
    0.0,41.2
    1.0e-6,47.9

The first line that is not a comment names the columns; a quantity ends in its unit (`conductance_uS`).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from neuroanp.errors import InputError, did_you_mean
from neuroanp.fitting.table import Column, Table
from neuroanp.units import Dimension
from neuroanp.yaml_io import display

MAX_BYTES = 256 * 1024**2
MAX_PROBLEMS = 5


def read_table(path: str | Path, columns: Sequence[Column], least: int = 2) -> Table:
    """Read the columns of a CSV file that a fit needs.

    Args:
        path: the file: UTF-8, at most 256 MiB, fields separated by commas, semicolons or tabs.
        columns: what is asked for; columns besides are left alone.
        least: fewest rows that make sense.

    Raises:
        InputError: with one line "file:line: column: what; remedy" for each thing wrong.
    """
    path = Path(path)
    label, raw = display(path), _bytes(path)
    text, starts = raw.decode("utf-8"), _content_lines(raw)
    if not len(starts):
        raise InputError(f"{label}: the file is empty; it needs a line of column names such as {columns[0].example}")
    header_line = int(starts[0])
    lines = text.split("\n", header_line)
    names, delimiter = _header(lines[header_line - 1])
    found = _find(names, columns, f"{label}:{header_line}")
    rows = starts[1:]
    if len(rows) < least:
        raise InputError(f"{label}: {len(rows)} rows of numbers; a fit needs at least {least}: record more")
    body = _Body(label, "" if len(lines) <= header_line else lines[header_line], rows, delimiter, names)
    values, words = body.parse(found)
    units = {c.name: _dimension(c, names[i]).unit if c.dimensions else "" for c, i in found.items()}
    headers = {c.name: names[i] for c, i in found.items()}
    return Table(label, values, units, headers, words, rows, sha256(raw).hexdigest())


def _bytes(path: Path) -> bytes:
    label = display(path)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise InputError(f"{label}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{label}: a directory; name a CSV file in it") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise InputError(f"{label}: cannot be opened ({getattr(error, 'strerror', None) or error})") from None
    if len(raw) > MAX_BYTES:
        raise InputError(f"{label}: larger than {MAX_BYTES >> 20} MiB; fit a part of the record")
    raw = raw.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if b"\0" in raw:
        raise InputError(f"{label}: holds zero bytes, so it is not text; save it as CSV in UTF-8")
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InputError(f"{label}:{line}: not UTF-8 (byte 0x{raw[error.start]:02x}); save the file as UTF-8") from None
    return raw


def _content_lines(raw: bytes) -> np.ndarray:
    """Return the numbers (from 1) of the lines that are neither empty nor a comment."""
    buffer = np.frombuffer(raw, dtype=np.uint8)
    starts = np.concatenate([[0], np.flatnonzero(buffer == ord("\n")) + 1])
    starts = starts[starts < len(buffer)]
    first = buffer[starts]
    return np.flatnonzero((first != ord("\n")) & (first != ord("#"))) + 1


def _header(line: str) -> tuple[list[str], str]:
    """Return the column names and the delimiter: the first of comma, semicolon, tab that the line holds."""
    delimiter = next((mark for mark in ",;\t" if mark in line), ",")
    return [name.strip() for name in next(csv.reader([line], delimiter=delimiter))], delimiter


def _find(names: list[str], columns: Sequence[Column], where: str) -> dict[Column, int]:
    """Return the index of every column asked for; InputError says all that are missing or of a wrong unit."""
    found: dict[Column, int] = {}
    problems = [
        f"{where}: column '{n}' is there twice; name each once" for n in dict.fromkeys(names) if names.count(n) > 1
    ]
    for column in columns:
        wanted = column.header or column.name
        known = (column.header,) if column.header else (column.name, *column.also)
        stems = [name.rpartition("_")[0] if column.dimensions else name for name in names]
        index = next((i for i, name in enumerate(names) if name in known or stems[i] in known), None)
        if index is None:
            if not column.optional:
                problems.append(
                    f"{where}: no column '{wanted}'{_hint(wanted, names, column)} (there are: {', '.join(names)})"
                )
            continue
        try:
            if column.dimensions:
                _dimension(column, names[index])
            found[column] = index
        except ValueError as error:
            problems.append(f"{where}: {names[index]}: {error}")
    if problems:
        raise InputError(f"{where.rpartition(':')[0]} cannot be fitted", problems)
    return found


def _hint(wanted: str, names: list[str], column: Column) -> str:
    near = did_you_mean(wanted, names)
    return near or f"; add one, e.g. {column.example}" + ("" if column.header else ", or name yours with --column")


def _dimension(column: Column, header: str) -> Dimension:
    """Return which of a column's dimensions the unit in its header measures; ValueError if none."""
    unit = header.rpartition("_")[2] if "_" in header else ""
    kinds = " or ".join(d.name for d in column.dimensions)
    examples = " or ".join(f"{column.name}_{d.example.split()[-1]}" for d in column.dimensions)
    if not unit:
        raise ValueError(f"the name ends in no unit; write e.g. {examples}")
    for dimension in column.dimensions:
        if _scale(dimension, unit) is not None:
            return dimension
    raise ValueError(f"'{unit}' is not a unit of {kinds}; write e.g. {examples}")


def _factor(column: Column, header: str) -> float:
    """Return how many SI units the unit in a column's header is; 1 for plain numbers."""
    if not column.dimensions:
        return 1.0
    return _dimension(column, header).parse(f"1 {header.rpartition('_')[2]}")


def _scale(dimension: Dimension, unit: str) -> float | None:
    try:
        return dimension.parse(f"1 {unit}")
    except ValueError:
        return None


@dataclass(frozen=True)
class _Body:
    """The lines below the header, not parsed yet."""

    label: str
    text: str
    lines: np.ndarray
    delimiter: str
    names: list[str]

    def parse(self, found: dict[Column, int]) -> tuple[dict[str, np.ndarray], dict[str, list[str]]]:
        """Return the columns and the words behind those that are labels."""
        kinds = [(f"c{i}", "U64" if column.label else "f8") for i, column in enumerate(found)]
        try:
            table = np.loadtxt(
                io.StringIO(self.text), dtype=kinds, delimiter=self.delimiter, comments="#", ndmin=1, quotechar='"',
                usecols=list(found.values()),
            )  # fmt: skip
        except ValueError as error:
            raise self._unreadable(found, str(error)) from None
        if len(table) != len(self.lines) or self._ragged():
            raise self._unreadable(found, "rows of different length")
        values: dict[str, np.ndarray] = {}
        words: dict[str, list[str]] = {}
        for i, (column, index) in enumerate(found.items()):
            cells = table[f"c{i}"]
            if column.label:
                values[column.name], words[column.name] = _coded(cells)
                continue
            bad = np.flatnonzero(~np.isfinite(cells))
            if len(bad):
                raise self._wrong([(int(self.lines[r]), index, f"'{cells[r]}' is not a finite number") for r in bad])
            values[column.name] = cells * _factor(column, self.names[index])
        return values, words

    def _ragged(self) -> bool:
        """Whether a row has more or fewer fields than the header (a comma in a number would make one more)."""
        fields = len(self.names)
        if '"' in self.text or "#" in self.text:
            return any(len(row) != fields for _, row in self._rows())
        marks = np.frombuffer(self.text.encode(), dtype=np.uint8)
        ends = np.concatenate([[0], np.flatnonzero(marks == ord("\n")), [len(marks)]])
        counts = np.diff(np.searchsorted(np.flatnonzero(marks == ord(self.delimiter)), ends))
        return not np.isin(counts, [0, fields - 1]).all() or np.count_nonzero(counts) not in (0, len(self.lines))

    def _rows(self):
        content = (line.partition("#")[0] for line in self.text.split("\n") if line and line[0] != "#")
        return zip(self.lines.tolist(), csv.reader(content, delimiter=self.delimiter), strict=False)

    def _unreadable(self, found: dict[Column, int], reason: str) -> InputError:
        """Go through the rows one by one and name the first that cannot be read."""
        wrong: list[tuple[int, int, str]] = []
        for line, row in self._rows():
            if len(row) != len(self.names):
                wrong.append((line, -1, f"{len(row)} fields where the header names {len(self.names)}"))
            for column, index in found.items():
                if index < len(row) and not column.label and not _is_number(row[index]):
                    shown = row[index].strip()[:40]
                    wrong.append((line, index, f"'{shown}' is not a number" if shown else "the field is empty"))
        return self._wrong(wrong) if wrong else InputError(f"{self.label} cannot be read as CSV: {reason}")

    def _wrong(self, problems: Sequence[tuple[int, int, str]]) -> InputError:
        shown = [
            f"{self.label}:{line}: {f'{self.names[index]}: ' if index >= 0 else ''}{text}; correct or delete the row"
            for line, index, text in problems[:MAX_PROBLEMS]
        ]
        if len(problems) > MAX_PROBLEMS:
            shown.append(f"{self.label}: and {len(problems) - MAX_PROBLEMS} more")
        return InputError(f"{self.label} cannot be fitted", shown)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def _coded(cells: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Return the index of each label among the labels in the order of their first row, and those labels."""
    names, first, code = np.unique(cells, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))
    return rank[code], [str(name).strip() for name in names[np.argsort(first)]]
