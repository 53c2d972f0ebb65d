"""SONOS flash: closed forms of its error and read noise, growth within a day, impossible numbers refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from neuroanp.devices.device import Device
from neuroanp.devices.draws import normal
from neuroanp.devices.flash import SaturatingError, SonosRead, SonosRelaxation
from neuroanp.devices.protocol import Span
from neuroanp.profiles import load
from tests.close import close

SPAN = Span(0.0, 16e-6)
SAMPLES = 200_000
LIKE = torch.empty(0, dtype=torch.float64)
DAY = 86400.0
V = 0.1
WRITE, LATER, READ = (19.887, 176.31), (25.591, 186.86), (12.580, 215.37)
"""A and B in nA (Agrawal et al., IEDM 2022)."""


def closed(a_b: tuple[float, float], current_nA: float) -> float:
    """sigma = A (1 - e^{-I/B}), nA."""
    return a_b[0] * (1 - math.exp(-current_nA / a_b[1]))


@pytest.fixture(scope="module")
def flash():
    return load("sonos_flash")


def siemens(current_nA: float, count: int = 1, dtype=torch.float64) -> torch.Tensor:
    return torch.full((count,), 1e-9 * current_nA / V, dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("current", [0.0, 1.0, 50.0, 176.31, 1600.0, 3200.0])
def test_sigmas_are_the_closed_forms(flash, current, dtype):
    g = siemens(current, dtype=dtype)
    rel = 1e-5 if dtype == torch.float32 else 1e-12

    def amperes(sigma):
        assert sigma.dtype == dtype
        return 1e9 * V * float(sigma)

    assert amperes(flash.programming.sigma(g, SPAN.g_max)) == close(closed(WRITE, current), rel=rel)
    age = torch.tensor([DAY], dtype=torch.float64)
    assert amperes(flash.drift.sigma(g, SPAN.g_max, age)) == close(closed(LATER, current), rel=rel)
    fresh, frozen = flash.read.split(g, g, SPAN.g_max, age, 1e-3)
    assert amperes(fresh) == close(closed(READ, current), rel=rel)
    assert float(frozen) == 0.0


@pytest.mark.parametrize("current", [20.0, 200.0, 1600.0])
def test_moments_just_after_the_write_and_a_day_later(flash, current):
    rng = np.random.default_rng(6)
    target = siemens(current, SAMPLES)
    g = flash.programming.write(target, SPAN.g_max, normal(rng, (SAMPLES,), LIKE))
    nu = flash.drift.draw(target, SPAN.g_max, normal(rng, (SAMPLES,), LIKE))
    assert 1e9 * V * float(g.std()) == close(closed(WRITE, current), rel=0.01)
    late = flash.drift.conductance(g, nu, torch.tensor(DAY, dtype=torch.float64), target, SPAN)
    assert 1e9 * V * float(late.std()) == close(closed(LATER, current), rel=0.01)
    assert 1e9 * V * float(late.mean()) == close(current, rel=0.001)
    alone = flash.drift.conductance(target, nu, torch.tensor(DAY, dtype=torch.float64), target, SPAN)
    extra = math.sqrt(closed(LATER, current) ** 2 - closed(WRITE, current) ** 2)
    assert 1e9 * V * float((alone - target).std()) == close(extra, rel=0.01)


def test_a_cell_that_is_off_stays_off(flash):
    off, nu = torch.zeros(5, dtype=torch.float64), torch.linspace(-3, 3, 5, dtype=torch.float64)
    assert torch.equal(flash.programming.write(off, SPAN.g_max, nu), off)
    assert torch.equal(flash.drift.conductance(off, nu, torch.tensor(DAY), off, SPAN), off)


def test_the_profile_states_one_read_voltage(flash):
    voltages = {flash.periphery.v_read, flash.read.v_read, flash.programming.error.v_read}
    voltages |= {flash.drift.start.v_read, flash.drift.end.v_read}
    assert voltages == {V}
    assert flash.drift.start == flash.programming.error
    assert SPAN.g_max * V == close(1600e-9)


def error(seconds: float, a: float, b: float) -> SaturatingError:
    return SaturatingError(time=seconds, a=a, b=b, v_read=V)


def test_an_error_that_falls_for_some_current_is_refused():
    first = error(1.0, 20e-9, 180e-9)
    SonosRelaxation(start=first, end=error(9.0, 25e-9, 190e-9))
    for a, b in ((19e-9, 100e-9), (21e-9, 200e-9)):  # falls at large, at small currents
        with pytest.raises(ValidationError, match="below that of 'start'"):
            SonosRelaxation(start=first, end=error(9.0, a, b))
    with pytest.raises(ValidationError, match=r"not later than start\.time"):
        SonosRelaxation(start=first, end=error(1.0, 25e-9, 190e-9))


@pytest.mark.parametrize("change", [{"a": -1e-9}, {"b": 0.0}, {"v_read": 0.0}, {"a": math.nan}, {"a": "3 V"}])
def test_impossible_numbers(change):
    with pytest.raises(ValidationError):
        SonosRead.model_validate({"a": 1e-9, "b": 1e-9, "v_read": 0.1} | change)


def test_through_a_device(flash):
    """A day later the spread of a whole array is the table's; the noise of a read stays what it is."""
    device = Device(flash)
    cells = device.sample((200, 300), np.random.default_rng(0), torch.float32)
    target = torch.full_like(cells["g"], 8e-6)
    cells, pulses, gave_up = device.program(cells, target, None, 0.0, np.random.default_rng(1))
    assert int(pulses.sum()) == target.numel()
    assert gave_up is None
    for seconds, a_b in ((1.0, WRITE), (DAY, LATER), (30 * DAY, LATER)):
        g = device.conductance(cells, seconds)
        assert 1e9 * V * float((g - target).double().std()) == close(closed(a_b, 800.0), rel=0.01)
        fresh, frozen = device.read_sigma(cells, seconds, 1e-3)
        assert fresh is not None
        assert frozen is not None
        assert 1e9 * V * float(fresh.mean()) == close(closed(READ, 800.0), rel=0.01)
        assert not frozen.any()
