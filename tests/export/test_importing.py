"""neuroanp import: a directory that training goes on from, whole or not there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from neuroanp import api
from neuroanp.export.source import model_of
from neuroanp.training.configure import configure, load_config
from neuroanp.training.launch import launch
from tests.close import close

pytest.importorskip("nir", reason="pip install 'neuroanp[nir]'")

TASK = {"name": "xor", "start": 2, "pulse": 5, "gap": 2, "delay": 2, "window": 5, "test_size": 4}
TINY = {
    "task": TASK,
    "network": {"hidden": 6, "bias": True},
    "training": {"updates": 2, "batch": 2, "controls": False},
    "compute": {"dtype": "float64"},
}
ON_TASK = [f"task.{key}={value}" for key, value in TASK.items()]


@pytest.fixture(params=["nir", "xylo"])
def run(request, tmp_path, monkeypatch):
    """A run with currents as inputs, and one with spikes (of which the resets are made those of NIR)."""
    monkeypatch.chdir(tmp_path)
    if request.param == "nir":
        return launch(configure(TINY, target="nir"), tmp_path / "runs")
    spikes = {"backend": "lif", "encoder": {"name": "poisson", "rate": "500 Hz"}, "neuron": {"refractory": "0 ms"}}
    return launch(configure({**TINY, **spikes}), tmp_path / "runs")


def sets(*more: str) -> list[str]:
    return [word for text in (*ON_TASK, *more) for word in ("--set", text)]


def test_what_was_exported_comes_back_and_learns_on(run, invoke):
    model = model_of(run)
    api.export(run.path, "nir", "out")
    encoder = ["encoder.rate=500 Hz"] if model.spikes_in else []
    done = invoke("import", "out/network.nir", "-o", "mine", *sets("compute.dtype=float64", *encoder), "--json")
    assert done.exit_code == 0, done.stderr
    (row,) = json.loads(done.stdout)["results"]
    assert (row["config"], row["hidden"], row["dt_s"]) == ("mine/config.yaml", 6, 1e-3)
    held = load_file("mine/weights.safetensors")
    for name, W in model.weights.items():
        np.testing.assert_array_equal(held[name], W)
    config = load_config(Path("mine/config.yaml"))
    assert config.neuron == load_config(run.path / "config.yaml").neuron
    assert config.encoder.spikes == model.spikes_in
    again = launch(configure("mine/config.yaml", {"training.updates": 0}), Path("runs"))
    loss = model_of(again).score
    assert loss is not None
    assert again.result["test_loss_noise_free"] == close(run.result["test_loss_noise_free"], rel=1e-9)
    assert launch(configure("mine/config.yaml", {"training.updates": 2}), Path("runs")).result["updates"] == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["import", "out/network.nir"], "no task; say what the network is to be trained on"),
        (["import", "none.nir", "--task", "xor"], "none.nir"),
        (["import", "out/report.json", "--task", "xor"], "not a NIR file"),
        (["import", "out/network.nir", "--task", "copy"], "cannot be trained on this task"),
        (["import", "out/network.nir", "--task", "xro"], "did you mean 'xor'"),
        (["import", "out/network.nir", "--task", "xor", "--dt", "1 V"], "--dt"),
        (["import", "out/network.nir", "--task", "xor", "--dt", "0 s"], "--dt"),
        (["import", "out/network.nir", "--task", "xor", "-o", "taken"], "is there already"),
        (["import", "out/network.nir", "--task", "xor", "-o", "taken", "--force"], "which neuroanp did not write"),
    ],
)
def test_what_is_wrong_is_told_and_leaves_nothing(words, said, tmp_path, monkeypatch, invoke):
    monkeypatch.chdir(tmp_path)
    run = launch(configure(TINY, target="nir"), tmp_path / "runs")
    api.export(run.path, "nir", "out")
    Path("taken").mkdir()
    Path("taken", "mine.txt").write_text("mine")
    before = set(Path().rglob("*"))
    done = invoke(*words)
    assert done.exit_code == 2, done.stdout
    assert said in " ".join(done.stderr.split())
    assert ".tmp" not in done.stderr
    assert set(Path().rglob("*")) == before


LAYERS = [
    {"cell": {"name": "lif", "refractory": "0 s", "tau_m": "12 ms"}, "units": 5},
    {"cell": {"name": "lif", "refractory": "0 s"}, "units": 3, "recurrent": False},
]


def test_layers_are_printed_with_what_they_are_and_what_reaches_them(tmp_path, monkeypatch, invoke):
    monkeypatch.chdir(tmp_path)
    run = launch(configure({**TINY, "network": {"layers": LAYERS, "bias": True}, "backend": "lif"}), tmp_path / "runs")
    api.export(run.path, "nir", "out")
    done = invoke("import", "out/network.nir", "-o", "mine", *sets())
    assert done.exit_code == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "out/network.nir: 2 inputs, 8 units in 2 layers, 1 output " in said
    assert "hidden_1 5 lif, tau_m 12 ms w_in 5 × 2 and a bias from input; w_1 5 × 5 from hidden_1, a" in said
    assert "hidden_2 3 lif, tau_m 20 ms w_1_2 3 × 5 and a bias from hidden_1 " in said
    assert "output 1 w_out 1 × 3 and a bias from hidden_2" in said
    done = invoke("import", "out/network.nir", "-o", "mine", *sets(), "--force", "--json")
    first, second = json.loads(done.stdout)["results"][0]["layers"]
    assert (first["name"], first["units"], first["cell"]) == ("hidden_1", 5, "lif")
    assert first["options"] == {"tau_m": "12 ms"}
    assert first["arrays"]["w_1"] == {"from": "hidden_1", "shape": [5, 5], "bias": False, "delay": 1}
    assert [*second["arrays"]] == ["w_1_2"]
