"""The numbers of a Xylo for a network: scales, shifts and integers; see `neuroanp.backends.xylo` for its neurons.

All hidden units are one population: layers are blocks of it, one after the other, and what is within a layer or
between two of them (delay 1) is a block of w_rec. With the held decays m, s, r = 1 - 2^-dash of membrane, synapse and
output, and c_j units of state a threshold, each unit with the constants of its layer:

    w_in  = round(c_j k g_in W_in / 2^shift),   w_rec = round(c_j k g_s W / 2^shift),   threshold = c_j
    bias  = round(c_j (k_e drive + k_I g_in W_bias) - what shifts leave too much),   k = k_I (1 - s) / ((1 - a_s) s)
    w_out = round(q_o W_out (1 - r) / ((1 - a) r) / 2^shift),   y = I_out / q_o

The factors (1 - s) / (1 - a_s) keep the charge that a spike moves to a membrane where the chip has another decay than
the network; 1 / s and 1 / r are there because the chip decays a current in the step it arrives.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import inf, log2
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from neuroanp.backends import xylo
from neuroanp.backends.chip_structure import biased, of_inputs, spans
from neuroanp.backends.chips import Grid, IntegerChip, XyloChip, XyloLayer
from neuroanp.network.network import OUTPUT

if TYPE_CHECKING:
    from neuroanp.backends.numeric import Numeric
    from neuroanp.network.network import Layer, Network, Projection

Array = Any  # NDArray[np.float64]

HEADROOM = 2.0
"""How many times the largest state fits 16 bits."""
STATES_ASSUMED = 16.0
"""Thresholds that a current or potential reaches, where no inputs tell."""


@dataclass(frozen=True)
class Constants:
    """What the units of a layer have in common.

    Args:
        membrane, synapse: decays (wanted, held). dash_mem, dash_syn: those of the held.
        k_in, k_rec, k_bias: w = k W of arrays from the input, of those of spikes, and of a bias.
        drive: the part of the bias that no weight makes.
    """

    membrane: tuple[float, float]
    synapse: tuple[float, float]
    dash_mem: int
    dash_syn: int
    k_in: float
    k_rec: float
    k_bias: float
    drive: float

    def k(self, p: Projection) -> float:
        """Return what an array's weights are multiplied by."""
        return self.k_in if of_inputs(p) else self.k_rec


@dataclass(frozen=True)
class Wanted:
    """A network in the chip's terms before rounding, in thresholds; arrays as post, pre, units of all layers.

    Args:
        network: layers and projections. layers: constants of their units, by name.
        output: decay of the outputs (wanted, held). dash_out: that of the held.
        w_in, w_rec, bias: what the membrane sees. w_out: what an output sees.
        lines: how many of the columns of w_in, w_rec and w_out there are weights for, of each row.
        k_out: w_out = k_out W.
        offset: (O,) of the outputs, which no current of the chip can hold.
    """

    network: Network
    layers: dict[str, Constants]
    output: tuple[float, float]
    dash_out: int
    w_in: Array
    w_rec: Array
    bias: Array
    w_out: Array
    lines: tuple[Array, Array, Array]
    k_out: float
    offset: Array

    def each(self, value: str) -> Array:
        """Return a constant (N,) of every unit, by its name in `Constants`."""
        sizes = [layer.units for layer in self.network.layers]
        return np.repeat([getattr(self.layers[layer.name], value) for layer in self.network.layers], sizes)

    @property
    def synapse(self) -> Array:
        """(N,) held decays of the currents."""
        return np.repeat([c.synapse[1] for c in self.layers.values()], [each.units for each in self.network.layers])


def place(network: Network, p: Projection) -> tuple[str, tuple[slice, slice]]:
    """Return which of the chip's matrices holds an array, "w_in", "w_rec" or "w_out", and where, as (post, pre)."""
    where, whole = spans(network), slice(None)
    if p.post == OUTPUT:
        return "w_out", (whole, where[p.pre])
    return ("w_in", (where[p.post], whole)) if of_inputs(p) else ("w_rec", (where[p.post], where[p.pre]))


@dataclass(frozen=True)
class ChipNumbers:
    """The chip's integers, its units of state (a threshold (N,), an output of 1 (O,)), and what the bias takes off."""

    net: xylo.Network
    threshold: Array
    y: Array
    kept: Array


def nearest_dash(decay: float) -> int:
    """Return the k whose decay 1 - 2^-k has the nearest time constant.

    >>> nearest_dash(0.75), nearest_dash(0.9512), nearest_dash(0.1)
    (2, 4, 1)
    """
    return min(15, max(1, round(-log2(1.0 - decay)))) if decay < 1.0 else 15


def decays_of(model: Numeric, layer: Layer) -> dict[str, float]:
    """Return the network's factors a step of a layer's membrane and synapse, and of the trace of its spikes."""
    step = model.steps[layer.name]
    return {
        "membrane": float(step.a_m[0]),
        "synapse": float(step.a_s[0]),
        "output": 1.0 if model.lif(layer).decoder == "count" else model.lif(layer).decays(model.dt)[0],
    }


def held_decay(decay: float) -> float:
    """Return the nearest decay that the chip has."""
    return 1.0 - 2.0 ** -nearest_dash(decay)


def constants(model: Numeric, layer: Layer) -> Constants:
    """Return what the units of a layer have in common."""
    neuron, step, wanted = model.lif(layer), model.steps[layer.name], decays_of(model, layer)
    membrane, synapse = ((wanted[name], held_decay(wanted[name])) for name in ("membrane", "synapse"))
    k_i, k_e = float(step.k_i[0]), float(step.k_e[0])
    below = biased(model.network, layer.name)
    gain = neuron.synapse_gain if below is not None and not of_inputs(below) else neuron.input_gain
    s = (1.0 - synapse[1]) / (1.0 - synapse[0])
    k = k_i * s / synapse[1]
    return Constants(
        membrane, synapse, nearest_dash(membrane[0]), nearest_dash(synapse[0]),
        k_in=k * neuron.input_gain, k_rec=k * neuron.synapse_gain, k_bias=k_i * gain, drive=k_e * neuron.drive,
    )  # fmt: skip


def wanted_numbers(model: Numeric) -> Wanted:
    """Return the network in the chip's terms, unrounded but for the decays."""
    network, layers = model.network, {layer.name: constants(model, layer) for layer in model.network.layers}
    inputs, units, outputs = model.sizes
    output = model.readout_decay, held_decay(model.readout_decay)
    k_out = (1.0 - output[1]) / (1.0 - output[0]) / output[1]
    shapes = {"w_in": (units, inputs), "w_rec": (units, units), "w_out": (outputs, units)}
    parts, lines = ({name: np.zeros(shape) for name, shape in shapes.items()} for _ in range(2))
    bias, offset = np.zeros(units), np.zeros(outputs)
    for name, where in spans(network).items():
        bias[where] = layers[name].drive
    for p in network.projections:
        (part, where), (W, column) = place(network, p), model.columns(p.name)
        k = k_out if p.post == OUTPUT else layers[p.post].k(p)
        parts[part][where], lines[part][where] = k * W, 1.0
        if p.bias and p.post == OUTPUT:
            offset += column
        elif p.bias:
            bias[where[0]] += layers[p.post].k_bias * column
    w_in, w_rec, w_out = (lines[name].sum(1) for name in shapes)
    return Wanted(
        network=network, layers=layers, output=output, dash_out=nearest_dash(output[0]), **parts, bias=bias,
        lines=(w_in, w_rec, w_out), k_out=k_out, offset=offset,
    )  # fmt: skip


class Peaks(NamedTuple):
    """What states reach, and what the bias takes off.

    Args:
        state: (N,) largest currents and potentials, in thresholds. y: (O,) largest outputs, as the chip has them.
        currents: (T, B, N) in thresholds, which tell what shifts leave too much; None: unknown, and the bias takes
            off nothing.
    """

    state: Array
    y: Array
    currents: Array | None = None


def assumed_peaks(wanted: Wanted) -> Peaks:
    """Return what states may reach on any inputs: what a network that learns on the chip is scaled by.

    Of an output it is what all units add that spike at every step, of signs that are independent. What shifts leave
    too much is for the network to learn.
    """
    y = np.sqrt(np.square(wanted.w_out).sum(1)) / (1.0 - wanted.output[1])
    return Peaks(np.full(len(wanted.w_rec), STATES_ASSUMED), y)


def kept(wanted: Wanted, currents: Array | None, threshold: Array) -> Array:
    """Return (N,): units of state that shifts leave too much, in the mean of a step.

    x >> dash rounds down, by half a unit in the mean: once in a potential, and in each of the 2^dash steps that a
    current lasts, while it is longer than the least step; below it errors of both signs cancel.
    """
    if currents is None:
        return np.zeros_like(threshold)
    steps = 2.0 ** wanted.each("dash_syn")
    return 0.5 * (1.0 + steps * (np.abs(currents) * threshold > steps).mean((0, 1)))


@dataclass(frozen=True)
class Scales:
    """Units of state (a threshold (N,), an output of 1 (O,)), what the bias takes off, shifts of w_in, w_rec, w_out."""

    threshold: Array
    y: Array
    kept: Array
    shifts: tuple[int, int, int]


def scales(wanted: Wanted, peaks: Peaks) -> Scales:
    """Return for each unit the most units of state a threshold that its weights and 16 bits allow, at least 1."""
    room = np.minimum((2**15 - 1) / (HEADROOM * peaks.state), _ratio(2**15 - 1, np.abs(wanted.bias)))
    (shift_in, shift_rec), scale = _shifts([wanted.w_in, wanted.w_rec], wanted.lines[:2], room)
    threshold = np.maximum(np.floor(scale), 1.0)
    (shift_out,), y = _shifts([wanted.w_out], wanted.lines[2:], _ratio(2**15 - 1, HEADROOM * peaks.y), whole=False)
    y = np.where(np.isfinite(y), y, 1.0)  # an output without weights is 0 in any unit
    return Scales(threshold, y, kept(wanted, peaks.currents, threshold), (shift_in, shift_rec, shift_out))


def quantised(wanted: Wanted, by: Scales, synapses: int) -> ChipNumbers:
    """Return the integers of a chip with so many synapses a hidden unit."""
    threshold, y, (shift_in, shift_rec, shift_out) = by.threshold, by.y, by.shifts
    outputs = len(y)
    dash_mem, dash_syn = (torch.from_numpy(wanted.each(name)) for name in ("dash_mem", "dash_syn"))

    def integers(W: Array, scale: Array, shift: int) -> Any:
        return torch.from_numpy(np.round(W * scale[:, None] / 2.0**shift).astype(np.int64).T.copy())

    def full(size: int, value: int) -> Any:
        return torch.full((size,), value)

    def first(W: Any) -> Any:
        return torch.stack([W, *[torch.zeros_like(W)] * (synapses - 1)], -1)

    net = xylo.Network(
        w_in=first(integers(wanted.w_in, threshold, shift_in)),
        w_rec=first(integers(wanted.w_rec, threshold, shift_rec)),
        w_out=integers(wanted.w_out, y, shift_out),
        threshold=torch.from_numpy(threshold.astype(np.int64)),
        threshold_out=full(outputs, xylo.HIGH),
        bias=torch.from_numpy(np.round(wanted.bias * threshold - by.kept).astype(np.int64)),
        bias_out=full(outputs, 0),
        dash_mem=dash_mem,
        dash_syn=dash_syn[:, None].expand(len(dash_syn), synapses).contiguous(),
        dash_mem_out=full(outputs, 0),  # then V_out is I_out, and no output reaches its threshold
        dash_syn_out=full(outputs, wanted.dash_out),
        shift_in=shift_in, shift_rec=shift_rec, shift_out=shift_out,
    )  # fmt: skip
    xylo.check(net)
    return ChipNumbers(net, threshold, y, by.kept)


def chip_of(model: Numeric, wanted: Wanted, by: Scales) -> IntegerChip:
    """Return the chip that learns in the loop: its neurons, and the scales."""
    network, c_all, q = wanted.network, torch.from_numpy(by.threshold), torch.from_numpy(by.y)
    shifts: dict[str, int] = dict(zip(("w_in", "w_rec", "w_out"), by.shifts, strict=True))
    kept, layers, grids = torch.from_numpy(by.kept), {}, {}
    for layer in network.layers:
        where, has, neuron = spans(network)[layer.name], wanted.layers[layer.name], model.lif(layer)
        c, step = c_all[where], model.steps[layer.name]
        layers[layer.name] = XyloLayer(
            bias=Grid(c * has.k_bias, 1, -xylo.HIGH, xylo.HIGH, c * has.drive - kept[where]),
            arrival=c * has.k_rec / neuron.synapse_gain, unit=c, state=1,
            k_i=float(step.k_i[0]), k_e=float(step.k_e[0]), drive=neuron.drive,
            readout=held_decay(decays_of(model, layer)["output"]), synapse=has.synapse[1],
            threshold=c.long(), dash_mem=torch.full(c.shape, has.dash_mem), dash_syn=torch.full(c.shape, has.dash_syn),
        )  # fmt: skip
    for p in network.projections:
        scale = q * wanted.k_out if p.post == OUTPUT else c_all[spans(network)[p.post]] * wanted.layers[p.post].k(p)
        shift = shifts[place(network, p)[0]]
        grids[p.name] = Grid(scale[:, None], 2**shift, -127 << shift, 127 << shift)
    return XyloChip(
        network=network, layers=layers, grids=grids, offset=None, rise=model.readout_decay, scale=q,
        dash_out=torch.full(q.shape, wanted.dash_out),
    )  # fmt: skip


def _ratio(number: float, by: Array) -> Array:
    """Return number / by, without bound where by is 0."""
    return np.divide(number, by, out=np.full(np.shape(by), inf), where=by > 0)


def _shifts(
    parts: list[Array], lines: tuple[Array, ...], room: Array, whole: bool = True
) -> tuple[tuple[int, ...], Array]:
    """Return the shift of each of the weights (post, pre), and the scale (post,) they share: those of least error.

    `lines` (post,) says how many weights a row has. The error is that of rounding them, step^2 / 12 each with steps of
    2^shift / scale, and of rounding states. A `whole` scale is at least 1, and weights of units that want a smaller one
    are cut: of as few units as can be.
    """
    largest = [np.abs(part).max(1, initial=0.0) for part in parts]

    def scale(shifts: tuple[int, ...]) -> Array:
        return np.min([room, *(_ratio(127.0 * 2**shift, top) for shift, top in zip(shifts, largest, strict=True))], 0)

    def error(shifts: tuple[int, ...]) -> tuple[int, float]:
        rounded = sum(count * 4.0**shift for count, shift in zip(lines, shifts, strict=True))
        fine = scale(shifts)
        cut = int((fine < 1.0).sum()) if whole else 0
        return cut, float(((1.0 + rounded) / (np.maximum(np.floor(fine), 1.0) if whole else fine) ** 2).sum())

    best = min(product(range(8), repeat=len(parts)), key=error)
    return best, scale(best)
