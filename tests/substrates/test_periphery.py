"""Converters, and reads by moments against reads that draw every device."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neuroanp.profiles import load
from neuroanp.substrates.periphery import adc, amplifier_variance, codes, dac, quantise
from neuroanp.substrates.protocol import Quantiser, ReadPlan
from neuroanp.substrates.read import Reader
from tests.close import close

DOUBLE = torch.float64


@given(value=st.floats(-10, 10), bits=st.integers(2, 12), limit=st.floats(0.1, 5))
def test_quantiser_is_off_by_half_a_step_at_most(value, bits, limit):
    q = Quantiser(limit / codes(bits), limit)
    y = float(quantise(torch.tensor(value, dtype=DOUBLE), q))
    assert abs(y) <= limit * (1 + 1e-12)
    clipped = min(max(value, -limit), limit)
    assert abs(y - clipped) <= q.step / 2 * (1 + 1e-9)
    assert y / q.step == pytest.approx(round(y / q.step), abs=1e-6)
    assert float(quantise(torch.tensor(y, dtype=DOUBLE), q)) == pytest.approx(y, rel=1e-12, abs=1e-15)


def test_quantise_in_place_and_without_rounding():
    x = torch.tensor([0.3, -4.0])
    assert quantise(x, Quantiser(0.0, 1.0), out=x) is x
    assert x.tolist() == close([0.3, -1.0])
    assert quantise(torch.tensor([7.1]), Quantiser(0.5, math.inf)).tolist() == [7.0]


def test_converters_come_from_si_figures():
    profile = load("pcm")
    k = 0.4 / (25e-6 * profile.periphery.v_read)
    q = adc(profile, k, frozenset({"adc"}))
    assert q.limit == close(k * profile.periphery.adc.full_scale)
    assert q.step == close(q.limit / (2 ** (profile.periphery.adc.bits - 1) - 1))
    assert dac(profile, frozenset({"dac"})) == Quantiser(1 / (2 ** (profile.periphery.dac.bits - 1) - 1), 1.0)
    assert adc(profile, k, frozenset()) is None
    assert dac(profile, frozenset()) is None
    noisy = profile.model_copy(update={"periphery": profile.periphery.model_copy(update={"amplifier_noise": 1e-8})})
    assert amplifier_variance(noisy, k, frozenset({"amplifier_noise"})) == close((k * 1e-8) ** 2)
    assert amplifier_variance(noisy, k, frozenset()) == 0.0


def read(plan: ReadPlan, x: torch.Tensor, xi: torch.Tensor | None = None) -> torch.Tensor:
    return Reader(plan)(x, xi)


def read_sampled(plan: ReadPlan, x: torch.Tensor, xi: torch.Tensor) -> torch.Tensor:
    return Reader(replace(plan, sampled=True)).sampled(x, xi)


def noisy_plan(adc_: Quantiser | None = None) -> ReadPlan:
    rng = np.random.default_rng(0)
    return ReadPlan(
        W=torch.from_numpy(rng.standard_normal((4, 6))),
        sigma2=torch.from_numpy(rng.random((4, 6)) * 0.1),
        extra=0.02,
        dac=Quantiser(1 / 7, 1.0),
        adc=adc_,
    )


def test_moments_are_those_of_sampling_every_device():
    """Mean and covariance of both ways against the closed form; the largest of all deviations stays small."""
    plan, n = noisy_plan(), 200_000
    rng = np.random.default_rng(1)
    x = torch.linspace(-1.3, 0.9, 6, dtype=DOUBLE)
    xq = quantise(x, plan.dac)
    mean = plan.W @ xq
    covariance = torch.diag(plan.sigma2 @ xq.square() + plan.extra)  # independent outputs
    rows = x.expand(n, 6)
    by_moments = read(plan, rows, torch.from_numpy(rng.standard_normal((n, 4))))
    sampled = torch.cat([
        read_sampled(plan, rows[:20_000], torch.from_numpy(rng.standard_normal((20_000, 28)))) for _ in range(10)
    ])  # fmt: skip
    for y in (by_moments, sampled):
        spread = covariance.diag().sqrt()
        z_mean = (y.mean(0) - mean) / (spread / math.sqrt(n))
        standard = (y - mean) / spread
        z_covariance = (standard.T @ standard / n - torch.eye(4)) * math.sqrt(n / 2)
        assert float(torch.cat([z_mean, z_covariance.flatten()]).abs().max()) < 4.5  # 20 normals: P < 2e-4


def test_gain_scales_the_noise_and_zero_silences_it():
    plan = noisy_plan()
    x = torch.rand(3, 6, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))
    xi = torch.ones(3, 4, dtype=DOUBLE)
    quiet = read(plan, x)
    gain = torch.tensor([[0.0], [1.0], [-1.0]], dtype=DOUBLE)
    noisy = read(plan, x, gain * xi)
    assert torch.equal(noisy[0], quiet[0])
    torch.testing.assert_close(noisy[1] - quiet[1], read(plan, x, xi)[1] - quiet[1], rtol=1e-9, atol=0)
    torch.testing.assert_close(noisy[2] - quiet[2], -(read(plan, x, xi)[2] - quiet[2]), rtol=1e-9, atol=0)


def test_amplifier_noise_alone():
    plan = ReadPlan(W=torch.zeros(2, 3, dtype=DOUBLE), extra=0.25)
    xi = torch.tensor([[2.0, -4.0]], dtype=DOUBLE)
    assert read(plan, torch.ones(1, 3, dtype=DOUBLE), xi).tolist() == [[1.0, -2.0]]
    assert read_sampled(plan, torch.ones(1, 3, dtype=DOUBLE), xi).tolist() == [[1.0, -2.0]]
    with pytest.raises(ValueError, match="takes 2 normals a row"):
        read_sampled(plan, torch.ones(1, 3, dtype=DOUBLE), torch.zeros(1, 6, dtype=DOUBLE))


def test_plain_plans_are_one_product_and_any_leading_shape_goes():
    plan = ReadPlan(W=torch.randn(4, 6, dtype=DOUBLE, generator=torch.Generator().manual_seed(0)))
    x = torch.randn(2, 5, 6, dtype=DOUBLE, generator=torch.Generator().manual_seed(1))
    assert Reader(plan).plain
    torch.testing.assert_close(read(plan, x), x @ plan.W.T, rtol=1e-12, atol=1e-14)


def test_clipped_outputs_are_counted():
    reader = Reader(ReadPlan(W=torch.eye(3), adc=Quantiser(0.1, 1.0)))
    reader(torch.tensor([[0.5, 2.0, -3.0], [0.0, 0.99, 1.0]]))
    assert int(reader.clipped) == 2
    assert reader.conversions == 6
