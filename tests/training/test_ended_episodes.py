"""Episodes that are over: neither read nor heard nor counted; and what a world showed is what was on the lines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from neuroanp.backends.neuron import LIF
from neuroanp.backends.protocol import BACKENDS, Request
from neuroanp.errors import InputError
from neuroanp.learning.anp import ANP
from neuroanp.learning.credit import return_to_go
from neuroanp.learning.node_perturbation import NP
from neuroanp.losses.reward import MINUS_REWARD
from neuroanp.network.compose import Stacked, stack
from neuroanp.network.init import xavier
from neuroanp.network.network import OUTPUT
from neuroanp.noise import PassStreams, Streams
from neuroanp.profiles import load
from neuroanp.substrates.chip import DeviceChip
from neuroanp.substrates.read import Reader
from neuroanp.tasks.protocol import Batch
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.decorrelating import Decorrelating
from neuroanp.training.estimate import memory_of
from neuroanp.training.evaluate import HeldOutBatch, evaluate
from neuroanp.training.launch import launch
from neuroanp.training.pass_learner import PassLearner
from neuroanp.training.reinforce_learner import ReinforceLearner
from neuroanp.training.shown import shown_in_figures
from neuroanp.training.watched import Watched
from neuroanp.trajectory import PassPlan, Weights
from tests.close import close

from .test_reward_learner import SILENT, config, given, lab_of, part

LENGTHS = np.array([[4, 1], [2, 3], [3, 4], [1, 1]])
"""Steps of the episodes of up to four passes."""


class Apart:
    """Two episodes that end in each pass when they are told to; a step costs what the first output is."""

    steps, batch, actions = 4, 2, 3

    def reset(self, passes, like):
        self.t, self.passes = 0, passes
        return self.seen(like)

    def seen(self, like):
        t = torch.full((self.passes, 2, 2), float(self.t + 1), dtype=like.dtype)
        return t * torch.arange(1, self.passes + 1).view(-1, 1, 1) / 5

    @property
    def live(self):
        return torch.from_numpy(LENGTHS[: self.passes] > self.t)

    def shared(self, by):
        return None

    def step(self, t, y):
        loss = torch.where(self.live, y[..., 0], 0.0)
        self.t += 1
        return self.seen(y), loss


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["double", "compiled"])
@pytest.mark.parametrize(
    "rule",
    [ANP(), ANP(K=2), ANP(K=2, reference="mean"), ANP(K=2, reference="silent"), NP(K=2, reference="mean")],
    ids=lambda rule: f"{rule.name} {rule.reference} {rule.K}",
)
def test_of_an_episode_that_is_over_nothing_is_learned(rule, dtype):
    """Pass against pass by hand: only where both go on; the presynaptic activity is that of the passes that do."""
    lab, plan = lab_of(Apart(), sigma=0.1, recurrent=True, dtype=dtype), rule.plan()
    _, found = PassLearner(rule).learn({}, lab)
    chunks = [*lab.run(plan, "noise")]
    M, n = plan.passes, sum(lab.network.lines.values())
    pairs = [(m, None) for m in range(M)] if plan.pairs == "mean" else plan.pairs
    losses = torch.cat([chunk.loss for chunk in chunks])
    expected = torch.zeros_like(found.arrays["w_1_2"])
    for p, q in pairs:
        c = return_to_go(losses[:, p] - (losses.mean(1) if q is None else losses[:, q]), 1.0)
        for t, chunk in enumerate(chunks):
            live = LENGTHS[:M] > t
            h = {name: layer.h[0] for name, layer in chunk.activities.items()} | {OUTPUT: chunk.y[0]}
            h = h if rule.name == "anp" else {name: noise[0] for name, noise in chunk.noise.items()}
            d = {name: each[p] - (each.mean(0) if q is None else each[q]) for name, each in h.items()}
            s = sum(each.square().sum(-1) for each in d.values())
            gain = n / s if rule.name == "anp" else torch.full_like(s, 1 / (0.1**2 * (1 - 1 / M)))
            for b in range(2):
                compared = live[:, b] if q is None else live[[p, q], b]
                if not compared.all():
                    continue
                heard = [0] if plan.pre == 0 else np.flatnonzero(live[:, b]).tolist()
                x = torch.cat([chunk.activities["hidden_1"].x[0, heard, b].mean(0), torch.ones(1, dtype=dtype)])
                expected += torch.outer(c[t, b] * gain[b] * d["hidden_2"][b], x) / (2 * len(pairs))
    assert float(expected.abs().max()) > 0
    assert found.arrays["w_1_2"].flatten().tolist() == close(
        expected.flatten().tolist(), rel=1e-8 if dtype == torch.float64 else 1e-2
    )


def test_decorrelation_goes_by_the_steps_that_were_heard(monkeypatch):
    """The second moments of activity are means over steps that a pass went on in, not over all that there could be."""
    rows, next_ = list[int](), Decorrelating.next
    monkeypatch.setattr(Decorrelating, "next", lambda self, n=None: (rows.append(n), next_(self, n))[1])
    rule = ANP(decorrelation={"lr": 0.1})
    lab = lab_of(Apart(), sigma=0.1)
    lab.substrate.decorrelate(
        {name: torch.eye(k, dtype=torch.float64) for name, k in (("hidden_1", 6), ("hidden_2", 5))}
    )
    lab = replace(lab, reads=lab.substrate.prepare(1e-3, lab.streams))
    found = PassLearner(rule).learn({}, lab)[1].decorrelation["hidden_1"]
    assert rows == [np.maximum(*LENGTHS[:2]).sum()]
    S = torch.zeros(6, 6, dtype=torch.float64)
    for t, chunk in enumerate(lab.run(rule.plan())):
        for b in range(2):
            heard = np.flatnonzero(LENGTHS[:2, b] > t).tolist()
            if heard:
                x = chunk.activities["hidden_1"].x[0, heard, b].mean(0)
                S += torch.outer(x, x) / rows[0]
    expected = torch.eye(6) - 0.1 * (S - torch.diag(torch.diag(S)))
    assert found.flatten().tolist() == close(expected.flatten().tolist(), rel=1e-9, abs=1e-12)


def test_conversions_are_those_of_episodes_that_go_on():
    """As many as in worlds cut to each of them."""

    def conversions(world) -> int:
        lab = lab_of(world, "pcm", dtype=torch.float32)
        for _ in lab.run(SILENT):
            pass
        return lab.substrate.ledger.conversions

    world = given(steps=6, lengths=(6, 2, 3))
    whole = conversions(part(world, [0, 1, 2], 6))
    each = [conversions(part(world, [k], steps)) for k, steps in enumerate((6, 2, 3))]
    assert each[0] == 6 * (6 + 5 + 3)
    assert whole == sum(each)


def test_of_conversions_at_the_limits_what_is_over_has_its_share(monkeypatch):
    counted = Reader.counted
    monkeypatch.setattr(Reader, "counted", lambda self: (counted(self)[1],) * 2)  # all that are simulated are there
    world = given(steps=4, lengths=(4, 1, 2, 1))
    lab = lab_of(part(world, [0, 1, 2, 3], 4), "pcm", dtype=torch.float32)
    for _ in lab.run(PassPlan((0.0, 0.0), (0, 0), "mean")):
        pass
    assert lab.substrate.ledger.conversions == 2 * (4 + 1 + 2 + 1) * (6 + 5 + 3)
    assert lab.substrate.ledger.clipped == lab.substrate.ledger.conversions


@pytest.mark.parametrize(
    "encoder", [{"name": "poisson", "rate": "500 Hz", "hold": 4}, {"name": "population", "hold": 3}]
)
def test_a_twin_is_shown_what_was_on_the_lines(encoder, monkeypatch):
    """Spikes where there were spikes: its outputs are then those of the chip, to rounding."""
    given_to: dict[str, torch.Tensor] = {}

    def gradient(outputs, weights, inputs, actions, went, delta):
        given_to["y"] = outputs(weights, inputs)
        return {name: torch.zeros_like(W) for name, W in weights.items()}

    monkeypatch.setattr("neuroanp.training.reinforce_learner.policy_gradient", gradient)
    trainer = build_trainer(
        Experiment.of(config("reinforce", backend="lif", encoder=encoder, **{"network.bias": False}))
    )
    lab = trainer.lab()
    trainer.learner.learn(trainer.learned, lab)
    shared = replace(lab, source=lab.source.shared(0))
    y = torch.cat([chunk.y[:, 0] for chunk in shared.run(ReinforceLearner.plan, "loss")])
    assert float(y.abs().max()) > 0.1
    assert given_to["y"].flatten().tolist() == close(y.flatten().tolist(), rel=0, abs=1e-5)


def test_what_is_kept_of_episodes_is_in_steps_of_the_task():
    encoder = {"name": "poisson", "rate": "500 Hz", "hold": 4}
    trainer = build_trainer(Experiment.of(config("nrl", backend="lif", encoder=encoder, **{"network.bias": False})))
    batch = trainer.task.test(np.random.default_rng(0))
    held = HeldOutBatch.of(batch, trainer.substrate.weights.like, trainer.task.loss)
    found = trainer.evaluate(held)
    assert set(np.unique(found.episodes.inputs)) == {0.0, 1.0}  # spikes, not what they leave
    arrays = shown_in_figures(trainer.task, held, found, {})
    assert arrays["lengths"].tolist() == [6.0] * 4
    assert arrays["episode/y"].shape == (6, 4, 3)
    world = trainer.task.test(np.random.default_rng(0)).raw.world  # the same episodes, without an encoder
    like, shown = torch.zeros(1, dtype=trainer.substrate.weights.like.dtype), []
    u = world.reset(1, like)
    for t, y in enumerate(torch.from_numpy(found.episodes.y[3::4]).to(like)):
        shown.append(u[0])
        u, _ = world.step(t, y.unsqueeze(0))
    assert np.array_equal(arrays["episode/inputs"], torch.stack(shown).double().numpy())
    assert np.unique(arrays["episode/inputs"]).size > 4
    assert arrays["episode/rewards"].sum(0).tolist() == close(arrays["returns"].tolist(), rel=1e-12)
    assert arrays["returns"].tolist() == close(found.episodes.returns.tolist(), rel=1e-12)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"task.steps": 100_000, "task.test_size": 100_000}, r"task.steps or task.test_size: the run needs 894 GiB"),
        ({"network.hidden": 3000, "training.batch": 1000}, r"training.batch or network.hidden: the run needs 69.1 GiB"),
    ],
)
def test_what_worlds_hold_beyond_memory_is_refused_before_the_run(changes, said, tmp_path, monkeypatch):
    monkeypatch.setattr("neuroanp.training.estimate.available_memory", lambda device: 16 * 2**30)
    with pytest.raises(InputError, match=said):
        launch(config("nrl", **changes), tmp_path)
    assert not [*tmp_path.iterdir()]


def test_what_was_watched_before_is_forgotten():
    encoder = {"name": "poisson", "rate": "500 Hz", "hold": 2}
    task = Experiment.of(config("nrl", backend="lif", encoder=encoder)).task
    world, like = Watched(task.sample(np.random.default_rng(0), 3).world), torch.zeros(1)
    for _ in range(2):
        lines = world.reset(1, like)
        then, _ = world.step(0, torch.zeros(1, 3, 3))
        shown = world.shown(2)
        assert torch.equal(world.inputs(2), torch.cat([lines, then]))
        assert shown.shape == (2, 3, 2)
        assert torch.equal(shown[0], shown[1])  # held for two steps of the simulation
    assert world.shown(99).shape == (2, 3, 2)
    assert Watched(given(steps=6, lengths=(6,), inputs=2)).shown(1) is None


def test_traces_are_of_each_synapse_and_episode():
    memory = memory_of(Experiment.of(config("nrl", **{"network.hidden": 100, "training.batch": 7})))
    each = [100 * 3, 100 * 100, 3 * 101]  # from the inputs, within, to the outputs; bias lines
    assert memory["traces"] == 4 * 7 * (sum(each) + max(each))
    assert memory["episodes"] == 6 * 4 * (2 + 3 + 1) * (8 + 2 * 4)
    assert memory_of(Experiment.of(config("anp")))["traces"] == 0
    spikes = {"name": "population", "n": 6, "hold": 5}  # lines, and what they were made of
    memory = memory_of(Experiment.of(config("nrl", backend="lif", encoder=spikes)))
    assert memory["episodes"] == 5 * 6 * 4 * (12 + 2 + 3 + 1) * (8 + 2 * 4)


def spiking(profile: str = "mixed_signal_neurons") -> DeviceChip:
    """Return a chip of two layers of units that spike, for worlds of `given`."""
    network = stack(2, [Stacked(LIF(), 6), Stacked(LIF(), 5)], 3)
    weights = Weights({name: 40 * W for name, W in xavier(network, Streams(0), torch.float32).items()}, network)
    return DeviceChip.build(load(profile), weights, streams=Streams(0), dt=1e-3, dtype=torch.float32)


class Loud(Watched):
    """A world that goes on showing something in episodes that are over."""

    def step(self, t, y):
        seen, loss = super().step(t, y)
        return torch.where(self.live.unsqueeze(-1), seen, 0.7), loss


def spent(
    lengths: list[int], steps: int, watched: type[Watched] = Watched, profile: str = "mixed_signal_neurons"
) -> dict[str, float]:
    """Return what noise-free episodes of spiking units cost, of those of 6, 2 and 3 steps that are kept."""
    world = given(steps=6, lengths=(6, 2, 3), inputs=2)
    chip, shown = spiking(profile), watched(part(world, lengths, steps))
    own, before = PassStreams(Streams(0), "train", 0), dict(chip.ledger.report())
    fired, reads = 0, chip.prepare(1e-3, own, noise=False)
    for chunk in BACKENDS.get("lif")(1e-3, 5).run(Request(chip, reads, shown, SILENT, own)):
        fired += sum(int(n.sum()) for n in chunk.fired.values())
    after = chip.ledger.report()
    assert after["spikes"] == fired
    return {name: after[name] - before[name] for name in ("reads", "spikes", "events", "energy_J")}


def test_spikes_of_episodes_that_are_over_are_not_booked():
    """Reads, spikes, events and joules are those of worlds cut to each episode."""
    whole, each = spent([0, 1, 2], 6), [spent([k], steps) for k, steps in enumerate((6, 2, 3))]
    assert whole["spikes"] > 0
    for name, value in whole.items():
        assert value == close(sum(one[name] for one in each), rel=1e-5), name


def test_what_is_shown_after_the_end_costs_nothing():
    """Of arrays whose reads take what their lines drive."""
    silent, loud = (spent([0, 1, 2], 6, watched, "pcm") for watched in (Watched, Loud))
    assert silent["energy_J"] > 0
    assert loud == {name: close(x, rel=1e-6) for name, x in silent.items()}


def test_rates_are_of_the_time_that_episodes_lasted():
    """Spikes a second of each unit over the 6 + 2 + 3 steps that went on, as it is in worlds without any noise."""
    chip, dt = spiking(), 1e-3
    world = part(given(steps=6, lengths=(6, 2, 3), inputs=2), [0, 1, 2], 6)
    held = HeldOutBatch.of(Batch.of_world(world, 2, 3), chip.weights.like, MINUS_REWARD)
    found = evaluate(held, chip, BACKENDS.get("lif")(dt, 5), Streams(0), 0, dt)
    spikes = np.round(found.rates * 11 * dt)
    assert spikes.sum() > 0
    assert (found.rates * 11 * dt).tolist() == close(spikes.tolist(), rel=1e-5)
