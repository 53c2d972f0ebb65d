"""Make layers of the units of a NIR graph that another tool wrote, and the arrays between them.

Units come in the order in which a step is computed: an edge between two of them acts in the same step, one from units
to themselves in the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from neuroanp.errors import InputError
from neuroanp.export import nir_unsaid
from neuroanp.export.nir_file import Node
from neuroanp.export.nir_units import LONGEST, Units, checked, differ, units_of
from neuroanp.export.nir_walk import Feed, Walk, filled
from neuroanp.network.compose import Stacked, stack
from neuroanp.network.network import INPUT, OUTPUT, Network

Array = Any  # NDArray[np.float64]


@dataclass(frozen=True)
class Graph:
    """What a graph is made of.

    Args:
        walk: what its nodes get. order: names of the units' nodes, in the order of a step.
        units: their fields, (n,) each, by name. filled: those that the file does not have.
        out: what the output gets, before `li`, the node of leaky integrators in front of it, if there is one.
    """

    walk: Walk
    order: list[str]
    units: dict[str, Node]
    filled: dict[str, tuple[str, ...]]
    out: Feed
    li: Node | None


def graph_of(nodes: Mapping[str, Node], edges: list[tuple[str, str]], limit: int) -> Graph:
    """Return what a graph is made of; `limit`: most numbers of all matrices.

    Raises:
        InputError: it is no graph of units that neuroanp can follow.
    """
    walk = Walk(nodes, edges, limit)
    order = walk.units
    if not order:
        raise InputError("no node of type LIF, CubaLIF or IF: no unit spikes, and there is nothing to learn with")
    units, missing = {}, {}
    for name in order:
        fields, missing[name] = filled(nodes[name], walk.sizes[name])
        units[name] = Node(nodes[name].kind, fields)
    out = walk.feed(walk.sink)
    leaky = [name for name in nodes if nodes[name].kind == "LI"]
    if not leaky:
        return Graph(walk, order, units, missing, out, None)
    if len(leaky) > 1 or [*out.parts] != leaky or out.parts[leaky[0]] is not None or out.constant.any():
        raise InputError(f"node '{leaky[0]}' (LI): one LI can be read, and the output gets nothing else")
    fields, _ = filled(nodes[leaky[0]], walk.sizes[leaky[0]])
    return Graph(walk, order, units, missing, walk.feed(leaky[0]), Node("LI", fields))


@dataclass
class Made:
    """A network that does what a graph does, and what is to be said of it."""

    weights: dict[str, Array]
    network: Network
    spikes_in: bool
    factors: dict[str, dict[str, Array]]
    notes: list[str] = field(default_factory=list)


def network_of(graph: Graph, about: Mapping[str, Any], dt: float, tau_r: float | None) -> Made:
    """Return the network of a graph, its units in units of their thresholds.

    Args:
        graph: see `graph_of`. about: its metadata. dt: seconds a step. tau_r: of a trace, where it has no LI.

    Raises:
        InputError: units or edges that layers here cannot hold.
        ValueError: a time constant is no longer than a step.
    """
    if tau_r is not None and tau_r > LONGEST * dt:
        raise InputError(f"tau_r: {tau_r:g} s is over {LONGEST:g} steps of {dt:g} s; at most {LONGEST * dt:g} s")
    tau_y, order, walk = _tau_y(graph, dt, tau_r), graph.order, graph.walk
    reset = nir_unsaid.reset_of(about)
    units = {name: units_of(name, node.kind, node.fields, dt, tau_y, reset) for name, node in graph.units.items()}
    feeds = {name: walk.feed(name) for name in order}
    _one_above_the_other(feeds, order, walk)
    into = [name for name in order if walk.source in feeds[name].parts]
    spikes_in = any(graph.units[name].kind == "CubaLIF" for name in into)
    w_out, b_out = _outputs(graph, dt / tau_y)
    b_in = {name: each.lasting * feeds[name].constant + each.lean for name, each in units.items()}
    bias = any(bool(np.any(b)) for b in (*b_in.values(), b_out))
    skip = len(order) > 1 and (any(name in into for name in order[1:]) or any(name in w_out for name in order[:-1]))
    layers = [Stacked(units[name].neuron, walk.sizes[name], name in feeds[name].parts) for name in order]
    network = stack(walk.sizes[walk.source], layers, len(b_out), bias, skip, 0 if spikes_in else 1)
    named = dict(zip(order, (layer.name for layer in network.layers), strict=True))
    biases = {**{named[name]: b for name, b in b_in.items()}, OUTPUT: b_out}
    weights, absent = _arrays(network, graph, units, feeds, w_out, biases)
    factors = {named[name]: each.factors for name, each in units.items() if each.factors}
    made = Made(weights, network, spikes_in, factors)
    return replace(made, notes=_said(graph, made, named, absent, tau_y, about))


def _tau_y(graph: Graph, dt: float, tau_r: float | None) -> float:
    if graph.li is None:
        return float(tau_r or 0)
    values = graph.li.fields["tau"]
    checked("LI", "tau", values, dt)
    if differ(values):
        raise InputError(f"LI: tau differs between units ({values.min():g} to {values.max():g} s); one is needed")
    return float(values.flat[0])


def _one_above_the_other(feeds: Mapping[str, Feed], order: list[str], walk: Walk) -> None:
    """Raise InputError where an edge passes over a layer, or the input does not reach the first."""
    problems = [f"node '{order[0]}': nothing of the input reaches it"] * (walk.source not in feeds[order[0]].parts)
    for k, name in enumerate(order):
        for other in feeds[name].parts:
            if other in order[: max(k - 1, 0)]:
                between = ", ".join(f"'{each}'" for each in order[order.index(other) + 1 : k])
                problems.append(
                    f"'{other}' -> '{name}': passes over {between}; a layer here is reached from the one below, the "
                    "input and itself: send it through that layer, or write units side by side as one node"
                )
            if other not in order and other != walk.source:
                problems.append(f"'{other}' -> '{name}': units reach others as spikes alone; take the LI out")
    if problems:
        raise InputError("its units are not layers one above the other", problems)


def _arrays(
    network: Network, graph: Graph, units: Mapping[str, Units], feeds: Mapping[str, Feed],
    w_out: Mapping[str, Array], biases: Mapping[str, Array],
) -> tuple[dict[str, Array], list[str]]:  # fmt: skip
    """Return the arrays of a network, and the names of those that the graph has no edge for."""
    walk, nodes = graph.walk, dict(zip((layer.name for layer in network.layers), graph.order, strict=True))
    nodes |= {INPUT: walk.source, OUTPUT: OUTPUT}
    weights, absent = {}, []
    for p in network.projections:
        pre, post = nodes[p.pre], nodes[p.post]
        if p.post == OUTPUT:
            W = w_out.get(pre)
        else:
            W = walk.dense(feeds[post], pre)
            W = None if W is None else units[post].pulse[:, None] * W
        if W is None:
            absent.append(p.name)
            W = np.zeros((network.shapes[p.name][0], network.units[p.pre]))
        weights[p.name] = np.concatenate([W, biases[p.post][:, None]], -1) if p.bias else W
    return weights, absent


def _outputs(graph: Graph, rate: float) -> tuple[dict[str, Array], Array]:
    """Return weights by node, and the bias, of y_t = (1 - rate) y_{t-1} + sum of W s_t + rate b."""
    found = {name: graph.walk.dense(graph.out, name) for name in graph.out.parts}
    strange = [name for name in found if name not in graph.order]
    if strange:
        raise InputError(f"'{strange[0]}' reaches the output past all units; take that edge out")
    W = {name: matrix for name, matrix in found.items() if matrix is not None}
    if graph.li is None:
        return W, graph.out.constant / rate
    r, leak = graph.li.fields["r"], graph.li.fields["v_leak"]
    return {name: rate * r[:, None] * matrix for name, matrix in W.items()}, r * graph.out.constant + leak


def _said(
    graph: Graph, made: Made, named: Mapping[str, str], absent: list[str], tau_y: float, about: Mapping[str, Any]
) -> list[str]:
    notes = []
    if len(graph.order) > 1:
        sizes = graph.walk.sizes
        each = [f"{named[name]} is '{name}' ({unit.kind}, {sizes[name]} units)" for name, unit in graph.units.items()]
        notes.append(
            f"layers: {', '.join(each)}; an edge between two acts in the same step, one within a layer in the next"
        )
    notes.append("weights are in units of the threshold: gains 1, drive 0")
    for layer, each in made.factors.items():
        notes += [
            f"{layer}: {name} differs between units, by factors of {f.min():.4g} to {f.max():.4g}; they are in the "
            f"weights' file as units/{layer}/{name}"
            for name, f in each.items()
        ]
    notes += [
        f"{named[name]}: IF units, whose membrane does not leak (leak: false)"
        for name, node in graph.units.items()
        if node.kind == "IF"
    ]
    driven = [layer for layer in made.network.layers if layer.cell.drive]  # pyright: ignore[reportAttributeAccessIssue]
    notes += [f"{layer.name}: v_leak is its drive" for layer in driven]
    notes += [
        "inputs pass through the synapse of CubaLIF, in the step they come in, as in the file (network.input_delay: 0)"
    ] * made.spikes_in
    if absent:
        notes.append(f"{', '.join(absent)}: the file has no such edge; 0 at first, and learned as the others are")
    if graph.li is None:
        notes.append(f"outputs are traces of the graph's outputs, with tau_r {tau_y:g} s")
        last = graph.order[-1]
        if last in graph.out.parts and graph.out.parts[last] is None:
            notes.append(f"the graph ends in the spikes of '{last}': w_out, which reads them, is an identity")
    notes += ["the graph takes filtered input lines: see its metadata input_taps"] * ("input_taps" in about)
    return notes
