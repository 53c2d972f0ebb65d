"""The numbers of a Xylo for a network: scales, shifts and integers; see `neuroanp.export.xylo` for the equations."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import inf, log2
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroanp.errors import InputError
from neuroanp.export.model import Model, reference

if TYPE_CHECKING:
    from neuroanp.backends.chips import Chip
    from neuroanp.backends.xylo import Network

Array = Any  # NDArray[np.float64]

HEADROOM = 2.0
"""How many times the largest state on the held-out inputs fits 16 bits."""


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

    net: Network
    threshold: Array
    y: Array
    kept: Array


def wanted_decays(model: Model) -> dict[str, float]:
    step = model.step
    return {"membrane": float(step.a_m[0]), "synapse": float(step.a_s[0]), "output": model.readout_decay}


def nearest_dash(decay: float) -> int:
    """Return the k whose decay 1 - 2^-k has the nearest time constant.

    >>> nearest_dash(0.75), nearest_dash(0.9512), nearest_dash(0.1)
    (2, 4, 1)
    """
    return min(15, max(1, round(-log2(1.0 - decay)))) if decay < 1.0 else 15


def wanted_numbers(model: Model) -> Wanted:
    """Return the network in the chip's terms, unrounded but for the decays."""
    neuron, step, W, (inputs, units, _) = model.neuron, model.step, model.weights, model.sizes
    assert neuron is not None
    decays = {name: (decay, 1.0 - 2.0 ** -nearest_dash(decay)) for name, decay in wanted_decays(model).items()}
    _, s, r = ((1.0 - held) / (1.0 - decay) for decay, held in decays.values())
    k_i, k_e = float(step.k_i[0]), float(step.k_e[0])
    k, k_bias = k_i * s / decays["synapse"][1], k_i * neuron.input_gain
    k_in, k_rec, k_out = k * neuron.input_gain, k * neuron.synapse_gain, r / decays["output"][1]
    drive = k_e * neuron.drive
    column = W["w_in"][:, inputs] if model.bias else np.zeros(units)
    return Wanted(
        decays=decays,
        dashes={name: nearest_dash(decay) for name, (decay, _) in decays.items()},
        w_in=k_in * W["w_in"][:, :inputs], w_rec=k_rec * W["w"], bias=drive + k_bias * column,
        w_out=k_out * W["w_out"][:, :units], k_in=k_in, k_rec=k_rec, k_bias=k_bias, k_out=k_out, drive=drive,
        offset=W["w_out"][:, units] if model.bias else np.zeros(len(W["w_out"])),
    )  # fmt: skip


def rise(model: Model) -> Array:
    """Return (T, 1, 1): the part of an output's offset that is there after each step."""
    return 1.0 - model.readout_decay ** np.arange(1, len(model.inputs) + 1)[:, None, None]


def _peaks(model: Model, wanted: Wanted) -> tuple[Array, Array, Array]:
    """Return the largest states of units (N,) in thresholds, and of outputs (O,), and the currents (T, B, N).

    On the network's own inputs; at least 4 thresholds, and what one unit gives an output that spikes at every step:
    other inputs may do so.
    """
    traces = reference(model)
    assert traces.s is not None
    currents = model.inputs @ wanted.w_in.T + traces.s @ wanted.w_rec.T
    for now, before in zip(currents[1:], currents, strict=False):
        now += before * wanted.decays["synapse"][1]
    peak = np.maximum(4.0, np.maximum(np.abs(traces.v).max((0, 1)), np.abs(currents).max((0, 1))))
    y = np.abs(traces.y - wanted.offset * rise(model)).max((0, 1)) / wanted.decays["output"][1]
    return peak, np.maximum(y, np.abs(wanted.w_out).max(1) / (1.0 - wanted.decays["output"][1])), currents


def _kept(wanted: Wanted, currents: Array, threshold: Array) -> Array:
    """Return (N,): units of state that shifts leave too much, in the mean of a step.

    x >> dash rounds down, by half a unit in the mean: once in a potential, and in each of the 2^dash steps that a
    current lasts, while it is longer than the least step; below it errors of both signs cancel.
    """
    steps = 2.0 ** wanted.dashes["synapse"]
    return 0.5 * (1.0 + steps * (np.abs(currents) * threshold > steps).mean((0, 1)))


@dataclass(frozen=True)
class Scales:
    """Units of state (a threshold (N,), an output of 1 (O,)), what the bias takes off, shifts of w_in, w_rec, w_out."""

    threshold: Array
    y: Array
    kept: Array
    shifts: tuple[int, int, int]


def scales(model: Model, wanted: Wanted) -> Scales:
    """Return for each unit the most units of state a threshold that its weights and 16 bits allow.

    Raises:
        InputError: a unit's weights are too large for its threshold.
    """
    peak, y_peak, currents = _peaks(model, wanted)
    room = np.minimum((2**15 - 1) / (HEADROOM * peak), _ratio(2**15 - 1, np.abs(wanted.bias)))
    (shift_in, shift_rec), scale = _shifts([wanted.w_in, wanted.w_rec], room)
    threshold = np.floor(scale)
    if bad := np.flatnonzero(threshold < 1).tolist():
        raise InputError(
            "xylo", [f"w: units {bad[:5]} have weights or states above {2**14 - 1} thresholds; train with less"]
        )
    (shift_out,), y = _shifts([wanted.w_out], _ratio(2**15 - 1, HEADROOM * y_peak))
    y = np.where(np.isfinite(y), y, 1.0)  # an output without weights is 0 in any unit
    return Scales(threshold, y, _kept(wanted, currents, threshold), (shift_in, shift_rec, shift_out))


def quantised(model: Model, wanted: Wanted, synapses: int, like: Model | None = None) -> Held:
    """Return the integers, with the scales of the network `like` (the model's own if None).

    Raises:
        InputError: as `scales`.
    """
    import torch

    from neuroanp.backends import xylo

    found = scales(model, wanted) if like is None else scales(like, wanted_numbers(like))
    threshold, y, kept, (shift_in, shift_rec, shift_out) = found.threshold, found.y, found.kept, found.shifts
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
        bias=torch.from_numpy(np.round(wanted.bias * threshold - kept).astype(np.int64)),
        bias_out=full(outputs, 0),
        dash_mem=full(units, wanted.dashes["membrane"]),
        dash_syn=full(units, wanted.dashes["synapse"])[:, None].expand(units, synapses).contiguous(),
        dash_mem_out=full(outputs, 0),  # then V_out is I_out, and no output reaches its threshold
        dash_syn_out=full(outputs, wanted.dashes["output"]),
        shift_in=shift_in, shift_rec=shift_rec, shift_out=shift_out,
    )  # fmt: skip
    xylo.check(net)
    return Held(net, threshold, y, kept)


def chip_of(model: Model, wanted: Wanted, held: Held) -> Chip:
    """Return the chip as fine-tuning takes it: its neurons, and the scales of `held`."""
    import torch

    from neuroanp.backends.chips import Grid, XyloChip
    from neuroanp.backends.xylo import HIGH

    assert model.neuron is not None
    net, c, q = held.net, torch.from_numpy(held.threshold), torch.from_numpy(held.y)

    def weights(scale: torch.Tensor, shift: int) -> Grid:
        return Grid(scale[:, None], 2**shift, -127 << shift, 127 << shift)

    return XyloChip(
        grids={
            "w_in": weights(c * wanted.k_in, net.shift_in),
            "w": weights(c * wanted.k_rec, net.shift_rec),
            "w_out": weights(q * wanted.k_out, net.shift_out),
        },
        bias=Grid(c * wanted.k_bias, 1, -HIGH, HIGH, c * wanted.drive - torch.from_numpy(held.kept)),
        offset=None,
        arrival=c * wanted.k_rec / model.neuron.synapse_gain, unit=c, state=1,
        k_i=float(model.step.k_i[0]), k_e=float(model.step.k_e[0]), drive=model.neuron.drive,
        readout=wanted.decays["output"][1], synapse=wanted.decays["synapse"][1], rise=model.readout_decay, scale=q,
        threshold=net.threshold, dash_mem=net.dash_mem, dash_syn=net.dash_syn[:, 0], dash_out=net.dash_syn_out,
    )  # fmt: skip


def _ratio(number: float, by: Array) -> Array:
    """Return number / by, without bound where by is 0."""
    return np.divide(number, by, out=np.full(np.shape(by), inf), where=by > 0)


def _shifts(parts: list[Array], room: Array) -> tuple[tuple[int, ...], Array]:
    """Return the shift of each of the weights (post, pre), and the scale (post,) they share: those of least error.

    The error is that of rounding the weights, step^2 / 12 each with steps of 2^shift / scale, and of rounding states.
    """
    largest = [np.abs(part).max(1, initial=0.0) for part in parts]

    def scale(shifts: tuple[int, ...]) -> Array:
        return np.min([room, *(_ratio(127.0 * 2**shift, top) for shift, top in zip(shifts, largest, strict=True))], 0)

    def error(shifts: tuple[int, ...]) -> float:
        rounded = sum(part.shape[1] * 4.0**shift for part, shift in zip(parts, shifts, strict=True))
        return float(((1.0 + rounded) / np.maximum(np.floor(scale(shifts)), 1.0) ** 2).sum())

    best = min(product(range(8), repeat=len(parts)), key=error)
    return best, scale(best)
