"""What the graph of a spiking network does, in numpy and in the precision of its initializers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neuroanp.export.model import Traces
from neuroanp.export.onnx_names import Names, Tensors
from neuroanp.export.onnx_spikes import counts, role
from neuroanp.network.network import INPUT, OUTPUT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from neuroanp.export.model import Model
    from neuroanp.network.network import Layer


def evaluate(model: Model, parts: Tensors, u: NDArray[Any]) -> Traces:
    """Return what the graph does on u (T, B, I), of the dtype of the initializers."""
    spikes: dict[str, NDArray[Any]] = {}
    potentials: dict[str, NDArray[Any]] = {}
    for layer in model.network.layers:
        spikes[layer.name], potentials[layer.name] = _layer(model, layer, parts, u, spikes)
    s, v = np.concatenate([*spikes.values()], -1), np.concatenate([*potentials.values()], -1)
    y = _outputs(model, parts, spikes, u)
    return Traces(np.asarray(y, np.float64), s.astype(np.int64), np.asarray(v, np.float64))


def _outputs(model: Model, parts: Tensors, spikes: Mapping[str, NDArray[Any]], u: NDArray[Any]) -> list[NDArray[Any]]:
    names, feed, steps = Names(model.network), model.network.feed(OUTPUT), u.dtype.type(len(u))
    lines: dict[str, Any] = {p.name: parts["zero"] for p in feed}
    for p in feed:
        if p.bias:
            drives = parts["one"] / steps if counts(model) else parts["output_line"]
            lines[p.name] = drives * parts[names.bias(p.name)]
    y, ys = np.zeros((u.shape[1], model.network.outputs), u.dtype), []
    for t in range(len(u)):
        seen = [spikes[p.pre][t].astype(u.dtype) @ parts[f"{names.array[p.name]}_t"] + lines[p.name] for p in feed]
        y = parts["readout_decay"] * y + sum(seen[1:], seen[0])
        ys.append(y)
    return ys


def _layer(
    model: Model, layer: Layer, parts: Tensors, u: NDArray[Any], spikes: Mapping[str, NDArray[Any]]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return spikes and potentials (T, B, n) of one layer; `spikes`: those of the layers below."""
    names, step, back = Names(model.network), model.steps[layer.name], model.network.recurrence(layer.name)
    tag, zero = names.of[layer.name], parts["zero"]
    P = {name: parts[f"{name}{tag}"] for name in ("a_m", "k_i", "k_e", "a_s", "drive", "threshold", "hold")}
    got = _drives(model, layer, parts, u, spikes)
    wt = None if back is None else parts[f"{names.array[back.name]}_t"]
    v = np.zeros((u.shape[1], layer.units), u.dtype)
    i, wait, fired, crossed = v, np.zeros(v.shape, np.int64), np.zeros(v.shape, bool), P["threshold"]
    ss, vs = [], []
    for t in range(len(u)):
        wait = np.maximum(wait - 1, 0)
        current = P["drive"] + got["current"][t] if "current" in got else P["drive"]
        if step.raised:
            crossed = np.where(v > P["threshold"], P["threshold"] + P["threshold"], P["threshold"])
        if "early" in got:
            i = i + got["early"][t]
        v = np.where(wait == 0, (P["a_m"] * v + P["k_i"] * i) + P["k_e"] * current, v)
        if step.delayed:
            v = np.where(fired, v - P["threshold"] if step.subtract else zero, v)
        fired = (v > crossed) & (wait == 0)
        vs.append(v)
        ss.append(fired)
        i = P["a_s"] * i
        if wt is not None:
            i = i + parts[f"synapse_gain{tag}"] * (fired.astype(u.dtype) @ wt)
        if "late" in got:
            i = i + got["late"][t]
        if not step.delayed:
            v = np.where(fired, v - P["threshold"] if step.subtract else zero, v)
        wait = np.where(fired, P["hold"], wait)
    return np.array(ss), np.array(vs)


def _drives(
    model: Model, layer: Layer, parts: Tensors, u: NDArray[Any], spikes: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """Return what a layer gets from below in all steps, by where it meets the units."""
    names, found = Names(model.network), {}
    for p in model.network.feed(layer.name):
        x, gain = (u, "input_gain") if p.pre == INPUT else (spikes[p.pre].astype(u.dtype), "synapse_gain")
        driven = x @ parts[f"{names.array[p.name]}_t"]
        if p.bias:
            driven = driven + parts[f"input_line{names.end(p.name)}"] * parts[names.bias(p.name)]
        driven, meets = parts[f"{gain}{names.of[layer.name]}"] * driven, role(model, p).meets
        found[meets] = found[meets] + driven if meets in found else driven
    return found


def margins(model: Model, thresholds: NDArray[Any], traces: Traces) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return how far potentials are from what they are compared with, (T, B, N) each.

    Args:
        model: the network. thresholds: of all units, (N,). traces: what it does.

    Returns: from the threshold in force, and from any threshold that decides: the one that a raised one is raised
        for, too.
    """
    assert traces.s is not None
    raised = np.concatenate([np.full(layer.units, model.steps[layer.name].raised) for layer in model.network.layers])
    left = traces.v - traces.s * thresholds
    before = np.concatenate([np.zeros_like(left[:1]), left[:-1]])
    force = np.where(raised & (before > thresholds), 2 * thresholds, thresholds)
    nearest = np.abs(traces.v - force)
    return nearest, np.minimum(nearest, np.where(raised, np.abs(before - thresholds), np.inf))
