"""Undo what `neuroanp.export.nir` did to a network of one layer, where nodes and metadata say the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroanp.errors import InputError
from neuroanp.export.nir_file import OPTIONAL, Node
from neuroanp.network.compose import BACK, INTO, OUT, one_layer

if TYPE_CHECKING:
    from neuroanp.export.nir_graph import Gains
    from neuroanp.network.network import Network

Array = Any  # NDArray[np.float64]
SHAPE = "input -> Linear|Affine -> LIF|CubaLIF (with a Linear from it to itself) -> Linear|Affine (-> LI) -> output"


@dataclass
class Graph:
    """The nodes by what they do; `li` and `w` may be missing. Arrays of units are (N,) or (O,).

    `filled` names the fields of the units that the file does not have, at NIR's defaults.
    """

    w_in: Node
    unit: Node
    w_out: Node
    w: Node | None
    li: Node | None
    filled: tuple[str, ...]


def roles(nodes: dict[str, Node], edges: list[tuple[str, str]]) -> Graph:
    """Return the nodes by what they do; InputError where they are no network of one recurrent layer."""

    def only(*kinds: str, most: int = 1, least: int = 1) -> list[str]:
        found = [name for name, node in nodes.items() if node.kind in kinds]
        if not least <= len(found) <= most:
            wanted = str(most) if least == most else f"{least} to {most}"
            count = f"{len(found)} node{'s' * (len(found) != 1)} of type {' or '.join(kinds)}"
            layers = " (one layer of spiking units)" * ("LIF" in kinds)
            raise InputError(f"{count}, {wanted} can be read{layers}: {SHAPE}")
        return found

    (source,), (sink,), (unit,) = only("Input"), only("Output"), only("LIF", "CubaLIF")
    li, linear = only("LI", least=0), only("Linear", "Affine", least=2, most=3)
    end = li[0] if li else sink
    between = {name: ({a for a, b in edges if b == name}, {b for a, b in edges if a == name}) for name in linear}
    roles = {INTO: ({source}, {unit}), OUT: ({unit}, {end}), BACK: ({unit}, {unit})}
    found: dict[str, Node | None] = {BACK: None}
    for name, ends in between.items():
        role = next((role for role, wanted in roles.items() if wanted == ends), None)
        if role is None or found.get(role) is not None:
            raise InputError(f"node '{name}' ({nodes[name].kind}) is not where it can be read: {SHAPE}")
        found[role] = nodes[name]
    expected = {(a, name) for name, (before, _) in between.items() for a in before}
    expected |= {(name, b) for name, (_, after) in between.items() for b in after} | ({(end, sink)} if li else set())
    if set(edges) != expected or len(edges) != len(expected) or not found.get(INTO) or not found.get(OUT):
        odd = sorted(set(edges) ^ expected)
        raise InputError(f"edges cannot be read{f' ({odd[0][0]} -> {odd[0][1]})' if odd else ''}: {SHAPE}")
    filled = tuple(key for key in OPTIONAL[nodes[unit].kind] if key not in nodes[unit].fields)
    return _shaped(Graph(w_in=found[INTO], unit=nodes[unit], w_out=found[OUT], w=found[BACK],  # pyright: ignore
                         li=nodes[li[0]] if li else None, filled=filled))  # fmt: skip


def _shaped(graph: Graph) -> Graph:
    """Check that shapes agree, and give every unit's field the shape (N,)."""
    for name, node in ((INTO, graph.w_in), (BACK, graph.w), (OUT, graph.w_out)):
        if node is not None and node.fields["weight"].ndim != 2:
            raise InputError(f"{name}: weight has shape {node.fields['weight'].shape}; (post, pre) is needed")
    n, outs = len(graph.w_in.fields["weight"]), len(graph.w_out.fields["weight"])
    for name, node, shape in ((OUT, graph.w_out, (outs, n)), (BACK, graph.w, (n, n))):
        if node is not None and node.fields["weight"].shape != shape:
            raise InputError(f"{name}: weight has shape {node.fields['weight'].shape}, and needs {shape}")
    for node, size in ((graph.w_in, n), (graph.w, n), (graph.w_out, outs)):
        if node is not None and node.kind == "Affine" and node.fields["bias"].shape != (size,):
            raise InputError(f"a bias has shape {node.fields['bias'].shape}, and needs {(size,)}")
    for node, size in ((graph.unit, n), (graph.li, outs)):
        if node is None:
            continue
        for key, value in {**OPTIONAL.get(node.kind, {}), **node.fields}.items():
            if np.size(value) != 1 and np.shape(value) != (size,):
                raise InputError(f"{node.kind}: {key} has shape {np.shape(value)}, and needs {(size,)}")
            node.fields[key] = np.broadcast_to(np.reshape(value, -1), size).astype(np.float64)
    return graph


def read_own(graph: Graph, about: dict[str, Any], dt: float) -> tuple[dict[str, Array], Network, bool]:
    """Return weights, network, and whether inputs are spikes.

    Args:
        graph: its nodes. about: its metadata. dt: seconds a step.

    Raises:
        InputError: the two contradict each other.
        ValueError: a time constant is no longer than a step.
    """
    from pydantic import ValidationError

    from neuroanp.backends.neuron import LIF
    from neuroanp.export.nir_graph import gains

    try:
        neuron = LIF.model_validate_json(about["neuron"])
        bias, spikes_in = bool(about["bias"]), bool(about["spikes_in"])
        line = float(about["output_line"])
    except (ValidationError, KeyError, TypeError, ValueError) as error:
        said = error.errors()[0]["msg"] if isinstance(error, ValidationError) else type(error).__name__
        raise InputError(f"the metadata of neuroanp are damaged ({said}); read it with --ignore-metadata") from None
    neuron.check(dt)
    count = neuron.decoder == "count"
    if not 0 < line <= 1 or (graph.li is not None and count):
        raise InputError("the metadata of neuroanp are damaged (output_line); read it with --ignore-metadata")
    g = gains(neuron, dt, spikes_in, line, graph.li is not None)
    _same(graph, g, dt)

    fixed = int(bias and not g.bias_in_node) + int(g.cuba and bool(g.drive))
    if graph.w_in.fields["weight"].shape[1] <= fixed:
        raise InputError("w_in: has no column of an input")
    w_in = _unfold(graph.w_in, g.w_in)
    w_in = w_in[:, :-1] if g.cuba and g.drive else w_in
    w_out = _unfold(graph.w_out, g.w_out)
    if bias and g.bias_in_node:
        w_in = np.concatenate([w_in, _unfold_bias(graph.w_in, g.w_in, g.drive)[:, None]], -1)
    if bias:
        w_out = np.concatenate([w_out, _unfold_bias(graph.w_out, g.output_line, 0.0)[:, None]], -1)
    w = np.zeros((len(w_in),) * 2) if graph.w is None else _unfold(graph.w, g.w)
    weights = {INTO: w_in, BACK: w, OUT: w_out}
    return weights, one_layer({name: W.shape for name, W in weights.items()}, bias, neuron), spikes_in


def _same(graph: Graph, g: Gains, dt: float) -> None:
    unit = graph.unit.fields
    said = {"v_threshold": 1.0, "v_reset": 0.0, "v_leak": 0.0}
    if g.cuba:
        said |= {"tau_mem": dt / (1 - g.a_m), "tau_syn": dt / (1 - g.a_s)}
        said |= {"r": 1 / (1 - g.a_m), "w_in": 1 / (1 - g.a_s)}
    else:
        said |= {"tau": dt / (1 - g.a_m), "r": 1.0}
    pairs = [(f"{graph.unit.kind}.{key}", unit.get(key), value) for key, value in said.items()]
    if graph.li is not None:
        of_li = {"tau": dt / (1 - g.a_y), "r": 1.0, "v_leak": 0.0}
        pairs += [(f"LI.{key}", graph.li.fields[key], value) for key, value in of_li.items()]
    for name, found, value in pairs:
        if found is None or not np.allclose(found, value, rtol=1e-6, atol=0.0):
            shown = "nothing" if found is None else f"{found.flat[0]:.9g}"
            raise InputError(
                f"{name} is {shown}, and the metadata of neuroanp mean {value:.9g}: the graph was changed; "
                "read it with --ignore-metadata"
            )


def _unfold(node: Node, gain: float) -> Array:
    own = node.fields["weight"] / gain
    rest = node.about.get("rest")
    if rest is None:
        return own
    if np.shape(rest) != own.shape or (np.abs(rest) > 4 * np.spacing(np.abs(own)) + 1e-300).any():
        raise InputError("metadata rest: is more than rounding; read it with --ignore-metadata")
    return own + rest


def _unfold_bias(node: Node, gain: float, offset: float) -> Array:
    held = node.fields.get("bias")
    if held is None:
        raise InputError("the metadata of neuroanp say there is a bias, and a node has none; use --ignore-metadata")
    own = node.about.get("own_bias")
    if own is not None and np.shape(own) == held.shape and np.array_equal(gain * own + offset, held):
        return own
    return (held - offset) / gain
