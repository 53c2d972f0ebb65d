"""Tasks that are worlds: episodes that depend on their seeds and on what is done, and on nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from neuroanp.errors import InputError
from neuroanp.losses.reward import MINUS_REWARD, TOLD
from neuroanp.losses.squared_error import SQUARED_ERROR
from neuroanp.tasks.acting import ActingWorld, by_chance, chosen
from neuroanp.tasks.encoders import Poisson, Population
from neuroanp.tasks.encoding import encoded
from neuroanp.tasks.protocol import TASKS, Episodes
from neuroanp.tasks.reaching import Reaching, ReachingConfig
from neuroanp.tasks.worlds import WorldTask
from tests.close import close

CASES: dict[str, dict[str, Any]] = {
    "acrobot": {"steps": 30}, "cartpole": {"steps": 60}, "gym": {"steps": 30},
    "reaching": {"axes": 2},
}  # fmt: skip
LIKE = torch.zeros(1, dtype=torch.float64)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def make(name: str, **options: Any) -> Any:
    return TASKS.get(name)(TASKS.get(name).config(**{**CASES[name], **options}))


def logits(task: Any, batch: int, passes: int, seed: int = 3) -> torch.Tensor:
    return torch.from_numpy(rng(seed).normal(0, 2, (task.steps, passes, batch, task.outputs)))


def lived(world: Any, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Let outputs (T, M, B, O) act to the end; return inputs, losses and which went on, by step."""
    seen, losses, live = [world.reset(y.shape[1], LIKE)], [], []
    for t in range(world.steps):
        if not bool(world.live.any()):
            break
        live.append(world.live)
        u, loss = world.step(t, y[t])
        seen.append(u)
        losses.append(loss)
    return torch.stack(seen[:-1]), torch.stack(losses), torch.stack(live)


@pytest.mark.parametrize("name", CASES)
def test_every_built_in_world_is_a_task_of_worlds(name):
    task = make(name)
    for batch in (task.sample(rng(), 3), task.test(rng())):
        assert batch.world.shared(None) is not None
        T, B = batch.world.steps, batch.world.batch
        assert batch.inputs.shape == (T, B, task.inputs)
        assert np.isnan(batch.inputs).all()
        assert batch.targets.shape == (T, B, task.outputs)
        assert np.isnan(batch.targets).all()
        assert batch.mask.tolist() == [1.0] * task.steps
        assert batch.inputs.strides == (0, 0, 0)  # what nobody knows takes no room
        assert "3 worlds" in repr(task.sample(rng(), 3))
    assert task.loss is MINUS_REWARD
    assert not task.forecast
    assert task.persistence(batch) is None
    assert task.fingerprint() == ""
    assert task.account() == ()
    assert task.table is None
    with pytest.raises(ValueError, match="scores episodes"):
        task.score(np.zeros((T, B, task.outputs)), batch)


def test_a_world_that_is_not_in_the_list_would_be_seen():
    there = {name for name in TASKS._entries() if issubclass(TASKS.get(name), WorldTask)}
    assert there == {*CASES, "double_integrator"}  # whose outputs choose no actions: test_double_integrator.py


@pytest.mark.parametrize("name", CASES)
def test_the_same_episodes_come_again_and_others_of_another_seed(name):
    task = make(name)
    y = logits(task, 4, 2)
    one, again, other = (lived(task.sample(rng(seed), 4).world, y) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    assert not torch.equal(one[0][0], other[0][0])
    world = task.sample(rng(1), 4).world
    first = lived(world, y)
    second = lived(world, y)  # of one world, asked for twice
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("name", CASES)
def test_passes_begin_alike_and_go_apart_by_what_they_do(name):
    task = make(name)
    y = logits(task, 4, 2)
    seen, _, _ = lived(task.sample(rng(1), 4).world, y)
    assert torch.equal(seen[0, 0], seen[0, 1])
    assert not torch.equal(seen[-1, 0], seen[-1, 1])
    alike = y[:, :1].expand(-1, 2, -1, -1)
    seen, losses, _ = lived(task.sample(rng(1), 4).world, alike)  # the draws of actions are the same, too
    assert torch.equal(seen[:, 0], seen[:, 1])
    assert torch.equal(losses[:, 0], losses[:, 1])


@pytest.mark.parametrize("name", ["cartpole", "acrobot"])
def test_episodes_are_those_of_gymnasium(name):
    """Step by step, with the same seed and the same actions; with its own limit of 500 steps taken off."""
    gymnasium = pytest.importorskip("gymnasium", reason="pip install neuroanp[worlds]")
    task = make(name)
    world = task.sample(rng(1), 2).world
    y = logits(task, 2, 1)
    seen, losses, live = lived(world, y)
    uniforms = np.random.Generator(np.random.Philox(key=world.key))
    env = {"cartpole": "CartPole-v1", "acrobot": "Acrobot-v1"}[name]
    scale = {"cartpole": [2.4, 3.0, np.pi / 15, 3.5], "acrobot": [1, 1, 1, 1, 2, 4]}[name]
    copies = [gymnasium.make(env).unwrapped for _ in range(2)]
    at = [copy.reset(seed=int(seed))[0] for copy, seed in zip(copies, world.seeds, strict=True)]
    going = [True, True]
    for t in range(len(seen)):
        draws = uniforms.random(2)
        for b in range(2):
            assert bool(live[t, 0, b]) == going[b]
            if not going[b]:
                assert losses[t, 0, b] == 0
                assert not seen[t, 0, b].any()
                continue
            assert seen[t, 0, b].tolist() == close((at[b].astype(float) / scale).tolist(), rel=1e-12)
            p = np.exp(y[t, 0, b].numpy())
            action = int(np.searchsorted(np.cumsum(p / p.sum()), draws[b], side="right"))
            at[b], reward, over, _, _ = copies[b].step(action)
            assert float(losses[t, 0, b]) == -reward
            going[b] = not over


def test_cartpole_ends_when_it_falls_and_acrobot_at_the_last_step():
    task = make("cartpole")
    right = torch.tensor([0.0, 50.0], dtype=torch.float64).expand(task.steps, 1, 3, 2)
    seen, losses, live = lived(task.sample(rng(), 3).world, right)  # pushed to the right alone it falls in ten steps
    assert 8 <= len(seen) <= 11
    assert (-losses).sum(0)[0].tolist() == live.sum(0)[0].tolist()  # a reward of 1 for each step, the last one too
    task = make("acrobot")
    still = torch.tensor([0.0, 50.0, 0.0], dtype=torch.float64).expand(task.steps, 1, 3, 3)
    _, losses, live = lived(task.sample(rng(), 3).world, still)  # without a torque it hangs
    assert live.all()
    assert losses.sum(0)[0].tolist() == [task.steps] * 3


def test_an_action_is_drawn_as_often_as_its_probability_says():
    """chi^2 of 30,000 draws of five actions, 4 degrees of freedom; 18.5 has a probability of 1e-3."""
    p = np.array([0.05, 0.1, 0.15, 0.3, 0.4])
    n = 30_000
    drawn = chosen(np.broadcast_to(p, (1, n, 5)), rng().random(n))[0]
    counts = np.bincount(drawn, minlength=5)
    assert ((counts - n * p) ** 2 / (n * p)).sum() < 18.5


def test_rounding_leaves_the_last_action_what_is_over():
    p = np.full((1, 1, 3), 1 / 3)
    assert chosen(p, np.array([1 - 1e-16])).tolist() == [[2]]


def test_of_the_likeliest_none_is_drawn():
    world = make("reaching").test(rng()).world
    assert world.greedy
    assert world._uniforms() is None
    assert not make("reaching", tested="drawn").test(rng()).world.greedy
    assert not make("reaching").sample(rng(), 2).world.greedy


def test_shared_worlds_act_once_and_tell_each_pass_what_it_thinks_of_it():
    task = make("reaching")
    y = logits(task, 5, 3)
    p = torch.softmax(y, -1)
    for by in (1, None):
        world = task.sample(rng(1), 5).world
        uniforms = np.random.Generator(np.random.Philox(key=world.key))
        shared = world.shared(by)
        seen, losses, live = lived(shared, y)
        assert torch.equal(seen[:, 0], seen[:, 1])
        assert live.shape == losses.shape
        acts = p.mean(1) if by is None else p[:, by]
        actions = np.stack([chosen(acts[t].unsqueeze(0).numpy(), uniforms.random(5))[0] for t in range(len(seen))])
        assert (shared.actions == actions).all()
        index = torch.from_numpy(actions)[:, None, :, None].expand(-1, 3, -1, -1)
        assert losses.flatten().tolist() == close((-p.gather(-1, index).log()).flatten().tolist(), rel=1e-9)
        alone = torch.from_numpy(np.eye(task.outputs)[actions] * 1e3).unsqueeze(1)  # the same actions by themselves
        own, told, _ = lived(task.sample(rng(1), 5).world, alone)
        assert torch.equal(own[:, 0], seen[:, 0])
        assert (-told[:, 0]).numpy().tolist() == shared.rewards.tolist()


@pytest.mark.parametrize("axes", [1, 2])
def test_one_that_stays_is_as_far_as_chance_put_it(axes):
    """Mean of |x - g| of two uniform numbers in [-1, 1] is 2/3, its variance 2/9; here over 4,000 episodes."""
    task = Reaching(ReachingConfig(axes=axes, steps=3, test_size=4000))
    still = torch.zeros(3, 1, 4000, task.outputs, dtype=torch.float64)
    still[..., 0] = 50.0
    _, losses, _ = lived(task.test(rng()).world, still)
    returns = -losses.sum(0)[0]
    assert float(returns.mean()) == pytest.approx(-2 / 3, rel=0, abs=4 * (2 / 9 / axes / 4000) ** 0.5)
    assert float(returns.var()) == close(2 / 9 / axes, rel=0.1)


@pytest.mark.parametrize("delayed", [True, False])
def test_one_that_walks_straight_has_minus_what_it_must_walk(delayed):
    task = Reaching(ReachingConfig(axes=1, steps=12, stride=0.25, delayed=delayed))
    world = task.sample(rng(), 6).world
    u = world.reset(1, LIKE)
    x0, g = u[0, :, 0].clone(), u[0, :, 1].clone()
    rewards = []
    for t in range(12):
        away = u[0, :, 0] - g
        y = torch.zeros(1, 6, 3, dtype=torch.float64)
        y[0, :, 0] = 100.0 * (away.abs() <= 0.125)
        y[0, :, 1] = 100.0 * (away > 0.125)  # down
        y[0, :, 2] = 100.0 * (away < -0.125)
        u, loss = world.step(t, y)
        rewards.append(-loss[0])
    d = (x0 - g).abs()
    walked = torch.stack(
        [(d - 0.25 * torch.minimum(torch.tensor(t + 1.0), (d / 0.25).round())).abs() for t in range(12)]
    )
    assert torch.stack(rewards).sum(0).tolist() == close((-walked.mean(0)).tolist(), rel=1e-9)
    assert (torch.stack(rewards)[:-1] != 0).any() != delayed


def test_a_target_that_is_shown_at_first_is_seen_no_more():
    task = Reaching(ReachingConfig(steps=5, shown=2))
    seen, _, _ = lived(task.sample(rng(), 4).world, logits(task, 4, 1))
    assert (seen[:2, ..., 1] != 0).all()
    assert (seen[2:, ..., 1] == 0).all()


def test_points_stay_within_their_walls():
    task = Reaching(ReachingConfig(steps=40, stride=0.5))
    down = torch.zeros(40, 1, 4, 3, dtype=torch.float64)
    down[..., 1] = 50.0
    seen, _, _ = lived(task.sample(rng(), 4).world, down)
    assert (seen[-1, ..., 0] == -1).all()
    assert (seen[..., 0] >= -1).all()


def test_by_chance_every_action_is_as_probable_as_any_other():
    task = make("cartpole")
    world = task.test(rng()).world
    y = torch.zeros(task.steps, 1, world.batch, 2, dtype=torch.float64)
    drawn = ActingWorld(world.make, 2, world.seeds, world.key, task.steps)
    _, losses, _ = lived(drawn, y)
    assert by_chance(world) == close(float(losses.sum()) / (task.steps * world.batch), rel=1e-12)
    assert by_chance(encoded(task, Population(n=4, hold=3), 1e-3).test(rng()).world) == by_chance(world)


def test_scores_are_of_whole_episodes():
    rewards = np.array([[1.0, 1.0], [1.0, np.nan], [1.0, np.nan]])
    episodes = Episodes(np.zeros((3, 2, 4)), np.zeros((3, 2, 2)), rewards, np.zeros((3, 2, 4)))
    task = make("cartpole")
    from dataclasses import replace

    batch = replace(task.sample(rng(), 2), episodes=episodes)
    assert task.score(episodes.y, batch) == {"return": 2.0, "least": 1.0, "most": 3.0, "length": 2.0}
    assert episodes.lengths.tolist() == [3, 1]


def test_behind_an_encoder_a_world_acts_once_a_step_of_its_own():
    task = make("reaching")
    hold = 4
    outer = encoded(task, Population(n=3, hold=hold), 1e-3)
    batch = outer.sample(rng(1), 5)
    assert batch.world.steps == hold * task.steps == outer.steps
    assert batch.raw is not None
    assert batch.mask.reshape(-1, hold).tolist() == [[0.0] * (hold - 1) + [1.0]] * task.steps
    y = logits(task, 5, 2)
    lines, losses, _ = lived(batch.world, y.repeat_interleave(hold, 0))
    seen, own, _ = lived(batch.raw.world, y)
    assert torch.equal(losses[hold - 1 :: hold], own)
    assert not losses.view(-1, hold, 2, 5)[:, :-1].any()
    expected = Population(n=3, hold=hold).encode(seen.flatten(1, 2).numpy(), rng(), 1e-3)
    np.testing.assert_array_equal(lines.flatten(1, 2).numpy(), expected)
    shared = outer.sample(rng(1), 5).world.shared(0)
    lived(shared, y.repeat_interleave(hold, 0))
    assert (shared.actions.reshape(-1, hold, 5)[:, :-1] == -1).all()
    inner = batch.raw.world.shared(0)
    lived(inner, y)
    assert (shared.actions[hold - 1 :: hold] == inner.actions).all()
    assert (shared.rewards == inner.rewards).all()


def test_random_spikes_are_the_same_in_all_passes_that_see_the_same():
    outer = encoded(make("reaching"), Poisson(rate="200 Hz", hold=5), 1e-3)
    y = logits(make("reaching"), 3, 1).expand(-1, 2, -1, -1).repeat_interleave(5, 0)
    lines, _, _ = lived(outer.sample(rng(1), 3).world, y)
    assert lines.any()
    assert torch.equal(lines[:, 0], lines[:, 1])
    assert not torch.equal(lines[:5], lines[5:10])


def test_minus_the_reward_is_a_loss_of_worlds_alone():
    assert MINUS_REWARD.misfit(np.full((3, 2), np.nan)) is None
    assert "no targets" in str(MINUS_REWARD.misfit(np.zeros((3, 2))))
    for call in (MINUS_REWARD.of, MINUS_REWARD.error):
        with pytest.raises(ValueError, match=TOLD):
            call(torch.zeros(1, 2), torch.zeros(1, 2))
    assert SQUARED_ERROR is not MINUS_REWARD


def test_without_gymnasium_one_is_told_how_to_get_it(monkeypatch):
    monkeypatch.setattr("neuroanp.tasks.gym.find_spec", lambda name: None)
    with pytest.raises(
        InputError, match=r"CartPole-v1 .* not installed; install it with: pip install .neuroanp\[worlds"
    ):
        make("cartpole")


def test_reaching_needs_nothing_besides():
    assert make("reaching").sample(rng(), 1).world.shared(0) is not None
