"""schema: what editors complete configs and profiles by."""

from pathlib import Path
from typing import Annotated

import typer

from neuroanp.cli import options
from neuroanp.cli.boundary import guarded
from neuroanp.cli.screen import show
from neuroanp.errors import InputError


@guarded
def schema(
    kind: Annotated[str, typer.Argument(metavar="config|profile", help="Of what.")] = "config",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="File to write; stdout if not given.", show_default=False,
            parser=options.named,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    debug: options.Debug = False,
) -> None:  # fmt: skip
    """Print the JSON Schema of configs, or of profiles: keys, meanings, units, names of all that is installed.

    An editor that knows it completes keys and names and marks what is wrong while one types. VS Code's YAML extension
    finds it by a first line "# yaml-language-server: $schema=FILE"; `neuroanp new config` writes both.
    """
    import json
    import sys

    from neuroanp.records.atomic import OTHER_PLACE, REPEAT, write_text
    from neuroanp.scaffolding.configs import SERVER
    from neuroanp.scaffolding.schema import schema as schema_of

    if output is not None and output.exists() and not force:
        raise InputError(f"--output {output}: exists already; choose another name, or --force to replace it")
    text = json.dumps(schema_of(kind), indent=1, ensure_ascii=False) + "\n"
    if output is None:
        sys.stdout.write(text)
        return
    write_text(output, text, OTHER_PLACE, REPEAT)
    show(f"{output}: first line of a {kind} that lies beside it:", "", SERVER.format(output.name))
