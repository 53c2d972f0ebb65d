"""Noise of one correlation time, or of none: moments, exactness over any step, what a membrane makes of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from neuroanp.devices.ornstein_uhlenbeck import OrnsteinUhlenbeck
from neuroanp.units import FROM_TEXT
from tests.close import close

TAU = 10e-3
DOUBLE = torch.float64


def law(**changes) -> OrnsteinUhlenbeck:
    return OrnsteinUhlenbeck(**{"sigma": 0.1, "tau": TAU, "n_sources": 4, **changes})


def normals(rng, *shape):
    return torch.from_numpy(rng.standard_normal(shape))


@pytest.mark.parametrize("dt", [1e-9, 1e-4, 1e-3, TAU, 1.0, math.inf])
@pytest.mark.parametrize("tau", [TAU, None])
def test_moments_at_any_step(tau, dt):
    """300,000 units: standard errors of 0.26 % of the variance and of 0.0018."""
    source, rng, units = law(tau=tau), np.random.default_rng(0), 300_000
    assert source.node_sigma == close(0.2)
    assert source.normals((units,)) == (units,)
    assert source.uniforms((units,)) is None
    noise, last = source.run(source.start(None, normals(rng, units)), None, normals(rng, 5, units), dt)
    for step in (0, 4):
        assert float(noise[step].mean()) == pytest.approx(0.0, abs=5 * 0.2 / math.sqrt(units))
        assert float(noise[step].var()) == close(0.04, rel=0.013)
    for lag in (1, 4):
        expected = math.exp(-lag * dt / TAU) if tau else 0.0
        assert source.autocorrelation(lag * dt) == close(expected)
        assert float((noise[lag] * noise[0]).mean()) / 0.04 == pytest.approx(expected, abs=0.01)
    torch.testing.assert_close(noise[-1], 0.2 * last, rtol=1e-12, atol=0)


@settings(max_examples=50, deadline=None)
@given(dt=st.floats(-12, 3).map(lambda power: 10.0**power), cut=st.floats(0, 1), parts=st.integers(2, 4))
def test_the_parts_of_a_step_are_the_step(dt, cut, parts):
    """Mean and variance of n(t + dt) given n(t), driven through `run` itself by unit numbers, one at a time."""
    source = law(n_sources=1, sigma=1.0)

    def given_start(*steps: float) -> tuple[float, float]:
        state, mean = torch.ones(1, dtype=DOUBLE), 0.0
        zero = torch.zeros(1, 1, dtype=DOUBLE)
        for step in steps:
            _, state = source.run(state, None, zero, step)
        mean, variance = float(state), 0.0
        for kick in range(len(steps)):
            state = torch.zeros(1, dtype=DOUBLE)
            for k, step in enumerate(steps):
                _, state = source.run(state, None, torch.ones_like(zero) if k == kick else zero, step)
            variance += float(state) ** 2
        return mean, variance

    rest = (1.0 - cut) * dt / (parts - 1)
    assert given_start(cut * dt, *[rest] * (parts - 1)) == pytest.approx(given_start(dt), rel=1e-9, abs=1e-15)
    assert sum((m**2 + v) for m, v in [given_start(dt)]) == close(1.0, rel=1e-12)  # stationary


def test_a_step_of_nothing_changes_nothing():
    state = normals(np.random.default_rng(0), 7)
    noise, after = law().run(state, None, normals(np.random.default_rng(1), 3, 7), 0.0)
    assert torch.equal(after, state)
    torch.testing.assert_close(noise, (0.2 * state).expand(3, 7), rtol=1e-12, atol=0)


@pytest.mark.parametrize("tau", [TAU, None])
def test_bits_do_not_depend_on_how_time_is_cut(tau):
    source, rng = law(tau=tau), np.random.default_rng(2)
    start, xi = source.start(None, normals(rng, 5, 3)), normals(rng, 12, 5, 3)
    kept = start.clone()
    whole, last = source.run(start, None, xi, 1e-3)
    head, state = source.run(start, None, xi[:5], 1e-3)
    tail, end = source.run(state, None, xi[5:], 1e-3)
    assert torch.equal(whole, torch.cat([head, tail]))
    assert torch.equal(last, end)
    assert torch.equal(start, kept)  # a start is shared by chunks that are drawn again


def test_spectrum_by_welch():
    """S(f) = 4 tau sigma^2 / (1 + (2 pi f tau)^2) far below 1/dt: 31 windows of 200 sources, 1.3 % a bin."""
    from scipy.signal import welch

    source, rng, dt = law(), np.random.default_rng(3), TAU / 32
    noise, _ = source.run(source.start(None, normals(rng, 200)), None, normals(rng, 16_384, 200), dt)
    f, found = welch(noise.numpy(), fs=1 / dt, nperseg=1024, axis=0, detrend=False)
    band = slice(2, 64)  # up to 200 Hz of 1600: aliases and the window's leakage stay below 2 %
    theory = 4.0 * TAU * 0.04 / (1.0 + (2.0 * math.pi * f[band] * TAU) ** 2)
    np.testing.assert_allclose(found.mean(1)[band], theory, rtol=0.08)
    assert float((found.mean(1)[band] / theory).mean()) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(
    ("tau", "sigma", "rms"),
    [(None, 0.5, 0.5 * math.sqrt(math.tanh(0.025))), (10e-3, 0.1, None), (1e-3, 0.1, None)],
)
def test_rms_of_a_leaky_membrane(tau, sigma, rms):
    """v <- a v + (1-a) n:  Var v = sigma^2 (1-a)/(1+a) (1 + a rho)/(1 - a rho),  rho = e^{-dt/tau}."""
    a, dt, rng = math.exp(-1e-3 / 20e-3), 1e-3, np.random.default_rng(4)
    source = OrnsteinUhlenbeck(sigma=sigma, tau=tau, n_sources=1)
    rho = source.autocorrelation(dt)
    theory = sigma * math.sqrt((1 - a) / (1 + a) * (1 + a * rho) / (1 - a * rho))
    assert rms is None or theory == close(rms)
    units = 20_000
    noise, _ = source.run(source.start(None, normals(rng, units)), None, normals(rng, 240, units), dt)
    v = torch.zeros(units, dtype=DOUBLE)
    for n in noise:
        v = a * v + (1 - a) * n
    assert float(v.std()) == close(theory, rel=0.025)  # 5 standard errors of 0.5 %


def test_white_noise_has_no_time_of_its_own():
    assert law(tau=None).samples_are_steps
    assert not law().samples_are_steps
    rng = np.random.default_rng(5)
    start, xi = normals(rng, 4), normals(rng, 6, 4)
    noises = [law(tau=None).run(start, None, xi, dt)[0] for dt in (1e-9, 1e-3, 1.0)]
    assert all(torch.equal(noise, noises[0]) for noise in noises)
    assert (law(tau=None).autocorrelation(0.0), law(tau=None).autocorrelation(1e-15)) == (1.0, 0.0)


@pytest.mark.parametrize("tau", [TAU, None])
@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
def test_precision_is_that_of_the_draws(tau, dtype):
    xi = torch.ones(2, 3, dtype=dtype)
    noise, state = law(tau=tau).run(law(tau=tau).start(None, xi[0]), None, xi, 1e-3)
    assert (noise.dtype, state.dtype) == (dtype, dtype)


@pytest.mark.parametrize("dt", [-1e-3, math.nan])
def test_time_runs_forward(dt):
    for tau in (TAU, None):
        with pytest.raises(ValueError, match="time runs forward"):
            law(tau=tau).run(torch.zeros(1), None, torch.zeros(1, 1), dt)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("sigma", 0, "is not a number above 0"), ("sigma", -0.1, "is not a number above 0"),
        ("sigma", "0.1 V", "takes no unit"), ("tau", "0 s", "is not above zero"), ("tau", "-1 ms", "is not above zero"),
        ("tau", 10, "has no unit"), ("n_sources", 0, "greater than 0"), ("energy_per_bit", "-1 fJ", "is negative"),
        ("kappa", 1.0, "Extra inputs"),
    ],
)  # fmt: skip
def test_bad_parameters_are_refused(field, value, says):
    good = {"sigma": 0.1, "tau": "10 ms", "n_sources": 1, "energy_per_bit": "20 fJ"}
    OrnsteinUhlenbeck.model_validate(good, context=FROM_TEXT)
    with pytest.raises(ValidationError, match=says):
        OrnsteinUhlenbeck.model_validate({**good, field: value}, context=FROM_TEXT)
