"""runs list and runs show: what lies in a store, and what one run is."""

from pathlib import Path
from typing import Annotated, Any

import typer

from neuroanp.cli import options
from neuroanp.cli.boundary import guarded
from neuroanp.cli.options import seed_list, split_list
from neuroanp.cli.screen import console, print_json, show

app = typer.Typer(help="The runs of a store: what lies there, and what one of them is.", no_args_is_help=True)
COLUMNS = {
    "run": "name", "task": "task", "profile": "profile", "rule": "rule", "seed": "seed", "status": "status",
    "updates": "updates", "test loss": "test_loss", "noise-free": "test_loss_noise_free", "started (UTC)": "started",
}  # fmt: skip
"""Columns on a terminal, and the fact that each shows."""
MOST_LETTERS = 60


def _several(flag: str, said: str) -> Any:
    return typer.Option(flag, metavar="A,B", help=said, show_default=False)


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
    task: Annotated[str | None, _several("--task", "Of these tasks.")] = None,
    profile: Annotated[str | None, _several("--profile", "On these profiles.")] = None,
    backend: Annotated[str | None, _several("--backend", "On these simulators.")] = None,
    rule: Annotated[str | None, _several("--rule", "By these rules.")] = None,
    status: Annotated[str | None, _several("--status", "finished, running, interrupted, diverged, failed.")] = None,
    seed: Annotated[str | None, _several("--seed", "Of these seeds.")] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="WHEN", help="Begun since: 2026-11-29, or 12 h, 7 d.", show_default=False),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            metavar="'KEY < N'",
            help="Whose number is so: 'test_loss < 0.01'; repeatable.",
            show_default=False,
        ),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option("--sort", metavar="KEY", help="By this key; --sort=-KEY downwards.", show_default=False),
    ] = None,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """List the runs of a store, those that are chosen, with what each came to."""
    from neuroanp.api.listed import chosen
    from neuroanp.cli.screen import text

    found = chosen(
        store, split_list(task, "--task"), split_list(profile, "--profile"), split_list(backend, "--backend"),
        split_list(rule, "--rule"), split_list(status, "--status"), seed_list(seed, "--seed"), since, where or (), sort,
    )  # fmt: skip
    if json:
        print_json(found.rows)
    else:
        show(*_table(found.rows))
    for message in found.broken:
        console(error=True).print(text(f"warning: left out: {message}"), soft_wrap=True)


def _table(rows: list[dict[str, Any]]) -> list[str]:
    """Return lines whose columns line up: a table of rich takes seconds for ten thousand rows."""
    from neuroanp.errors import printable

    if not rows:
        return ["no run"]
    cells = [[*COLUMNS], *([printable(_cell(row[key])) for key in COLUMNS.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    damaged = sum(row["sealed"] is False for row in rows)
    count = f"{len(rows):,} run{'s' * (len(rows) != 1)}"
    return ["\n".join(lines), count + (f"; {damaged:,} of them not as they were written" if damaged else "")]


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    words = str(value).removesuffix("+00:00").replace("\n", " ")
    return words if len(words) <= MOST_LETTERS else f"{words[: MOST_LETTERS - 3]}..."


@app.command("show", epilog="Example: neuroanp runs show runs/copy-pcm-anp-s0-0123456789abcdef")
@guarded
def show_run(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Run directory.", show_default=False, parser=options.named)
    ],
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Show what one run is: its result, when and how it was made, its log, and what is damaged in it."""
    from neuroanp.api.listed import run_facts
    from neuroanp.cli.screen import texts

    found = run_facts(run)
    if json:
        print_json([found])
        return
    for key, value in found.items():
        if key == "config" or value in (None, [], {}):
            continue
        for n, line in enumerate(_said(value)):
            show(texts((f"{key if n == 0 else '':<21} ", "dim"), line))


def _said(value: Any) -> list[str]:
    """Return the lines that show a fact."""
    if isinstance(value, list):
        return (
            [" ".join(map(str, value))]
            if all(isinstance(v, str) and len(v) < 40 for v in value)
            else [*map(str, value)]
        )
    if isinstance(value, dict):
        return [f"{name} {_cell(part)}" for name, part in value.items()]
    return [_cell(value) if isinstance(value, float) else str(value)]
