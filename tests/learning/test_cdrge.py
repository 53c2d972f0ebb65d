"""CD-RGE against its closed forms: mean and variance over all signs, curvatures, and an update by hand."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import sqrt

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from neuroanp.errors import InputError
from neuroanp.learning.cdrge import CDRGE
from neuroanp.network.compose import Stacked, stack
from neuroanp.network.lstm import LSTM
from neuroanp.training.cdrge_learner import CDRGELearner
from neuroanp.training.configure import configure
from neuroanp.training.filling import METHODS
from tests.close import close

ESTIMATORS = pytest.mark.parametrize("estimator", ["cd-rge", "1.5-spsa"])
n = 6
EVERY = np.array([*product((1.0, -1.0), repeat=n)])
"""All 2^n vectors of signs."""
rng = np.random.default_rng(0)
A, b, x = rng.standard_normal((n, n)), rng.standard_normal(n), rng.standard_normal(n)
H, C = A + A.T, rng.standard_normal((n, n, n))


def quadratic(y):
    return 3.0 + b @ y + 0.5 * y @ H @ y


def cubic(y):
    return quadratic(y) + np.einsum("ijk,i,j,k", C, y, y, y)


def estimates(loss, rule: CDRGE) -> np.ndarray:
    """Return g of each vector of signs alone, (2^n, n), by the rule's own coefficients."""
    found = []
    for z in EVERY:
        losses = [loss(x + rule.eps * each.factor * z) for each in rule.presentations]
        found.append(rule.coefficients(losses)[0] * z)
    return np.array(found)


def gradient_of_cubic() -> np.ndarray:
    into = [np.einsum("ijk,j,k", np.moveaxis(C, axis, 0), x, x) for axis in range(3)]
    return b + H @ x + sum(into)


@pytest.mark.parametrize("eps", [1e-2, 1.0, 7.0])
def test_over_all_signs_the_mean_is_the_gradient_of_a_quadratic_at_any_eps(eps):
    np.testing.assert_allclose(estimates(quadratic, CDRGE(K=1, eps=eps)).mean(0), b + H @ x, rtol=1e-9)


def test_of_a_cubic_it_is_off_by_eps_squared_times_the_third_derivatives():
    """E z_i (C z z z) in closed form: C symmetrised, 3 sum_j C_ijj - 2 C_iii."""
    S = sum(np.transpose(C, p) for p in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))) / 6
    third = 3 * np.einsum("ijj->i", S) - 2 * np.einsum("iii->i", S)
    for eps in (1e-2, 0.5):
        off = estimates(cubic, CDRGE(K=1, eps=eps)).mean(0) - gradient_of_cubic()
        np.testing.assert_allclose(off, eps**2 * third, rtol=1e-5)


def test_the_variance_of_a_coordinate_is_that_of_all_others():
    g, found = b + H @ x, estimates(quadratic, CDRGE(K=1, eps=0.1))
    np.testing.assert_allclose(found.var(0), g @ g - g**2, rtol=1e-9)


def test_the_curvature_is_along_the_probe_and_its_mean_the_trace():
    """c = |z' H z| for a quadratic at any eps; alpha 1 and a small floor make each estimate (g.z) z / c."""
    rule, g = CDRGE(K=1, eps=0.3, estimator="1.5-spsa", alpha=1.0, floor=1e-6), b + H @ x
    along = np.einsum("ki,ij,kj->k", EVERY, H, EVERY)
    np.testing.assert_allclose(estimates(quadratic, rule), ((EVERY @ g) / abs(along))[:, None] * EVERY, rtol=1e-6)
    assert along.mean() == close(float(np.trace(H)), rel=1e-9)
    half = rule.model_copy(update={"alpha": 0.5})
    np.testing.assert_allclose(
        estimates(quadratic, half), ((EVERY @ g) / abs(along) ** 0.5)[:, None] * EVERY, rtol=1e-6
    )


def test_the_floor_is_the_least_divisor_and_without_power_it_is_central_differences():
    losses = [3.0, 1.0, 1.0]  # a curvature of 2 / eps^2
    rule = CDRGE(K=1, eps=0.5, estimator="1.5-spsa", alpha=1.0)
    assert rule.model_copy(update={"floor": 16.0}).coefficients(losses) == [2.0 / 16]
    assert rule.model_copy(update={"floor": 4.0}).coefficients(losses) == [2.0 / 8]
    root = rule.model_copy(update={"alpha": 0.5, "floor": 4.0})  # of the power, which is 2.8, not of the curvature, 8
    assert root.coefficients(losses) == [2.0 / 4]
    assert rule.model_copy(update={"alpha": 0.0}).coefficients(losses) == CDRGE(K=1, eps=0.5).coefficients(losses[:2])


# ---- what the learner does with a network ----


def quiet(make_lab, **sizes):
    return make_lab(sigma=0.0, **{"T": 4, "B": 3, "N": 4, **sizes})


def learn(lab, rule, learning=None, index=0, **context):
    return CDRGELearner(rule).learn({}, replace(lab.context(index, **context), learning=learning, books=False))[1]


def drawn(lab, k, index=0):
    streams = lab.context(index).streams
    return {
        name: streams.tensors("rademacher", f"signs/{name}", [k], 0, 1, tuple(W.shape), W)[0, 0]
        for name, W in lab.weights.items()
    }


def whole_loss(lab, weights):
    """L = sum_t 1/B sum_b L_tb of tanh units, by torch alone."""
    state, total = torch.zeros(lab.inputs.shape[1], len(weights["w"]), dtype=torch.float64), 0.0
    for u, target, m in zip(lab.inputs, lab.targets, lab.mask, strict=True):
        state = torch.tanh(u @ weights["w_in"].T + state @ weights["w"].T)
        total = total + m * (state @ weights["w_out"].T - target).square().mean(-1).mean()
    return total


@ESTIMATORS
def test_an_update_is_the_formula_by_hand(make_lab, estimator):
    """Losses of W + eps z and W - eps z by torch alone; curvature of the same losses."""
    lab, K, eps = quiet(make_lab), 3, 0.05
    rule = CDRGE(K=K, eps=eps, estimator=estimator, alpha=0.7, floor=0.1)
    expected, L0, seen = (
        {name: torch.zeros_like(W) for name, W in lab.weights.items()},
        whole_loss(lab, lab.weights),
        [],
    )
    for k in range(K):
        z = drawn(lab, k)
        up, down = (whole_loss(lab, {name: W + s * eps * z[name] for name, W in lab.weights.items()}) for s in (1, -1))
        seen += [up, down]
        size = (up - down) / (2 * eps * K)
        if estimator == "1.5-spsa":
            curvature = abs(up - 2 * L0 + down) / eps**2
            assert curvature**0.7 > 0.1
            size = size / curvature**0.7
        expected = {name: total + size * z[name] for name, total in expected.items()}
    found = learn(lab, rule)
    for name, W in expected.items():
        torch.testing.assert_close(found.arrays[name], W, rtol=1e-8, atol=1e-12)
    seen += [L0] if estimator == "1.5-spsa" else []
    assert found.diagnostics["loss"] == close(float(sum(seen) / len(seen) / lab.mask.sum()), rel=1e-12)


def test_its_mean_is_the_gradient_of_autograd(make_lab):
    """Of all arrays, in size and direction."""
    lab = quiet(make_lab, T=3, B=2, I=2, N=3, O=1)
    leaves = {name: W.clone().requires_grad_() for name, W in lab.weights.items()}
    exact = dict(zip(leaves, torch.autograd.grad(whole_loss(lab, leaves), [*leaves.values()]), strict=True))
    runs = [learn(lab, CDRGE(K=24, eps=1e-4), index=k).arrays for k in range(24)]
    for name, mean in exact.items():
        draws = torch.stack([run[name] for run in runs])
        error = draws.std(0) / sqrt(len(draws))
        worst = float(((draws.mean(0) - mean) / error.clamp_min(1e-12)).abs().max())
        assert worst < 5.5, (name, worst)  # 18 numbers of 24 draws each: Student's t, P(any beyond) < 1e-3


def test_arrays_that_do_not_learn_are_not_moved(make_lab):
    lab, seen = quiet(make_lab), []
    context = replace(lab.context(), learning=frozenset({"w"}), books=False)
    run = context.backend.run
    context.backend.run = lambda request: (
        seen.append({name: W.clone() for name, W in request.weights.items()}), run(request)
    )[1]  # fmt: skip
    before = {name: W.clone() for name, W in lab.weights.items()}
    found = CDRGELearner(CDRGE(K=2)).learn({}, context)[1].arrays
    assert not found["w_in"].any()
    assert not found["w_out"].any()
    assert float(found["w"].abs().max()) > 0
    assert len(seen) == 4
    for n_, weights in enumerate(seen):
        assert all(torch.equal(weights[name], before[name]) for name in ("w_in", "w_out"))
        assert torch.equal(weights["w"], before["w"] + (-1) ** n_ * 1e-3 * drawn(lab, n_ // 2)["w"])
    assert all(torch.equal(W, before[name]) for name, W in lab.weights.items())  # taken back, to the bit


@pytest.mark.parametrize("chunk", [1, 3, 30])
def test_result_does_not_depend_on_chunks(make_lab, chunk):
    lab = quiet(make_lab, T=11)
    whole, cut = (learn(lab, CDRGE(K=2, estimator="1.5-spsa"), chunk=size) for size in (1000, chunk))
    for name, W in whole.arrays.items():
        torch.testing.assert_close(cut.arrays[name], W, rtol=0, atol=1e-8 * float(W.abs().max()))


def test_gates_and_layers_learn_too(make_lab):
    lab = quiet(make_lab, network=stack(3, [Stacked(LSTM(), 4), Stacked(LSTM(), 3)], 2, True))
    assert all(float(W.abs().max()) > 0 for W in learn(lab, CDRGE()).arrays.values())


def test_the_preset_is_the_papers():
    config = configure({"task": "copy", "rule": {"name": "cdrge", "preset": "paper"}})
    assert (config.rule.K, config.rule.eps, config.rule.estimator) == (512, 1e-2, "cd-rge")
    assert (config.optimizer.name, config.optimizer.lr, config.optimizer.schedule) == ("sgd", 1e-2, "constant")


@pytest.mark.parametrize("name", [name for name in METHODS.names() if METHODS.get(name).presets])
def test_a_preset_that_is_no_name_is_refused_with_its_key(name):
    for preset in (["paper"], {}, 3):
        with pytest.raises(InputError, match=r"rule\.preset"):
            configure({"task": "copy", "rule": {"name": name, "preset": preset}})


@pytest.mark.parametrize("bad", [{"eps": 0.0}, {"K": 0}, {"alpha": 1.5}, {"floor": 0.0}, {"estimator": "spsa"}])
def test_bad_options_are_refused(bad):
    with pytest.raises(ValidationError):
        CDRGE(**bad)
