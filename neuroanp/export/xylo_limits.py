"""What of a network a Xylo cannot hold: sizes of the family's chips, kinds of units, decays, connections."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from math import log
from typing import TYPE_CHECKING

import numpy as np

from neuroanp.backends.neuron import LIF
from neuroanp.backends.xylo_numbers import Wanted, decays_of, nearest_dash, place, quantised, wanted_numbers
from neuroanp.errors import InputError
from neuroanp.export.checks import at_once, setting
from neuroanp.export.xylo_layers import integers, part_of
from neuroanp.export.xylo_scales import scales_of
from neuroanp.network.network import OUTPUT

if TYPE_CHECKING:
    from neuroanp.backends.xylo import Network
    from neuroanp.export.model import Model
    from neuroanp.network.network import Layer


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


def sizes(model: Model, name: str) -> Iterator[str]:
    device, wanted = DEVICES[name], model.sizes
    limits = {"inputs": device.inputs, "hidden": device.hidden, "outputs": device.outputs}
    for (part, limit), size in zip(limits.items(), wanted, strict=True):
        if size > limit:
            fits = [other for other, it in DEVICES.items() if getattr(it, part) >= size]
            remedy = f"--set device={fits[0]}" if fits else f"train with {limit} or fewer"
            if part == "inputs":
                remedy += " (digits come row by row over 8 lines with --set task.mode=rows)"
            yield f"{part}: {size} are more than the {limit} of {name}; {remedy}"
    for p in model.network.projections:
        if p.pre != p.post and not np.any(model.weights[p.name]):
            yield f"{p.name}: all weights are zero; repeat the training"


def readouts(model: Model) -> Iterator[str]:
    """Find layers whose traces the outputs would filter differently."""
    read = [layer for p in model.network.feed(OUTPUT) if (layer := model.network.layer(p.pre)) is not None]
    if len({layer.cell.tau_r for layer in read if isinstance(layer.cell, LIF)}) > 1:
        names, keys = (
            " and ".join(each) for each in zip(*((r.name, model.key(r, "tau_r")) for r in read), strict=True)
        )
        yield f"{keys}: {names} reach the outputs, which have one decay; give their units the same tau_r"


def units(model: Model, nearest: bool) -> Iterator[str]:
    """Find what of the units of each layer a Xylo cannot do."""
    for layer in model.network.layers:
        yield from _neuron(model, layer)
        yield from _decays(model, layer, nearest)


def _neuron(model: Model, layer: Layer) -> Iterator[str]:
    neuron, hold = model.lif(layer), model.steps[layer.name].hold
    key, to = partial(model.key, layer), partial(setting, model, layer)
    if neuron.reset != "subtract":
        yield (
            f"{key('reset')}: {neuron.reset!r}, a Xylo subtracts the threshold{at_once(neuron)}; train with "
            f"{to('reset', 'subtract')}"
        )
    if not neuron.leak:
        yield f"{key('leak')}: false, a Xylo's membranes leak; train with {to('leak', 'true')}"
    if hold > 1:  # a hold of 1 ends before the next step
        yield (
            f"{key('refractory')}: {hold} steps, a Xylo has no refractory period; train with {to('refractory', '0 ms')}"
        )
    if neuron.decoder == "count":
        yield f"{key('decoder')}: 'count', a Xylo's outputs forget; train with {to('decoder', 'trace')}"
    if not neuron.tau_s:
        yield (
            f"{key('tau_s')}: 0, a Xylo's current would be 0 before it acts; the shortest it has: "
            f"train with {to('tau_s', _tau(model, layer, 1))}"
        )


def _tau(model: Model, layer: Layer, dash: int) -> str:
    """Return the time constant, as text for a config, whose decay is 1 - 2^-dash."""
    euler = model.lif(layer).integration == "euler"
    tau = model.dt * 2.0**dash if euler else -model.dt / log(1.0 - 2.0**-dash)
    return f"{1e3 * tau:.15g} ms"


def _decays(model: Model, layer: Layer, nearest: bool) -> Iterator[str]:
    keys = {"membrane": "tau_m", "synapse": "tau_s", "output": "tau_r"}
    reaches = any(p.pre == layer.name for p in model.network.feed(OUTPUT))
    for name, decay in decays_of(model, layer).items():
        dash = nearest_dash(decay)
        if name == "output" and not reaches:  # of a trace that no output reads the chip knows nothing
            continue
        if name == "membrane" and not model.lif(layer).leak:  # has no decay, and is refused for that
            continue
        if nearest or decay == 0.0 or abs(decay - (1.0 - 2.0**-dash)) <= 1e-9:  # 0 is refused with tau_s
            continue
        yield (
            f"{model.key(layer, keys[name])}: the decay of {decay:.6f} a step is not 1 - 2^-k; export with "
            f"--quantize-decay, which takes {1.0 - 2.0**-dash:.6f}, or train with "
            f"{setting(model, layer, keys[name], _tau(model, layer, dash))}"
        )


def inputs(model: Model) -> Iterator[str]:
    u = model.inputs
    if not np.all(np.isfinite(u)) or np.any((u < 0) | (u > 15) | (u != np.round(u))):
        yield "encoder: inputs are not 0 to 15 spikes a step; train with --set encoder=poisson (or latency)"


def room(model: Model, name: str) -> Iterator[str]:
    """Find what shows in the integers alone: connections without room, and thresholds of less than one unit."""
    device, wanted = DEVICES[name], wanted_numbers(model)
    try:
        net = quantised(wanted, scales_of(model), device.synapses).net
    except InputError as error:
        yield from error.problems
        return
    yield from _vanished(model, wanted, net)
    reached = (net.w_rec != 0).any(-1)
    widest, total = int(reached.sum(1).max()), int(reached.sum())
    names = ", ".join(p.name for p in model.network.projections if place(model.network, p)[0] == "w_rec")
    if widest > device.fan_out:
        yield (
            f"{names}: a unit reaches {widest} others, {name} allows {device.fan_out}; --set device=audio3, or train "
            f"with {device.fan_out} or fewer hidden units"
        )
    if total > device.connections:
        yield (
            f"{names}: {total} connections, {name} has {device.connections}; train with "
            f"{int(device.connections**0.5)} or fewer hidden units"
        )
    first, last = (net.w_in != 0).any(-1).any(0), (net.w_out != 0).any(1)
    if bool(first[device.expansion :].any()) or bool(last[: max(0, len(last) - device.expansion)].any()):
        yield (
            f"hidden: {len(last)} units with inputs and outputs, {name} gives inputs to the first {device.expansion} "
            f"and outputs to the last; train with {device.expansion} or fewer hidden units"
        )


def _vanished(model: Model, wanted: Wanted, net: Network) -> Iterator[str]:
    """Find arrays that reach no unit of a layer any more, and outputs without a weight."""
    for p in model.network.projections:
        if p.pre == p.post:
            continue
        W, left = (part.any(1) for part in (part_of(model, wanted, p), integers(model, net, p)))
        lost, what = int((W & ~left).sum()), "outputs" if p.post == OUTPUT else "hidden units"
        if lost and (p.post == OUTPUT or lost == len(W)):
            layer = model.network.layer(p.post if p.post != OUTPUT else p.pre)
            tau = "" if layer is None else model.key(layer, "tau_r" if p.post == OUTPUT else "tau_m or tau_s")
            yield (
                f"{p.name}: all weights of {lost} of {len(W)} {what} are less than half a step and round to 0, since "
                f"16 bits must hold what they add up to; train with a shorter {tau}"
            )
