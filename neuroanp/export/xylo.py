"""Write a network as the numbers of SynSense's Xylo: 8-bit weights, decays of powers of two, 16-bit thresholds.

The equations and scales are those of `neuroanp.backends.xylo_numbers`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import log
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from neuroanp.backends.neuron import LIF
from neuroanp.backends.xylo_numbers import (
    Array,
    Held,
    Peaks,
    Scales,
    Wanted,
    assumed_peaks,
    chip_of,
    nearest_dash,
    quantised,
    scales,
    wanted_decays,
    wanted_numbers,
)
from neuroanp.errors import InputError
from neuroanp.export.checking.presented import Check, compact
from neuroanp.export.checking.script import HERE
from neuroanp.export.checks import at_once, finite, one_layer_only, refuse, spikes_in_only
from neuroanp.export.model import Model, Traces, reference
from neuroanp.export.protocol import ChipExporter, Exported
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
    lost: ClassVar[str] = "weights to 8 bits, decays to 1 - 2^-k, states to 16 bits; biases do not rise, they are there"
    script: ClassVar[Path | None] = HERE / "xylo.py"

    device: Literal["audio2", "audio3", "imu"] = Field(
        default="audio3", description="chip of the family whose sizes must hold the network"
    )
    quantize_decay: bool = Field(default=False, description="take the nearest decays 1 - 2^-k, where others are wanted")

    def check(self, model: Model) -> None:
        """Raise InputError for what a Xylo cannot hold; see `Exporter.check`."""
        problems = [*finite(model), *one_layer_only(model, "xylo", (LIF,)), *spikes_in_only(model, "xylo")]
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
        held = quantised(wanted, scales_of(like or model), DEVICES[self.device].synapses)
        arrays, numbers = specification(model, wanted, held, self.device)
        np.savez(folder / "xylo.npz", **arrays)
        write_object(folder / "xylo.json", numbers)
        states, before = _run(held.net, model.inputs)
        traces = _traces(model, wanted, held, states, before)
        return Exported(
            files=("xylo.npz", "xylo.json"),
            held=_weights(model, wanted, held),
            traces=traces,
            decays=wanted.decays,
            limits=tuple(_limits(model, wanted, held, states, before)),
            check=self._presented(model, held, traces),
            facts={"device": self.device, **_facts(held, states, before)},
        )

    def _presented(self, model: Model, held: Held, traces: Traces) -> Check:
        """Return the first sequences, and the chip's spikes and outputs, equal but for the division by their unit."""
        assert traces.s is not None
        steps, sequences = self.shown(model)
        u, y, s = (part[:steps, :sequences] for part in (model.inputs, traces.y, traces.s))
        least = 1.0 / float(np.max(held.y))  # what a state's unit is of an output
        return Check({"inputs": compact(u)}, {"spikes": compact(s), "outputs": y}, {"outputs": 1e-6 * least})

    def chip(self, model: Model) -> Chip:
        """Return the chip's neurons and scales for this network; see `ChipExporter.chip`."""
        return chip_of(model, wanted_numbers(model), scales_of(model))


def scales_of(model: Model) -> Scales:
    """Return the scales of the chip: of a network that learned on it those that it had there.

    Else they leave room for the states that it reaches on its held-out inputs.

    Raises:
        InputError: a unit's weights are too large for its threshold.
    """
    wanted = wanted_numbers(model)
    found = scales(wanted, assumed_peaks(wanted) if model.backend == "xylo" else _peaks(model, wanted))
    largest = [
        np.abs(W).max(1) * found.threshold / 2**shift
        for W, shift in zip((wanted.w_in, wanted.w_rec), found.shifts, strict=False)
    ]
    if bad := np.flatnonzero(np.maximum(*largest) > 127.5).tolist():
        raise InputError("xylo", [f"w: units {bad[:5]} have weights above {127 << 7} thresholds; train with less"])
    return found


def _peaks(model: Model, wanted: Wanted) -> Peaks:
    """Return what states reach on the network's own inputs.

    At least 4 thresholds, and what one unit gives an output that spikes at every step:
    other inputs may do so.
    """
    traces = reference(model)
    assert traces.s is not None
    currents = model.inputs @ wanted.w_in.T + traces.s @ wanted.w_rec.T
    for now, before in zip(currents[1:], currents, strict=False):
        now += before * wanted.decays["synapse"][1]
    peak = np.maximum(4.0, np.maximum(np.abs(traces.v).max((0, 1)), np.abs(currents).max((0, 1))))
    y = np.abs(traces.y - wanted.offset * rise(model)).max((0, 1)) / wanted.decays["output"][1]
    y = np.maximum(y, np.abs(wanted.w_out).max(1) / (1.0 - wanted.decays["output"][1]))
    return Peaks(peak, y, currents)


def rise(model: Model) -> Array:
    """Return (T, 1, 1): the part of an output's offset that is there after each step."""
    return 1.0 - model.readout_decay ** np.arange(1, len(model.inputs) + 1)[:, None, None]


def _sizes(model: Model, name: str) -> Iterator[str]:
    device, wanted = DEVICES[name], model.sizes
    limits = {"inputs": device.inputs, "hidden": device.hidden, "outputs": device.outputs}
    for (part, limit), size in zip(limits.items(), wanted, strict=True):
        if size > limit:
            fits = [other for other, it in DEVICES.items() if getattr(it, part) >= size]
            remedy = f"--set device={fits[0]}" if fits else f"train with {limit} or fewer"
            if part == "inputs":
                remedy += " (digits come row by row over 8 lines with --set task.mode=rows)"
            yield f"{part}: {size} are more than the {limit} of {name}; {remedy}"
    for key in ("w_in", "w_out"):
        if not np.any(model.weights[key]):
            yield f"{key}: all weights are zero; repeat the training"


def _neuron(model: Model) -> Iterator[str]:
    neuron = model.neuron
    assert neuron is not None
    if neuron.reset != "subtract":
        yield (
            f"neuron.reset: {neuron.reset!r}, a Xylo subtracts the threshold{at_once(neuron)}; train with "
            "--set neuron.reset=subtract"
        )
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
        net = quantised(wanted, scales_of(model), device.synapses).net
    except InputError as error:
        yield from error.problems
        return
    yield from _vanished(wanted, net)
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


def _vanished(wanted: Wanted, net: Network) -> Iterator[str]:
    """Find units without an input left, and outputs without a weight."""
    for key, W, left, what, tau in (
        ("w_in", wanted.w_in, net.w_in.any(-1).any(0), "hidden units", "tau_m or tau_s"),
        ("w_out", wanted.w_out, net.w_out.any(0), "outputs", "tau_r"),
    ):
        lost = int((W.any(1) & ~left.numpy()).sum())
        if lost and (key == "w_out" or lost == len(W)):
            yield (
                f"{key}: all weights of {lost} of {len(W)} {what} are less than half a step and round to 0, since 16 "
                f"bits must hold what they add up to; train with a shorter neuron.{tau}"
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


def _facts(held: Held, states: State, before: Any) -> dict[str, int | float]:
    net = held.net
    return {
        "shift_in": net.shift_in, "shift_rec": net.shift_rec, "shift_out": net.shift_out,
        "threshold_smallest": int(net.threshold.min()), "threshold_largest": int(net.threshold.max()),
        "steps_of_several_spikes": int((states.s > 1).sum()), "states_saturated": _saturated(net, states, before),
    }  # fmt: skip


def _saturated(net: Network, states: State, before: Any) -> int:
    """Count potentials before their reset at the ends of 16 bits, and currents at what these decay to, or beyond."""
    from neuroanp.backends.xylo import HIGH, LOW, decayed

    def ends(x: Any, dash: Any) -> int:
        low, high = (decayed(dash.new_full(dash.shape, end), dash) for end in (LOW, HIGH))
        return int(((x <= low) | (x >= high)).sum())

    potentials = int(((before <= LOW) | (before >= HIGH)).sum())
    return potentials + ends(states.i, net.dash_syn) + ends(states.i_out, net.dash_syn_out)


def _limits(model: Model, wanted: Wanted, held: Held, states: State, before: Any) -> Iterator[str]:
    net = held.net
    yield "inputs are given one step late and outputs read one step late: the chip takes T + 1 steps for T"
    yield "a potential that equals its threshold spikes on the chip, and does not in the network"
    yield "currents and potentials lose at least 1 unit a step, so small ones fade sooner than 1 - 2^-k says"
    if changed := [name for name, (decay, kept) in wanted.decays.items() if abs(decay - kept) > 1e-9]:
        yield f"decays of {', '.join(changed)}: nearest 1 - 2^-k; the charge of a spike stays as it was"
    if several := int((states.s > 1).sum()):
        yield f"several spikes in one step: {several} times; the network spikes once a step at most, the chip up to 31"
    if saturated := _saturated(net, states, before):
        yield f"states at the ends of 16 bits: {saturated} times on the held-out inputs"
    for name, W, kept in (("w_in", wanted.w_in, net.w_in[..., 0]), ("w", wanted.w_rec, net.w_rec[..., 0])):
        if gone := int((W.T != 0).sum() - (kept != 0).sum()):
            yield f"{name}: {gone} of {W.size} weights are rounded to 0"
    if gone := int((wanted.w_out != 0).sum() - (net.w_out != 0).sum()):
        yield f"w_out: {gone} of {wanted.w_out.size} weights are rounded to 0"
    if model.bias:
        yield "the bias of inputs is there from the first step, and the bias of outputs is added by who reads them"
