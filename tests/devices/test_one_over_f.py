"""1/f noise: flatness of f S(f), exactness in time, and its split against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from neuroanp.devices.one_over_f import END, OneOverF, OneOverFRead, OneOverFSource
from neuroanp.profiles import load
from tests.close import close

SOURCE = {
    "f_low": 10.0, "f_high": 1e5, "amplitude": 1e-3, "n_sources": 3, "kappa": -2.0, "volts_per_unit": 0.1,
}  # fmt: skip


def normals(rng, *shape):
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))


# ---- spectrum ----


@pytest.mark.parametrize(("per_decade", "within"), [(1, 0.13), (2, 0.02), (4, 0.01)])
@pytest.mark.parametrize("decades", [0.3, 1.0, 1.7, 3.0, 6.2, 12.0])
def test_f_times_s_is_constant_between_the_cut_offs(per_decade, within, decades):
    process = OneOverF(1.0, 10.0**decades, per_decade)
    f = np.logspace(0.0, decades, 2000)
    np.testing.assert_allclose(f * process.spectrum(f), process.density, rtol=within)


def test_beyond_the_cut_offs():
    """Flat below, 1/f^2 above."""
    process = OneOverF(1.0, 1e6)
    assert process.spectrum(1e-4) == close(process.spectrum(1e-3), rel=1e-3)
    assert process.spectrum(1e10) * 1e4 == close(process.spectrum(1e8), rel=1e-3)


@pytest.mark.parametrize("ends", [(1.0, 2.0), (1e-3, 1e6)])
def test_variance_is_one_and_the_spectrum_holds_it(ends):
    from scipy.integrate import quad

    process = OneOverF(*ends)
    assert process.ladder[1].sum() == close(1.0, rel=1e-12)
    area = quad(lambda y: math.exp(y) * process.spectrum(math.exp(y)), -30, 40, epsabs=0, epsrel=1e-10, limit=500)[0]
    assert area == close(1.0, rel=1e-6)
    assert process.autocorrelation(0.0) == close(1.0, rel=1e-12)


def test_spectrum_by_welch():
    """15 windows of 4096 steps of 50 sources: a standard error of 4 % a bin, 0.4 % of the mean of all bins."""
    from scipy.signal import welch

    process, rng, dt = OneOverF(20.0, 200.0), np.random.default_rng(0), 2e-4
    shape = process.normals((50,))
    x, _ = process.run(process.start(None, normals(rng, *shape)), None, normals(rng, 32_768, *shape), dt)
    f, found = welch(x.numpy(), fs=1 / dt, nperseg=4096, axis=0, detrend=False)
    band = (f > 20.0) & (f < 200.0)
    ratio = found.mean(1)[band] / process.spectrum(f[band])
    np.testing.assert_allclose(ratio, 1.0, atol=0.2)
    assert float(ratio.mean()) == pytest.approx(1.0, abs=0.015)
    slope, _ = np.polyfit(np.log(f[band]), np.log(found.mean(1)[band]), 1)
    assert slope == pytest.approx(-1.0, abs=0.03)


# ---- exact in time ----


@given(dt=st.floats(-9, 3).map(lambda power: 10.0**power), cut=st.floats(0, 1))
@settings(max_examples=50, deadline=None)
def test_two_parts_of_a_step_are_the_step(dt, cut):
    """Mean and variance of x(t + dt) given x(t): driven through run itself by unit normals, one at a time."""
    process = OneOverF(1.0, 1e3)
    K = len(process.ladder[0])
    start, none = torch.eye(K, dtype=torch.float64), torch.zeros(K, K, dtype=torch.float64)

    def walk(*steps):
        """Return what is left of the start, and the variance that the steps have added, for each process."""
        state, added = start, torch.zeros(K, dtype=torch.float64)
        for step in steps:
            state = process.run(state, None, none[None], step)[1]
            kept, new = (process.run(s, None, x[None], step)[1].diagonal() for s, x in ((start, none), (none, start)))
            added = added * kept**2 + new**2
        return state.diagonal(), added

    whole, parts = walk(dt), walk(cut * dt, (1 - cut) * dt)
    torch.testing.assert_close(parts, whole, rtol=1e-9, atol=1e-14)
    torch.testing.assert_close(whole[0] ** 2 + whole[1], torch.ones(K, dtype=torch.float64), rtol=1e-12, atol=0)


@pytest.mark.parametrize("dt", [1e-8, 1e-5, 1e-3, 0.1, math.inf])
def test_variance_and_autocorrelation_at_any_step(dt):
    """tau runs from 0.8 us to 30 ms here."""
    process, rng, units = OneOverF(10.0, 1e5), np.random.default_rng(1), 200_000
    shape = process.normals((units,))
    x, _ = process.run(process.start(None, normals(rng, *shape)), None, normals(rng, 4, *shape), dt)
    x = x.double()
    assert float(x[-1].mean()) == pytest.approx(0.0, abs=0.012)
    assert float(x[-1].var()) == close(1.0, rel=0.01)
    for lag in (1, 3):
        assert float((x[lag] * x[0]).mean()) == pytest.approx(process.autocorrelation(lag * dt), abs=0.01)


def test_any_cut_into_chunks_gives_the_same_bits():
    process, rng = OneOverF(10.0, 1e5), np.random.default_rng(2)
    shape = process.normals((2, 5))
    start, xi = process.start(None, normals(rng, *shape)), normals(rng, 9, *shape)
    kept = start.clone()
    whole, last = process.run(start, None, xi, 1e-4)
    head, state = process.run(start, None, xi[:4], 1e-4)
    tail, end = process.run(state, None, xi[4:], 1e-4)
    assert torch.equal(whole, torch.cat([head, tail]))
    assert torch.equal(last, end)
    assert torch.equal(start, kept)


# ---- a unit's noise ----


def test_source_by_hand_and_drawn():
    law, rng = OneOverFSource(**SOURCE), np.random.default_rng(3)
    volts = 1e-3 * math.sqrt(3 * (math.log(1e4) + 2 / END))
    assert law.node_sigma == close(2.0 * volts / 0.1)
    assert law.uniforms((7,)) is None
    shape = law.normals((200_000,))
    noise, _ = law.run(law.start(None, normals(rng, *shape)), None, normals(rng, 2, *shape), 1e-4)
    noise = noise.double()
    assert float(noise[-1].var()) == close(law.node_sigma**2, rel=0.01)
    found = float((noise[1] * noise[0]).mean()) / law.node_sigma**2
    assert found == pytest.approx(law.autocorrelation(1e-4), abs=0.01)
    process, _ = law.process().run(law.start(None, torch.ones(shape[0], 1)), None, torch.ones(1, shape[0], 1), 1e-4)
    signed, _ = law.run(law.start(None, torch.ones(shape[0], 1)), None, torch.ones(1, shape[0], 1), 1e-4)
    assert float(signed / process) == close(-law.node_sigma, rel=1e-5)


# ---- read noise ----


def split(law, window):
    g = torch.tensor(10e-6, dtype=torch.float64)
    fresh, frozen = law.split(g, g, 25e-6, torch.tensor(1.0), window)
    return float(fresh / g) ** 2, float(frozen / g) ** 2


READ = OneOverFRead(f_low=1e-3, f_high=2e6, relative_psd=1e-5)


@pytest.mark.parametrize("window", [0.0, 1e-9, 1e-3, 1.0, 1e9, math.inf])
def test_fresh_and_frozen_add_up_to_the_total(window):
    assert sum(split(READ, window)) == close(1e-5 * (math.log(2e9) + 2 / END), rel=1e-12)


def test_no_window_freezes_all_and_an_endless_one_nothing():
    assert split(READ, 0.0)[0] == 0.0
    assert split(READ, math.inf)[1] == 0.0


@pytest.mark.parametrize("window", [1e-5, 1e-3, 1e-1, 10.0])
def test_fresh_part_of_a_window_inside_the_band(window):
    """relative_psd [ln(2 pi f_high T) + gamma - 3/2 + 1/c]: the variance about the time mean."""
    wanted = math.log(2 * math.pi * 2e6 * window) + np.euler_gamma - 1.5 + 1 / END
    assert split(READ, window)[0] / 1e-5 == close(wanted, rel=0.01)


def test_split_grows_with_the_window_as_that_of_phase_change_memory():
    """Both laws split one process: per e-fold of the window as much more is fresh as there is in an e-fold of f."""
    pcm = load("pcm").read
    day = torch.tensor(86400.0, dtype=torch.float64)
    for shorter, longer in ((1e-4, 1e-2), (1e-2, 1.0)):
        theirs = float(pcm.split_log(day, longer)[0] - pcm.split_log(day, shorter)[0])
        ours = (split(READ, longer)[0] - split(READ, shorter)[0]) / 1e-5
        assert ours == close(theirs, rel=0.01)


def test_frozen_is_the_variance_of_the_time_mean_over_the_window():
    """Followed in 500 steps, 50 of the fastest process's times a window; the trapezium rule."""
    process, rng, devices, steps, window = OneOverF(10.0, 100.0), np.random.default_rng(4), 10_000, 500, 0.05
    shape = process.normals((devices,))
    state, total = process.start(None, normals(rng, *shape)), torch.zeros(devices, dtype=torch.float64)
    for t in range(0, steps + 1, 3):
        x, state = process.run(state, None, normals(rng, 3, *shape), window / steps)
        weights = torch.tensor([0.5 if t + i in (0, steps) else 1.0 for i in range(3)], dtype=torch.float64)
        total += weights @ x.double()
    assert float((total / steps).var()) == close(process.frozen(window), rel=0.04)


@pytest.mark.parametrize(
    ("changes", "key", "says"),
    [
        ({"f_high": 1e-3}, "f_high", "'1 mHz' is not above f_low, '1 mHz'"),
        ({"f_high": 1e-4}, "f_high", "is not above f_low"),
        ({"f_low": 0.0}, "f_low", "not above zero"),
        ({"relative_psd": -1.0}, "relative_psd", "not a number of 0 or above"),
        ({"per_decade": 0}, "per_decade", "greater than 0"),
        ({"per_decade": 100}, "per_decade", "less than or equal to 16"),
    ],
)
def test_impossible_noise_is_refused(changes, key, says):
    with pytest.raises(ValidationError) as error:
        OneOverFRead(**{"f_low": 1e-3, "f_high": 2e6, "relative_psd": 1e-5, **changes})
    assert [detail["loc"] for detail in error.value.errors()] == [(key,)]
    assert says in str(error.value)


def test_time_runs_forward():
    process = OneOverF(1.0, 10.0)
    with pytest.raises(ValueError, match="time runs forward"):
        process.run(torch.zeros(process.normals((1,))), None, torch.zeros(1, *process.normals((1,))), -1.0)
