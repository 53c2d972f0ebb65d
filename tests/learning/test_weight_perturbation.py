"""Weight perturbation against autograd, its variance in closed form, and what each presentation sees."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from neuroanp.learning.weight_perturbation import WP
from neuroanp.losses import of_steps
from neuroanp.network.compose import Stacked, stack
from neuroanp.network.gru import GRU
from neuroanp.training.configure import configure
from neuroanp.training.weight_learner import WeightLearner
from neuroanp.trajectory import PassPlan

PLAN = PassPlan((0.0,), (0,), "mean")
REFERENCES = pytest.mark.parametrize("reference", ["silent", "two", "antithetic"])


def quiet(make_lab, **sizes):
    """A network whose units have no noise."""
    return make_lab(sigma=0.0, **{"T": 4, "B": 3, "N": 4, **sizes})


def update(lab, rule, learning=None, index=0, **context):
    return WeightLearner(rule).learn({}, replace(lab.context(index, **context), learning=learning))[1]


def drawn(lab, k, t=0, index=0):
    """Return the normals of one perturbation by array, as the streams of an update have them."""
    streams = lab.context(index).streams
    return {
        name: torch.from_numpy(streams.normal(f"weights/{name}", k, t, 1, tuple(W.shape), "float64")[0])
        for name, W in lab.weights.items()
    }


def per_sequence(lab):
    """Return the gradient of the whole loss of each sequence by autograd: torch alone, no step of the package."""
    leaves = {name: W.clone().requires_grad_() for name, W in lab.weights.items()}
    x, total = torch.zeros(lab.inputs.shape[1], len(leaves["w"]), dtype=torch.float64), 0.0
    for u, target, m in zip(lab.inputs, lab.targets, lab.mask, strict=True):
        x = torch.tanh(u @ leaves["w_in"].T + x @ leaves["w"].T)
        total = total + m * (x @ leaves["w_out"].T - target).square().mean(-1)
    return [
        dict(zip(leaves, torch.autograd.grad(L, [*leaves.values()], retain_graph=True), strict=True)) for L in total
    ]


def along(gradient, xi):
    return sum(float((gradient[name] * xi[name]).sum()) for name in xi)


def apart(reference, lab, k, D):
    """Return how perturbations differ in the k-th pair of a part whose first number is D, and the variance of that."""
    if reference == "two":
        one, other = drawn(lab, D + 2 * k), drawn(lab, D + 2 * k + 1)
        return {name: one[name] - other[name] for name in one}, 2.0
    one = drawn(lab, D + k)
    return (one, 1.0) if reference == "silent" else ({name: 2 * x for name, x in one.items()}, 4.0)


@REFERENCES
@pytest.mark.parametrize("credit", ["batch", "sample"])
@pytest.mark.parametrize("scale", ["variance", "sigma"])
def test_it_is_the_directional_derivative_of_autograd_times_the_noise(make_lab, reference, credit, scale):
    """dW = 1/K sum_k (g . dxi_k) dxi_k / var for a small sigma; of each sequence, of its own gradient and noise."""
    lab, K, sigma = quiet(make_lab), 3, 1e-6
    rule = WP(reference=reference, credit=credit, K=K, sigma=sigma, scale=scale)
    gradients, B = per_sequence(lab), lab.sizes[1]
    expected = {name: torch.zeros_like(W) for name, W in lab.weights.items()}
    for b in range(B):
        first = (2 * K if reference == "two" else K) * b if credit == "sample" else 0
        for k in range(K):
            xi, variance = apart(reference, lab, k, first)
            size = along(gradients[b], xi) / (K * B)
            size /= variance if scale == "variance" else sqrt(variance) / sigma
            expected = {name: total + size * xi[name] for name, total in expected.items()}
    found = update(lab, rule).arrays
    for name, W in expected.items():
        torch.testing.assert_close(found[name], W, rtol=0, atol=2e-4 * float(W.abs().max()))


CASES = [
    *[{"reference": r, "credit": c} for r in ("silent", "two", "antithetic") for c in ("batch", "sample")],
    {"draw": "step"}, {"draw": "step", "reference": "antithetic"},
]  # fmt: skip


@pytest.mark.parametrize("options", CASES, ids=lambda o: "-".join(o.values()))
def test_its_mean_is_the_gradient(make_lab, options):
    """Of all arrays, in size and direction; at every step with the losses that follow it."""
    lab, parts = quiet(make_lab, T=3, B=2, I=2, N=3, O=1), 24
    exact = per_sequence(lab)
    rule = WP(sigma=1e-5, K=24 if "credit" in options else 12, **options)
    runs = [update(lab, rule, index=k).arrays for k in range(parts)]
    for name in runs[0]:
        draws = torch.stack([run[name] for run in runs])
        error = draws.std(0) / sqrt(len(draws))
        mean = sum(each[name] for each in exact) / len(exact)
        worst = float(((draws.mean(0) - mean) / error.clamp_min(1e-12)).abs().max())
        assert worst < 5.5, (name, worst)  # 18 numbers of 24 draws each: Student's t, P(any beyond) < 1e-3


@pytest.mark.parametrize(("credit", "K"), [("batch", 1), ("batch", 4), ("sample", 1)])
def test_its_variance_is_that_of_all_weights_together(make_lab, credit, K):
    """sum_i var_i = (n + 1) |g|^2 / K; with noise of its own for each of B sequences 1/B^2 sum_b (n + 1) |g_b|^2."""
    lab = quiet(make_lab, T=3, B=4, I=2, N=3, O=1)
    gradients, n = per_sequence(lab), sum(W.numel() for W in lab.weights.values())
    B = len(gradients)
    mean = {name: sum(each[name] for each in gradients) / B for name in lab.weights}
    sizes = [along(each, each) for each in gradients]
    expected = (n + 1) * (along(mean, mean) / K if credit == "batch" else sum(sizes) / B**2)
    squares = []
    for k in range(300):
        found = update(lab, WP(sigma=1e-6, credit=credit, K=K), index=k).arrays
        squares.append(sum(float((found[name] - mean[name]).square().sum()) for name in mean))
    squares = torch.tensor(squares)
    assert abs(float(squares.mean()) - expected) < 4.5 * float(squares.std()) / sqrt(len(squares))
    assert float(squares.std()) / sqrt(len(squares)) < 0.15 * expected  # tells K = 4 from K = 3


def test_mirrored_moves_have_no_error_of_even_order(make_lab):
    """L is a quadratic of w_out: L(W + s xi) - L(W - s xi) = 2 s g . xi, and so (g . xi) xi, at any sigma."""
    lab = quiet(make_lab)
    gradients = per_sequence(lab)
    g = sum(each["w_out"] for each in gradients) / len(gradients)
    xi = drawn(lab, 0)["w_out"]
    found = update(lab, WP(reference="antithetic", sigma=10.0), frozenset({"w_out"})).arrays["w_out"]
    torch.testing.assert_close(found, (g * xi).sum() * xi, rtol=1e-9, atol=0)
    silent = update(lab, WP(reference="silent", sigma=10.0), frozenset({"w_out"})).arrays["w_out"]
    assert float((silent - found).norm() / found.norm()) > 1


def test_arrays_that_do_not_learn_are_not_moved(make_lab):
    lab, seen = quiet(make_lab), []
    context = replace(lab.context(), learning=frozenset({"w"}))
    run = context.backend.run
    context.backend.run = lambda request: (seen.append(request.weights), run(request))[1]
    found = WeightLearner(WP(K=2)).learn({}, context)[1].arrays
    assert not found["w_in"].any()
    assert not found["w_out"].any()
    assert float(found["w"].abs().max()) > 0
    moves = [{name: W - lab.weights[name] for name, W in weights.items()} for weights in seen]
    assert len(moves) == 3
    assert sum(bool(each["w"].any()) for each in moves) == 2
    assert not any(bool(each[name].any()) for each in moves for name in ("w_in", "w_out"))
    for k in range(2):
        expected = 1e-3 * drawn(lab, k)["w"]
        assert any(torch.allclose(each["w"], expected, rtol=1e-9, atol=1e-15) for each in moves)


@settings(max_examples=20, deadline=None)
@given(
    reference=st.sampled_from(["silent", "two", "antithetic"]), credit=st.sampled_from(["batch", "sample"]),
    chunk=st.integers(1, 30), T=st.integers(1, 25),
)  # fmt: skip
def test_result_does_not_depend_on_chunks(make_lab, reference, credit, chunk, T):
    lab, rule = quiet(make_lab, T=T), WP(reference=reference, credit=credit, K=2)
    whole, cut = (update(lab, rule, chunk=size) for size in (1000, chunk))
    for name, W in whole.arrays.items():
        torch.testing.assert_close(cut.arrays[name], W, rtol=0, atol=1e-9 * float(W.abs().max()))


def test_each_sequence_alone_is_a_batch_of_one(make_lab):
    """The part of sequence b is what a batch of that sequence learns, with draws K b .. K b + K - 1."""
    lab, K = quiet(make_lab, B=3), 2
    whole = update(lab, WP(credit="sample", K=K)).arrays
    learner = WeightLearner(WP(credit="batch", K=3 * K))
    parts = {name: torch.zeros_like(W) for name, W in whole.items()}
    for b in range(3):
        now = lab.context()
        alone = replace(now, source=now.source[:, b : b + 1], targets=now.targets[:, b : b + 1])
        for k, dL, xi in learner._moved(alone, []):
            number = next(n for n in range(3 * K) if torch.equal(xi["w"], drawn(lab, n)["w"]))
            if number // K == b:
                for name, x in xi.items():
                    parts[name] += k * dL * x / (1e-3 * K * 3)
    for name, W in whole.items():
        torch.testing.assert_close(parts[name], W, rtol=1e-9, atol=1e-12 * float(W.abs().max()))


def test_at_every_step_it_is_the_paper(make_lab):
    """dW = sum_t mean_b(dL_tb) xi_t, of a network whose weights are W + sigma xi_t at step t; torch alone."""
    lab, sigma = quiet(make_lab), 0.05
    rule = WP(preset="paper", sigma=sigma)
    assert (rule.reference, rule.draw, rule.gamma, rule.scale) == ("silent", "step", 0.0, "sigma")
    xi = [drawn(lab, 0, t) for t in range(len(lab.inputs))]

    def losses(factor):
        x, found = torch.zeros(3, 4, dtype=torch.float64), []
        for t, (u, target) in enumerate(zip(lab.inputs, lab.targets, strict=True)):
            W = {name: w + factor * sigma * xi[t][name] for name, w in lab.weights.items()}
            x = torch.tanh(u @ W["w_in"].T + x @ W["w"].T)
            found.append(lab.mask[t] * (x @ W["w_out"].T - target).square().mean())
        return found

    moved, still = losses(1.0), losses(0.0)
    found = update(lab, rule).arrays
    for name, W in found.items():
        expected = sum((a - b) * xi[t][name] for t, (a, b) in enumerate(zip(moved, still, strict=True)))
        torch.testing.assert_close(W, expected, rtol=1e-10, atol=1e-13)
    options = configure({"task": "copy", "rule": {"name": "wp", "preset": "paper"}}).optimizer
    assert (options.name, options.schedule) == ("sgd", "constant")


def test_gates_and_layers_learn_too(make_lab):
    lab = quiet(make_lab, network=stack(3, [Stacked(GRU(), 4), Stacked(GRU(), 3)], 2, True))
    for rule in (WP(), WP(draw="step")):
        assert all(float(W.abs().max()) > 0 for W in update(lab, rule).arrays.values())


def test_the_loss_is_the_mean_of_all_presentations(make_lab):
    lab = quiet(make_lab)
    y = next(iter(lab.context().run(PLAN, "loss"))).y
    still = float(of_steps(lab.loss, y, lab.targets, lab.mask).sum() / lab.mask.sum() / 3)
    for rule in (WP(sigma=1e-7), WP(sigma=1e-7, credit="sample"), WP(sigma=1e-7, reference="two", K=3)):
        assert abs(update(lab, rule).diagnostics["loss"] / still - 1) < 1e-5


@pytest.mark.parametrize(
    "options", [{"draw": "step", "credit": "sample"}, {"sigma": 0.0}, {"K": 0}, {"reference": "mean"}, {"gamma": 1.5}]
)
def test_bad_options_are_refused(options):
    with pytest.raises(ValidationError):
        WP(**options)
