"""tasks list and rules list: the names a config can use, with their options."""

from typing import TYPE_CHECKING, Any

import typer

from neuroanp.cli import options
from neuroanp.cli.boundary import guarded
from neuroanp.cli.screen import print_json, show

if TYPE_CHECKING:
    from pydantic import BaseModel

tasks = typer.Typer(help="What a network can be trained on.", no_args_is_help=True)
rules = typer.Typer(help="What a network can be trained with.", no_args_is_help=True)


@tasks.command("list", epilog="Example: neuroanp tasks list")
@guarded
def list_tasks(json: options.Json = False, debug: options.Debug = False) -> None:
    """List the tasks and their options, with those that installed packages add."""
    from neuroanp.tasks.protocol import TASKS

    _print([_row(name, "task", TASKS.summary(name), TASKS.get(name).config) for name in TASKS.names()], json)


@rules.command("list", epilog="Example: neuroanp rules list")
@guarded
def list_rules(json: options.Json = False, debug: options.Debug = False) -> None:
    """List the local rules and the baselines (which are not local), with their options."""
    from neuroanp.baselines.methods import BASELINES
    from neuroanp.learning.protocol import RULES

    kinds: list[tuple[str, Any]] = [("local rule", RULES), ("baseline", BASELINES)]
    _print(
        [_row(name, kind, registry.summary(name), registry.get(name)) for kind, registry in kinds
         for name in registry.names()],
        json,
    )  # fmt: skip


def _row(name: str, kind: str, summary: str, model: type["BaseModel"]) -> dict[str, Any]:
    """Describe one name and its options, which are the fields of a model."""
    schema = model.model_json_schema()["properties"]
    return {
        "name": name,
        "kind": kind,
        "summary": summary,
        "options": [
            {"option": option, "default": schema[option].get("default"), "meaning": field.description or ""}
            for option, field in model.model_fields.items()
            if option != "name"
        ],
    }


def _print(rows: list[dict[str, Any]], json: bool) -> None:
    if json:
        print_json(rows)
        return
    from rich.table import Table
    from rich.text import Text

    for row in rows:
        show(Text.assemble((row["name"], "bold"), f"  {row['kind']}: {row['summary']}"))
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, style="cyan")
        table.add_column()
        for option in row["options"]:
            default = "" if option["default"] is None else str(option["default"])
            table.add_row(Text(option["option"]), Text(default), Text(option["meaning"]))
        show(table, "")
