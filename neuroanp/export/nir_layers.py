"""The numbers of a NIR graph for a network of layers of spiking units, and what a reader computes with them.

A node of units for each layer, one of weights for each projection, by their names. Equations, gains and the filter of
input lines are those of `nir_graph`, layer by layer; units that differ have rows of weights that differ, so that every
threshold is 1. IF nodes, of units that do not leak, have r = 1 / dt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuroanp.backends.numeric import Numeric
from neuroanp.export.model import Model, Traces
from neuroanp.export.nir_graph import tau_of
from neuroanp.network.network import INPUT, OUTPUT, Layer, Network, Projection

Array = Any  # NDArray[np.float64]
PAST, NOW = (0.0, 1.0), (1.0, 0.0)
"""What reaches the graph of an input line's step before, and of this one."""


@dataclass(frozen=True)
class Unit:
    """A node of units: its kind, and decays (n,) of membrane and synapse, as a step of Euler's has them."""

    kind: str
    a_m: Array
    a_s: Array
    threshold: Array


@dataclass(frozen=True)
class Weight:
    """A node of weights.

    Args:
        pre, post: names of the groups it joins.
        weight: (post, lines); the first `own` columns are of an array's own. bias: (post,), or None.
        gain: (post, 1) what the own ones were multiplied by. line: (post,) likewise of the array's bias column, where
            it is the node's bias; None: it is none, or a column.
        column: (post,) what the bias column was multiplied by, where it is a column, the one of this number.
    """

    pre: str
    post: str
    weight: Array
    bias: Array | None
    own: int
    gain: Array
    line: Array | None = None
    column: tuple[int, Array] | None = None


@dataclass(frozen=True)
class Graph:
    """A graph of layers.

    Args:
        dt: seconds a step. units: by layer. weights: by the name of their projection, or drive_<layer>.
        taps: (L, 2) of the input lines. constants: values of those after the inputs. decay: of the outputs.
        li: whether it ends in LI.
    """

    dt: float
    units: dict[str, Unit]
    weights: dict[str, Weight]
    taps: Array
    constants: tuple[float, ...]
    decay: float
    li: bool

    @property
    def filtered(self) -> bool:
        """Whether the reader has to filter its input lines."""
        return bool(self.constants) or bool((self.taps != NOW).any())

    def lines(self, u: Array) -> Array:
        """Return what enters the graph for inputs u (T, B, I): (T, B, L)."""
        lines = np.concatenate([u, np.broadcast_to(self.constants, (*u.shape[:2], len(self.constants)))], -1)
        before = np.concatenate([np.zeros_like(lines[:1]), lines[:-1]])
        return self.taps[:, 0] * lines + self.taps[:, 1] * before


def misfits(model: Numeric) -> list[str]:
    """Return what of a network's structure a graph cannot say, with the nearest remedy; [] if it can say all."""
    problems = []
    network = model.network
    many = len(network.layers) > 1
    for k, layer in enumerate(network.layers):
        neuron, where = model.lif(layer), f"network.layers[{k}]" if many else "neuron"
        alike = "tau_s" not in model.factors.get(layer.name, {})
        if not neuron.leak and neuron.tau_s:
            problems.append(
                f"{where}.leak: false, and currents last: NIR's units with a synapse (CubaLIF) leak; train with tau_s: "
                "0 ms, or leak: true"
            )
        if neuron.drive and neuron.tau_s and not alike:
            problems.append(
                f"{where}.drive: {neuron.drive:g} does not pass the synapse, in CubaLIF it does, and tau_s differs "
                "between units, so that no input line undoes it; use drive: 0, or tau_s: 0 ms"
            )
        for p in network.feed(layer.name):
            if p.pre != INPUT and p.delay:
                problems.append(
                    f"{where}.delay: 1, and an edge of NIR acts in the same step (readers have no Delay node); train "
                    "with delay: 0"
                )
    if not model.spikes_in:
        reached = [layer for layer in network.layers if any(p.pre == INPUT for p in network.feed(layer.name))]
        taps = {_taps(model, layer) for layer in reached}
        differ = any(model.lif(layer).tau_s and "tau_s" in model.factors.get(layer.name, {}) for layer in reached)
        if len(taps) > 1 or differ:
            problems.append(
                "encoder: inputs are currents and do not pass the synapses, in CubaLIF they do, and tau_s differs "
                f"between {'units' if differ else 'the layers they reach'}: one filter of the input lines cannot undo "
                "it; train with tau_s: 0 ms, with encoder poisson, or without skip"
            )
    return problems


def _taps(model: Numeric, layer: Layer) -> tuple[float, float]:
    """Return (p, q) of the input lines that reach a layer."""
    if model.spikes_in:
        return PAST if model.network.input_delay else NOW
    return (1.0, -_synapse(model, layer)) if model.lif(layer).tau_s else NOW


def _synapse(model: Numeric, layer: Layer) -> float:
    return 1.0 - model.synapse_line(layer)


def _first(model: Numeric) -> Layer:
    return next(layer for layer in model.network.layers if any(p.pre == INPUT for p in model.network.feed(layer.name)))


def graph_of(model: Model | Numeric, output_line: float, li: bool) -> Graph:
    """Return the graph of a network without `misfits`.

    Args:
        model: the network. output_line: what drives the bias columns of arrays to the output.
        li: whether the graph ends in LI.

    Raises:
        ValueError: a decay rounds to 1.
    """
    network = model.network
    taps: list[tuple[float, float]] = [_taps(model, _first(model))] * network.inputs
    constants: list[float] = []
    units, weights, drives = {}, {}, {}
    for layer in network.layers:
        units[layer.name] = _unit(model, layer)
        drives[layer.name] = _drive(model, layer, taps, constants)
    for p in network.projections:
        if p.post == OUTPUT:
            weights[p.name] = _readout(model, p, output_line, li)
        else:
            weights[p.name] = _array(model, p, taps, constants)
    lines = len(taps)
    for layer in network.layers:
        drive = drives[layer.name]
        if drive is not None:
            name, added = _driven(network, layer, weights, drive, lines)
            weights[name] = added
    padded = {name: _padded(each, lines) if each.pre == INPUT else each for name, each in weights.items()}
    decay = model.readout_decay
    if decay >= 1.0 and model.lif(network.layers[-1]).decoder != "count":
        raise ValueError("tau_r: so long that a step decays by nothing")
    return Graph(model.dt, units, padded, np.array(taps), tuple(constants), decay, li)


def _unit(model: Numeric, layer: Layer) -> Unit:
    step, neuron = model.steps[layer.name], model.lif(layer)
    a_m, a_s, threshold = (part.numpy() for part in (step.a_m, step.a_s, step.threshold))
    for name, a in (("tau_m", a_m if neuron.leak else 0.0 * a_m), ("tau_s", a_s)):
        if (a >= 1.0).any():
            raise ValueError(f"{name}: of {layer.name} so long that a step of {model.dt:g} s decays by nothing")
    kind = "IF" if not neuron.leak else "CubaLIF" if neuron.tau_s else "LIF"
    return Unit(kind, a_m, a_s, threshold)


def _gains(model: Numeric, layer: Layer) -> tuple[Array, Array]:
    """Return what a current through the synapse, and one past it, is times in the graph, (n,)."""
    step, neuron = model.steps[layer.name], model.lif(layer)
    k_i, k_e, threshold = (part.numpy() for part in (step.k_i, step.k_e, step.threshold))
    if neuron.leak and not neuron.tau_s:  # LIF, r = 1: Euler's own factor is 1 - a_m
        k_i = k_e = np.ones(layer.units)
    return k_i / threshold, k_e / threshold


def _array(model: Numeric, p: Projection, taps: list[tuple[float, float]], constants: list[float]) -> Weight:
    """Return the node of an array to a layer; a bias that needs an input line gets one."""
    layer = model.network.layer(p.post)
    assert layer is not None
    neuron, (synapse, past) = model.lif(layer), _gains(model, layer)
    W, b = model.columns(p.name)
    of_inputs = p.pre == INPUT
    through = not of_inputs or model.spikes_in
    gain = (synapse if through else past) * (neuron.input_gain if of_inputs else neuron.synapse_gain)
    held = gain[:, None] * W
    if not p.bias:
        return Weight(p.pre, p.post, held, None, W.shape[1], gain[:, None])
    value = (model.synapse_line(_first(model) if of_inputs else layer)) if through else 1.0
    if not of_inputs or _taps(model, layer) == NOW:
        line = value * gain
        return Weight(p.pre, p.post, held, line * b, W.shape[1], gain[:, None], line=line)
    taps.append(_taps(model, layer))
    constants.append(value)
    column = np.zeros((len(W), len(taps)))
    column[:, : W.shape[1]], column[:, -1] = held, gain * b
    return Weight(p.pre, p.post, column, None, W.shape[1], gain[:, None], column=(len(taps) - 1, gain))


def _drive(
    model: Numeric, layer: Layer, taps: list[tuple[float, float]], constants: list[float]
) -> tuple[int | None, Array] | None:
    """Return the constant current of a layer and the input line that carries it, None: a bias; None without one."""
    neuron = model.lif(layer)
    if not neuron.drive:
        return None
    current = neuron.drive * _gains(model, layer)[1]
    if not neuron.tau_s:
        return None, current
    taps.append((1.0, -_synapse(model, layer)))
    constants.append(1.0)
    return len(taps) - 1, current


def _driven(
    network: Network, layer: Layer, weights: Mapping[str, Weight], drive: tuple[int | None, Array], lines: int
) -> tuple[str, Weight]:
    """Return the node that brings a layer its constant current: one that is there, or one of its own from the input."""
    line, current = drive
    of_inputs = next((p.name for p in network.feed(layer.name) if p.pre == INPUT), None)
    if line is not None and of_inputs is not None:
        node = _padded(weights[of_inputs], lines)
        node.weight[:, line] = current
        return of_inputs, node
    if line is None:
        p = network.feed(layer.name)[0]
        node = weights[p.name]
        bias = current if node.bias is None else node.bias + current
        return p.name, Weight(node.pre, node.post, node.weight, bias, node.own, node.gain, node.line, node.column)
    weight = np.zeros((layer.units, line + 1))
    weight[:, line] = current
    return f"drive_{layer.name}", Weight(INPUT, layer.name, weight, None, 0, np.ones((layer.units, 1)))


def _readout(model: Numeric, p: Projection, output_line: float, li: bool) -> Weight:
    W, b = model.columns(p.name)
    scale = 1.0 / (1.0 - model.readout_decay) if li else 1.0
    gain, line = np.full((len(W), 1), scale), np.full(len(W), 1.0 if li else output_line)
    return Weight(p.pre, OUTPUT, gain * W, line * b if p.bias else None, W.shape[1], gain, line if p.bias else None)


def _padded(node: Weight, lines: int) -> Weight:
    """Return a node from the input with a column for each of its lines."""
    wider = np.zeros((len(node.weight), lines))
    wider[:, : node.weight.shape[1]] = node.weight
    return Weight(node.pre, node.post, wider, node.bias, node.own, node.gain, node.line, node.column)


def own_weights(graph: Graph, held: Mapping[str, tuple[Array, Array | None]], model: Numeric) -> dict[str, Array]:
    """Return the network's arrays of what nodes of weights hold, but for rounding.

    Args:
        graph: of a network with the same units; its own weights do not count.
        held: (weight, bias) by the name of the node. model: a network of that structure.
    """
    found = {}
    for p in model.network.projections:
        node, (weight, bias) = graph.weights[p.name], held[p.name]
        W = weight[:, : node.own] / node.gain
        if p.bias:
            if node.column is not None:
                number, gain = node.column
                b = weight[:, number] / gain
            else:
                assert node.line is not None
                assert bias is not None
                b = (bias - offset(graph, p.name, model)) / node.line
            W = np.concatenate([W, b[:, None]], -1)
        found[p.name] = W
    return found


def slack(graph: Graph, held: Mapping[str, tuple[Array, Array | None]], name: str, model: Numeric) -> Array | float:
    """Return how far rounding may take an array's own bias (post,) where it shares a node's with a constant current."""
    node, bias = graph.weights[name], held[name][1]
    if node.line is None or bias is None:
        return 0.0
    return 4 * np.spacing(np.abs(bias) + np.abs(offset(graph, name, model))) / np.abs(node.line)


def offset(graph: Graph, name: str, model: Numeric) -> Array | float:
    """Return the constant current that is in the bias of a node beside the array's own."""
    layer = model.network.layer(graph.weights[name].post)
    if layer is None or model.lif(layer).tau_s or model.network.feed(layer.name)[0].name != name:
        return 0.0
    return model.lif(layer).drive * _gains(model, layer)[1]


def simulate(graph: Graph, model: Model) -> Traces:
    """Return what a reader computes, with the decays that the written time constants give, in float64."""
    network, u = model.network, graph.lines(model.inputs)
    spikes: dict[str, Array] = {}
    potentials = []
    for layer in network.layers:
        spikes[layer.name], v = _layer(graph, layer.name, u, spikes)
        potentials.append(v * graph.units[layer.name].threshold)
    a, ys = graph.decay, []
    y = np.zeros((u.shape[1], network.outputs))
    into = [node for node in graph.weights.values() if node.post == OUTPUT]
    for t in range(len(u)):
        out = sum(spikes[node.pre][t] @ node.weight.T + (0.0 if node.bias is None else node.bias) for node in into)
        y = a * y + ((1.0 - a) * out if graph.li else out)
        ys.append(y)
    s = np.concatenate([*spikes.values()], -1).astype(np.int64)
    return Traces(np.array(ys), s, np.concatenate(potentials, -1))


def _layer(graph: Graph, name: str, u: Array, spikes: Mapping[str, Array]) -> tuple[Array, Array]:
    """Return spikes and potentials, in thresholds, (T, B, n) of one node of units."""
    unit, dt = graph.units[name], graph.dt
    into = [node for node in graph.weights.values() if node.post == name]
    back = [node for node in into if node.pre == name]
    a_m = np.ones_like(unit.a_m) if unit.kind == "IF" else 1.0 - dt / tau_of(unit.a_m, dt)
    a_s = 1.0 - dt / tau_of(unit.a_s, dt) if unit.kind == "CubaLIF" else unit.a_s
    below: Any = 0.0
    for node in into:
        if node.pre != name:
            below = below + (u if node.pre == INPUT else spikes[node.pre]) @ node.weight.T
        below = below + (0.0 if node.bias is None else node.bias)
    shape = (u.shape[1], len(unit.a_m))
    v, J, s = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    ss, vs = [], []
    for t in range(len(u)):
        current = below[t]
        for node in back:
            current = current + s @ node.weight.T
        J = a_s * J + current
        v = a_m * v + (J if unit.kind == "CubaLIF" else current if unit.kind == "IF" else (1.0 - a_m) * current)
        s = (v > 1.0).astype(float)
        ss.append(s)
        vs.append(v)
        v = np.where(s > 0, 0.0, v)
    return np.array(ss), np.array(vs)
