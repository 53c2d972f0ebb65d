"""A world that answers the network: each pass acts in its own, and the rule learns from what it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from neuroanp.backends.neuron import LIF
from neuroanp.backends.protocol import BACKENDS
from neuroanp.baselines.methods import BPTT
from neuroanp.errors import InputError
from neuroanp.learning.anp import ANP
from neuroanp.losses import SQUARED_ERROR
from neuroanp.network.compose import Stacked, stack
from neuroanp.network.init import xavier
from neuroanp.network.tanh import Tanh
from neuroanp.noise import PassStreams, Streams
from neuroanp.profiles import load
from neuroanp.substrates.chip import DeviceChip
from neuroanp.substrates.node_drive import NodeDrive
from neuroanp.training.gradient_learner import GradientLearner
from neuroanp.training.lab import Lab
from neuroanp.training.pass_learner import PassLearner
from neuroanp.training.presynaptic import Presynaptic
from neuroanp.trajectory import Credit, Weights
from tests.close import close
from tests.factors import factors_of

BATCH = 6


class Point:
    """A point that the output pushes, p <- p + y/4, to be held at 0 from where it begins; the input is p."""

    steps, batch, live = 12, BATCH, None

    def shared(self, by):
        return None

    def reset(self, passes, like):
        start = torch.linspace(-1.0, 1.0, BATCH, dtype=like.dtype, device=like.device)
        self.p = start.expand(passes, BATCH).clone()
        return self.p.unsqueeze(-1)

    def step(self, t, y):
        self.p = self.p + 0.25 * y[..., 0]
        return self.p.unsqueeze(-1), self.p.square()


@pytest.fixture(scope="module")
def acting():
    """A network of one input and one output, made for a world."""

    def make(profile="ideal", seed=0, backend="rate", cell=None):
        network = stack(1, [Stacked(cell or Tanh(), 10), Stacked(cell or Tanh(), 6)], 1, bias=True, skip=True)
        streams, dt = Streams(seed), 1e-6 if backend == "rate" else 1e-3
        weights = Weights(xavier(network, streams, torch.float64), network)
        chip = DeviceChip.build(
            load(profile), weights, streams=streams, dt=dt, dtype=torch.float64, drive=NodeDrive(0.02),
        )  # fmt: skip
        own = PassStreams(streams, "train", 0)
        world = Point()
        lab = Lab(
            world, torch.zeros(0), torch.ones(world.steps, dtype=torch.float64), chip, chip.prepare(1e-3, own),
            BACKENDS.get(backend)(dt, 5), own, 1 << 30, SQUARED_ERROR,
        )  # fmt: skip
        return chip, streams, lab

    return make


def test_each_pass_acts_in_a_world_of_its_own_and_sees_what_it_did(acting):
    _, _, lab = acting()
    plan = ANP(K=2).plan()
    chunks = list(lab.run(plan))
    assert [chunk.t0 for chunk in chunks] == list(range(Point.steps))
    p = torch.linspace(-1, 1, BATCH, dtype=torch.float64).expand(plan.passes, BATCH)
    for chunk in chunks:
        assert torch.equal(chunk.u[0, ..., 0], p)
        assert bool((chunk.u[..., -1] == 1).all())
        p = p + 0.25 * chunk.y[0, ..., 0]
        assert torch.equal(lab.losses(chunk)[0], p.square())
    assert float((chunks[-1].u[0, 0] - chunks[-1].u[0, 1]).abs().max()) > 1e-4  # passes went apart


@pytest.mark.parametrize("backend", ["rate", "lif", "spiking"])
def test_a_world_that_hears_nothing_is_the_data_it_shows(acting, backend):
    """Both ways to feed a simulator give the same passes, to the rounding of products."""

    class Tape:
        steps, batch, live = 30, BATCH, None
        shared = None

        def reset(self, passes, like):
            rng = np.random.default_rng(0)
            self.u = torch.from_numpy(rng.uniform(-1, 1, (self.steps + 1, self.batch, 1)))
            return self.u[0].expand(passes, -1, -1)

        def step(self, t, y):
            return self.u[t + 1].expand(len(y), -1, -1), y[..., 0].square()

    _, _, lab = acting(backend=backend, cell=None if backend == "rate" else LIF())
    tape, plan = Tape(), ANP(K=2).plan()
    tape.reset(1, torch.zeros(1))
    shown = replace(lab, source=tape.u[:-1])
    told, read = list(replace(lab, source=tape).run(plan)), list(shown.run(plan))
    for part in ("x", "h"):
        for name in ("hidden_1", "hidden_2"):
            both = [torch.cat([vars(c.layers[name])[part] for c in chunks]) for chunks in (told, read)]
            torch.testing.assert_close(*both, rtol=0, atol=1e-12)
    torch.testing.assert_close(torch.cat([c.y for c in told]), torch.cat([c.y for c in read]), rtol=0, atol=1e-12)
    network = lab.network
    for world, data in zip(told, read[0].y[: len(told)], strict=False):
        assert world.y.shape[1:] == data.shape
    pre = [Presynaptic.of(chunks[0], plan).by_array(network) for chunks in (told, read)]
    for name, x in pre[0].items():
        torch.testing.assert_close(x[0], pre[1][name][0], rtol=0, atol=1e-12)
    books = []
    for source in (tape, tape.u[:-1]):
        chip, _, own = acting("pcm", backend=backend, cell=None if backend == "rate" else LIF())
        for _ in replace(own, source=source).run(plan, "loss"):
            pass
        books.append(chip.ledger.report())
    assert books[0]["reads"] == books[1]["reads"]
    assert books[0]["spikes"] == books[1]["spikes"]
    assert books[0]["energy_J"] == pytest.approx(books[1]["energy_J"], rel=1e-9, abs=0)


def test_an_innovation_in_a_world_is_the_noise_of_the_unit_alone(acting):
    """Inputs differ between passes, too: what they bring is taken away with all else that arrays bring."""
    _, _, lab = acting()
    rule = ANP(difference="innovation", norm="layer", scale="one", K=2)
    plan, weights = rule.plan(), lab.substrate.weights
    ones = torch.ones(1, plan.differences, BATCH, dtype=torch.float64)
    for chunk in lab.run(plan, "noise"):
        found = factors_of(rule, chunk, Credit(hidden=ones, output=ones), weights, plan)
        for name, array in (("hidden_1", "w_in"), ("hidden_2", "w_1_2")):
            dn = chunk.noise[name][:, 0::2] - chunk.noise[name][:, 1::2]
            expected = (dn / dn.square().sum(-1, keepdim=True)).sum(1)
            torch.testing.assert_close(found[array], expected, rtol=1e-9, atol=0)
    assert float((chunk.u[0, 0] - chunk.u[0, 1]).abs().max()) > 1e-4


@pytest.mark.parametrize("reference", ["two", "silent"])
def test_presynaptic_in_a_world_is_what_the_passes_saw(acting, reference):
    """The mean of the inputs of all passes, or those of the silent one, and their bias line for the arrays with one."""
    _, _, lab = acting()
    plan = ANP(reference=reference, K=2).plan()
    *_, chunk = lab.run(plan)
    of_pass = chunk.u[0].unbind()
    u = of_pass[0] if reference == "silent" else (of_pass[0] + of_pass[1] + of_pass[2] + of_pass[3]) / 4
    pre = Presynaptic.of(chunk, plan).by_array(lab.network)
    torch.testing.assert_close(pre["w_in"][0], u, rtol=1e-12, atol=0)
    torch.testing.assert_close(pre["w_in_2"][0], u[:, :1], rtol=1e-12, atol=0)
    assert float((u - chunk.u[0, 1]).abs().max()) > 1e-4


def test_stored_and_replayed_passes_in_a_world_are_the_same(acting):
    _, _, lab = acting()
    learner = PassLearner(ANP(K=2))
    stored, replayed = (learner.learn({}, replace(lab, memory=memory))[1] for memory in (1 << 30, 0))
    for name, dW in stored.arrays.items():
        assert torch.equal(dW, replayed.arrays[name]), name


@pytest.mark.slow
def test_the_rule_learns_to_hold_the_point(acting):
    chip, streams, lab = acting()
    learner = PassLearner(ANP(reference="mean", K=8))
    losses = []
    for update in range(120):
        own = PassStreams(streams, "train", update)
        _, dW = learner.learn({}, replace(lab, streams=own, reads=chip.prepare(1e-3, own)))
        losses.append(dW.diagnostics["loss"])
        chip.apply(dW, 0.001, streams, update)
    alone = float(np.mean(np.linspace(-1, 1, BATCH) ** 2))  # a point that nobody pushes
    assert losses[-1] < 0.3 * alone


def test_steps_that_are_not_scored_count_for_nothing(acting):
    """As with data: the rule's loss is the mean over those that are, and no credit comes of the others."""
    _, _, lab = acting()
    mask = torch.ones_like(lab.mask)
    mask[:7] = 0
    some, rule = replace(lab, mask=mask), ANP(K=2)
    chunks = [*some.run(rule.plan())]
    assert len(chunks) > 1
    said = torch.cat([chunk.loss for chunk in chunks])
    assert torch.equal(torch.cat([some.losses(chunk) for chunk in chunks]), torch.cat([0 * said[:7], said[7:]]))
    _, update = PassLearner(rule).learn({}, some)
    assert update.diagnostics["loss"] == close(float(said[7:].mean()), rel=1e-12)


def test_a_digital_twin_has_nothing_to_be_shown(acting):
    _, _, lab = acting()
    with pytest.raises(InputError, match="a world that answers the network"):
        GradientLearner(BPTT()).learn({}, lab)
