"""The tables of the comparison, and whether its targets are met."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.common import spread, table, verdict
from benchmarks.rules.cells import FIRST, Cell, controls_of, said
from benchmarks.rules.numbers import Numbers, Row
from benchmarks.rules.ways import CONDITIONS, EVERY, PASSES, WAYS
from neuroanp.reporting.tables import at_least

Found = Mapping[str, Sequence[Row]]
"""The rows of each method, a row a seed."""
HEADS = (
    "method", "class", "setting", "test loss, median [range]", "ridge refit", "ridge untrained", "below ridge",
    "refit below (chance)",
)  # fmt: skip
BEFORE = "ANP, K=15"
"""What was recommended before."""
OLDER = ("NP", "WP")
FEEDBACK = ("E", "S+", "S")
"""Classes, those that hear most first."""
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
    edge = [cell.way for cell in cells if cell.way in found and at_edge(cell.way, cell.setting(numbers))]
    notes += [f"rate at the edge of those that were tried: {'; '.join(edge)}"] if edge else []
    where = "fitted and read under the same noise" if untrained == "ridge_noisy" else "without noise"
    about = (
        f"{CONDITIONS[cells[0].condition].about}; ridge {where}; {PASSES} passes, hidden 100, {cells[0].seeds} seeds."
    )
    return "\n".join(
        [about, "", table(HEADS, rows), "", *(f"- {c}" for c in [*claims(found, untrained, again), *notes])]
    )


def _row(cell: Cell, rows: Sequence[Row], numbers: Numbers, untrained: str, again: str) -> list[str]:
    losses, refit, ridge = (column(rows, key) for key in ("test_loss", again, untrained))
    counts = below(losses, ridge), below(refit, ridge)
    return [
        cell.way, EVERY[cell.way].feedback, said(cell.setting(numbers)), spread(losses), spread(refit), spread(ridge),
        f"{counts[0]} of {len(rows)}", f"{counts[1]} of {len(rows)} ({at_least(counts[1], len(rows)):.2g})",
    ]  # fmt: skip


def at_edge(way: str, setting: Mapping[str, Any]) -> bool:
    """Return whether a setting has the lowest or the highest of the rates that its other options were tried with.

    >>> at_edge("BPTT", {"lr": 8e-3}), at_edge("BPTT", {"lr": 1e-3})
    (True, False)
    """
    own = {key: value for key, value in setting.items() if key != "lr"}
    rates = [each["lr"] for each in EVERY[way].settings if {k: v for k, v in each.items() if k != "lr"} == own]
    return len(rates) > 1 and setting["lr"] in (min(rates), max(rates))


def column(rows: Sequence[Row], key: str) -> list[float]:
    """Return one number a seed; where there is none, infinity."""
    return [float("inf") if row.get(key) is None else float(row[key]) for row in rows]


def below(losses: Sequence[float], others: Sequence[float]) -> int:
    """Count the seeds on which a loss is below another.

    >>> below([1.0, 2.0], [1.5, 2.0])
    1
    """
    return sum(a < b for a, b in zip(losses, others, strict=True))


def below_ridge(rows: Sequence[Row]) -> int:
    """Count the seeds on which a method is, as learned, below a ridge readout of the untrained network."""
    return below(column(rows, "test_loss"), column(rows, controls_of(rows)[0]))


def best(found: Found, feedback: str) -> tuple[str, list[float]] | None:
    """Return the method of a class with the lowest median loss, and its losses; what was an idea alone is none."""
    ways = [way for way in found if way in WAYS and EVERY[way].feedback == feedback]
    if not ways:
        return None
    way = min(ways, key=lambda each: median(column(found[each], "test_loss")))
    return way, column(found[way], "test_loss")


def claims(found: Found, untrained: str, again: str) -> list[str]:
    """Say how the best method of each class stands to BPTT, to the ridge, and to what rules there were."""
    told = []
    for feedback in FEEDBACK:
        if (lead := best(found, feedback)) is not None:
            way, losses = lead
            ridge, refit = column(found[way], untrained), column(found[way], again)
            factor = f", {times(losses, column(found['BPTT'], 'test_loss'))} times BPTT" if "BPTT" in found else ""
            counts = f"{below(losses, ridge)} of {len(ridge)}, its refit {below(refit, ridge)} of {len(ridge)}"
            told.append(f"class {feedback}, best here: {way}, {median(losses):.3g}{factor}; below the ridge {counts}")
    ours = best({way: rows for way, rows in found.items() if way not in OLDER}, "S")
    if ours is not None:
        name, losses = ours
        factors = [f"{way} {times(column(found[way], 'test_loss'), losses)}" for way in OLDER if way in found]
        told += [f"in units of class S's best, {name}: {', '.join(factors)}"] if factors else []
        if BEFORE in found:
            before = median(column(found[BEFORE], "test_loss"))
            holds, share = median(losses) <= 0.5 * before, times(losses, [before])
            told.append(verdict(f"class S, {name}, at {share} of the loss of {BEFORE} (<= .5)", holds))
    return told


def times(losses: Sequence[float], others: Sequence[float]) -> str:
    """Write the ratio of two medians; of runs that diverged there is none."""
    one, other = median(losses), median(others)
    return f"{one / other:.3g}" if math.isfinite(one) and math.isfinite(other) else "?"
