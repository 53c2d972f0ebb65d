"""tasks list, rules list, cells list, ...: the names a config can use, with their options."""

from typing import TYPE_CHECKING, Any

import typer

from neuroanp.cli import options
from neuroanp.cli.boundary import guarded
from neuroanp.cli.screen import print_json, show, text, texts

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

tasks = typer.Typer(help="What a network can be trained on.", no_args_is_help=True)
rules = typer.Typer(help="What a network can be trained with.", no_args_is_help=True)
backends = typer.Typer(help="What can simulate a network.", no_args_is_help=True)
cells = typer.Typer(help="What the layers of a network can be made of.", no_args_is_help=True)
neurons = typer.Typer(help="What units can spike like.", no_args_is_help=True)
encoders = typer.Typer(help="What a task's values can reach the network as.", no_args_is_help=True)
instruments = typer.Typer(help="What can drive a real array.", no_args_is_help=True)
losses = typer.Typer(help="What outputs can cost.", no_args_is_help=True)


@tasks.command("list", epilog="Example: neuroanp tasks list")
@guarded
def list_tasks(json: options.Json = False, debug: options.Debug = False) -> None:
    """List the tasks and their options, with those that installed packages add."""
    from neuroanp.tasks.protocol import TASKS

    print_rows([row_of(name, "task", TASKS.summary(name), TASKS.get(name).config) for name in TASKS.names()], json)


@rules.command("list", epilog="Example: neuroanp rules list")
@guarded
def list_rules(json: options.Json = False, debug: options.Debug = False) -> None:
    """List local rules, baselines and learners of their own, with their options and what hardware must provide."""
    from neuroanp.training.filling import METHODS

    print_rows([_method(name, METHODS.get(name)) for name in METHODS.names()], json)


@backends.command("list", epilog="Example: neuroanp backends list")
@guarded
def list_backends(json: options.Json = False, debug: options.Debug = False) -> None:
    """List the simulators, and whether their units have rates or spikes."""
    from neuroanp.backends.protocol import BACKENDS

    units = {name: "spikes" if BACKENDS.get(name).spiking else "rates" for name in BACKENDS.names()}
    print_rows(
        [row_of(name, f"backend of {units[name]}", BACKENDS.summary(name), None) for name in BACKENDS.names()], json
    )


@cells.command("list", epilog="Example: neuroanp cells list")
@guarded
def list_cells(json: options.Json = False, debug: options.Debug = False) -> None:
    """List what `cell:` of a layer can be: cells of rates and neurons that spike, with their options."""
    from neuroanp.backends.neuron import NEURONS
    from neuroanp.network.cell import CELLS

    kinds: list[tuple[str, Any]] = [("cell of rates", CELLS), ("cell that spikes", NEURONS)]
    print_rows(
        [_unit(name, kind, registry) | {"pre-activations of a unit": ", ".join(registry.get(name).ports)}
         for kind, registry in kinds for name in registry.names()],
        json,
    )  # fmt: skip


@neurons.command("list", epilog="Example: neuroanp neurons list")
@guarded
def list_neurons(json: options.Json = False, debug: options.Debug = False) -> None:
    """List the models of spiking units and their options; a backend of rates takes none."""
    from neuroanp.backends.neuron import NEURONS

    print_rows([_unit(name, "neuron", NEURONS) for name in NEURONS.names()], json)


@encoders.command("list", epilog="Example: neuroanp encoders list")
@guarded
def list_encoders(json: options.Json = False, debug: options.Debug = False) -> None:
    """List what turns a task's values into currents or spikes, with the options."""
    from neuroanp.tasks.encoders import ENCODERS

    found = {name: ENCODERS.get(name) for name in ENCODERS.names()}
    kinds = {name: f"encoder to {'spikes' if model.spikes else 'currents'}" for name, model in found.items()}
    print_rows([row_of(name, kinds[name], ENCODERS.summary(name), model) for name, model in found.items()], json)


@instruments.command("list", epilog="Example: neuroanp instruments list")
@guarded
def list_instruments(json: options.Json = False, debug: options.Debug = False) -> None:
    """List the drivers that hardware.substrate can name; docs/instruments.md says what each is."""
    from neuroanp.instruments.protocol import INSTRUMENTS

    print_rows([row_of(name, "instrument", INSTRUMENTS.summary(name), None) for name in INSTRUMENTS.names()], json)


@losses.command("list", epilog="Example: neuroanp losses list")
@guarded
def list_losses(json: options.Json = False, debug: options.Debug = False) -> None:
    """List the losses that a task can have (task.loss), with what tables call their mean."""
    from neuroanp.losses import LOSSES, named

    rows = [row_of(name, "loss", LOSSES.summary(name), None) for name in LOSSES.names()]
    print_rows([row | {"in tables": named(LOSSES.get(row["name"])())} for row in rows], json)


def _method(name: str, model: Any) -> dict[str, Any]:
    """Describe what one can train with: its class of feedback and what hardware must provide, before the options."""
    from neuroanp.learning.requirements import by_choice, feedback_by_choice
    from neuroanp.method import FEEDBACK

    row = row_of(name, "local rule" if model.local else "baseline", (model.__doc__ or "").strip().split("\n")[0], model)
    usual = model()
    row |= {"class": f"{usual.feedback}: {FEEDBACK.get(usual.feedback, 'one of its own')}"}
    others = dict[str, list[str]]()
    for choice, feedback in feedback_by_choice(model).items():
        others.setdefault(feedback, []).append(choice)
    if others:
        row |= {"other classes": [f"{feedback}: with {', '.join(by)}" for feedback, by in others.items()]}
    if not usual.needs:
        return row
    more = [f"{choice}: {', '.join(added)}" for choice, added in by_choice(model).items()]
    return row | {"hardware must provide": list(usual.needs)} | ({"and with": more} if more else {})


def _unit(name: str, kind: str, registry: Any) -> dict[str, Any]:
    """Describe what a unit is: its equations, as its docstring sets them apart, and its own options first."""
    from inspect import get_annotations

    model = registry.get(name)
    row = row_of(name, kind, registry.summary(name), model)
    own = get_annotations(model)
    options = sorted(row["options"], key=lambda option: option["option"] not in own)
    return {**row, "equations": equations_of(model), "options": options}


def equations_of(thing: Any) -> str:
    """Return the first lines that a docstring sets apart, before any list of arguments; "" where there are none.

    >>> class Cell:
    ...     '''A unit that counts.
    ...
    ...         x_t = x_{t-1} + h_t
    ...
    ...     Source: none.
    ...     '''
    >>> equations_of(Cell)
    'x_t = x_{t-1} + h_t'
    """
    from inspect import cleandoc
    from itertools import dropwhile, takewhile

    lines = takewhile(lambda line: line[:1].isspace() or line[-1:] != ":", cleandoc(thing.__doc__ or "").splitlines())
    lines = dropwhile(lambda line: not line.startswith("    "), lines)  # before "Args:" and what else is a list
    return "\n".join(line.strip() for line in takewhile(lambda line: line.startswith("    "), lines))


def row_of(name: str, kind: str, summary: str, model: "type[BaseModel] | None") -> dict[str, Any]:
    """Describe one name and its options, which are the fields of a model."""
    fields = {} if model is None else model.model_fields
    return {
        "name": name,
        "kind": kind,
        "summary": summary,
        "options": [
            {"option": option, "default": _default(field), "meaning": field.description or ""}
            for option, field in fields.items()
            if option != "name"
        ],
    }


def _default(field: "FieldInfo") -> Any:
    """Return a field's default as one writes it in a file; None where there is none."""
    default = None if field.is_required() else field.get_default(call_default_factory=True, validated_data={})
    return as_written(field, default)


def as_written(field: "FieldInfo", value: Any, digits: int | None = None) -> Any:
    """Return a value of a field as one writes it in a file, quantities with their unit, to so many digits or to all."""
    from pydantic import TypeAdapter

    from neuroanp.units import dimension_of, format_quantity

    dimension = dimension_of(field.annotation, field.metadata)
    if dimension is not None and isinstance(value, int | float):
        return format_quantity(value, dimension.unit, digits=digits)
    return TypeAdapter(Any).dump_python(value, mode="json")


def print_rows(rows: list[dict[str, Any]], json: bool) -> None:
    """Print names with their options; texts under other keys come before the options."""
    if json:
        print_json(rows)
        return
    from rich.padding import Padding
    from rich.table import Table

    for row in rows:
        show(texts((row["name"], "bold"), f"  {row['kind']}: {row['summary']}"))
        for line in row.get("equations", "").splitlines():
            show(text(f"    {line}"))
        for key in (key for key in row if key not in ("name", "kind", "summary", "options", "equations")):
            said = row[key] if isinstance(row[key], str) else "; ".join(row[key])
            show(Padding(texts((f"{key}: ", "dim"), said), (0, 0, 0, 2)))
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, style="cyan")
        table.add_column()
        for option in row["options"]:
            default = "" if option["default"] is None else str(option["default"])
            table.add_row(text(option["option"]), text(default), text(option["meaning"]))
        show(table, "")
