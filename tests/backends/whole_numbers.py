"""Networks for chips of whole numbers: their units, a presentation, and what the export says of them."""

from __future__ import annotations

from math import log

import numpy as np
import torch

from neuroanp.backends.integer import LoihiBackend, XyloBackend
from neuroanp.backends.neuron import LIF
from neuroanp.backends.numeric import Numeric
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


def network(sizes, seed=0, bias=False, dtype=torch.float64, steps=120, batch=2) -> tuple[Weights, torch.Tensor]:
    """Return random weights, and input spikes (T, B, I)."""
    inputs, hidden, outputs = sizes
    rng = np.random.default_rng(seed)
    shapes = {"w_in": (hidden, inputs + bias), "w": (hidden, hidden), "w_out": (outputs, hidden + bias)}
    W = {name: torch.from_numpy(rng.normal(size=s) / np.sqrt(s[1])).to(dtype) for name, s in shapes.items()}
    return Weights(W, bias), torch.from_numpy(rng.random((steps, batch, inputs)) < 0.2).to(dtype)


def backend_of(name: str, chunk: int = 64):
    return KINDS[name](DT, chunk, NEURONS[name])


def present(backend, weights: Weights, u: torch.Tensor, device="cpu"):
    """Return what a silent pass is: spikes (T, B, N), outputs (T, B, O) and potentials, on an ideal device."""
    streams = Streams(0)
    chip = Chip.build(load("ideal"), weights, streams=streams, dt=DT, dtype=u.dtype, device=device)
    own = PassStreams(streams, "train", 0)
    chunks = list(backend.passes(chip, chip.prepare(1.0, own), u.to(device), SILENT, own, keep="states"))
    return tuple(torch.cat([getattr(c, part) for c in chunks])[:, 0] for part in ("spikes", "y", "v"))


def numeric(name: str, weights: Weights) -> Numeric:
    W = {key: part.double().numpy() for key, part in weights.items()}
    return Numeric(name, W, weights.bias, NEURONS[name], DT, True)
