"""Say what runs are in one line, and show them as a small table in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroanp.errors import NeuroanpError
from neuroanp.records.manifest import ENDED
from neuroanp.reporting.tables import methods, results_table
from neuroanp.reporting.values import digits

if TYPE_CHECKING:
    from neuroanp.records.run_dir import RunDir
    from neuroanp.reporting.tables import Cell, Table


def of_run(record: RunDir) -> str:
    """Say in one line what a run is, how it ended, and where it lies."""
    path = near(record.path)
    try:
        row = record.result
    except NeuroanpError:
        return f"its result is damaged; {path}"
    if row is None and record.manifest["status"] in ENDED:
        return f"its result is damaged; {path}"
    if row is None:
        return f"{record.path.name}: no result yet, {record.manifest['status']}; {path}"
    loss = row["test_loss"]
    said = "no test loss" if loss is None else f"test loss {digits(loss)}"
    return f"{name(row)}: {said}, {row['status']}; {path}"


def of_runs(records: Sequence[RunDir], failed: int) -> str:
    """Say in one line how many runs there are and which is the best.

    >>> of_runs([], 2)
    '0 runs, 2 failed'
    """
    said = f"{len(records)} run{'s' * (len(records) != 1)}" + (f", {failed} failed" if failed else "")
    rows = [row for record in records if (row := _row(record)) is not None and row["test_loss"] is not None]
    if not rows:
        return said
    best = min(rows, key=lambda row: row["test_loss"])
    return f"{said}; lowest test loss {digits(best['test_loss'])} of {name(best)}"


def name(row: dict[str, Any]) -> str:
    """Return what a run is called by its result.

    >>> name({"task": "copy", "profile": "pcm", "backend": "rate", "rule": "anp", "seed": 0})
    'copy · pcm · anp · seed 0'
    """
    backend = [] if row["backend"] == "rate" else [row["backend"]]
    return " · ".join(map(str, [row["task"], row["profile"], *backend, row["rule"], f"seed {row['seed']}"]))


def near(path: Path) -> str:
    """Return a path as a person would write it: relative below the working directory.

    >>> near(Path.cwd() / "runs" / "a")
    'runs/a'
    """
    whole = path.absolute()
    return str(whole.relative_to(Path.cwd())) if whole.is_relative_to(Path.cwd()) else str(path)


def table(records: Sequence[RunDir], said: str, failed: Sequence[tuple[str, str]] = ()) -> str | None:
    """Return runs as a table of HTML under the line that `said` is; None, which shows that line alone, without results.

    Args:
        records: the runs; each task has rows of its own, seeds of one method are one row.
        said: what the table is of.
        failed: label and message of runs without a result.
    """
    from neuroanp.reporting.reading import shown, variants

    try:
        every = [shown(record) for record in records if record.result is not None]
        tables = []
        for task in dict.fromkeys(one.task for one in every):
            here = [one for one in every if one.task == task]
            tables.append((task, results_table(methods([one.result for one in here], variants(here)))))
    except NeuroanpError:  # a damaged record is told of where it is used
        return None
    if not tables:
        return None
    parts = [f"<div>{escape(said)}</div>", *(_html(task, found) for task, found in tables)]
    parts += [f"<div>{escape(f'{label}: {message}')}</div>" for label, message in failed]
    return "\n".join(parts)


def _html(task: str, found: Table) -> str:
    head = "".join(f"<th>{escape(column.header)}</th>" for column in found.columns)
    rows = ["".join(f"<td>{_cell(cell)}</td>" for cell in row.cells) for row in found.rows]
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table><caption>{escape(task)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(cell: Cell) -> str:
    spread = f"<br><small>{escape(cell.spread)}</small>" if cell.spread else ""
    return escape(cell.text) + spread


def _row(record: RunDir) -> dict[str, Any] | None:
    try:
        return record.result
    except NeuroanpError:
        return None
