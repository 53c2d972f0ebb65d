"""Say what runs are in one line, and show them as a small table in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroanp.errors import NeuroanpError
from neuroanp.markup import lines, of_cells, text
from neuroanp.records.manifest import ENDED
from neuroanp.reporting.footnotes import rests_on
from neuroanp.reporting.method import methods
from neuroanp.reporting.ranking import ranking
from neuroanp.reporting.tables import results_table
from neuroanp.reporting.values import digits

if TYPE_CHECKING:
    from neuroanp.records.run_dir import RunDir
    from neuroanp.reporting.method import Method
    from neuroanp.reporting.reading import Shown
    from neuroanp.reporting.tables import Cell, Table


def of_run(record: RunDir) -> str:
    """Say in one line what a run is, how it ended, and where it lies."""
    path = below_here(record.path)
    found, damaged = _read(record)
    if damaged:
        return f"its record is damaged; {path}"
    if found is None:
        return f"{record.path.name}: no result yet, {record.manifest['status']}; {path}"
    row = found.result
    loss = row["test_loss"]
    said = "no test loss" if loss is None else f"test loss {digits(loss)}"
    return f"{name(row)}: {said}, {row['status']}; {path}"


def of_runs(records: Sequence[RunDir], failed: int) -> str:
    """Say in one line how many runs there are, how many of them cannot be read, and the lowest test loss.

    >>> of_runs([], 2)
    '0 runs, 2 failed'
    """
    found = [_read(record) for record in records]
    damaged = sum(is_damaged for _, is_damaged in found)
    said = f"{len(records)} run{'s' * (len(records) != 1)}"
    said += "".join(f", {count} {what}" for count, what in ((damaged, "damaged"), (failed, "failed")) if count)
    rows = [one.result for one, _ in found if one is not None and one.result["test_loss"] is not None]
    if not rows:
        return said
    best = min(rows, key=lambda row: row["test_loss"])
    if len({row["loss"] for row in rows}) > 1:
        return f"{said}; their losses are of several kinds"
    return f"{said}; lowest test loss {digits(best['test_loss'])} of {name(best)}"


def name(row: dict[str, Any]) -> str:
    """Return what a run is called by its result.

    >>> name({"task": "copy", "profile": "pcm", "backend": "rate", "rule": "anp", "seed": 0})
    'copy · pcm · anp · seed 0'
    """
    backend = [] if row["backend"] == "rate" else [row["backend"]]
    return " · ".join(map(str, [row["task"], row["profile"], *backend, row["rule"], f"seed {row['seed']}"]))


def below_here(path: Path) -> str:
    """Return a path as a person would write it: relative below the working directory.

    >>> below_here(Path.cwd() / "runs" / "a")
    'runs/a'
    """
    whole = path.absolute()
    return str(whole.relative_to(Path.cwd())) if whole.is_relative_to(Path.cwd()) else str(path)


def table(
    records: Sequence[RunDir], said: str, failed: Sequence[tuple[str, str]] = (), notes: Sequence[str] = ()
) -> str | None:
    """Return runs as a table of HTML under the line that `said` is; None, which shows that line alone, without results.

    Args:
        records: the runs; each task has rows of its own, seeds of one method are one row. Damaged ones have none.
        said: what the table is of.
        failed: label and message of runs without a result.
        notes: sentences to be told below.
    """
    from neuroanp.reporting.reading import kinds_of_loss, variants

    every = [one for record in records if (one := _read(record)[0]) is not None]
    if not every:
        return None
    parts = [lines([said])]
    for task in dict.fromkeys(one.task for one in every):
        here = [one for one in every if one.task == task]
        parts += _of_task(task, methods([one.result for one in here], variants(here)))
    parts.append(lines((*kinds_of_loss(every), *notes)))
    return "\n".join([*parts, lines(f"{label}: {message}" for label, message in failed)])


def ablated(records: Sequence[RunDir], said: str, failed: Sequence[tuple[str, str]] = ()) -> str:
    """Return what each non-ideality costs as tables, one for each ablation among runs; arguments as of `table`."""
    from neuroanp.reporting import ablation

    found = ablation.ablations([one for record in records if (one := _read(record)[0]) is not None])
    parts = [page_table(ablation.table(one), one.label) + lines([ablation.headline(one)]) for one in found]
    return "\n".join([lines([said]), *parts, lines(f"{label}: {message}" for label, message in failed)])


def _of_task(task: str, group: Sequence[Method]) -> list[str]:
    """Return the table of one task, and below it which method is the best and what the marks mean."""
    return [page_table(results_table(group), task), lines((*ranking(group), *rests_on(group)))]


def page_table(found: Table, caption: str = "") -> str:
    """Return a table as a notebook shows it."""
    head = [text(column.header) for column in found.columns]
    return of_cells(head, ([_cell(cell) for cell in row.cells] for row in found.rows), caption)


def _cell(cell: Cell) -> str:
    spread = f"<br><small>{text(cell.spread)}</small>" if cell.spread else ""
    return (f"<b>{text(cell.text)}</b>" if cell.strong else text(cell.text)) + spread


def _read(record: RunDir) -> tuple[Shown | None, bool]:
    """Return a run with its result, None where it has none that can be shown, and whether damage is why."""
    from neuroanp.reporting.reading import shown

    try:
        if record.result is None:
            return None, record.manifest["status"] in ENDED
        return shown(record), False
    except NeuroanpError:
        return None, True
