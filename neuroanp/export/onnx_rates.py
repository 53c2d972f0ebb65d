"""Rate networks in ONNX: layers by the operators RNN, GRU and LSTM, or by a Scan over the traced step of their cell.

    RNN     tanh                              of several arrays from below the operator sees the sources side by side
    GRU     linear_before_reset: the reset gate behind the recurrent product; rows z, r, n (ONNX calls n h)
    LSTM    rows i, o, f, g (ONNX calls g c)
    Scan    every other cell, layers without a recurrence, and float64, which onnxruntime has no such operators in

The constants of gates are the recurrent bias of an operator, so that the other one holds the bias column as it is.

Source: the operators RNN-14, GRU-14, LSTM-14 and Scan-16 of the ONNX specification, https://onnx.ai/onnx/operators/.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from neuroanp.errors import InputError
from neuroanp.export import onnx_trace
from neuroanp.export.model import Traces
from neuroanp.export.onnx_names import ELEMENT, Names, Tensors, summed
from neuroanp.network.compose import ONE_LAYER
from neuroanp.network.gru import GRU
from neuroanp.network.lstm import LSTM
from neuroanp.network.network import INPUT, OUTPUT
from neuroanp.network.rollout import rollout
from neuroanp.network.tanh import Tanh

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from neuroanp.export.model import Model
    from neuroanp.network.cell import Cell
    from neuroanp.network.network import Layer, Projection


class Native(NamedTuple):
    """An operator of ONNX that a cell is.

    Args:
        operator, attributes: of ONNX.
        feed, recurrent: which of the cell's rows from below, and of its recurrent ones, stands where in the operator.
        constants: of a cell, what is added to each of the operator's gates.
    """

    operator: str
    attributes: str
    feed: tuple[int, ...]
    recurrent: tuple[int, ...]
    constants: Callable[[Any], tuple[float, ...]]


NATIVE: dict[type, Native] = {
    Tanh: Native("RNN", 'activations = ["Tanh"]', (0,), (0,), lambda cell: (0.0,)),
    GRU: Native("GRU", "linear_before_reset = 1", (2, 1, 0), (1, 0, 2), lambda cell: (cell.z_bias, cell.r_bias, 0.0)),
    LSTM: Native("LSTM", "", (0, 3, 1, 2), (0, 3, 1, 2), lambda cell: (cell.i_bias, cell.o_bias, cell.f_bias, 0.0)),
}


class Drawn(NamedTuple):
    """A graph in ONNX's text form, and its initializers by name."""

    text: str
    parts: Tensors


def native(model: Model, layer: Layer, dtype: str) -> Native | None:
    """Return the operator that a layer is, or None."""
    known = model.network.recurrence(layer.name) is not None and dtype == "float32"
    return NATIVE.get(type(layer.cell)) if known else None


def refused(model: Model, dtype: str) -> list[str]:
    """Find cells whose step is not known to ONNX, of all layers."""
    problems: list[str] = []
    for layer in model.network.layers:
        if native(model, layer, dtype) is None:
            try:
                _traced(model, layer, dtype)
            except InputError as error:
                problems += error.problems
    return problems


def _traced(model: Model, layer: Layer, dtype: str) -> onnx_trace.Step:
    lines = model.network.lines[layer.name]
    return onnx_trace.trace(cast("Cell", layer.cell), layer.name, layer.units, lines, dtype)


def drawn(model: Model, dtype: str, states: bool) -> Drawn:
    """Return the graph and its initializers; `states`: whether it gives the rates of all layers, too.

    Raises:
        InputError: a cell's step is not known to ONNX; see `onnx_trace.trace`.
    """
    network, names = model.network, Names(model.network)
    readouts = network.feed(OUTPUT)
    parts: dict[str, Any] = {f"{names.array[p.name]}_t": model.columns(p.name)[0].T for p in readouts}
    nodes, more = _delayed(model, names, INPUT), []
    if any(p.delay and p.pre != p.post for p in network.projections):
        parts |= {"step_before": np.array([1, 0, 0, 0, 0, 0]), "first": np.array([0]), "last": np.array([-1])}
        parts |= {"time": np.array([0])}
    for layer in network.layers:
        tag, operator = names.of[layer.name], native(model, layer, dtype)
        made = _scanned(model, names, layer, dtype) if operator is None else _native(model, names, layer, operator)
        nodes, parts = [*nodes, *made[0], *_delayed(model, names, layer.name)], parts | made[1]
        more += [f"{ELEMENT[dtype]}[T,B,{layer.units}] rates{tag}"] * states
    parts |= {names.bias(p.name): model.columns(p.name)[1] for p in readouts if p.bias}
    if any(node.startswith("batch") for node in nodes):
        nodes.insert(0, "batch = Shape <start = 1, end = 2> (inputs)")
    body = "\n  ".join([*dict.fromkeys(nodes), *_readout(names, readouts)])
    real = ELEMENT[dtype]
    head = ", ".join([f"{real}[T,B,{network.outputs}] outputs", *more])
    return Drawn(f"rate ({real}[T,B,{network.inputs}] inputs) => ({head}) {{\n  {body}\n}}", parts)


def evaluate(model: Model, dtype: str, u: NDArray[Any]) -> tuple[Traces, dict[str, NDArray[np.float64]]]:
    """Return what the network does on u (T, B, I) with numbers of dtype, and the rates of each layer."""
    import torch

    if model.one_layer and type(model.layer.cell) is Tanh:
        traces = _tanh(model, dtype, u.astype(dtype))
        return traces, {model.layer.name: np.tanh(traces.v)}
    precision = {"float32": torch.float32, "float64": torch.float64}[dtype]
    W = {name: torch.tensor(np.ascontiguousarray(w), dtype=precision) for name, w in model.weights.items()}
    with torch.no_grad():
        run = rollout(model.network, W, torch.tensor(np.ascontiguousarray(u), dtype=precision))
    v = torch.cat([*run.h.values()], -1).double().numpy()
    rates = {name: x.double().numpy() for name, x in run.x.items() if name != INPUT}
    return Traces(run.y.double().numpy(), None, v), rates


def _tanh(model: Model, dtype: str, u: NDArray[Any]) -> Traces:
    """Do what `rollout` does for one layer of tanh units, with numpy alone and the biases apart, as RNN has them."""
    (into, b_in), (back, _), (out, b_out) = (
        tuple(part.astype(dtype) for part in model.columns(name)) for name in ONE_LAYER
    )
    x, hs, ys = np.zeros((u.shape[1], len(back)), u.dtype), [], []
    drives = u @ into.T
    for drive in drives + b_in if model.bias else drives:
        hs.append(drive + x @ back.T)
        x = np.tanh(hs[-1])
        ys.append(x @ out.T + (b_out if model.bias else 0))
    return Traces(np.asarray(ys, np.float64), None, np.asarray(hs, np.float64))


# ---- what comes from below ----


def _source(names: Names, p: Projection) -> str:
    """Return the name of what an array sees, (T, B, pre)."""
    before = "inputs" if p.pre == INPUT else f"rates{names.of[p.pre]}"
    return f"{before}_before" if p.delay else before


def _delayed(model: Model, names: Names, group: str) -> list[str]:
    """Return the nodes for the activity of a group a step later, if anything above it sees that."""
    if not any(p.pre == group != p.post and p.delay for p in model.network.projections):
        return []
    name = "inputs" if group == INPUT else f"rates{names.of[group]}"
    return [
        f"{name}_padded = Pad ({name}, step_before)",
        f"{name}_before = Slice ({name}_padded, first, last, time)",
    ]


def _readout(names: Names, readouts: tuple[Projection, ...]) -> list[str]:
    """Return the nodes for the outputs."""
    nodes, terms = [], []
    for p in readouts:
        name = f"read{names.end(p.name)}"
        nodes.append(f"{name} = MatMul ({_source(names, p)}, {names.array[p.name]}_t)")
        terms += [name, *[names.bias(p.name)] * p.bias]
    if len(terms) == 1:
        return [nodes[0].replace(terms[0], "outputs", 1)]
    return [*nodes, *summed(terms, "outputs")[0]]


# ---- a layer by an operator ----


def _native(model: Model, names: Names, layer: Layer, native: Native) -> tuple[list[str], dict[str, Any]]:
    tag, feed, back = names.of[layer.name], model.network.feed(layer.name), model.network.recurrence(layer.name)
    assert back is not None
    nodes, x, w = [], _source(names, feed[0]), names.array[feed[0].name]
    if len(feed) > 1:
        x, w = f"seen{tag}", f"into{tag}"
        nodes.append(f"{x} = Concat <axis = 2> ({', '.join(_source(names, p) for p in feed)})")
    W = np.concatenate([model.columns(p.name)[0] for p in feed], 1)
    bias = np.sum([model.columns(p.name)[1] for p in feed if p.bias], 0) if any(p.bias for p in feed) else None
    recurrent, r = model.columns(back.name), names.array[back.name]
    parts = {w: _rows(W, native.feed, layer.units)[None], r: _rows(recurrent[0], native.recurrent, layer.units)[None]}
    constants = np.repeat(native.constants(layer.cell), layer.units)
    if back.bias:
        constants = constants + _rows(recurrent[1], native.recurrent, layer.units)
    parts |= {"axis": np.array([1])}
    b = ""
    if bias is not None or constants.any():
        below = np.zeros(len(W)) if bias is None else bias
        parts[f"b{tag}"] = np.concatenate([_rows(below, native.feed, layer.units), constants])[None]
        b = f", b{tag}"
    attributes = ", ".join(filter(None, [f"hidden_size = {layer.units}", native.attributes]))
    nodes += [
        f"every{tag} = {native.operator} <{attributes}> ({x}, {w}, {r}{b})",
        f"rates{tag} = Squeeze (every{tag}, axis)",
    ]
    return nodes, parts


def _rows(W: NDArray[Any], order: tuple[int, ...], units: int) -> NDArray[Any]:
    """Return the rows of an array, blocks of so many units each, in another order of the blocks."""
    return W.reshape(len(order), units, *W.shape[1:])[list(order)].reshape(W.shape)


# ---- a layer by the traced step of its cell ----


def _scanned(model: Model, names: Names, layer: Layer, dtype: str) -> tuple[list[str], dict[str, Any]]:
    tag, back, real = names.of[layer.name], model.network.recurrence(layer.name), ELEMENT[dtype]
    lines, step = model.network.lines[layer.name], _traced(model, layer, dtype)
    nodes, parts, drive = _drive(model, names, layer)
    first, second = [], [*step.nodes]
    if back is not None:
        sent = f"sent_x = MatMul (x_before, {names.array[back.name]}_t)"
        own, pads = _padded(model, back, f"recurrent_pads{tag}", "sent_x")
        W, bias = model.columns(back.name)
        parts |= {f"{names.array[back.name]}_t": W.T} | pads
        if back.bias:
            parts[names.bias(back.name)] = bias
            sent = sent.replace("sent_x", "sent_w", 1) + f"\n    sent_x = Add (sent_w, {names.bias(back.name)})"
        first += [sent, *own[0], f"h_t = Add (drive_t, {own[1]})"]
        second.append(f"x_after = Identity ({step.x})")
    else:
        first.append("h_t = Identity (drive_t)")
    parts |= {f"{name}{tag}": part for name, part in step.constants.items()}
    carried = [f"s_{k}" for k in range(len(step.start))]
    for name, start in zip(carried, step.start, strict=True):
        parts[f"start_{name}{tag}"], parts[f"wide_{name}{tag}"] = start, np.array([start.shape[1]])
    text = [line.replace("@", tag) for line in second]
    kinds = [f"{kind}[B,{start.shape[1]}]" for kind, start in zip(step.kinds, step.start, strict=True)]
    before = [f"{kind} {name}_before" for kind, name in zip(kinds, carried, strict=True)]
    after = [f"{kind} {name}_after" for kind, name in zip(kinds, carried, strict=True)]
    if back is not None:
        carried, before, after = ["x", *carried], [f"{real}[B,{layer.units}] x_before", *before], [
            f"{real}[B,{layer.units}] x_after", *after]  # fmt: skip
        parts |= {f"start_x{tag}": np.zeros((1, layer.units)), f"wide_x{tag}": np.array([layer.units])}
    begun = []
    for name in carried:
        begun += [f"size_{name}{tag} = Concat <axis = 0> (batch, wide_{name}{tag})"]
        begun += [f"begin_{name}{tag} = Expand (start_{name}{tag}, size_{name}{tag})"]
    head = ", ".join([*before, f"{real}[B,{lines}] drive_t"])
    tail = ", ".join([*after, f"{real}[B,{layer.units}] x_t"])
    body = "\n    ".join([*first, *text, f"x_t = Identity ({step.x})"])
    left = ", ".join([*(f"{name}_T{tag}" for name in carried), f"rates{tag}"])
    right = ", ".join([*(f"begin_{name}{tag}" for name in carried), drive])
    scan = f"{left} = Scan <num_scan_inputs = 1, body = step ({head}) =>\n   ({tail}) {{\n    {body}\n  }}> ({right})"
    if begun:
        begun.insert(0, "batch = Shape <start = 1, end = 2> (inputs)")
    return [*nodes, *begun, scan], parts


def _drive(model: Model, names: Names, layer: Layer) -> tuple[list[str], dict[str, Any], str]:
    """Return nodes, initializers and name of what comes from below in all steps, (T, B, ports n)."""
    nodes, parts, terms = [], {}, []
    tag = names.of[layer.name]
    for p in model.network.feed(layer.name):
        W, bias = model.columns(p.name)
        parts[f"{names.array[p.name]}_t"] = W.T
        nodes.append(f"product_{names.label(p.name)} = MatMul ({_source(names, p)}, {names.array[p.name]}_t)")
        terms.append(f"product_{names.label(p.name)}")
        if p.bias:
            parts[names.bias(p.name)] = bias
            terms.append(names.bias(p.name))
    more, total = summed(terms, f"below{tag}")
    (wide, name), pads = _padded(model, model.network.feed(layer.name)[0], f"feed_pads{tag}", total, 3)
    return [*nodes, *more, *wide], parts | pads, name


def _padded(
    model: Model, p: Projection, pads: str, name: str, rank: int = 2
) -> tuple[tuple[list[str], str], dict[str, Any]]:
    """Return what puts zeros where an array reaches no port of its layer: nodes and a name, and initializers."""
    reached, lines = model.network.ports(p), model.network.lines[p.post]
    if reached == slice(0, lines):
        return ([], name), {}
    wide = np.zeros((2, rank), np.int64)
    wide[:, -1] = reached.start, lines - reached.stop
    return ([f"{name}_wide = Pad ({name}, {pads})"], f"{name}_wide"), {pads: wide.ravel()}
