"""Gaussian programming error with levels, white read noise: closed forms and impossible numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from neuroanp.devices.device import Device
from neuroanp.devices.draws import normal
from neuroanp.devices.effects import ALL_EFFECTS
from neuroanp.devices.gaussian import GaussianProgramming, GaussianRead
from neuroanp.profiles import load
from tests.close import close

G_MAX = 25e-6
SAMPLES = 200_000
LIKE = torch.empty(0, dtype=torch.float64)


@pytest.mark.parametrize("target", [5e-6, 12e-6, 25e-6])
def test_moments(target):
    law = GaussianProgramming(sigma_absolute=0.3e-6, sigma_relative=0.04)
    xi = normal(np.random.default_rng(7), (SAMPLES,), LIKE)
    g = law.write(torch.full((SAMPLES,), target, dtype=torch.float64), G_MAX, xi)
    assert float(g.mean()) == close(target, rel=1e-3)
    assert float(g.std()) == close(math.hypot(0.3e-6, 0.04 * target), rel=0.01)


def test_clipping_at_zero_is_that_of_half_a_gaussian():
    law = GaussianProgramming(sigma_absolute=1e-6, sigma_relative=0.1)
    xi = normal(np.random.default_rng(8), (SAMPLES,), LIKE)
    g = law.write(torch.zeros(SAMPLES, dtype=torch.float64), G_MAX, xi)
    assert float(g.min()) == 0.0
    assert float(g.mean()) == close(1e-6 / math.sqrt(2 * math.pi), rel=0.01)
    assert float(g.std()) == close(1e-6 * math.sqrt(0.5 - 0.5 / math.pi), rel=0.01)


@given(levels=st.integers(2, 300), low=st.floats(0, 20e-6), share=st.floats(0, 1))
def test_levels_are_evenly_spaced_and_the_nearest_is_taken(levels, low, share):
    law = GaussianProgramming(sigma_absolute=0.0, sigma_relative=0.0, levels=levels, g_low=low)
    target = torch.tensor([low + share * (G_MAX - low)], dtype=torch.float64)
    g = law.write(target, G_MAX, torch.ones(1, dtype=torch.float64))
    step = (G_MAX - low) / (levels - 1)
    index = (float(g) - low) / step
    assert index == pytest.approx(round(index), abs=1e-6)
    assert -1e-6 < index < levels - 1 + 1e-6
    assert abs(float(g - target)) <= 0.5 * step * (1 + 1e-9)
    assert torch.allclose(law.write(g, G_MAX, target), g, rtol=1e-12, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ends_are_levels_exactly_and_targets_beyond_take_them(dtype):
    law = GaussianProgramming(sigma_absolute=0.0, sigma_relative=0.0, levels=16, g_low=1e-6)
    target = torch.tensor([0.0, 1e-6, G_MAX, 2 * G_MAX], dtype=dtype)
    g = law.write(target, G_MAX, torch.zeros(4, dtype=dtype))
    assert g.dtype == dtype
    assert g.tolist() == close([1e-6, 1e-6, G_MAX, G_MAX], rel=1e-6)


def test_rounding_error_is_uniform():
    """Targets spread over many levels: the rounding error has variance h^2 / 12, and adds to the random one."""
    law = GaussianProgramming(sigma_absolute=0.2e-6, sigma_relative=0.0, levels=26, g_low=0.0)
    rng = np.random.default_rng(9)
    target = torch.from_numpy(rng.uniform(5e-6, 20e-6, SAMPLES))
    error = law.write(target, G_MAX, normal(rng, (SAMPLES,), LIKE)) - target
    assert float(error.std()) == close(math.sqrt((1e-6) ** 2 / 12 + (0.2e-6) ** 2), rel=0.01)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_read_noise_is_all_fresh(dtype):
    law = GaussianRead(sigma_absolute=0.3e-6, sigma_relative=0.04)
    g = torch.tensor([0.0, 10e-6], dtype=dtype)
    for age, window in ((0.0, 0.0), (1e6, 1e3)):
        fresh, frozen = law.split(2 * g, g, G_MAX, torch.tensor(age), window)
        assert fresh.tolist() == close([0.3e-6, 0.5e-6], rel=1e-5)
        assert frozen.tolist() == [0.0, 0.0]
        assert fresh.dtype == frozen.dtype == dtype


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"sigma_absolute": -1e-6}, "negative"),
        ({"sigma_relative": -0.1}, "of 0 or above"),
        ({"levels": 1, "g_low": 0.0}, "greater than or equal to 2"),
        ({"levels": 16}, "g_low\n  levels need both"),
        ({"g_low": 1e-6}, "levels\n  levels need both"),
        ({"pulses": 0}, "greater than 0"),
        ({"sigma_absolute": math.inf}, "not a finite number"),
    ],
)
def test_impossible_numbers(change, says):
    with pytest.raises(ValidationError, match=says):
        GaussianProgramming.model_validate({"sigma_absolute": 0.0, "sigma_relative": 0.0} | change)


def test_the_lowest_level_must_lie_below_the_range():
    law = GaussianProgramming(sigma_absolute=0.0, sigma_relative=0.0, levels=4, g_low=30e-6)
    with pytest.raises(ValueError, match="is not below g_max"):
        law.write(torch.zeros(1), G_MAX, torch.zeros(1))


def test_latches_through_a_device():
    """SRAM: whatever is written lands on one of the levels, and on the target itself without programming error."""
    profile = load("sram_cim")
    rng = np.random.default_rng(3)
    target = torch.from_numpy(rng.uniform(0.0, 10e-6, (2, 40, 50)))
    for effects in (ALL_EFFECTS - {"d2d"}, ALL_EFFECTS - {"d2d", "programming_error"}):
        device = Device(profile, effects)
        cells = device.sample((40, 50), np.random.default_rng(0), torch.float64)
        cells, _, _ = device.program(cells, target, None, 0.0, np.random.default_rng(1))
        g = device.conductance(cells, 1.0)
        if "programming_error" in effects:
            index = g * (127 / 10e-6)
            assert float((index - index.round()).abs().max()) < 1e-9
            assert len(index.round().unique()) == 128
        else:
            assert torch.equal(g, target)


@pytest.mark.parametrize("name", ["cmos_subthreshold", "sram_cim", "fefet", "photonic"])
def test_shipped_levels_span_the_range_of_the_profile(name):
    profile = load(name)
    law = profile.programming
    assert isinstance(law, GaussianProgramming)
    assert law.g_low in (None, profile.conductance.g_min)
    assert (law.g_low is None) == (law.levels is None)
