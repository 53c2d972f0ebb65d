"""What drives the word lines of a network's arrays at one step, and which of their bit lines are which of its units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neuroanp.export.model import with_line
from neuroanp.network.network import INPUT
from neuroanp.network.rollout import rollout
from neuroanp.network.tanh import Tanh

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from neuroanp.export.model import Model, Traces
    from neuroanp.network.network import Network


def vector(model: Model, traces: Traces, wanted: int | None = None) -> tuple[int, dict[str, NDArray[np.float64]]]:
    """Return a step of the first sequence, and what drives the lines of each array there.

    That is the inputs or the units' activity at the step, with what drives a bias; of an array that is delayed it is
    what it sees a step later.

    Args:
        model: the network. traces: what it does. wanted: the step; None: the most active one.
    """
    activity = _activity(model, traces)
    total = np.concatenate([*activity.values()], -1)
    step = int(np.abs(total).sum(-1).argmax()) if wanted is None else wanted
    seen = {INPUT: model.inputs[:, 0], **activity}
    return step, {p.name: with_line(seen[p.pre][step], p.bias, model.bias_line(p)) for p in model.network.projections}


def _activity(model: Model, traces: Traces) -> Mapping[str, NDArray[np.float64]]:
    """Return the activity (T, n) of each layer in the first sequence."""
    layers = model.network.layers
    if traces.s is not None:
        ends = np.cumsum([layer.units for layer in layers])[:-1]
        parts = np.split(traces.s[:, 0].astype(np.float64), ends, -1)
        return {layer.name: part for layer, part in zip(layers, parts, strict=True)}
    if model.one_layer and type(model.layer.cell) is Tanh:
        return {model.layer.name: np.tanh(traces.v[:, 0])}
    import torch

    W = {name: torch.from_numpy(np.ascontiguousarray(w)) for name, w in model.weights.items()}
    with torch.no_grad():
        run = rollout(model.network, W, torch.from_numpy(np.ascontiguousarray(model.inputs[:, :1])))
    return {layer.name: run.x[layer.name][:, 0].numpy() for layer in layers}


def lines_of(network: Network, name: str) -> str:
    """Say which bit lines of an array are which pre-activations of its units; "" where a unit has but one.

    >>> from neuroanp.network.compose import Stacked, stack
    >>> from neuroanp.network.gru import GRU
    >>> gru = stack(3, [Stacked(GRU(), 5)], 2)
    >>> lines_of(gru, "w"), lines_of(gru, "w_out")
    ('r 0 to 4, z 5 to 9, c 10 to 14 of hidden', '')
    """
    p = network.projection(name)
    layer = network.layer(p.post)
    if layer is None or len(layer.cell.ports) == 1:
        return ""
    reached = layer.cell.recurrent if p.pre == p.post else layer.cell.feed
    spans = [f"{port} {k * layer.units} to {(k + 1) * layer.units - 1}" for k, port in enumerate(reached)]
    return f"{', '.join(spans)} of {layer.name}"
