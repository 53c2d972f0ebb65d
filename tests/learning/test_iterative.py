"""Iterative node perturbation: one group at a time, the gradient, and what the noise of others no longer costs."""

from __future__ import annotations

from itertools import product
from math import sqrt

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroanp.baselines.bptt import gradient
from neuroanp.errors import InputError
from neuroanp.learning.anp import ANP
from neuroanp.learning.iterative import INP
from neuroanp.learning.node_perturbation import NP
from neuroanp.losses import of_steps
from neuroanp.network.compose import Stacked, stack
from neuroanp.network.relu import ReLU
from neuroanp.network.tanh import Tanh
from neuroanp.substrates.node_noise import NodeNoise
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.trajectory import PassPlan
from tests.factors import factors_of

VARIANTS = [
    INP(reference=reference, norm=norm, credit=credit, gamma=gamma, K=K, loss=loss)
    for reference, norm, credit, gamma, K, loss in product(
        ("silent", "two", "antithetic"), ("noise", "variance"), ("sample", "batch"), (0.0, 0.8, 1.0), (1, 2),
        ("step", "trial"),
    )
]  # fmt: skip
ARRAYS = {0: ("w_in", "w"), 1: ("w_out",)}
"""By group: the arrays that reach its units."""


class Alone(NP):
    """Node perturbation of given passes."""

    plan_: PassPlan

    def plan(self) -> PassPlan:
        return self.plan_


def test_passes_of_two_layers_and_the_outputs():
    plan = INP(groups=3, K=2).plan()
    assert (plan.passes, plan.differences, plan.pre) == (7, 6, 0)
    assert plan.only == (None, 0, 1, 2, 0, 1, 2)
    assert [plan.of_group(k) for k in range(3)] == [
        (0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0),
    ]  # fmt: skip
    mirrored = INP(reference="antithetic").plan()
    assert (mirrored.noise, mirrored.stream, mirrored.only) == ((1.0, -1.0, 1.0, -1.0), (0, 0, 1, 1), (0, 0, 1, 1))


@pytest.mark.parametrize("reference", ["silent", "two", "antithetic"])
def test_one_group_at_a_time_has_noise(make_lab, reference):
    lab, rule = (
        make_lab(network=stack(3, [Stacked(Tanh(), 4), Stacked(Tanh(), 5)], 2)),
        INP(reference=reference, groups=3),
    )
    chunk, plan = next(iter(lab.context().run(rule.plan(), "noise"))), rule.plan()
    names = ["hidden_1", "hidden_2", "output"]
    for m, only in enumerate(plan.only):
        on = [name for name in names if bool(chunk.noise[name][:, m].any())]
        assert on == ([] if only is None else [names[only]])


@pytest.mark.parametrize(("reference", "norm"), [*product(("silent", "two", "antithetic"), ("noise", "variance"))])
def test_it_estimates_the_gradient_itself(make_lab, reference, norm):
    """The expected update is the gradient of all blocks, in size and direction."""
    lab = make_lab(T=4, B=2, N=6, sigma=1e-5)
    exact = gradient(lab.weights, lab.context()).arrays
    rule = INP(reference=reference, norm=norm, K=96)
    runs = [lab.update(rule, update=k).arrays for k in range(40)]
    for name in exact:
        draws = torch.stack([run[name] for run in runs])
        error = draws.std(0) / sqrt(len(draws))
        worst = float(((draws.mean(0) - exact[name]) / error.clamp_min(1e-12)).abs().max())
        assert worst < 4.5, (name, worst)  # 66 numbers: P(any beyond 4.5 standard errors) < 1e-3


def test_it_is_the_sum_over_groups_of_node_perturbation_of_each(make_lab):
    """Pass 1 + g against the silent one is what NP does where group g alone has noise."""
    lab = make_lab(T=6, B=3)
    whole = lab.update(INP(norm="variance")).arrays
    for g, names in ARRAYS.items():
        alone = PassPlan((0.0, 1.0), (0, 1 + g), ((1, 0),), pre=0, only=(None, g))
        part = lab.update(Alone(reference="silent", plan_=alone)).arrays
        for name, W in whole.items():
            expected = W if name in names else torch.zeros_like(W)
            torch.testing.assert_close(part[name], expected, rtol=1e-10, atol=1e-12 * float(W.abs().max()))


def linear(lab) -> tuple[float, torch.Tensor]:
    """Make y linear in all noise (ReLU far from 0, one step, the same input for all): return 2 e and a = dy/dh."""
    lab.weights["w_in"].abs_()
    lab.inputs = torch.ones_like(lab.inputs)
    lab.targets = torch.zeros_like(lab.targets)
    a = lab.weights["w_out"][0]
    return 2 * float(a @ (lab.inputs[0, 0] @ lab.weights["w_in"].T)), a


CASES = {
    "inp variance": (INP(norm="variance"), lambda g, a: g**2 * (a @ a + a**2), lambda g, a: 2 * g**2),
    "inp noise": (
        INP(),
        lambda g, a: g**2 * (len(a) * (a @ a + 2 * a**2) / (len(a) + 2) - a**2),
        lambda g, a: torch.zeros(()),
    ),
    "np": (NP(reference="silent"), lambda g, a: g**2 * (a @ a + a**2 + 1), lambda g, a: g**2 * (2 + a @ a)),
}


@pytest.mark.parametrize("case", CASES)
def test_its_variance_on_a_linear_network(make_lab, case):
    """With g = dL/dy, and e_i = g (a . n) n_i / s^2: noise of the outputs adds nothing to hidden units, and back."""
    rule, of_hidden, of_output = CASES[case]
    lab = make_lab(T=1, B=40_000, I=3, N=4, O=1, sigma=1e-5, network=stack(3, [Stacked(ReLU(), 4)], 1))
    lab.mask[:] = 1
    g, a = linear(lab)
    chunk = next(iter(lab.context().run(rule.plan(), "noise")))
    credit = rule.assign(of_steps(lab.loss, chunk.y, lab.targets, lab.mask), rule.plan(), chunk.dt)
    factors = factors_of(rule, chunk, credit, lab.weights, rule.plan())
    share = rule.groups if isinstance(rule, INP) else 1  # `finish` divides by all differences
    for name, mean, variance in (("w_in", g * a, of_hidden(g, a)), ("w_out", torch.tensor([g]), of_output(g, a))):
        found = factors[name][0] / share
        error = found.std(0) / sqrt(len(found))
        assert bool(((found.mean(0) - mean).abs() < 4.5 * error + 1e-4 * abs(g)).all()), name
        squares = (found - mean).square()
        spread = squares.std(0) / sqrt(len(found))
        assert bool(((squares.mean(0) - variance).abs() < 4.5 * spread + 1e-3 * g**2).all()), name


@settings(max_examples=25, deadline=None)
@given(rule=st.sampled_from(VARIANTS), chunk=st.integers(1, 30), T=st.integers(1, 25), replay=st.booleans())
def test_result_does_not_depend_on_chunks_or_replay(make_lab, rule, chunk, T, replay):
    lab = make_lab(T=T, B=3)
    at_once = lab.update(rule, chunk=1000).arrays
    cut = lab.update(rule, chunk=chunk, memory=0 if replay else 1 << 30).arrays
    scale = max(float(W.abs().max()) for W in at_once.values())
    assert all(torch.allclose(cut[n], at_once[n], rtol=0, atol=1e-12 * scale) for n in at_once)


def test_another_number_of_groups_is_refused(make_lab):
    with pytest.raises(InputError, match=r"rule.groups: 3, and this network has 2: \('hidden', 'output'\)"):
        make_lab().update(INP(groups=3))
    with pytest.raises(InputError, match=r"rule.groups: 4, and this network has 2 groups"):
        configure({"task": "copy", "rule": {"name": "inp", "groups": 4}})


def test_groups_are_those_of_the_network_unless_stated():
    layers = [{"units": 5}, {"cell": "gru", "units": 4}]
    assert configure({"task": "copy", "rule": "inp", "network": {"layers": layers}}).rule.groups == 3
    assert configure({"task": "copy", "rule": {"name": "inp", "K": 2}, "network": {"layers": layers}}).rule.groups == 3
    assert configure({"task": "copy", "rule": "inp"}).rule.groups == 2
    assert "groups" not in configure({"task": "copy", "rule": "anp", "network": {"layers": layers}}).to_plain()["rule"]


def test_a_pass_for_its_losses_alone_has_noise_in_one_group_too(make_lab):
    """In single precision simulators draw white noise themselves; of one group at a time they cannot."""
    lab, plan = make_lab(), INP().plan()
    streams = lab.context().streams
    noise = [
        NodeNoise(each, lab.weights.network.lines, 4, streams, torch.zeros(1), sigma=0.1, dt=1.0)
        for each in (plan, ANP().plan())
    ]
    assert noise[0].white("hidden") is None
    assert noise[1].white("hidden") is not None
    config = {
        "task": {"name": "copy", "length": 2, "delay": 1, "test_size": 4},
        "network": {"hidden": 6},
        "rule": "inp",
    }
    stored, replayed = (build_trainer(Experiment.of(configure(config, {"training.batch": 4}))) for _ in range(2))
    replayed.memory = 0
    found = [trainer.learner.learn({}, trainer.lab())[1].arrays for trainer in (stored, replayed)]
    for name, W in found[0].items():
        assert float((found[1][name] - W).norm() / W.norm()) < 1e-3
