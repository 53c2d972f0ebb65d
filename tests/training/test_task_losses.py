"""A run whose task has another loss: what it learns, reports and leaves is of that loss, all through."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import neuroanp as na
from neuroanp.baselines.controls import controls
from neuroanp.errors import InputError
from neuroanp.export.source import model_of
from neuroanp.losses import LOSSES, mean_loss, of_steps
from neuroanp.losses.cross_entropy import CrossEntropy
from neuroanp.noise import Streams
from neuroanp.records import RunDir
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.launch import launch
from neuroanp.training.revisit import Look, revisit
from tests.close import close

DIGITS = {
    "task": {"name": "digits", "steps": 3, "window": 1, "loss": "cross_entropy"},
    "network": {"hidden": 30}, "optimizer": {"lr": 1e-2},
    "training": {"updates": 60, "controls": False, "evaluate_after": ["1 h"]},
}  # fmt: skip
MATCH = {
    "task": {"name": "delayed_match", "symbols": 2, "start": 0, "pulse": 1, "gap": 0, "window": 2, "test_size": 16,
             "loss": "cross_entropy"},
    "network": {"hidden": 8}, "training": {"updates": 3, "batch": 4},
}  # fmt: skip


@pytest.fixture(scope="module")
def learned(tmp_path_factory) -> RunDir:
    return launch(configure(DIGITS), tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def matched(tmp_path_factory) -> RunDir:
    return launch(configure(MATCH), tmp_path_factory.mktemp("runs"))


def test_anp_learns_digits_by_cross_entropy_beyond_their_frequencies(learned):
    result = learned.result
    assert result is not None
    assert result["test_loss"] < 2.0 < np.log(10.0)  # .37 below what the frequencies of the classes are worth
    assert result["score"] > 0.3
    losses = learned.metrics().series("train_loss")[1]
    assert losses[0] > np.log(10.0) - 0.2
    assert losses[-1] < 2.0


def test_all_that_is_reported_is_of_the_loss(learned):
    """Result, scores, predictions, held-out sequences, the losses after idle time, and the name of it."""
    row, batch = learned.result, na.load_run(learned.path).held_out()
    assert row is not None
    y = na.load_run(learned.path).predict(batch.inputs, noise=False)
    entropy = float((np.log(np.exp(y[-1]).sum(-1)) - y[-1][batch.targets[-1] == 1.0]).mean())
    assert row["test_loss_noise_free"] == close(entropy, rel=1e-6)
    assert batch.loss(y) == row["test_loss_noise_free"]
    assert batch.loss_name == learned.manifest["loss"] == "mean cross-entropy in nats"
    assert batch.score(y)["loss"] == close(entropy, rel=1e-6)
    assert learned.manifest["scores"]["loss"] == close(row["test_loss"], rel=1e-6)
    after = learned.manifest["after"]["1 h"]
    assert after["test_loss"] == row["test_loss"]  # nothing changes of an ideal device
    rows = revisit(learned, Look(after=["1 h"]))
    assert [one["test_loss"] for one in rows] == [row["test_loss"]] * 2
    assert [one["loss"] for one in rows] == ["mean cross-entropy in nats"] * 2


def test_predictions_are_kept_as_they_are_and_in_the_units_of_the_targets(learned):
    arrays = learned.load_arrays("predictions")
    assert arrays is not None
    p = arrays["as_targets"]
    np.testing.assert_allclose(p.sum(-1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(p, CrossEntropy().as_targets(arrays["y"]), rtol=1e-12)
    assert arrays["y"].min() < 0.0


def test_an_update_descends_the_loss_of_its_passes():
    """What the rule gets of a step is of the loss, pass by pass, and the training loss is their mean."""
    trainer = build_trainer(Experiment.of(configure(MATCH)))
    context = trainer.lab()
    y = torch.cat([chunk.y for chunk in context.run(trainer.learner.plan, "loss")])  # pyright: ignore
    steps = of_steps(CrossEntropy(), y, context.targets, context.mask)
    expected = float(steps.sum() / (context.mask.sum() * y.shape[1] * y.shape[2]))
    z = (-context.targets.unsqueeze(1) * y).double()
    by_hand = torch.log1p(torch.exp(z))[..., 0][context.mask > 0].mean()
    assert expected == close(float(by_hand), rel=1e-6)
    assert trainer.learner.learn(trainer.learned, trainer.lab())[1].diagnostics["loss"] == close(expected, rel=1e-6)


def test_the_controls_minimise_the_loss(matched):
    result = matched.result
    assert result is not None
    assert result["controls"]["constant_mean"] == close(np.log(2.0), rel=0.01)
    assert sorted(result["controls"]) == ["constant_mean", "frozen_recurrence", "refit", "ridge"]
    experiment = Experiment.of(configure(MATCH))
    streams = Streams(0)
    test = experiment.task.test(streams.generator("test"))
    found = controls(experiment.task, experiment.untrained(streams), streams, test, CrossEntropy())
    assert result["controls"]["ridge"] == found["ridge"].loss


def test_bptt_on_units_that_spike_descends_it_too(tmp_path):
    spiking = {**MATCH, "backend": "lif", "rule": "bptt", "training": {"updates": 2, "batch": 4, "controls": False}}
    trainer = build_trainer(Experiment.of(configure(spiking)))
    first = trainer.step()["train_loss"]
    assert first == close(np.log(2.0), rel=0.3)
    assert build_trainer(
        Experiment.of(configure({**spiking, "task": {**MATCH["task"], "loss": "squared_error"}}))
    ).step()["train_loss"] == close(1.0, rel=0.5)


def test_an_export_is_scored_by_it(matched):
    model = model_of(matched)
    batch = na.load_run(matched.path).held_out()
    y = na.load_run(matched.path).predict(batch.inputs, noise=False)
    held = SimpleNamespace(targets=batch.targets, mask=batch.mask)
    assert model.score(y)["loss"] == mean_loss(CrossEntropy(), y, held)
    assert model.recorded == close(mean_loss(CrossEntropy(), y, held), rel=1e-6)


def test_a_control_that_has_no_minimum_is_logged_and_empty(tmp_path, monkeypatch):
    from neuroanp.baselines import penalised

    monkeypatch.setattr(penalised, "ROUNDS", 0)
    record = launch(configure(MATCH, {"training.updates": 1}), tmp_path)
    assert record.result is not None
    assert record.result["controls"]["ridge"] is None or np.isnan(record.result["controls"]["ridge"])
    said = "control ridge: the mean cross-entropy with a ridge of 1 has no minimum that was found"
    assert said in record.manifest["log"]
    arrays = record.load_arrays("predictions")
    assert arrays is not None
    assert "control/ridge" not in arrays


OWN = """
from neuroanp.losses.squared_error import OfValues


class Absolute(OfValues):
    "Absolute error, mean over the outputs."
    label = "mean absolute error"

    def of(self, y, targets):
        return (y - targets).abs().mean(-1)

    def constant(self, targets):
        import numpy as np

        return np.median(targets, axis=0)
"""


@pytest.fixture
def own_package(tmp_path, monkeypatch) -> Path:
    """A package of a user's own that announces a loss, and one whose class lacks half of it."""
    folder = tmp_path / "site"
    info = folder / "mylosses-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "mylosses.py").write_text(OWN + "\n\nclass Half:\n    label = 'half'\n")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mylosses\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[neuroanp.losses]\nabsolute = mylosses:Absolute\nhalf = mylosses:Half\n")
    monkeypatch.syspath_prepend(str(folder))
    return folder


def test_a_loss_of_ones_own_by_entry_point_is_learned_and_reported(own_package, tmp_path):
    config = configure(
        {"task": {"name": "sine", "steps": 20, "onset": 2, "periods": [10], "loss": "absolute"}},
        {"network.hidden": 10, "training.updates": 3, "training.controls": False},
    )
    record = launch(config, tmp_path / "runs")
    run = na.load_run(record.path)
    batch = run.held_out()
    y = run.predict(batch.inputs)
    assert record.result is not None
    assert record.result["test_loss"] == close(float(np.abs(y - batch.targets)[batch.mask > 0].mean()), rel=1e-6)
    assert record.manifest["loss"] == "mean absolute error"
    assert "absolute" in LOSSES.names()
    arrays = record.load_arrays("predictions")
    assert arrays is not None
    assert "as_targets" not in arrays  # outputs are values


def test_a_loss_of_ones_own_that_lacks_members_is_refused(own_package):
    with pytest.raises(
        InputError, match=r"task\.loss: loss 'half' lacks as_targets, constant, error, misfit, of, unit"
    ):
        configure({"task": {"name": "sine", "loss": "half"}})
