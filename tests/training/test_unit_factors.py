"""Units that differ by themselves: factors beside the weights that a run starts from stay with it to the end."""

from __future__ import annotations

import os
import signal

import pytest
import torch
from safetensors.torch import save_file

from neuroanp.errors import InputError, RunError
from neuroanp.export.source import model_of
from neuroanp.substrates.neuron_mismatch import neuron_factors
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.config import configure
from neuroanp.training.described import describe
from neuroanp.training.launch import launch, resume
from neuroanp.training.start import load_start

UNITS = 5
TASK = {"name": "xor", "start": 2, "pulse": 5, "gap": 2, "delay": 2, "window": 5, "test_size": 4}
PLAIN = {
    "task": TASK, "backend": "lif", "network": {"hidden": UNITS}, "compute": {"dtype": "float64"},
    "training": {"updates": 4, "batch": 2, "controls": False, "checkpoint_every": 2},
}  # fmt: skip
TAU_M = torch.linspace(0.5, 1.5, UNITS, dtype=torch.float64)


def _file(path, **factors):
    rng = torch.Generator().manual_seed(0)
    shapes = {"w_in": (UNITS, 2), "w": (UNITS, UNITS), "w_out": (1, UNITS)}
    arrays = {name: torch.randn(shape, generator=rng, dtype=torch.float64) for name, shape in shapes.items()}
    save_file({**arrays, **{f"units/hidden/{name}": f for name, f in factors.items()}}, path)
    return str(path)


def _config(path, **more):
    return configure(PLAIN, {"network.weights": path, **more})


def test_they_are_the_units_that_learn_go_on_and_are_exported(tmp_path):
    path = _file(tmp_path / "w.safetensors", tau_m=TAU_M)
    whole = launch(_config(path), tmp_path / "runs")
    model = model_of(whole)
    assert list(model.factors["hidden"]["tau_m"]) == TAU_M.tolist()
    assert not model.notes
    assert model.step.a_m.tolist() == torch.exp(-1e-3 / (20e-3 * TAU_M)).tolist()
    on = launch(_config(str(whole.path)), tmp_path / "more")
    assert build_trainer(Experiment.of(_config(str(on.path)))).substrate.neurons["hidden"]["tau_m"].tolist() == (
        TAU_M.tolist()
    )


def test_a_run_that_is_cut_goes_on_with_them(tmp_path, monkeypatch):
    path = _file(tmp_path / "w.safetensors", tau_m=TAU_M)
    whole = launch(_config(path), tmp_path / "whole")
    cut = []

    def stop(event):
        if event["phase"] == "train" and event["update"] >= 2 and not cut:
            cut.append(event)
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("neuroanp.training.loop.REPORT_EVERY_S", 0.0)
    with pytest.raises(RunError, match="interrupted at update"):
        launch(_config(path), tmp_path / "cut", progress=stop)
    (there,) = (tmp_path / "cut").iterdir()
    os.unlink(path)  # the record has its own copy
    ends = [record.load_checkpoint(record.checkpoints()[-1])[0] for record in (whole, resume(there))]
    assert all(torch.equal(W, ends[1][name]) for name, W in ends[0].items())


def test_they_change_what_is_learned_and_the_identity(tmp_path):
    alike, others = _file(tmp_path / "a.safetensors"), _file(tmp_path / "b.safetensors", tau_m=TAU_M)
    ones = _file(tmp_path / "c.safetensors", tau_m=torch.ones(UNITS, dtype=torch.float64))
    found = [Experiment.of(_config(path)) for path in (alike, others, ones)]
    assert len({each.identity for each in found}) == 3
    losses = [launch(_config(path), tmp_path / "runs").result["test_loss"] for path in (alike, others, ones)]
    assert losses[0] == losses[2] != losses[1]


def test_the_profiles_mismatch_comes_on_top(tmp_path):
    path = _file(tmp_path / "w.safetensors", tau_m=TAU_M)
    trainer = build_trainer(Experiment.of(_config(path, profile="mixed_signal_neurons")))
    chip = trainer.substrate
    drawn = neuron_factors(chip.profile, chip.effects, UNITS, trainer.streams.generator("d2d/neurons"), chip.like)
    assert torch.equal(chip.neurons["hidden"]["tau_m"], drawn["tau_m"] * TAU_M)
    assert torch.equal(chip.neurons["hidden"]["threshold"], drawn["threshold"])


@pytest.mark.parametrize(
    ("factors", "said"),
    [
        ({"tau_m": TAU_M[:3]}, r"units/hidden/tau_m is \(3,\), the configuration needs \(5,\)"),
        ({"tau_m": -TAU_M}, "units/hidden/tau_m: factors must be finite and above 0"),
        ({"tau_m": TAU_M / 0}, "factors must be finite and above 0"),
        ({"tau_x": TAU_M}, "units/hidden/tau_x: unknown; allowed: threshold, tau_m, tau_s"),
    ],
)
def test_factors_that_do_not_fit_are_refused(tmp_path, factors, said):
    path = _file(tmp_path / "w.safetensors", **factors)
    with pytest.raises(InputError, match=said):
        Experiment.of(_config(path))


def test_units_that_cannot_differ_refuse_them(tmp_path):
    path = _file(tmp_path / "w.safetensors", tau_m=TAU_M)
    with pytest.raises(InputError, match="no layer 'hidden' of LIF units"):
        Experiment.of(configure({"task": TASK, "network": {"hidden": UNITS, "weights": path}}))
    assert load_start(path).factors
    given = {"network.weights": path, "encoder.signed": False}
    experiment = Experiment.of(configure({**PLAIN, "backend": "xylo"}, given, target="xylo"))
    with pytest.raises(InputError, match=r"the chip's units are all alike.*tau_m"):
        describe(experiment)
