"""What the name of a column says: the quantity, and the unit in any of the ways it is written."""

from __future__ import annotations

import re
from collections.abc import Iterator

from neuroanp.units import Dimension

WORDS = {
    "s": ("sec", "secs", "second", "seconds"),
    "ms": ("msec", "millisecond", "milliseconds"),
    "us": ("usec", "microsecond", "microseconds"),
    "ns": ("nsec", "nanosecond", "nanoseconds"),
    "minute": ("min", "mins", "minutes"),
    "hour": ("h", "hr", "hrs", "hours"),
    "day": ("d", "days"),
    "V": ("volt", "volts"),
    "A": ("amp", "amps", "ampere", "amperes"),
    "ohm": ("ohms", "ohm"),
    "S": ("siemens",),
}
OTHER_UNITS = ("", "%", "1", "°C", "degC", "K", "hPa", "Pa", "W", "kW", "Hz", "m/s", "mm", "mph", "°F", "F", "-")
"""Units, as they stand, of what a fit does not ask for."""
TIMES = frozenset({"time", "t", "date", "datetime", "timestamp", "ts", "unix", "epoch", "unix_time", "elapsed", "zeit"})
"""Names of columns of times, as `fold` writes them."""
_UNIT_OF = {word: unit for unit, words in WORDS.items() for word in words}
_BRACKETS = re.compile(r"(?P<name>.*?)[\s_]*(?:\((?P<a>[^()]*)\)|\[(?P<b>[^\[\]]*)\]|\{(?P<c>[^{}]*)\})")
_TAILS = (
    re.compile(r"(?P<name>.+?)\s*,\s*(?P<unit>[^,]+)"),
    re.compile(r"(?P<name>.+?)\s*/\s*(?P<unit>.+)"),
    re.compile(r"(?P<name>.+)_(?P<unit>[^_]+)"),
    re.compile(r"(?P<name>.+)\s+(?P<unit>\S+)"),
)
_INVERSE = re.compile(r"1\s*/\s*(?P<of>\w+)")
QUANTITIES = tuple(
    Dimension(name, unit, f"1 {unit}", signed=True)
    for name, unit in (("time", "s"), ("voltage", "V"), ("current", "A"), ("conductance", "S"), ("resistance", "ohm"))
)
"""What columns of measurements hold."""
SECONDS = QUANTITIES[0]


def unit_of(text: str) -> str:
    """Return a unit as `units` reads it, from how instruments write it: without brackets, words as symbols.

    >>> unit_of("(us)"), unit_of("Volt"), unit_of("sec"), unit_of("mV"), unit_of("1/kOhm")
    ('us', 'V', 's', 'mV', 'kohm^-1')
    """
    bare = text.strip().strip("()[]{}").strip()
    inverse = _INVERSE.fullmatch(bare)
    if inverse:
        return f"{unit_of(inverse['of'])}^-1"
    word = bare.lower() if len(bare) > 1 else bare  # one letter is a symbol: h is an hour, H no time
    return _UNIT_OF.get(word, bare.replace("Ohm", "ohm"))


def unit_under(name: str, text: str) -> str:
    """Return the unit of a column of that name; oscilloscopes write S for seconds.

    >>> unit_under("TIME", "S"), unit_under("G", "S")
    ('s', 'S')
    """
    unit = unit_of(text)
    return "s" if unit == "S" and fold(name) in TIMES else unit


def scale(text: str, dimension: Dimension) -> float | None:
    """Return how many SI units of a dimension the written unit is, or None where it measures something else."""
    try:
        return dimension.parse(f"1 {unit_of(text)}")
    except ValueError:
        return None


def measured(text: str) -> Dimension | None:
    """Return which quantity of a measurement a written unit measures, or None."""
    return next((one for one in QUANTITIES if scale(text, one) is not None), None) if text else None


def readings(header: str) -> Iterator[tuple[str, str]]:
    """Yield each way to read a header as a name and a unit, the likeliest first; the last is without a unit.

    >>> list(readings("Time (us)")), list(readings("t_us"))
    ([('Time', 'us'), ('Time (us)', '')], [('t', 'us'), ('t_us', '')])
    """
    text = header.strip()
    bracketed = _BRACKETS.fullmatch(text)
    if bracketed:
        unit = next(part for part in bracketed.group("a", "b", "c") if part is not None)
        yield _spelled(bracketed["name"].strip(), unit.strip())
    else:
        for pattern in _TAILS:
            found = pattern.fullmatch(text)
            if found:
                yield _spelled(found["name"].strip(), found["unit"].strip())
        if unit_of(text) != text:
            yield text, text  # "Second": the unit is all there is
    yield text, ""


def _spelled(name: str, unit: str) -> tuple[str, str]:
    return name, "s" if unit == "S" and unit_under(name, unit) == "s" else unit


def fold(name: str) -> str:
    """Return a name as it is compared: lower case, words joined by underscores.

    >>> fold("Read Voltage"), fold("read_voltage")
    ('read_voltage', 'read_voltage')
    """
    return re.sub(r"[\s_\-]+", "_", name.strip().lower())
