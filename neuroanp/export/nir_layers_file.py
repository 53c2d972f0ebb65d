"""Write a network of layers as a NIR graph, and read it back bit for bit.

Metadata of the graph hold the structure and the units, `rest` of a node what float64 lost when gains were folded in,
and `factor_<name>` how its units differ.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from neuroanp.backends.neuron import LIF
from neuroanp.backends.numeric import Numeric
from neuroanp.errors import InputError
from neuroanp.export.model import Model
from neuroanp.export.nir_file import LONGEST_TEXT, Loaded, Node
from neuroanp.export.nir_graph import tau_of
from neuroanp.export.nir_layers import Graph, Unit, graph_of, misfits, own_weights, slack
from neuroanp.network.network import INPUT, OUTPUT, Layer, Network, Projection
from neuroanp.records.atomic import write_bytes

Array = Any  # NDArray[np.float64]
FORMAT = "neuroanp-2"
FACTOR = "factor_"
SUM = "sum"
"""An identity that sums what several arrays give to the output."""


def write(model: Model, graph: Graph, path: Path) -> None:
    """Write the graph; the same network gives the same bytes.

    Raises:
        InputError: nir is not installed.
        RunError: the disk is full or fails.
    """
    try:
        import nir  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError(f"nir cannot be imported ({error}); pip install 'neuroanp[nir]'") from None

    network = model.network
    held = {name: (node.weight, node.bias) for name, node in graph.weights.items()}
    undone = own_weights(graph, held, model)
    nodes: dict[str, Any] = {INPUT: nir.Input({"input": np.array([len(graph.taps)])})}
    edges: list[tuple[str, str]] = []
    for name, node in graph.weights.items():
        rest = model.weights[name] - undone[name] if name in undone else np.zeros(0)
        about = {"rest": rest} if rest.any() else {}
        nodes[name] = (
            nir.Linear(node.weight, metadata=about)
            if node.bias is None
            else nir.Affine(node.weight, node.bias, metadata=about)
        )
        edges += [(node.pre, name), (name, node.post)]
    if _sums(graph):
        nodes[SUM] = nir.Linear(np.eye(network.outputs))
        edges = [(a, SUM if b == OUTPUT else b) for a, b in edges] + [(SUM, OUTPUT)]
    for layer in network.layers:
        factors = {f"{FACTOR}{key}": np.asarray(f) for key, f in model.factors.get(layer.name, {}).items()}
        nodes[layer.name] = _unit(nir, graph.units[layer.name], model.dt, factors)
    nodes[OUTPUT] = nir.Output({"output": np.array([network.outputs])})
    if graph.li:
        one = np.ones(network.outputs)
        nodes["li"] = nir.LI(tau=tau_of(graph.decay, model.dt) * one, r=one, v_leak=0.0 * one)
        edges = [(a, "li" if b == OUTPUT else b) for a, b in edges] + [("li", OUTPUT)]
    made, content = nir.NIRGraph(nodes, edges, metadata=_metadata(model, graph)), BytesIO()
    nir.write(content, made)  # pyright: ignore[reportArgumentType] - in memory: HDF5 crashes where a disk is full
    write_bytes(path, content.getvalue())


def _sums(graph: Graph) -> bool:
    """Tell whether several arrays reach the output, which readers let one node do."""
    return sum(node.post == OUTPUT for node in graph.weights.values()) > 1


def _unit(nir: Any, unit: Unit, dt: float, about: dict[str, Any]) -> Any:
    one = np.ones(len(unit.a_m))
    shared = {"v_threshold": one, "v_reset": 0.0 * one, "metadata": about}
    if unit.kind == "IF":
        return nir.IF(r=one / dt, **shared)
    tau = tau_of(unit.a_m, dt) * one
    if unit.kind == "LIF":
        return nir.LIF(tau=tau, r=one, v_leak=0.0 * one, **shared)
    tau_s = tau_of(unit.a_s, dt) * one
    return nir.CubaLIF(tau_syn=tau_s, tau_mem=tau, r=tau / dt, v_leak=0.0 * one, w_in=tau_s / dt, **shared)


def _metadata(model: Model, graph: Graph) -> dict[str, Any]:
    network = model.network
    layers = [[each.name, each.units, model.lif(each).model_dump(mode="json")] for each in network.layers]
    structure = {
        "inputs": network.inputs, "outputs": network.outputs, "input_delay": network.input_delay, "layers": layers,
        "projections": [[p.name, p.pre, p.post, p.delay, p.bias] for p in network.projections],
    }  # fmt: skip
    about = {
        "format": FORMAT,
        "dt": float(model.dt),
        "reset": "hard",
        "network": json.dumps(structure),
        "bias": int(model.bias),
        "spikes_in": int(model.spikes_in),
        "input_delay_steps": int(model.spikes_in and network.input_delay),
        "output_decay": graph.decay,
        "output_line": float(model.output_line),
    }
    if len(about["network"]) > LONGEST_TEXT:
        raise InputError("nir: the network's layers take more room than metadata have; train fewer layers")
    if graph.filtered:
        about["input_taps"] = graph.taps
    if graph.constants:
        about["input_constants"] = np.array(graph.constants)
    return about


# Reading back


@dataclass(frozen=True)
class Own:
    """A network that neuroanp wrote."""

    weights: dict[str, Array]
    network: Network
    spikes_in: bool
    factors: dict[str, dict[str, Array]]


def read_layers(loaded: Loaded, dt: float) -> Own:
    """Return the network of a graph that neuroanp wrote, after checking that nodes and metadata say the same.

    Raises:
        InputError: they contradict each other.
        ValueError: a time constant is no longer than a step.
    """
    from pydantic import ValidationError

    about, nodes = loaded.about, loaded.nodes
    try:
        network = _network(json.loads(about["network"]))
        spikes_in, line = bool(about["spikes_in"]), float(about["output_line"])
    except (ValidationError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise InputError(f"the metadata of neuroanp are damaged ({type(error).__name__}); {_REMEDY}") from None
    if not 0 < line <= 1:
        raise InputError(f"the metadata of neuroanp are damaged (output_line); {_REMEDY}")
    for layer in network.layers:
        layer.cell.check(dt)  # pyright: ignore[reportAttributeAccessIssue]
    _small_enough(network, nodes)
    factors = {layer.name: _factors(nodes.get(layer.name), layer) for layer in network.layers}
    factors = {name: each for name, each in factors.items() if each}
    zeros = {name: np.zeros(shape) for name, shape in network.shapes.items()}
    model = Numeric("read", zeros, network, dt, spikes_in, factors=factors)
    if problems := misfits(model):
        raise InputError(f"the metadata of neuroanp mean a network that NIR cannot hold; {_REMEDY}", problems)
    graph = graph_of(model, line, "li" in nodes)
    _same(graph, nodes, loaded.edges)
    held = {name: (nodes[name].fields["weight"], nodes[name].fields.get("bias")) for name in graph.weights}
    weights = {
        name: _whole(W, nodes[name], name, slack(graph, held, name, model))
        for name, W in own_weights(graph, held, model).items()
    }
    return Own(weights, network, spikes_in, factors)


_REMEDY = "read it with --ignore-metadata"


def _network(plain: Mapping[str, Any]) -> Network:
    layers = tuple(
        Layer(str(name), int(units), LIF.model_validate_json(json.dumps(cell))) for name, units, cell in plain["layers"]
    )
    projections = tuple(
        Projection(str(name), str(pre), str(post), int(delay), bool(bias))
        for name, pre, post, delay, bias in plain["projections"]
    )
    return Network(int(plain["inputs"]), layers, int(plain["outputs"]), projections, int(plain["input_delay"]))


def _small_enough(network: Network, nodes: Mapping[str, Node]) -> None:
    """Refuse nodes that are not there, or have other sizes, before anything of these sizes is made."""
    names = [layer.name for layer in network.layers] + [SUM] * (len(network.readout) > 1)
    lost = [name for name in names if name not in nodes]
    if lost:
        raise InputError(f"there is no node '{lost[0]}', which the metadata of neuroanp mean; {_REMEDY}")
    for p in network.projections:
        weight = nodes[p.name].fields.get("weight") if p.name in nodes else None
        rows, columns = network.shapes[p.name]
        if weight is None or weight.ndim != 2 or weight.shape[0] != rows or weight.shape[1] < columns - p.bias:
            raise InputError(f"node '{p.name}' is not the array that the metadata of neuroanp mean; {_REMEDY}")


def _factors(node: Node | None, layer: Layer) -> dict[str, Array]:
    found = {}
    for key, f in ({} if node is None else node.about).items():
        name = key.removeprefix(FACTOR)
        if not key.startswith(FACTOR):
            continue
        if name not in ("threshold", "tau_m", "tau_s") or np.shape(f) != (layer.units,) or not (f > 0).all():
            raise InputError(f"node '{layer.name}', metadata {key}: are no factors of its units; {_REMEDY}")
        found[name] = f
    return found


def _same(graph: Graph, nodes: Mapping[str, Node], edges: list[tuple[str, str]]) -> None:
    """Raise InputError where nodes or edges are others than those that the metadata mean."""
    dt, end = graph.dt, "li" if graph.li else OUTPUT
    into = SUM if _sums(graph) else end
    wanted = {(node.pre, name) for name, node in graph.weights.items()}
    wanted |= {(name, into if node.post == OUTPUT else node.post) for name, node in graph.weights.items()}
    wanted |= ({(SUM, end)} if into == SUM else set()) | ({("li", OUTPUT)} if graph.li else set())
    identity = nodes[SUM].fields.get("weight", np.zeros(0)) if into == SUM else np.eye(1)
    if identity.ndim != 2 or not np.array_equal(identity, np.eye(len(identity))):
        raise InputError(f"node '{SUM}' is no identity: the graph was changed; {_REMEDY}")
    if {*edges} != wanted:
        a, b = sorted({*edges} ^ wanted)[0]
        raise InputError(f"edge '{a}' -> '{b}': the graph was changed; {_REMEDY}")
    for name, weight in graph.weights.items():
        shape, found = weight.weight.shape, nodes[name].fields.get("weight", np.zeros(0)).shape
        if found != shape or (weight.bias is None) != ("bias" not in nodes[name].fields):
            raise InputError(f"{name}: weight has shape {found}, and needs {shape}, or a bias; {_REMEDY}")
    for name, unit in graph.units.items():
        said = {"v_threshold": 1.0, "v_reset": 0.0, "v_leak": 0.0}
        if unit.kind == "IF":
            said = {"v_threshold": 1.0, "v_reset": 0.0, "r": 1 / dt}
        elif unit.kind == "LIF":
            said |= {"tau": tau_of(unit.a_m, dt), "r": 1.0}
        else:
            tau, tau_s = tau_of(unit.a_m, dt), tau_of(unit.a_s, dt)
            said |= {"tau_mem": tau, "tau_syn": tau_s, "r": tau / dt, "w_in": tau_s / dt}
        _alike(name, nodes[name], unit.kind, said)
    if graph.li:
        _alike("li", nodes["li"], "LI", {"tau": tau_of(graph.decay, dt), "r": 1.0, "v_leak": 0.0})


def _alike(name: str, node: Node, kind: str, said: Mapping[str, Any]) -> None:
    if node.kind != kind:
        raise InputError(f"node '{name}' is {node.kind}, and the metadata of neuroanp mean {kind}; {_REMEDY}")
    for key, value in said.items():
        found = node.fields.get(key, np.zeros(0))
        fits = np.size(found) == 1 or not np.ndim(value) or np.shape(found) == np.shape(value)
        if not np.size(found) or not fits or not np.allclose(found, value, rtol=1e-6, atol=0.0):
            raise InputError(
                f"{name}.{key} is not what the metadata of neuroanp mean: the graph was changed; {_REMEDY}"
            )


def _whole(W: Array, node: Node, name: str, more: Array) -> Array:
    """Return weights with what rounding took of them; `more` (post,): what it may have taken of a bias beside that."""
    rest = node.about.get("rest")
    if rest is None:
        return W
    most = 16 * np.spacing(np.abs(W)) + 1e-300
    most[:, -1] += more
    if np.shape(rest) != W.shape or (np.abs(rest) > most).any():
        raise InputError(f"{name}: metadata rest is more than rounding; {_REMEDY}")
    return W + rest
