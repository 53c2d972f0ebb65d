"""What units do is what the network computes: from its weights by numpy, and outputs as they are scored."""

from __future__ import annotations

import numpy as np
import pytest

import neuroanp as na
from neuroanp.errors import InputError
from tests.close import close

TASK = {"name": "copy", "length": 2, "delay": 1, "symbols": 2, "test_size": 5}
SPIKES = {"encoder": {"name": "poisson", "hold": 6}, "dt": "1 ms"}


def run_of(folder, **words):
    said = {"task": TASK, "training": {"updates": 2, "batch": 2, "controls": False}, "network": {"hidden": 5}, **words}
    return na.train(said, runs=folder, report=False, progress=False)


@pytest.mark.parametrize("profile", ["ideal", "pcm"])
def test_it_is_the_recurrence_of_the_weights_that_were_scored(tmp_path, profile):
    run = run_of(tmp_path, profile=profile, hardware={"without": ["dac", "adc"]} if profile == "pcm" else {})
    inputs, W = run.held_out().inputs, {name: part.double().numpy() for name, part in run.weights().items()}
    found = run.forward(inputs, noise=False)
    x = np.zeros((inputs.shape[1], 5))
    for t, u in enumerate(inputs):
        h = u @ W["w_in"].T + x @ W["w"].T
        x = np.tanh(h)
        assert found.hidden.h[t] == close(h, rel=1e-4, abs=1e-6)
        assert found.hidden.x[t] == close(x, rel=1e-4, abs=1e-6)
        assert found.y[t] == close(x @ W["w_out"].T, rel=1e-4, abs=1e-6)
    assert np.array_equal(found.u, inputs.astype(np.float32))
    assert found.hidden.spikes is None
    assert found.t == close(run.config.dt * np.arange(1, len(inputs) + 1))


@pytest.mark.parametrize(
    "words",
    [
        {"profile": "pcm"},
        {"profile": "smtj_koenders"},  # whose units are noisy by themselves
        {"network": {"layers": [{"cell": "gru", "units": 4}, {"units": 3}]}},
        {"backend": "lif", **SPIKES},
        {"backend": "loihi", **SPIKES},
        pytest.param({"backend": "xylo", **SPIKES}, marks=pytest.mark.slow),
        pytest.param({"backend": "spiking", **SPIKES}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_outputs_are_those_that_predict_gives_to_the_last_bit(tmp_path, words):
    run = run_of(tmp_path, **words)
    batch = run.held_out()
    for noise in (True, False):
        found = run.forward(batch.inputs, noise)
        hold = found.hold
        assert np.array_equal(found.y[hold - 1 :: hold], run.predict(batch.inputs, noise))
    assert {name: units.x.shape[2] for name, units in found.layers.items()} == {
        layer.name: layer.units for layer in run.config.network_of(1, 1).layers
    }
    spiking = "backend" in words
    assert hold == (6 if spiking else 1)
    for units in found.layers.values():
        assert (units.spikes is None) is not spiking
        assert (units.v is None) is not spiking


def test_a_unit_spikes_where_the_record_says_that_it_did(tmp_path):
    run = run_of(tmp_path, backend="lif", **SPIKES)
    found, T = run.forward(run.held_out().inputs), 6 * len(run.held_out().mask)
    rates = found.hidden.spikes.mean(axis=(0, 1)) / run.config.dt
    assert len(found.y) == T
    kept = run.record.load_arrays("activity")
    assert rates == close(kept["rate_Hz"], rel=1e-5, abs=1e-9)
    assert found.hidden.spikes.any()


def test_wrong_inputs_are_told(tmp_path):
    run = run_of(tmp_path, network={"layers": [{"units": 3}, {"units": 2}]})
    with pytest.raises(InputError, match="noise: 'no' is neither"):
        run.forward(run.held_out().inputs, "no")
    with pytest.raises(InputError, match="cannot be presented"):
        run.forward(np.zeros((3, 2, 1)))
    with pytest.raises(InputError, match=r"2 layers: layers\[hidden_1, hidden_2\]"):
        run.forward(run.held_out().inputs).hidden  # noqa: B018


def test_what_does_not_fit_into_memory_is_refused(tmp_path, monkeypatch):
    run = run_of(tmp_path)
    monkeypatch.setattr("neuroanp.training.trajectories.available_memory", lambda: 100_000)
    with pytest.raises(InputError, match="present fewer sequences"):
        run.forward(np.zeros((1000, 100, run.held_out().inputs.shape[2])))
