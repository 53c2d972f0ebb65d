"""new: begin a device law, a task, a rule or a cell in a package of one's own, or a config."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neuroanp.cli import complete, options
from neuroanp.cli.boundary import guarded
from neuroanp.cli.screen import print_json, show

if TYPE_CHECKING:
    from neuroanp.scaffolding import Made

app = typer.Typer(
    help="Begin a thing of one's own: a package that neuroanp finds by name, or a config.", no_args_is_help=True
)
Name = Annotated[
    str, typer.Argument(metavar="NAME", help="What it will be called: a-z, 0-9 and _.", show_default=False)
]
Into = Annotated[
    Path, typer.Option("--into", metavar="DIR", help="Folder to make it in.", parser=options.named)
]  # fmt: skip


@app.command(epilog="Example: neuroanp new device my_cell --into lab")
@guarded
def device(name: Name, into: Into = Path(), json: options.Json = False, debug: options.Debug = False) -> None:
    """Make a package with the read law of a device, a profile that picks it, and a test of its closed form."""
    _package("device", name, into, json)


@app.command(epilog="Example: neuroanp new task my_task")
@guarded
def task(name: Name, into: Into = Path(), json: options.Json = False, debug: options.Debug = False) -> None:
    """Make a package with a task, and a test of its targets."""
    _package("task", name, into, json)


@app.command(epilog="Example: neuroanp new rule my_rule")
@guarded
def rule(name: Name, into: Into = Path(), json: options.Json = False, debug: options.Debug = False) -> None:
    """Make a package with a local learning rule, and a test that its mean is the gradient."""
    _package("rule", name, into, json)


@app.command(epilog="Example: neuroanp new cell my_unit")
@guarded
def cell(name: Name, into: Into = Path(), json: options.Json = False, debug: options.Debug = False) -> None:
    """Make a package with a cell, what units of a rate network are, and a test of its equations."""
    _package("cell", name, into, json)


@app.command(epilog="Example: neuroanp new config my_run --task xor --profile pcm")
@guarded
def config(
    name: Name,
    into: Into = Path(),
    task: Annotated[
        str, typer.Option("--task", help="Task by name (tasks list).", autocompletion=complete.one("tasks"))
    ] = "copy",
    profile: Annotated[
        str, typer.Option("--profile", help="Hardware profile.", autocompletion=complete.one("profiles"))
    ] = "ideal",
    rule: options.Rule = None,
    sets: options.Sets = None,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Make a config that runs as it stands, with every option beside it, commented out, and what it means.

    What its task needs besides, a table of one's own say, is told: add it by --set, or write it in.
    """
    from neuroanp.scaffolding import new_config

    _tell("config", name, new_config(name, into, task, profile, rule, options.collect(sets)), json)


def _package(kind: str, name: str, into: Path, json: bool) -> None:
    from neuroanp.scaffolding import new_package

    _tell(kind, name, new_package(kind, name, into), json)


def _tell(kind: str, name: str, made: "Made", json: bool) -> None:
    files = [str(path) for path in made.files]
    if json:
        told = {"path": str(made.path), "files": files, "commands": made.commands, "lacking": made.lacking}
        print_json([{"kind": kind, "name": name, **told}])
        return
    first = [f"before it runs: {line}" for line in made.lacking]
    show(*files, "", *first, *(f"    {command}" for command in made.commands))
