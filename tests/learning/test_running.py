"""Running averages: two passes in one limit, a noise-free reference in the other; only for batches that repeat."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from neuroanp.errors import InputError
from neuroanp.learning.anp import ANP
from neuroanp.learning.node_perturbation import NP
from neuroanp.losses import of_steps
from neuroanp.training.pass_learner import PassLearner
from neuroanp.trajectory import PassPlan

RUNNING = {"reference": "running", "average": 1.0}


class Passes(ANP):
    """ANP of the passes that two updates would take, on streams that a test lays side by side."""

    def plan(self) -> PassPlan:
        return PassPlan((1.0, 1.0), (0, 1), ((0, 1),), pre=0)


def run(lab, rule, updates, **context):
    """Return the states and updates of so many presentations of one batch, the weights as they are."""
    learner, state, found = PassLearner(rule), {}, []
    for k in range(updates):
        state, update = learner.learn(state, lab.context(update=k, **context))
        found.append((state, update))
    return found


def noise_of(lab, updates):
    """Return the noise of one pass in each of some updates, by group: (updates, T, B, n)."""
    plan, (T, B) = PassPlan((1.0,), (0,), "mean"), lab.sizes[:2]
    parts = [lab.substrate.perturbation(plan, B, lab.context(update=k).streams) for k in range(updates)]
    return {g: torch.stack([part.draw(g, 0, T)[:, 0] for part in parts]) for g in ("hidden", "output")}


class Laid:
    """Node noise that is given, (T, M, B, n) by group."""

    def __init__(self, given):
        self.given = given

    def white(self, layer):
        return None

    def draw(self, layer, t0, steps):
        return self.given[layer][t0 : t0 + steps].clone()


@pytest.mark.parametrize("options", [{}, {"difference": "innovation"}, {"norm": "layer", "gamma": 0.9}, {"gamma": 0.0}])
def test_with_the_last_pass_alone_it_is_two_pass_anp(make_lab, options):
    """Weight 1 on the newest pass, and weights that stay: the pass of update 2 against that of update 1."""
    lab = make_lab(T=6, B=3)
    (_, first), (_, second), (_, third) = run(lab, ANP(**RUNNING, **options), 3)
    assert all(not W.any() for W in first.arrays.values())
    noise = noise_of(lab, 3)
    for update, (now, before) in ((second, (1, 0)), (third, (2, 1))):
        laid = {group: torch.stack([each[now], each[before]], 1) for group, each in noise.items()}
        lab.substrate.perturbation = lambda *_, laid=laid, **__: Laid(laid)
        expected = lab.update(Passes(reference="two", **options)).arrays
        for name, W in expected.items():
            torch.testing.assert_close(update.arrays[name], W, rtol=1e-10, atol=1e-13 * float(W.abs().max()))


def test_with_a_long_memory_it_is_the_noise_free_reference(make_lab):
    """Plain means of the first 1 / average passes: the update tends to that against a silent pass as 1 / sqrt(k)."""
    lab = make_lab(T=4, B=2, sigma=1e-4)
    updates = 401
    found = run(lab, ANP(reference="running", average=1e-3), updates)
    silent = {}
    for k in (100, 400):  # the same noise against a pass without any
        given = {group: torch.stack([0 * each[k], each[k]], 1) for group, each in noise_of(lab, updates).items()}
        usual, lab.substrate.perturbation = lab.substrate.perturbation, lambda *_, given=given, **__: Laid(given)
        silent[k] = lab.update(ANP(reference="silent")).arrays
        lab.substrate.perturbation = usual
    gap = {k: float((found[k][1].arrays["w"] - W["w"]).norm() / W["w"].norm()) for k, W in silent.items()}
    assert gap[400] < gap[100] < 0.4
    assert gap[400] < 0.2


def test_the_averages_are_those_of_all_passes(make_lab):
    """Of k passes with weights max(average, 1/k): plain means at first, then forgetting."""
    lab, average = make_lab(T=5, B=2), 0.3
    passes = []
    for k in range(6):
        chunk = next(iter(lab.context(update=k).run(PassPlan((1.0,), (0,), "mean"), "all")))
        passes.append({
            "running/loss": of_steps(lab.loss, chunk.y, lab.targets, lab.mask)[:, 0],
            "running/hidden/h": chunk.layers["hidden"].h[:, 0], "running/y": chunk.y[:, 0],
        })  # fmt: skip
    expected = passes[0]
    for k, (state, _) in enumerate(run(lab, ANP(reference="running", average=average), 6)):
        rate = max(average, 1 / (k + 1))
        expected = {name: (1 - rate) * expected[name] + rate * passes[k][name] for name in expected}
        assert int(state["running/count"]) == k + 1
        for name, value in expected.items():
            torch.testing.assert_close(state[name], value, rtol=1e-12, atol=1e-14)
    plain_means = {name: torch.stack([each[name] for each in passes[:3]]).mean(0) for name in expected}
    third = run(lab, ANP(reference="running", average=average), 3)[-1][0]
    torch.testing.assert_close(third["running/y"], plain_means["running/y"], rtol=1e-12, atol=1e-14)


def test_node_perturbation_remembers_losses_alone_and_estimates_the_gradient(make_lab):
    """dW = (L - Lbar) n x^T / sigma^2, whatever Lbar is of: only its noise must be another."""
    lab = make_lab(T=4, B=2, N=6, sigma=1e-5)
    from neuroanp.baselines.bptt import gradient

    exact = gradient(lab.weights, lab.context()).arrays
    found = run(lab, NP(reference="running", average=0.1), 1300)
    assert {name for name in found[-1][0] if name.startswith("running/")} == {
        "running/loss", "running/count", "running/source", "running/targets", "running/mask",
    }  # fmt: skip
    for name in exact:
        draws = torch.stack([update.arrays[name] for _, update in found[100:]])
        error = draws.std(0) / np.sqrt(len(draws))
        worst = float(((draws.mean(0) - exact[name]) / error.clamp_min(1e-12)).abs().max())
        assert worst < 4.5, (name, worst)  # 66 numbers, whose references overlap a little
        along = (draws * exact[name]).sum((-2, -1)) / exact[name].square().sum()  # 1 on average: tells a factor
        assert abs(float(along.mean()) - 1.0) < 3 * float(along.std()) / np.sqrt(len(along)) < 0.75


@pytest.mark.parametrize("credit", ["sample", "batch"])
@pytest.mark.parametrize(
    "rule",
    [
        ANP(reference="running"),
        ANP(reference="running", difference="innovation"),
        ANP(reference="running", gamma=0),
        NP(reference="running"),
    ],
    ids=["anp", "innovation", "instantaneous", "np"],
)
def test_result_does_not_depend_on_chunks(make_lab, rule, credit):
    lab, rule = make_lab(T=11, B=3), rule.model_copy(update={"credit": credit})
    whole = run(lab, rule, 3, chunk=1000)[-1]
    for size in (1, 4, 10):
        cut = run(lab, rule, 3, chunk=size)[-1]
        for one, other in ((whole[0], cut[0]), (whole[1].arrays, cut[1].arrays)):
            scale = max(float(W.abs().max()) for W in one.values())
            assert all(torch.allclose(other[n], one[n], rtol=0, atol=1e-11 * scale) for n in one), size


@pytest.mark.parametrize("part", ["source", "targets", "mask"])
def test_a_batch_of_other_sequences_is_refused(make_lab, part):
    lab, learner = make_lab(), PassLearner(ANP(**RUNNING))
    state, _ = learner.learn({}, lab.context())
    learner.learn(state, lab.context(update=1))
    now = lab.context(update=1)
    other = replace(now, **{part: vars(now)[part] + 1e-6})
    with pytest.raises(InputError, match=r"rule.reference: 'running' .* has others in every update; use a task whose"):
        learner.learn(state, other)


def test_one_pass_an_update():
    plan = ANP(reference="running").plan()
    assert (plan.passes, plan.differences, plan.pre, plan.remembered) == (1, 1, 0, 1)
    with pytest.raises(ValidationError, match="takes one pass an update; leave K at 1"):
        ANP(reference="running", K=2)
    with pytest.raises(ValueError, match=r"pairs: \(0, 2\) is not two different passes out of 0 .. 1"):
        PassPlan((1.0,), (0,), ((0, 2),), remembered=1)


def test_its_options_are_written_out_where_they_are_chosen():
    assert "average" not in ANP().model_dump()
    assert ANP(reference="running", average=0.25).model_dump()["average"] == 0.25
