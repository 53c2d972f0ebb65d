"""What no table of one task says: noise of devices beside Gaussian noise, and ideas that were tried and left."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import product
from statistics import median

from benchmarks.common import table, verdict
from benchmarks.rules.cells import Cell, said
from benchmarks.rules.claims import FEEDBACK, below_ridge, best, times
from benchmarks.rules.numbers import Numbers, Row
from benchmarks.rules.ways import CONDITIONS, EVERY, IDEAS, SAME_TEST, Way

GAUSSIAN = "white"
OF_01, OWN = ".01", "its own size"
CHOSEN = (
    "The best of those methods that were run, chosen for each seed by the others. Under Gaussian noise, and under "
    "smtj_koenders, settings are those chosen without noise; under the others they were chosen with it. Own sizes: "
    "results/noise_sizes.md."
)
WITHIN = 3.0
"""How many times the loss under Gaussian noise the loss under a device's may be."""


def against_gaussian(conditions: Mapping[str, Mapping[str, Sequence[Cell]]], numbers: Numbers) -> str | None:
    """Say what a device's noise costs each class on each task: its best method beside its best under Gaussian noise.

    Gaussian noise is of .01, and, where that was run, of the device's own size.

    Args:
        conditions: the cells of each task, by condition.

    Returns: a table and what it comes to; None where a condition but Gaussian noise, or that, was not run.
    """
    rows, counts = [], dict[tuple[str, str], list[bool]]()
    for condition, tables in conditions.items():
        size = CONDITIONS[condition].size
        for task, feedback in product(tables, FEEDBACK) if size else ():
            here = _run(tables[task], numbers)
            if (lead := best(here, feedback)) is None:
                continue
            losses, said = lead.losses, list[str]()
            for kind, gaussian in {OF_01: GAUSSIAN, OWN: size.get(task, "")}.items():  # "": not measured
                other = best(_run(conditions.get(gaussian, {}).get(task, ()), numbers), feedback)
                if other is None:
                    said += ["", "", "", *[""] * (kind == OWN)]
                    continue
                said += [*[gaussian] * (kind == OWN), other.name, f"{median(other.losses):.3g}",
                         times(losses, other.losses)]  # fmt: skip
                held = median(losses) <= WITHIN * median(other.losses) < math.inf
                counts.setdefault((condition, kind), []).append(held)
            if any(said):
                rows.append([condition, feedback, task, lead.name, f"{median(losses):.3g}", *said,
                             f"{below_ridge(lead.rows)} of {len(losses)}"])  # fmt: skip
    if not rows:
        return None
    heads = ["noise", "class", "task", "best method", "test loss", "under noise of .01", "its loss", "ratio",
             "own size", "under that", "its loss", "ratio", "below ridge"]  # fmt: skip
    notes = [CHOSEN, ""]
    for (condition, kind), held in counts.items():
        claim = f"{condition}: {sum(held)} of {len(held)} within {WITHIN:g} times of Gaussian noise of {kind}"
        notes.append(f"- {verdict(claim, all(held))}")
    return "\n".join([table(heads, rows), "", *notes])


def _run(cells: Sequence[Cell], numbers: Numbers) -> dict[str, list[Row]]:
    return {cell.way: found for cell in cells if (found := cell.rows(numbers))}


def ideas(
    tables: Mapping[str, Sequence[Cell]],
    numbers: Numbers,
    tried_there: Mapping[str, Way] = IDEAS,
    beside: Sequence[str] = ("BPTT", "echo", "echo + ANP"),
) -> str | None:
    """Write what was tried where a method stays far from another, beside both, on the seeds settings are chosen on.

    Args:
        tables: the cells of each task, all of one condition. tried_there: the ideas. beside: what they are held to.

    Returns: a row an idea, a column a task; None where none was run.
    """
    tried = {name: {c.way: found for c in cells if (found := c.tried(numbers))} for name, cells in tables.items()}
    tried = {name: found for name, found in tried.items() if any(way in tried_there for way in found)}
    if not tried:
        return None
    ways = [way for way in (*beside, *tried_there) if any(way in found for found in tried.values())]
    rows = []
    for way in ways:
        settings = said(EVERY[way].settings[0]) if way in tried_there else "as tuned"
        cells = [f"{median(found[way]):.2g}" if way in found else "" for found in tried.values()]
        rows.append([way, EVERY[way].feedback, settings, *cells])
    heads = [f"{task} (validation)" if task in SAME_TEST else task for task in tried]
    few = (
        "Medians of two seeds, of the test loss or of the sequences that training leaves out; each idea has one "
        "setting, and what stands above them was chosen of six on these very seeds."
    )
    return "\n".join([few, "", table(["idea", "class", "setting", *heads], rows)])
