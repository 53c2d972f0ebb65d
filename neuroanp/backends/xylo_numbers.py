"""The numbers of a Xylo for a network: scales, shifts and integers; see `neuroanp.backends.xylo` for its neurons.

With the held decays m, s, r = 1 - 2^-dash of membrane, synapse and output, and c_j units of state a threshold:

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
from neuroanp.backends.chips import Chip, Grid, XyloChip

if TYPE_CHECKING:
    from neuroanp.backends.numeric import Numeric

Array = Any  # NDArray[np.float64]

HEADROOM = 2.0
"""How many times the largest state fits 16 bits."""
STATES_ASSUMED = 16.0
"""Thresholds that a current or potential reaches, where no inputs tell."""


@dataclass(frozen=True)
class Wanted:
    """A network in the chip's terms before rounding, in thresholds; arrays as post, pre.

    Args:
        decays: by name (wanted, held). dashes: by name.
        w_in, w_rec, bias: what the membrane sees. w_out: what an output sees.
        k_in, k_rec, k_bias, k_out: w = k W. drive: the part of the bias that no weight makes.
        offset: (O,) of the outputs, which no current of the chip can hold.
    """

    decays: dict[str, tuple[float, float]]
    dashes: dict[str, int]
    w_in: Array
    w_rec: Array
    bias: Array
    w_out: Array
    k_in: float
    k_rec: float
    k_bias: float
    k_out: float
    drive: float
    offset: Array


@dataclass(frozen=True)
class Held:
    """The chip's integers, its units of state (a threshold (N,), an output of 1 (O,)), and what the bias takes off."""

    net: xylo.Network
    threshold: Array
    y: Array
    kept: Array


def wanted_decays(model: Numeric) -> dict[str, float]:
    """Return the network's factors a step of membrane, synapse and output."""
    step = model.step
    return {"membrane": float(step.a_m[0]), "synapse": float(step.a_s[0]), "output": model.readout_decay}


def nearest_dash(decay: float) -> int:
    """Return the k whose decay 1 - 2^-k has the nearest time constant.

    >>> nearest_dash(0.75), nearest_dash(0.9512), nearest_dash(0.1)
    (2, 4, 1)
    """
    return min(15, max(1, round(-log2(1.0 - decay)))) if decay < 1.0 else 15


def wanted_numbers(model: Numeric) -> Wanted:
    """Return the network in the chip's terms, unrounded but for the decays."""
    neuron, step = model.neuron, model.step
    assert neuron is not None
    decays = {name: (decay, 1.0 - 2.0 ** -nearest_dash(decay)) for name, decay in wanted_decays(model).items()}
    _, s, r = ((1.0 - held) / (1.0 - decay) for decay, held in decays.values())
    k_i, k_e = float(step.k_i[0]), float(step.k_e[0])
    k, k_bias = k_i * s / decays["synapse"][1], k_i * neuron.input_gain
    k_in, k_rec, k_out = k * neuron.input_gain, k * neuron.synapse_gain, r / decays["output"][1]
    drive = k_e * neuron.drive
    (W_in, column), (W_out, offset) = model.columns("w_in"), model.columns("w_out")
    return Wanted(
        decays=decays,
        dashes={name: nearest_dash(decay) for name, (decay, _) in decays.items()},
        w_in=k_in * W_in, w_rec=k_rec * model.weights["w"], bias=drive + k_bias * column, w_out=k_out * W_out,
        k_in=k_in, k_rec=k_rec, k_bias=k_bias, k_out=k_out, drive=drive, offset=offset,
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
    y = np.sqrt(np.square(wanted.w_out).sum(1)) / (1.0 - wanted.decays["output"][1])
    return Peaks(np.full(len(wanted.w_rec), STATES_ASSUMED), y)


def kept(wanted: Wanted, currents: Array | None, threshold: Array) -> Array:
    """Return (N,): units of state that shifts leave too much, in the mean of a step.

    x >> dash rounds down, by half a unit in the mean: once in a potential, and in each of the 2^dash steps that a
    current lasts, while it is longer than the least step; below it errors of both signs cancel.
    """
    if currents is None:
        return np.zeros_like(threshold)
    steps = 2.0 ** wanted.dashes["synapse"]
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
    (shift_in, shift_rec), scale = _shifts([wanted.w_in, wanted.w_rec], room)
    threshold = np.maximum(np.floor(scale), 1.0)
    (shift_out,), y = _shifts([wanted.w_out], _ratio(2**15 - 1, HEADROOM * peaks.y), whole=False)
    y = np.where(np.isfinite(y), y, 1.0)  # an output without weights is 0 in any unit
    return Scales(threshold, y, kept(wanted, peaks.currents, threshold), (shift_in, shift_rec, shift_out))


def quantised(wanted: Wanted, by: Scales, synapses: int) -> Held:
    """Return the integers of a chip with so many synapses a hidden unit."""
    threshold, y, (shift_in, shift_rec, shift_out) = by.threshold, by.y, by.shifts
    units, outputs = len(threshold), len(y)

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
        dash_mem=full(units, wanted.dashes["membrane"]),
        dash_syn=full(units, wanted.dashes["synapse"])[:, None].expand(units, synapses).contiguous(),
        dash_mem_out=full(outputs, 0),  # then V_out is I_out, and no output reaches its threshold
        dash_syn_out=full(outputs, wanted.dashes["output"]),
        shift_in=shift_in, shift_rec=shift_rec, shift_out=shift_out,
    )  # fmt: skip
    xylo.check(net)
    return Held(net, threshold, y, by.kept)


def chip_of(model: Numeric, wanted: Wanted, by: Scales) -> Chip:
    """Return the chip that learns in the loop: its neurons, and the scales."""
    assert model.neuron is not None
    c, q, dashes = torch.from_numpy(by.threshold), torch.from_numpy(by.y), wanted.dashes
    shift_in, shift_rec, shift_out = by.shifts

    def weights(scale: torch.Tensor, shift: int) -> Grid:
        return Grid(scale[:, None], 2**shift, -127 << shift, 127 << shift)

    return XyloChip(
        grids={
            "w_in": weights(c * wanted.k_in, shift_in),
            "w": weights(c * wanted.k_rec, shift_rec),
            "w_out": weights(q * wanted.k_out, shift_out),
        },
        bias=Grid(c * wanted.k_bias, 1, -xylo.HIGH, xylo.HIGH, c * wanted.drive - torch.from_numpy(by.kept)),
        offset=None,
        arrival=c * wanted.k_rec / model.neuron.synapse_gain, unit=c, state=1,
        k_i=float(model.step.k_i[0]), k_e=float(model.step.k_e[0]), drive=model.neuron.drive,
        readout=wanted.decays["output"][1], synapse=wanted.decays["synapse"][1], rise=model.readout_decay, scale=q,
        threshold=c.long(), dash_mem=torch.full(c.shape, dashes["membrane"]),
        dash_syn=torch.full(c.shape, dashes["synapse"]), dash_out=torch.full(q.shape, dashes["output"]),
    )  # fmt: skip


def _ratio(number: float, by: Array) -> Array:
    """Return number / by, without bound where by is 0."""
    return np.divide(number, by, out=np.full(np.shape(by), inf), where=by > 0)


def _shifts(parts: list[Array], room: Array, whole: bool = True) -> tuple[tuple[int, ...], Array]:
    """Return the shift of each of the weights (post, pre), and the scale (post,) they share: those of least error.

    The error is that of rounding the weights, step^2 / 12 each with steps of 2^shift / scale, and of rounding states.
    A `whole` scale is at least 1, and weights of units that want a smaller one are cut: of as few units as can be.
    """
    largest = [np.abs(part).max(1, initial=0.0) for part in parts]

    def scale(shifts: tuple[int, ...]) -> Array:
        return np.min([room, *(_ratio(127.0 * 2**shift, top) for shift, top in zip(shifts, largest, strict=True))], 0)

    def error(shifts: tuple[int, ...]) -> tuple[int, float]:
        rounded = sum(part.shape[1] * 4.0**shift for part, shift in zip(parts, shifts, strict=True))
        fine = scale(shifts)
        cut = int((fine < 1.0).sum()) if whole else 0
        return cut, float(((1.0 + rounded) / (np.maximum(np.floor(fine), 1.0) if whole else fine) ** 2).sum())

    best = min(product(range(8), repeat=len(parts)), key=error)
    return best, scale(best)
