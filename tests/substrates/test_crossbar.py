"""Weights to conductances and back, variance of a pair in SI units, word-line sums."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroanp.devices.device import Device
from neuroanp.profiles import load
from neuroanp.substrates.crossbar import Crossbar
from tests.close import close

NONE = frozenset[str]()
DOUBLE = torch.float64


def crossbar(profile, shape=(5, 7), effects=NONE, dtype=DOUBLE) -> Crossbar:
    return Crossbar(profile, Device(profile, effects), shape, np.random.default_rng(0), dtype)


def hand_profile(coding: str):
    profile = load("pcm")
    conductance = profile.conductance.model_copy(update={"g_min": 1e-6, "g_max": 21e-6, "coding": coding})
    array = profile.array.model_copy(update={"weight_range": 2.0})
    return profile.model_copy(update={"conductance": conductance, "array": array})


def test_hand_computed_pair():
    bar = crossbar(hand_profile("differential"), (4, 4))
    assert bar.w_s == close(2 * math.sqrt(2 / 8)) == close(1.0)
    g = bar.to_conductance(torch.tensor([[0.5, -0.25]], dtype=DOUBLE))
    assert (1e6 * g).flatten().tolist() == close([11, 1, 1, 6])
    v_read = bar.profile.periphery.v_read
    assert bar.k == close(1.0 / (20e-6 * v_read))


def test_hand_computed_offset():
    bar = crossbar(hand_profile("offset"), (4, 4))
    g = bar.to_conductance(torch.tensor([[0.5, -1.0]], dtype=DOUBLE))
    assert (1e6 * g).flatten().tolist() == close([16, 1])
    assert bar.slope == close(2 * crossbar(hand_profile("differential"), (4, 4)).slope)  # twice the noise gain


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), coding=st.sampled_from(["differential", "offset"]))
def test_weights_survive_the_round_trip(seed, coding):
    bar = crossbar(hand_profile(coding))
    w = torch.from_numpy(np.random.default_rng(seed).uniform(-1, 1, (5, 7))) * bar.w_s
    g = bar.to_conductance(w)
    torch.testing.assert_close(bar.to_weights(g), w, rtol=1e-9, atol=1e-12)
    assert float(g.min()) >= 1e-6 * (1 - 1e-12)
    assert float(g.max()) <= 21e-6 * (1 + 1e-12)
    change = torch.from_numpy(np.random.default_rng(seed + 1).uniform(-0.1, 0.1, (5, 7)))
    dg = bar.to_change(change)
    moved = bar.to_weights(g + dg) - w
    torch.testing.assert_close(moved, change, rtol=1e-9, atol=1e-12)
    if coding == "differential":
        assert float(dg.min()) >= 0


def test_clip_counts_what_lies_beyond():
    bar = crossbar(hand_profile("differential"), (4, 4))
    clipped, beyond = bar.clip(torch.tensor([0.5, 1.0, 1.5, -7.0], dtype=DOUBLE))
    assert clipped.tolist() == close([0.5, 1.0, 1.0, -1.0])
    assert beyond == 2


def test_variance_of_a_weight_is_that_of_its_two_devices():
    profile = load("pcm")
    bar = crossbar(profile, effects=frozenset({"read_noise"}))
    w = torch.full((5, 7), 0.4, dtype=DOUBLE) * bar.w_s
    bar.cells = bar.device.place(bar.cells, bar.to_conductance(w), None, 0.0, np.random.default_rng(0))
    plan = bar.prepare(86400.0, 1e-3, lambda: pytest.fail("no frozen noise was asked for"))
    g = 0.4 * 25e-6
    q = min(0.0088 / 0.4**0.65, 0.2)
    fresh = q * g * math.sqrt(math.log(math.pi * 1e-3 / 250e-9) - 0.923)  # G- is at 0 S and quiet
    assert float(plan.sigma2[0, 0]) == close((bar.w_s / 25e-6) ** 2 * fresh**2, rel=1e-9)
    torch.testing.assert_close(plan.W, w, rtol=1e-12, atol=0)


def test_frozen_noise_is_in_the_weights_and_has_its_spread():
    profile = load("pcm")
    bar = crossbar(profile, (100, 200), frozenset({"frozen_noise"}))
    w = torch.full((100, 200), 0.4, dtype=DOUBLE) * bar.w_s
    bar.cells = bar.device.place(bar.cells, bar.to_conductance(w), None, 0.0, np.random.default_rng(0))
    xi = torch.from_numpy(np.random.default_rng(1).standard_normal((2, 100, 200)))
    plan = bar.prepare(86400.0, 1e-3, lambda: xi)
    assert plan.sigma2 is None
    total = math.log((86400 + 1e-3 + 250e-9) / 500e-9)
    frozen = 0.0088 / 0.4**0.65 * 0.4 * bar.w_s * math.sqrt(total - math.log(math.pi * 1e-3 / 250e-9) + 0.923)
    assert float((plan.W - w).std()) == close(frozen, rel=0.02)
    assert torch.equal(bar.prepare(86400.0, 1e-3, lambda: xi, noise=False).W, bar.mean_weights(86400.0))


def test_word_lines_count_both_devices():
    bar = crossbar(hand_profile("differential"), (3, 2))
    g = bar.to_conductance(torch.zeros(3, 2, dtype=DOUBLE))
    bar.cells = {**bar.cells, "g": g}
    assert bar.columns(0.0).tolist() == close([6e-6, 6e-6])
    bar = crossbar(hand_profile("offset"), (3, 2))
    assert bar.columns(0.0).tolist() == close([66e-6, 66e-6])  # each at 11 uS, its reference too


@pytest.mark.parametrize(("write", "in_turn"), [("serial", 9), ("row", 6)])
def test_pulses_in_turn(write, in_turn):
    profile = hand_profile("differential")
    profile = profile.model_copy(update={"array": profile.array.model_copy(update={"write": write})})
    bar = crossbar(profile, (2, 2))
    pulses = torch.tensor([[[1, 0], [2, 0]], [[0, 2], [0, 4]]], dtype=torch.int32)
    assert bar.count(pulses) == (9, in_turn)
