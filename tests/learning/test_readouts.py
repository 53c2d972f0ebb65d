"""Outputs that are told their errors: the delta rule against the gradient, least squares against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from neuroanp.baselines.bptt import gradient
from neuroanp.learning.anp import ANP
from neuroanp.learning.node_perturbation import NP
from neuroanp.learning.readouts import inferred, least_squares
from neuroanp.losses.cross_entropy import CrossEntropy
from neuroanp.losses.squared_error import SQUARED_ERROR, OfValues
from neuroanp.network.compose import Stacked, one_layer, stack
from neuroanp.network.network import OUTPUT
from neuroanp.network.tanh import Tanh
from neuroanp.training.pass_learner import PassLearner
from neuroanp.training.told_outputs import with_outputs
from neuroanp.trajectory import WeightUpdate
from tests.learning.test_decorrelation import with_matrices
from tests.training.own_losses import LogCosh


def of_lab(lab):
    return type("B", (), {"inputs": lab.inputs, "targets": lab.targets, "mask": lab.mask})()


@pytest.mark.parametrize("bias", [False, True])
def test_delta_without_noise_is_the_gradient_of_the_readout(make_lab, bias):
    lab = make_lab(T=7, B=4, bias=bias)
    found = lab.update(ANP(reference="silent", K=2, readout="delta")).arrays
    assert_close(found["w_out"], gradient(lab.weights, of_lab(lab)).arrays["w_out"], rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("rule", [ANP(reference="two", K=2), ANP(reference="mean", K=3), NP(K=2)])
def test_delta_is_the_mean_over_passes_of_their_own_errors_and_activities(make_lab, rule):
    lab, delta = make_lab(T=6, B=3, sigma=0.3), rule.model_copy(update={"readout": "delta"})
    (chunk,) = lab.context(backend=type(lab.context().backend)).run(delta.plan())
    x, y = chunk.activities["hidden"].x, chunk.y
    total = np.zeros(tuple(lab.weights["w_out"].shape))
    for t in range(6):
        for m in range(x.shape[1]):
            for b in range(3):
                e = lab.mask[t] * (y[t, m, b] - lab.targets[t, b])  # 2/O of two outputs
                total += np.outer(e, x[t, m, b])
    found, usual = lab.update(delta).arrays, lab.update(rule).arrays
    assert_close(found["w_out"], torch.from_numpy(total / (3 * x.shape[1])), rtol=1e-10, atol=1e-13)
    for name in ("w_in", "w"):  # hidden units hear the scalar loss, as ever
        assert_close(found[name], usual[name], rtol=1e-12, atol=0.0)


@pytest.mark.parametrize(
    "rule", [ANP(readout="delta", K=2), ANP(readout="rls", gamma=0.0, errors="inferred"), NP(readout="delta")]
)
@pytest.mark.parametrize("how", [{"chunk": 1}, {"chunk": 4}, {"memory": 0}, {"memory": 900, "chunk": 2}])
def test_chunks_and_replays_change_nothing(make_lab, rule, how):
    lab, learner = make_lab(T=9, B=3), PassLearner(rule)
    state = learner.init(lab.weights)
    after, whole = learner.learn(state, lab.context())
    again, cut = learner.learn(state, lab.context(**how))
    for found, expected in ((again, after), (cut.arrays, whole.arrays), (cut.steps, whole.steps)):
        assert found.keys() == expected.keys()
        for name in found:
            assert_close(found[name], expected[name], rtol=1e-10, atol=1e-13)


def test_least_squares_in_blocks_is_least_squares_over_all_that_was_seen():
    rng = np.random.default_rng(0)
    X, target = rng.standard_normal((5, 40, 6)), rng.standard_normal((5, 40, 3))
    W, R = torch.from_numpy(rng.standard_normal((3, 6))), torch.zeros(6, 6, dtype=torch.float64)
    for x, wanted in zip(X, target, strict=True):
        lines = torch.from_numpy(x)
        e = 2.0 / 3.0 * (lines @ W.T - torch.from_numpy(wanted))
        R, step = least_squares(R, e.T @ lines, lines.T @ lines, 1.0, 1e-9)
        W = W - step
    best = np.linalg.lstsq(X.reshape(-1, 6), target.reshape(-1, 3), rcond=None)[0].T
    assert_close(W, torch.from_numpy(best), rtol=1e-4, atol=1e-5)


def test_least_squares_forgets():
    """Of blocks that contradict each other, weights 1, 1/2, 1/4 count: the mean of targets so weighted."""
    W, R = torch.zeros(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
    for wanted in (8.0, 4.0, 2.0):
        R, step = least_squares(R, 2 * (W - wanted), torch.ones(1, 1), 0.5, 1e-9)
        W = W - step
    assert_close(float(W), (8 / 4 + 4 / 2 + 2) / 1.75, rtol=1e-6, atol=0.0)


def test_lines_that_carry_the_same_stay_finite():
    x = torch.ones(4, 2, dtype=torch.float64)
    _, step = least_squares(torch.zeros(2, 2, dtype=torch.float64), -2 * x.sum(0, keepdim=True), x.T @ x, 1.0, 1e-9)
    assert_close(-step, torch.full((1, 2), 0.5, dtype=torch.float64), rtol=1e-6, atol=0.0)
    nothing = torch.zeros(2, 2, dtype=torch.float64)
    assert bool((least_squares(nothing, nothing[:1], nothing, 1.0, 1e-9)[1] == 0).all())


@pytest.mark.parametrize("ridge", [1e-3, 0.5])
def test_least_squares_with_a_ridge_is_ridge_regression_from_the_weights_it_had(ridge):
    """One block: argmin |X W^T - Y|^2 + r |W - W_0|^2."""
    rng = np.random.default_rng(0)
    x, y, W0 = rng.standard_normal((40, 6)), rng.standard_normal((40, 3)), rng.standard_normal((3, 6))
    lines = torch.from_numpy(x)
    e = 2.0 / 3.0 * (lines @ torch.from_numpy(W0).T - torch.from_numpy(y))
    _, step = least_squares(torch.zeros(6, 6, dtype=torch.float64), e.T @ lines, lines.T @ lines, 1.0, ridge)
    r = ridge * np.trace(x.T @ x) / 6
    best = W0 + np.linalg.solve(x.T @ x + r * np.eye(6), x.T @ (y - x @ W0.T)).T
    assert_close(torch.from_numpy(W0) - step, torch.from_numpy(best), rtol=1e-9, atol=1e-12)


def test_a_block_of_inferred_errors_never_makes_its_own_larger():
    """What is inferred of O errors is O u u^T e: counted O times it leaves e - u u^T e, and once e - O u u^T e."""
    rng, many, n, m = np.random.default_rng(0), 6, 5, 8  # fewer samples than lines: a block that can be fitted
    W, target = rng.standard_normal((many, m)), rng.standard_normal((n, many))
    x, dy = torch.from_numpy(rng.standard_normal((n, m))), torch.from_numpy(rng.standard_normal((1, 1, n, many)))
    e = 2.0 / many * (x.numpy() @ W.T - target)
    told = inferred(torch.from_numpy((e * dy[0, 0].numpy()).sum(-1))[None, None], dy)[0]
    u = dy[0, 0].numpy() / np.linalg.norm(dy[0, 0].numpy(), axis=-1, keepdims=True)
    for counts in (1.0, float(many)):
        nothing = torch.zeros(m, m, dtype=torch.float64)
        _, step = least_squares(nothing, told.T @ x, x.T @ x, 1.0, 1e-12, counts)
        after = 2.0 / many * (x.numpy() @ (W - step.numpy()).T - target)
        assert_close(after, e - many / counts * u * (u * e).sum(-1, keepdims=True), rtol=1e-6, atol=1e-9)
    assert bool((np.linalg.norm(after, axis=-1) <= np.linalg.norm(e, axis=-1)).all())


@pytest.mark.parametrize(
    ("errors", "outputs", "options", "K"),
    [("told", 3, {}, 1), ("inferred", 1, {}, 1), ("inferred", 3, {}, 1), ("inferred", 3, {"K": 4}, 4),
     ("inferred", 3, {"reference": "mean", "K": 4}, 4), ("inferred", 3, {"reference": "silent", "K": 4}, 4)],
)  # fmt: skip
def test_only_where_several_errors_are_inferred_does_the_newest_block_count_more(errors, outputs, options, K):
    rng = torch.Generator().manual_seed(0)
    network = one_layer({"w_in": (4, 2), "w": (4, 4), "w_out": (outputs, 4)})
    s = torch.randn((outputs, 4), generator=rng, dtype=torch.float64)
    lines = torch.randn((9, 4), generator=rng, dtype=torch.float64)
    g, before = lines.T @ lines, 3.0 * torch.eye(4, dtype=torch.float64)
    rule = ANP(readout="rls", errors=errors, forget=0.5, ridge=1e-12, **options)
    found = WeightUpdate({"readout S": s, "readout G": g}, {})
    state, update = with_outputs(found, {"readout R": before}, rule, network)
    counts = outputs * (K + outputs + 1) / (K * outputs + 2) if errors == "inferred" else 1
    held = 0.5 * before + counts * g  # of which it remembers G once
    assert_close(state["readout R"], 0.5 * before + g, rtol=1e-12, atol=0.0)
    assert_close(update.steps["w_out"], outputs / 2 * s @ torch.linalg.inv(held), rtol=1e-8, atol=1e-12)


class Absolute(OfValues):
    """A loss that does not say its error."""

    def of(self, y, targets):
        return (y - targets).abs().sum(-1)


@pytest.mark.parametrize("loss", [SQUARED_ERROR, CrossEntropy(), LogCosh(), Absolute()])
@pytest.mark.parametrize("outputs", [1, 3])
def test_the_error_of_a_loss_is_its_derivative(loss, outputs):
    rng = torch.Generator().manual_seed(0)
    y = torch.randn((4, 2, outputs), generator=rng, dtype=torch.float64)
    targets = torch.randn((4, 2, outputs), generator=rng, dtype=torch.float64)
    if isinstance(loss, CrossEntropy):
        targets = targets.sign() if outputs == 1 else targets.softmax(-1)
    leaf = y.clone().requires_grad_()
    loss.of(leaf, targets).sum().backward()
    assert_close(loss.error(y, targets), leaf.grad, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("reference", ["two", "mean"])
def test_one_output_infers_its_error_from_the_scalar_loss(make_lab, reference):
    """Of two passes exactly, with all that the delta rule says of both."""
    lab = make_lab(T=6, B=3, O=1, sigma=0.3)
    told, inferred = (ANP(reference=reference, readout="delta", errors=errors) for errors in ("told", "inferred"))
    found, expected = (lab.update(rule).arrays for rule in (inferred, told))
    assert_close(found["w_out"], expected["w_out"], rtol=1e-7, atol=1e-9)
    assert (inferred.feedback, told.feedback) == ("S", "S+")


def test_several_outputs_infer_the_projection_of_their_errors(make_lab):
    """In the mean over noise that is alike at all of them it is the error itself; noise of units alone is not."""
    lab = make_lab(T=3, B=2, O=3, sigma=1e-4)
    lab.substrate.output_sigma = 1.0  # what hidden units do to the outputs is next to nothing
    lab.targets, lab.mask = lab.targets + 30.0, torch.ones(3).double()
    rule = ANP(reference="two", readout="delta", errors="inferred")
    found = torch.stack([lab.update(rule, update=update).arrays["w_out"] for update in range(800)]).mean(0)
    exact = gradient(lab.weights, of_lab(lab)).arrays["w_out"]
    assert float((found * exact).sum() / found.norm() / exact.norm()) > 0.99
    assert float(found.norm() / exact.norm()) == pytest.approx(1.0, rel=0.05, abs=0)


def test_an_error_is_inferred_from_the_loss_of_its_step():
    with pytest.raises(ValueError, match="errors 'inferred' needs loss 'step'"):
        ANP(readout="delta", errors="inferred", loss="trial")
    assert ANP(loss="trial", readout="delta").errors == "told"


def test_classes_of_feedback():
    assert (ANP().feedback, ANP(readout="delta").feedback, NP(readout="rls").feedback) == ("S", "S+", "S+")


def test_a_readout_by_perturbation_is_written_as_it_was_before_there_was_a_choice():
    assert not {"readout", "errors", "forget", "ridge"} & ANP().model_dump().keys()
    assert ANP(readout="delta").model_dump()["readout"] == "delta"
    assert "forget" not in ANP(readout="delta").model_dump()
    assert ANP(readout="rls", forget=0.9).model_dump()["forget"] == 0.9
    assert ANP(**ANP(readout="rls", forget=0.9).model_dump()) == ANP(readout="rls", forget=0.9)


def test_least_squares_sees_the_scored_steps_of_every_pass(make_lab):
    """By hand, of what two layers with a bias carry to the output side by side."""
    network = stack(3, [Stacked(Tanh(), 4), Stacked(Tanh(), 3)], 2, bias=True, skip=True)
    lab, rule = make_lab(T=6, B=3, network=network), ANP(readout="rls", K=1)
    lab.mask[2] = 0.0
    learner = PassLearner(rule)
    (chunk,) = lab.context().run(rule.plan())
    lines = []
    for p in network.feed(OUTPUT):
        x = chunk.activities[p.pre].x
        lines.append(torch.cat([x, torch.ones_like(x[..., :1])], -1) if p.bias else x)
    x = torch.cat(lines, -1) * lab.mask[:, None, None, None]
    G = torch.einsum("tmbi,tmbj->ij", x, x) / (2 * 3)
    state, update = learner.learn(learner.init(lab.weights), lab.context())
    assert_close(state["readout R"], G, rtol=1e-10, atol=1e-13)
    assert {name: tuple(step.shape) for name, step in update.steps.items()} == {
        p.name: tuple(lab.weights[p.name].shape) for p in network.feed(OUTPUT)
    }
    again, _ = learner.learn(state, lab.context())
    assert_close(again["readout R"], (1 + rule.forget) * G, rtol=1e-10, atol=1e-13)
    assert not set(update.steps) & set(update.arrays)


@pytest.mark.parametrize("readout", ["delta", "rls"])
def test_outputs_that_are_told_their_errors_read_decorrelated_activity(make_lab, readout):
    """S D^T and D G D^T of what the units themselves did, and D learns as without."""
    lab, on = make_lab(T=5, B=3), {"decorrelation": {"lr": 0.1}}
    draw = torch.Generator().manual_seed(0)
    D = {"hidden": torch.eye(6).double() + 0.3 * torch.randn((6, 6), generator=draw).double()}
    told, usual = ANP(readout=readout, **on), ANP(**on)
    context = with_matrices(lab.context(), D)
    learner = PassLearner(told)
    state, found = learner.learn(learner.init(lab.weights), context)
    _, expected = PassLearner(usual).learn({}, context)
    assert_close(found.decorrelation["hidden"], expected.decorrelation["hidden"], rtol=1e-12, atol=0.0)
    (chunk,) = context.run(told.plan())
    x = chunk.activities["hidden"].x @ D["hidden"].mT
    e = lab.mask[:, None, None, None] * (chunk.y - lab.targets.unsqueeze(1))
    if readout == "delta":
        assert_close(found.arrays["w_out"], torch.einsum("tmbo,tmbi->oi", e, x) / 6, rtol=1e-9, atol=1e-12)
    else:
        scored = x * lab.mask[:, None, None, None]
        assert_close(state["readout R"], torch.einsum("tmbi,tmbj->ij", scored, x) / 6, rtol=1e-9, atol=1e-12)
    for name in ("w_in", "w"):
        assert_close(found.arrays[name], expected.arrays[name], rtol=1e-9, atol=1e-12)
