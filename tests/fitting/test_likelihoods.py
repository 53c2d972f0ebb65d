"""The likelihoods behind the fits against sums, integrals and joint normal densities written out."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

from neuroanp.fitting import hmm, kalman, steps, two_level
from neuroanp.fitting.estimate import Undetermined, gradient_of, maximise
from neuroanp.fitting.exponents import Exponents
from neuroanp.fitting.goodness import chi_squared, of_residuals
from neuroanp.fitting.programming import censored
from neuroanp.fitting.spread import spread
from tests.close import close

LEVELS, SIGMA, A, B = np.array([-0.3, 1.1]), 0.6, 0.15, 0.25


def forward(v: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the log likelihood and the filtered probabilities by the recursion, sample by sample."""
    matrix, x, loglik, after = np.array([[1 - A, A], [B, 1 - B]]), hmm.stationary(A, B), 0.0, []
    for t, sample in enumerate(v):
        x = (x if t == 0 else x @ matrix) * stats.norm.pdf(sample, LEVELS, SIGMA)
        loglik += math.log(x.sum())
        x = x / x.sum()
        after.append(x)
    return loglik, np.array(after).T


@pytest.mark.parametrize("n", [1, 2, 7, 200, 1003])
def test_blockwise_filter_is_the_recursion(n: int) -> None:
    v = np.random.default_rng(n).normal(0.4, 0.9, n)
    e, scale = hmm.densities(v, LEVELS, SIGMA)
    after, loglik = hmm.filtered(e, A, B)
    expected, states = forward(v)
    assert loglik + scale == close(expected, rel=1e-12)
    np.testing.assert_allclose(after, states, atol=1e-12)


def test_posterior_is_the_sum_over_all_paths() -> None:
    v = np.random.default_rng(0).normal(0.4, 0.9, 6)
    matrix, first = np.array([[1 - A, A], [B, 1 - B]]), hmm.stationary(A, B)
    density = stats.norm.pdf(v[:, None], LEVELS, SIGMA)
    total, high, jumps = 0.0, np.zeros(6), np.zeros((2, 2))
    for path in np.ndindex(*[2] * 6):
        p = first[path[0]] * density[0, path[0]]
        for t in range(1, 6):
            p *= matrix[path[t - 1], path[t]] * density[t, path[t]]
        total += p
        high += p * np.array(path)
        for before, after in pairwise(path):
            jumps[before, after] += p
    found = hmm.moments(v, LEVELS, SIGMA, A, B)
    assert found.loglik == close(math.log(total), rel=1e-12)
    np.testing.assert_allclose(found.high, high / total, atol=1e-12)
    np.testing.assert_allclose(found.jumps, jumps / total, atol=1e-12)


def test_gradient_of_the_telegraph_likelihood() -> None:
    v = np.random.default_rng(1).normal(0.4, 0.9, 300)
    theta = np.array([-0.4, 1.0, math.log(0.5), math.log(2.0), math.log(5.0)])
    numeric = gradient_of(lambda t: two_level.loglik_and_gradient(v, t)[0], theta)
    np.testing.assert_allclose(two_level.loglik_and_gradient(v, theta)[1], numeric, rtol=1e-5, atol=1e-5)


def test_transition_probabilities_are_those_of_the_laws() -> None:
    from neuroanp.devices import telegraph

    high, low, dt = 3.0, 5.0, 1.7
    a, b = two_level.flips(np.array([0, 0, 0, math.log(low / dt), math.log(high / dt)]))
    rise, stay = telegraph.transition(
        telegraph.occupancy(high, low), telegraph.correlation_time(high, low), dt
    )  # fmt: skip
    assert (a, 1 - b) == (close(rise, rel=1e-12), close(stay, rel=1e-12))


def test_surprises_are_uniform_and_independent() -> None:
    rng = np.random.default_rng(3)
    state = [0]
    for u in rng.random(20_000):
        state.append(int(u < A) if state[-1] == 0 else int(u >= B))
    v = LEVELS[np.array(state)] + SIGMA * rng.standard_normal(len(state))
    u = hmm.surprises(v, LEVELS, SIGMA, A, B)
    assert all(not test.fails() for test in of_residuals(stats.norm.ppf(u)))


@pytest.mark.parametrize(("multiplicative", "seen"), [(False, 0.0), (False, 0.03), (True, 0.0), (True, 0.03)])
def test_pulse_likelihood_is_the_joint_normal_density(multiplicative: bool, seen: float) -> None:
    """With slopes of zero the steps have one variance each, and the reads are jointly normal given the first."""
    rng = np.random.default_rng(5)
    n, c, s_up, s_down = 6, 0.4, 0.1, 0.08
    direction = np.array([1, 1, -1, 1, -1, 1])
    mean = np.where(direction > 0, s_up, -s_down)
    v = 0.2 + np.concatenate([[0.0], np.cumsum(mean + 0.05 * rng.standard_normal(n))])
    trains = steps.Trains(v[:, None], direction[:, None], np.ones((n, 1), bool))
    shared = np.log([c, seen] if seen else [c])
    loglik, _, _ = kalman.score(
        trains, np.array([[s_up, 0.0, s_down, 0.0]]), shared, kalman.Form(multiplicative, bool(seen))
    )
    walk = np.cumsum(np.eye(n), 0)  # read k holds the noise of all steps up to k
    covariance = walk @ np.diag((c * np.abs(mean)) ** 2 + 1e-12) @ walk.T + seen**2 * (np.eye(n) + 1.0)
    expected = stats.multivariate_normal(v[0] + np.cumsum(mean), covariance).logpdf(v[1:])
    assert loglik == close(expected, rel=1e-6)


def test_writes_that_end_at_zero_count_with_their_probability() -> None:
    target, sigma = np.array([1.0, 2.0, 0.5]), np.array([0.5, 0.4, 0.6])
    expected = stats.norm.logpdf(1.2, 1.0, 0.5) + stats.norm.logpdf(2.1, 2.0, 0.4) + stats.norm.logcdf(-0.5 / 0.6)
    assert censored(target, np.array([1.2, 2.1, 0.0]), sigma) == close(expected)
    assert censored(target, target, np.array([0.5, -0.1, 0.6])) == -np.inf


@pytest.mark.parametrize(("mu", "s", "error"), [(0.05, 0.04, 0.01), (0.05, 0.01, 0.04), (0.0, 0.03, 0.03)])
def test_density_of_exponents_is_that_of_folded_normals_with_errors(mu: float, s: float, error: float) -> None:
    def density(nu: float) -> float:
        return math.exp(Exponents(np.zeros(1), np.array([nu]), np.array([error])).loglik(*np.array([[mu], [s]])))

    assert quad(density, -0.5, 0.7, limit=200)[0] == pytest.approx(1.0, abs=1e-6)

    def written_out(nu: float) -> float:
        folded = lambda x: stats.norm.pdf(x, mu, s) + stats.norm.pdf(-x, mu, s)  # noqa: E731
        return quad(lambda x: folded(x) * stats.norm.pdf(nu - x, 0, error), 0, 0.5, limit=200)[0]

    for nu in (-0.02, 0.01, 0.06, 0.12):
        assert density(nu) == close(written_out(nu), rel=1e-6)
        data = Exponents(np.zeros(1), np.array([nu]), np.array([error]))
        below = quad(density, -0.5, nu, limit=200)[0]
        assert data.surprises(np.array([mu]), np.array([s]))[0] == pytest.approx(
            below, abs=2e-3
        )  # the fold is a corner


def test_spread_without_errors_is_the_textbook_interval() -> None:
    x = np.array([1.0, 2.0, 4.0, 4.5, 7.0])
    mean, sd = spread(x, np.zeros(5))
    half = stats.t.ppf(0.975, 4) * x.std(ddof=1) / math.sqrt(5)
    assert (mean.value, mean.high - mean.value) == (close(x.mean()), close(half))
    ends = x.std(ddof=1) * np.sqrt(4 / stats.chi2.ppf([0.975, 0.025], 4))
    assert (sd.value, sd.low, sd.high) == close((x.std(ddof=1), *ends))


def test_spread_takes_the_errors_off() -> None:
    rng = np.random.default_rng(0)
    errors = rng.uniform(0.5, 2.0, 4000)
    x = 3.0 + 1.5 * rng.standard_normal(4000) + errors * rng.standard_normal(4000)
    mean, sd = spread(x, errors)
    assert mean.value == pytest.approx(3.0, abs=4 * 1.9 / math.sqrt(4000))
    assert sd.value == pytest.approx(1.5, abs=0.2)
    assert spread(np.array([1.0, 1.01, 0.99]), np.ones(3))[1][:2] == (0.0, 0.0)


def test_interval_of_a_normal_mean_and_sd_has_the_textbook_width() -> None:
    x = np.random.default_rng(0).normal(2.0, 0.5, 10_000)
    found = maximise(lambda t: float(stats.norm.logpdf(x, t[0], math.exp(t[1])).sum()), np.array([1.0, 0.0]))
    mean = found.parameter("m", "", lambda t: float(t[0]))
    sd = found.parameter("s", "", lambda t: math.exp(t[1]), "log")
    assert mean.value == close(x.mean(), rel=1e-6)
    assert mean.high - mean.value == close(1.959964 * x.std() / 100, rel=1e-3)
    assert sd.high / sd.value == close(math.exp(1.959964 / math.sqrt(20_000)), rel=1e-3)


def test_a_flat_likelihood_is_refused() -> None:
    with pytest.raises(Undetermined):
        maximise(lambda t: -float((t[0] + t[1]) ** 2), np.array([0.3, 0.4]))


def test_goodness_rejects_what_is_wrong_and_only_that() -> None:
    z = np.random.default_rng(0).standard_normal(5000)
    assert not any(test.fails() for test in (*of_residuals(z), chi_squared(z**2, 0)))
    assert of_residuals(1.2 * z)[0].fails()
    assert of_residuals(np.convolve(z, [0.9, 0.43589], "same"))[1].fails()
    assert chi_squared((1.2 * z) ** 2, 0).fails()
