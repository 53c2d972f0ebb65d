"""runs list and runs show: what lies in a store, and what one run is."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from neuroanp.cli import filters, options
from neuroanp.cli.boundary import guarded
from neuroanp.cli.screen import console, print_json, show

app = typer.Typer(help="The runs of a store: what lies there, and what one of them is.", no_args_is_help=True)
COLUMNS = {
    "run": "name", "task": "task", "profile": "profile", "rule": "rule", "seed": "seed", "status": "status",
    "updates": "updates", "test loss": "test_loss", "noise-free": "test_loss_noise_free", "started (UTC)": "started",
}  # fmt: skip
"""Columns on a terminal, and the fact that each shows."""
NARROWER = (("task", "profile", "rule", "seed"), ("noise-free",), ("started (UTC)",), ("updates",))
"""What is left out, one after the other, where lines would be longer than the terminal: first what the name says."""
MOST_LETTERS = 60


@app.command(
    "list",
    epilog="\n\n".join([
        "[bold]Examples[/]", "neuroanp runs list --task copy --status finished --sort test_loss",
        "neuroanp runs list runs --profile pcm,ideal --where 'test_loss < 0.01' --since '7 d' --json",
    ]),
)  # fmt: skip
@guarded
def list_runs(
    store: Annotated[
        Path, typer.Argument(metavar="STORE", help="Folder that runs were written to.", parser=options.named)
    ] = Path("runs"),
    task: filters.Task = None,
    profile: filters.Profile = None,
    backend: filters.Backend = None,
    rule: filters.Rule = None,
    status: filters.Status = None,
    seed: filters.Seed = None,
    since: filters.Since = None,
    where: filters.Where = None,
    sort: filters.Sort = None,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """List the runs of a store, those that are chosen, with what each came to."""
    found = filters.chosen(store, task, profile, backend, rule, status, seed, since, where, sort)
    if json:
        print_json(found.rows)
    else:
        show(*_table(found.rows, console().width if sys.stdout.isatty() or "COLUMNS" in os.environ else None))
    filters.tell_left_out(found)


def _table(rows: list[dict[str, Any]], width: int | None) -> list[str]:
    """Return lines whose columns line up, within a width: a table of rich takes seconds for ten thousand rows."""
    if not rows:
        return ["no run"]
    columns = {**COLUMNS, "label": "label"} if any(row["label"] for row in rows) else COLUMNS
    table = _columns(rows, columns)
    left = list[str]()
    for names in NARROWER:
        if width is not None and sum(2 + _longest(cells) for cells in table.values()) - 2 > width:
            table = {head: cells for head, cells in table.items() if head not in names}
            left += names
    lines = ["  ".join(row).rstrip() for row in zip(*map(_padded, table.values()), strict=True)]
    damaged = sum(row["sealed"] is False for row in rows)
    count = f"{len(rows):,} run{'s' * (len(rows) != 1)}"
    count += f"; {damaged:,} of them not as they were written" if damaged else ""
    return ["\n".join(lines), f"{count}; on a wider terminal also {', '.join(left)}" if left else count]


def _columns(rows: list[dict[str, Any]], columns: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the cells of each column, its head first."""
    from neuroanp.errors import printable

    return {head: [head, *(printable(_cell(row[key])) for row in rows)] for head, key in columns.items()}


def _longest(cells: Sequence[str]) -> int:
    return max(map(len, cells))


def _padded(cells: Sequence[str]) -> list[str]:
    width = _longest(cells)
    return [cell.ljust(width) for cell in cells]


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    words = str(value).removesuffix("+00:00").replace("\n", " ")
    return words if len(words) <= MOST_LETTERS else f"{words[: MOST_LETTERS - 3]}..."


@app.command(
    "show",
    epilog="\n\n".join(["[bold]Examples[/]", "neuroanp runs show last", "neuroanp runs show runs/copy-pcm-anp-s0-01"]),
)
@guarded
def show_run(
    run: options.Run,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Show what one run is: its result, when and how it was made, its log, and what is damaged in it."""
    from shlex import join

    from rich.table import Table

    from neuroanp.api.listed import run_facts
    from neuroanp.cli.screen import text

    found = run_facts(run)
    if json:
        print_json([found])
        return
    facts = Table.grid(padding=(0, 1, 0, 0))
    facts.add_column(no_wrap=True, min_width=21)
    for key, value in found.items():
        if key == "config" or value in (None, [], {}):
            continue
        lines = [join(value)] if key == "argv" else _said(value)
        for n, line in enumerate(lines):
            facts.add_row(text(key if n == 0 else "", "dim"), text(line))
    show(facts)


def _said(value: Any) -> list[str]:
    """Return the lines that show a fact."""
    if isinstance(value, list):
        return [*map(str, value)]
    if isinstance(value, dict):
        return [f"{name} {_cell(part)}" for name, part in value.items()]
    return [_cell(value) if isinstance(value, float) else str(value)]
