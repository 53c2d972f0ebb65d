"""Sampled networks: units at their pairs, likely pairs, the Koopman map of linear systems, closing the loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import chisquare
from sklearn.linear_model import Ridge

from neuroanp.baselines.regression import Moments
from neuroanp.baselines.sampled import (
    STATE_LAMBDAS,
    S,
    Sampled,
    before,
    chances,
    delayed,
    free_run,
    koopman,
    recurrences,
    sample,
    swim,
)
from neuroanp.baselines.solved import exact_error, outputs
from neuroanp.errors import InputError
from tests.close import close


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def turning(steps: int, sequences: int, size: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return a damped rotation A and its states u_{t+1} = A u_t from random starts, (T, B, 2)."""
    A = 0.98 * np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    u = [size * rng(1).uniform(-1, 1, (sequences, 2))]
    for _ in range(steps - 1):
        u.append(u[-1] @ A.T)
    return A, np.array(u)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 7), st.sampled_from([0.1, 1.0, 3.0]), st.integers(0, 10**6))
def test_a_unit_is_minus_and_plus_s_at_its_pair(dimensions, scale, seed):
    """And 0 half-way, with a slope along the pair alone."""
    v1, v2, other = rng(seed).normal(size=(3, 5, dimensions))
    w, b = swim(v1, v2, scale)
    at = [np.sum(w * v, axis=1) + b for v in (v1, v2, (v1 + v2) / 2)]
    np.testing.assert_allclose(at[0], -scale * S, rtol=1e-9)
    np.testing.assert_allclose(at[1], scale * S, rtol=1e-9)
    np.testing.assert_allclose(at[2], 0, atol=1e-9)
    way = v2 - v1
    across = other - way * (np.sum(other * way, 1) / np.sum(way**2, 1))[:, None]
    np.testing.assert_allclose(np.sum(w * across, axis=1), 0, atol=1e-9 * np.abs(w).max())


def test_at_its_pair_a_unit_is_minus_and_plus_a_half():
    w, b = swim(np.array([[0.3, -0.2]]), np.array([[0.1, 0.9]]))
    assert float(np.tanh(w @ [0.3, -0.2] + b)[0]) == close(-0.5)
    assert float(np.tanh(w @ [0.1, 0.9] + b)[0]) == close(0.5)


def test_pairs_are_as_likely_as_the_target_changes_fast_between_them():
    """The pairs that units got, against |f(v2) - f(v1)|_max / |v2 - v1|, by the slopes that tell which pair it was."""
    v = np.array([[0.0], [0.4], [1.5], [2.2]])  # all distances differ
    f = np.array([[0.0, 1.0], [3.0, 1.0], [2.5, -1.0], [2.0, 0.5]])
    units = 20_000
    found = sample(
        Sampled(delays=1, candidates=3), v[None], f[None], np.ones(1), units, np.inf, rng(3)
    )  # one step: the state before it is 0
    slopes = 2 * S / np.abs(found.w_c[:, 0])
    wanted = {}
    for i in range(4):
        for j in range(i):
            apart = abs(v[i, 0] - v[j, 0])
            wanted[round(apart, 6)] = np.abs(f[i] - f[j]).max() / apart
    counts = np.array([int((np.abs(slopes - apart) < 1e-6).sum()) for apart in wanted])
    assert counts.sum() == units
    p = np.array(list(wanted.values()))
    # drawn of 60,000 candidates, which differ from their mean by about 1 %: within what that and the draws make
    assert chisquare(counts, units * p / p.sum()).statistic < 4 * chisquare_bound(len(p))
    assert chisquare(counts, np.full(len(p), units / len(p))).pvalue < 1e-6


def chisquare_bound(cells: int) -> float:
    """Return what a chi-square of so many cells exceeds once in 1e4."""
    from scipy.stats import chi2

    return float(chi2.isf(1e-4, cells - 1))


def test_chances_are_the_finite_differences_and_uniform_ones_alike():
    v, f = rng(0).normal(size=(9, 3)), rng(1).normal(size=(9, 2))
    first, second = rng(2).integers(9, size=(2, 50))
    p = chances(v, f, first, second, "gradient")
    assert p.sum() == close(1.0)
    own = [
        0.0 if i == j else max(abs(f[i] - f[j])) / np.sqrt(((v[i] - v[j]) ** 2).sum())
        for i, j in zip(first, second, strict=True)
    ]
    np.testing.assert_allclose(p, np.array(own) / sum(own), rtol=1e-12)
    alike = chances(v, f, first, second, "uniform")
    assert set(alike.round(12)) == {0.0, round(1 / int((first != second).sum()), 12)}


@pytest.mark.parametrize("how", ["gradient", "uniform"])
def test_data_without_pairs_are_refused(how):
    first, second = np.array([0, 1]), np.array([1, 0])
    with pytest.raises(InputError, match="inputs that differ from step to step"):
        chances(np.ones((2, 1)), np.array([[0.0], [1.0]]), first, second, how)


def test_targets_that_do_not_differ_are_refused_unless_pairs_are_uniform():
    first, second, v = np.array([0, 1]), np.array([1, 0]), np.array([[0.0], [1.0]])
    with pytest.raises(InputError, match=r"rule\.pairs: 'gradient' asks for targets that differ.*use uniform"):
        chances(v, np.ones((2, 1)), first, second, "gradient")
    assert chances(v, np.ones((2, 1)), first, second, "uniform").tolist() == [0.5, 0.5]


def test_the_koopman_map_of_a_linear_system_is_the_system():
    """With the state, and the input that drives it, as the features, K is (A, B) to rounding."""
    A, u = turning(20, 6)
    np.testing.assert_allclose(koopman(u[:-1].reshape(-1, 2), u[1:].reshape(-1, 2), 1e-14), A, atol=1e-10)
    B, c, h = np.array([[0.5], [-1.0]]), rng(4).normal(size=(200, 1)), rng(5).normal(size=(200, 2))
    K = koopman(np.concatenate([h, c], 1), h @ A.T + c @ B.T, 1e-14)
    np.testing.assert_allclose(K, np.concatenate([A, B], 1), atol=1e-10)


def test_a_map_in_the_span_of_the_features_is_found():
    """h_{t+1} = K tanh(W_s h + b): least squares finds K, whichever it is."""
    h, K = rng(0).normal(size=(400, 2)), rng(1).normal(size=(2, 12))
    w, b = swim(rng(2).normal(size=(12, 2)), rng(3).normal(size=(12, 2)))
    x = np.tanh(h @ w.T + b)
    np.testing.assert_allclose(koopman(x, x @ K.T, 1e-14), K, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("strength", [1e-8, 1e-2, 1.0])
def test_ridge_is_the_normal_equations_and_that_of_sklearn(strength):
    x, h = rng(0).normal(size=(300, 7)) * np.arange(1, 8), rng(1).normal(size=(300, 3))
    K = koopman(x, h, strength)
    damping = strength * float(np.mean(x**2)) * len(x)
    np.testing.assert_allclose(K @ (x.T @ x + damping * np.eye(7)), h.T @ x, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(K, Ridge(alpha=damping, fit_intercept=False).fit(x, h).coef_, rtol=1e-8, atol=1e-12)


def one_step_error(scale: float) -> float:
    """Return the error of a sampled network of few units on x' = A x, one step ahead: too few to undo the cubes."""
    A, u = turning(1, 500)  # one step: the state before it is 0, and v_t = u_t has two dimensions
    rule, target, mask = Sampled(delays=1, scale=scale), u @ A.T, np.ones(len(u))
    hidden = sample(rule, u, target, mask, 2, np.inf, rng(7))
    x = np.tanh(hidden.preactivations(u, before(delayed(u, 1)))).reshape(-1, 2)
    lines = np.concatenate([x, np.ones((len(x), 1))], 1)
    W = koopman(lines, target.reshape(-1, 2), 1e-14)
    return float(np.sqrt(np.mean((lines @ W.T - target.reshape(-1, 2)) ** 2)))


def test_on_a_linear_system_the_error_is_of_second_order_in_the_scale():
    """x = tanh(a p) = a p - a^3 p^3 / 3 + ..: outputs undo the factor a, and a^2 is left of the cube.

    Two units and the constant span what is affine in two inputs, and no more: halving the scale divides the error by 4.
    """
    errors = [one_step_error(scale) for scale in (0.2, 0.1, 0.05)]
    assert errors[0] / errors[1] == close(4.0, rel=0.05)
    assert errors[1] / errors[2] == close(4.0, rel=0.02)


def whole_network(rule: Sampled, u: np.ndarray, target: np.ndarray, units: int, strength: float, washout: int = 0):
    """Return W_in, W, and W_out fitted to what the network itself does after the first steps."""
    hidden = sample(rule, u, target, np.ones(len(u)), units, np.inf, rng(7))
    W = next(recurrences(hidden, u, rule.delays, (strength,)))
    w_in = np.concatenate([hidden.w_c, hidden.b[:, None]], 1)
    x, xs = np.zeros((u.shape[1], units)), []
    for now in u:
        x = np.tanh(now @ hidden.w_c.T + hidden.b + x @ W.T)
        xs.append(x)
    lines = np.concatenate([np.array(xs), np.ones((*u.shape[:2], 1))], -1)[washout:].reshape(-1, units + 1)
    return w_in, W, koopman(lines, target[washout:].reshape(-1, target.shape[-1]), 1e-13)


def test_a_whole_network_predicts_a_linear_system_that_it_sees_in_part():
    """One coordinate of a rotation is decided by two samples of it: the state that the recurrence carries."""
    _, u = turning(30, 60)
    seen, target = u[:-3, :, :1], u[3:, :, :1]
    w_in, W, w_out = whole_network(Sampled(delays=2, scale=0.2), seen, target, 60, 1e-10, washout=4)
    y = np.array([free_run(w_in, W, w_out, seen[: t + 1], 1)[0] for t in range(4, len(seen))])
    assert np.sqrt(np.mean((y - target[4:]) ** 2)) < 1e-3 * target.std()
    slope = float((seen * target).sum() / (seen**2).sum())  # what the present sample alone tells is far worse
    assert np.sqrt(np.mean((slope * seen - target) ** 2)) > 0.2 * target.std()


def test_a_loop_that_is_closed_goes_on_as_the_linear_system_does():
    """With outputs that are the next inputs: 10 steps of its own against A^10."""
    A, u = turning(30, 60)
    w_in, W, w_out = whole_network(Sampled(delays=1, scale=0.2), u[:-1], u[1:], 60, 1e-12)
    goes_on = free_run(w_in, W, w_out, u[:5], 10)
    np.testing.assert_allclose(goes_on[-1], u[4] @ np.linalg.matrix_power(A, 10).T, atol=2e-3)
    np.testing.assert_allclose(goes_on, u[5:15], atol=2e-3)


def test_a_control_goes_beside_the_outputs_in_a_closed_loop():
    one = np.ones((1, 1))
    w_in = np.array([[0.0, 0.5, 0.0]])  # the control alone
    given = np.array([[[0.2]], [[0.4]]])
    y = free_run(w_in, 0 * one, np.array([[1.0, 0.0]]), np.array([[[0.0, 1.0]]]), 3, given)
    assert y.ravel().tolist() == close([np.tanh(0.5), np.tanh(0.1), np.tanh(0.2)])


def test_the_recurrence_is_the_sampled_weights_times_the_koopman_map():
    """Ridge is linear in its targets: W, found unit by unit, is W_s K, and has the rank of the state."""
    u = rng(5).uniform(-1, 1, (15, 30, 2))  # whose two last are four numbers, as those of a rotation are not
    rule = Sampled(delays=2)
    hidden = sample(rule, u, u, np.ones(len(u)), 20, np.inf, rng(0))
    h = delayed(u, 2)
    x = np.tanh(hidden.preactivations(u, before(h)))
    K = koopman(x.reshape(-1, 20), h.reshape(-1, 4), 1e-6)
    (W,) = recurrences(hidden, u, 2, (1e-6,))
    np.testing.assert_allclose(W, hidden.w_s @ K, rtol=1e-6, atol=1e-8 * np.abs(W).max())
    assert np.linalg.matrix_rank(W, tol=1e-8 * np.abs(W).max()) == 4


def test_the_state_is_the_last_inputs_and_rest_before_the_start():
    u = rng(0).normal(size=(6, 3, 2))
    h = delayed(u, 4)
    np.testing.assert_array_equal(h[5].reshape(3, 4, 2), u[[5, 4, 3, 2]].transpose(1, 0, 2))
    np.testing.assert_array_equal(h[1].reshape(3, 4, 2)[:, 2:], 0)
    np.testing.assert_array_equal(before(h)[0], 0)
    np.testing.assert_array_equal(before(h)[1:], h[:-1])
    assert delayed(u, 9).shape == (6, 3, 18)


def test_points_are_of_steps_that_count():
    """Pairs lie among the scored steps: of the others a unit's middle would say otherwise."""
    u = np.concatenate([np.full((3, 8, 1), 100.0), rng(0).uniform(-1, 1, (3, 8, 1))])
    mask = np.array([0, 0, 0, 0, 1, 1.0])
    hidden = sample(Sampled(delays=1), u, u, mask, 50, np.inf, rng(1))
    v = np.concatenate([u, before(delayed(u, 1))], -1)[mask > 0].reshape(-1, 2)
    at = v @ np.concatenate([hidden.w_c, hidden.w_s], 1).T + hidden.b
    for unit in range(50):  # both points of each pair are there
        assert np.abs(at[:, unit] + S).min() < 1e-9
        assert np.abs(at[:, unit] - S).min() < 1e-9


def test_units_that_an_array_cannot_hold_are_less_steep_in_the_same_place():
    _, u = turning(15, 30)
    free, boxed = (sample(Sampled(), u, u, np.ones(15), 40, limit, rng(0)) for limit in (np.inf, 0.3))
    assert np.abs(free.w_c).max() > 0.3
    assert max(np.abs(boxed.w_c).max(), np.abs(boxed.b).max()) <= 0.3 * (1 + 1e-12)
    for one, other in ((boxed.w_c, free.w_c), (boxed.w_s, free.w_s), (boxed.b[:, None], free.b[:, None])):
        np.testing.assert_allclose(one, boxed.slope[:, None] * other, rtol=1e-12)
    largest = np.maximum(np.abs(free.w_c).max(1), np.abs(free.b))
    np.testing.assert_allclose(boxed.slope, np.minimum(1, 0.3 / largest))
    assert (free.slope == 1).all()


def test_of_recurrences_those_that_an_array_holds_are_tried():
    _, u = turning(15, 30)
    hidden = sample(Sampled(), u, u, np.ones(15), 20, np.inf, rng(0))
    free = list(recurrences(hidden, u, 4))
    assert len(free) == len(STATE_LAMBDAS)
    sizes = [np.abs(W).max() for W in free]
    limit = sorted(sizes)[2] * 1.0001
    held = list(recurrences(hidden, u, 4, limit=limit))
    assert [np.abs(W).max() for W in held] == [size for size in sizes if size <= limit]
    (least,) = recurrences(hidden, u, 4, (1e-6,), limit=1e-3)  # and else a stronger ridge, by decades
    assert 0 < np.abs(least).max() <= 1e-3


def moments(seed: int, rows: int = 200, noise: float = 0.1) -> Moments:
    found = Moments(4, 2)
    x = rng(seed).normal(size=(rows, 4))
    found.add(x, x @ np.array([[3.0, 0], [0, 1], [1, 1], [0, 0]]) + noise * rng(seed + 10).normal(size=(rows, 2)))
    return found


def test_outputs_are_within_their_box_and_the_best_there():
    """At a bound the others make up for it: cutting the free solution off is not the least."""
    fit, held, limits = moments(0), moments(1), np.array([2.0, 2.0, 2.0, 2.0])
    found = outputs(fit, held, (1e-12,), limits)
    both = fit.joined(held)
    free = np.linalg.solve(both.gram, both.cross)
    assert np.abs(found.w_out).max() == close(2.0)
    assert both.error(found.w_out.T) < both.error(np.clip(free, -2, 2))
    np.testing.assert_allclose(outputs(fit, held, (1e-12,), np.full(4, np.inf)).w_out.T, free, rtol=1e-6)
    assert exact_error(fit, held, (1e-12,), limits) == np.inf
    assert exact_error(fit, held, (1e-12,), np.full(4, 9.0)) == close(held.error(np.linalg.solve(fit.gram, fit.cross)))


def test_the_ridge_is_the_one_that_does_best_on_what_was_not_fitted():
    """Of few noisy rows it is neither the strongest nor the weakest."""
    fit, held = moments(0, rows=10, noise=2.0), moments(1, noise=2.0)
    grid = (1.0, 1e-1, 1e-2, 1e-3, 1e-10)
    errors = [exact_error(fit, held, (one,), np.full(4, np.inf)) for one in grid]
    found = outputs(fit, held, grid, np.full(4, np.inf))
    assert found.strength == 0.1 == grid[int(np.argmin(errors))]
    assert found.error == close(min(errors))
    assert exact_error(fit, held, grid, np.full(4, np.inf)) == close(min(errors))


def test_options_are_checked():
    assert Sampled(ridge=1e-3).strengths((1.0, 2.0)) == (1e-3,)
    assert Sampled().strengths((1.0, 2.0)) == (1.0, 2.0)
    for wrong in ({"delays": 0}, {"scale": 0.0}, {"candidates": 0}, {"ridge": 0.0}, {"pairs": "all"}):
        with pytest.raises(ValidationError):
            Sampled(**wrong)
