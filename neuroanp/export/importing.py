"""Bring a network from a file of another tool: its weights, and a configuration that goes on training it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroanp.backends.neuron import LIF
from neuroanp.errors import InputError
from neuroanp.export.directory import check_free, whole
from neuroanp.export.model import Model
from neuroanp.export.nir_import import Imported, read
from neuroanp.export.nir_unsaid import silence
from neuroanp.network.network import OUTPUT
from neuroanp.noise import Streams
from neuroanp.records.atomic import write_bytes, write_text
from neuroanp.training.build import Experiment
from neuroanp.training.configure import configure
from neuroanp.training.start import FACTOR
from neuroanp.units import Dimension, format_quantity
from neuroanp.yaml_io import dump

if TYPE_CHECKING:
    from collections.abc import Sequence

CONFIG, WEIGHTS = "config.yaml", "weights.safetensors"
SEQUENCES = 32
"""Held-out sequences on which units are looked for that never spike."""


def bring(
    path: Path,
    folder: Path,
    *,
    overrides: Mapping[str, Any] | None = None,
    dt: str | None = None,
    tau_r: str | None = None,
    ignore_metadata: bool = False,
    force: bool = False,
) -> Imported:
    """Read a NIR file and write a directory from which `neuroanp train` goes on with its network.

    Args:
        path: the file. folder: the directory to make: config.yaml and weights.safetensors.
        overrides: of the configuration, by dotted key; the task must be among them.
        dt: time of a step such as "1 ms", where the file does not say.
        tau_r: time constant of the outputs' trace, where the graph has none.
        ignore_metadata: take the nodes as they are, where what neuroanp noted beside them is damaged or out of date.
        force: replace a directory that was made so.

    Returns: the network; its notes, which config.yaml has as comments, say what the file left open, which option sets
    it, and which units never spike on the task.

    Raises:
        InputError: the file cannot be read or used, the task has other inputs or outputs, or the place is taken;
            nothing was written.
    """
    if not {"task", "task.name"} & {*(overrides or {})}:
        raise InputError("no task; say what the network is to be trained on, e.g. --task xor")
    check_free(folder, force)
    network = read(
        path,
        dt=_seconds("--dt", dt),
        tau_r=_seconds("--tau-r", tau_r),
        own_units=not ignore_metadata,
        given=[*(overrides or {})],
    )
    with whole(folder, force) as building:
        write_bytes(building / WEIGHTS, _bytes(network))
        plain = configuration(network, str(building / WEIGHTS))
        _of_all_layers(plain, overrides or {})
        try:
            made = configure(plain, overrides)
            experiment = Experiment.of(made)
        except InputError as error:
            raise InputError(f"{path}: cannot be trained on this task", [*error.problems] or [error.message]) from None
        text = dump(
            {**made.to_plain(), "network": {**made.to_plain()["network"], "weights": str((folder / WEIGHTS).resolve())}}
        )
        network = replace(network, notes=(*network.notes, *_silence(network, experiment)))
        write_text(building / CONFIG, comments(network.notes) + text)
    return network


def comments(notes: Sequence[str]) -> str:
    """Return sentences as comments of YAML.

    >>> print(comments(["inputs are currents", "NIR has no refractory period"]), end="")
    # Brought from a NIR file:
    # * inputs are currents
    # * NIR has no refractory period
    """
    lines = [line for note in notes for line in wrap(f"* {note}", 110, subsequent_indent="  ", break_long_words=False)]
    return "".join(f"# {line}\n" for line in ["Brought from a NIR file:", *lines]) if lines else ""


def _silence(network: Imported, experiment: Experiment) -> list[str]:
    """Say which units never spike on held-out inputs of the task, where they are the imported kind."""
    config = experiment.config
    if any(not isinstance(layer.cell, LIF) for layer in experiment.network.layers):
        return []
    held = experiment.task.test(Streams(config.seed).generator("test"))
    if held.world is not None:
        said = "which units never spike was not looked at: "
        return [f"{said}task '{config.task_name}' is a world, which shows what it is made to show"]
    inputs = np.asarray(held.inputs[:, :SEQUENCES], dtype=np.float64)
    return silence(
        Model(
            "imported", network.weights, experiment.network, config.dt, config.encoder.spikes, inputs, lambda y: {},
            factors=network.factors,
        )
    )  # fmt: skip


def configuration(network: Imported, weights: str) -> dict[str, Any]:
    """Return the configuration of a network that starts from `weights`, but for its task."""
    made, cells = network.network, [_plain(layer.cell) for layer in network.network.layers]
    section: dict[str, Any] = {"bias": made.bias, "weights": weights}
    recurrent = [made.recurrence(layer.name) is not None for layer in made.layers]
    if recurrent == [True]:
        section = {"hidden": made.hidden, **section}
    else:
        section["layers"] = [
            {**({"cell": cell} if len(cells) > 1 else {}), "units": layer.units, "recurrent": back}
            for layer, cell, back in zip(made.layers, cells, recurrent, strict=True)
        ]
        section["skip"] = len([p for p in made.projections if OUTPUT in (p.pre, p.post)]) > 1
    if network.spikes_in and not made.input_delay:
        section["input_delay"] = 0
    return {
        "backend": "lif",
        "dt": format_quantity(network.dt, "s", digits=None),
        "network": section,
        "neuron": cells[-1],
        **({"encoder": {"name": "poisson"}} if network.spikes_in else {}),
    }


def _plain(cell: Any) -> dict[str, Any]:
    """Return the options of LIF units as a configuration has them."""
    neuron = cell.model_dump(mode="json")
    times = {key: format_quantity(neuron[key], "s", digits=None) for key in ("tau_m", "tau_s", "tau_r", "refractory")}
    return {**neuron, **times, "name": "lif"}


def _of_all_layers(plain: dict[str, Any], overrides: Mapping[str, Any]) -> None:
    """Let what is set of `neuron` be so in every layer that has units of its own."""
    section = overrides.get("neuron")
    stated = dict(section) if isinstance(section, Mapping) else {}
    stated |= {key.removeprefix("neuron."): value for key, value in overrides.items() if key.startswith("neuron.")}
    for layer in plain["network"].get("layers", ()):
        if "cell" in layer:
            layer["cell"] = {**layer["cell"], **stated}


def _bytes(network: Imported) -> bytes:
    from safetensors.numpy import save

    factors = {FACTOR.format(layer, name): f for layer, each in network.factors.items() for name, f in each.items()}
    arrays = {**network.weights, **factors}
    return save({name: np.ascontiguousarray(W, dtype=np.float64) for name, W in arrays.items()})


def _seconds(option: str, text: str | None) -> float | None:
    if text is None:
        return None
    try:
        found = float(Dimension("time", "s", "1 ms").parse(text))
    except ValueError as error:
        raise InputError(f"{option}: {error}") from None
    if not found > 0:
        raise InputError(f"{option}: '{text}' must be above 0; write e.g. '1 ms'")
    return found
