"""Exports of networks that learned in a world: what formats are shown, and how they are scored."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

import neuroanp as na
from neuroanp.export import source
from neuroanp.export.episodes import Followed, followed
from neuroanp.export.importing import bring
from neuroanp.export.model import reference
from neuroanp.records.run_dir import RunDir
from neuroanp.tasks.acting import ActingWorld
from neuroanp.training.revisit import restored
from tests.close import close

SPIKING = {"backend": "lif", "encoder": {"name": "poisson", "hold": 3}, "neuron": {"refractory": "0 ms"}}
KINDS = {
    "rates": {},
    "layers on pcm": {"network": {"layers": [{"units": 5}, {"units": 4}], "bias": True}, "profile": "pcm"},
    "spikes": SPIKING,
}


def trained(folder, **changes):
    plain = {
        "task": {"name": "reaching", "steps": 7, "test_size": 3}, "rule": "nrl", "network": {"hidden": 6, "bias": True},
        "training": {"updates": 2, "batch": 3, "controls": False},
    }  # fmt: skip
    return RunDir.open(na.train({**plain, **changes}, runs=folder, progress=False).path)


@pytest.fixture(scope="module", params=KINDS)
def run(request, tmp_path_factory):
    return trained(tmp_path_factory.mktemp("runs"), **KINDS[request.param])


@pytest.mark.slow
def test_the_world_shows_the_same_again_for_what_was_done(run):
    experiment, trainer = restored(run)
    held = experiment.task.test(trainer.streams.generator("test"))
    went = followed(trainer, held)
    world, like = held.world, torch.zeros(1, dtype=trainer.substrate.weights.like.dtype)
    seen = [world.reset(1, like)]
    for t in range(len(went.inputs)):
        own, part = divmod(t, went.hold)
        y = torch.nn.functional.one_hot(torch.from_numpy(went.actions[own]), 3)[None] * 50.0
        u, _ = world.step(t, (y if part == went.hold - 1 else -y).to(like))
        seen.append(u)
    assert np.array_equal(torch.stack(seen[:-1])[:, 0].double().numpy(), went.inputs)
    assert went.inputs.shape[:2] == (7 * went.hold, 3)
    if experiment.config.encoder.name == "poisson":
        assert set(np.unique(went.inputs)) == {0.0, 1.0}  # spikes, and no traces of them


def test_of_the_weights_that_were_scored_the_actions_are_those_taken(run):
    model = source.model_of(run, "as_held")
    found = model.score(reference(model).y)
    assert found["same_actions"] == 1.0
    assert model.recorded is None
    other = model.score(-reference(model).y)
    assert other["same_actions"] < 1.0
    assert other["loss"] > found["loss"]
    assert any("the task is a world" in note for note in model.notes)


def test_episodes_that_end_early_show_their_last_and_are_scored_to_their_end():
    actions = np.array([[0, 1], [1, -1], [0, -1]])
    own = np.where(actions[..., None] < 0, np.nan, np.arange(2) == actions[..., None])
    y = np.random.default_rng(0).normal(0, 1, (3, 2, 2))
    found = Followed(np.zeros((3, 2, 1)), own, 1, True).score(y)
    p = np.exp(y) / np.exp(y).sum(-1, keepdims=True)
    of = [p[0, 0, 0], p[1, 0, 1], p[2, 0, 0], p[0, 1, 1]]
    assert found["loss"] == close(float(-np.mean(np.log(of))), rel=1e-12)
    same = [y[0, 0].argmax() == 0, y[1, 0].argmax() == 1, y[2, 0].argmax() == 0, y[0, 1].argmax() == 1]
    assert found["same_actions"] == np.mean(same)
    held = Followed(np.zeros((6, 2, 1)), own, 2, True).score(
        np.repeat(y, 2, axis=0) * np.tile([[[9.0]], [[1.0]]], (3, 1, 1))
    )
    assert held == found  # the world reads the last of the steps that it is held for


def test_outputs_that_choose_no_actions_are_scored_by_what_they_are_off(tmp_path):
    run = trained(tmp_path, task={"name": "double_integrator", "steps": 5, "test_size": 3}, rule="wp")
    model = source.model_of(run, "as_held")
    y = reference(model).y
    assert model.score(y).keys() == {"loss"}
    assert model.score(y)["loss"] < 1e-12
    assert model.score(y + 0.5)["loss"] == close(0.25, rel=1e-4)
    assert any("what outputs are off" in note for note in model.notes)


class Short:
    """Episodes of 4 and 2 steps, which count them."""

    def start(self, seeds):
        self.t = 0
        return np.array([[1.0], [-1.0]])

    def act(self, actions, live):
        self.t += 1
        return np.where(live[:, None], [[1.0 + self.t], [-1.0 - self.t]], 99.0), np.ones(2), self.t >= np.array([4, 2])


def test_what_was_seen_last_stays(tmp_path):
    experiment, trainer = restored(trained(tmp_path))
    held = experiment.task.test(trainer.streams.generator("test"))
    assert isinstance(held.world, ActingWorld)

    class Two(Short):
        def start(self, seeds):
            return np.repeat(super().start(seeds), 2, axis=1)

        def act(self, actions, live):
            seen, rewards, over = super().act(actions, live)
            return np.repeat(seen, 2, axis=1), rewards, over

    world = ActingWorld(Two, 3, np.arange(2), np.zeros(2, np.uint64), 7, greedy=True)
    went = followed(trainer, replace(held, world=world))
    assert went.inputs[:, :, 0].T.tolist() == [[1, 2, 3, 4], [-1, -2, -2, -2]]
    assert (went.actions >= 0).T.tolist() == [[True] * 4, [True, True, False, False]]


@pytest.mark.slow
def test_formats_hold_it_and_their_readers_agree(run, tmp_path):
    experiment, _ = restored(run)
    formats = ["onnx", "crossbar"] + (["nir", "rtl"] if experiment.network.spikes else [])
    for name in formats:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            report = na.export(run.path, name, tmp_path / name)
        assert report.score["after"]["same_actions"] > 0.5
        assert json.loads((tmp_path / name / "report.json").read_text())["score"]["before"]["same_actions"] > 0.5
        if name in ("onnx", "nir"):
            assert na.check_export(tmp_path / name).passed


def test_a_network_that_is_brought_in_for_a_world_says_what_was_not_looked_at(tmp_path):
    run = trained(tmp_path / "runs", **SPIKING)
    na.export(run.path, "nir", tmp_path / "nir")
    task = {"task": {"name": "reaching", "steps": 7, "test_size": 3}, "rule": "nrl"}
    brought = bring(tmp_path / "nir" / "network.nir", tmp_path / "in", overrides=task)
    assert any("never spike was not looked at: task 'reaching' is a world" in note for note in brought.notes)
