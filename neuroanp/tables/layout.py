"""Find the table in a text: what separates its columns, its decimal mark, and which line has the names.

Each separator is tried; taken is the one under which a line of names stands above rows of as many
cells, and most cells are numbers. Lines above the names are an instrument's preamble.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from neuroanp.errors import InputError
from neuroanp.tables.headings import OTHER_UNITS, measured, unit_of, unit_under
from neuroanp.tables.lines import Lines, split
from neuroanp.tables.numbers import is_missing, looks_like_number
from neuroanp.tables.times import looks_like_time

SEPARATORS: tuple[str | None, ...] = (",", ";", "\t", "|", None)
HEAD = 1000
"""Lines at most above the first row."""
SAMPLED = 200
LONGEST_NAME = 200
_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")
_POINT = re.compile(r"[+-]?\d*\.\d+(?:[eE][+-]?\d+)?")
_THOUSAND = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_UNITS = re.compile(r"(horizontal|vertical) units?", re.IGNORECASE)


@dataclass(frozen=True)
class Layout:
    """Where the table of a text is.

    Args:
        separator: between fields; None: runs of blanks.
        decimal: point or comma.
        names: of the columns, "" for one without.
        units: of the columns by a line of their own or the preamble, "" where there is none.
        header: the line of names; start: the first line below it and its units (both from 0).
        preamble: how many lines with something in them stand above the names.
        doubtful: decimal commas, each with three digits behind it, could separate thousands.
    """

    separator: str | None
    decimal: str
    names: tuple[str, ...]
    units: tuple[str, ...]
    header: int
    start: int
    preamble: int
    doubtful: bool = False

    @property
    def separated_by(self) -> str:
        """The separator in words."""
        return {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", None: "blanks"}[self.separator]


def find_layout(lines: Lines, label: str) -> Layout:
    """Return the layout of a text's table.

    Raises:
        InputError: there is no table, no line that names its columns, or a name that cannot be one.
    """
    if not len(lines.content):
        raise InputError(f"{label}: the file is empty; its first line must name the columns")
    n = len(lines.content)
    picked = lines.content[np.unique(np.linspace(min(1, n - 1), n - 1, min(n, SAMPLED)).astype(int))]
    head, sample = list(lines.of(lines.content[:HEAD])), [line for _, line in lines.of(picked)]
    found: list[_Try] = []
    for separator in SEPARATORS:
        try:
            found += _tries(lines, head, sample, separator)
        except csv.Error as error:
            if separator == ",":  # the quotes are no others under another separator
                raise InputError(f"{label}: not a CSV file ({error}); mend the quotes, or cut the field") from None
    best = max(found, key=lambda one: one.rank)
    best.check_quotes(label)
    header = best.header
    if header is None:
        raise InputError(f"{label}:{best.why_no_header}")
    _check_names(header.names, f"{label}:{header.line + 1}")
    above = int(np.searchsorted(lines.content, header.line))
    return Layout(
        best.separator, best.decimal, header.names, header.units, header.line, header.start, above, best.doubtful
    )  # fmt: skip


@dataclass(frozen=True)
class _Header:
    line: int
    start: int
    names: tuple[str, ...]
    units: tuple[str, ...]


@dataclass(frozen=True)
class _Try:
    """A text read with one separator, rows taken to have so many cells."""

    lines: Lines
    head: list[tuple[int, str]]
    separator: str | None
    width: int
    rows: list[list[str]]

    @property
    def later(self) -> list[list[str]]:
        """The second half of the rows: the first may be names and a preamble."""
        return self.rows[len(self.rows) // 2 :]

    @property
    def rank(self) -> tuple[int, float, int]:
        """The larger, the likelier."""
        cells = [cell for row in self.later for cell in row]
        told = sum(self._numeric(cell) or is_missing(cell) or looks_like_time(cell) for cell in cells)
        found = (2 if self.header else 1) if self.numbers else 0
        return found, round(told / max(len(cells), 1), 2), len(self.numbers)

    @cached_property
    def decimal(self) -> str:
        """The decimal mark of most cells."""
        cells = [cell for row in self.rows for cell in row]
        commas, points = (sum(bool(mark.fullmatch(cell)) for cell in cells) for mark in (_COMMA, _POINT))
        return "," if commas > points else "."

    @property
    def doubtful(self) -> bool:
        """Whether all decimal commas could separate thousands."""
        cells = [cell for row in self.rows for cell in row if _COMMA.fullmatch(cell)]
        return self.decimal == "," and all(map(_THOUSAND.fullmatch, cells))

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """The columns at least half of whose cells are numbers."""
        found = []
        for index, cells in enumerate(zip(*self.later, strict=True)):
            there = [cell for cell in cells if not is_missing(cell)]
            if there and 2 * sum(map(self._numeric, there)) >= len(there):
                found.append(index)
        return tuple(found)

    @cached_property
    def header(self) -> _Header | None:
        """The line of names: the last line of words above the first row, or a comment there."""
        first = self._first
        top = [(index, self._split(line, True)) for index, line in self.head[:first]]
        same = [(index, cells) for index, cells in top if self._fits(cells)]
        words = [k for k, (_, cells) in enumerate(same) if self._words(cells)]
        if words:
            k = words[-1]
            if self._are_units(same[k][1]) and k > 0 and not _UNITS.fullmatch(same[k - 1][1][0]):
                return self._made(same[k - 1], top, same[k])
            return self._made(same[k], top)
        commented = self._commented(self.head[first][0] if first < len(self.head) else 0)
        if commented:
            return self._made(commented, top)
        partly = [one for one in same if 2 * sum(map(self._is_word, one[1])) >= self.width and self.numbers]
        return self._made(partly[0], top) if partly and first < len(self.head) else None

    def check_quotes(self, label: str) -> None:
        """Raise InputError for a line above the first row that cannot be taken apart."""
        for index, line in self.head[: self._first]:
            try:
                split(line, self.separator, True)
            except csv.Error as error:
                raise InputError(
                    f"{label}:{index + 1}: not a CSV file ({error}); mend the quotes, or cut the field"
                ) from None

    @property
    def why_no_header(self) -> str:
        """Why there is no header, from the line on."""
        first = min(self._first, len(self.head) - 1)
        line = self.head[first][0] + 1
        example = {",": "time_s,load", ";": "time_s;load"}.get(self.separator or " ", "time_s load")
        if first == 0:
            return f"{line}: numbers where the names of the columns should be; add a header line such as {example}"
        above, text = self.head[first - 1]
        names = self._split(text, True)
        said = f"{line}: {self.width} cells, but line {above + 1} names {len(names)} column{'s'[: len(names) != 1]}"
        if self.separator == "," and len(names) < self.width <= 2 * len(names):
            return f"{said}: if these are decimal commas, separate the columns by semicolons, or write decimal points"
        return f"{said}; give each column a name (columns are separated by commas, semicolons, tabs, bars or blanks)"

    @cached_property
    def _first(self) -> int:
        """Which of the head's lines is the first row: numbers, or nothing, where most rows have numbers."""
        for k, (_, line) in enumerate(self.head):
            cells = self._split(line)
            if not self._fits(cells):
                continue
            seen = [cells[i] for i in self.numbers if i < len(cells)]
            if any(map(self._numeric, seen)) and all(self._numeric(cell) or is_missing(cell) for cell in seen):
                return k
        return len(self.head) if self.numbers else min(1, len(self.head))

    def _made(
        self, at: tuple[int, list[str]], top: list[tuple[int, list[str]]], units: tuple[int, list[str]] | None = None
    ) -> _Header:
        index, cells = at
        names = cells[: self.width]
        while len(names) > 1 and not names[-1] and all(len(row) < len(names) or not row[-1] for row in self.rows):
            names = names[:-1]  # a separator at the end of each line
        row, start = [""] * len(names), index + 1
        if units is not None:
            start, row = units[0] + 1, list(map(unit_under, names, units[1]))
        else:
            row = _stated(top, len(names)) or row
        return _Header(index, start, tuple(names), tuple(row))

    def _commented(self, line: int) -> tuple[int, list[str]] | None:
        """Return the comment above the first row that names as many columns."""
        for above in range(line - 1, max(line - 6, -1), -1):
            text = self.lines[above].strip()
            if not text or text[0] not in "#%":
                return None
            cells = self._split(text.lstrip("#% \t"), True)
            if len(cells) == self.width and self._words(cells):
                return above, cells
        return None

    def _fits(self, cells: list[str]) -> bool:
        """Whether a line has as many cells, but for empty ones at its end."""
        n = len(cells)
        if n == self.width or (n > self.width and not any(cells[self.width :])):
            return True
        return n == self.width - 1 and not any(row[-1] for row in self.rows)

    def _words(self, cells: Sequence[str]) -> bool:
        there = [cell for cell in cells if cell]
        return bool(there) and all(map(self._is_word, there))

    def _is_word(self, cell: str) -> bool:
        return not (self._numeric(cell) or is_missing(cell) or looks_like_time(cell))

    def _are_units(self, cells: list[str]) -> bool:
        return all(unit_of(cell) in OTHER_UNITS or measured(cell) is not None for cell in cells)

    def _numeric(self, cell: str) -> bool:
        return looks_like_number(cell, self.decimal)

    def _split(self, line: str, heading: bool = False) -> list[str]:
        try:
            return split(line, self.separator, heading)
        except csv.Error:
            return []


def _tries(lines: Lines, head: list[tuple[int, str]], sample: list[str], separator: str | None) -> list[_Try]:
    """Return the text read with a separator, for each of the three commonest numbers of cells a row."""
    rows = [split(line, separator) for line in sample]
    return [
        _Try(lines, head, separator, width, [row for row in rows if len(row) == width])
        for width, _ in Counter(map(len, rows)).most_common(3)
    ]


def _stated(top: list[tuple[int, list[str]]], width: int) -> list[str] | None:
    """Return the units that an oscilloscope's preamble states: of the first column, and of all others."""
    said = {cells[0].split()[0].lower(): cells[1] for _, cells in top if len(cells) > 1 and _UNITS.fullmatch(cells[0])}
    if not said:
        return None
    others = unit_of(said.get("vertical", "").rpartition(":")[2])
    along = unit_under("time", said.get("horizontal", "").rpartition(":")[2])
    return [along, *[others] * (width - 1)]


def _check_names(names: Sequence[str], where: str) -> None:
    problems = [
        f"{where}: column '{name[:40]}' appears more than once; name each once"
        for name, times in Counter(names).items()
        if name and times > 1
    ]
    for k, name in enumerate(names, 1):
        if len(name) > LONGEST_NAME:
            said = f"has {len(name):,} characters; write {LONGEST_NAME} at most"
            problems.append(f"{where}: the name of column {k} {said}")
        elif not name.isprintable():
            problems.append(f"{where}: the name of column {k} has characters that cannot be shown; write it anew")
    if problems:
        raise InputError(f"{where.rpartition(':')[0]} cannot be read", problems)
