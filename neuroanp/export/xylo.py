"""Write a network as the numbers of SynSense's Xylo: 8-bit weights, decays of powers of two, 16-bit thresholds.

With the held decays m, s, r = 1 - 2^-dash of membrane, synapse and output, and c_j units of state a threshold:

    w_in  = round(c_j k g_in W_in / 2^shift),   w_rec = round(c_j k g_s W / 2^shift),   threshold = c_j
    bias  = round(c_j (k_e drive + k_I g_in W_bias) - what shifts leave too much),   k = k_I (1 - s) / ((1 - a_s) s)
    w_out = round(q_o W_out (1 - r) / ((1 - a) r) / 2^shift),   y = I_out / q_o

The factors (1 - s) / (1 - a_s) keep the charge that a spike moves to a membrane where the chip has another decay than
the network; 1 / s and 1 / r are there because the chip decays a current in the step it arrives.
See `neuroanp.backends.xylo`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import log
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from neuroanp.errors import InputError
from neuroanp.export.checks import finite, refuse, spikes_in_only, spiking_only
from neuroanp.export.model import Model, Traces
from neuroanp.export.protocol import ChipExporter, Exported
from neuroanp.export.xylo_numbers import (
    Array,
    Held,
    Wanted,
    chip_of,
    nearest_dash,
    quantised,
    rise,
    wanted_decays,
    wanted_numbers,
)
from neuroanp.records.json_io import write_object

if TYPE_CHECKING:
    from neuroanp.backends.chips import Chip
    from neuroanp.backends.xylo import Network, State


@dataclass(frozen=True)
class Device:
    """What one chip of the family has room for.

    Args:
        inputs, hidden, outputs: lines and neurons. synapses: of a hidden neuron.
        fan_out: hidden neurons that one may reach. connections: between hidden neurons, in all.
        expansion: only the first so many hidden neurons can have inputs, and only the last so many can have outputs.

    Source: rockpool.ai/devices/xylo-overview.html; its mean fan-out, 32 (64 of the IMU), times the hidden neurons.
    """

    inputs: int
    hidden: int
    outputs: int
    synapses: int
    fan_out: int
    connections: int
    expansion: int


DEVICES = {
    "audio2": Device(16, 1000, 8, 2, 64, 32 * 1000, 1000),
    "audio3": Device(16, 992, 32, 2, 1024, 32 * 992, 128),
    "imu": Device(16, 496, 16, 1, 512, 64 * 496, 128),
}


class Xylo(ChipExporter):
    """SynSense Xylo (v2): integer neurons with 8-bit weights, as a specification."""

    holds: ClassVar[str] = "spiking units with spikes as inputs, reset by subtraction, no refractory period"
    reader: ClassVar[str] = "xylosim"
    lost: ClassVar[str] = "weights to 8 bits, decays to 1 - 2^-k, states to 16 bits"

    device: Literal["audio2", "audio3", "imu"] = Field(
        default="audio3", description="chip of the family whose sizes must hold the network"
    )
    quantize_decay: bool = Field(default=False, description="take the nearest decays 1 - 2^-k, where others are wanted")

    def check(self, model: Model) -> None:
        """Raise InputError for what a Xylo cannot hold; see `Exporter.check`."""
        problems = [*finite(model), *spiking_only(model, "xylo"), *spikes_in_only(model, "xylo")]
        problems += _sizes(model, self.device)
        if model.spiking:
            problems += [*_neuron(model), *_decays(model, self.quantize_decay)]
        if not problems:
            problems += _inputs(model)
        if not problems:
            problems += _room(model, self.device)
        refuse(problems, "xylo")

    def export(self, model: Model, folder: Path, like: Model | None = None) -> Exported:
        """Write xylo.npz and xylo.json; see `ChipExporter.export`."""
        wanted = wanted_numbers(model)
        held = quantised(model, wanted, DEVICES[self.device].synapses, like)
        arrays, numbers = specification(model, wanted, held, self.device)
        np.savez(folder / "xylo.npz", **arrays)
        write_object(folder / "xylo.json", numbers)
        states, before = _run(held.net, model.inputs)
        return Exported(
            files=("xylo.npz", "xylo.json"),
            held=_weights(model, wanted, held),
            traces=_traces(model, wanted, held, states, before),
            decays=wanted.decays,
            limits=tuple(_limits(model, wanted, held, states)),
            read_back=READ_BACK,
            facts={"device": self.device, **_facts(held, states)},
        )

    def chip(self, model: Model) -> Chip:
        """Return the chip's neurons and scales for this network; see `ChipExporter.chip`."""
        wanted = wanted_numbers(model)
        return chip_of(model, wanted, quantised(model, wanted, DEVICES[self.device].synapses))


def _sizes(model: Model, name: str) -> Iterator[str]:
    device, wanted = DEVICES[name], model.sizes
    limits = {"inputs": device.inputs, "hidden": device.hidden, "outputs": device.outputs}
    for (part, limit), size in zip(limits.items(), wanted, strict=True):
        if size > limit:
            fits = [other for other, it in DEVICES.items() if getattr(it, part) >= size]
            remedy = f"--set device={fits[0]}" if fits else f"train with {limit} or fewer"
            yield f"{part}: {size} are more than the {limit} of {name}; {remedy}"
    for key in ("w_in", "w_out"):
        if not np.any(model.weights[key]):
            yield f"{key}: all weights are zero; repeat the training"


def _neuron(model: Model) -> Iterator[str]:
    neuron = model.neuron
    assert neuron is not None
    if neuron.reset != "subtract":
        yield f"neuron.reset: {neuron.reset!r}, a Xylo subtracts the threshold; train with --set neuron.reset=subtract"
    if model.step.hold > 1:  # a hold of 1 ends before the next step
        yield (
            f"neuron.refractory: {model.step.hold} steps, a Xylo has no refractory period; "
            "train with --set neuron.refractory='0 ms'"
        )
    if neuron.decoder == "count":
        yield "neuron.decoder: 'count', a Xylo's outputs forget; train with --set neuron.decoder=trace"
    if not neuron.tau_s:
        yield (
            "neuron.tau_s: 0, a Xylo's current would be 0 before it acts; the shortest it has: "
            f"train with --set neuron.tau_s='{_tau(model, 1)}'"
        )


def _tau(model: Model, dash: int) -> str:
    """Return the time constant, as text for a config, whose decay is 1 - 2^-dash."""
    assert model.neuron is not None
    euler = model.neuron.integration == "euler"
    tau = model.dt * 2.0**dash if euler else -model.dt / log(1.0 - 2.0**-dash)
    return f"{1e3 * tau:.15g} ms"


def _decays(model: Model, nearest: bool) -> Iterator[str]:
    keys = {"membrane": "tau_m", "synapse": "tau_s", "output": "tau_r"}
    for name, decay in wanted_decays(model).items():
        dash = nearest_dash(decay)
        if nearest or decay == 0.0 or abs(decay - (1.0 - 2.0**-dash)) <= 1e-9:  # 0 is refused with tau_s
            continue
        yield (
            f"neuron.{keys[name]}: the decay of {decay:.6f} a step is not 1 - 2^-k; export with --quantize-decay, "
            f"which takes {1.0 - 2.0**-dash:.6f}, or train with --set neuron.{keys[name]}='{_tau(model, dash)}'"
        )


def _inputs(model: Model) -> Iterator[str]:
    u = model.inputs
    if not np.all(np.isfinite(u)) or np.any((u < 0) | (u > 15) | (u != np.round(u))):
        yield "encoder: inputs are not 0 to 15 spikes a step; train with --set encoder=poisson (or latency)"


def _room(model: Model, name: str) -> Iterator[str]:
    """Find what shows in the integers alone: connections without room, and thresholds of less than one unit."""
    device, wanted = DEVICES[name], wanted_numbers(model)
    try:
        net = quantised(model, wanted, device.synapses).net
    except InputError as error:
        yield from error.problems
        return
    reached = (net.w_rec != 0).any(-1)
    widest, total = int(reached.sum(1).max()), int(reached.sum())
    if widest > device.fan_out:
        yield (
            f"w: a unit reaches {widest} others, {name} allows {device.fan_out}; --set device=audio3, or train with "
            f"{device.fan_out} or fewer hidden units"
        )
    if total > device.connections:
        yield (
            f"w: {total} connections, {name} has {device.connections}; train with "
            f"{int(device.connections**0.5)} or fewer hidden units"
        )
    first, last = (net.w_in != 0).any(-1).any(0), (net.w_out != 0).any(1)
    if bool(first[device.expansion :].any()) or bool(last[: max(0, len(last) - device.expansion)].any()):
        yield (
            f"hidden: {len(last)} units with inputs and outputs, {name} gives inputs to the first {device.expansion} "
            f"and outputs to the last; train with {device.expansion} or fewer hidden units"
        )


def _run(net: Network, inputs: Array) -> tuple[State, Any]:
    """Run the chip one step longer than the inputs, which come a step late: recurrent spikes and they act together."""
    import torch

    from neuroanp.backends import xylo

    late = np.concatenate([np.zeros_like(inputs[:1]), inputs]).astype(np.int64)
    return xylo.run(net, torch.from_numpy(late))


def _traces(model: Model, wanted: Wanted, held: Held, states: State, before: Any) -> Traces:
    """Return what the chip does at the network's steps and in its units."""
    y = states.i_out[1:].numpy() / held.y + wanted.offset * rise(model)
    return Traces(y, states.s[:-1].numpy(), before[:-1].numpy() / held.threshold)


def _weights(model: Model, wanted: Wanted, held: Held) -> dict[str, Array]:
    """Return the chip's weights in the network's own units."""
    net, c = held.net, held.threshold[:, None]
    w_in = net.w_in[..., 0].numpy().T * 2.0**net.shift_in / c / wanted.k_in
    w_out = net.w_out.numpy().T * 2.0**net.shift_out / held.y[:, None] / wanted.k_out
    if model.bias:
        column = ((net.bias.numpy() + held.kept) / held.threshold - wanted.drive) / wanted.k_bias
        w_in, w_out = np.column_stack([w_in, column]), np.column_stack([w_out, wanted.offset])
    return {"w_in": w_in, "w": net.w_rec[..., 0].numpy().T * 2.0**net.shift_rec / c / wanted.k_rec, "w_out": w_out}


def specification(model: Model, wanted: Wanted, held: Held, device: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what xylo.npz and xylo.json hold."""
    net, (inputs, units, outputs) = held.net, model.sizes
    kinds = {"w": np.int8, "dash": np.uint8}
    arrays = {
        name: value.numpy().astype(kinds.get(name.split("_")[0], np.int16))
        for name, value in net._asdict().items()
        if not name.startswith("shift")
    }
    numbers = {
        "format": "neuroanp Xylo specification 1", "network": model.name, "dt": model.dt,
        "device": {"name": device, **asdict(DEVICES[device])},
        "sizes": {"inputs": inputs, "hidden": units, "outputs": outputs},
        "shifts": {"in": net.shift_in, "rec": net.shift_rec, "out": net.shift_out},
        "dashes": wanted.dashes,
        "decays": {name: {"wanted": decay, "held": kept} for name, (decay, kept) in wanted.decays.items()},
        "thresholds": net.threshold.tolist(), "biases": net.bias.tolist(),
        "delays": {"inputs": 1, "outputs": 1},
        "y": {"units": held.y.tolist(), "offset": wanted.offset.tolist(), "decay": model.readout_decay},
    }  # fmt: skip
    return arrays, numbers


def _facts(held: Held, states: State) -> dict[str, int | float]:
    net = held.net
    return {
        "shift_in": net.shift_in, "shift_rec": net.shift_rec, "shift_out": net.shift_out,
        "threshold_smallest": int(net.threshold.min()), "threshold_largest": int(net.threshold.max()),
        "steps_of_several_spikes": int((states.s > 1).sum()), "states_saturated": _saturated(held.net, states),
    }  # fmt: skip


def _saturated(net: Network, states: State) -> int:
    """Count states that are at what the ends of 16 bits decay to, or beyond."""
    from neuroanp.backends.xylo import HIGH, LOW, decayed

    def ends(x: Any, dash: Any) -> int:
        low, high = (decayed(dash.new_full(dash.shape, end), dash) for end in (LOW, HIGH))
        return int(((x <= low) | (x >= high)).sum())

    potentials = int(((states.v <= LOW) | (states.v >= HIGH)).sum())
    return potentials + ends(states.i, net.dash_syn) + ends(states.i_out, net.dash_syn_out)


def _limits(model: Model, wanted: Wanted, held: Held, states: State) -> Iterator[str]:
    net = held.net
    yield "inputs are given one step late and outputs read one step late: the chip takes T + 1 steps for T"
    yield "a potential that equals its threshold spikes on the chip, and does not in the network"
    yield "currents and potentials lose at least 1 unit a step, so small ones fade sooner than 1 - 2^-k says"
    if changed := [name for name, (decay, kept) in wanted.decays.items() if abs(decay - kept) > 1e-9]:
        yield f"decays of {', '.join(changed)}: nearest 1 - 2^-k; the charge of a spike stays as it was"
    if several := int((states.s > 1).sum()):
        yield f"several spikes in one step: {several} times; the network spikes once a step at most, the chip up to 31"
    if saturated := _saturated(net, states):
        yield f"states at the ends of 16 bits: {saturated} times on the held-out inputs"
    for name, W, kept in (("w_in", wanted.w_in, net.w_in[..., 0]), ("w", wanted.w_rec, net.w_rec[..., 0])):
        if gone := int((W.T != 0).sum() - (kept != 0).sum()):
            yield f"{name}: {gone} weights are rounded to 0"
    if gone := int((wanted.w_out != 0).sum() - (net.w_out != 0).sum()):
        yield f"w_out: {gone} weights are rounded to 0"
    if model.bias:
        yield "the bias of inputs is there from the first step, and the bias of outputs is added by who reads them"


READ_BACK = """\
# pip install xylosim numpy; run in this directory. The chip's arithmetic, bit for bit; not a samna configuration.
import json
import numpy as np
from xylosim.v2 import XyloLayer, XyloSynapse

spec, chip = json.load(open("xylo.json")), dict(np.load("xylo.npz", allow_pickle=False))

def synapses(W):  # [from, to, synapse]
    W = W.reshape(*W.shape[:2], -1)
    return [[XyloSynapse(*map(int, to), int(pre[tuple(to)])) for to in np.argwhere(pre)] for pre in W]

def lists(name):
    return chip[name].tolist()

kept = [synapses(chip[name]) for name in ("w_in", "w_rec", "w_out")]  # must live as long as the layer

def run(spikes):  # (T, inputs) whole numbers -> outputs y (T, outputs), hidden spikes (T, hidden)
    layer = XyloLayer(
        *kept, [[] for _ in chip["threshold"]], lists("threshold"), lists("threshold_out"), True, lists("bias"),
        lists("bias_out"), *(spec["shifts"][name] for name in ("in", "rec", "out")), lists("dash_mem"),
        lists("dash_mem_out"), lists("dash_syn"), [[dash] for dash in lists("dash_syn_out")], spec["network"],
    )
    layer.evolve([[0] * spec["sizes"]["inputs"], *np.asarray(spikes).astype(int).tolist()])
    steps = np.arange(1, len(spikes) + 1)[:, None]
    y = np.array(layer.rec_i_syn_out).T[1:] / spec["y"]["units"]
    y += np.array(spec["y"]["offset"]) * (1 - spec["y"]["decay"] ** steps)
    return y, np.array(layer.rec_recurrent_spikes)[:-1]

if __name__ == "__main__":
    y, s = run(np.random.default_rng(0).random((100, spec["sizes"]["inputs"])) < 0.2)
    print(f"{s.sum()} hidden spikes; last outputs {y[-1]}")
"""
