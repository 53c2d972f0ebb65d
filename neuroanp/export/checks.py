"""Checks that several formats share; each returns the problems it found, one line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neuroanp.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from neuroanp.backends.neuron import LIF
    from neuroanp.export.model import Model


def finite(model: Model) -> list[str]:
    """Find arrays with weights that are not finite."""
    bad = {name: int((~np.isfinite(W)).sum()) for name, W in model.weights.items()}
    return [f"{name}: {count} weights are not finite; repeat the training" for name, count in bad.items() if count]


def one_layer_only(model: Model, format_name: str, units: tuple[type, ...]) -> list[str]:
    """Find that rates are asked of a format of spiking units; refuse all other structures than those it knows.

    Args:
        model: the network. format_name: of the format, which knows one recurrent layer of units that are all alike.
        units: the cells that it knows.

    Raises:
        InputError: several layers or other arrays, other cells, or units that differ; no other check of the format
            knows what to make of these.
    """
    problems, cells = [], [layer.cell for layer in model.network.layers]
    if not model.one_layer:
        arrays = ", ".join(model.network.shapes)
        problems.append(
            f"network.layers: {format_name} holds one recurrent layer (arrays w_in, w, w_out), and this network has "
            f"{arrays}; train with --set network.hidden=N in place of layers, or export to onnx"
        )
    rates = not model.spiking and all(unit.spikes for unit in units)
    others = dict.fromkeys(_kind(type(cell)) for cell in cells if type(cell) not in units)
    if others and not rates:
        known = " or ".join(_kind(unit) for unit in units)
        problems.append(
            f"network.layers: {', '.join(others)} units cannot be expressed in {format_name}, which takes {known} "
            "units; export to onnx"
        )
    problems += [
        f"factors: units of {name} differ in {', '.join(sorted(of))}, and those of {format_name} are all alike; export "
        "to onnx"
        for name, of in model.factors.items()
        if of
    ]
    told = spiking_only(model, format_name) if rates else []
    if problems:
        refuse([*finite(model), *problems, *told], format_name)
    return told


def spiking_only(model: Model, format_name: str) -> list[str]:
    """Find that units do not spike, where the format knows spiking units alone."""
    if model.spiking:
        return []
    kinds = ", ".join(dict.fromkeys(_kind(type(layer.cell)) for layer in model.network.layers))
    arrays = " or crossbar" if model.one_layer and kinds == "tanh" else ""
    return [
        f"backend: {kinds} units cannot be expressed in {format_name}; train with --backend spiking, or export to onnx"
        f"{arrays}"
    ]


def _kind(unit: type) -> str:
    return {"Tanh": "tanh"}.get(unit.__name__, unit.__name__)


def spikes_in_only(model: Model, format_name: str) -> list[str]:
    """Find that inputs are currents, where the chip takes spikes alone."""
    if model.spikes_in:
        return []
    return [f"encoder: {format_name} takes spikes as inputs; train with --set encoder=poisson (or latency)"]


def at_once(neuron: LIF) -> str:
    """Return the words that tell a chip's reset from a delayed one; none where the kind itself is another.

    >>> from neuroanp.backends.neuron import LIF
    >>> at_once(LIF(reset="hard_delayed")), at_once(LIF(reset="hard"))
    (' at once', '')
    """
    return " at once" if neuron.reset.endswith("delayed") else ""


def refuse(problems: Iterable[str], format_name: str) -> None:
    """Raise InputError if there are problems.

    >>> refuse(["neuron.reset: 'subtract' is not known"], "nir")
    Traceback (most recent call last):
    ...
    neuroanp.errors.InputError: nir cannot hold this network; nothing was written
      neuron.reset: 'subtract' is not known
    """
    each = list(problems)
    if each:
        raise InputError(f"{format_name} cannot hold this network; nothing was written", each)
