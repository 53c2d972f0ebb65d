"""Random telegraph noise of units and of devices: moments at any step, fresh and frozen parts, spread."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from neuroanp.devices import telegraph
from neuroanp.devices.protocol import remembers
from neuroanp.devices.rtn import RtnRead, RtnSource, Telegraph
from neuroanp.errors import InputError
from neuroanp.profiles import load, loads, profile_path
from tests.close import close

SOURCE = {
    "tau_high": 1e-6, "tau_low": 3e-6, "amplitude": 0.01, "n_sources": 2, "kappa": -2.0, "volts_per_unit": 0.5,
}  # fmt: skip
G = torch.tensor([1e-6, 10e-6], dtype=torch.float64)


def uniforms(rng, *shape):
    return torch.from_numpy(rng.random(shape, dtype=np.float32))


def parts(law, window, g=G):
    return law.split(g, g, 25e-6, torch.tensor(1.0), window)


# ---- a unit's noise ----


@pytest.mark.parametrize("ratio", [0.01, 1.0, 100.0])
def test_source_has_its_moments_at_any_step(ratio):
    law, rng, units = RtnSource(**SOURCE), np.random.default_rng(3), 300_000
    assert (law.p, law.tau_c) == close((0.25, 0.75e-6))
    assert law.node_sigma == close(2.0 * 0.01 * math.sqrt(2 * 0.25 * 0.75) / 0.5)
    dt, shape = ratio * law.tau_c, law.uniforms((units,))
    noise, _ = law.run(law.start(uniforms(rng, *shape)), uniforms(rng, 5, *shape), None, dt)
    noise = noise.double()
    assert float(noise[-1].mean()) == pytest.approx(0.0, abs=5 * law.node_sigma / math.sqrt(units))
    assert float(noise[-1].var()) == close(law.node_sigma**2, rel=0.01)
    for lag in (1, 4):
        found = float((noise[lag] * noise[0]).mean()) / law.node_sigma**2
        assert found == pytest.approx(law.autocorrelation(lag * dt), abs=0.01)


# ---- the process behind a device ----


@pytest.mark.parametrize("decades", [0.0, 3.0])
@pytest.mark.parametrize("ratio", [0.01, 1.0, 100.0])
def test_process_has_unit_variance_and_the_mean_autocorrelation(decades, ratio):
    process, rng, devices = Telegraph(0.3, 1e-3, decades), np.random.default_rng(4), 300_000
    shape, dt = process.uniforms((devices,)), ratio * 1e-3
    z, _ = process.run(process.start(uniforms(rng, *shape)), uniforms(rng, 5, *shape), None, dt)
    z = z.double()
    assert float(z[-1].mean()) == pytest.approx(0.0, abs=0.01)
    assert float(z[-1].var()) == close(1.0, rel=0.01)
    for lag in (1, 4):
        assert float((z[lag] * z[0]).mean()) == pytest.approx(process.autocorrelation(lag * dt), abs=0.01)


@pytest.mark.parametrize("decades", [0.0, 2.0])
def test_the_spectrum_of_the_process_holds_its_variance_of_one(decades):
    from scipy.integrate import quad

    process = Telegraph(0.3, 1e-3, decades)
    total, _ = quad(lambda x: process.spectrum(math.exp(x)) * math.exp(x), math.log(1e-4), math.log(1e9), limit=400)
    assert total == close(1.0, rel=1e-4)


def test_process_keeps_its_bits_however_time_is_cut():
    process, rng = Telegraph(0.3, 1e-3, 2.0), np.random.default_rng(5)
    start, u = process.start(uniforms(rng, 2, 50)), uniforms(rng, 12, 2, 50)
    whole, last = process.run(start, u, None, 1e-3)
    head, state = process.run(start, u[:5], None, 1e-3)
    tail, end = process.run(state, u[5:], None, 1e-3)
    assert torch.equal(whole, torch.cat([head, tail]))
    assert torch.equal(last, end)


def test_devices_keep_the_correlation_times_they_were_given():
    process, rng = Telegraph(0.5, 1e-3, 4.0), np.random.default_rng(6)
    v = uniforms(rng, 100_000)
    devices = process.of_devices(v)
    assert devices.tau_c is not None
    spread = devices.tau_c.double().log10()
    assert float(spread.mean()) == pytest.approx(-3.0, abs=0.02)
    assert (float(spread.min()), float(spread.max())) == pytest.approx((-5.0, -1.0), abs=1e-3)
    state = devices.start(uniforms(rng, 100_000))
    last = devices.run(state, uniforms(rng, 1, 100_000), None, 1e-3)[1]
    kept = state == last
    fast, slow = devices.tau_c < 1e-4, devices.tau_c > 1e-2
    assert float(kept[fast].double().mean()) == pytest.approx(0.5, abs=0.01)
    assert float(kept[slow].double().mean()) > 0.97
    assert Telegraph(0.5, 1e-3).of_devices(v).tau_c is None


@pytest.mark.parametrize("decades", [1e-3, 1.0, 6.0])
def test_averages_over_devices_are_integrals_over_them(decades):
    from scipy.integrate import quad

    process = Telegraph(0.3, 1e-3, decades)
    low, high = (math.log(tau) for tau in process.ends)

    def mean(of):
        return quad(lambda y: of(math.exp(y)), low, high, epsabs=0, epsrel=1e-11, limit=200)[0] / (high - low)

    for lag in (1e-6, 1e-3, 0.1):
        assert process.autocorrelation(lag) == close(mean(lambda tau: math.exp(-lag / tau)), rel=1e-6)  # noqa: B023
    for f in (1.0, 1e3, 1e5):
        one = 4 * 0.3 * 0.7
        wanted = mean(lambda tau: telegraph.spectrum(0.3, tau, f)) * 4 / one  # noqa: B023
        assert process.spectrum(f) == close(wanted, rel=1e-6)
    for window in (1e-7, 1e-3, 10.0):
        wanted = mean(lambda tau: telegraph.frozen_share(window / tau))  # noqa: B023
        assert process.frozen(window) == close(wanted, rel=1e-6)


# ---- read noise ----


@pytest.mark.parametrize("decades", [0.0, 3.0])
@pytest.mark.parametrize("window", [0.0, 1e-9, 1e-3, 1.0, 1e6])
def test_fresh_and_frozen_add_up_to_the_total(decades, window):
    law = RtnRead(tau_high=1e-3, tau_low=3e-3, amplitude=0.2, tau_decades=decades)
    fresh, frozen = parts(law, window)
    torch.testing.assert_close(fresh**2 + frozen**2, (0.2 * G) ** 2 * 0.25 * 0.75, rtol=1e-12, atol=0)


@pytest.mark.parametrize("decades", [0.0, 3.0])
def test_no_window_freezes_all_and_an_endless_one_nothing(decades):
    law = RtnRead(tau_high=1e-3, tau_low=3e-3, amplitude=0.2, tau_decades=decades)
    assert not bool(parts(law, 0.0)[0].any())
    assert not bool(parts(law, math.inf)[1].any())
    frozen = [float(parts(law, window)[1][1]) for window in (1e-6, 1e-4, 1e-2, 1.0)]
    assert frozen == sorted(frozen, reverse=True)


@pytest.mark.parametrize("decades", [0.0, 2.0])
def test_frozen_is_the_variance_of_the_time_mean_over_the_window(decades):
    """Followed in 400 steps of a window of 2 tau; the end points' weight is halved, as in the trapezium rule."""
    law, rng, devices, steps = (
        RtnRead(tau_high=2e-3, tau_low=2e-3, amplitude=0.1, tau_decades=decades), np.random.default_rng(7), 20_000, 400,
    )  # fmt: skip
    process, window = law.process(), 2e-3
    shape = process.uniforms((devices,))
    z, _ = process.run(process.start(uniforms(rng, *shape)), uniforms(rng, steps + 1, *shape), None, window / steps)
    mean = (z.double().sum(0) - 0.5 * (z[0] + z[-1])) / steps
    _, frozen = parts(law, window, torch.tensor(1.0, dtype=torch.float64))
    assert float(mean.var()) == close((float(frozen) / 0.05) ** 2, rel=0.03)


def test_more_decades_make_more_of_both_kinds():
    """What is slower than the window stands still, what is faster moves: with a wide spread half and half."""
    fresh, frozen = parts(RtnRead(tau_high=2e-3, tau_low=2e-3, amplitude=0.1, tau_decades=20.0), 1e-3)
    assert float(frozen[1] ** 2 / (fresh[1] ** 2 + frozen[1] ** 2)) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(
    ("changes", "key", "says"),
    [
        ({"tau_high": 0.0}, "tau_high", "not above zero"),
        ({"tau_low": -1.0}, "tau_low", "not above zero"),
        ({"tau_low": 1e4}, "tau_low", "differ by more than 1e+06"),
        ({"amplitude": 1.5}, "amplitude", "not a fraction"),
        ({"tau_decades": -1.0}, "tau_decades", "not a number of 0 or above"),
        ({"tau_decades": 25.0}, "tau_decades", "less than or equal to 24"),
    ],
)
def test_impossible_read_noise_is_refused(changes, key, says):
    with pytest.raises(ValidationError) as error:
        RtnRead(**{"tau_high": 1e-3, "tau_low": 1e-3, "amplitude": 0.1, **changes})
    assert [detail["loc"] for detail in error.value.errors()] == [(key,)]
    assert says in str(error.value)


def test_the_shipped_profile_follows_the_law():
    law = load("rram_rtn").read
    assert isinstance(law, RtnRead)
    assert remembers(law)
    assert law.process() == Telegraph(0.5, 5e-4, 6.0)
    assert law.process().ends == close((5e-7, 0.5))
    assert replace(law.process(), decades=0.0).frozen(5e-4) == close(telegraph.frozen_share(1.0))


def test_problems_come_with_file_and_line():
    text = profile_path("rram_rtn").read_text(encoding="utf-8").replace("tau_low: {value: 1 ms", "tau_low: {value: 0 s")
    line = next(i for i, line in enumerate(text.splitlines(), 1) if line.strip().startswith("tau_low:"))
    with pytest.raises(InputError) as error:
        loads(text, "mine.yaml")
    assert error.value.problems == (f"mine.yaml:{line}: read.tau_low: '0 s' is not above zero; write e.g. '250 ns'",)
