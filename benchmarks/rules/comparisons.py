"""What no table of one task says: noise of devices beside Gaussian noise, and ideas that were tried and left."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median

from benchmarks.common import table, verdict
from benchmarks.rules.cells import Cell, said
from benchmarks.rules.claims import FEEDBACK, below_ridge, best, times
from benchmarks.rules.numbers import Numbers
from benchmarks.rules.ways import EVERY, IDEAS, SAME_TEST

GAUSSIAN = "white"
WITHIN = 3.0
"""How many times the loss under Gaussian noise the loss under a device's may be."""


def against_gaussian(conditions: Mapping[str, Mapping[str, Sequence[Cell]]], numbers: Numbers) -> str | None:
    """Say what a device's noise costs each class on each task: its best method beside its best under Gaussian noise.

    Args:
        conditions: the cells of each task, by condition.

    Returns: a table and what it comes to; None where a condition but Gaussian noise, or that, was not run.
    """
    rows, counts = [], dict[str, list[bool]]()
    for condition, tables in conditions.items():
        for task, cells in tables.items() if condition not in ("ideal", GAUSSIAN) else ():
            gaussian = {c.way: found for c in conditions.get(GAUSSIAN, {}).get(task, ()) if (found := c.rows(numbers))}
            here = {c.way: found for c in cells if (found := c.rows(numbers))}
            for feedback in FEEDBACK:
                lead, beside = best(here, feedback), best(gaussian, feedback)
                if lead is None or beside is None:
                    continue
                (way, losses), (other_way, other) = lead, beside
                rows.append([condition, feedback, task, way, f"{median(losses):.3g}", other_way,
                             f"{median(other):.3g}", times(losses, other),
                             f"{below_ridge(here[way])} of {len(losses)}"])  # fmt: skip
                counts.setdefault(condition, []).append(median(losses) <= WITHIN * median(other) < math.inf)
    if not rows:
        return None
    heads = ["noise", "class", "task", "best method", "test loss", "under Gaussian noise", "its loss", "ratio",
             "below ridge"]  # fmt: skip
    notes = [
        f"- {verdict(f'{condition}: {sum(held)} of {len(held)} within {WITHIN:g} times of Gaussian noise', all(held))}"
        for condition, held in counts.items()
    ]
    return "\n".join([table(heads, rows), "", *notes])


def ideas(tables: Mapping[str, Sequence[Cell]], numbers: Numbers) -> str | None:
    """Write what was tried where echo stays far from BPTT, beside both, on the seeds that settings are chosen on.

    Args:
        tables: the cells of each task, all of one condition.

    Returns: a row an idea, a column a task; None where none was run.
    """
    tried = {name: {c.way: found for c in cells if (found := c.tried(numbers))} for name, cells in tables.items()}
    tried = {name: found for name, found in tried.items() if any(way in IDEAS for way in found)}
    if not tried:
        return None
    beside = ("BPTT", "echo", "echo + ANP")
    ways = [way for way in (*beside, *IDEAS) if any(way in found for found in tried.values())]
    rows = []
    for way in ways:
        settings = said(EVERY[way].settings[0]) if way in IDEAS else "as tuned"
        cells = [f"{median(found[way]):.2g}" if way in found else "" for found in tried.values()]
        rows.append([way, EVERY[way].feedback, settings, *cells])
    heads = [f"{task} (validation)" if task in SAME_TEST else task for task in tried]
    few = (
        "Medians of two seeds, of the test loss or of the sequences that training leaves out; each idea has one "
        "setting, and what stands above them was chosen of six on these very seeds."
    )
    return "\n".join([few, "", table(["idea", "class", "setting", *heads], rows)])
