"""Which losses a task offers, what its options say of them, and what its scores make of logits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import neuroanp as na
from neuroanp.errors import InputError
from neuroanp.losses import LOSSES, SQUARED_ERROR, mean_loss
from neuroanp.losses.cross_entropy import CrossEntropy
from neuroanp.tasks.encoders import Population
from neuroanp.tasks.encoding import encoded
from neuroanp.tasks.protocol import TASKS
from neuroanp.training.build import Experiment
from neuroanp.training.config import RunConfig
from neuroanp.training.configure import configure
from neuroanp.training.described import describe as described
from tests.close import close

CLASSES = ("addition", "copy", "delayed_match", "digits", "parity", "reverse", "sort", "xor")
VALUES = ("adding", "lorenz", "mackey_glass", "sine", "weather")


def made(name: str, **options: Any) -> Any:
    return TASKS.get(name)(TASKS.get(name).config(**options))


@pytest.mark.parametrize("name", [*CLASSES, *VALUES])
def test_every_task_has_the_squared_error_unless_it_is_told_another(name):
    task = made(name)
    batch = task.test(np.random.default_rng(0))
    y = np.random.default_rng(1).standard_normal(batch.targets.shape)
    assert task.loss.label == "mean squared error"
    steps = batch.mask > 0
    assert task.score(y, batch)["loss"] == float(np.mean((y[steps] - batch.targets[steps]) ** 2))


@pytest.mark.parametrize("name", [*CLASSES, *VALUES])
def test_a_configuration_without_a_loss_is_what_it_was(name):
    """Not in the file, not in the name of the run: said or not, the squared error is the one there always was."""
    silent, said = (configure({"task": {"name": name, **more}}) for more in ({}, {"loss": "squared_error"}))
    assert silent == said
    assert silent.to_plain() == said.to_plain()
    assert "loss" not in silent.to_plain()["task"]
    assert "loss" not in silent.to_yaml().split("network:")[0]
    assert Experiment.of(silent).identity == Experiment.of(said).identity


@pytest.mark.parametrize("name", CLASSES)
def test_a_task_of_classes_offers_the_cross_entropy(name):
    config = configure({"task": {"name": name, "loss": "cross_entropy"}})
    experiment = Experiment.of(config)
    assert experiment.identity != Experiment.of(configure({"task": name})).identity
    assert config.to_plain()["task"]["loss"] == "cross_entropy"
    assert isinstance(experiment.task.loss, CrossEntropy)
    described(experiment)
    batch = experiment.task.test(np.random.default_rng(0))
    y = np.random.default_rng(1).standard_normal(batch.targets.shape)
    squared, entropy = made(name).score(y, batch), experiment.task.score(y, batch)
    assert entropy["loss"] == mean_loss(CrossEntropy(), y, batch) != squared["loss"]
    assert entropy["accuracy"] == squared["accuracy"]


@pytest.mark.parametrize("name", VALUES)
def test_a_task_of_values_refuses_the_cross_entropy_before_anything_runs(name, tmp_path):
    said = (
        f"task.loss: the mean cross-entropy does not fit task '{name}': it takes classes: one output of [+]1 or -1, "
        "or one for each class that add up to 1; use squared_error"
    )
    with pytest.raises(InputError, match=said):
        na.train(task={"name": name, "loss": "cross_entropy"}, runs=tmp_path, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_an_encoder_keeps_the_loss():
    task = made("xor", loss="cross_entropy")
    assert encoded(task, Population(n=2, hold=2), 1e-3).loss is task.loss


def test_an_unknown_loss_is_told_with_its_place_and_the_known_ones(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("task: {name: digits, loss: cross_entorpy, stpes: 3}\n")
    with pytest.raises(InputError) as refused:
        configure(file)
    known = ", ".join(LOSSES.names())
    assert sorted(refused.value.problems) == [
        f"{file}:1: task.loss: unknown loss 'cross_entorpy'; did you mean 'cross_entropy'? (known: {known})",
        f"{file}:1: task.stpes: unknown key; did you mean 'task.steps'?",
    ]


@pytest.mark.parametrize("loss", [3, None, ["cross_entropy"], True])
def test_a_loss_that_is_no_name_is_refused(loss):
    with pytest.raises(InputError, match=r"task\.loss: .* is not a text"):
        configure({"task": {"name": "digits", "loss": loss}})


def test_the_default_of_a_task_may_be_another():
    """Then the squared error is what has to be said, and comes back."""
    from neuroanp.tasks.options import TaskOptions

    class Options(TaskOptions):
        loss: str = "cross_entropy"

    assert Options().model_dump() == {"loss": "cross_entropy"}
    assert Options(loss="squared_error").model_dump() == {"loss": "squared_error"}


def test_wrong_bits_are_counted_of_probabilities():
    """A logit of 0.4 is a probability above 1/2 against one of 0.1, and below it as an output of itself."""
    batch = made("copy", length=1, delay=0, symbols=2, test_size=1).test(np.random.default_rng(0))
    y = np.where(batch.targets == 1.0, 0.4, 0.1)
    assert made("copy", length=1, delay=0, symbols=2).score(y, batch)["wrong_bits"] == 1.0
    assert made("copy", length=1, delay=0, symbols=2, loss="cross_entropy").score(y, batch)["wrong_bits"] == 0.0


def test_weather_keeps_its_scores_of_squared_errors(tmp_path, monkeypatch):
    """skill and rmse are of squared errors, whatever is learned; `loss` is what is."""
    from tests.training.own_losses import LogCosh

    task = made("weather")
    batch = task.test(np.random.default_rng(0))
    y = task.persistence(batch) + 0.1
    before = task.score(y, batch)
    task.loss = LogCosh()
    after = task.score(y, batch)
    assert {k: v for k, v in after.items() if k != "loss"} == {k: v for k, v in before.items() if k != "loss"}
    assert after["loss"] == mean_loss(LogCosh(), y, batch)
    assert mean_loss(SQUARED_ERROR, y, batch) == close(before["loss"], rel=1e-14)


def test_a_task_without_a_loss_is_refused():
    from neuroanp.tasks.copy import Copy, CopyConfig

    class Options(CopyConfig):
        pass

    @TASKS.register("lossless")
    class Lossless(Copy):
        config = Options

        def __init__(self, options: Any) -> None:
            super().__init__(options)
            del self.loss

    config: RunConfig = configure({"task": "lossless"})
    with pytest.raises(InputError, match="task 'lossless' lacks loss"):
        Experiment.of(config)
    del TASKS._registered["lossless"]
