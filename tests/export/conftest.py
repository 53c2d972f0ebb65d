"""Networks to export: spiking and rate ones of several sizes, with and without a bias, and inputs for them."""

from __future__ import annotations

import numpy as np
import pytest

from neuroanp.backends.neuron import LIF
from neuroanp.export.model import Model
from neuroanp.network.compose import one_layer


def network(
    sizes=(4, 32, 2), *, seed=0, steps=200, batch=2, bias=False, spikes_in=False, neuron=None, spiking=True, scale=1.0
) -> Model:
    """Return a network of random weights that spikes at some tens of Hz (or whose rates are not saturated)."""
    inputs, hidden, outputs = sizes
    rng = np.random.default_rng(seed)
    weights = {
        "w_in": rng.normal(size=(hidden, inputs + bias)) / np.sqrt(inputs + bias),
        "w": scale * rng.normal(size=(hidden, hidden)) / np.sqrt(hidden),
        "w_out": rng.normal(size=(outputs, hidden + bias)) / np.sqrt(hidden + bias),
    }
    if spikes_in:
        u = (rng.random((steps, batch, inputs)) < 0.2).astype(float)
    else:
        u = rng.uniform(-1, 1, size=(steps, batch, inputs))
    units = neuron if neuron is not None else LIF(input_gain=3.0) if spiking else None
    made = one_layer({name: W.shape for name, W in weights.items()}, bias, units)
    return Model(f"net-{seed}", weights, made, 1e-3, spikes_in, u, lambda y: {"loss": float(np.mean(y**2))})


@pytest.fixture
def make_network():
    return network


@pytest.fixture
def invoke(monkeypatch):
    """Call the command line in this process: invoke("export", "runs/a") -> result with exit_code, stdout, stderr."""
    from typer.testing import CliRunner

    from neuroanp.cli.main import app

    monkeypatch.setenv("COLUMNS", "120")
    return lambda *words: CliRunner().invoke(app, list(words))
