"""Networks for chips of whole numbers: their units, a presentation, and what the export says of them."""

from __future__ import annotations

from math import log

import numpy as np
import torch

from neuroanp.backends import loihi, loihi_numbers, xylo, xylo_numbers
from neuroanp.backends.integer import LoihiBackend, XyloBackend
from neuroanp.backends.neuron import LIF
from neuroanp.backends.numeric import Numeric
from neuroanp.backends.protocol import Request
from neuroanp.network.compose import Stacked, stack
from neuroanp.noise import PassStreams, Streams
from neuroanp.profiles import load
from neuroanp.substrates.chip import DeviceChip
from neuroanp.trajectory import PassPlan, Weights

DT = 1e-3
SILENT = PassPlan(noise=(0.0,), stream=(0,), pairs="mean")
KINDS = {"loihi": LoihiBackend, "xylo": XyloBackend}
SIZES = [(4, 32, 2), (7, 60, 3), (3, 12, 1)]


def tau(dash: int) -> float:
    """Return the time constant, in seconds, whose decay in a step is 1 - 2^-dash."""
    return -DT / log(1.0 - 2.0**-dash)


NEURONS = {
    "loihi": LIF(input_gain=3.0, refractory=0.0),
    "xylo": LIF(tau_m=tau(4), tau_s=tau(2), tau_r=tau(4), reset="subtract", refractory=0.0, input_gain=3.0),
}


def network(
    name, sizes, seed=0, bias=False, dtype=torch.float64, steps=120, batch=2, neuron=None
) -> tuple[Weights, torch.Tensor]:
    """Return random weights between a chip's units, and input spikes (T, B, I)."""
    inputs, hidden, outputs = sizes
    rng = np.random.default_rng(seed)
    shapes = {"w_in": (hidden, inputs + bias), "w": (hidden, hidden), "w_out": (outputs, hidden + bias)}
    W = {name: torch.from_numpy(rng.normal(size=s) / np.sqrt(s[1])).to(dtype) for name, s in shapes.items()}
    weights = Weights.one_layer(W, bias, neuron or NEURONS[name])
    return weights, torch.from_numpy(rng.random((steps, batch, inputs)) < 0.2).to(dtype)


def backend_of(name: str, chunk: int = 64):
    return KINDS[name](DT, chunk)


def present(backend, weights: Weights, u: torch.Tensor, device="cpu"):
    """Return what a silent pass is: spikes (T, B, N), outputs (T, B, O) and potentials, on an ideal device.

    Units of several layers are side by side, layer after layer.
    """
    streams = Streams(0)
    chip = DeviceChip.build(load("ideal"), weights, streams=streams, dt=DT, dtype=u.dtype, device=device)
    own = PassStreams(streams, "train", 0)
    asked = Request(chip, chip.prepare(1.0, own), u.to(device), SILENT, own, keep="states")
    did = []
    for c in backend.run(asked):
        s, v = (torch.cat([getattr(layer, part) for layer in c.layers.values()], -1) for part in ("spikes", "v"))
        did.append((s, c.y, v))
    return tuple(torch.cat(part)[:, 0] for part in zip(*did, strict=True))


def activity(backend, weights: Weights, u) -> torch.Tensor:
    """Return what the outputs of the noise-free network read of its units, (T, B, N)."""
    return backend.activity(weights.network)(weights, u)["hidden"]


def changed(weights: Weights, **arrays: torch.Tensor) -> Weights:
    """Return the same network with some arrays in place of its own, and copies of the others."""
    return Weights({**{key: part.clone() for key, part in weights.items()}, **arrays}, weights.network)


def numeric(name: str, weights: Weights) -> Numeric:
    W = {key: part.double().numpy() for key, part in weights.items()}
    return Numeric(name, W, weights.network, DT, True)


def exported(name: str, weights: Weights, u: torch.Tensor):
    """Return spikes, outputs and potentials of the numbers that are exported, run by the chip's simulator."""
    model, u = numeric(name, weights), u.long()
    late, sizes = torch.zeros_like(u[:1]), torch.tensor([layer.units for layer in weights.network.layers])
    if name == "loihi":  # outputs come a step late
        held = loihi_numbers.quantise(model, loihi_numbers.scales(model, loihi_numbers.assumed_peaks(model)))
        steps, _ = loihi.run(held.network, loihi.begin(held.network, u.shape[1]), torch.cat([u, late]))
        assert not steps.wrapped.any()
        y = (steps.u_out if held.reads == "u" else steps.v_out)[1:].double() / held.scale
        threshold = torch.tensor([held.threshold[layer.name] for layer in weights.network.layers])
        return steps.s[:-1], y, steps.v[:-1].double() / (threshold.repeat_interleave(sizes) * 2.0**loihi.SHIFT)
    wanted = xylo_numbers.wanted_numbers(model)  # inputs and outputs come a step late
    by = xylo_numbers.scales(wanted, xylo_numbers.assumed_peaks(wanted))
    held = xylo_numbers.quantised(wanted, by, 2)
    states, before = xylo.run(held.net, torch.cat([late, u]))
    rise = 1.0 - model.readout_decay ** torch.arange(1, len(u) + 1, dtype=torch.float64)[:, None, None]
    y = states.i_out[1:] / torch.from_numpy(held.y) + torch.from_numpy(wanted.offset) * rise
    return states.s[:-1], y, before[:-1] / torch.from_numpy(held.threshold)


UPPER = {
    "loihi": {"tau_m": 12e-3, "tau_s": 3e-3, "synapse_gain": 9.0, "drive": 0.7},
    "xylo": {"tau_m": tau(3), "tau_s": tau(3), "synapse_gain": 4.0, "drive": 0.4},
}
"""What units of layers above the first have instead."""


def layered(name, seed=0, bias=False, skip=False, dtype=torch.float64, steps=120, batch=2):
    """Return random weights of three layers, the second feed-forward, and input spikes (T, B, I)."""
    lower, upper = NEURONS[name], NEURONS[name].model_copy(update=UPPER[name])
    layers = [Stacked(lower, 14), Stacked(upper, 10, recurrent=False, delay=1), Stacked(lower, 8, delay=1)]
    net, rng = stack(4, layers, 2, bias, skip), np.random.default_rng(seed)
    W = {key: torch.from_numpy(rng.normal(size=s) / np.sqrt(s[1])).to(dtype) for key, s in net.shapes.items()}
    for p in net.projections:
        if p.bias:
            W[p.name][:, -1] *= 0.2
    return Weights(W, net), torch.from_numpy(rng.random((steps, batch, 4)) < 0.3).to(dtype)
