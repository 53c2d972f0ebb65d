"""Times that a chip lies idle: text with a unit that is kept as it was written, to name results by."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from neuroanp.units import Dimension

_IDLE = Dimension("time", "s", "1 h", positive=True)
_QUANTITY = re.compile(r"(\S*?)\s*([A-Za-zµμ]+)")


def seconds(text: str) -> float:
    """Return an idle time in seconds; ValueError says what to write instead.

    >>> seconds("1 h"), seconds("30 d")
    (3600.0, 2592000.0)
    """
    return _IDLE.parse(text)


def named(text: str) -> str:
    """Return the name of an idle time, which is its text with one space before the unit; ValueError as `seconds`.

    >>> named(" 1h"), named("1e3s"), named("30  d")
    ('1 h', '1e3 s', '30 d')
    """
    seconds(text)
    match = _QUANTITY.fullmatch(text.strip())
    return f"{match[1]} {match[2]}" if match else text.strip()


def not_bare(value: Any) -> Any:
    """Return a value unless it is a bare number; ValueError says what to write instead.

    >>> not_bare("5 h")
    '5 h'
    >>> not_bare(5)
    Traceback (most recent call last):
    ...
    ValueError: '5' has no unit; write e.g. '5 h'
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f"'{value}' has no unit; write e.g. '{value} h'")
    return value


def without_repeats(times: Sequence[str]) -> list[str]:
    """Return the times from the shortest to the longest; ValueError where two are the same.

    >>> without_repeats(["30 d", "1 h"])
    ['1 h', '30 d']
    >>> without_repeats(["1 h", "60 min"])
    Traceback (most recent call last):
    ...
    ValueError: '60 min' is '1 h' again; name each time once
    """
    found: dict[float, str] = {}
    for text in times:
        time = seconds(text)
        if time in found:
            raise ValueError(f"'{text}' is '{found[time]}' again; name each time once")
        found[time] = text
    return [found[time] for time in sorted(found)]


Idle = Annotated[str, BeforeValidator(not_bare), AfterValidator(named)]
