"""Write numbers the way a paper does: three digits, SI prefixes, median and range."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

from neuroanp.errors import printable

PREFIXES = {-15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T"}
MISSING, SILENT = "–", "not stated"
"""What stands where no number is, in the results and in the books."""


def shown_as(value: Any) -> Any:
    """Return a value as a page shows it: of a text, escaped for HTML or not, no hidden character is left.

    >>> shown_as("pcm\\u202e"), shown_as(3)
    ('pcm\\\\u202e', 3)
    """
    return type(value)(printable(str(value))) if isinstance(value, str) else value


def numbers(values: Iterable[Any]) -> list[float]:
    """Return the finite numbers among `values`; what is missing or infinite is left out."""
    kept = [float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    return [v for v in kept if math.isfinite(v)]


def digits(value: float, count: int = 3) -> str:
    """Write a number with `count` significant digits.

    >>> [digits(x) for x in (0.0037512, 12, 1234567, 2.5e-7, 0)]
    ['0.00375', '12', '1.23e6', '2.50e-7', '0']
    """
    if not math.isfinite(value):
        return MISSING
    mantissa, _, exponent = f"{value:.{count - 1}e}".partition("e")
    rounded = float(f"{mantissa}e{exponent}")
    size = abs(rounded)
    if size == 0:
        return "0"
    if 1e-4 <= size < 10 ** max(count, 5):
        places = 0 if float(value).is_integer() else max(count - 1 - math.floor(math.log10(size)), 0)
        return f"{rounded:.{places}f}"
    return f"{mantissa}e{int(exponent)}"


def prefix(values: Sequence[float]) -> tuple[int, str]:
    """Return the (power, letter) of the SI prefix that suits the median size of `values`.

    >>> prefix([0.002, 0.004, 1e-9])
    (-3, 'm')
    """
    sizes = [abs(v) for v in values if v]
    if not sizes:
        return 0, ""
    power = 3 * math.floor(math.log10(float(f"{median(sizes):.2e}")) / 3)
    power = min(max(power, min(PREFIXES)), max(PREFIXES))
    return power, PREFIXES[power]


def quantity(value: float, unit: str) -> str:
    """Write a number with its unit and an SI prefix.

    >>> quantity(0.00382, "J"), quantity(0, "s"), quantity(12_600, "s")
    ('3.82 mJ', '0 s', '12.6 ks')
    """
    power, letter = prefix([value])
    return f"{digits(value / 10.0**power)} {letter}{unit}"


NUMBER = re.compile(r"[≥≤<>~± ]*([+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*([fpnµmkMGT]?)(J|s|W|Hz|V|A|S|Ω)?(?![a-z])")


def value_of(text: str) -> float | None:
    """Return the number that a cell begins with, in the base of its unit, to sort by; None where it begins with none.

    >>> [value_of(text) for text in ("≥ 3.20 µJ†", "1.2e-3", "5 of 6", "12.3 %", "–", "10 nm")]
    [3.2e-06, 0.0012, 5.0, 12.3, None, 10.0]
    """
    found = NUMBER.match(text)
    if found is None:
        return None
    letter = found[2] if found[3] else ""
    power = next(power for power, one in PREFIXES.items() if one == letter)
    digits_, _, exponent = found[1].partition("e")
    return float(f"{digits_}e{int(exponent or 0) + power}")


def middle(values: Sequence[float]) -> float:
    """Return the median, or NaN of nothing."""
    return float(median(values)) if values else math.nan
