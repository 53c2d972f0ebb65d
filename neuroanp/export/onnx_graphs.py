"""A network as an ONNX graph (opset 17), and the same arithmetic in numpy.

The graphs are written in ONNX's own text form, which `onnx.parser` reads; the numbers are its initializers.
Weights stand as a product of row vectors takes them: the name ends in _t where a matrix is transposed.

Source: the operators RNN-14, Scan-16 and Where-16 of the ONNX specification, https://onnx.ai/onnx/operators/.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroanp.export.model import Model, Traces

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from neuroanp.backends.neuron import LIF

OPSET, IR_VERSION = 17, 9
ELEMENT = {"float32": "float", "float64": "double"}
"""Names of number types in ONNX's text form."""
CODE = {"float": 1, "double": 11}
"""Their codes, TensorProto.DataType; that of true and false is 9."""

Tensors = Mapping[str, Any]


def gains(neuron: LIF) -> dict[str, float]:
    """Return what scales the currents of a neuron, by the names of the graph's initializers."""
    return {"input_gain": neuron.input_gain, "synapse_gain": neuron.synapse_gain, "drive": neuron.drive}


def tensors(model: Model, dtype: DTypeLike) -> dict[str, NDArray[Any]]:
    """Return the initializers of the network's graph by name.

    Args:
        model: the network. dtype: float32 or float64.
    """
    _, n, _ = model.sizes
    W = dict(model.weights)
    W["b_in"], W["b_out"] = (W[key][:, -1] if model.bias else np.zeros(len(W[key])) for key in ("w_in", "w_out"))
    W["w_in"], W["w_out"] = W["w_in"][:, : model.sizes[0]], W["w_out"][:, :n]
    parts: dict[str, Any] = {"w_out_t": W["w_out"].T}
    if model.neuron is None:
        parts |= {"w_in": W["w_in"][None], "w": W["w"][None], "axis": np.array([1])}
        if model.bias:  # of the input's product, then of the recurrent one
            parts |= {"b": np.concatenate([W["b_in"], np.zeros(n)])[None], "b_out": W["b_out"]}
        return _cast(parts, dtype)
    parts |= {"w_in_t": W["w_in"].T, "w_t": W["w"].T}
    if model.bias:
        parts |= {"b_in": W["b_in"], "b_out": W["b_out"], "input_line": model.input_line}
        parts |= {"one": 1.0} if model.neuron.decoder == "count" else {"output_line": model.output_line}
    parts |= {name: part.numpy() for name, part in zip(("a_m", "k_i", "k_e", "a_s"), model.step[:4], strict=True)}
    parts |= {"threshold": model.step.threshold.numpy(), "readout_decay": model.readout_decay}
    parts |= gains(model.neuron) | {"zero": 0.0}
    whole = {"now": 0, "a_step": 1, "hold": model.step.hold}
    whole |= {"n": np.array([n]), "o": np.array([model.sizes[2]])}
    return _cast(parts | whole, dtype)


def _cast(parts: Tensors, dtype: DTypeLike) -> dict[str, NDArray[Any]]:
    """Return real numbers as dtype and whole ones as int64."""
    made = {name: np.asarray(part) for name, part in parts.items()}
    return {name: part.astype(dtype if part.dtype.kind == "f" else np.int64) for name, part in made.items()}


def held(model: Model, parts: Tensors) -> dict[str, NDArray[np.float64]]:
    """Return the weights that initializers hold, in the network's own shapes."""
    w_out = parts["w_out_t"].T
    if model.neuron is None:
        w_in, w = parts["w_in"][0], parts["w"][0]
    else:
        w_in, w = parts["w_in_t"].T, parts["w_t"].T
    if model.bias:
        b_in = parts["b"][0, : len(w)] if model.neuron is None else parts["b_in"]
        w_in, w_out = np.column_stack([w_in, b_in]), np.column_stack([w_out, parts["b_out"]])
    return {name: np.asarray(W, np.float64) for name, W in (("w_in", w_in), ("w", w), ("w_out", w_out))}


def graph(model: Model, dtype: str, states: bool) -> str:
    """Return the graph in ONNX's text form, without its initializers.

    Args:
        model: the network. dtype: "float32" or "float64". states: whether it also gives what its units do.

    >>> one = np.ones((1, 1))
    >>> W = {"w_in": one, "w": 0 * one, "w_out": one}
    >>> from neuroanp.network.compose import one_layer
    >>> shape = one_layer({name: w.shape for name, w in W.items()})
    >>> print(graph(Model("one", W, shape, 1e-3, False, one[None], lambda y: {}), "float32", False))
    rate (float[T,B,1] inputs) => (float[T,B,1] outputs) {
      every = RNN <hidden_size = 1, activations = ["Tanh"]> (inputs, w_in, w)
      rates = Squeeze (every, axis)
      outputs = MatMul (rates, w_out_t)
    }
    """
    return (_rates if model.neuron is None else _spikes)(model, ELEMENT[dtype], states)


def _rates(model: Model, real: str, states: bool) -> str:
    i, n, o = model.sizes
    more = f", {real}[T,B,{n}] rates" if states else ""
    read = "read = MatMul (rates, w_out_t)\n  outputs = Add (read, b_out)" if model.bias else ""
    return f"""rate ({real}[T,B,{i}] inputs) => ({real}[T,B,{o}] outputs{more}) {{
  every = RNN <hidden_size = {n}, activations = ["Tanh"]> (inputs, w_in, w{", b" if model.bias else ""})
  rates = Squeeze (every, axis)
  {read or "outputs = MatMul (rates, w_out_t)"}
}}"""


def _spikes(model: Model, real: str, states: bool) -> str:
    i, n, o = model.sizes
    more = f", {real}[T,B,{n}] spikes, {real}[T,B,{n}] v" if states else ""
    given = ", spikes, v" if states else ""
    calm, late_0, late_T = ("calm = Cast <to = 9> (rest)", ", calm", ", late_T") if model.step.delayed else ("", "", "")
    return f"""spiking ({real}[T,B,{i}] inputs) => ({real}[T,B,{o}] outputs{more}) {{
        {_drive(model, real)}
        batch = Shape <start = 1, end = 2> (inputs)
        units = Concat <axis = 0> (batch, n)
        readouts = Concat <axis = 0> (batch, o)
        rest = Expand (zero, units)
        ready = Expand (now, units)
        unread = Expand (zero, readouts)
        {calm}
        v_T, i_T, wait_T, y_T{late_T}, outputs{given} =
            Scan <num_scan_inputs = 1, body = {_step(model, real, states)}>
            (rest, rest, ready, unread{late_0}, incoming)
    }}"""


def _drive(model: Model, real: str) -> str:
    """Return the nodes for `incoming` (T, B, N), what inputs add at each step, and `line_out` (O,), of a bias."""
    if not model.bias:
        return "drive_in = MatMul (inputs, w_in_t)\n incoming = Mul (input_gain, drive_in)"
    counting = f"""steps = Shape <start = 0, end = 1> (inputs)
        length = Cast <to = {CODE[real]}> (steps)
        output_line = Div (one, length)"""
    count = model.neuron is not None and model.neuron.decoder == "count"
    return f"""line_in = Mul (input_line, b_in)
        driven = MatMul (inputs, w_in_t)
        drive_in = Add (driven, line_in)
        incoming = Mul (input_gain, drive_in)
        {counting if count else ""}
        line_out = Mul (output_line, b_out)"""


def _step(model: Model, real: str, states: bool) -> str:
    """Return the body of Scan, in the order of `neuroanp.export.model`."""
    assert model.neuron is not None
    _, n, o = model.sizes
    units, readouts = f"{real}[B,{n}]", f"{real}[B,{o}]"
    if model.spikes_in:
        current, arrived = "Identity (drive)", "Add (i_own, incoming_t)"
    else:
        current, arrived = "Add (drive, incoming_t)", "Identity (i_own)"
    moved, to_cross, after = _reset(model)
    late_0, late_1 = (f", bool[B,{n}] late_{k}" if model.step.delayed else "" for k in (0, 1))
    seen = "Add (read, line_out)" if model.bias else "Identity (read)"
    return f"""step ({units} v_0, {units} i_0, int64[B,{n}] wait_0, {readouts} y_0{late_0}, {units} incoming_t) =>
            ({units} v_1, {units} i_1, int64[B,{n}] wait_1, {readouts} y_1{late_1},
             {readouts} y_t{f", {units} s_t, {units} v_t" if states else ""}) {{
            less = Sub (wait_0, a_step)
            wait = Max (less, now)
            active = Equal (wait, now)
            leaked = Mul (a_m, v_0)
            synaptic = Mul (k_i, i_0)
            current = {current}
            external = Mul (k_e, current)
            inner = Add (leaked, synaptic)
            free = Add (inner, external)
            {moved}
            above = Greater (v_t, {to_cross})
            fired = And (above, active)
            s_t = Cast <to = {CODE[real]}> (fired)
            i_left = Mul (a_s, i_0)
            sent = MatMul (s_t, w_t)
            received = Mul (synapse_gain, sent)
            i_own = Add (i_left, received)
            i_1 = {arrived}
            {after}
            wait_1 = Where (fired, hold, wait)
            y_left = Mul (readout_decay, y_0)
            read = MatMul (s_t, w_out_t)
            seen = {seen}
            y_1 = Add (y_left, seen)
            y_t = Identity (y_1)
        }}"""


def _reset(model: Model) -> tuple[str, str, str]:
    """Return the nodes for what is compared with the threshold, its name there, and the nodes for what spikes do."""
    step = model.step
    moved, to_cross = "v_t = Where (active, free, v_0)", "threshold"
    reset = "Sub ({}, threshold)" if step.subtract else "Identity (zero)"
    after = f"reset = {reset.format('v_t')}\n            v_1 = Where (fired, reset, v_t)"
    if step.delayed:
        moved = f"""moved = Where (active, free, v_0)
            reset = {reset.format("moved")}
            v_t = Where (late_0, reset, moved)"""
        after = "v_1 = Identity (v_t)\n            late_1 = Identity (fired)"
    if step.raised:
        to_cross = "to_cross"
        moved += """
            twice = Add (threshold, threshold)
            still = Greater (v_0, threshold)
            to_cross = Where (still, twice, threshold)"""
    return moved, to_cross, after


def crossed(model: Model, threshold: NDArray[Any], traces: Traces) -> NDArray[Any]:
    """Return what potentials of `traces` are compared with, (T, B, N) where it is raised, else (N,)."""
    if not model.step.raised:
        return threshold
    assert traces.s is not None
    left = traces.v - traces.s * threshold
    before = np.concatenate([np.zeros_like(left[:1]), left[:-1]])
    return np.where(before > threshold, 2 * threshold, threshold)


def evaluate(model: Model, parts: Tensors, u: NDArray[Any]) -> Traces:
    """Return what the graph does on u (T, B, I), in the initializers' own precision."""
    y, s, v = (_run_rates if model.neuron is None else _run_spikes)(model, parts, u.astype(parts["w_out_t"].dtype))
    return Traces(np.asarray(y, np.float64), s, np.asarray(v, np.float64))


def _run_rates(model: Model, parts: Tensors, u: NDArray[Any]) -> tuple[Any, None, Any]:
    wt = parts["w"][0].T
    x, hs, ys = np.zeros((u.shape[1], len(wt)), u.dtype), [], []
    drives = u @ parts["w_in"][0].T
    if model.bias:
        drives = drives + parts["b"][0, : len(wt)]
    for drive in drives:
        hs.append(drive + x @ wt)
        x = np.tanh(hs[-1])
        ys.append(x @ parts["w_out_t"] + (parts["b_out"] if model.bias else 0))
    return ys, None, hs


def _run_spikes(model: Model, parts: Tensors, u: NDArray[Any]) -> tuple[Any, NDArray[np.int64], Any]:
    assert model.neuron is not None
    P, step = parts, model.step
    zero, line_out = P["zero"], P["zero"]
    driven = u @ P["w_in_t"]
    if model.bias:
        driven = driven + P["input_line"] * P["b_in"]
        counting = model.neuron.decoder == "count"
        line_out = (P["one"] / u.dtype.type(len(u)) if counting else P["output_line"]) * P["b_out"]
    v, y = np.zeros((u.shape[1], len(P["w_t"])), u.dtype), np.zeros((u.shape[1], P["w_out_t"].shape[1]), u.dtype)
    i, wait, fired, crossed = v, np.zeros(v.shape, np.int64), np.zeros(v.shape, bool), P["threshold"]
    ys, ss, vs = [], [], []
    for incoming in P["input_gain"] * driven:
        wait = np.maximum(wait - 1, 0)
        current = P["drive"] if model.spikes_in else P["drive"] + incoming
        if step.raised:
            crossed = np.where(v > P["threshold"], P["threshold"] + P["threshold"], P["threshold"])
        v = np.where(wait == 0, (P["a_m"] * v + P["k_i"] * i) + P["k_e"] * current, v)
        if step.delayed:
            v = np.where(fired, v - P["threshold"] if step.subtract else zero, v)
        fired = (v > crossed) & (wait == 0)
        s = fired.astype(u.dtype)
        vs.append(v)
        ss.append(fired)
        i = P["a_s"] * i + P["synapse_gain"] * (s @ P["w_t"]) + (incoming if model.spikes_in else zero)
        if not step.delayed:
            v = np.where(fired, v - P["threshold"] if step.subtract else zero, v)
        wait = np.where(fired, P["hold"], wait)
        y = P["readout_decay"] * y + (s @ P["w_out_t"] + line_out)
        ys.append(y)
    return ys, np.array(ss).astype(np.int64), vs
