"""Lognormal mismatch: mean 1 and the stated coefficient of variation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from neuroanp.devices.cmos import LognormalMismatch
from neuroanp.devices.device import Device
from neuroanp.devices.effects import ALL_EFFECTS
from neuroanp.profiles import load
from tests.close import close


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("cv", [0.05, 0.1, 0.3, 1.0])
def test_moments(cv, dtype):
    count = 1_000_000
    f = LognormalMismatch(cv=cv).sample((count,), np.random.default_rng(3), torch.empty(0, dtype=dtype))
    assert f.dtype == dtype
    assert float(f.min()) > 0.0
    # kurtosis of a lognormal: e^{4 s2} + 2 e^{3 s2} + 3 e^{2 s2} - 3; it sets the error of the measured variance
    s2 = math.log1p(cv**2)
    kurtosis = math.exp(4 * s2) + 2 * math.exp(3 * s2) + 3 * math.exp(2 * s2) - 3
    assert float(f.mean()) == pytest.approx(1.0, abs=5 * cv / math.sqrt(count))
    assert float(f.std()) == close(cv, rel=2.5 * math.sqrt((kurtosis - 1) / count))
    assert float(f.log().std()) == close(math.sqrt(s2), rel=5 / math.sqrt(2 * count))


def test_none_makes_all_alike_and_a_seed_repeats():
    law = LognormalMismatch(cv=0.2)
    like = torch.empty(0)
    first, again = (law.sample((2, 3, 4), np.random.default_rng(1), like) for _ in range(2))
    assert first.shape == (2, 3, 4)
    assert torch.equal(first, again)
    assert torch.equal(LognormalMismatch(cv=0.0).sample((2, 3), np.random.default_rng(1), like), torch.ones(2, 3))


@pytest.mark.parametrize("cv", [-0.1, math.nan, "10 %", True])
def test_impossible_numbers(cv):
    with pytest.raises(ValidationError):
        LognormalMismatch(cv=cv)


def test_through_a_device():
    """Every read shows a device's own factor, the same at any time and after any write; without d2d none."""
    profile = load("cmos_subthreshold")
    target = torch.full((2, 200, 200), 8e-9, dtype=torch.float64)
    seen = {}
    for effects in (ALL_EFFECTS, ALL_EFFECTS - {"d2d"}):
        device = Device(profile, effects)
        cells = device.sample((200, 200), np.random.default_rng(0), torch.float64)
        cells, _, _ = device.program(cells, target, None, 0.0, np.random.default_rng(1))
        seen["d2d" in effects] = device.conductance(cells, 1.0)
    assert float(seen[False].std()) < 1e-20
    factor = seen[True] / seen[False]
    assert float(factor.mean()) == pytest.approx(1.0, abs=5 * 0.1 / math.sqrt(80_000))
    assert float(factor.std()) == close(0.1, rel=0.02)
