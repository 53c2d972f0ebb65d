"""examples: the commented configs that come with neuroanp."""

from pathlib import Path
from typing import Annotated

import typer

from neuroanp.cli import options
from neuroanp.cli.boundary import guarded
from neuroanp.cli.screen import print_json, show, text


def _names(incomplete: str) -> list[str]:
    from neuroanp.scaffolding import examples as there

    return [one.name for one in there.examples() if one.name.startswith(incomplete)]


@guarded
def examples(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Show this one.", show_default=False, autocompletion=_names),
    ] = None,
    copy: Annotated[
        Path | None,
        typer.Option(
            "--copy", metavar="DIR", help="Copy it, or all with their data, into a folder.", show_default=False,
            parser=options.named,
        ),
    ] = None,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:  # fmt: skip
    """List the commented configs that come with neuroanp, show one, or copy them."""
    from neuroanp.scaffolding import examples as there

    if copy is not None:
        copied = there.copy(copy, name)
        if json:
            print_json([{"path": str(path)} for path in copied])
        else:
            show(*map(str, copied))
        return
    chosen = there.examples() if name is None else [there.example(name)]
    if json:
        print_json([{"name": one.name, "summary": one.summary, "path": str(one.path)} for one in chosen])
    elif name is not None:
        show(chosen[0].path.read_text("utf-8").removesuffix("\n"))
    else:
        from rich.table import Table

        table = Table(box=None, show_header=False, pad_edge=False)
        for one in chosen:
            table.add_row(text(one.name, "bold"), text(one.summary))
        show(table, "", "neuroanp examples NAME shows one; neuroanp examples --copy examples copies all")
