"""Read a cell as a number, strictly, and say why one is none."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np

MISSING = frozenset({"", "na", "n/a", "#n/a", "<na>", "nan", "null", "none", "-", "--", "---"})
"""Cells that say that there is no value, in lower case."""

LARGEST = 1e300
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(?:([.,' \u00a0\u202f])\d{3})(?:\1\d{3})*(?:[.,]\d+)?")
_CURRENCY = re.compile(r"[€$£¥]|\b(?:EUR|USD|GBP|CHF|JPY)\b")
_WITH_UNIT = re.compile(r"([+-]?[\d.,]*\d(?:[eE][+-]?\d+)?)\s*([A-Za-zµμΩ°]{1,8})")


def number(cell: str, decimal: str = ".") -> float | None:
    """Return a cell as a finite number, or None where it is none.

    Args:
        cell: the text; blanks around it do not count.
        decimal: the decimal mark, point or comma; the other one makes a cell no number.

    >>> number(" 1.5e-3 "), number("0,5", ","), number("0,5"), number("1.500", ","), number("1_000")
    (0.0015, 0.5, None, None, None)
    """
    cell = cell.strip()  # of blanks that do not break, too, which are not ASCII
    if decimal == ",":
        if "." in cell:
            return None
        cell = cell.replace(",", ".")
    if "_" in cell or not cell.isascii():  # float() would take Python's 1_000, and digits of any script
        return None
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if abs(value) < LARGEST else None


def is_missing(cell: str) -> bool:
    """Whether a cell says that there is no value."""
    return cell.strip().lower() in MISSING


def column(cells: Sequence[str], decimal: str) -> tuple[np.ndarray, list[int]]:
    """Return cells as numbers (rows,), NaN where one is missing or wrong, and the rows that are wrong.

    >>> column(["1", "NA", "x"], ".")
    (array([ 1., nan, nan]), [2])
    """
    whole = "".join(cells)
    quick = decimal == "." and "_" not in whole and whole.isascii()
    values, wrong = np.full(len(cells), math.nan), []
    for row, cell in enumerate(cells):
        try:
            value = float(cell) if quick else number(cell, decimal)
        except ValueError:
            value = None
        if value is None:
            if not is_missing(cell):
                wrong.append(row)
        else:
            values[row] = value
    infinite = np.flatnonzero(np.abs(values) >= LARGEST)  # false for NaN
    values[infinite] = math.nan
    return values, sorted([*wrong, *infinite.tolist()])


def looks_like_number(cell: str, decimal: str) -> bool:
    """Whether a cell is a number, or would be one without separators of thousands, percent or currency.

    >>> [looks_like_number(cell, ".") for cell in ("1.5", "1,234,567", "12 %", "$5", "5 V", "%")]
    [True, True, True, True, False, False]
    """
    if number(cell, decimal) is not None:
        return True
    return any(c.isdigit() for c in cell) and (_has_sign(cell) or _has_thousands(cell.strip(), decimal))


def why_not(cell: str, decimal: str = ".") -> str:
    """Say why a cell is no number, and what to write instead.

    >>> why_not("1.234,5")
    "'1.234,5' has thousands separators; write 1234.5"
    >>> why_not("12 %")
    "'12 %' has a sign of percent; write 12, and the sign into the header"
    """
    text = cell.strip()
    said = f"'{shown(text)}'"
    if not text:
        return "the cell is empty"
    if "%" in text:
        bare = shown(text.replace("%", "").strip())
        return f"{said} has a sign of percent; write {bare}, and the sign into the header"
    if _CURRENCY.search(text):
        return f"{said} has a sign of currency; write {shown(_CURRENCY.sub('', text).strip())}"
    other = "." if decimal == "," else ","
    if _has_thousands(text, decimal):
        return f"{said} has thousands separators; write {_plain(text, decimal)}"
    if "_" in text:
        return f"{said} is not a number: it has an underscore"
    if number(text, other) is not None:
        return f"{said} has a decimal {_name(other)} where other cells have a {_name(decimal)}; write them alike"
    unit = _WITH_UNIT.fullmatch(text)
    if unit and number(unit[1], decimal) is not None:
        return f"{said} has a unit; write {unit[1]}, and the unit into the header"
    for what, bare in (
        ("a minus sign that is no hyphen (U+2212)", text.replace("\u2212", "-")),
        ("Fortran's exponent", re.sub("[dD]", "E", text)),
    ):
        if bare != text and number(bare, decimal) is not None:
            return f"{said} has {what}; write {bare}"
    if re.fullmatch(r"[+-]?(?:inf|infinity|[\d.,]+e\+?\d+)", text, re.IGNORECASE):
        return f"{said} is not a finite number below {LARGEST:g}"
    return f"{said} is not a number"


def shown(text: str, most: int = 40) -> str:
    """Return text of a file as a message shows it: shortened, nothing in it that a terminal obeys.

    >>> shown("a" * 50, 8), shown("\\x1b[31m")
    ('aaaaaaa…', '\\\\x1b[31m')
    """
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[: most + 1])
    return safe if len(safe) <= most else safe[: most - 1] + "…"


def _has_sign(text: str) -> bool:
    """Whether there is a sign of percent or of currency."""
    return "%" in text or bool(_CURRENCY.search(text))


def _has_thousands(text: str, decimal: str) -> bool:
    """Whether thousands are separated; a single mark that could be another file's decimal one is none."""
    other = "." if decimal == "," else ","
    return bool(_GROUPED.fullmatch(text)) and re.findall(r"[^\d+-]", text) != [other]


def _plain(text: str, decimal: str) -> str:
    """Return a number without thousands separators, its decimals behind the file's mark."""
    mark = max(text.rfind("."), text.rfind(","))
    several = len(set(re.findall(r"[^\d+-]", text))) > 1
    whole, part = (text[:mark], text[mark + 1 :]) if several else (text, "")
    return re.sub(r"[^\d+-]", "", whole) + (decimal + part if part else "")


def _name(mark: str) -> str:
    return "comma" if mark == "," else "point"
