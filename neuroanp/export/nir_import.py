"""Read NIR graphs of recurrent LIF units, files from strangers included, into weights and a neuron."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroanp.errors import InputError
from neuroanp.export import nir_unsaid
from neuroanp.export.nir_file import OPTIONAL, Node, load

if TYPE_CHECKING:
    from collections.abc import Collection

    from neuroanp.backends.neuron import LIF
    from neuroanp.export.nir_graph import Gains

Array = Any  # NDArray[np.float64]
MiB = 1 << 20
LARGEST, ODD = 1e15, 1e3
"""Weights in thresholds: above the first, squares and sums of products leave float32; above the second, odd."""
SMALLEST = float(np.finfo(np.float32).tiny)
LONGEST = 2.0**24
"""Steps of a time constant: float32 has no factor a step between 1 and that of a longer one."""
SHAPE = "input -> Linear|Affine -> LIF|CubaLIF (with a Linear from it to itself) -> Linear|Affine (-> LI) -> output"


@dataclass(frozen=True)
class Imported:
    """A network from a NIR file.

    Args:
        weights: w_in (N, I or I+1), w (N, N), w_out (O, N or N+1): post, pre; float64.
        bias: whether w_in and w_out have a column more, which a constant drives.
        neuron: the units' parameters. dt: seconds a step.
        spikes_in: whether inputs pass through the synapse, one step later, as spikes do.
        notes: sentences: what differs from the file, and what the file does not say, with the option that sets it.
    """

    weights: dict[str, Array]
    bias: bool
    neuron: LIF
    dt: float
    spikes_in: bool
    notes: tuple[str, ...] = ()


def read(
    path: str | Path,
    *,
    dt: float | None = None,
    tau_r: float | None = None,
    own_units: bool = True,
    given: Collection[str] = (),
    limit_bytes: int = 256 * MiB,
) -> Imported:
    """Read a graph of one recurrent layer of LIF or CubaLIF units.

    A file that `neuroanp export` wrote gives the network's own weights bit for bit: the gains follow from the neuron in
    its metadata, and `rest` holds what float64 lost in multiplying. Other files give weights in units of the threshold
    (gains 1, drive 0), equal in what they do within rounding; what such a file does not say is in the notes.

    Args:
        path: the file. dt: seconds a step, where the file does not say.
        tau_r: time constant of a trace of the outputs in seconds, where the graph has no LI.
        own_units: whether to read the metadata of neuroanp; False: the nodes, dt and reset alone.
        given: dotted keys of the configuration that the caller sets, such as "neuron.reset": no note asks for them.
        limit_bytes: largest file, and largest sum of all arrays.

    Raises:
        InputError: no such file, not a NIR file, too large, not safe to load, or no such network.
    """
    path = Path(path)
    nodes, edges, about = load(path, limit_bytes)
    odd: list[str] = []
    try:
        graph = _roles(nodes, edges)
        from neuroanp.export.nir import FORMAT

        own = own_units and about.get("format") == FORMAT
        _nothing_missing([*nir_unsaid.missing(about, graph.unit, dt), *([] if own else _no_trace(graph, tau_r))])
        step = nir_unsaid.step(about, dt)
        odd = nir_unsaid.another_step(about, graph.unit, step)
        with np.errstate(all="ignore"):
            network = _own(graph, about, step) if own else _foreign(graph, about, step, tau_r)
        _one_tau_r(network.neuron, tau_r)
        unsaid = [] if own else nir_unsaid.said(graph.unit, graph.filled, about, given)
    except InputError as error:
        raise InputError(f"{path}: {error.message}", [*error.problems, *odd]) from None
    except ValueError as error:  # of the neuron: a time constant that is no longer than a step
        raise InputError(f"{path}: {error}") from None
    return replace(network, notes=(*network.notes, *odd, *unsaid, *_sizes(path, network.weights)))


def _nothing_missing(problems: list[str]) -> None:
    if problems:
        raise InputError(*problems) if len(problems) == 1 else InputError("the file does not say all", problems)


def _no_trace(graph: Graph, tau_r: float | None) -> list[str]:
    told = "the graph has no LI, and outputs here are traces; give their time constant tau_r, e.g. --tau-r '20 ms'"
    return [told] * (graph.li is None and tau_r is None)


def _one_tau_r(neuron: LIF, given: float | None) -> None:
    if given is not None and abs(neuron.tau_r - given) > nir_unsaid.SAME * given:
        raise InputError(f"tau_r: the file says {neuron.tau_r:g} s, and {given:g} s was given")


def _sizes(path: Path, weights: dict[str, Array]) -> list[str]:
    """Say which weights are odd, in thresholds; refuse those that no training goes on from.

    Raises:
        InputError: weights that are not finite, or above LARGEST, whose squares float32 cannot hold.
    """
    problems, notes = [], []
    for name, W in weights.items():
        if not np.isfinite(W).all():
            problems.append(f"{name}: in units of the threshold, {int((~np.isfinite(W)).sum())} weights are not finite")
            continue
        peak = float(np.abs(W).max(initial=0.0))
        if peak > LARGEST:
            problems.append(
                f"{name}: {int((np.abs(W) > LARGEST).sum())} of {W.size} weights are up to {peak:.3g} thresholds, at "
                f"most {LARGEST:g} can be learned with; scale weights and thresholds of the graph down together, or "
                "correct its r"
            )
        elif peak > ODD:
            count = int((np.abs(W) > ODD).sum())
            notes.append(f"{name}: {count} of {W.size} weights are over {ODD:g} thresholds, up to {peak:.3g}")
        lost = int(((W != 0) & (np.abs(W) < SMALLEST)).sum())
        notes += [f"{name}: {lost} of {W.size} weights are below {SMALLEST:.2g}, and are 0 in float32"] * bool(lost)
        notes += [f"{name}: all weights are 0"] * (not peak and name != "w")
    if problems:
        raise InputError(f"{path}: its weights cannot be learned with", problems)
    return notes


# The graph


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


def _roles(nodes: dict[str, Node], edges: list[tuple[str, str]]) -> Graph:
    for a, b in edges:
        for name in (a, b):
            if name not in nodes:
                raise InputError(f"edge '{a}' -> '{b}': there is no node '{name}'")

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
    roles = {"w_in": ({source}, {unit}), "w_out": ({unit}, {end}), "w": ({unit}, {unit})}
    found: dict[str, Node | None] = {"w": None}
    for name, ends in between.items():
        role = next((role for role, wanted in roles.items() if wanted == ends), None)
        if role is None or found.get(role) is not None:
            raise InputError(f"node '{name}' ({nodes[name].kind}) is not where it can be read: {SHAPE}")
        found[role] = nodes[name]
    expected = {(a, name) for name, (before, _) in between.items() for a in before}
    expected |= {(name, b) for name, (_, after) in between.items() for b in after} | ({(end, sink)} if li else set())
    if set(edges) != expected or len(edges) != len(expected) or not found.get("w_in") or not found.get("w_out"):
        odd = sorted(set(edges) ^ expected)
        raise InputError(f"edges cannot be read{f' ({odd[0][0]} -> {odd[0][1]})' if odd else ''}: {SHAPE}")
    filled = tuple(key for key in OPTIONAL[nodes[unit].kind] if key not in nodes[unit].fields)
    return _shaped(Graph(w_in=found["w_in"], unit=nodes[unit], w_out=found["w_out"], w=found["w"],  # pyright: ignore
                         li=nodes[li[0]] if li else None, filled=filled))  # fmt: skip


def _shaped(graph: Graph) -> Graph:
    """Check that shapes agree, and give every unit's field the shape (N,)."""
    for name, node in (("w_in", graph.w_in), ("w", graph.w), ("w_out", graph.w_out)):
        if node is not None and node.fields["weight"].ndim != 2:
            raise InputError(f"{name}: weight has shape {node.fields['weight'].shape}; (post, pre) is needed")
    n, outs = len(graph.w_in.fields["weight"]), len(graph.w_out.fields["weight"])
    for name, node, shape in (("w_out", graph.w_out, (outs, n)), ("w", graph.w, (n, n))):
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


# The network


def _own(graph: Graph, about: dict[str, Any], dt: float) -> Imported:
    """Undo what `neuroanp.export.nir` did, after checking that nodes and metadata say the same."""
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
    return Imported({"w_in": w_in, "w": w, "w_out": w_out}, bias, neuron, dt, spikes_in)


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


def _foreign(graph: Graph, about: dict[str, Any], dt: float, tau_r: float | None) -> Imported:
    """Return the network in units of its thresholds: v' = (v - v_reset) / (v_threshold - v_reset)."""
    from neuroanp.backends.neuron import LIF

    unit, cuba = graph.unit.fields, graph.unit.kind == "CubaLIF"
    kind, height = graph.unit.kind, unit["v_threshold"] - unit["v_reset"]
    if not (height > 0).all():
        raise InputError(f"{kind}: v_threshold is not above v_reset in {int((height <= 0).sum())} units")
    tau_m = _uniform(kind, "tau_mem" if cuba else "tau", unit, dt)
    tau_s = _uniform(kind, "tau_syn", unit, dt) if cuba else 0.0
    lean = (unit["v_leak"] - unit["v_reset"]) / height
    if cuba and lean.any():
        raise InputError("CubaLIF: v_leak differs from v_reset; a constant current past the synapse cannot be read")
    if tau_r is not None and tau_r > LONGEST * dt:
        raise InputError(f"tau_r: {tau_r:g} s is over {LONGEST:g} steps of {dt:g} s; at most {LONGEST * dt:g} s")
    tau_y = float(tau_r or 0) if graph.li is None else _uniform("LI", "tau", graph.li.fields, dt)

    neuron = LIF(input_gain=1.0, synapse_gain=1.0, drive=0.0, tau_m=tau_m, tau_s=tau_s, tau_r=tau_y, refractory=0.0,
                 integration="euler", reset=nir_unsaid.reset_of(about))  # fmt: skip
    neuron.check(dt)
    scale = unit["r"] * (unit["w_in"] if cuba else 1.0) / height  # of a current that lasts
    pulse = scale * (dt / tau_s if cuba else 1.0)
    w_in = pulse[:, None] * graph.w_in.fields["weight"]
    w = np.zeros((len(w_in),) * 2) if graph.w is None else pulse[:, None] * graph.w.fields["weight"]
    constant = sum(node.fields["bias"] for node in (graph.w_in, graph.w) if node is not None and node.kind == "Affine")
    b_in = scale * constant + lean
    w_out, b_out = _outputs(graph, dt / tau_y)
    bias = bool(np.any(b_in)) or bool(np.any(b_out))
    if bias:
        w_in, w_out = np.concatenate([w_in, b_in[:, None]], -1), np.concatenate([w_out, b_out[:, None]], -1)
    notes = ["weights are in units of the threshold: gains 1, drive 0"]
    notes += [
        "inputs pass through the synapse and act one step later here; a bias of the outputs acts from the start"
    ] * cuba
    notes += [f"outputs are traces of the graph's outputs, with tau_r {tau_y:g} s"] * (graph.li is None)
    notes += ["the graph takes filtered input lines: see its metadata input_taps"] * ("input_taps" in about)
    return Imported({"w_in": w_in, "w": w, "w_out": w_out}, bias, neuron, dt, cuba, tuple(notes))


def _outputs(graph: Graph, rate: float) -> tuple[Array, Array]:
    """Return weights and bias of y_t = (1 - rate) y_{t-1} + W s_t + rate b."""
    W, b = graph.w_out.fields["weight"], graph.w_out.fields.get("bias", np.zeros(len(graph.w_out.fields["weight"])))
    if graph.li is None:
        return W, b / rate
    r, leak = graph.li.fields["r"], graph.li.fields["v_leak"]
    return rate * r[:, None] * W, r * b + leak


def _uniform(kind: str, key: str, fields: dict[str, Array], dt: float) -> float:
    values = fields[key]
    if values.min() <= dt:
        raise InputError(f"{kind}: {key} is {values.min():g} s, and must be longer than one step, dt {dt:g} s")
    if values.max() > LONGEST * dt:
        raise InputError(
            f"{kind}: {key} is {values.max():g} s, over {LONGEST:g} steps of {dt:g} s: nothing would decay; give a "
            "longer --dt, or correct it"
        )
    if np.ptp(values) > 1e-6 * np.abs(values).max():
        raise InputError(f"{kind}: {key} differs between units ({values.min():g} to {values.max():g} s); one is needed")
    return float(values.flat[0])
