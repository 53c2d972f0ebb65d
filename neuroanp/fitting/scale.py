"""The full scale that laws of phase-change memory refer conductances to, and what fits to it."""

from __future__ import annotations

import numpy as np

from neuroanp.fitting.options import Options
from neuroanp.fitting.result import Choice
from neuroanp.fitting.table import Table
from neuroanp.profiles import HardwareProfile
from neuroanp.units import format_quantity

MARGIN = 1.25
"""What noise may put a conductance above full scale."""
BELOW = 0.1
"""What it may put one below 0 S, in units of the largest."""


def full_scale(table: Table, column: str, base: HardwareProfile, options: Options, margin: float = 1.0) -> float:
    """Return g_max: the one asked for, else the base profile's; no value of the column may lie outside 0 to g_max.

    Raises:
        InputError: with the line of the first value outside.
    """
    g = table[column]
    refuse_negative(table, column, noisy=margin > 1)
    g_max = base.conductance.g_max if options.g_max is None else options.g_max
    above = np.flatnonzero(g > margin * g_max * (1 + 1e-9))
    if len(above):
        whose = f"of profile {base.name}" if options.g_max is None else "of --g-max"
        largest = format_quantity(float(g.max()), "S", 4)
        text = (
            f"'{format_quantity(float(g[above[0]]), 'S')}' is above g_max, '{format_quantity(g_max, 'S')}' {whose}; "
            f"state the range of your devices, e.g. --g-max '{largest}'"
        )
        raise table.wrong(above, column, text)
    return float(g_max)


def refuse_negative(table: Table, column: str, noisy: bool) -> None:
    """Refuse conductances below 0 S; noise may take reads there, by up to a tenth of the largest.

    Raises:
        InputError: with the line of the first.
    """
    g = table[column]
    negative = np.flatnonzero(g < (-BELOW * float(np.abs(g).max()) if noisy else 0.0))
    if len(negative):
        text = f"'{format_quantity(float(g[negative[0]]), 'S')}' is below 0 S; subtract the offset of the instrument"
        raise table.wrong(negative, column, text)


def range_choices(base: HardwareProfile, options: Options) -> list[Choice]:
    """Return the range of conductance where the user stated it; otherwise the base profile keeps its own."""
    given = (("g_min", options.g_min), ("g_max", options.g_max))
    said = "the range the fit was told"
    return [Choice(f"conductance.{n}", format_quantity(g, "S", None), said) for n, g in given if g is not None]
