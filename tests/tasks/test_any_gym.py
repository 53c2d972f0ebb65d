"""Environments by their name, and what is tried of a world before a run."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neuroanp.errors import InputError, RunError
from neuroanp.losses import SQUARED_ERROR
from neuroanp.losses.reward import MINUS_REWARD
from neuroanp.tasks.acting import ActingWorld
from neuroanp.tasks.any_gym import AnyGym, AnyGymConfig
from neuroanp.tasks.copy import Copy
from neuroanp.tasks.double_integrator import DoubleIntegrator, DoubleIntegratorConfig, Particle
from neuroanp.tasks.reaching import Reaching, ReachingConfig
from neuroanp.tasks.trying import try_world
from neuroanp.training.configure import configure
from neuroanp.training.launch import launch

gymnasium = pytest.importorskip("gymnasium", reason="pip install neuroanp[worlds]")


def test_states_that_are_counted_are_lines_of_which_one_is_1():
    task = AnyGym(AnyGymConfig(id="FrozenLake-v1"))
    assert (task.inputs, task.outputs, task.steps) == (16, 4, 100)
    env, copy = task.environment(), gymnasium.make("FrozenLake-v1").unwrapped
    assert env.start(np.array([5])).tolist() == np.eye(16)[[copy.reset(seed=5)[0]]].tolist()
    for action in (2, 1, 2, 2):
        seen, rewards, over = env.act(np.array([action]), np.array([True]))
        state, reward, ended, *_ = copy.step(action)
        assert (seen.tolist(), rewards[0], over[0]) == (np.eye(16)[[state]].tolist(), reward, ended)


def test_numbers_are_divided_by_their_bounds_or_by_what_is_said():
    first = gymnasium.make("MountainCar-v0").reset(seed=3)[0].astype(float)
    task = AnyGym(AnyGymConfig(id="MountainCar-v0"))
    assert task.steps == 200
    bounds = np.array([1.2, 0.07], dtype=np.float32).astype(float)
    assert task.environment().start(np.array([3]))[0].tolist() == (first / bounds).tolist()
    own = AnyGym(AnyGymConfig(id="MountainCar-v0", steps=7, scale=(2.0, 0.5)))
    assert own.steps == 7
    assert own.environment().start(np.array([3]))[0].tolist() == (first / [2.0, 0.5]).tolist()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"id": "Pendulum-v1"}, "actions Box.*those that can be chosen are Discrete"),
        ({"id": "Nope-v1"}, "task.id: gymnasium cannot make 'Nope-v1'"),
        ({"id": "os:CartPole-v1"}, "names a module to import"),
        ({"id": "Blackjack-v1"}, "shows Tuple; what is seen must be a Box or Discrete"),
        ({"scale": (1.0, 0.0)}, r"task.scale: \[1.0, 0.0\] are not one or 2 numbers above 0"),
        ({"scale": (1.0, 1.0, 1.0)}, "not one or 2 numbers above 0"),
    ],
)
def test_what_cannot_be_acted_in_is_refused(options, said):
    with pytest.raises(InputError, match=said):
        AnyGym(AnyGymConfig(**options))


class Broken:
    """A world that answers as its test says."""

    def __init__(self, **answers):
        self.answers = {"seen": np.zeros((2, 2)), "rewards": np.zeros(2), "over": np.zeros(2, bool), **answers}

    def start(self, seeds):
        if isinstance(self.answers["seen"], Exception):
            raise self.answers["seen"]
        return self.answers["seen"]

    def act(self, actions, live):
        if isinstance(self.answers["rewards"], Exception):
            raise self.answers["rewards"]
        return self.answers["seen"], self.answers["rewards"], self.answers["over"]


class NoReset:
    """A world that never begins."""


@pytest.mark.parametrize(
    ("world", "said"),
    [
        (NoReset, "cannot begin an episode \\(its reset fails\\): AttributeError"),
        (lambda: Broken(seen=NotImplementedError()), "cannot begin an episode \\(its reset fails\\): Not"),
        (lambda: Broken(seen=np.zeros((2, 3))), r"shows numbers of shape \(2, 3\), and \(2, 2\) are needed"),
        (lambda: Broken(seen=np.full((2, 2), np.nan)), "shows what is no finite number"),
        (lambda: Broken(rewards=ZeroDivisionError("division")), "fails at the first step: ZeroDivisionError: division"),
        (lambda: Broken(rewards=np.array([0.0, np.nan])), r"gives as rewards what is no finite number: \[0.0, nan\]"),
        (lambda: Broken(rewards=np.array([None, 1])), "gives as rewards what is no finite number"),
        (lambda: Broken(over=[0, 1]), "does not say which episodes are over"),
    ],
)
def test_a_world_is_tried_before_a_run(monkeypatch, tmp_path, world, said):
    monkeypatch.setattr(Reaching, "environment", lambda self: world())
    with pytest.raises(InputError, match=said):
        try_world(Reaching(ReachingConfig()))
    with pytest.raises(InputError, match=said):
        launch(configure({"task": "reaching", "rule": "nrl", "network": {"hidden": 3}}), tmp_path)
    assert not any(tmp_path.iterdir())  # nothing was begun


@pytest.mark.parametrize(
    ("task", "loss"), [(Reaching, SQUARED_ERROR), (Copy, MINUS_REWARD)], ids=["a world's batches", "a world's loss"]
)
def test_half_a_world_is_refused_whatever_its_rule(monkeypatch, tmp_path, task, loss):
    monkeypatch.setattr(task, "loss", loss, raising=False)
    monkeypatch.setattr("neuroanp.tasks.options.TaskOptions.made_loss", lambda self: loss)
    for rule in ("anp", "bptt", "nrl"):
        with pytest.raises(InputError, match=f"task: '{task.name}' has batches with a world and a loss of targets"):
            launch(configure({"task": task.name, "rule": rule, "network": {"hidden": 3}}), tmp_path)
    assert not any(tmp_path.iterdir())


def test_a_world_that_is_well_is_let_through():
    try_world(Reaching(ReachingConfig(axes=2)))
    try_world(DoubleIntegrator(DoubleIntegratorConfig()))


def test_a_world_without_an_environment_is_tried_too(monkeypatch):
    task = DoubleIntegrator(DoubleIntegratorConfig())
    with monkeypatch.context() as patch:
        patch.setattr(Particle, "step", lambda self, t, y: (y.expand(1, 2, 2), torch.full((1, 2), torch.nan)))
        with pytest.raises(InputError, match="gives as losses what is no finite number"):
            try_world(task)
    monkeypatch.delattr(Particle, "reset")
    with pytest.raises(InputError, match="cannot begin an episode"):
        try_world(task)


def test_a_reward_that_is_none_ends_the_run_and_says_where():
    world = ActingWorld(lambda: Broken(rewards=np.array([1.0, np.inf])), 2, np.array([41, 42]), np.zeros(2, "u8"), 3)
    y = torch.zeros(1, 2, 2, dtype=torch.float64)
    world.reset(1, y)
    with pytest.raises(RunError, match=r"a reward is no finite number \(inf\), in the episode of seed 42"):
        world.step(0, y)
