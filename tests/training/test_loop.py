"""What a run leaves behind, and how it ends when it cannot go on."""

from __future__ import annotations

import math

import pytest
import torch

from neuroanp.baselines.controls import WINDOWS
from neuroanp.baselines.ridge import ridge
from neuroanp.errors import DivergedError, InputError, RunError
from neuroanp.losses import mean_loss
from neuroanp.records.run_dir import RunDir
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.described import describe as described
from neuroanp.training.estimate import estimate
from neuroanp.training.launch import launch, resume
from neuroanp.trajectory import Weights
from tests.close import close

from .test_resume import SMALL, config


def test_record_holds_result_controls_predictions_and_provenance(tmp_path):
    record = launch(configure(SMALL, {"training.controls": True}), tmp_path)
    result = record.result
    assert result is not None
    assert result["status"] == "finished"
    assert result["passes"] == 20 * 3
    assert list(result["controls"]) == ["constant_mean", "ridge", "refit", "frozen_recurrence"]
    assert all(math.isfinite(loss) for loss in [result["test_loss"], *result["controls"].values()])
    manifest = record.manifest
    assert manifest["profile"]["name"] == "ideal"
    assert "Gaussian, sigma 0.01" in "\n".join(manifest["log"])
    arrays = record.load_arrays("predictions")
    assert arrays is not None
    assert arrays["y"].shape == arrays["target"].shape


@pytest.mark.parametrize("profile", ["ideal", "pcm"])
def test_the_refit_control_is_the_ridge_of_the_trained_network(profile, tmp_path):
    """Of what the arrays hold at the end, on the sequences of the ridge control; the run's readout does not count."""
    made = configure(SMALL, {"training.controls": True, "profile": profile})
    record = launch(made, tmp_path)
    experiment = Experiment.of(made)
    trainer = build_trainer(experiment)
    while trainer.update < trainer.updates:
        trainer.step()
    trained = Weights({name: read.W for name, read in trainer.reads().items()}, trainer.substrate.network)
    held = experiment.task.test(trainer.streams.generator("test"))
    losses = []
    for weights in (trained, experiment.untrained(trainer.streams)):
        y = ridge(experiment.task, weights, trainer.streams, WINDOWS).predict(held)
        losses.append(mean_loss(experiment.task.loss, y, held))
    assert record.result is not None
    assert record.result["controls"]["refit"] == close(losses[0], rel=1e-9)
    assert record.result["controls"]["ridge"] == close(losses[1], rel=1e-9)
    assert losses[0] != losses[1]
    other = Weights({**trained, "w_out": torch.zeros_like(trained["w_out"])}, trained.network)
    y = ridge(experiment.task, other, trainer.streams, WINDOWS).predict(held)
    assert mean_loss(experiment.task.loss, y, held) == losses[0]


def test_ledger_counts_time_and_reads_by_hand(tmp_path):
    """M B T dt of chip time an update, 3 arrays read M B T times; evaluation books nothing."""
    trainer = build_trainer(Experiment.of(config("pcm", "ideal")))
    for _ in range(3):
        trainer.step()
    M, B, T = 3, 4, 5
    assert trainer.substrate.ledger.time_s == close(3 * M * B * T * 1e-6, rel=1e-12)
    assert trainer.substrate.ledger.reads == 3 * 3 * M * B * T


def test_replay_books_once():
    stored = build_trainer(Experiment.of(config("pcm", "ideal")))
    replayed = build_trainer(Experiment.of(config("pcm", "ideal")))
    replayed.memory = 0
    for trainer in (stored, replayed):
        trainer.step()
    assert stored.substrate.ledger.report() == replayed.substrate.ledger.report()


def test_diverging_run_says_where_and_keeps_its_record(tmp_path):
    bad = configure(SMALL, {"optimizer.name": "sgd", "optimizer.lr": 1e3, "training.updates": 200})
    with pytest.raises(DivergedError, match=r"diverged at update \d+ of 200"):
        launch(bad, tmp_path)
    (path,) = tmp_path.iterdir()
    record = RunDir.open(path)
    assert record.manifest["status"] == "diverged"
    assert record.result is not None
    assert record.result["status"] == "diverged"
    with pytest.raises(DivergedError):  # shown again, not repeated
        resume(path)


def test_gaussian_only_where_no_device_noise_reaches_the_units():
    said = {
        name: described(Experiment.of(config(name)))[1][0] for name in ("ideal", "pcm", "rram_hfo2", "smtj_koenders")
    }
    assert "Gaussian" in said["ideal"]
    assert "Gaussian" in said["rram_hfo2"]
    assert said["pcm"] == said["smtj_koenders"] == "perturbation: the device's own noise"
    without = configure(SMALL, {"profile": "pcm", "hardware.without": ["read_noise"]})
    assert "Gaussian" in described(Experiment.of(without))[1][0]


def test_frozen_recurrence_changes_the_readout_alone():
    trainer = build_trainer(Experiment.of(config("ideal")), trained=frozenset({"w_out"}))
    before = {name: W.clone() for name, W in trainer.substrate.weights.items()}
    for _ in range(5):
        trainer.step()
    moved = {name: not bool((before[name] == W).all()) for name, W in trainer.substrate.weights.items()}
    assert moved == {"w_in": False, "w": False, "w_out": True}


@pytest.mark.parametrize("rule", ["bptt", "bptt1"])
def test_baselines_train_too(rule):
    trainer = build_trainer(Experiment.of(configure({**SMALL, "rule": rule}, {"optimizer.lr": 1e-2})))
    losses = [trainer.step()["train_loss"] for _ in range(40)]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    assert trainer.substrate.ledger.reads == 40 * 3 * 4 * 5


def test_estimate_matches_the_run(tmp_path):
    found = estimate(config("pcm", "ideal"))
    record = launch(config("pcm", "ideal"), tmp_path)
    assert record.result is not None
    assert found["passes"] == record.result["passes"]
    assert found["chip_time_s"] == close(record.result["chip_time_s"])


@pytest.mark.parametrize(
    ("data", "overrides", "words"),
    [
        (SMALL, {"rule.k": 3}, "did you mean 'rule.K'"),
        (SMALL, {"rule.gamma": 2}, "rule.gamma"),
        (SMALL, {"optimizer.lr": "nan"}, "optimizer.lr"),
        (SMALL, {"dt": 1e-6}, "unit"),
        (SMALL, {"profile": "pmc"}, "did you mean 'pcm'"),
        (SMALL, {"hardware.only": ["readnoise"]}, "did you mean 'read_noise'"),
        (SMALL, {"training.updates": 0}, "at least 1"),
        (SMALL, {"task.lenght": 3}, "did you mean 'task.length'"),
        ({"task": "coyp"}, {}, "did you mean 'copy'"),
        ({}, {}, "no task"),
        (SMALL, {"profile": "pcm", "dt": "100 ns"}, "shorter than one read"),
        (SMALL, {"profile": "ideal", "hardware.write": "pulse"}, "no law"),
        (SMALL, {"compute.device": "cuda:99"}, "not on this machine"),
        (SMALL, {"rule.control_variate": "batch", "training.batch": 1}, "training.batch >= 2"),
    ],
)
def test_bad_input_is_one_clear_message(data, overrides, words, tmp_path):
    with pytest.raises(InputError) as caught:
        launch(configure(data, overrides), tmp_path / "runs")
    assert words in str(caught.value)
    assert not list((tmp_path / "runs").glob("*")) if (tmp_path / "runs").exists() else True


def test_paper_preset_brings_its_optimizer_unless_another_is_stated():
    paper = configure(SMALL, {"rule.preset": "paper"})
    assert (paper.optimizer.name, paper.optimizer.schedule) == ("sgd", "constant")
    stated = configure(SMALL, {"rule.preset": "paper", "optimizer.name": "adam", "optimizer.lr": 1e-3})
    assert (stated.optimizer.name, stated.optimizer.lr) == ("adam", 1e-3)
    assert configure(SMALL).optimizer.name == "adam"
    assert configure(paper.to_plain()) == paper


def test_resume_from_another_directory_with_the_profile_gone(tmp_path, monkeypatch):
    """A run takes its profile from its own record, and its data by whole path."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    (home / "mine.yaml").write_text("extends: pcm\nmeta: {name: mine}\n")
    whole = launch(config("mine.yaml"), tmp_path / "whole")
    monkeypatch.setattr("neuroanp.training.loop.Training._finish", _interrupted)
    with pytest.raises(RunError, match="interrupted"):
        launch(config("mine.yaml"), home / "runs")
    monkeypatch.undo()
    (home / "mine.yaml").unlink()
    monkeypatch.chdir(tmp_path)
    (path,) = (home / "runs").iterdir()
    found, expected = resume(path).result, whole.result
    assert found is not None
    assert expected is not None
    assert found["test_loss"] == expected["test_loss"]


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_threads_of_the_caller_are_left_as_they_were(tmp_path):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        launch(config("ideal"), tmp_path)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_switch_without_effect_and_missing_perturbation_are_said():
    said = described(Experiment.of(configure(SMALL, {"hardware.without": ["drift"], "perturbation": "none"})))[1]
    assert any("profile ideal has no drift" in line for line in said)
    assert any("nothing perturbs the units" in line for line in said)
