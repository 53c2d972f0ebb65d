"""The leak: exponential, a semigroup in time, Arrhenius in temperature."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from neuroanp.devices.device import Device
from neuroanp.devices.leak import Leak
from neuroanp.devices.protocol import Span
from neuroanp.profiles import loads
from neuroanp.profiles.arrhenius import BOLTZMANN
from tests.close import close

SPAN = Span(0.0, 25e-6)
NONE = torch.zeros(1, dtype=torch.float64)


def wait(law: Leak, g: torch.Tensor, seconds: float) -> torch.Tensor:
    return law.conductance(g, torch.zeros_like(g), torch.tensor(seconds, dtype=torch.float64), g, SPAN)


@given(
    g=st.floats(0, 25e-6),
    rest=st.floats(0, 25e-6),
    log_tau=st.floats(-9, 9),
    waits=st.lists(st.floats(0, 5), min_size=2, max_size=6),
)
def test_waits_in_a_row_are_one_wait_of_their_sum(g, rest, log_tau, waits):
    tau = 10.0**log_tau
    law, state = Leak(tau=tau, rest=rest), torch.tensor([g], dtype=torch.float64)
    whole = wait(law, state, tau * sum(waits))
    for part in waits:
        state = wait(law, state, tau * part)
    assert float(state) == pytest.approx(float(whole), rel=1e-12, abs=1e-18)
    assert float(whole) == pytest.approx(rest + (g - rest) * math.exp(-sum(waits)), rel=1e-9, abs=1e-18)


def test_starts_where_it_is_and_ends_at_rest():
    law = Leak(tau=1e-3, rest=5e-6)
    g = torch.tensor([0.0, 5e-6, 25e-6])
    assert torch.equal(wait(law, g, 0.0), g)
    assert wait(law, g, 1e9).tolist() == torch.full((3,), 5e-6).tolist()
    assert wait(law, g, 1e-3).dtype == torch.float32


def test_float32_keeps_a_slow_leak():
    """A millionth of tau a step: the age is float64 and the sum of the steps that of one wait."""
    law = Leak(tau=1.0, rest=0.0)
    g = torch.tensor([20e-6])
    assert float(wait(law, g, 1.0)) == close(20e-6 / math.e, rel=1e-6)
    slow = wait(law, g, 1e-6)
    assert float(slow) == close(20e-6 * (1 - 1e-6), rel=1e-7)


def test_nothing_is_drawn_at_a_write():
    xi = torch.from_numpy(np.random.default_rng(0).standard_normal(4))
    assert Leak(tau=1.0, rest=0.0).draw(xi, 25e-6, xi).tolist() == [0.0] * 4
    assert Leak.settles


def test_arrhenius():
    """tau doubles where E_a / k_B (1/T - 1/T_ref) = ln 2, and going there and back changes nothing."""
    energy = 0.6 * 1.602176634e-19
    law = Leak.model_validate(
        {"tau": 1.0, "rest": 0.0, "activation_energy": "0.6 eV", "reference_temperature": "300 K"}
    )
    assert law.activation_energy == close(energy)
    cold = 1 / (1 / 300.0 + BOLTZMANN * math.log(2) / energy)
    assert law.at_temperature(cold).tau == close(2.0, rel=1e-12)
    assert law.at_temperature(350.0).tau < 1.0
    assert law.at_temperature(300.0).tau == 1.0
    there = law.at_temperature(350.0)
    assert there.at_temperature(300.0).tau == close(1.0, rel=1e-12)
    fixed = Leak(tau=1.0, rest=0.0)
    assert fixed.at_temperature(400.0) is fixed
    for impossible in (0.0, -5.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="is not a temperature"):
            law.at_temperature(impossible)
    with pytest.raises(ValueError, match="too far from reference_temperature"):
        law.at_temperature(5.0)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"tau": 0.0}, "'0 s' is not above zero"),
        ({"tau": -1.0}, "is not above zero"),
        ({"rest": -1e-6}, "negative"),
        ({"activation_energy": 1e-19}, "reference_temperature\n  an Arrhenius law needs both"),
        ({"reference_temperature": 300.0}, "activation_energy\n  an Arrhenius law needs both"),
        ({"activation_energy": 1e-19, "reference_temperature": 0.0}, "is not above zero"),
    ],
)
def test_impossible_numbers(change, says):
    with pytest.raises(ValidationError, match=says):
        Leak.model_validate({"tau": 1.0, "rest": 0.0} | change)


def test_in_a_profile():
    text = """meta: {name: mine, summary: a test, source: my bench, status: measured}
conductance: {g_min: 0 S, g_max: 25 uS, coding: differential}
drift: {law: leak, tau: 20 ms, rest: 0 S, activation_energy: 0.6 eV, reference_temperature: 300 K}
array: {weight_range: 4, write: row}
"""
    profile = loads(text)
    assert loads(profile.text).drift == profile.drift
    assert isinstance(profile.drift, Leak)
    assert (profile.drift.tau, profile.drift.reference_temperature) == (0.02, 300.0)
    assert profile.drift.activation_energy == close(0.6 * 1.602176634e-19)


def test_through_a_device_at_two_temperatures():
    """20 ms at 300 K: what is left after 30 ms, and after 30 ms warmer, where tau is shorter."""
    text = """meta: {name: mine, summary: a test, source: my bench, status: measured}
conductance: {g_min: 0 S, g_max: 25 uS, coding: differential}
programming: {law: ideal}
drift: {law: leak, tau: 20 ms, rest: 0 S, activation_energy: 0.6 eV, reference_temperature: 300 K}
array: {weight_range: 4, write: row}
"""
    target = torch.full((2, 3, 4), 20e-6, dtype=torch.float64)
    for kelvin in (300.0, 320.0):
        device = Device(loads(text), temperature=kelvin)
        cells = device.sample((3, 4), np.random.default_rng(0), torch.float64)
        cells, _, _ = device.program(cells, target, None, 1.0, np.random.default_rng(1))
        factor = math.exp(-0.6 * 1.602176634e-19 / BOLTZMANN * (1 / 300 - 1 / kelvin))
        left = 20e-6 * math.exp(-0.03 / (0.02 * factor))
        assert device.conductance(cells, 1.03)[0, 0, 0] == close(left, rel=1e-9)
