"""Tables of methods x tasks: as learned, refit, untrained; and what each method needs of the hardware."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from statistics import median

from benchmarks.common import table
from benchmarks.rules.cells import Cell, controls_of
from benchmarks.rules.claims import LAGGED, below, column
from benchmarks.rules.numbers import Numbers, Row
from benchmarks.rules.ways import EVERY
from neuroanp.training.configure import configure


def overview(tables: Mapping[str, Sequence[Cell]], numbers: Numbers) -> str:
    """Write the table, a row a method and a column a task; those of which nothing was run are left out.

    A cell has the median loss as learned, [of a ridge readout refitted], and how many seeds of each are below a ridge
    readout of the untrained network.

    Args:
        tables: the cells of each task, all of one condition.
    """
    tables = _with_something_run(tables, numbers)
    ways = methods(tables, numbers)
    rows = [[*_line(way, tables, numbers), _command(way, tables, numbers)] for way in ways]
    rows += [[name, "", *each, ""] for name, each in _others(tables, numbers).items()]
    return "\n".join([table(["method", "class", *tables, "command"], rows), "", *_needs(ways)])


def methods(tables: Mapping[str, Sequence[Cell]], numbers: Numbers) -> list[str]:
    """Return the methods that were run on any of the tasks."""
    return [way for way in EVERY if _run(way, tables, numbers)]


def under_noise(
    conditions: Mapping[str, Mapping[str, Sequence[Cell]]], numbers: Numbers, told: Collection[str] = ()
) -> str:
    """Write one table of several conditions, a row a condition and a method; cells are as in `overview`.

    Args:
        conditions: the cells of each task, by condition.
        told: methods of which another table says what they need.
    """
    run = {name: _with_something_run(tables, numbers) for name, tables in conditions.items()}
    conditions = {name: tables for name, tables in run.items() if tables}
    names = list(dict.fromkeys(name for tables in conditions.values() for name in tables))
    rows, ways = [], dict[str, None]()
    for condition, found in conditions.items():
        tables = {name: found.get(name, ()) for name in names}
        here = methods(tables, numbers)
        rows += [[condition, *_line(way, tables, numbers), _command(way, tables, numbers, condition)] for way in here]
        rows += [[condition, name, "", *each, ""] for name, each in _others(tables, numbers).items()]
        ways |= dict.fromkeys(here)
    needs = _needs([way for way in ways if way not in told])
    return "\n".join([table(["noise", "method", "class", *names, "command"], rows), *[""] * bool(needs), *needs])


def _needs(ways: Sequence[str]) -> list[str]:
    return [f"- {way}: {EVERY[way].passes} passes an update; {needed(way)}" for way in ways]


def _with_something_run(tables: Mapping[str, Sequence[Cell]], numbers: Numbers) -> Mapping[str, Sequence[Cell]]:
    return {name: cells for name, cells in tables.items() if any(c.rows(numbers) is not None for c in cells)}


def _rows(cells: Sequence[Cell], way: str, numbers: Numbers) -> list[Row] | None:
    cell = next((each for each in cells if each.way == way), None)
    return cell.rows(numbers) if cell is not None else None


def _line(way: str, tables: Mapping[str, Sequence[Cell]], numbers: Numbers) -> list[str]:
    """Write a method, its class and its cells."""
    line = [way, EVERY[way].feedback]
    for cells in tables.values():
        if (found := _rows(cells, way, numbers)) is None:
            line.append("")
            continue
        untrained, again = controls_of(found)
        losses, refit, control = (column(found, key) for key in ("test_loss", again, untrained))
        counts = f"{below(losses, control)}, {below(refit, control)}"
        line.append(f"{median(losses):.2g} [{median(refit):.2g}] {counts}")
    return line


def _run(way: str, tables: Mapping[str, Sequence[Cell]], numbers: Numbers) -> list[str]:
    """Return the tasks that a method was run on."""
    return [cells[0].task for cells in tables.values() if _rows(cells, way, numbers) is not None]


def _command(way: str, tables: Mapping[str, Sequence[Cell]], numbers: Numbers, condition: str = "") -> str:
    """Return the words that repeat a row."""
    under = f"--conditions {condition} " if condition else ""
    return f'`{under}--ways "{way}" --only {" ".join(_run(way, tables, numbers))}`'


def _others(tables: Mapping[str, Sequence[Cell]], numbers: Numbers) -> dict[str, list[str]]:
    """Write the medians of the ridge readouts of untrained networks, and of a lagged linear model where there is one.

    They are those beside the first method that was run.
    """
    lines: dict[str, list[str]] = {"ridge, untrained": [], "lagged linear model": []}
    for cells in tables.values():
        found = next((rows for way in EVERY if (rows := _rows(cells, way, numbers)) is not None), [])
        for line, key in zip(lines.values(), (controls_of(found)[0], LAGGED), strict=True):
            there = median(column(found, key)) if found else math.inf
            line.append(f"{there:.2g}" if math.isfinite(there) else "")
    return {name: line for name, line in lines.items() if any(line)}


def needed(way: str) -> str:
    """Say what a method needs of the hardware, in the words of `neuroanp rules list`; of its first setting."""
    rule = {**EVERY[way].rule, **{key: value for key, value in EVERY[way].settings[0].items() if key != "lr"}}
    return (
        "; ".join(configure({"task": "copy", "rule": rule}).rule.needs) or "nothing: a host learns, on a digital twin"
    )
