"""The table of one task under one condition: each method, its setting, and what it comes to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.common import spread, table
from benchmarks.rules.cells import FIRST, Cell, controls_of, said
from benchmarks.rules.claims import below, claims, column, made_by, targets
from benchmarks.rules.numbers import Numbers, Row
from benchmarks.rules.ways import CONDITIONS, EVERY, PASSES, WAYS
from neuroanp.reporting.tables import at_least

HEADS = (
    "method", "class", "setting", "test loss, median [range]", "ridge refit", "ridge untrained", "below ridge",
    "refit below (chance)",
)  # fmt: skip
OTHERS = ("persistence", "lagged_linear", "frozen_recurrence", "constant_mean")


def section(cells: Sequence[Cell], numbers: Numbers) -> str | None:
    """Write what one task under one condition came to; methods whose runs are missing are left out, and named."""
    found = {cell.way: rows for cell in cells if (rows := cell.rows(numbers)) is not None}
    if not found:
        return None
    untrained, again = controls_of([row for rows in found.values() for row in rows])
    rows = [_row(cell, found[cell.way], numbers, untrained, again) for cell in cells if cell.way in found]
    first = next(iter(found.values()))
    for control in OTHERS:
        losses = column(found.get(FIRST, []) if control == "frozen_recurrence" else first, control)
        if losses and all(map(math.isfinite, losses)):
            own = f" ({FIRST}'s readout)" if control == "frozen_recurrence" else ""
            rows.append([f"control: {control}{own}", "", "", spread(losses), "", "", "", ""])
    # ideas have a table of their own
    missing = [cell.way for cell in cells if cell.way not in found and cell.way in WAYS]
    notes = [f"not run: {'; '.join(missing)}"] if missing else []
    chosen = {cell.way: cell.setting(numbers) for cell in cells if cell.way in found}
    edge = [way for way, setting in chosen.items() if at_edge(way, setting)]
    notes += [f"rate at the edge of those that were tried: {'; '.join(edge)}"] if edge else []
    alone = [way for way, setting in chosen.items() if len(rates_beside(way, setting)) == 1]
    notes += [f"no other rate was tried with its other options: {'; '.join(alone)}"] if alone else []
    task, name, condition = cells[0].task, cells[0].condition, CONDITIONS[cells[0].condition]
    where = "fitted and read under the same noise" if untrained == "ridge_noisy" else "without noise"
    about = (
        f"{condition.about}; settings chosen under {condition.tuned}; ridge {where}; {PASSES} passes, hidden 100, "
        f"{cells[0].seeds} seeds; {made_by([row for each in found.values() for row in each])}."
    )
    told = [*claims(found, untrained, again), *targets(found, task, name, untrained, again), *notes]
    return "\n".join([about, "", table(HEADS, rows), "", *(f"- {each}" for each in told)])


def _row(cell: Cell, rows: Sequence[Row], numbers: Numbers, untrained: str, again: str) -> list[str]:
    losses, refit, ridge = (column(rows, key) for key in ("test_loss", again, untrained))
    counts = below(losses, ridge), below(refit, ridge)
    return [
        cell.way, EVERY[cell.way].feedback, said(cell.setting(numbers)), spread(losses), spread(refit), spread(ridge),
        f"{counts[0]} of {len(rows)}", f"{counts[1]} of {len(rows)} ({at_least(counts[1], len(rows)):.2g})",
    ]  # fmt: skip


def rates_beside(way: str, setting: Mapping[str, Any]) -> list[float]:
    """Return the rates that the other options of a setting were tried with."""
    own = {key: value for key, value in setting.items() if key != "lr"}
    return [each["lr"] for each in EVERY[way].settings if {k: v for k, v in each.items() if k != "lr"} == own]


def at_edge(way: str, setting: Mapping[str, Any]) -> bool:
    """Return whether a setting has the lowest or the highest of several rates that its other options were tried with.

    >>> at_edge("BPTT", {"lr": 8e-3}), at_edge("BPTT", {"lr": 1e-3})
    (True, False)
    """
    rates = rates_beside(way, setting)
    return len(rates) > 1 and setting["lr"] in (min(rates), max(rates))
