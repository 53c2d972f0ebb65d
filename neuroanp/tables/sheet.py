"""A table as text, its columns read as numbers or as words; and an account of what was taken for what."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from neuroanp.errors import InputError, did_you_mean
from neuroanp.tables.layout import SAMPLED, Layout, find_layout
from neuroanp.tables.lines import Lines, split
from neuroanp.tables.numbers import LARGEST, column, number, shown, why_not
from neuroanp.tables.source import LATIN, read_source

SHOWN_ROWS = 3
"""Bad cells of a column that are shown one by one."""
LABEL = 64
"""Letters of a word that the quick way keeps."""


@dataclass
class Bad:
    """Cells that are no numbers, by column: the first of them in words, and how many more.

    Args:
        label: the file; remedy: what to do about a cell whose reason does not say it.
    """

    label: str
    remedy: str = ""
    shown: dict[str, list[str]] = field(default_factory=dict)
    rows: dict[str, list[int]] = field(default_factory=dict)

    def add(self, row: int, line: int, what: str, said: str) -> None:
        """Note a bad cell of the column `what`, or a bad row where that is empty."""
        lines = self.shown.setdefault(what, [])
        self.rows.setdefault(what, []).append(row)
        if len(lines) < SHOWN_ROWS:
            remedy = f"; {self.remedy}" if self.remedy and ";" not in said else ""
            lines.append(f"{self.label}:{line}: {f'{what}: ' if what else ''}{said}{remedy}")

    def count(self, what: str) -> int:
        """Return how many bad cells a column has."""
        return len(self.rows.get(what, ()))

    def problems(self) -> list[str]:
        """Return a line for each of the first, and one for the rest of each column."""
        found: list[str] = []
        for what, lines in self.shown.items():
            rest = self.count(what) - len(lines)
            found += [*lines, *([f"{self.label}: {what or 'rows'}: and {rest:,} more like these"] if rest else [])]
        return found


@dataclass(frozen=True)
class Sheet:
    """The cells of a table.

    Args:
        path: the file; label: its name in messages; sha256: of its bytes.
        layout: what separates its columns and where it begins.
        lines: (rows,) line of each row in the file, counted from 1.
        body: the rows as text; "" where `cells` has them.
        cells: rows of cells, where they had to be taken apart one by one; else None.
        sample: some rows of cells from all over the table.
        notes: what was left out or done to read it.
    """

    path: Path
    label: str
    sha256: str
    layout: Layout
    lines: np.ndarray
    body: str
    sample: list[list[str]]
    cells: list[list[str]] | None = None
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns, "" where one has none."""
        return self.layout.names

    def __len__(self) -> int:
        return len(self.lines)

    def index(self, name: str) -> int:
        """Return a column's index; ValueError "file:line: what; remedy" names the columns there are."""
        if name and name in self.names:
            return self.names.index(name)
        known = [one for one in self.names if one]
        near = did_you_mean(name, known)
        raise ValueError(
            f"{self.label}:{self.layout.header + 1}: no column '{shown(name)}'{near} (columns: {', '.join(known)})"
        )

    def select(self, rows: np.ndarray) -> Sheet:
        """Return some rows."""
        if self.cells is None:
            text = self.body.split("\n")
            body, cells = "\n".join([text[i] for i in rows.tolist()]), None
            sample = [split(text[i], self.layout.separator) for i in rows[_spread(len(rows))].tolist()]
        else:
            body, cells = "", [self.cells[i] for i in rows.tolist()]
            sample = [cells[i] for i in _spread(len(cells))]
        return replace(self, lines=self.lines[rows], body=body, cells=cells, sample=sample)

    @cached_property
    def rows(self) -> list[list[str]]:
        """All cells, one by one: slow for millions."""
        return self.cells if self.cells is not None else [row for _, row in _apart(self.body, self.layout.separator)]

    def words(self, index: int) -> list[str]:
        """Return the cells of a column."""
        return self.read([], [index])[1][0]

    def read(
        self, numbers: Sequence[int], words: Sequence[int] = (), remedy: str = ""
    ) -> tuple[list[np.ndarray], list[list[str]], Bad]:
        """Return columns of numbers (NaN where a cell is missing or bad), columns of words, and the bad cells."""
        bad = Bad(self.label, remedy)
        if self.cells is None and not (self.layout.decimal == "," and "." in self.body):
            try:
                columns, labels = self._load(numbers, words)
            except ValueError:
                columns, labels = [], []
            short = all(not len(w) or np.char.str_len(w).max() < LABEL for w in labels)
            if len(columns) + len(labels) == len(numbers) + len(words) and short and all(map(_plain, columns)):
                return columns, [[str(word).strip() for word in w] for w in labels], bad
        found = []
        for index in numbers:
            cells = [row[index] for row in self.rows]
            values, wrong = column(cells, self.layout.decimal)
            for row in wrong:
                said = why_not(cells[row], self.layout.decimal) if bad.count(self.names[index]) < SHOWN_ROWS else ""
                bad.add(row, int(self.lines[row]), self.names[index], said)
            found.append(values)
        return found, [[row[index].strip() for row in self.rows] for index in words], bad

    def _load(self, numbers: Sequence[int], words: Sequence[int]) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Read columns at the speed of C; ValueError where a cell needs a closer look."""
        if self.layout.decimal == "," and numbers and words:  # commas in words stay
            return self._load(numbers, [])[0], self._load([], words)[1]
        wanted = [*numbers, *words]
        kinds = [(f"c{k}", "f8" if k < len(numbers) else f"U{LABEL}") for k in range(len(wanted))]
        body = self.body.replace(",", ".") if self.layout.decimal == "," and numbers else self.body
        table = np.loadtxt(
            io.StringIO(body), dtype=kinds, delimiter=self.layout.separator, comments=None, ndmin=1, quotechar='"',
            usecols=wanted,
        )  # fmt: skip
        if len(table) != len(self):
            raise ValueError("rows and lines differ in number")
        columns = [table[f"c{k}"] for k in range(len(wanted))]
        return columns[: len(numbers)], columns[len(numbers) :]

    def account(self) -> list[str]:
        """Say what was taken for what: separator, decimal mark, the line of names, what was left out."""
        layout = self.layout
        decimal = ", decimal commas" if layout.decimal == "," else ""
        if layout.doubtful:
            decimal += " (each with three digits behind it: if they separate thousands, take them out)"
        above = f", {layout.preamble} line{'s'[: layout.preamble != 1]} above left out" if layout.preamble else ""
        stated = f", units {', '.join(unit or '-' for unit in layout.units)}" if any(layout.units) else ""
        lines = f"lines {self.lines[0]} to {self.lines[-1]}" if len(self) else "no line"
        first = (
            f"{self.label}: columns separated by {layout.separated_by}{decimal}, names in line {layout.header + 1}"
            f"{above}{stated}; {len(self):,} rows ({lines})"
        )
        return [first, *self.notes]


def read_sheet(path: str | Path) -> Sheet:
    """Find the table in a file and take it apart as far as its rows.

    Raises:
        InputError: as `source.read_source` and `layout.find_layout`; or rows are of another length
            than the line of names, all of them listed; or there is none.
    """
    source = read_source(path)
    lines = Lines(source.text)
    layout = find_layout(lines, source.label)
    content = lines.content[lines.content >= layout.start]
    if not len(content):
        raise InputError(f"{source.label}: a header and no rows")
    if int(content[-1] - content[0]) + 1 == len(content):
        body = lines.text(int(content[0]), int(content[-1]))
    else:  # a comment or a blank line between rows is none of them
        body = "\n".join(line for _, line in lines.of(content))
    if source.encoding == LATIN and not body.isascii():
        at = next(index for index, line in lines.of(content) if not line.isascii())
        raise InputError(
            f"{source.label}:{at + 1}: not UTF-8; save the file as UTF-8, "
            f"e.g. iconv -f WINDOWS-1252 -t UTF-8 {source.label} > utf8.csv"
        )
    picked = content[_spread(len(content))]
    sample = [split(line, layout.separator) for _, line in lines.of(picked)]
    sheet = Sheet(
        source.path, source.label, source.sha256, layout, content + 1, body, sample, notes=_notes(source.encoding)
    )
    if '"' in body or "#" in body or not _even(lines, layout, content):
        return _taken_apart(sheet)
    return sheet


def _spread(rows: int) -> np.ndarray:
    """Return some rows from the first to the last."""
    return np.unique(np.linspace(0, rows - 1, min(rows, SAMPLED)).astype(int))


def _notes(encoding: str) -> tuple[str, ...]:
    if encoding == "Parquet":
        return ("a Parquet file: lines are those of its rows as CSV",)
    return () if encoding == "utf-8" else (f"text in {encoding.upper()}",)


def _even(lines: Lines, layout: Layout, content: np.ndarray) -> bool:
    """Whether each row has as many cells as there are names, or all end with one separator more."""
    marks = lines.marks(layout.separator, content)
    width = len(layout.names)
    if (marks == width - 1).all():
        return True
    return layout.separator is not None and bool((marks == width).all()) and lines.end_with(layout.separator, content)


def _apart(body: str, separator: str | None) -> list[tuple[int, list[str]]]:
    """Return each row of cells with the line it ends in, counted from 1 in the body."""
    if separator is None:
        return [(k, line.split()) for k, line in enumerate(body.split("\n"), 1) if line.strip()]
    if '"' not in body:
        return [(k, line.split(separator)) for k, line in enumerate(body.split("\n"), 1) if line.strip()]
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=separator, strict=True, skipinitialspace=True)
    return [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row) or len(row) > 1]


def _taken_apart(sheet: Sheet) -> Sheet:
    """Return the sheet with its cells one by one, all rows of the same length; InputError lists those that are not."""
    width, bad = len(sheet.names), Bad(sheet.label)
    rows, lines = [], []
    try:
        for end, found in _apart(sheet.body, sheet.layout.separator):
            line = int(sheet.lines[min(end, len(sheet.lines)) - 1])
            row = _uncommented(found, width, sheet.layout.decimal)
            while len(row) > width and not row[-1].strip():
                row = row[:-1]
            if len(row) != width:
                bad.add(len(rows), line, "", f"{len(row)} cells, but the header names {width} columns")
            rows.append(row)
            lines.append(line)
    except csv.Error as error:
        raise InputError(f"{sheet.label}: not a CSV file ({error}); mend the quotes, or cut the field") from None
    if bad.shown:
        raise InputError(f"{sheet.label} cannot be read", bad.problems())
    kept = len(rows)
    while kept and not any(cell.strip() for cell in rows[kept - 1]):
        kept -= 1
    empty = len(rows) - kept
    notes = (*sheet.notes, f"{empty} rows without a cell at the end left out") if empty else sheet.notes
    if not kept:
        raise InputError(f"{sheet.label}: a header and no rows")
    sample = [rows[i] for i in _spread(kept)]
    return replace(sheet, body="", cells=rows[:kept], sample=sample, lines=np.array(lines[:kept]), notes=notes)


def _uncommented(row: list[str], width: int, decimal: str) -> list[str]:
    """Return a row without the comment behind it."""
    at = next((k for k, cell in enumerate(row) if "#" in cell), None)
    if at is None:
        return row
    before = row[at].partition("#")[0]
    cut = [*row[:at], before] if before.strip() or at == 0 else row[:at]
    if len(cut) == width and (len(row) != width or number(before, decimal) is not None):
        return cut
    return row


def _plain(values: np.ndarray) -> bool:
    """Whether all numbers are finite."""
    return bool(np.isfinite(values).all() and (len(values) == 0 or np.abs(values).max() < LARGEST))
