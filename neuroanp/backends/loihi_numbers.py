"""The numbers of a Loihi for a network: scales and whole numbers; see `neuroanp.backends.loihi` for its neurons.

With J_t = I_{t-1}, whose spikes take one step as they do on the chip, the network is layers of CUBA neurons:

    J_t = a_s J_{t-1} + g_s W s_{t-1} + g W_below x_{t-1}     iDecay = 4096 (1 - a_s)
    v_t = a_m v_{t-1} + k_I J_t + k_e drive                   vDecay = 4096 (1 - a_m)

with x the inputs (g = g_in), or the spikes of the layer below (g = g_s, delay 1). k_I folds into the weights, which are
k_I g W vThMant on the chip; each layer has a threshold vThMant of its own. Hidden units keep the network's steps. The
current of an output unit is y_t = a y_{t-1} + W_out s_t, one step later; its membrane forgets at once and never spikes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from neuroanp.backends.chip_structure import of_inputs
from neuroanp.backends.chips import Grid, IntegerChip, LoihiChip, LoihiLayer
from neuroanp.backends.loihi import (
    BIAS_HIGH,
    DECAY_ONE,
    SHIFT,
    STATE_END,
    THRESHOLD_HIGH,
    WEIGHT_HIGH,
    Block,
    Cuba,
    CubaNetwork,
)
from neuroanp.network.network import OUTPUT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from neuroanp.backends.numeric import Numeric
    from neuroanp.network.network import Layer, Projection

    Array = NDArray[np.float64]

ROOM = (STATE_END - 1) / 2**SHIFT
"""Units of a weight that a state holds."""
FORGET_AT_ONCE = 4095  # the longest 12-bit decay
STATES_ASSUMED = 64.0
"""Thresholds that a current or membrane reaches, where no inputs tell: 8-bit weights ask for coarser scales anyway."""


class Peaks(NamedTuple):
    """The largest current or membrane of each layer, in thresholds, and the largest output, all with headroom."""

    state: Mapping[str, float]
    y: float


class Scales(NamedTuple):
    """Units of a weight in a threshold, by layer, and in an output of 1."""

    threshold: Mapping[str, int]
    y: float


@dataclass(frozen=True)
class Quantised:
    """A network in the chip's numbers.

    Args:
        network: weights and neurons.
        threshold: vThMant by layer: so many of a weight's units are one threshold.
        scale: what one unit of an output is in an output unit's state.
        reads: the state that is the output, "u"; with a bias "v", which adds it.
    """

    network: CubaNetwork
    threshold: Mapping[str, int]
    scale: float
    reads: str


def readout(model: Numeric) -> tuple[Array, Array]:
    """Return the weights (O, n) of the array to the outputs, and their bias (O,)."""
    (p,) = model.network.feed(OUTPUT)
    return model.columns(p.name)


def assumed_peaks(model: Numeric) -> Peaks:
    """Return what states may reach on any inputs: what a network that learns on the chip is scaled by.

    Of an output it is what all units add that spike at every step, of signs that are independent.
    """
    W_out, b_out = readout(model)
    loudest = np.sqrt(np.square(W_out).sum(1)) / (1.0 - model.readout_decay) + np.abs(b_out)
    return Peaks({layer.name: STATES_ASSUMED for layer in model.network.layers}, float(loudest.max()))


def scales(model: Numeric, peaks: Peaks) -> Scales:
    """Return the finest scales that the weights and the states allow.

    The largest weight of a layer is 254 then, a bias fits into 13 bits, and the peaks into 24. Weights end at -254:
    lava cuts -256 to -255 where no weight is positive.
    """
    threshold = {
        layer.name: max(int(min(finest(*in_thresholds(model, layer)), ROOM / peaks.state[layer.name])), 1)
        for layer in model.network.layers
    }
    W_out, b_out = readout(model)
    limits = WEIGHT_HIGH / max(np.abs(W_out).max(), 1e-300), BIAS_HIGH / max(np.abs(b_out).max(), 1e-300)
    return Scales(threshold, float(min(*limits, ROOM / max(peaks.y, 1e-300))))


def quantise(model: Numeric, by: Scales) -> Quantised:
    """Return the network in the chip's numbers."""

    def whole(W: Array) -> torch.Tensor:
        return torch.from_numpy(np.rint(W).astype(np.int64))

    def even(W: Array, scale: float) -> torch.Tensor:
        return 2 * whole(W * scale / 2)

    def block(layer: Layer) -> Block:
        threshold, decay = by.threshold[layer.name], decays(model, layer)
        weights, biases = in_thresholds(model, layer)
        neurons = Cuba(decay["synapse"][1], decay["membrane"][1], threshold, whole(biases * threshold))
        below, own = between(model, layer)
        recurrent = None if own is None else even(weights[own.name], threshold)
        return Block(even(weights[below.name], threshold), recurrent, neurons)

    W_out, b_out = readout(model)
    outputs = Cuba(output_decay(model)[1], FORGET_AT_ONCE, THRESHOLD_HIGH, whole(b_out * by.y))
    network = CubaNetwork(tuple(map(block, model.network.layers)), Block(even(W_out, by.y), None, outputs))
    return Quantised(network, by.threshold, by.y * 2**SHIFT, "v" if model.bias else "u")


def chip_of(model: Numeric, by: Scales) -> IntegerChip:
    """Return the chip that learns in the loop: its neurons, and the scales."""
    out = by.y * torch.ones(model.network.outputs, dtype=torch.float64)
    none = torch.zeros(1, dtype=torch.int64)  # the biases come with every presentation
    grids: dict[str, Grid] = {}
    layers: dict[str, LoihiLayer] = {}

    def weights(scale: torch.Tensor) -> Grid:
        return Grid(scale[:, None], 2, -WEIGHT_HIGH, WEIGHT_HIGH)

    for layer in model.network.layers:
        neuron, step, threshold = model.lif(layer), model.steps[layer.name], by.threshold[layer.name]
        one, k_i, k_e = torch.ones(layer.units, dtype=torch.float64), float(step.k_i[0]), float(step.k_e[0])
        arrival, number = threshold * k_i, {name: whole for name, (_, whole) in decays(model, layer).items()}
        for p in into(model, layer):
            grids[p.name] = weights(arrival * gain(model, layer, p) * one)
        below, _ = between(model, layer)
        layers[layer.name] = LoihiLayer(
            bias=Grid(
                arrival * gain(model, layer, below) * one, 1, -BIAS_HIGH, BIAS_HIGH, threshold * k_e * neuron.drive
            ),
            arrival=arrival * one, unit=threshold * one, state=2**SHIFT, k_i=k_i, k_e=k_e, drive=neuron.drive,
            readout=1 - number["readout"] / DECAY_ONE, synapse=1 - number["synapse"] / DECAY_ONE,
            neurons=Cuba(number["synapse"], number["membrane"], threshold, none),
        )  # fmt: skip
    (p_out,) = model.network.feed(OUTPUT)
    return LoihiChip(
        network=model.network, layers=layers, grids={**grids, p_out.name: weights(out)},
        offset=Grid(out, 1, -BIAS_HIGH, BIAS_HIGH), rise=model.readout_decay, scale=out * 2**SHIFT,
        output=Cuba(output_decay(model)[1], FORGET_AT_ONCE, THRESHOLD_HIGH, none),
    )  # fmt: skip


def between(model: Numeric, layer: Layer) -> tuple[Projection, Projection | None]:
    """Return the array into a layer from the one below it, and its own."""
    (below,) = model.network.feed(layer.name)
    return below, model.network.recurrence(layer.name)


def into(model: Numeric, layer: Layer) -> tuple[Projection, ...]:
    """Return the arrays into a layer."""
    return tuple(p for p in between(model, layer) if p is not None)


def gain(model: Numeric, layer: Layer, p: Projection) -> float:
    """Return the current that a spike over a weight of 1 of an array adds."""
    neuron = model.lif(layer)
    return neuron.input_gain if of_inputs(p) else neuron.synapse_gain


def in_thresholds(model: Numeric, layer: Layer) -> tuple[dict[str, Array], Array]:
    """Return what a spike over each weight into a layer, by array, and each step of its biases add to membranes."""
    step = model.steps[layer.name]
    k_i, k_e = float(step.k_i[0]), float(step.k_e[0])
    below, _ = between(model, layer)
    _, b = model.columns(below.name)
    weights = {p.name: k_i * gain(model, layer, p) * model.columns(p.name)[0] for p in into(model, layer)}
    return weights, k_i * gain(model, layer, below) * b + k_e * model.lif(layer).drive


def finest(weights: Mapping[str, Array], biases: Array) -> float:
    """Return the largest threshold for which the weights and biases are in range."""
    largest = max(float(np.abs(W).max()) for W in weights.values())
    highest = max(float(np.abs(biases).max()), 1e-300)
    return min(THRESHOLD_HIGH, WEIGHT_HIGH / max(largest, 1e-300), BIAS_HIGH / highest)


def decays(model: Numeric, layer: Layer) -> dict[str, tuple[float, int]]:
    """Return for each state of a layer the factor a step and its decay on the chip.

    "readout" is the trace of the layer's spikes; that of the outputs is `output_decay`.
    """
    step = model.steps[layer.name]
    factors = {"membrane": float(step.a_m[0]), "synapse": float(step.a_s[0])}
    factors["readout"] = model.lif(layer).decays(model.dt)[0]
    return {name: (a, _whole(a)) for name, a in factors.items()}


def output_decay(model: Numeric) -> tuple[float, int]:
    """Return the factor a step of the outputs, and their decay on the chip."""
    return model.readout_decay, _whole(model.readout_decay)


def _whole(a: float) -> int:
    return round(DECAY_ONE * (1 - a))
