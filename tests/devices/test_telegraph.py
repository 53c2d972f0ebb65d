"""The telegraph process against its closed forms, at any step length."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroanp.devices import telegraph
from tests.close import close

P = 0.3
SOURCES = 400_000
probabilities = st.floats(1e-6, 1 - 1e-6)
lengths = st.floats(-9, 3).map(lambda power: 10.0**power)


def uniforms(rng, *shape, dtype=np.float32):
    return torch.from_numpy(rng.random(shape, dtype=dtype))


def matrix(p, tau_c, dt):
    """Return the transition matrix, rows from, columns to."""
    low, high = telegraph.transition(p, tau_c, dt)
    return np.array([[1 - low, low], [1 - high, high]])


@given(p=probabilities, dt=lengths, cut=st.floats(0, 1), tau_c=lengths)
def test_two_parts_of_a_step_are_the_step(p, dt, cut, tau_c):
    """Chapman-Kolmogorov, and the stationary distribution stays what it is."""
    whole = matrix(p, tau_c, dt)
    np.testing.assert_allclose(matrix(p, tau_c, cut * dt) @ matrix(p, tau_c, (1 - cut) * dt), whole, rtol=0, atol=4e-16)
    np.testing.assert_allclose([1 - p, p] @ whole, [1 - p, p], rtol=1e-12, atol=1e-15)


def test_no_step_and_an_endless_one():
    assert telegraph.transition(P, 1.0, 0.0) == (0.0, 1.0)
    assert telegraph.transition(P, 1.0, math.inf) == close((P, P), rel=1e-15)


def test_short_steps_keep_their_digits():
    """P(0 -> 1) = p dt/tau_c to first order: a difference 1 - rho would have lost all digits."""
    assert telegraph.transition(P, 1.0, 1e-18)[0] == close(P * 1e-18, rel=1e-12)


@pytest.mark.parametrize("ratio", [0.01, 0.1, 1.0, 10.0, 100.0])
def test_occupancy_variance_and_autocorrelation_at_any_step(ratio):
    """dt from tau/100 to 100 tau; the estimates' own standard errors are 0.25 % of p and 0.0016 of the variance."""
    rng = np.random.default_rng(int(1000 * ratio))
    first = state = telegraph.start(uniforms(rng, SOURCES), P)
    steps = 100 if ratio < 0.1 else 10
    seen = {}
    for t in range(0, steps, 5):
        states = telegraph.run(state, uniforms(rng, 5, SOURCES), P, 2e-9, ratio * 2e-9)
        seen |= {t + 1: states[0], t + 5: states[-1]}
        state = states[-1]
    for lag, state in seen.items():
        occupancy = float(state.double().mean())
        assert occupancy == close(P, rel=0.01)
        assert occupancy * (1 - occupancy) == close(P * (1 - P), rel=0.01)
        covariance = float((first.double() - P) @ (state.double() - P)) / SOURCES
        wanted = telegraph.autocovariance(P, 1.0, lag * ratio)
        assert covariance / (P * (1 - P)) == pytest.approx(wanted / (P * (1 - P)), abs=0.01)


def test_the_distribution_of_a_path_does_not_depend_on_the_cut():
    """Frequencies of (start, end) over one time, walked in 1, 2 and 16 steps, against the closed form."""
    low, high = telegraph.transition(P, 1.0, 0.8)
    expected = np.array([(1 - P) * (1 - low), (1 - P) * low, P * (1 - high), P * high])
    for steps in (1, 2, 16):
        rng = np.random.default_rng(steps)
        first = telegraph.start(uniforms(rng, SOURCES), P)
        last = telegraph.run(first, uniforms(rng, steps, SOURCES), P, 1.0, 0.8 / steps)[-1]
        counts = np.bincount((2 * first.int() + last.int()).numpy(), minlength=4)
        chi2 = float(((counts - SOURCES * expected) ** 2 / (SOURCES * expected)).sum())
        assert chi2 < 16.3  # 3 degrees of freedom, false alarm 1e-3


@given(cut=st.integers(0, 30))
@settings(max_examples=10, deadline=None)
def test_any_cut_into_chunks_gives_the_same_bits(cut):
    rng = np.random.default_rng(0)
    first, u = telegraph.start(uniforms(rng, 50), P), uniforms(rng, 30, 50)
    kept = first.clone(), u.clone()
    whole = telegraph.run(first, u, P, 1.0, 0.3)
    head = telegraph.run(first, u[:cut], P, 1.0, 0.3)
    rest = telegraph.run(head[-1] if cut else first, u[cut:], P, 1.0, 0.3)
    assert torch.equal(whole, torch.cat([head, rest]))
    assert torch.equal(first, kept[0])
    assert torch.equal(u, kept[1])


def test_every_source_may_have_its_own_law():
    rng = np.random.default_rng(1)
    p, tau = torch.tensor([0.1, 0.5, 0.9]), torch.tensor([0.5, 1.0, 4.0])
    first = telegraph.start(uniforms(rng, 200_000, 3), p)
    last = telegraph.run(first, uniforms(rng, 1, 200_000, 3), p, tau, 1.0)[0]
    for i in range(3):
        one, two = (s[:, i].double() - p[i] for s in (first, last))
        variance = float(p[i] * (1 - p[i]))
        assert float((one * two).mean()) / variance == pytest.approx(math.exp(-1.0 / float(tau[i])), abs=0.01)


@pytest.mark.parametrize("n", [1, 2, 7, 100])
@pytest.mark.parametrize("x", [0.0, 1e-12, 1e-7, 1e-6, 1e-5, 1e-3, 0.3, 5.0, 800.0, math.inf])
def test_variance_of_a_mean_is_the_sum_of_covariances(n, x):
    lag = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    with np.errstate(invalid="ignore"):
        rho = np.where(lag == 0, 1.0, np.exp(-x * lag))
    wanted = P * (1 - P) * rho.mean()
    assert telegraph.variance_of_mean(P, 1.0, n, x) == close(wanted, rel=1e-9)
    many = telegraph.variance_of_mean(
        torch.tensor([P, P], dtype=torch.float64), torch.ones(2, dtype=torch.float64), n, x
    )
    np.testing.assert_allclose(many.numpy(), wanted, rtol=1e-9)


@pytest.mark.parametrize(("n", "x"), [(5, 0.05), (20, 0.2), (50, 1.0)])
def test_variance_of_a_mean_is_that_of_drawn_reads(n, x):
    rng = np.random.default_rng(n)
    first = telegraph.start(uniforms(rng, 200_000), P)
    reads = telegraph.run(first, uniforms(rng, n, 200_000), P, 1.0, x).double().mean(0)
    assert float(reads.var()) == close(telegraph.variance_of_mean(P, 1.0, n, x), rel=0.02)


@pytest.mark.parametrize("x", [1e-5, 2.4e-5, 2.6e-5, 1e-3])
def test_variance_of_a_mean_keeps_its_digits_where_the_reads_hardly_differ(x):
    """Four reads, on both sides of where the series takes over (4 x = 1e-4): sum_ij e^{-x |i-j|} / 16, to 1e-11."""
    rest = math.fsum(math.expm1(-x * abs(i - j)) for i in range(4) for j in range(4)) / 16
    wanted = P * (1 - P) * (1 + rest)
    assert telegraph.variance_of_mean(P, 1.0, 4, x) == pytest.approx(wanted, rel=1e-11 if x < 2.5e-5 else 1e-6, abs=0)
    tensor = telegraph.variance_of_mean(P, torch.tensor([1.0], dtype=torch.float64), 4, x)
    assert float(tensor) == pytest.approx(wanted, rel=1e-11 if x < 2.5e-5 else 1e-6, abs=0)


def test_spectrum_by_welch():
    """63 windows of 512 steps of 200 sources: a standard error of 1 % a bin; aliasing adds 0.2 % at most here."""
    from scipy.signal import welch

    rng, dt = np.random.default_rng(2), 0.05
    first = telegraph.start(uniforms(rng, 200), P)
    states = telegraph.run(first, uniforms(rng, 16_384, 200), P, 1.0, dt).float().numpy() - P
    f, found = welch(states, fs=1 / dt, nperseg=512, axis=0, detrend=False)
    found, wanted = found.mean(1), telegraph.spectrum(P, 1.0, f)
    slow = (f > 0.05) & (f < 0.5)
    np.testing.assert_allclose(found[slow], wanted[slow], rtol=0.05)
    assert float((found[slow] / wanted[slow]).mean()) == pytest.approx(1.0, abs=0.01)


def test_spectrum_holds_the_variance():
    from scipy.integrate import quad

    total, _ = quad(lambda f: telegraph.spectrum(P, 2.0, f), 0, math.inf)
    assert total == close(P * (1 - P), rel=1e-6)


@pytest.mark.parametrize("x", [1e-6, 9.9e-4, 1.01e-3, 0.1, 1.0, 30.0, 300.0])
def test_frozen_share_is_the_variance_of_the_time_mean(x):
    """2/T^2 int_0^T (T - s) e^{-s/tau} ds, and the limit of many reads within the window."""
    from scipy.integrate import quad

    wanted, _ = quad(lambda s: 2 * (1 - s / x) * math.exp(-s) / x, 0, min(x, 700.0), epsabs=0, epsrel=1e-12)
    assert telegraph.frozen_share(x) == close(wanted, rel=1e-9)
    n = 10_000_000
    reads = telegraph.variance_of_mean(P, 1.0, n, x / n) / (P * (1 - P))
    assert telegraph.frozen_share(x) == close(reads, rel=1e-5)


@pytest.mark.parametrize("ends", [(1e-9, 1e-5), (1e-5, 1e5), (0.5, 2.0), (9e-4, 1.1e-3), (3.0, 1e12)])
def test_frozen_share_of_a_spread_is_the_mean_over_it(ends):
    from scipy.integrate import quad

    low, high = map(math.log, ends)
    wanted, _ = quad(lambda y: telegraph.frozen_share(math.exp(y)), low, high, epsabs=0, epsrel=1e-11, limit=200)
    assert telegraph.frozen_share_spread(*ends) == close(wanted / (high - low), rel=1e-8)


def test_frozen_share_at_the_ends():
    assert telegraph.frozen_share_spread(0.0, 0.0) == 1.0
    assert telegraph.frozen_share_spread(math.inf, math.inf) == 0.0


@pytest.mark.parametrize("dt", [-1e-9, math.nan])
def test_time_runs_forward(dt):
    with pytest.raises(ValueError, match="time runs forward"):
        telegraph.run(torch.tensor([True]), torch.zeros(1, 1), P, 1.0, dt)
    with pytest.raises(ValueError, match="0 s or more apart"):
        telegraph.variance_of_mean(P, 1.0, 2, dt)


def test_a_mean_needs_reads():
    with pytest.raises(ValueError, match="1 read or more"):
        telegraph.variance_of_mean(P, 1.0, 0, 1.0)
