"""Look for numbers that may be none: codes for missing values, counters and clocks."""

from __future__ import annotations

import numpy as np

CODES = frozenset(
    sign * value
    for sign in (1.0, -1.0)
    for value in (
        99, 99.9, 99.99, 999, 999.9, 999.99, 999.25, 9999, 9999.9, 9999.99, 99999, 99999.9, 999999,
        6999, 7999, 8888, 32767, 32768, 65535, 2147483647, 1e10, 1e20, 1e30, 1e36, 1e37, 9.9e37, 9.91e37,
    )
) | {9.969209968386869e36, 9.96921e36}  # fmt: skip
"""Numbers that loggers, archives and instruments write where they have none."""
OUTSIDE = 0.5
"""A known code is suspected if it lies outside the rest by more than this share of their range."""
FAR = 3.0
"""And so is any other number, if it is there again and again, and this far outside."""
AGAIN = 3
FEW, SEVERAL = 3, 10
"""How many different numbers the rest must have at least, for a known code and for any other."""
ROUNDS = 6


def suspected_codes(values: np.ndarray, only_codes: bool = False) -> list[tuple[float, int]]:
    """Return numbers that stand for nothing as it seems, with how often each is there.

    A suspect is the smallest or the largest of a column, and lies far outside the range of the rest.
    A column of few different numbers (a switch, a state) has no suspects. `only_codes`: known codes alone.

    >>> suspected_codes(np.array([3.1, -999.9, 2.8, 3.0, -999.9, 3.3]))
    [(-999.9, 2)]
    """
    rest = values[np.isfinite(values)]
    found: list[tuple[float, int]] = []
    for _ in range(ROUNDS):
        if not len(rest):
            break
        worst = max((_suspicion(rest, end, only_codes) for end in (rest.min(), rest.max())), default=None)
        if worst is None or worst[0] <= 0:
            break
        _, code, count = worst
        found.append((code, count))
        rest = rest[rest != code]
    return found


def suspicions(
    name: str, values: np.ndarray, lines: np.ndarray, label: str, remedy: str, only_codes: bool = False
) -> list[str]:
    """Return a line for each suspect of a column.

    Args:
        name: the column's; values: (rows,); lines: (rows,) line of each in the file `label`.
        remedy: what settles it, "{code}" in it for the number.
        only_codes: suspect known codes alone.
    """
    said, rest = [], values[np.isfinite(values)]
    for code, count in suspected_codes(values, only_codes):
        rest = rest[rest != code]
        line = lines[int(np.flatnonzero(values == code)[0])]
        rows = f"in {count:,} rows" if count > 1 else "in one row"
        said.append(
            f"{label}:{line}: {name}: {code:g} {rows}, far outside the rest ({rest.min():g} to {rest.max():g}): "
            f"a code for missing values? {remedy.format(code=f'{code:g}')}"
        )
    return said


def _suspicion(values: np.ndarray, end: float, only_codes: bool) -> tuple[float, float, int]:
    """Return by how many ranges of the rest an end of a column lies outside (0: no suspect), itself and its number."""
    here = values == end
    count, rest = int(here.sum()), values[~here]
    low, high = (rest.min(), rest.max()) if len(rest) else (0.0, 0.0)
    known = any(abs(end - code) <= 1e-6 * abs(code) for code in CODES)
    if high <= low or not (known or (count >= AGAIN and not only_codes)):
        return 0.0, float(end), count
    outside = float(max(low - end, end - high) / (high - low))
    far, different = (OUTSIDE, FEW) if known else (FAR, SEVERAL)
    suspected = outside > far and len(np.unique(rest[:10_000])) >= different
    return (outside if suspected else 0.0), float(end), count


def counts_up(values: np.ndarray) -> bool:
    """Whether a column rises by the same step from row to row: a counter or a clock, no measurement.

    >>> counts_up(np.arange(5.0)), counts_up(np.array([0.0, 0.1, 0.2, 0.35]))
    (True, False)
    """
    if len(values) < 3 or not np.isfinite(values).all():
        return False
    steps = np.diff(values)
    step = (values[-1] - values[0]) / (len(values) - 1)
    rounding = 1e-9 * np.abs(values).max()
    return bool(step > 0 and np.abs(steps - step).max() <= 1e-6 * step + rounding)
