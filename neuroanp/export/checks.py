"""Checks that several formats share; each returns the problems it found, one line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neuroanp.errors import InputError
from neuroanp.training.targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from neuroanp.backends.neuron import LIF
    from neuroanp.export.model import Model
    from neuroanp.network.network import Layer


def finite(model: Model) -> list[str]:
    """Find arrays with weights that are not finite.

    >>> from neuroanp.export.model import Model
    >>> import numpy as np
    >>> from neuroanp.backends.neuron import LIF
    >>> from neuroanp.network.compose import one_layer
    >>> W = {name: np.full((1, 1), np.nan) for name in ("w_in", "w", "w_out")}
    >>> network = one_layer({name: w.shape for name, w in W.items()}, cell=LIF())
    >>> model = Model("one", W, network, 1e-3, True, np.ones((2, 1, 1)), lambda y: {"loss": 0.0})
    >>> finite(model)[0]
    'w_in: 1 weights are not finite; repeat the training'
    """
    bad = {name: int((~np.isfinite(W)).sum()) for name, W in model.weights.items()}
    return [f"{name}: {count} weights are not finite; repeat the training" for name, count in bad.items() if count]


def spiking_only(model: Model, format_name: str) -> list[str]:
    """Find that units do not spike, where the format knows spiking units alone."""
    if model.spiking:
        return []
    kinds = ", ".join(dict.fromkeys(_kind(type(layer.cell)) for layer in model.network.layers))
    lif = "" if model.one_layer and kinds == "tanh" else "cell lif in all layers and "
    return [
        f"backend: {kinds} units cannot be expressed in {format_name}; train with {lif}--backend spiking, or export to "
        "onnx or crossbar"
    ]


def lif_only(model: Model, format_name: str) -> list[str]:
    """Find layers of a spiking network that a chip's neurons are not, or whose units differ from each other."""
    from neuroanp.backends.neuron import LIF

    said = [
        f"{model.key(layer)}: {format_name} has leaky integrate-and-fire units alone; use cell lif"
        for layer in model.network.layers
        if not isinstance(layer.cell, LIF)
    ]
    differ = sorted({name for factors in model.factors.values() for name in factors})
    if differ:
        said.append(f"units differ in {', '.join(differ)}, and those of {format_name} are alike within a layer")
    return said


def setting(model: Model, layer: Layer, option: str, value: object) -> str:
    """Return the words of a command line that set an option of a layer's units where the configuration has it.

    >>> from types import SimpleNamespace as Fake
    >>> setting(Fake(key=lambda layer, option: f"network.layers[1].cell.{option}"), None, "reset", "hard")
    '--set network.layers.1.cell.reset=hard'
    """
    key = model.key(layer, option).replace("[", ".").replace("]", "")  # brackets are the shell's
    shown = f"'{value}'" if " " in str(value) else value
    return f"--set {key}={shown}"


def _kind(unit: type) -> str:
    return {"Tanh": "tanh"}.get(unit.__name__, unit.__name__)


def spikes_in_only(model: Model, format_name: str) -> list[str]:
    """Find that inputs are currents, where the chip takes spikes alone; or spikes that act at once."""
    if model.spikes_in:
        return at_once_only(model, format_name)
    return [f"encoder: {format_name} takes spikes as inputs; train with --set encoder=poisson (or latency)"]


def at_once_only(model: Model, format_name: str) -> list[str]:
    """Find that input spikes act in the step they come in, where the format lets them act in the next."""
    if not model.spikes_in or model.network.input_delay:
        return []
    return [
        f"network.input_delay: 0, in {format_name} an input spike acts a step later; train with --set "
        "network.input_delay=1"
    ]


def at_once(neuron: LIF) -> str:
    """Return the words that tell a chip's reset from a delayed one; none where the kind itself is another.

    >>> from neuroanp.backends.neuron import LIF
    >>> at_once(LIF(reset="hard_delayed")), at_once(LIF(reset="hard"))
    (' at once', '')
    """
    return " at once" if neuron.reset.endswith("delayed") else ""


def refuse(problems: Iterable[str], format_name: str) -> None:
    """Raise InputError if there are problems.

    >>> refuse(["neuron.reset: 'subtract' is not known"], "rtl")
    Traceback (most recent call last):
    ...
    neuroanp.errors.InputError: rtl cannot hold this network; nothing was written
      neuron.reset: 'subtract' is not known
    """
    each = list(problems)
    if each:
        held = f"; one that it can hold: neuroanp train --adapt RUN --target {format_name}"
        also = held if format_name in TARGETS else ""
        raise InputError(f"{format_name} cannot hold this network; nothing was written{also}", each)
