"""Ranges that a search draws from: lo..hi and lo..hi:log, of numbers or of whole numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, floor, isfinite, log, log10
from typing import Any

from neuroanp.comparing.values import NUMBER, WHOLE
from neuroanp.errors import InputError

DIGITS = 4
"""Digits that a range of one decade resolves at least: what was drawn can be typed again."""
LARGEST, LARGEST_WHOLE = 1e300, 2**53
KEYS = {"low", "high", "log"}
"""Of a range as a mapping."""
FORM = "write lo..hi or lo..hi:log, e.g. 1e-4..1e-1:log, or {'low': 1e-4, 'high': 1e-1, 'log': True}"
_RANGE = re.compile(rf"({NUMBER})\.\.({NUMBER})(?::(lin|log))?")


@dataclass(frozen=True)
class Range:
    """Numbers between two ends, both among them.

    Args:
        low, high: the ends, in the unit of the key; whole numbers where `whole`.
        log: whether equal ratios count as equal distances. whole: whether all of them are whole numbers.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def at(self, share: float) -> int | float:
        """Return the number below which a share of the range lies: its quantile.

        v = low + (high - low) s, or v = low (high / low)^s; whole numbers are equally probable (lin), or as probable as
        the part of the range that rounds to them (log). Others are rounded as `rounded` does.

        Args: share: s, from 0 to below 1.

        >>> Range(1e-4, 1e-1, log=True).at(0.5), Range(0.1, 0.9).at(0.25), Range(5, 50, whole=True).at(0.999)
        (0.003162, 0.3, 50)
        """
        if not self.whole:
            return self.rounded(self._between(self.low, self.high, share))
        return self.rounded(self._between(self.low - 0.5, self.high + 0.5, share))

    def rounded(self, value: float) -> int | float:
        """Return a number of the range to as many digits as tell some ten thousand of it apart; whole where all are."""
        if self.whole:
            return int(min(max(floor(value + 0.5), self.low), self.high))
        if self.log:
            digits = DIGITS + max(0, -floor(log10(log(self.high) - log(self.low))))
            near = float(f"{value:.{min(digits, 17)}g}")
        else:
            near = round(value, DIGITS - floor(log10(self.high - self.low)))
        return min(max(near, float(self.low)), float(self.high))

    def place(self, value: float) -> float:
        """Return where a number lies, from 0 (the lower end) to 1, on the range's own scale.

        >>> round(Range(1e-4, 1e-1, log=True).place(1e-2), 6), Range(5, 50, whole=True).place(5)
        (0.666667, 0.0)
        """
        if self.log:
            return (log(value) - log(self.low)) / (log(self.high) - log(self.low))
        return (value - self.low) / (self.high - self.low)

    def _between(self, low: float, high: float, share: float) -> float:
        if self.log:
            return exp(log(low) + (log(high) - log(low)) * share)
        return low + (high - low) * share

    @property
    def ends(self) -> tuple[int | float, int | float]:
        """Both ends, as values of the key."""
        return (int(self.low), int(self.high)) if self.whole else (float(self.low), float(self.high))

    @property
    def count(self) -> int | None:
        """How many whole numbers it has; None of a range of others."""
        return int(self.high - self.low) + 1 if self.whole else None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data, which `range_of` reads again."""
        low, high = self.ends
        return {"low": low, "high": high, "log": self.log}

    def __str__(self) -> str:
        """Return it as it is written on the command line."""
        low, high = self.ends
        return f"{low!r}..{high!r}" + (":log" if self.log else "")


def range_of(given: Any, what: str) -> Range | None:
    """Return the range that is given, or None where it is values: a list, or a range of so many values.

    Args:
        given: "lo..hi", "lo..hi:lin", "lo..hi:log", or a mapping with low, high and, maybe, log. Whole numbers are
            drawn where both ends are written as such.
        what: the option and key that it is of, for messages.

    Raises:
        InputError: it is empty, backwards, beyond what numbers can hold, or has no logarithm.

    >>> range_of("1e-4..1e-1:log", "--tune optimizer.lr")
    Range(low=0.0001, high=0.1, log=True, whole=False)
    >>> range_of({"low": 5, "high": 50}, "--tune network.hidden")
    Range(low=5, high=50, log=False, whole=True)
    >>> range_of("1e-3..1e-2:log,4", "--tune optimizer.lr") is None
    True
    >>> range_of("0..1:log", "--tune optimizer.lr")
    Traceback (most recent call last):
    ...
    neuroanp.errors.InputError: --tune optimizer.lr: '0..1:log' has no logarithm at 0; begin above 0, or write 0..1
    """
    if isinstance(given, Mapping):
        return _of_mapping(given, what) if {"low", "high"} & given.keys() else None
    if not isinstance(given, str):
        return None
    found = _RANGE.fullmatch(re.sub(r"\s+", "", given))
    if found is None:
        return None
    low, high, kind = found.groups()
    whole = all(re.fullmatch(WHOLE, end) for end in (low, high))
    ends = (int(low), int(high)) if whole else (float(low), float(high))
    return _checked(Range(*ends, kind == "log", whole), what, low, high, given.strip())


def _of_mapping(given: Mapping[Any, Any], what: str) -> Range:
    if set(given) - KEYS or not {"low", "high"} <= given.keys() or not isinstance(given.get("log", False), bool):
        raise InputError(f"{what}: {dict(given)!r:.80} is no range; {FORM}")
    low, high = given["low"], given["high"]
    if not all(isinstance(end, int | float) and not isinstance(end, bool) for end in (low, high)):
        raise InputError(f"{what}: {dict(given)!r:.80} has an end that is no number; {FORM}")
    whole = isinstance(low, int) and isinstance(high, int)
    return _checked(Range(low, high, given.get("log", False), whole), what, repr(low), repr(high), repr(dict(given)))


def _checked(one: Range, what: str, low: str, high: str, said: str) -> Range:
    """Return a range if there is something between its ends; `low`, `high` and `said` are it as it was written."""
    kind = ":log" if one.log else ""
    if not all(isfinite(end) and abs(end) < (LARGEST_WHOLE if one.whole else LARGEST) for end in (one.low, one.high)):
        raise InputError(f"{what}: '{said:.80}' has an end that is out of range; {FORM}")
    if one.low == one.high:
        raise InputError(f"{what}: '{said:.80}' is empty: it begins where it ends; write the one value, {low}")
    if one.low > one.high:
        raise InputError(f"{what}: '{said:.80}' is empty: it runs backwards; write {high}..{low}{kind}")
    if one.log and one.low <= 0:
        raise InputError(f"{what}: '{said:.80}' has no logarithm at {low}; begin above 0, or write {low}..{high}")
    if not one.whole and not one.high - one.low > 1e-9 * max(abs(one.low), abs(one.high)):
        raise InputError(f"{what}: '{said:.80}' has ends that are one number to nine digits; widen it")
    return one
