"""Read the values of an axis: a list, a,b,c, or a range, lo..hi:log,n."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from math import log10
from typing import Any

from neuroanp.errors import InputError
from neuroanp.yaml_io import parse_value

MOST = 1_000
"""Values of one axis; a comparison of so many runs is refused sooner, unless it is meant."""
DIGITS = 4
"""Significant digits of what lies between the ends of a range: what is tried can be typed again."""
NUMBER = r"[-+]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
WHOLE = r"[-+]?[0-9]+"
"""How numbers, and whole ones, are written at the ends of a range."""
_RANGE = re.compile(rf"({NUMBER})\.\.({NUMBER}):(lin|log),([0-9]{{1,30}})")
_LIKE_A_RANGE = re.compile(rf"{NUMBER}\.\.|.*:\s*(lin|log)\b")
FORM = "write lo..hi:lin,n or lo..hi:log,n, e.g. 1e-3..1e-2:log,4 (--tune with --search takes lo..hi and lo..hi:log)"
_OPEN, _CLOSE = "[{(", "]})"


def values_of(text: str, what: str) -> list[Any]:
    """Return the values that a text lists, as a file would have them, or those of a range.

    A range has n values from lo to hi, both among them, at equal distances (lin) or ratios (log). What lies between is
    rounded to four significant digits. Whole numbers stay whole where all of a range are.

    Args:
        text: "a,b,c", commas within brackets and quotes aside, or "lo..hi:lin,n", "lo..hi:log,n".
        what: the option and key that it is of, for messages.

    Raises:
        InputError: it is empty, no such range, or names a value twice.

    >>> values_of("1e-3..1e-2:log,4", "--tune optimizer.lr")
    [0.001, 0.002154, 0.004642, 0.01]
    >>> values_of("50..200:lin,4", "--axis network.hidden"), values_of("[a, b],[]", "--axis hardware.without")
    ([50, 100, 150, 200], [['a', 'b'], []])
    >>> values_of("1e-2..1e-3:log,4", "--tune optimizer.lr")
    Traceback (most recent call last):
    ...
    neuroanp.errors.InputError: --tune optimizer.lr: '1e-2..1e-3:log,4' runs backwards; write 1e-3..1e-2:log,4
    """
    said = text.strip()
    if _LIKE_A_RANGE.match(said):
        return checked(_of_range(said, what), what)
    parts = [part.strip() for part in _split(said)]
    if not all(parts):
        raise InputError(f"{what}: '{text:.80}' has an empty part; write e.g. a,b, or {FORM.removeprefix('write ')}")
    return checked([parse_value(part, what) for part in parts], what)


def checked(values: Sequence[Any], what: str) -> list[Any]:
    """Return the values if there are any, not too many, and each is there once; InputError otherwise."""
    if not values:
        raise InputError(f"{what}: nothing is in it; name at least one value")
    if len(values) > MOST:
        raise InputError(f"{what}: {len(values):,} values; an axis has at most {MOST:,}")
    seen: set[str] = set()
    for value in values:
        if (key := _key(value)) in seen:
            raise InputError(f"{what}: {value!r:.60} is named twice; name each value once")
        seen.add(key)
    return list(values)


def _of_range(text: str, what: str) -> list[Any]:
    """Return the values of a range."""
    found = _RANGE.fullmatch(re.sub(r"\s+", "", text))
    if found is None:
        raise InputError(f"{what}: '{text:.80}' is no range; {FORM}")
    low_text, high_text, kind, count_text = found.groups()
    low, high, count = float(low_text), float(high_text), int(count_text)
    if not (abs(low) < 1e300 and abs(high) < 1e300):
        raise InputError(f"{what}: '{text:.80}' has an end that is out of range; {FORM}")
    if not 2 <= count <= MOST:
        raise InputError(f"{what}: '{text:.80}' has {count:,} values; a range has 2 to {MOST:,}")
    if low == high:
        raise InputError(f"{what}: '{text:.80}' begins where it ends; write the one value, {low_text}")
    if low > high:
        raise InputError(f"{what}: '{text:.80}' runs backwards; write {high_text}..{low_text}:{kind},{count}")
    if kind == "log" and low <= 0:
        raise InputError(f"{what}: '{text:.80}' has no logarithm at {low_text}; begin above 0, or write :lin,{count}")
    share = [k / (count - 1) for k in range(1, count - 1)]
    if kind == "log":
        between = [10 ** (log10(low) + (log10(high) - log10(low)) * s) for s in share]
    else:
        between = [low + (high - low) * s for s in share]
    values = [low, *(float(f"{value:.{DIGITS}g}") for value in between), high]
    whole = all(re.fullmatch(WHOLE, end) for end in (low_text, high_text))
    if whole and all(value.is_integer() for value in values):
        return [int(value) for value in values]
    if len(set(values)) < count:
        raise InputError(
            f"{what}: '{text:.80}' has values that {DIGITS} significant digits do not tell apart; take fewer"
        )
    return values


def _split(text: str) -> list[str]:
    """Split at commas that no bracket and no quotes enclose.

    >>> _split("{name: sgd, lr: 1},'a,b',c")
    ['{name: sgd, lr: 1}', "'a,b'", 'c']
    """
    parts, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in _OPEN + _CLOSE:
            depth += 1 if character in _OPEN else -1
        if character == "," and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _key(value: Any) -> str:
    """Return what tells values apart: 1 and 1.0 are one, true and 1 are not."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(float(value)) if abs(value) < 2**53 else repr(value)
    return json.dumps(value, sort_keys=True, default=repr) if isinstance(value, Mapping | list) else repr(value)
