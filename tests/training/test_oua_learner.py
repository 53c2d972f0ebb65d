"""Ornstein-Uhlenbeck adaptation in whole runs: by hand, on devices that wander, in a world, from a checkpoint."""

from __future__ import annotations

from dataclasses import replace
from math import exp
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from neuroanp.baselines.bptt import gradient
from neuroanp.errors import InputError
from neuroanp.learning.oua import OUA, wandered
from neuroanp.noise import PassStreams
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.launch import launch
from neuroanp.training.oua_learner import OUALearner
from neuroanp.trajectory import PassPlan
from tests.close import close

from .test_resume import same
from .test_worlds import Point, acting  # noqa: F401 - a fixture

SMALL = {
    "task": {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 4},
    "network": {"hidden": 5},
    "rule": {"name": "oua", "K": 2},
    "training": {"updates": 20, "batch": 3, "controls": False},
    "compute": {"dtype": "float64"},
}
WANDERING = {"profile": "rram_rtn", "rule.source": "device", "rule.K": 1}
IN_TIME = {**WANDERING, "rule.draw": "step", "hardware.read": "sampled"}
EXACT = {"hardware.without": ["dac", "adc"]}


def made(**changes):
    return build_trainer(Experiment.of(configure(SMALL, changes)))


def of(trainer) -> OUA:
    """Return the options of a trainer's rule."""
    return trainer.learner.rule


def spied(trainer):
    """Return a lab of the next update, and the requests that its simulator gets."""
    lab, seen = trainer.lab(), []
    run = lab.backend.run
    lab.backend.run = lambda request: (seen.append(request), run(request))[1]  # pyright: ignore
    return lab, seen


def test_weights_stand_still_for_a_presentation_and_go_on_in_the_next_by_hand():
    """theta - mu of the two presentations, their rewards, rbar and d mu, written out; the state is what comes after."""
    trainer = made(**{"rule.lam": 0.3, "rule.rho": 0.4})
    rule, learner = of(trainer), trainer.learner
    state, _ = learner.learn(trainer.learned, trainer.lab())
    trainer.update = 1
    lab, seen = spied(trainer)
    after, update = learner.learn(state, lab)
    theta = [{name: request.reads[name].W - lab.reads[name].W for name in lab.reads} for request in seen]
    assert [request.plan.stream for request in seen] == [(0,), (1,)]
    a = exp(-0.3)
    expected = {name: torch.zeros_like(W) for name, W in lab.reads.items() for W in [W.W]}
    mean = float(state["reward"])
    for k, request in enumerate(seen):
        losses = torch.cat([lab.losses(c)[:, 0] for c in type(lab.backend)(1e-6).run(request)])
        r = -float(losses.sum(0).mean() / lab.mask.sum())
        for name in expected:
            d = state[f"deviation {name}"] if k == 0 else theta[0][name]
            xi = lab.streams.tensors("normal", f"wandering/{name}", [k], 0, 1, tuple(d.shape), d)[0, 0]
            there = a * d + rule.deviation * (1 - a**2) ** 0.5 * xi
            torch.testing.assert_close(theta[k][name], there, rtol=0, atol=1e-14)
            expected[name] -= (r - mean) * there
        mean = r + (mean - r) * exp(-0.4)
    for name, dW in update.arrays.items():
        torch.testing.assert_close(dW, expected[name], rtol=1e-9, atol=1e-15)
        torch.testing.assert_close(after[f"deviation {name}"], theta[1][name], rtol=0, atol=1e-14)
        assert float(dW.abs().max()) > 0
    assert float(after["reward"]) == close(mean, rel=1e-12)
    assert int(after["heard"]) == 4
    assert not update.steps


def test_weights_that_move_at_every_step_by_hand():
    """Of one unit, y_t = theta_out x_t, x_t = tanh(theta_in u_t + theta x_{t-1}), and each step's own loss."""
    trainer = made(
        network={"hidden": 1}, **{"task.length": 3, "rule.draw": "step", "rule.K": 1, "rule.lam": 0.2, "rule.rho": 0.6}
    )
    lab, learner = trainer.lab(), trainer.learner
    state, update = learner.learn(trainer.learned, lab)
    mu, rule = {name: read.W for name, read in lab.reads.items()}, of(trainer)
    d: dict[str, torch.Tensor] = {}
    expected, x, mean, kept = {name: torch.zeros_like(W) for name, W in mu.items()}, torch.zeros(lab.batch, 1), None, 0
    heard, losses = 0, []
    x = x.double()
    for t, u in enumerate(lab.inputs):
        for name, W in mu.items():
            xi = lab.streams.tensors("normal", f"wandering/{name}", [0], t, 1, tuple(W.shape), W)[0, 0]
            kept = exp(-0.2)
            d[name] = rule.deviation * xi if t == 0 else kept * d[name] + rule.deviation * (1 - kept**2) ** 0.5 * xi
        theta = {name: mu[name] + d[name] for name in mu}
        x = torch.tanh(u @ theta["w_in"].T + x @ theta["w"].T)
        y = x @ theta["w_out"].T
        if not lab.mask[t]:
            continue
        r = -float((y - lab.targets[t]).square().mean(-1).mean())
        losses.append(-r)
        mean = r if mean is None else mean
        for name in mu:
            expected[name] -= (r - mean) * d[name]
        mean, heard = r + (mean - r) * exp(-0.6), heard + 1
    assert 1 < heard < lab.steps
    for name, dW in update.arrays.items():
        torch.testing.assert_close(dW, expected[name], rtol=1e-9, atol=1e-16)
        torch.testing.assert_close(state[f"deviation {name}"], d[name], rtol=1e-12, atol=0)
    assert float(state["reward"]) == close(mean, rel=1e-12)
    assert update.diagnostics["loss"] == close(sum(losses) / heard, rel=1e-12)


@pytest.mark.parametrize("draw", ["pass", "step"])
def test_the_mean_update_is_the_gradient(draw):
    trainer = made(**{"rule.draw": draw, "rule.K": 200, "rule.rho": 0.05, "rule.lam": 0.7, "training.batch": 8})
    lab, state = trainer.lab(), trainer.learned
    total = {name: torch.zeros_like(read.W) for name, read in lab.reads.items()}
    for k in range(4):
        own = PassStreams(trainer.streams, "train", k)
        state, update = trainer.learner.learn(state, replace(lab, streams=own))
        total = {name: W + update.arrays[name] for name, W in total.items()}
    exact = gradient(trainer.substrate.weights, cast("Any", lab)).arrays
    flat = [torch.cat([part[name].flatten() for name in sorted(exact)]) for part in (total, exact)]
    assert float(torch.cosine_similarity(*flat, dim=0)) > 0.8


@pytest.mark.parametrize("backend", ["rate", "lif"])
def test_the_deviations_of_devices_are_those_that_the_presentation_was_read_with(backend):
    """What each step made of its inputs is (W + d_t) x_t, d_t as the learner draws it: outputs, word by word."""
    from neuroanp.training.realised import Realised

    spikes = {"backend": "lif", "neuron": "lif", "dt": "1 ms"} if backend == "lif" else {}
    trainer = made(**IN_TIME, **EXACT, **spikes)
    lab, plan = trainer.lab(), PassPlan((1.0,), (3,), "mean")
    chunks = [*lab.run(plan)]
    realised, seen = Realised(lab, plan, chunks[0].dt), 0.0
    assert {*realised.devices} == {"w_in", "w", "w_out"}
    for chunk in chunks:
        x = chunk.pre["w_out"] if "w_out" in chunk.pre else chunk.activities["hidden"].x
        done = 0
        for d in realised.draw(chunk.t0, len(chunk.y), at_once=500):
            steps = slice(done, done := done + len(d["w_out"]))
            W = lab.reads["w_out"].W + d["w_out"]
            torch.testing.assert_close(
                torch.einsum("tbnm,tbm->tbn", W, x[steps, 0]), chunk.y[steps, 0], rtol=1e-9, atol=1e-12
            )
            seen = max(seen, float(d["w_out"].abs().max()))
        assert done == len(chunk.y)
    assert seen > 1e-2


def test_devices_that_wander_teach_by_hand_and_each_of_their_reads_is_booked():
    from neuroanp.training.realised import Realised

    trainer = made(**IN_TIME)
    lab, learner = trainer.lab(), trainer.learner
    before = trainer.substrate.ledger.report()
    _, update = learner.learn(trainer.learned, lab)
    after = trainer.substrate.ledger.report()
    plan = PassPlan((1.0,), (0,), "mean")
    losses = torch.cat([lab.losses(chunk)[:, 0] for chunk in lab.run(plan, "loss", book=False)])
    (d,) = Realised(replace(lab, books=False), plan, 1e-6).draw(0, lab.steps, 1 << 24)
    mean, expected = None, {name: torch.zeros_like(W) for name, W in update.arrays.items()}
    for t in range(lab.steps):
        if lab.mask[t]:
            r = -losses[t]
            mean = float(r.mean()) if mean is None else mean
            for name in expected:
                expected[name] -= torch.einsum("b,bnm->nm", r - mean, d[name][t]) / lab.batch
            mean = float(r.mean()) + (mean - float(r.mean())) * exp(-of(trainer).rho)
    for name, dW in update.arrays.items():
        torch.testing.assert_close(dW, expected[name], rtol=1e-9, atol=1e-14)
    lines = sum(read.W.shape[1] for read in lab.reads.values())
    presented = 3 * lab.batch * lab.steps
    assert after["reads"] - before["reads"] == presented + lines * lab.batch * lab.steps
    quiet = made(**IN_TIME)
    for _ in quiet.lab().run(plan, "loss"):
        pass
    conversions = sum(read.W.numel() * max(read.bits, 1) for read in lab.reads.values() if read.adc is not None)
    found, own = (cast("Any", each.substrate.ledger).conversions for each in (trainer, quiet))
    assert found == own + conversions * lab.batch * lab.steps > own > 0
    assert after["energy"]["array_reads"] > 2 * quiet.substrate.ledger.report()["energy"]["array_reads"]


def test_what_stands_still_of_a_devices_noise_is_the_deviation_of_a_presentation():
    """PCM's 1/f noise: W as read against W without noise; programming errors and drift are in both."""
    trainer = made(profile="pcm", **{"rule.source": "device", "rule.K": 1})
    state, _ = trainer.learner.learn(trainer.learned, trainer.lab())
    trainer.update = 1
    lab, seen = spied(trainer)
    _, update = trainer.learner.learn(state, lab)
    (request,) = seen
    losses = torch.cat([lab.losses(chunk)[:, 0] for chunk in type(lab.backend)(1e-6).run(request._replace(book=False))])
    A = -float(losses.sum(0).mean() / lab.mask.sum()) - float(state["reward"])
    silent = trainer.substrate.prepare(trainer.window(), lab.streams, noise=False)
    for name, dW in update.arrays.items():
        d = request.reads[name].W - silent[name].W
        assert float(d.abs().max()) > 1e-5
        torch.testing.assert_close(dW, -A * d, rtol=1e-7, atol=0)


@pytest.mark.parametrize(
    "changes",
    [{}, {"rule.draw": "step"}, {"rule.preset": "paper"}, {"profile": "pcm"}, WANDERING, IN_TIME],
    ids=["pass", "step", "paper", "pcm", "standing", "in time"],
)
def test_twenty_updates_are_ten_and_ten_after_a_checkpoint(changes):
    whole, first, second = (made(**changes) for _ in range(3))
    rows = [whole.step() for _ in range(20)]
    for _ in range(10):
        first.step()
    second.load_state_dict({name: value.clone() for name, value in first.state_dict().items()})
    assert [second.step() for _ in range(10)] == rows[10:]
    assert same(second.state_dict(), whole.state_dict())


@pytest.mark.slow
@pytest.mark.parametrize("draw", ["pass", "step"])
def test_it_learns_in_a_world(acting, draw):  # noqa: F811
    """A point that is held. Where weights move at every step they must remember: what they did shows steps later."""
    chip, streams, lab = acting()
    lab = replace(lab, substrate=chip)
    slow = OUA(draw="step", K=6, lam=0.05, sigma=0.03, rho=0.02)
    learner = OUALearner(slow if draw == "step" else OUA(K=6, rho=0.2, sigma=0.1))
    state, losses = learner.init(chip.weights), []
    for update in range(25):
        own = PassStreams(streams, "train", update)
        state, dW = learner.learn(state, replace(lab, streams=own, reads=chip.prepare(1e-3, own)))
        losses.append(dW.diagnostics["loss"])
        norm = float(torch.stack([W.norm() for W in dW.arrays.values()]).norm())
        chip.apply(dW, 0.1 / norm, streams, update)
    assert sum(losses[-5:]) < 0.75 * sum(losses[:5])


def test_a_world_hears_the_weights_of_each_step(acting):  # noqa: F811
    """The loss of a presentation with weights that hardly move is that of the network as it is."""
    chip, _, lab = acting()
    learner = OUALearner(OUA(draw="step", sigma=1e-9))
    _, update = learner.learn(learner.init(chip.weights), lab)
    silent = PassPlan((0.0,), (0,), "mean")
    own = [lab.losses(chunk) for chunk in lab.run(silent, "loss")]
    assert update.diagnostics["loss"] == close(float(torch.cat(own).mean()), rel=1e-6)
    assert len(own) == Point.steps


class Leaving(Point):
    """Sequence b is over after 3 + b steps, of 12 at most; who is asked for more has not looked."""

    ends = torch.arange(3, 3 + Point.batch)

    def reset(self, passes, like):
        self.t, self.live = 0, torch.ones(passes, self.batch, dtype=torch.bool)
        return super().reset(passes, like)

    def step(self, t, y):
        assert t == self.t
        assert bool(self.live.any())
        before, (seen, loss) = self.live, super().step(t, y)
        self.t, self.live = t + 1, (self.ends > t + 1).expand_as(before)
        return seen, loss * before


@pytest.mark.parametrize("at_once", [5, 1 << 24])
def test_weights_that_move_at_every_step_stop_where_the_last_episode_ends(acting, monkeypatch, at_once):  # noqa: F811
    """Losses are over all T, as those of other rules; the deviations are those of the last step there was."""
    chip, _, lab = acting()
    lab = replace(lab, source=Leaving())
    numbers = sum(W.numel() for W in chip.weights.values())
    monkeypatch.setattr("neuroanp.training.oua_learner.AT_ONCE", at_once * numbers)
    learner = OUALearner(OUA(draw="step", K=2, sigma=1e-6, lam=0.2))
    state, update = learner.learn(learner.init(chip.weights), lab)
    own = torch.cat([lab.losses(chunk) for chunk in lab.run(PassPlan((0.0,), (0,), "mean"), "loss")])
    last = int(Leaving.ends.max())
    assert len(own) == last < Leaving.steps
    assert update.diagnostics["loss"] == close(float(own.sum()) / Leaving.steps / Leaving.batch, rel=1e-5)
    assert int(state["heard"]) == 2 * last
    for name, W in chip.weights.items():
        first, second = (
            lab.streams.tensors("normal", f"wandering/{name}", [k], 0, last, tuple(W.shape), W)[:, 0] for k in (0, 1)
        )
        d = wandered(wandered(None, first, 0.2, learner.rule.deviation)[-1], second, 0.2, learner.rule.deviation)
        torch.testing.assert_close(state[f"deviation {name}"], d[-1], rtol=1e-9, atol=0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"profile": "pcm", "rule.draw": "step"}, "rule.draw: 'step' moves weights between two steps, which no array"),
        ({"rule.source": "device", "rule.K": 1}, "profile 'ideal' has no read noise: nothing wanders; rules that can"),
        (
            {"rule.source": "device", "rule.K": 1, "profile": "fefet"},
            "has read noise that is new in every read: where a device is says nothing",
        ),
        ({**IN_TIME, "hardware.read": "moments"}, "is not drawn in time here, so that no device is anywhere at a step; "
         "use hardware.read: sampled"),
        ({**IN_TIME, "profile": "pcm", "hardware.read": "moments"}, "use hardware.read: sampled, with read_noise and"),
        ({**WANDERING, "hardware.read": "sampled"}, "nothing of the noise of profile 'rram_rtn' stands still"),
        ({"perturbation": {"name": "gaussian"}}, "'gaussian' is noise on the units, and rule 'oua' moves weights"),
        ({"backend": "loihi", "dt": "1 ms"}, "'oua' moves weights by less than backend 'loihi' resolves"),
        ({"backend": "lif", "dt": "1 ms", "rule.draw": "step"}, "is defined for rate networks alone; use 'pass'"),
    ],
)  # fmt: skip
def test_where_it_makes_no_sense_it_is_refused(changes, said, tmp_path: Path):
    with pytest.raises(InputError) as error:
        launch(configure(SMALL, changes), tmp_path)
    assert said in "\n".join([str(error.value), *error.value.problems])
    assert not [*tmp_path.iterdir()]


def test_a_run_says_how_its_devices_wander(tmp_path: Path):
    """lambda from the correlation of a device's noise over a step, sigma from its variance; the books are whole."""
    from neuroanp.profiles import load

    record = launch(configure(SMALL, IN_TIME), tmp_path)
    line = next(line for line in record.manifest["log"] if "by the read noise of their devices" in line)
    read = cast("Any", load("rram_rtn").read)
    lam = -torch.tensor(read.process().autocorrelation(1e-6)).log()
    assert f"lambda {float(lam):.3g} and sigma" in line
    assert "digitally" not in line
    own = launch(configure(SMALL, {"training.updates": 2}), tmp_path)
    assert any("weights, Ornstein-Uhlenbeck of sd 0.05" in line for line in own.manifest["log"])


def test_how_far_devices_wander_is_what_they_are_drawn_with():
    """Root of the mean over weights of what both devices of a pair add; without time, of what stands still of it."""
    from neuroanp.substrates.wandering import wandering

    trainer = made(**IN_TIME)
    chip = cast("Any", trainer.substrate)
    reads, found = trainer.lab().reads, wandering(chip, trainer.window(), drawn=True)
    still = wandering(chip, trainer.window(), drawn=False)
    for name, read in reads.items():
        assert read.process is not None
        variance = float(read.process.square().sum(0).mean())
        assert found[name].sd == close(variance**0.5, rel=1e-9)
        lam = found[name].lam
        assert lam is not None
        assert found[name].sigma == close((2 * lam * variance) ** 0.5, rel=1e-9)
        assert 0 < still[name].sd < found[name].sd
        assert still[name].lam is None
