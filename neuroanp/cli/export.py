"""export: a trained network in the format of a chip or another tool, with what was lost; and the check of one."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neuroanp.cli import complete, options
from neuroanp.cli.boundary import guarded
from neuroanp.cli.options import collect
from neuroanp.cli.screen import console, log_to_stderr, print_json, show, text, texts

if TYPE_CHECKING:
    from rich.console import RenderableType

    from neuroanp.export.report import ExportReport


@guarded
def export(
    run: Annotated[
        Path | None, typer.Argument(metavar="RUN", help=options.OF_RUN, show_default=False, parser=options.named)
    ] = None,
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
                     show_default=False, parser=options.named),
    ] = None,
    check: Annotated[
        Path | None,
        typer.Option("--check", metavar="DIR", help="Run an export that is there in its reader: PASS or FAIL.",
                     show_default=False, parser=options.named),
    ] = None,
    every: Annotated[bool, typer.Option("--list", help="List the formats and their options.")] = False,
    quantize_decay: Annotated[
        bool, typer.Option("--quantize-decay", help="Take the nearest decays that the chip has.")
    ] = False,
    finetune: Annotated[
        int | None,
        typer.Option("--finetune", metavar="N", help="Learn for N more updates with the chip in the loop.",
                     show_default=False),
    ] = None,
    finetune_lr: Annotated[
        float | None, typer.Option("--finetune-lr", help="Learning rate of these updates.", show_default="the run's")
    ] = None,
    weights: Annotated[
        str, typer.Option("--weights", metavar="targets|as_held",
                          help="The digital targets, or what the run's device held when it was scored.")
    ] = "targets",
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Set an option of the format (--list).", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an export that is there.")] = False,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:  # fmt: skip
    """Export a run's network to a chip or tool, and say what was lost.

    The directory holds the files, report.json, and a stimulus with the output expected of it, which --check presents
    in the format's reader. A network that a format cannot hold is refused before anything is written.
    """
    from neuroanp import api
    from neuroanp.api.run import place_of
    from neuroanp.errors import InputError

    if every:
        _list(json)
        return
    if check is not None:
        beside = {
            "RUN": run, "--format": format, "-o": output, "--finetune": finetune, "--finetune-lr": finetune_lr,
            "--set": sets, "--weights": weights != "targets", "--quantize-decay": quantize_decay, "--force": force,
        }  # fmt: skip
        if given := [name for name, value in beside.items() if value not in (None, False)]:
            raise InputError(f"--check: checks {check} and writes no export; leave out {', '.join(given)}")
        _check(check, json)
        return
    if run is None or format is None:
        raise InputError("name a run and a format, e.g. neuroanp export runs/xor-... --format nir (--list shows them)")
    chosen: dict[str, Any] = collect(sets)
    if quantize_decay:
        if format != "xylo":
            raise InputError(f"--quantize-decay: {format} needs none; leave it out (xylo takes it)")
        chosen["quantize_decay"] = True
    with log_to_stderr(console(error=True)):
        report = api.export(
            run, format, output, force=force, finetune=finetune, finetune_lr=finetune_lr, weights=weights, **chosen
        )
    folder = output or place_of(run) / "export" / format
    if json:
        print_json([{**report.plain(), "path": str(folder)}])
    else:
        show(*_on_screen(report, folder))


def _check(folder: Path, json: bool) -> None:
    """Print the one line of the check, or all its figures; exit with 1 where it failed."""
    from neuroanp import api

    checked = api.check_export(folder)
    if json:
        print_json([checked.plain()])
    else:
        show(checked.said)
    if not checked:
        raise typer.Exit(1)


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
    """Yield what shows a report on a terminal; report.json has every number of it."""

    yield texts((report.format, "bold"), (f"  {report.run}", "dim"))
    yield _table([("weights", report.origin), *_losses(report)])
    yield _table(_facts(report.facts, [*report.weights]))
    yield _table(("*", limit) for limit in report.limits)
    first, *others = report.files
    yield f"files: {folder / first}"
    if others:
        yield text(f"beside it: {', '.join(others)}")
    yield f"report: {folder / 'report.json'}; to check it: neuroanp export --check {folder}"


def _table(rows: Iterable[tuple[str, str]]) -> "RenderableType":
    """Return rows of a name and what is said of it, which wraps in a column of its own."""
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column()
    for name, said in rows:
        table.add_row(text(name), text(said))
    return table


def _losses(report: "ExportReport") -> Iterator[tuple[str, str]]:
    for name, error in report.weights.items():
        yield f"error of {name}", _error(error)
    yield "error of outputs", _error(report.outputs)
    for name, decay in report.decays.items():
        apart = f"off by {decay['error']:+.2g}" if decay["error"] else "as wanted"
        yield f"decay {name}", f"{decay['held']:.5g}, {apart}"
    if report.spikes is not None:
        spikes = report.spikes
        since = "" if spikes["first_step"] is None else f", from step {spikes['first_step']} on"
        yield (
            "spikes",
            f"{spikes['mismatches']:,} of {spikes['of']:,} places differ{since}; {spikes['spikes']:,} spikes",
        )
    words = {
        "before": f"of the {report.reference}" if report.reference != report.origin else "of these weights in float64",
        "quantised": "after quantisation", "after": "as exported",
    }  # fmt: skip
    if "quantised" in report.score:
        words["after"] = "after fine-tuning"
        if "finetune_write" in report.facts:  # a device's conductances, not a chip's numbers
            words["quantised"] = "as the device held it"
    for name in report.score["before"]:
        said = [f"{report.score[key].get(name, nan):.4g} {word}" for key, word in words.items() if key in report.score]
        if name == "loss" and report.recorded is not None:
            said.append(f"{report.recorded:.4g} of the network that was scored, without noise")
        yield name, ", ".join(said)


def _error(error: Mapping[str, float]) -> str:
    if error["max"] == 0:
        return "none"
    return f"{error['max']:.2g} at most, {100 * error['relative']:.2g} % (rms)"


def _facts(facts: Mapping[str, float | int | str], names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield numbers of the format; those of an array or a layer, as of "w_1.devices", in one line.

    Args:
        facts: by name. names: of the network's arrays.
    """
    arrays: dict[str, dict[str, float | int | str]] = {}
    for name, fact in facts.items():
        array, dot, key = name.partition(".")
        if dot:
            arrays.setdefault(array, {})[key] = fact
        else:
            yield _words(name, names), _number(name, fact)
    for array, own in arrays.items():
        yield (
            array,
            _of_conductances(own)
            if "g_lowest_siemens" in own
            else ", ".join(f"{_words(key)} {_number(key, fact)}" for key, fact in own.items()),
        )


def _of_conductances(facts: Mapping[str, Any]) -> str:
    """Say what a crossbar's array is made of."""
    from neuroanp.units import format_quantity

    low, high, word, bit = (
        format_quantity(facts[key], unit, digits=3)
        for key, unit in (
            ("g_lowest_siemens", "S"), ("g_highest_siemens", "S"), ("wire_word_ohm", "ohm"), ("wire_bit_ohm", "ohm"),
        )
    )  # fmt: skip
    wires = f"; lines of {word} and {bit} a cell" if facts["wire_word_ohm"] or facts["wire_bit_ohm"] else ""
    gates = f"; bit lines {facts['lines']}" if "lines" in facts else ""
    return f"{facts['devices']:,} devices of {low} to {high}{wires}{gates}"


def _words(name: str, names: Sequence[str] = ()) -> str:
    """Return a fact's name in words; arrays, whose names are given, and layers keep theirs.

    >>> _words("largest_possible_E"), _words("w_1_2_scale", ["w_1", "w_1_2"]), _words("hidden_1_threshold")
    ('largest possible E', 'w_1_2 scale', 'hidden_1 threshold')
    """
    from neuroanp.network.compose import ONE

    layer = re.match(rf"({ONE}_\d+)_", name)
    owners = [*layer.groups()] if layer else sorted(names, key=len, reverse=True)
    for owner in owners:
        if name.startswith(f"{owner}_"):
            return f"{owner} {_words(name.removeprefix(f'{owner}_'))}"
    return name.replace("_", " ")


def _number(name: str, fact: float | int | str) -> str:
    """Return a fact as text: four figures, whole numbers with commas but for those that only name something.

    >>> _number("output_scale", 20956.93), _number("drive", 0.589353), _number("finetune_seed", 12345)
    ('20,957', '0.5894', '12345')
    """
    if isinstance(fact, str | bool) or name.endswith("seed"):
        return str(fact)
    return f"{fact:,.0f}" if isinstance(fact, int) or 1e4 <= abs(fact) < 1e9 else f"{fact:.4g}"
