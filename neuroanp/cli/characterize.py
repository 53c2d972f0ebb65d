"""characterize: measure the devices of a profile, on the terminal and as one HTML file."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neuroanp.cli import options
from neuroanp.cli.boundary import guarded
from neuroanp.cli.screen import console, print_json, show, text, texts
from neuroanp.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from neuroanp.characterizing import Characterization, Measurement

EXPERIMENTS = (
    "programming, drift, disturb, compensation, read_noise, read_process, pulses, switching, variability, faults, "
    "source, junctions, bias, temperature, conduction, converters, wires, writes"
)
"""Names for --help, which must not import torch."""
NARROW = 90
"""Columns below which a moment and its conditions share one column."""


@guarded
def characterize(
    profile: Annotated[
        str, typer.Argument(metavar="PROFILE", help="A shipped profile's name, or a file.", show_default=False)
    ],
    output: Annotated[
        Path | None,
        options.place("--output", "-o", of="FILE", said="HTML file to write; characterize-NAME.html unless given."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of all draws.")] = 0,
    devices: Annotated[
        int, typer.Option("--devices", min=100, max=200_000, help="Devices sampled under each condition.")
    ] = 10_000,
    only: Annotated[
        str | None,
        typer.Option(
            "--only", metavar="A,B", help=f"Run these experiments alone, of {EXPERIMENTS}.", show_default=False
        ),
    ] = None,
    json: options.Json = False,
    no_progress: options.NoProgress = False,
    debug: options.Debug = False,
) -> None:
    """Measure a device: its moments against closed forms, and curves, as a table and an HTML page."""
    names = options.split_list(only, "--only")

    from neuroanp.characterizing import characterize as measure
    from neuroanp.characterizing import chosen
    from neuroanp.profiles import load
    from neuroanp.reporting.characterization import render

    hardware = load(profile)
    chosen(hardware, names)
    path = _writable(output if output is not None else Path(f"characterize-{hardware.name}.html"))
    with _progress(not (no_progress or json)) as report:
        found = measure(hardware, seed=seed, devices=devices, only=names, report=report)
    render(found, path, _command(profile, seed, devices, only))
    if json:
        print_json([_as_dict(found, path)])
        return
    out = console()
    show(*_on_screen(found, out))
    show(f"page: {path}")


def _command(profile: str, seed: int, devices: int, only: str | None) -> str:
    """Return what to type to repeat this."""
    import shlex

    words = ["neuroanp", "characterize", profile, "--seed", str(seed), "--devices", str(devices)]
    return shlex.join([*words, "--only", only] if only else words)


def _writable(path: Path) -> Path:
    """Return the path; InputError before anything is measured if no file can be written there."""
    folder = path.parent
    if path.is_dir():
        raise InputError(f"--output: {path} is a folder; name a file, e.g. {path / 'page.html'}")
    if not folder.is_dir():
        why = "is not a folder" if folder.exists() else "does not exist"
        raise InputError(f"--output: {path}: the folder {folder} {why}; create it, or choose another place")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"--output: {path}: the folder {folder} is not writable for you; choose another place")
    return path


@contextmanager
def _progress(enabled: bool) -> Iterator[Callable[[str, int, int], None] | None]:
    """Show on stderr which experiment runs, where that is a terminal; yield what to report to, or None."""
    err = console(error=True)
    if not (enabled and err.is_terminal):
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    bar = Progress(
        TextColumn("{task.description}", markup=False), BarColumn(bar_width=24), MofNCompleteColumn(),
        TimeElapsedColumn(), console=err, transient=True,
    )  # fmt: skip
    with bar:
        task = bar.add_task("measuring", total=None)
        yield lambda name, number, count: bar.update(task, description=name, completed=number, total=count)


def _as_dict(found: "Characterization", path: Path) -> dict[str, Any]:
    from neuroanp.characterizing.result import plain

    return {
        "profile": found.profile.name,
        "hash": found.profile.hash,
        "seed": found.seed,
        "devices": found.devices,
        "page": str(path),
        "experiments": [plain(one) for one in found.measurements],
    }


def _on_screen(found: "Characterization", out: "Console") -> Iterator["RenderableType"]:
    """Yield what shows the measurements: for each its curves as sparklines, then its moments."""

    from neuroanp.reporting.characterization import verdict

    yield texts((found.profile.name, "bold"), f"  {found.profile.meta.summary}")
    yield text("")
    for one in found.measurements:
        yield text(one.title, style="bold")
        yield text(one.about, style="dim")
        yield from _curves(one, out.width)
        yield from (text(line) for line in one.notes)
        yield _moments(one, out.width < NARROW)
    yield text(verdict(found))


def _curves(one: "Measurement", width: int) -> Iterator["RenderableType"]:
    """Yield a line for each panel that holds a curve: its shape and where it lies."""
    from rich.table import Table

    from neuroanp.characterizing.result import Panel
    from neuroanp.reporting.characterization import between, spark

    grid = Table.grid(padding=(0, 2, 0, 0))
    for panel in one.panels:
        if isinstance(panel, Panel):
            x, y, shape = spark(panel, max(8, min(width // 4, 32)))
            along = f"{panel.x.label} {between(x, panel.x.unit)}"
            found = texts(between(y, panel.y.unit), ("; " + along, "dim"))
            grid.add_row(text(panel.title), text(shape, style="cyan", no_wrap=True), found)
    if grid.rows:
        yield grid


def _moments(one: "Measurement", narrow: bool) -> "RenderableType":
    """Return the table of moments; a narrow one has conditions and standard errors on lines of their own."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from neuroanp.reporting.characterization import moments_table

    plain = moments_table(one)
    heads = [column.header for column in plain.columns]
    apart = heads.index("conditions") if narrow and "conditions" in heads else None
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1 if narrow else 2, 0, 0))
    for i, column in enumerate(plain.columns):
        if i != apart:
            head = column.header.replace("difference", "diff.").replace(" ", "\n")
            justify = "right" if column.numeric else "left"
            table.add_column(head, justify=justify, no_wrap=column.numeric, overflow="fold")
    for row in plain.rows:
        cells = [text(cell.text) for cell in row.cells]
        for shown, cell in zip(cells, row.cells, strict=True):
            if cell.spread:
                shown.append(("\n" if narrow else " ") + cell.spread, style="dim")
        if apart is not None:
            where = cells.pop(apart)
            if where.plain:
                cells[0].append("\n" + where.plain, style="dim")
        table.add_row(*cells)
    return table
