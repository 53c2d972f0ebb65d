"""export: a trained network in the format of a chip or another tool, with what was lost."""

from collections.abc import Iterator, Mapping
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neuroanp.cli import complete, options
from neuroanp.cli.boundary import guarded
from neuroanp.cli.options import collect
from neuroanp.cli.screen import console, log_to_stderr, print_json, show

if TYPE_CHECKING:
    from rich.console import RenderableType

    from neuroanp.export.report import ExportReport


@guarded
def export(
    run: Annotated[Path | None, typer.Argument(metavar="RUN", help="Run directory.", show_default=False)] = None,
    format: Annotated[
        str | None,
        typer.Option(
            "--format", "-f", help="Format by name (--list).", show_default=False,
            autocompletion=complete.one("exporters"),
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Directory to write; RUN/export/FORMAT if not given.",
                     show_default=False),
    ] = None,
    every: Annotated[bool, typer.Option("--list", help="List the formats and their options.")] = False,
    quantize_decay: Annotated[
        bool, typer.Option("--quantize-decay", help="Take the nearest decays that the chip has.")
    ] = False,
    finetune: Annotated[
        int | None,
        typer.Option("--finetune", metavar="N", help="Learn for N more updates with the chip's neurons in the loop.",
                     show_default=False),
    ] = None,
    finetune_lr: Annotated[
        float | None, typer.Option("--finetune-lr", help="Learning rate of these updates.", show_default="the run's")
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Set an option of the format (--list).", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an export that is there.")] = False,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:  # fmt: skip
    """Export a run's network to a chip or tool, and say what was lost.

    The directory holds the files, report.json and the lines that read them back. A network that a format cannot hold
    is refused before anything is written.
    """
    from neuroanp import api
    from neuroanp.errors import InputError

    if every:
        _list(json)
        return
    if run is None or format is None:
        raise InputError("name a run and a format, e.g. neuroanp export runs/xor-... --format nir (--list shows them)")
    chosen: dict[str, Any] = collect(sets)
    if quantize_decay:
        if format != "xylo":
            raise InputError(f"--quantize-decay: {format} needs none; leave it out (xylo takes it)")
        chosen["quantize_decay"] = True
    with log_to_stderr(console(error=True)):
        report = api.export(run, format, output, force=force, finetune=finetune, finetune_lr=finetune_lr, **chosen)
    folder = output or run / "export" / format
    if json:
        print_json([{**report.plain(), "path": str(folder)}])
    else:
        show(*_on_screen(report, folder))


def _list(json: bool) -> None:
    from neuroanp.cli.names import print_rows, row_of
    from neuroanp.export.protocol import EXPORTERS

    rows = []
    for name in EXPORTERS.names():
        kind = EXPORTERS.get(name)
        row = row_of(name, "export format", EXPORTERS.summary(name), kind)
        rows.append({**row, "holds": kind.holds, "reader": kind.reader, "lost": kind.lost})
    print_rows(rows, json)


def _on_screen(report: "ExportReport", folder: Path) -> "Iterator[RenderableType]":
    """Yield what shows a report on a terminal."""
    from rich.table import Table
    from rich.text import Text

    yield Text.assemble((report.format, "bold"), (f"  {report.run}", "dim"))
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 1))
    table.add_column(no_wrap=True)
    table.add_column()
    for what, said in _lines(report):
        table.add_row(Text(what), Text(said))
    yield table
    yield from (Text(f"* {limit}") for limit in report.limits)
    yield f"files: {', '.join(str(folder / name) for name in report.files)}"
    yield f"report: {folder / 'report.json'}; to read it back: {folder / 'READ_BACK.txt'}"


def _lines(report: "ExportReport") -> Iterator[tuple[str, str]]:
    for name, error in report.weights.items():
        yield f"error of {name}", f"{_error(error)}"
    for name, decay in report.decays.items():
        yield f"decay {name}", f"{decay['wanted']:.6g} wanted, {decay['held']:.6g} held"
    if report.spikes is not None:
        spikes = report.spikes
        first = "" if spikes["first_step"] is None else f", the first at step {spikes['first_step']}"
        yield (
            "spikes",
            f"{spikes['mismatches']:,} of {spikes['of']:,} places differ{first} ({spikes['spikes']:,} spikes)",
        )
    yield "error of outputs", _error(report.outputs)
    words = {"before": "before", "quantised": "after quantisation", "after": "as exported"}
    if "quantised" in report.score:
        words["after"] = "after fine-tuning"
    for name in report.score["before"]:
        said = [f"{report.score[key].get(name, nan):.4g} {word}" for key, word in words.items() if key in report.score]
        yield name, ", ".join(said)
    for name, fact in report.facts.items():
        yield name.replace("_", " "), f"{fact:.6g}" if isinstance(fact, float) else str(fact)


def _error(error: Mapping[str, float]) -> str:
    return f"{error['max']:.3g} at most, {100 * error['relative']:.3g} % (rms)"
