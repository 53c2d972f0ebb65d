"""PCM laws against the moments of an independent tool and against their own closed forms."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neuroanp.devices.draws import normal
from neuroanp.profiles import load
from tests.close import close

REFERENCE = json.loads((Path(__file__).parents[1] / "data" / "pcm_moments.json").read_text())
"""aihwkit 1.2.0, PCMLikeNoiseModel(g_max=25), 400,000 samples; its time counts from 20 s after the write."""

TIMES = {"1s": 1.0, "1h": 3600.0, "1day": 86400.0, "1month": 2592000.0, "1year": 31536000.0}
G_MAX = 25e-6
SAMPLES = 400_000
LIKE = torch.empty(0, dtype=torch.float64)


@pytest.fixture(scope="module")
def pcm():
    return load("pcm")


def tolerance(row: dict) -> float:
    return 0.03 if row["g_rel"] < 0.05 else 0.01


@pytest.mark.parametrize("row", REFERENCE["pcm"], ids=lambda row: f"r={row['g_rel']}")
def test_programming_moments(pcm, row):
    target = torch.full((SAMPLES,), 1e-6 * row["g_target_uS"], dtype=torch.float64)
    assert 1e6 * float(pcm.programming.sigma(target[0], G_MAX)) == close(row["prog_sigma_uS_formula"], rel=1e-9)
    g = 1e6 * pcm.programming.write(target, G_MAX, normal(np.random.default_rng(1), (SAMPLES,), LIKE))
    assert float(g.mean()) == close(row["prog_mean_uS_mc"], rel=tolerance(row))
    assert float(g.std()) == close(row["prog_std_uS_mc"], rel=tolerance(row))
    assert float(g.min()) >= 0.0


@pytest.mark.parametrize("row", REFERENCE["pcm"], ids=lambda row: f"r={row['g_rel']}")
def test_drift_moments(pcm, row):
    target = torch.full((SAMPLES,), 1e-6 * row["g_target_uS"], dtype=torch.float64)
    mu, s = pcm.drift.spread(target[:1], G_MAX)
    assert float(mu) == close(row["nu_mu_formula"], rel=1e-9)
    assert float(s) == close(row["nu_sigma_formula"], rel=1e-9)
    rng = np.random.default_rng(2)
    nu = pcm.drift.draw(target, G_MAX, normal(rng, (SAMPLES,), LIKE))
    assert float(nu.mean()) == close(row["nu_mean_mc"], rel=tolerance(row))
    assert float(nu.std()) == close(row["nu_std_mc"], rel=tolerance(row))
    for name, seconds in TIMES.items():
        age = torch.tensor(seconds + 20.0, dtype=torch.float64)
        ratio = pcm.drift.factor(nu, age)
        assert float(ratio.mean()) == close(row[name]["drift_mean_ratio_mc"], rel=tolerance(row))
        fresh, frozen = pcm.read.split(target, target * ratio, G_MAX, age, 1e-3)
        sigma = torch.hypot(fresh, frozen) / target
        relative = float((sigma / ratio)[0])
        assert relative == close(row[name]["read_sigma_rel_formula"], rel=1e-6)
        seen = ratio + sigma * normal(rng, (SAMPLES,), LIKE)
        assert float(seen.std()) == close(row[name]["drift_std_ratio_mc"], rel=tolerance(row))


def test_drift_starts_at_t0_and_falls(pcm):
    nu = torch.tensor(0.06, dtype=torch.float64)
    ages = torch.tensor([0.0, 1.0, 20.0, 200.0, 2000.0], dtype=torch.float64)
    factors = pcm.drift.factor(nu, ages).tolist()
    assert factors[:3] == [1.0, 1.0, 1.0]
    assert factors[3:] == close([10**-0.06, 100**-0.06])


def test_fresh_noise_is_that_of_two_reads_apart(pcm):
    """Two reads tau apart differ by Var = 2 Q^2 G^2 [ln(pi tau / t_r) + 0.577]: 6.2 against 51.8 of the total."""
    t_r = pcm.read.t_read
    age = torch.tensor(86400.0, dtype=torch.float64)
    fresh, frozen = pcm.read.split_log(age, 1e-6)
    apart = 2 * (math.log(math.pi * 1e-6 / t_r) + 0.577)
    assert apart == pytest.approx(6.2, abs=0.05)
    assert 2 * float(fresh + frozen) == pytest.approx(51.8, abs=0.1)
    assert 2 * float(fresh) == pytest.approx(apart - 2 * (0.577 + 0.923), abs=1e-6)  # the window's own mean is frozen


@given(age=st.floats(0, 1e9), window=st.floats(0, 1e6))
def test_read_noise_splits_without_loss(age, window):
    read = load_read()
    fresh, frozen = read.split_log(torch.tensor(age, dtype=torch.float64), window)
    total = max(0.0, math.log((age + read.t_read) / (2 * read.t_read)))
    assert float(fresh) >= 0
    assert float(frozen) >= 0
    assert float(fresh + frozen) == pytest.approx(total, rel=1e-9, abs=1e-12)
    wider, _ = read.split_log(torch.tensor(age, dtype=torch.float64), 2 * window)
    assert float(wider) >= float(fresh)


def load_read(cache: list = []):  # noqa: B006  (hypothesis runs the test many times)
    if not cache:
        cache.append(load("pcm").read)
    return cache[0]


def test_a_window_shorter_than_a_read_has_no_fresh_noise(pcm):
    fresh, frozen = pcm.read.split_log(torch.tensor(100.0, dtype=torch.float64), 1e-8)
    assert float(fresh) == 0.0
    assert float(frozen) > 0.0


def test_pulse_curve_is_the_recursion(pcm):
    law, w = pcm.update, 0.0
    quiet = frozenset[str]()
    cells = {"g": torch.zeros(2, 1, 1, dtype=torch.float64)}
    cells |= law.sample((2, 1, 1), np.random.default_rng(0), quiet, cells["g"])
    flat = [cells[k].flatten() for k in ("g", "gain", "top")]
    for pulses in (1, 5, 20, 60):
        w = 0.0
        for _ in range(pulses):
            w = min(2.0, w + 0.01 * (1 + 27.235 * math.exp(-2.5 * w)))
        count = torch.full((2,), pulses, dtype=torch.int32)
        got = law._raise(flat[0], count, flat[1], flat[2], np.random.default_rng(0), quiet)
        assert got.tolist() == close([w, w], rel=1e-12)


def test_pulse_noise_has_the_stated_spread(pcm):
    law, n = pcm.update, 200_000
    start = torch.full((n,), 1.0, dtype=torch.float64)
    one = torch.ones(n, dtype=torch.float64)
    w = law._raise(start, torch.ones(n, dtype=torch.int32), one, 2 * one, np.random.default_rng(3), frozenset({"c2c"}))
    step = 0.01 * (1 + 27.235 * math.exp(-2.5))
    assert float(w.mean() - 1.0) == pytest.approx(step, abs=5 * 0.11 / math.sqrt(n))
    assert float(w.std()) == close(0.6 * (step + 0.042 + 0.108), rel=0.01)


def test_refresh_gains_room_and_keeps_the_difference(pcm):
    """Refreshed when larger > .75 w_max AND smaller > .25 w_max, as in the one-sided cell the law comes from."""
    law, quiet = pcm.update, frozenset[str]()
    w = torch.tensor([1.8, 1.8, 0.4, 1.7, 1.0, 0.3], dtype=torch.float64)  # three pairs (G+ then G-)
    one = torch.ones_like(w)
    new, pulses = law._refresh(w, one, 2 * one, np.random.default_rng(0), quiet)
    plus, minus = new.view(2, 3)
    assert (pulses.view(2, 3) > 0).tolist() == [[True, True, False], [True, True, False]]
    assert float(minus[0]) == law.reset
    assert (plus - minus)[:2].tolist() == pytest.approx([0.1, 0.8], abs=float(law.step(torch.tensor(0.0))))
    assert float(plus[2] - minus[2]) == close(0.1)
