"""Runs on a GPU leave what runs on a CPU leave: predictions, weights, resumption, exports."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neuroanp import api
from neuroanp.errors import RunError
from neuroanp.records.run_dir import RunDir
from neuroanp.training.configure import configure
from neuroanp.training.launch import launch, resume
from tests.close import close
from tests.training.test_forward import FAST, SPIKES_IN, SPIKING, TINY, check

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

RUNS = {
    **FAST,
    "wires": {"profile": "pcm_tiles", "hardware.wires": "exact", "network.bias": True},
    "sampled": {"profile": "rram_rtn", "hardware.read": "sampled"},
    "float64": {"profile": "pcm", "compute.dtype": "float64"},
    "bptt": {"profile": "pcm", "rule": "bptt"},
    "antithetic": {"profile": "ideal", "rule.reference": "antithetic"},
    "running": {"profile": "pcm", "rule.reference": "running", "task.mode": "fixed"},
    "inp": {"profile": "ideal", "rule": "inp"},
    "wp": {"profile": "pcm", "rule": "wp"},
    "poisson": {"profile": "ideal", **SPIKING, **SPIKES_IN, "neuron.refractory": "0 ms"},
}
FORMATS = {"ideal": ["onnx"], "poisson": ["onnx", "nir"], "pcm": ["onnx", "crossbar"]}


def configured(name: str):
    return configure(TINY, {**RUNS[name], "compute.device": "cuda"})


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    store, made = tmp_path_factory.mktemp("store"), {}

    def record(name: str) -> RunDir:
        if name not in made:
            made[name] = launch(configured(name), store)
        return made[name]

    return record


@pytest.mark.parametrize("name", RUNS)
def test_held_out_inputs_give_the_reported_losses(trained, name):
    check(trained(name))


@pytest.mark.parametrize("name", RUNS)
def test_weights_are_those_that_were_scored_and_come_to_the_cpu(trained, name):
    run = api.load_run(trained(name).path)
    held = run.weights()
    assert held.scored
    for weights in (held, run.weights(as_held=False)):
        assert {W.device.type for _, W in weights.items()} == {"cpu"}
    inputs = run.held_out().inputs
    on_the_gpu = run.predict(torch.from_numpy(inputs).cuda(), noise=False)
    np.testing.assert_array_equal(on_the_gpu, run.predict(inputs, noise=False))


@pytest.mark.parametrize("name", RUNS)
def test_a_resumed_run_ends_as_an_uninterrupted_one(trained, name, tmp_path):
    def stop(event):
        if event["phase"] == "train" and event["update"] >= 2:
            raise KeyboardInterrupt

    with pytest.raises(RunError, match="interrupted"):
        launch(configured(name), tmp_path, progress=stop)
    (path,) = tmp_path.iterdir()
    result, whole = resume(path).result, trained(name).result
    assert result is not None
    assert whole is not None
    assert (result["test_loss"], result["test_loss_noise_free"]) == (whole["test_loss"], whole["test_loss_noise_free"])


@pytest.mark.parametrize("name", FORMATS)
def test_exports_hold_what_was_scored(trained, name, tmp_path):
    """Its loss is that of the run but for the rounding of sums, and for what converters and conductances do."""
    recorded = trained(name).result["test_loss_noise_free"]
    for format in FORMATS[name]:
        weights = "targets" if format == "crossbar" else "as_held"
        found = api.export(trained(name).path, format, tmp_path / format, weights=weights)
        assert found.recorded == recorded
        assert found.score["before"]["loss"] == close(recorded, rel=1e-4 if name != "pcm" else 0.2)
        assert found.score["after"]["loss"] == close(recorded, rel=1e-4 if name != "pcm" else 0.2)
