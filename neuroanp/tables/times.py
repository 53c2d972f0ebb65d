"""Read columns of times: ISO, day.month.year, month/day/year, Unix time, or the time that has elapsed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from neuroanp.tables.headings import OTHER_UNITS, SECONDS, TIMES, fold, measured, readings, scale
from neuroanp.tables.numbers import is_missing, number, shown

_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
_DATES = ("%m/%d/%Y", "%d/%m/%Y", "%Y/%m/%d", "%d.%m.%Y", "%d.%m.%y", "%d-%m-%Y", "%m/%d/%y", "%d/%m/%y")
_SHAPE = re.compile(
    r"(?:\d{4}[-/]\d{1,2}[-/]\d{1,2}|\d{1,2}([./-])\d{1,2}\1\d{2,4})(?:[T ]+\d{1,2}:\d{2}.*)?"
    r"|\d{1,2}:\d{2}(?::\d{2}.*)?|\d{8}T\d{4,6}.*"
)
_CLOCK = re.compile(r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?[ap]m)?", re.IGNORECASE)
UNIX = (("seconds", 1e9, 1), ("milliseconds", 1e6, 1000), ("microseconds", 1e3, 10**6), ("nanoseconds", 1.0, 10**9))
"""Unit, nanoseconds in one, and how many make a second."""
COMPACT = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
EPOCHS = (3e8, 4.2e9)
"""Seconds that are taken for Unix time: from 1979 to 2103."""
YEARS = (1677, 2262)
"""Beyond these, nanoseconds since 1970 do not fit into 64 bits."""
NOT_A_TIME = "is not a time; write e.g. 2013-01-31T06:00:00Z"


@dataclass(frozen=True)
class Times:
    """A column of times.

    Args:
        name: of the column.
        form: how they are written, in words.
        ns: (rows,) int64, nanoseconds since 1970, or since the record began.
        dated: whether they are dates.
        other: another form in which each cell is a time too, but not the same one; "" where there is none.
    """

    name: str
    form: str
    ns: np.ndarray
    dated: bool = True
    other: str = ""

    @property
    def told(self) -> str:
        """How they are written, and how they could be, too."""
        return f"{self.form}, though {self.other} fits each cell, too" if self.other else self.form

    def text(self, row: int) -> str:
        """Return one time as a message shows it."""
        if not self.dated:
            return f"{self.ns[row] / 1e9:g} s"
        return str(np.datetime64(int(self.ns[row]), "ns")).rstrip("0").rstrip(".")


def looks_like_time(cell: str) -> bool:
    """Whether a cell has the shape of a date or a clock.

    >>> [looks_like_time(cell) for cell in ("2013-01-01T06:00Z", "1.2.2013 00:00", "1.25", "12:30")]
    [True, True, False, True]
    """
    return bool(_SHAPE.fullmatch(cell.strip()))


def is_clock(cell: str) -> bool:
    """Whether a cell is a time of day without a date."""
    return bool(_CLOCK.fullmatch(cell.strip()))


def named_like_time(name: str) -> bool:
    """Whether a column's name says that it holds times.

    A unit that is none of time says that it does not, whatever the word; T without a unit is a temperature.

    >>> [named_like_time(name) for name in ("t", "T", "t_us", "T (us)", "T (K)", "time (UTC)", "t_out")]
    [True, False, True, True, False, True, False]
    """
    for word, unit in readings(name):
        if _is_unit(unit):
            if fold(word) in TIMES or word in ("", unit):
                return True
        elif unit and (unit in OTHER_UNITS or measured(unit) is not None):
            return False
        elif fold(word) in TIMES and (word == "t" if len(word) == 1 and not unit else len(word) > 1):
            return True
    return False


def read_times(name: str, cells: Sequence[str], decimal: str, lines: np.ndarray, where: str) -> tuple[Times, list[str]]:
    """Return a column's times, and a problem for each cell that is none.

    Args:
        name: the column's header; cells: its text; decimal: the table's decimal mark.
        lines: (rows,) line of each; where: the file, for the problems.
    """
    filled = [cell.strip() for cell in cells]
    compact = (
        COMPACT.get(len(filled[0])) if filled and all(cell.isascii() and cell.isdigit() for cell in filled) else None
    )
    if compact and all(len(cell) == len(filled[0]) and _parsed(cell, compact) for cell in filled):
        ns = [_ns(datetime.strptime(cell, compact)) for cell in filled]
        return Times(name, _in_words(compact), np.array(ns, dtype=np.int64)), []
    numeric = [number(cell, decimal) for cell in filled]
    if filled and all(value is not None for value in numeric):
        times = from_numbers(name, np.array(numeric, dtype=float), filled)
        if times is not None:
            return times, []
        none = Times(name, "", np.zeros(len(cells), dtype=np.int64))
        return none, [f"{where}:{lines[0]}: {name}: '{shown(filled[0])}' {NOT_A_TIME}"]
    return _from_text(name, filled, lines, where)


def from_numbers(name: str, values: np.ndarray, cells: Sequence[str] | None = None) -> Times | None:
    """Return Unix times, or elapsed ones where the column's name says so; None where they are neither."""
    there = values[np.isfinite(values)]
    if not len(there):
        return None
    for unit, ns, per_second in UNIX:
        if EPOCHS[0] * per_second <= there.min() and there.max() <= EPOCHS[1] * per_second and len(set(there[:2])) > 1:
            exact = [int(cell) for cell in cells] if cells and all(c.isdigit() for c in cells) else None
            whole = np.array(exact, dtype=np.int64) * int(ns) if exact else np.rint(values * ns)
            return Times(name, f"Unix time in {unit}", whole.astype(np.int64))
    if not named_like_time(name):
        return None
    unit, factor = next(
        ((unit, found) for _, unit in readings(name) if unit and (found := scale(unit, SECONDS))), ("s", 1.0)
    )
    ns = values * factor * 1e9
    if np.abs(there * factor * 1e9).max() > 2**62:
        return None
    return Times(name, f"elapsed time in {unit}", np.rint(ns).astype(np.int64), dated=False)


def _from_text(name: str, cells: Sequence[str], lines: np.ndarray, where: str) -> tuple[Times, list[str]]:
    forms = [("ISO 8601", datetime.fromisoformat)]
    first = next((cell for cell in cells if not is_missing(cell)), "")
    for form in (date + clock for date in _DATES for clock in _CLOCKS):
        if _parsed(first, form) is not None or ("/" in first and "%d/%m" in form):
            forms.append((form, lambda cell, form=form: datetime.strptime(cell, form)))
    whole = [each for each in forms if all(_stamp(cell, each[1]) for cell in cells)]  # most fail at once: not tried
    tried = sorted((_tried(cells, parse, form) for form, parse in whole or forms), key=lambda one: one[0])
    (unread, _), form, stamps = tried[0]
    others = [also for (none, _), also, found in tried if none == unread == 0 and found != stamps]
    problems = [
        f"{where}:{line}: {name}: '{shown(cell)}' {NOT_A_TIME}"
        for stamp, cell, line in zip(stamps, cells, lines, strict=True)
        if stamp is None
    ]
    if len({stamp.tzinfo is None for stamp in stamps if stamp is not None}) > 1:
        problems.append(f"{where}: {name}: some times carry a zone and some do not; make them alike")
    ns = np.array([0 if stamp is None else _ns(stamp) for stamp in stamps], dtype=np.int64)
    return Times(name, _in_words(form), ns, other=_in_words(others[0]) if others else ""), problems


def _is_unit(text: str) -> bool:
    return bool(text) and scale(text, SECONDS) is not None


def _tried(
    cells: Sequence[str], parse: Callable[[str], datetime], form: str
) -> tuple[tuple[int, int], str, list[datetime | None]]:
    """Return how well a form fits (cells it does not read, different steps), and what it reads.

    From the same day of a month to that of another, steps are in months.
    """
    stamps = [_stamp(cell, parse) for cell in cells]
    there = [stamp for stamp in stamps if stamp is not None]
    at = [_ns(stamp) for stamp in there]
    if len({(stamp.day, stamp.time(), stamp.tzinfo) for stamp in there}) == 1:
        at = [12 * stamp.year + stamp.month for stamp in there]
    return (stamps.count(None), len(set(np.diff(at).tolist()))), form, stamps


def _parsed(cell: str, form: str) -> datetime | None:
    return _stamp(cell, lambda text: datetime.strptime(text, form))


def _stamp(cell: str, parse: Callable[[str], datetime]) -> datetime | None:
    """Return what a form reads in a cell, of a year that a measurement can be of; else None."""
    try:
        stamp = parse(cell)
    except (ValueError, OverflowError):
        return None
    return stamp if YEARS[0] < stamp.year < YEARS[1] else None


def _ns(stamp: datetime) -> int:
    """Return nanoseconds since 1970; times without a zone are compared as they stand."""
    aware = stamp if stamp.tzinfo is not None else stamp.replace(tzinfo=UTC)
    since = aware - datetime(1970, 1, 1, tzinfo=UTC)
    return ((since.days * 86400 + since.seconds) * 10**6 + since.microseconds) * 1000


def _in_words(form: str) -> str:
    for code, word in (("%Y", "year"), ("%y", "year"), ("%m", "month"), ("%d", "day")):
        form = form.replace(code, word)
    return form if form.startswith("ISO") else form.split(" ")[0]
