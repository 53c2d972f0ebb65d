"""The numbers of a Loihi for a network: scales and whole numbers; see `neuroanp.backends.loihi` for its neurons.

With J_t = I_{t-1}, whose spikes take one step as they do on the chip, the network is two layers of CUBA neurons:

    J_t = a_s J_{t-1} + g_s W s_{t-1} + g_in W_in u_{t-1}     iDecay = 4096 (1 - a_s)
    v_t = a_m v_{t-1} + k_I J_t + k_e drive                   vDecay = 4096 (1 - a_m)

k_I folds into the weights, which are k_I g W vThMant on the chip. Hidden units keep the network's steps. The current of
an output unit is y_t = a y_{t-1} + W_out s_t, one step later; its membrane forgets at once and never spikes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from neuroanp.backends.chips import Chip, Grid, LoihiChip
from neuroanp.backends.loihi import (
    BIAS_HIGH,
    DECAY_ONE,
    SHIFT,
    STATE_END,
    THRESHOLD_HIGH,
    WEIGHT_HIGH,
    Cuba,
    CubaNetwork,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from neuroanp.backends.numeric import Numeric

ROOM = (STATE_END - 1) / 2**SHIFT
"""Units of a weight that a state holds."""
FORGET_AT_ONCE = 4095  # the longest 12-bit decay
STATES_ASSUMED = 64.0
"""Thresholds that a current or membrane reaches, where no inputs tell: 8-bit weights ask for coarser scales anyway."""


class Peaks(NamedTuple):
    """The largest current or membrane, in thresholds, and the largest output, both with headroom."""

    state: float
    y: float


class Scales(NamedTuple):
    """Units of a weight in a threshold, and in an output of 1."""

    threshold: int
    y: float


@dataclass(frozen=True)
class Quantised:
    """A network in the chip's numbers.

    Args:
        network: weights and neurons.
        threshold: vThMant of hidden units: so many of a weight's units are one threshold.
        scale: what one unit of an output is in an output unit's state.
        reads: the state that is the output, "u"; with a bias "v", which adds it.
    """

    network: CubaNetwork
    threshold: int
    scale: float
    reads: str


def assumed_peaks(model: Numeric) -> Peaks:
    """Return what states may reach on any inputs: what a network that learns on the chip is scaled by.

    Of an output it is what all units add that spike at every step, of signs that are independent.
    """
    W_out, b_out = model.columns("w_out")
    loudest = np.sqrt(np.square(W_out).sum(1)) / (1.0 - model.readout_decay) + np.abs(b_out)
    return Peaks(STATES_ASSUMED, float(loudest.max()))


def scales(model: Numeric, peaks: Peaks) -> Scales:
    """Return the finest scales that the weights and the states allow.

    The largest weight is 254 then, a bias fits into 13 bits, and the peaks into 24. Weights end at -254: lava cuts -256
    to -255 where no weight is positive.
    """
    wanted, biases = in_thresholds(model)
    threshold = int(min(finest(wanted, biases), ROOM / peaks.state))
    W_out, b_out = model.columns("w_out")
    limits = WEIGHT_HIGH / max(np.abs(W_out).max(), 1e-300), BIAS_HIGH / max(np.abs(b_out).max(), 1e-300)
    return Scales(max(threshold, 1), float(min(*limits, ROOM / max(peaks.y, 1e-300))))


def quantise(model: Numeric, by: Scales) -> Quantised:
    """Return the network in the chip's numbers."""
    threshold, scale = by
    wanted, biases = in_thresholds(model)
    W_out, b_out = model.columns("w_out")

    def whole(W: NDArray[np.float64]) -> torch.Tensor:
        return torch.from_numpy(np.rint(W).astype(np.int64))

    decay = {name: number for name, (_, number) in decays(model).items()}
    hidden = Cuba(decay["synapse"], decay["membrane"], threshold, whole(biases * threshold))
    output = Cuba(decay["readout"], FORGET_AT_ONCE, THRESHOLD_HIGH, whole(b_out * scale))
    w_in, w, w_out = (2 * whole(W * unit / 2) for W, unit in [*((W, threshold) for W in wanted), (W_out, scale)])
    network = CubaNetwork(w_in, w, w_out, hidden, output)
    return Quantised(network, threshold, scale * 2**SHIFT, "v" if model.bias else "u")


def chip_of(model: Numeric, by: Scales) -> Chip:
    """Return the chip that learns in the loop: its neurons, and the scales."""
    assert model.neuron is not None
    neuron, step, (_, units, outputs) = model.neuron, model.step, model.sizes
    one, k_i, k_e = torch.ones(units, dtype=torch.float64), float(step.k_i[0]), float(step.k_e[0])
    arrival, out = by.threshold * k_i, by.y * torch.ones(outputs, dtype=torch.float64)
    number = {name: whole for name, (_, whole) in decays(model).items()}
    factor = {name: 1 - whole / DECAY_ONE for name, whole in number.items()}
    none = torch.zeros(1, dtype=torch.int64)  # the biases come with every presentation

    def weights(scale: torch.Tensor) -> Grid:
        return Grid(scale[:, None], 2, -WEIGHT_HIGH, WEIGHT_HIGH)

    w_in, w = (weights(arrival * gain * one) for gain in (neuron.input_gain, neuron.synapse_gain))
    drive = by.threshold * k_e * neuron.drive
    return LoihiChip(
        grids={"w_in": w_in, "w": w, "w_out": weights(out)},
        bias=Grid(arrival * neuron.input_gain * one, 1, -BIAS_HIGH, BIAS_HIGH, drive),
        offset=Grid(out, 1, -BIAS_HIGH, BIAS_HIGH),
        arrival=arrival * one, unit=by.threshold * one, state=2**SHIFT, k_i=k_i, k_e=k_e, drive=neuron.drive,
        readout=factor["readout"], synapse=factor["synapse"], rise=model.readout_decay, scale=out * 2**SHIFT,
        hidden=Cuba(number["synapse"], number["membrane"], by.threshold, none),
        output=Cuba(number["readout"], FORGET_AT_ONCE, THRESHOLD_HIGH, none),
    )  # fmt: skip


def in_thresholds(model: Numeric) -> tuple[tuple[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]:
    """Return what a spike over each weight of w_in and w, and each step of the biases, adds to a membrane."""
    assert model.neuron is not None
    k_i, k_e = float(model.step.k_i[0]), float(model.step.k_e[0])
    W_in, b = model.columns("w_in")
    entering = k_i * model.neuron.input_gain
    weights = entering * W_in, k_i * model.neuron.synapse_gain * model.weights["w"]
    return weights, entering * b + k_e * model.neuron.drive


def finest(weights: tuple[NDArray[np.float64], ...], biases: NDArray[np.float64]) -> float:
    """Return the largest threshold for which the weights and biases are in range."""
    largest = max(float(np.abs(W).max()) for W in weights)
    highest = max(float(np.abs(biases).max()), 1e-300)
    return min(THRESHOLD_HIGH, WEIGHT_HIGH / max(largest, 1e-300), BIAS_HIGH / highest)


def decays(model: Numeric) -> dict[str, tuple[float, int]]:
    """Return for each state the factor a step and its decay on the chip."""
    factors = {"membrane": float(model.step.a_m[0]), "synapse": float(model.step.a_s[0])}
    factors["readout"] = model.readout_decay
    return {name: (a, round(DECAY_ONE * (1 - a))) for name, a in factors.items()}
