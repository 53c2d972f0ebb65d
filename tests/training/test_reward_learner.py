"""Learning from the return of episodes: what the rules estimate, what they book, what is refused."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from neuroanp.backends.protocol import BACKENDS
from neuroanp.baselines.network import rate_outputs
from neuroanp.baselines.reinforce import policy_gradient
from neuroanp.errors import InputError
from neuroanp.learning.anp import ANP
from neuroanp.learning.nrl import NRL
from neuroanp.learning.requirements import moves_weights
from neuroanp.learning.rmhl import RMHL
from neuroanp.losses.reward import MINUS_REWARD
from neuroanp.losses.surprise import EPISODES, MEAN, first_state, surprise
from neuroanp.network.compose import Stacked, stack
from neuroanp.network.init import xavier
from neuroanp.network.network import OUTPUT
from neuroanp.network.tanh import Tanh
from neuroanp.noise import PassStreams, Streams
from neuroanp.profiles import load
from neuroanp.substrates.chip import DeviceChip
from neuroanp.substrates.node_drive import NodeDrive
from neuroanp.tasks.acting import ActingWorld
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.filling import METHODS, spikes
from neuroanp.training.lab import Lab
from neuroanp.training.launch import launch
from neuroanp.training.learner import make_learner
from neuroanp.training.pass_learner import PassLearner
from neuroanp.training.reinforce_learner import ReinforceLearner
from neuroanp.training.reward_learner import NrlLearner, RmhlLearner
from neuroanp.trajectory import PassPlan, Weights
from tests.close import close

from .test_resume import same

OF_WORLDS = [name for name in METHODS.names() if "worlds" in make_learner(METHODS.get(name)()).takes]
SILENT = PassPlan((0.0,), (0,), "mean")
FEW = {"name": "reaching", "steps": 6, "test_size": 4}


class Given:
    """Episodes that end when they are told to, show what they were given, and pay what is said for each action."""

    def __init__(self, inputs: np.ndarray, lengths: list[int], pays: np.ndarray) -> None:
        self.inputs, self.lengths, self.pays = inputs, np.array(lengths), pays

    def start(self, seeds: np.ndarray) -> np.ndarray:
        self.rows, self.t = len(seeds) // len(self.lengths), 0
        return np.tile(self.inputs[0], (self.rows, 1))

    def act(self, actions: np.ndarray, live: np.ndarray):
        rewards = self.pays[self.t][np.arange(len(actions)) % len(self.lengths), actions]
        self.t += 1
        shown = np.tile(self.inputs[min(self.t, len(self.inputs) - 1)], (self.rows, 1))
        return shown, rewards, np.tile(self.lengths <= self.t, self.rows)


def given(steps=4, lengths=(4, 2, 3), inputs=2, actions=3, seed=0, pays=None):
    rng, B = np.random.default_rng(seed), len(lengths)
    shown, paid = rng.normal(0, 1, (steps, B, inputs)), rng.normal(0, 1, (steps, B, actions))
    paid = paid if pays is None else np.broadcast_to(pays, paid.shape)
    key = np.array([seed, 7], dtype=np.uint64)
    return ActingWorld(lambda: Given(shown, list(lengths), paid), actions, np.arange(B), key, steps)


def lab_of(world, profile="ideal", sigma=1e-3, recurrent=False, seed=0, update=0, dtype=torch.float64, hidden=(6, 5)):
    layers = [Stacked(Tanh(), n, recurrent) for n in hidden]
    network = stack(2, layers, world.actions, bias=True, skip=False)
    streams = Streams(seed)
    weights = Weights(xavier(network, streams, dtype), network)
    chip = DeviceChip.build(load(profile), weights, streams=streams, dt=1e-6, dtype=dtype, drive=NodeDrive(sigma))
    own = PassStreams(streams, "train", update)
    mask = torch.ones(world.steps, dtype=dtype)
    backend = BACKENDS.get("rate")(1e-6, 5)
    return Lab(world, torch.zeros(0), mask, chip, chip.prepare(1e-3, own), backend, own, 1 << 30, MINUS_REWARD)


def known(mean: float, episodes: int = 8) -> dict[str, torch.Tensor]:
    return {MEAN: torch.tensor(mean, dtype=torch.float64), EPISODES: torch.tensor(episodes)}


def test_surprise_is_relative_and_the_mean_follows():
    returns = torch.tensor([10.0, -4.0, 0.5], dtype=torch.float64)
    delta, state = surprise(returns, known(2.0), 0.25)
    assert delta.tolist() == close([0.8, -1.5, -1.5], rel=1e-12)  # less than 1 counts as 1
    assert float(state[MEAN]) == close(2.0 + 0.25 * (6.5 / 3 - 2.0), rel=1e-12)
    assert int(state[EPISODES]) == 11
    delta, state = surprise(returns, first_state(), 0.25)
    assert float(delta[0]) == close((10 - 6.5 / 3) / 10, rel=1e-12)  # of the first ones, their own mean
    assert float(state[MEAN]) == close(6.5 / 3, rel=1e-12)


def z_scores(of: dict[str, list[torch.Tensor]], truth: dict[str, torch.Tensor]) -> torch.Tensor:
    """Return how many standard errors the mean of estimates is from the truth, of all coordinates."""
    found = []
    for name, each in of.items():
        values = torch.stack(each)
        error = values.std(0) / len(values) ** 0.5
        there = error > 0  # a weight that nothing reaches
        assert not truth[name][~there].any()
        found.append(((values.mean(0) - truth[name]) / error.clamp_min(1e-300))[there])
    return torch.cat(found)


def test_what_nrl_estimates_is_the_policy_gradient():
    """With known noise and a silent pass the mean of dW is that of REINFORCE on the same actions, to order sigma^2.

    The greatest of n standard normals is below sqrt(2 log n) + 2 but for one case in some hundreds. The paper's N of
    the layer has each array's gradient times that layer's share of the units.
    """
    world = given(pays=np.array([2.0, 3.0, 4.0]))
    lab = lab_of(world)
    _, exact = ReinforceLearner(METHODS.get("reinforce")()).learn(known(5.0), lab)
    rule = NRL(reference="silent", difference="noise", K=63)
    estimates: dict[str, list[torch.Tensor]] = {name: [] for name in exact.arrays}
    for update in range(40):
        own = replace(lab, streams=PassStreams(Streams(1), "train", update))
        _, found = NrlLearner(rule).learn(known(5.0), own)
        for name, dW in found.arrays.items():
            estimates[name].append(dW)
    z = z_scores(estimates, exact.arrays)
    assert float(z.abs().max()) < (2 * np.log(len(z))) ** 0.5 + 2
    assert 0.7 < float(z.std()) < 1.4  # and the errors are as large as they say
    along = sum(torch.stack(each).flatten(1) @ exact.arrays[name].flatten() for name, each in estimates.items())
    along /= sum(dW.square().sum() for dW in exact.arrays.values())
    assert float(along.mean()) == close(1.0, rel=4 * float(along.std()) / 40**0.5)  # a factor would show here
    assert float(along.std()) < 0.3
    _, shares = NrlLearner(rule.model_copy(update={"scale": "layer"})).learn(known(5.0), own)
    lines = lab.network.lines
    for p in lab.network.projections:
        whole = found.arrays[p.name] * (lines[p.post] / sum(lines.values()))
        assert shares.arrays[p.name].flatten().tolist() == close(whole.flatten().tolist(), rel=1e-9)


@pytest.mark.parametrize("recurrent", [False, True])
def test_what_a_device_can_do_points_along_the_policy_gradient(recurrent):
    """Activity against the mean of noisy passes knows no noise: biased, and at an acute angle, a cosine above .8."""
    world = given(steps=3, lengths=(3, 2, 3), pays=np.array([2.0, 3.0, 4.0]))
    lab = lab_of(world, recurrent=recurrent)
    _, exact = ReinforceLearner(METHODS.get("reinforce")()).learn(known(5.0), lab)
    rule = NRL(reference="mean", difference="activity", K=63)
    total: dict[str, torch.Tensor] = {}
    for update in range(10):
        own = replace(lab, streams=PassStreams(Streams(1), "train", update))
        for name, dW in NrlLearner(rule).learn(known(5.0), own)[1].arrays.items():
            total[name] = total.get(name, torch.zeros_like(dW)) + dW
    a, b = (torch.cat([each[name].flatten() for name in exact.arrays]) for each in (total, exact.arrays))
    assert float(a @ b / a.norm() / b.norm()) > 0.8


def test_the_update_of_nrl_is_the_formula():
    """Of three passes against their mean, an episode that ends early, traces that fade, by hand from what was seen."""
    world, gamma = given(), 0.7
    lab, rule = lab_of(world, sigma=0.1), NRL(K=2, gamma=gamma)  # of two a constant of dp drops out
    _, found = NrlLearner(rule).learn(known(1.0), lab)
    shared = world.shared(None)
    chunks = [*replace(lab, source=shared).run(rule.plan(), "all")]
    n, e = sum(lab.network.lines.values()), torch.zeros(3, 5, 7, dtype=torch.float64)
    assert [chunk.live[0, 0].tolist() for chunk in chunks] == [
        [True, True, True], [True, True, True], [True, False, True], [True, False, False]
    ]  # fmt: skip
    for chunk in chunks:
        p = torch.exp(-chunk.loss[0])
        dp = torch.log(p) - torch.log(p.mean(0))
        d = {name: layer.h[0] - layer.h[0].mean(0) for name, layer in chunk.activities.items()}
        d[OUTPUT] = chunk.y[0] - chunk.y[0].mean(0)
        s = sum(each.square().sum(-1) for each in d.values())
        x = torch.cat([chunk.activities["hidden_1"].x[0].mean(0), torch.ones(3, 1)], -1)
        for b in range(3):
            if not chunk.live[0, 0, b]:
                continue
            e[b] *= gamma
            for m in range(3):
                e[b] += n * dp[m, b] / s[m, b] * torch.outer(d["hidden_2"][m, b], x[b])
    R = torch.from_numpy(shared.rewards.sum(0))
    delta = (R - 1.0) / R.abs().clamp_min(1.0)
    expected = -(delta[:, None, None] * e).sum(0) / (3 * 3)
    assert found.arrays["w_1_2"].flatten().tolist() == close(expected.flatten().tolist(), rel=1e-9)
    assert found.diagnostics["loss"] == close(-float(R.sum()) / (4 * 3), rel=1e-12)


def test_the_update_of_rmhl_is_the_formula():
    """The noise of the one pass, and the activity less its running average, of which an average of 1 leaves nothing."""
    world = given()
    lab = lab_of(world, sigma=0.1)
    chunks = [*replace(lab, source=world.shared(0)).run(RMHL().plan(), "noise")]
    shared = world.shared(0)
    for _ in replace(lab, source=shared).run(RMHL().plan(), "noise"):
        pass
    R = torch.from_numpy(shared.rewards.sum(0))
    delta = (R - 1.0) / R.abs().clamp_min(1.0)
    for difference in ("noise", "average"):
        _, found = RmhlLearner(RMHL(difference=difference, follow=0.3)).learn(known(1.0), lab)
        e, average = torch.zeros(3, 5, 7, dtype=torch.float64), torch.zeros(3, 5, dtype=torch.float64)
        for chunk in chunks:
            h = chunk.activities["hidden_2"].h[0, 0]
            average = average + 0.3 * (h - average)
            d = chunk.noise["hidden_2"][0, 0] if difference == "noise" else h - average
            x = torch.cat([chunk.activities["hidden_1"].x[0, 0], torch.ones(3, 1)], -1)
            e += torch.einsum("bn,bm->bnm", d * chunk.live[0, 0, :, None], x)
        expected = -(delta[:, None, None] * e).sum(0) / 3
        assert found.arrays["w_1_2"].flatten().tolist() == close(expected.flatten().tolist(), rel=1e-9)
    _, nothing = RmhlLearner(RMHL(follow=1.0)).learn(known(1.0), lab)
    assert max(float(dW.abs().max()) for dW in nothing.arrays.values()) < 1e-14


def test_the_gradient_of_reinforce_is_that_of_the_log_probability():
    """By central differences of sum_t log p_t(a_t) delta, a weight at a time."""
    world = given()
    lab = lab_of(world)
    weights, rng = lab.read(), np.random.default_rng(1)
    inputs = torch.from_numpy(rng.normal(0, 1, (4, 3, 2)))
    actions, live = torch.from_numpy(rng.integers(3, size=(4, 3))), torch.from_numpy(rng.integers(2, size=(4, 3)) * 1.0)
    delta = torch.tensor([0.5, -2.0, 1.0], dtype=torch.float64)

    def value(W):
        log_p = torch.log_softmax(rate_outputs(W, inputs), -1).gather(-1, actions.unsqueeze(-1)).squeeze(-1)
        return float(-((log_p * live).sum(0) * delta).mean())

    found = policy_gradient(rate_outputs, weights, inputs, actions, live, delta)
    for name, at in (("w_in", (2, 1)), ("w_1_2", (0, 6)), ("w_out", (1, 3))):
        moved = []
        for eps in (1e-5, -1e-5):
            W = {key: array.clone() for key, array in weights.items()}
            W[name][at] += eps
            moved.append(value(Weights(W, weights.network)))
        assert float(found[name][at]) == close((moved[0] - moved[1]) / 2e-5, rel=1e-6)


def test_in_a_world_outputs_are_credited_with_what_follows():
    """What an output does now is paid for later, too: of W_out the factor is the return-to-go, as the hidden units'."""

    class Late:
        """A loss at the last step that the first output made."""

        steps, batch, live, actions = 3, 2, None, 3

        def reset(self, passes, like):
            return torch.ones(passes, 2, 2, dtype=like.dtype)

        def step(self, t, y):
            self.first = y if t == 0 else self.first
            loss = self.first[..., 0] if t == 2 else torch.zeros_like(y[..., 0])
            return torch.ones_like(y[..., :2]), loss

    lab, rule = lab_of(Late()), ANP(norm="layer", scale="one")
    first, *_ = lab.run(rule.plan())
    _, found = PassLearner(rule).learn({}, lab)
    dy = first.y[0, 0] - first.y[0, 1]
    assert float(dy.abs().max()) > 0
    chunks = [*lab.run(rule.plan())]
    expected = 0
    for chunk in chunks:
        d = chunk.y[0, 0] - chunk.y[0, 1]
        x = chunk.activities["hidden_2"].x[0].mean(0)
        x = torch.cat([x, torch.ones(2, 1)], -1)
        c = first.y[0, 0, :, 0] - first.y[0, 1, :, 0]
        expected = expected + torch.einsum("bn,bm->nm", (c / d.square().sum(-1))[:, None] * d, x) / 2
    assert found.arrays["w_out"].flatten().tolist() == close(expected.flatten().tolist(), rel=1e-7)


def test_an_episode_that_is_over_costs_nothing_and_takes_no_time():
    """Reads are those of the steps that each episode had, in each pass; energy is that of a world cut to them."""
    world = given(steps=6, lengths=(6, 2, 3))
    lab = lab_of(world, "pcm", dtype=torch.float32)
    NrlLearner(NRL(K=2)).learn(first_state(), lab)
    arrays = len(lab.network.projections)
    assert lab.shown.steps == 3 * (6 + 2 + 3)
    assert lab.substrate.ledger.report()["reads"] == arrays * 3 * (6 + 2 + 3)
    each, whole = [cost(world, [k], steps) for k, steps in enumerate((6, 2, 3))], cost(world, [0, 1, 2], 6)
    assert whole == close(sum(each), rel=1e-5)


def cost(world, keep: list[int], steps: int) -> float:
    """Return the joules that some episodes cost without any noise; their first write is not counted."""
    lab = lab_of(part(world, keep, steps), "pcm", recurrent=True, dtype=torch.float32)
    before = lab.substrate.ledger.report()["energy_J"]
    for _ in lab.run(SILENT):
        pass
    return lab.substrate.ledger.report()["energy_J"] - before


def part(world, keep, steps):
    """Return some episodes of a world of `given`, in which one action is taken that is the same for all of them."""
    env = world.make()
    shown, paid = env.inputs[:, keep], env.pays[:, keep]
    lengths = [int(env.lengths[k]) for k in keep]
    return ActingWorld(
        lambda: Given(shown, lengths, paid), world.actions, world.seeds[keep], world.key, steps, greedy=True
    )


def config(rule: str, **changes: Any):
    K = {"K": 2} if "K" in METHODS.get(rule).model_fields else {}
    source = {
        "task": FEW, "rule": {"name": rule, **K}, "network": {"hidden": 5, "bias": True},
        "training": {"updates": 20, "batch": 3, "checkpoint_every": 10, "evaluate_every": 10, "controls": False},
    }  # fmt: skip
    return configure(source, changes)


@pytest.mark.parametrize(
    ("profile", "rule"),
    [pair for pair in product(["ideal", "pcm"], OF_WORLDS) if pair != ("pcm", "inp")],  # whose noise nobody switches
)
def test_a_run_that_goes_on_is_the_one_that_was_not_stopped(rule, profile):
    """8 updates = 4 + resume + 4, bit for bit."""
    if profile == "pcm" and "the noise sample of each unit" in METHODS.get(rule)().needs:
        profile = "smtj_koenders"  # whose junctions tell it
    whole, first, second = (build_trainer(Experiment.of(config(rule, profile=profile))) for _ in range(3))
    for _ in range(8):
        whole.step()
    for _ in range(4):
        first.step()
    second.load_state_dict({name: value.clone() for name, value in first.state_dict().items()})
    for _ in range(4):
        second.step()
    assert same(whole.state_dict(), second.state_dict())


@pytest.mark.parametrize(("backend", "rule"), [*product(["rate", "lif"], OF_WORLDS)])
def test_every_rule_of_worlds_moves_the_weights_that_it_should(backend, rule):
    """And is finite, on rates and on spikes behind an encoder."""
    changes: dict[str, Any] = {"backend": backend}
    if spikes(backend):
        changes |= {"encoder": {"name": "population", "hold": 3}, "network.bias": False}
    # where an action is another one in some pass: weights and units must move far for that
    if moves_weights(METHODS.get(rule)()):
        changes |= {"rule.eps" if rule == "cdrge" else "rule.sigma": 0.5}
    else:
        changes |= {"perturbation.name": "gaussian", "perturbation.sigma": 1.0, "perturbation.output": 1.0}
    trainer = build_trainer(Experiment.of(config(rule, **changes)))
    before = {name: W.clone() for name, W in trainer.substrate.weights.items()}
    rows = [trainer.step() for _ in range(3)]
    assert all(np.isfinite(row["train_loss"]) for row in rows)
    moved = {name for name, W in trainer.substrate.weights.items() if not torch.equal(W, before[name])}
    assert moved == set(before), rule
    passes = trainer.learner.passes
    steps = trainer.task.steps
    assert trainer.substrate.ledger.time_s == pytest.approx(3 * passes * 3 * steps * trainer.dt, rel=1e-6, abs=0)


@pytest.mark.parametrize("rule", sorted({*METHODS.names()} - {*OF_WORLDS}))
def test_rules_of_data_are_refused_in_a_world_before_anything_begins(rule, tmp_path):
    with pytest.raises(InputError, match=rf"rule: '{rule}' learns from data, and task 'reaching' is a world.*nrl"):
        launch(config(rule, **{"training.batch": 5}), tmp_path)
    assert not [*tmp_path.glob("*/metrics.csv")]


@pytest.mark.parametrize("rule", sorted({*OF_WORLDS} - {"anp", "np", "wp", "inp", "cdrge", "oua"}))
def test_rules_of_rewards_are_refused_with_data(rule, tmp_path):
    with pytest.raises(InputError, match=rf"rule: '{rule}' learns from worlds, and task 'copy' has sequences.*anp"):
        launch(configure({"task": "copy", "rule": rule}), tmp_path)


@pytest.mark.parametrize(
    ("rule", "changes", "said"),
    [
        ("anp", {"rule.readout": "delta"}, "rule.readout: 'delta' goes by the errors"),
        ("anp", {"rule.readout": "rls", "rule.errors": "inferred"}, "rule.readout: 'rls' goes by the errors"),
        ("wp", {"rule.credit": "sample"}, "here a world answers"),
        ("anp", {"training.refit": 100}, "training.refit: fits outputs to targets"),
        ("nrl", {"rule.difference": "noise", "perturbation.name": "none"}, "difference: activity$"),
        ("rmhl", {"rule.difference": "noise", "profile": "pcm"}, "on profile 'pcm' .* rule.difference: average$"),
        ("anp", {"rule.reference": "running", "rule.K": 1}, "rule.reference: 'running' .* task 'reaching' has others"),
    ],
)
def test_what_a_world_cannot_give_is_refused_before_anything_begins(rule, changes, said, tmp_path):
    with pytest.raises(InputError, match=said):
        launch(config(rule, **changes), tmp_path)
    assert not [*tmp_path.glob("*/metrics.csv")]


def test_the_rule_learns_to_reach(tmp_path):
    """From a reward that comes with the last step alone; -2/3 is what one gets who stays."""
    run = launch(
        configure(
            {
                "task": {"name": "reaching", "steps": 8, "stride": 0.25, "test_size": 100},
                "rule": {"name": "nrl", "K": 4},
                "network": {"hidden": 16},
                "optimizer": {"name": "adam", "lr": 0.04},
                "training": {"updates": 60, "batch": 16, "evaluate_every": 60, "controls": False},
            }
        ),
        tmp_path,
    )
    assert run.result["score"] > -0.45


def test_what_is_of_sequences_alone_says_so_of_a_world(tmp_path):
    """The weights, and outputs of inputs of one's own, are there; held-out sequences are not."""
    import neuroanp as na

    run = na.train(config("nrl", **{"training.updates": 2}), runs=tmp_path, progress=False)
    assert run.weights().network.inputs == 2
    assert run.predict(np.zeros((4, 2))).shape == (4, 3)
    assert run.metrics.series("return")[1] == close(
        [-6 * loss for loss in run.metrics.series("test_loss")[1]], rel=1e-6
    )
    with pytest.raises(InputError, match="task 'reaching' is a world"):
        run.held_out()
    page = run.report(tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Mean return of the test episodes" in page
    assert "<h3>An episode</h3>" in page
