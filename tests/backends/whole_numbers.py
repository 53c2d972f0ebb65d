"""Networks for chips of whole numbers: their units, a presentation, and what the export says of them."""

from __future__ import annotations

from math import log

import numpy as np
import torch

from neuroanp.backends.integer import LoihiBackend, XyloBackend
from neuroanp.backends.neuron import LIF
from neuroanp.backends.numeric import Numeric
from neuroanp.backends.protocol import Request
from neuroanp.noise import PassStreams, Streams
from neuroanp.profiles import load
from neuroanp.substrates.chip import Chip
from neuroanp.trajectory import PassPlan, Weights

DT = 1e-3
SILENT = PassPlan(gain=(0.0,), stream=(0,), pairs="mean")
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
    """Return what a silent pass is: spikes (T, B, N), outputs (T, B, O) and potentials, on an ideal device."""
    streams = Streams(0)
    chip = Chip.build(load("ideal"), weights, streams=streams, dt=DT, dtype=u.dtype, device=device)
    own = PassStreams(streams, "train", 0)
    asked = Request(chip, chip.prepare(1.0, own), u.to(device), SILENT, own, keep="states")
    did = [(c.layers["hidden"].spikes, c.y, c.layers["hidden"].v) for c in backend.run(asked)]
    return tuple(torch.cat(part)[:, 0] for part in zip(*did, strict=True))


def numeric(name: str, weights: Weights) -> Numeric:
    W = {key: part.double().numpy() for key, part in weights.items()}
    return Numeric(name, W, weights.network, DT, True)


def activity(backend, weights: Weights, u) -> torch.Tensor:
    """Return what the outputs of the noise-free network read of its units, (T, B, N)."""
    return backend.activity(weights.network)(weights, u)["hidden"]


def changed(weights: Weights, **arrays: torch.Tensor) -> Weights:
    """Return the same network with some arrays in place of its own, and copies of the others."""
    return Weights({**{key: part.clone() for key, part in weights.items()}, **arrays}, weights.network)
