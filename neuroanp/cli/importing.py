"""import: a network from a file of another tool, to go on training it."""

from pathlib import Path
from typing import Annotated

import typer

from neuroanp.cli import options
from neuroanp.cli.boundary import guarded
from neuroanp.cli.options import collect
from neuroanp.cli.screen import console, log_to_stderr, print_json, show


@guarded
def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A NIR file (.nir).", show_default=False, parser=options.named)
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Directory to make.", parser=options.named)
    ] = Path("imported"),
    task: options.Task = None,
    profile: options.Profile = None,
    dt: Annotated[
        str | None, typer.Option("--dt", help="Time of a step, such as '1 ms', where the file does not say.")
    ] = None,
    tau_r: Annotated[
        str | None, typer.Option("--tau-r", help="Time constant of the outputs, where the graph does not have one.")
    ] = None,
    ignore_metadata: Annotated[
        bool, typer.Option("--ignore-metadata", help="Take the nodes as they are, not what neuroanp noted beside them.")
    ] = False,
    sets: options.Sets = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what an import made.")] = False,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Read a spiking network from a NIR file, and write a config that goes on training it."""
    from neuroanp.export.importing import CONFIG, bring

    overrides = collect(sets, task=task, profile=profile)
    with log_to_stderr(console(error=True)):
        network = bring(
            file, output, overrides=overrides, dt=dt, tau_r=tau_r, ignore_metadata=ignore_metadata, force=force
        )
    made = network.network
    layers = {"layers": len(made.layers)} if len(made.layers) > 1 else {}
    sizes = {"inputs": made.inputs, **layers, "hidden": made.hidden, "outputs": made.outputs}
    config = output / CONFIG
    if json:
        print_json([{"config": str(config), **sizes, "dt_s": network.dt, "notes": [*network.notes]}])
        return
    said = ", ".join(f"{count} {what}" for what, count in sizes.items())
    show(f"{file}: {said}", *(f"* {note}" for note in network.notes), f"go on with: neuroanp train {config}")
