"""Spiking networks in ONNX: a Scan over the step of each layer, one over the readout, and the same sums in numpy.

Source: the operators Scan-16 and Where-16 of the ONNX specification, https://onnx.ai/onnx/operators/.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from neuroanp.export.onnx_names import CODE, Names, Tensors, summed
from neuroanp.network.network import INPUT, OUTPUT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from neuroanp.backends.neuron import LIF
    from neuroanp.export.model import Model
    from neuroanp.network.network import Layer, Projection

NEEDED = ("a_m", "k_i", "k_e", "a_s")


class Role(NamedTuple):
    """A scan input of a layer's step.

    Args:
        name: in the step. meets: "current" beside the drive, "early" before the membrane moves, "late" after it.
    """

    name: str
    meets: str


def role(model: Model, p: Projection) -> Role:
    """Return where what an array brings from below meets a unit."""
    if p.pre == INPUT:
        return Role("incoming_t", "late" if model.spikes_in else "current")
    return Role("arriving_t", "late") if p.delay else Role("early_t", "early")


def gains(neuron: LIF) -> dict[str, float]:
    """Return what scales the currents of a neuron, by the names of the graph's initializers."""
    return {"input_gain": neuron.input_gain, "synapse_gain": neuron.synapse_gain, "drive": neuron.drive}


def counts(model: Model) -> bool:
    """Tell whether outputs count spikes."""
    return model.lif(model.network.layers[-1]).decoder == "count"


def refused(model: Model) -> list[str]:
    """Find arrays of a spiking network that its equations have no place for."""
    feed = model.network.feed(OUTPUT)
    return [
        f"{p.name}: outputs of spiking units sum what layers send at once, and this comes "
        f"{'from the input' if p.pre == INPUT else 'a step later'}; leave it out"
        for p in feed
        if p.pre == INPUT or p.delay
    ]


def tensors(model: Model) -> dict[str, Any]:
    """Return the initializers of the graph by name."""
    network, names = model.network, Names(model.network)
    feeds = [p for layer in network.layers for p in network.feed(layer.name)]
    readouts = network.feed(OUTPUT)
    parts: dict[str, Any] = {f"{names.array[p.name]}_t": model.columns(p.name)[0].T for p in readouts}
    for layer in network.layers:
        own = [p for p in network.projections if p.post == layer.name]
        parts |= {f"{names.array[p.name]}_t": model.columns(p.name)[0].T for p in own}
    parts |= {names.bias(p.name): model.columns(p.name)[1] for p in (*feeds, *readouts) if p.bias}
    parts |= {f"input_line{names.end(p.name)}": model.bias_line(p) for p in feeds if p.bias}
    if any(p.bias for p in readouts):
        parts |= {"one": 1.0} if counts(model) else {"output_line": model.output_line}
    for layer in network.layers:
        step, tag = model.steps[layer.name], names.of[layer.name]
        parts |= {f"{name}{tag}": part.numpy() for name, part in zip(NEEDED, step[:4], strict=True)}
        parts |= {f"threshold{tag}": step.threshold.numpy()}
    parts |= {"readout_decay": model.readout_decay}
    for layer in network.layers:
        used = {"drive", *(_gain(p) for p in network.projections if p.post == layer.name)}
        known = gains(model.lif(layer)).items()
        parts |= {f"{name}{names.of[layer.name]}": gain for name, gain in known if name in used}
    parts |= {"zero": 0.0, "now": 0, "a_step": 1}
    parts |= {f"hold{names.of[layer.name]}": model.steps[layer.name].hold for layer in network.layers}
    parts |= {f"n{names.of[layer.name]}": np.array([layer.units]) for layer in network.layers}
    return parts | {"o": np.array([network.outputs])}


def _gain(p: Projection) -> str:
    return "input_gain" if p.pre == INPUT else "synapse_gain"


def thresholds(model: Model, parts: Tensors) -> Any:
    """Return the thresholds of all units, layer after layer."""
    return np.concatenate([parts[f"threshold{tag}"] for tag in Names(model.network).of.values()])


# ---- the graph in ONNX's text form ----


def graph(model: Model, real: str, states: bool) -> str:
    """Return the graph; `states`: whether it gives spikes and potentials of all layers, too."""
    network, names = model.network, Names(model.network)
    more, text = [], []
    for layer in network.layers:
        tag = names.of[layer.name]
        more += [f"{real}[T,B,{layer.units}] {name}{tag}" for name in ("spikes", "v") if states]
        drives, incoming = _drives(model, names, layer)
        text += drives
        if layer is network.layers[0]:
            text += [*_constant(model, names, real), *_rest(model, names)]
        text.append(_scan(model, names, layer, real, states, incoming))
    text += [] if names.one else _readout(model, names, real)
    nodes = "\n  ".join(text)
    head = ", ".join([f"{real}[T,B,{network.outputs}] outputs", *more])
    return f"spiking ({real}[T,B,{network.inputs}] inputs) => ({head}) {{\n  {nodes}\n}}"


def _drives(model: Model, names: Names, layer: Layer) -> tuple[list[str], dict[str, str]]:
    """Return the nodes for what a layer gets from below in all steps, and the names of the sums by role."""
    nodes: list[str] = []
    found: dict[str, list[str]] = {}
    tag = names.of[layer.name]
    for p in model.network.feed(layer.name):
        end, label = names.end(p.name), names.label(p.name)
        source = "inputs" if p.pre == INPUT else f"spikes{names.of[p.pre]}"
        product = f"driven{end}" if p.bias else f"drive_{label}"
        if p.bias:
            nodes.append(f"line_{label} = Mul (input_line{end}, {names.bias(p.name)})")
        nodes.append(f"{product} = MatMul ({source}, {names.array[p.name]}_t)")
        if p.bias:
            nodes.append(f"drive_{label} = Add ({product}, line_{label})")
        nodes.append(f"incoming{end} = Mul ({_gain(p)}{tag}, drive_{label})")
        found.setdefault(role(model, p).name, []).append(f"incoming{end}")
    sums = {}
    for name, parts in found.items():
        more, sums[name] = summed(parts, f"all_{name}{tag}")
        nodes += more
    return nodes, sums


def _constant(model: Model, names: Names, real: str) -> list[str]:
    """Return the nodes for what a bias adds to the outputs at each step."""
    biased = [p for p in model.network.feed(OUTPUT) if p.bias]
    counting = [
        "steps = Shape <start = 0, end = 1> (inputs)",
        f"length = Cast <to = {CODE[real]}> (steps)",
        "output_line = Div (one, length)",
    ]
    lines = [f"line_{names.label(p.name)} = Mul (output_line, {names.bias(p.name)})" for p in biased]
    return (counting if biased and counts(model) else []) + lines


def _rest(model: Model, names: Names) -> list[str]:
    """Return the nodes for where all begins."""
    tags = {layer.name: names.of[layer.name] for layer in model.network.layers}
    nodes = ["batch = Shape <start = 1, end = 2> (inputs)"]
    nodes += [f"units{tag} = Concat <axis = 0> (batch, n{tag})" for tag in tags.values()]
    nodes += ["readouts = Concat <axis = 0> (batch, o)"]
    for tag in tags.values():
        nodes += [f"rest{tag} = Expand (zero, units{tag})", f"ready{tag} = Expand (now, units{tag})"]
    nodes += ["unread = Expand (zero, readouts)"]
    delayed = [tag for name, tag in tags.items() if model.steps[name].delayed]
    return nodes + [f"calm{tag} = Cast <to = 9> (rest{tag})" for tag in delayed]


def _scan(model: Model, names: Names, layer: Layer, real: str, states: bool, incoming: Mapping[str, str]) -> str:
    tag, late = names.of[layer.name], model.steps[layer.name].delayed
    after = [f"v_T{tag}", f"i_T{tag}", f"wait_T{tag}", *["y_T"] * names.one, *[f"late_T{tag}"] * late]
    given = [*["outputs"] * names.one, *[f"spikes{tag}"] * (states or not names.one), *[f"v{tag}"] * states]
    before = [f"rest{tag}", f"rest{tag}", f"ready{tag}", *["unread"] * names.one, *[f"calm{tag}"] * late]
    body = _step(model, names, layer, real, states, list(incoming))
    return (
        f"{', '.join([*after, *given])} = Scan <num_scan_inputs = {len(incoming)}, body = {body}> "
        f"({', '.join([*before, *incoming.values()])})"
    )


def _step(model: Model, names: Names, layer: Layer, real: str, states: bool, incoming: list[str]) -> str:
    """Return the body of Scan, in the order of `neuroanp.export.model`; of one layer, the outputs are in it."""
    step, tag, n = model.steps[layer.name], names.of[layer.name], layer.units
    units, readouts = f"{real}[B,{n}]", f"{real}[B,{model.network.outputs}]"
    kept = [f"{units} v", f"{units} i", f"int64[B,{n}] wait", *[f"{readouts} y"] * names.one]
    kept += [f"bool[B,{n}] late"] * step.delayed
    taken = [*(f"{each}_0" for each in kept), *(f"{units} {name}" for name in incoming)]
    given = [*(f"{each}_1" for each in kept), *[f"{readouts} y_t"] * names.one]
    given += [f"{units} s_t"] * (states or not names.one) + [f"{units} v_t"] * states
    meets = {role(model, p).name: role(model, p).meets for p in model.network.feed(layer.name)}
    late = [name for name in incoming if meets[name] == "late"]
    moved, to_cross, after = _reset(model, layer, tag)
    back = model.network.recurrence(layer.name)
    own, left = "i_0", []
    if "early_t" in incoming:
        own, left = "i_met", ["i_met = Add (i_0, early_t)"]
    nodes = [
        "less = Sub (wait_0, a_step)",
        "wait = Max (less, now)",
        "active = Equal (wait, now)",
        f"leaked = Mul (a_m{tag}, v_0)",
        *left,
        f"synaptic = Mul (k_i{tag}, {own})",
        f"current = Add (drive{tag}, incoming_t)" if meets.get("incoming_t") == "current"
        else f"current = Identity (drive{tag})",
        f"external = Mul (k_e{tag}, current)",
        "inner = Add (leaked, synaptic)",
        "free = Add (inner, external)",
        *moved,
        f"above = Greater (v_t, {to_cross})",
        "fired = And (above, active)",
        f"s_t = Cast <to = {CODE[real]}> (fired)",
        f"i_left = Mul (a_s{tag}, {own})",
        *_received(None if back is None else names.array[back.name], tag),
        *_arrived(late),
        *after,
        f"wait_1 = Where (fired, hold{tag}, wait)",
        *(_read(model, names) if names.one else []),
    ]  # fmt: skip
    body = "\n    ".join(nodes)
    return f"step ({', '.join(taken)}) =>\n   ({', '.join(given)}) {{\n    {body}\n  }}"


def _received(back: str | None, tag: str) -> list[str]:
    """Return the nodes for what the layer sends itself."""
    if back is None:
        return ["i_own = Identity (i_left)"]
    return [
        f"sent = MatMul (s_t, {back}_t)",
        f"received = Mul (synapse_gain{tag}, sent)",
        "i_own = Add (i_left, received)",
    ]


def _arrived(late: list[str]) -> list[str]:
    if not late:
        return ["i_1 = Identity (i_own)"]
    return summed(["i_own", *late], "i_1")[0]


def _read(model: Model, names: Names) -> list[str]:
    (p,) = model.network.feed(OUTPUT)
    seen = f"Add (read, line_{names.label(p.name)})" if p.bias else "Identity (read)"
    return [
        "y_left = Mul (readout_decay, y_0)",
        f"read = MatMul (s_t, {names.array[p.name]}_t)",
        f"seen = {seen}",
        "y_1 = Add (y_left, seen)",
        "y_t = Identity (y_1)",
    ]


def _readout(model: Model, names: Names, real: str) -> list[str]:
    """Return the nodes that read several layers."""
    nodes, parts = [], []
    for p in model.network.feed(OUTPUT):
        label = names.label(p.name)
        nodes.append(f"read_{label} = MatMul (spikes{names.of[p.pre]}, {names.array[p.name]}_t)")
        if p.bias:
            nodes.append(f"seen_{label} = Add (read_{label}, line_{label})")
        parts.append(f"seen_{label}" if p.bias else f"read_{label}")
    more, total = summed(parts, "seen")
    y = f"{real}[B,{model.network.outputs}]"
    body = (
        f"trace ({y} y_0, {y} seen_t) => ({y} y_1, {y} y_t) {{\n    y_left = Mul (readout_decay, y_0)\n    "
        "y_1 = Add (y_left, seen_t)\n    y_t = Identity (y_1)\n  }"
    )
    return [*nodes, *more, f"y_T, outputs = Scan <num_scan_inputs = 1, body = {body}> (unread, {total})"]


def _reset(model: Model, layer: Layer, tag: str) -> tuple[list[str], str, list[str]]:
    """Return the nodes for what is compared with the threshold, its name there, and the nodes for what spikes do."""
    step, threshold = model.steps[layer.name], f"threshold{tag}"
    moved, to_cross = ["v_t = Where (active, free, v_0)"], threshold
    reset = f"Sub ({{}}, {threshold})" if step.subtract else "Identity (zero)"
    after = [f"reset = {reset.format('v_t')}", "v_1 = Where (fired, reset, v_t)"]
    if step.delayed:
        moved = [
            "moved = Where (active, free, v_0)",
            f"reset = {reset.format('moved')}",
            "v_t = Where (late_0, reset, moved)",
        ]
        after = ["v_1 = Identity (v_t)", "late_1 = Identity (fired)"]
    if step.raised:
        to_cross = "to_cross"
        moved += [
            f"twice = Add ({threshold}, {threshold})",
            f"still = Greater (v_0, {threshold})",
            f"to_cross = Where (still, twice, {threshold})",
        ]
    return moved, to_cross, after
