"""One table of methods x tasks: as learned, refit, untrained; and what each method needs of the hardware."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from benchmarks.common import table
from benchmarks.rules.cells import Cell, controls_of
from benchmarks.rules.numbers import Numbers
from benchmarks.rules.tables import below, column
from benchmarks.rules.ways import EVERY
from neuroanp.training.configure import configure


def overview(tables: Mapping[str, Sequence[Cell]], numbers: Numbers) -> str:
    """Write the table, a row a method and a column a task; those of which nothing was run are left out.

    A cell has the median loss as learned, [of a ridge readout refitted], and how many seeds of each are below a ridge
    readout of the untrained network.

    Args:
        tables: the cells of each task, all of one condition.
    """
    run = {name: {c.way for c in cells if c.rows(numbers) is not None} for name, cells in tables.items()}
    tables = {name: cells for name, cells in tables.items() if run[name]}
    ways = [way for way in EVERY if any(way in found for found in run.values())]
    rows, ridge = [], dict[str, str]()
    for way in ways:
        row = [way, EVERY[way].feedback]
        for name, cells in tables.items():
            cell = next((each for each in cells if each.way == way), None)
            found = cell.rows(numbers) if cell is not None else None
            if found is None:
                row.append("")
                continue
            untrained, again = controls_of(found)
            losses, refit, control = (column(found, key) for key in ("test_loss", again, untrained))
            counts = f"{below(losses, control)}, {below(refit, control)}"
            row.append(f"{median(losses):.2g} [{median(refit):.2g}] {counts}")
            ridge.setdefault(name, f"{median(control):.2g}")
        rows.append([*row, f'`--ways "{way}"`'])
    rows.append(["ridge, untrained", "", *(ridge.get(name, "") for name in tables), ""])
    needs = [f"- {way}: {EVERY[way].passes} passes an update; {needed(way)}" for way in ways]
    return "\n".join([table(["method", "class", *tables, "command"], rows), "", *needs])


def needed(way: str) -> str:
    """Say what a method needs of the hardware, in the words of `neuroanp rules list`; of its first setting."""
    rule = {**EVERY[way].rule, **{key: value for key, value in EVERY[way].settings[0].items() if key != "lr"}}
    return (
        "; ".join(configure({"task": "copy", "rule": rule}).rule.needs) or "nothing: a host learns, on a digital twin"
    )
