"""import: a network from a file of another tool, to go on training it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neuroanp.cli import options
from neuroanp.cli.boundary import guarded
from neuroanp.cli.options import collect
from neuroanp.cli.screen import console, log_to_stderr, print_json, show, text

if TYPE_CHECKING:
    from neuroanp.export.nir_import import Imported
    from neuroanp.network.network import Network


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
        imported = bring(
            file, output, overrides=overrides, dt=dt, tau_r=tau_r, ignore_metadata=ignore_metadata, force=force
        )
    config, groups = output / CONFIG, [*_groups(imported)]
    made = imported.network
    if json:
        sizes = {"inputs": made.inputs, "hidden": made.hidden, "outputs": made.outputs}
        layers = [group for group in groups if "cell" in group]
        about = {"layers": layers, "dt_s": imported.dt, "notes": [*imported.notes]}
        print_json([{"config": str(config), **sizes, **about}])
        return
    show(f"{file}: {_sizes(made)}")
    _print(groups)
    show(*(f"* {note}" for note in imported.notes), f"go on with: neuroanp train {config}")


def _groups(imported: "Imported") -> Iterator[dict[str, Any]]:
    """Yield each layer and the output: units, options in which layers differ, and the arrays that reach it."""
    from neuroanp.cli.names import as_written

    made = imported.network
    cells: list[Any] = [layer.cell for layer in made.layers]
    said = [
        {name: as_written(field, vars(cell)[name], 4) for name, field in type(cell).model_fields.items()}
        for cell in cells
    ]
    for name in made.noisy:
        arrays = {
            p.name: {"from": p.pre, "shape": [*made.shapes[p.name]], "bias": p.bias, "delay": p.delay}
            for p in made.projections
            if p.post == name
        }
        layer = made.layer(name)
        if layer is None:
            yield {"name": name, "units": made.outputs, "arrays": arrays}
            continue
        own = said[made.layers.index(layer)]
        differ = [key for key in own if len({str(other.get(key)) for other in said}) > 1]
        yield {
            "name": name, "units": layer.units, "cell": own["name"], "options": {key: own[key] for key in differ},
            "units_differ_in": [*imported.factors.get(name, {})], "arrays": arrays,
        }  # fmt: skip


def _print(groups: list[dict[str, Any]]) -> None:
    """Print a line for each layer and the output."""
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
    for group in groups:
        options_ = [f"{name} {value}" for name, value in group.get("options", {}).items()]
        factors = group.get("units_differ_in")
        arrays = [_array(name, array) for name, array in group["arrays"].items()]
        what = ", ".join([f"{group['units']} {group.get('cell', '')}".strip(), *options_])
        what += f"; units differ in {', '.join(factors)}" if factors else ""
        table.add_row(text(group["name"]), text(what), text("; ".join(arrays)))
    show(table)


def _array(name: str, array: Mapping[str, Any]) -> str:
    """Say what an array is; its bias line, which no unit drives, by itself.

    >>> _array("w_in", {"from": "input", "shape": [5, 4], "bias": True, "delay": 0})
    'w_in 5 × 3 and a bias from input'
    """
    rows, columns = array["shape"]
    size = f"{rows} × {columns - array['bias']}{' and a bias' if array['bias'] else ''}"
    return f"{name} {size} from {array['from']}{', a step later' if array['delay'] else ''}"


def _sizes(network: "Network") -> str:
    """Say how large a network is.

    >>> from neuroanp.network.compose import one_layer
    >>> _sizes(one_layer({"w_in": (5, 3), "w": (5, 5), "w_out": (1, 5)}))
    '3 inputs, 5 units in 1 layer, 1 output'
    """
    counts = {"input": network.inputs, "unit": network.hidden, "layer": len(network.layers), "output": network.outputs}
    inputs, units, layers, outputs = (f"{count} {what}{'s' * (count != 1)}" for what, count in counts.items())
    return f"{inputs}, {units} in {layers}, {outputs}"
