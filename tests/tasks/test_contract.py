"""What every task keeps to, whichever it is: those of neuroanp and of installed packages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

import neuroanp as na
from neuroanp.baselines.controls import controls
from neuroanp.noise import Streams
from neuroanp.tasks.options import TaskOptions
from neuroanp.tasks.protocol import TASKS, Batch
from neuroanp.training.build import Experiment
from neuroanp.training.configure import configure
from neuroanp.training.described import describe
from neuroanp.trajectory import Weights
from tests.close import close
from tests.tasks.needed import data_of

SHORT = {"start": 1, "pulse": 2, "gap": 2, "delay": 1, "window": 3, "test_size": 16}
CASES: dict[str, list[dict[str, Any]]] = {
    "acrobot": [{"steps": 20, "test_size": 4}],
    "adding": [{"length": 6, "test_size": 64}],
    "addition": [
        {"digits": 9, "test_size": 64},
        {"digits": 12, "base": 3, "first": "least", "delay": 2, "test_size": 9},
    ],
    "cartpole": [{"test_size": 4}],
    "copy": [
        {"length": 2, "delay": 1, "test_size": 16},
        {"length": 9, "mode": "fixed", "test_size": 4},
        {"length": 9, "mode": "fixed", "fresh_test": True, "test_size": 16},
    ],
    "delayed_match": [SHORT, {**SHORT, "jitter": 2, "noise": 0.1}],
    "digits": [{}, {"mode": "rows", "permute": 1}, {"mode": "pixels", "permute": 2}],
    "double_integrator": [{"steps": 9, "test_size": 4}],
    "gym": [{"steps": 20, "test_size": 4}],
    "lorenz": [{"train_length": 400, "test_size": 6}],
    "mackey_glass": [{"train_length": 400, "test_size": 6}, {"train_length": 400, "direction": "recall"}],
    "mnist": [{"test_size": 10}, {"test_size": 12, "permute": 3, "pool": 2, "window": 2}],
    "parity": [{}, {"length": 20, "window": 2, "delay": 0, "hold": 3, "test_size": 40}],
    "reaching": [{"test_size": 4}],
    "reverse": [{"length": 14, "delay": 1, "test_size": 16}],
    "rossler": [{"train_length": 400, "test_size": 6}],
    "sine": [{"steps": 30, "onset": 4, "periods": (7, 11), "test_size": 4}],
    "sort": [{"length": 14, "delay": 0, "symbols": 6, "test_size": 16}],
    "table": [
        {"target": "load", "window": 8, "washout": 4},
        {"target": "site", "rows": "apart", "window": 4, "washout": 1},
    ],
    "teacher": [{"steps": 30, "washout": 4, "test_size": 16}, {"units": 2, "drawn": 1, "steps": 30, "test_size": 8}],
    "van_der_pol": [
        {"train_length": 400, "test_size": 6},
        {"train_length": 400, "test_size": 6, "control": 1.5, "horizon": 3},
    ],
    "weather": [{}],
    "xor": [SHORT, {**SHORT, "draw": "balanced", "cue": True}, {**SHORT, "jitter": 2, "noise": 0.1}],
}
"""Options that make them small, and different; a task that is not here is tried as it comes."""
WORLDS = {"acrobot", "cartpole", "double_integrator", "gym", "reaching"}
"""Tasks that answer the outputs, and have no sequences to look at: tests/tasks/test_worlds.py is of these."""
ALL = [(name, options) for name in sorted(TASKS._entries()) if name not in WORLDS for options in CASES.get(name, [{}])]
IDS = [f"{name} {options}" for name, options in ALL]
FEW = {"copy", "delayed_match", "sine", "xor"}
"""Tasks that have few sequences, or one: those of training and test are the same ones, as their pages say."""
APART = [(name, options) for name, options in ALL
         if name not in FEW or options.get("noise") or options.get("fresh_test")]  # fmt: skip


@pytest.fixture
def make(images: Path, tmp_path: Path):
    """Return a function that makes a task by name."""

    def make(name: str, options: dict[str, Any]) -> Any:
        return TASKS.get(name)(TASKS.get(name).config(**{**data_of(name, images, tmp_path), **options}))

    return make


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def whole(batch: Batch, task: Any, size: int) -> None:
    assert batch.inputs.shape == (task.steps, size, task.inputs)
    assert batch.targets.shape == (task.steps, size, task.outputs)
    assert batch.mask.shape == (task.steps,)
    assert {part.dtype for part in (batch.inputs, batch.targets, batch.mask)} == {np.dtype(float)}
    assert np.isfinite(batch.inputs).all()
    assert np.isfinite(batch.targets).all()
    assert set(batch.mask) <= {0.0, 1.0}
    assert batch.mask.any()
    assert task.loss.misfit(batch.targets[batch.mask > 0].reshape(-1, task.outputs)) is None


@pytest.mark.parametrize(("name", "options"), ALL, ids=IDS)
def test_batches_are_whole(make, name, options):
    task = make(name, options)
    assert task.name == name
    drawn, tested = task.sample(rng(), 7), task.test(rng())
    whole(drawn, task, 7)
    whole(tested, task, tested.inputs.shape[1])
    np.testing.assert_array_equal(drawn.mask, tested.mask)
    if "test_size" in options:
        assert tested.inputs.shape[1] == options["test_size"]
    if tested.training is not None:
        whole(tested.training, task, tested.training.inputs.shape[1])
    assert np.abs(drawn.inputs).max() <= (1.0 if "noise" not in options else 2.0) + 0.2 * (name == "weather")


@pytest.mark.parametrize(("name", "options"), ALL, ids=IDS)
def test_draws_are_those_of_the_generator_alone(make, name, options):
    """Of one instance after the other, in any order: nothing is kept from call to call."""
    one, two = make(name, options), make(name, options)
    first = one.sample(rng(1), 5)
    one.sample(rng(2), 3)
    one.test(rng(3))
    for batch, again in (
        (first, one.sample(rng(1), 5)),
        (first, two.sample(rng(1), 5)),
        (one.test(rng()), two.test(rng())),
    ):
        np.testing.assert_array_equal(batch.inputs, again.inputs)
        np.testing.assert_array_equal(batch.targets, again.targets)
    assert one.fingerprint() == two.fingerprint()
    if "mode" not in options or options["mode"] != "fixed":
        assert (first.inputs != one.sample(rng(9), 5).inputs).any()


@pytest.mark.parametrize(("name", "options"), APART, ids=lambda value: str(value))
def test_training_and_test_sequences_are_apart(make, name, options):
    task = make(name, options)
    drawn, tested = task.sample(rng(1), 300), task.test(rng(0))
    seen = {drawn.inputs[:, b].tobytes() for b in range(300)}
    assert not seen & {tested.inputs[:, b].tobytes() for b in range(tested.inputs.shape[1])}


@pytest.mark.parametrize(("name", "options"), ALL, ids=IDS)
def test_scores_are_of_what_is_scored(make, name, options):
    task = make(name, options)
    batch = task.test(rng())
    perfect = task.score(batch.targets, batch)
    headline = next(iter(perfect))
    assert headline == ("accuracy" if headline == "accuracy" else "nrmse")
    assert perfect[headline] == (1.0 if headline == "accuracy" else 0.0)
    assert perfect["loss"] == 0.0
    y = rng(1).standard_normal(batch.targets.shape)
    steps = batch.mask > 0
    found = task.score(y, batch)
    assert all(type(value) is float and np.isfinite(value) for value in found.values())
    assert found["loss"] == close(float(np.mean((y[steps] - batch.targets[steps]) ** 2)), rel=1e-12)
    assert found[headline] < 1.0 if headline == "accuracy" else found[headline] > 0.0
    y[~steps] = 1e6
    assert task.score(y, batch) == found


@pytest.mark.parametrize(("name", "options"), ALL, ids=IDS)
def test_controls_are_those_that_make_sense(make, name, options):
    task = make(name, options)
    g = torch.Generator().manual_seed(0)
    shapes = {"w_in": (6, task.inputs), "w": (6, 6), "w_out": (task.outputs, 6)}
    weights = Weights.one_layer({key: 0.4 * torch.randn(shape, generator=g) for key, shape in shapes.items()})
    batch = task.test(rng())
    found = controls(task, weights, Streams(0), batch, task.loss, windows=60)
    expected = {"constant_mean", "ridge"} | ({"lagged_linear", "persistence"} if task.forecast else set())
    assert set(found) == expected
    assert all(np.isfinite(control.loss) for control in found.values())
    assert (task.persistence(batch) is not None) == task.forecast
    steps = batch.mask > 0
    least = float(np.mean((batch.targets[steps] - batch.targets[steps].mean(axis=(0, 1))) ** 2))
    assert found["constant_mean"].loss >= least * (1 - 1e-12)  # the test set's own mean is the best constant for it


@pytest.mark.parametrize(("name", "options"), ALL, ids=IDS)
def test_options_are_described_known_and_come_back(make, name, options):
    task = make(name, options)
    model = type(task.options)
    assert issubclass(model, TaskOptions)
    assert model is TASKS.get(name).config
    assert all(field.description for field in model.model_fields.values())
    assert model(**task.options.model_dump()) == task.options
    assert model.unsaid <= set(model.model_fields)
    assert not model.unsaid & set(model().model_dump())
    with pytest.raises(ValidationError, match="Extra"):
        model(**{**task.options.model_dump(), "tset_size": 3})
    with pytest.raises(ValidationError, match="frozen"):
        task.options.loss = "squared_error"


@pytest.mark.parametrize("name", sorted(TASKS._entries()))
def test_it_is_listed_in_a_sentence(name):
    summary = TASKS.summary(name)
    assert summary.endswith(".")
    assert 20 < len(summary) < 100


@pytest.mark.parametrize(("name", "options"), ALL, ids=IDS)
def test_a_run_of_it_can_be_planned_and_is_told_from_others(images, tmp_path, name, options):
    own = data_of(name, images, tmp_path)
    experiment = Experiment.of(configure({"task": {"name": name, **own, **options}, "network": {"hidden": 4}}))
    describe(experiment)
    assert all(isinstance(line, str) and line for line in experiment.task.account())
    size = {"test_size": 12} if name == "mnist" else {}
    plain = Experiment.of(configure({"task": {"name": name, **own, **size}}))
    assert (experiment.identity == plain.identity) == (experiment.config == plain.config)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(TASKS._entries()))
def test_a_run_of_it_ends_with_a_report(images, tmp_path, name):
    own = data_of(name, images, tmp_path)
    run = na.train(
        task={"name": name, **own, **CASES.get(name, [{}])[-1]}, network={"hidden": 4}, runs=tmp_path, progress=False,
        training={"updates": 2, "batch": 2, "controls": False},
    )  # fmt: skip
    assert run.result["status"] == "finished"
    page = (run.path / "report.html").read_text()
    assert page.count('src="data:image/svg+xml') >= 1
    assert ("An episode" if name in WORLDS else "Prediction against target") in page
