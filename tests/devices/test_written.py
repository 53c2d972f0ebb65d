"""What a write leaves in the cells beside the conductance: age, exponents, wear; and who is written at all."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from neuroanp.devices.device import Device
from neuroanp.devices.effects import ALL_EFFECTS
from neuroanp.profiles import load, loads

DOUBLE = torch.float64
HEAD = """
meta: {{name: bench, summary: s, source: bench, status: illustrative}}
conductance: {{g_min: 5 uS, g_max: 25 uS, coding: offset}}
array: {{weight_range: 2, write: serial}}
{more}
"""
STEPS = (
    "update: {law: linear_step, dw: 0.05, bound_up: 1, bound_down: 1, gamma_up: 0, gamma_down: 0, noise: additive, "
    "tolerance: 0.06, max_pulses: 30}\n"
)


def bench(more: str, effects: frozenset[str] = ALL_EFFECTS) -> Device:
    return Device(loads(HEAD.format(more=more), "bench.yaml"), effects)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("wait", [0.0, 100.0])
def test_read_noise_is_of_the_written_conductance_and_the_age_at_the_end_of_the_window(wait):
    """Q(G_p) G(t) sqrt(L) with G(t) = G_p (t / t0)^-nu: what has drifted is not what was programmed."""
    law = load("pcm").read
    device = Device(load("pcm"), frozenset({"drift", "read_noise", "frozen_noise"}))
    cells = device.sample((2, 3), rng(), DOUBLE)
    target = torch.full((2, 2, 3), 10e-6, dtype=DOUBLE)
    cells, _, _ = device.program(cells, target, None, 5.0, rng(1))
    window = 1e-3
    fresh, frozen = device.read_sigma(cells, 5.0 + wait, window)
    now = 10e-6 * (max(wait, 20.0) / 20.0) ** -cells["nu"]
    q = 0.0088 / 0.4**0.65
    total = math.log((wait + window + law.t_read) / (2 * law.t_read))  # pyright: ignore[reportAttributeAccessIssue]
    assert fresh is not None
    assert frozen is not None
    torch.testing.assert_close(torch.hypot(fresh, frozen), q * now * math.sqrt(total), rtol=1e-9, atol=0)


def test_exponents_are_of_the_target_and_not_of_where_its_error_left_a_device():
    alone, both = (Device(load("pcm"), frozenset({"drift", *error})) for error in ((), ("programming_error",)))
    target = torch.from_numpy(rng().uniform(1e-6, 25e-6, (2, 8, 9)))
    (exact, _, _), (missed, _, _) = (
        each.program(each.sample((8, 9), rng(1), DOUBLE), target, None, 0.0, rng(2)) for each in (alone, both)
    )
    assert not torch.equal(exact["g"], missed["g"])
    assert torch.equal(exact["nu"], missed["nu"])
    mu, s = load("pcm").drift.spread(target, 25e-6)  # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue]
    z = (exact["nu"] - mu) / s
    assert float(z.mean()) == pytest.approx(0.0, abs=4.5 / math.sqrt(144))


def test_the_deadband_spares_a_move_of_just_its_size():
    """Exact in binary: from 2^-16 S by 2^-20 S, and by a little more."""
    device = bench("programming: {law: gaussian, sigma_absolute: 0 S, sigma_relative: 0, deadband: 1 uS}\n")
    law = device.programming.model_copy(update={"deadband": 2.0**-20})  # pyright: ignore
    device.programming = law
    start = torch.full((1, 1, 2), 2.0**-16, dtype=DOUBLE)
    cells, _, _ = device.program(device.sample((1, 2), rng(), DOUBLE), start, None, 0.0, rng(1))
    target = start + torch.tensor([[[2.0**-20, 2.0**-20 + 2.0**-40]]], dtype=DOUBLE)
    _, pulses, _ = device.program(cells, target, None, 1.0, rng(2))
    assert pulses.flatten().tolist() == [0, 1]


@pytest.mark.parametrize("way", ["place", "program", "pulse"])
def test_what_has_leaked_is_written_again_to_the_same_target(way):
    """Left alone for tau, a weight is not on its target any more, though no one has given it another one."""
    device = bench("drift: {law: leak, tau: 100 ms, rest: 15 uS}\n" + STEPS, frozenset({"drift"}))
    target = torch.full((1, 2, 3), 20e-6, dtype=DOUBLE)
    cells = device.place(device.sample((2, 3), rng(), DOUBLE), target, None, 0.0, rng(1))
    left = 15e-6 + 5e-6 / math.e
    torch.testing.assert_close(device.conductance(cells, 0.1), torch.full_like(target, left), rtol=1e-12, atol=0)
    if way == "place":
        cells = device.place(cells, target, None, 0.1, rng(2))
    elif way == "program":
        cells, pulses, _ = device.program(cells, target, None, 0.1, rng(2))
        assert bool((pulses > 0).all())
    else:  # one step, 0.5 uS, from what is left
        cells, pulses = device.pulse(cells, torch.full_like(target, 0.5000001e-6), 0.1, rng(2))
        target = torch.full_like(target, left) + 0.5e-6 * pulses
        assert bool((pulses > 0).any())
    torch.testing.assert_close(device.conductance(cells, 0.1), target, rtol=1e-9, atol=0)
    again = device.conductance(cells, 0.2) - 15e-6
    torch.testing.assert_close(again, (target - 15e-6) / math.e, rtol=1e-9, atol=0)


def test_a_worn_out_device_is_tried_to_the_last_pulse_and_given_up_on():
    """Pulses towards a far target; a device that is worn out takes all 30 of them and does not move."""
    device = bench(STEPS + "energy: {endurance: 100}\n")
    cells = device.sample((1, 4), rng(), DOUBLE)
    middle = torch.full((1, 1, 4), 15e-6, dtype=DOUBLE)
    cells = device.place(cells, middle, None, 0.0, rng(1))
    wear = torch.tensor([[[0, 99, 100, 101]]], dtype=torch.int32)
    cells, pulses, gave_up = device.program({**cells, "wear": wear}, middle + 5e-6, None, 0.0, rng(2))
    assert gave_up is not None
    assert gave_up.flatten().tolist() == [False, False, True, True]
    assert pulses.flatten().tolist()[2:] == [30, 30]
    assert bool((pulses.flatten()[:2] < 12).all())
    assert torch.equal(cells["wear"], wear + pulses)
    assert torch.equal(cells["g"] == middle, gave_up)
    assert torch.equal(cells["w"] == 0, gave_up)


@pytest.mark.parametrize("effects", [ALL_EFFECTS, ALL_EFFECTS - {"programming_error"}], ids=["verified", "landing"])
def test_a_stuck_device_fails_unless_it_stands_on_its_target(effects):
    """Asked for what it holds, for a little more (within the tolerance), for much more; the last one is not stuck."""
    device = bench(STEPS, effects)
    cells = device.sample((1, 4), rng(), DOUBLE)
    cells = {**cells, "stuck": torch.tensor([[[True, True, True, False]]])}
    target = cells["g"] + torch.tensor([[[0.0, 0.5e-6, 2e-6, 2e-6]]], dtype=DOUBLE)
    after, _, gave_up = device.program(cells, target, None, 0.0, rng(1))
    assert gave_up is not None
    assert gave_up.flatten().tolist() == [False, True, True, False]
    assert torch.equal(after["g"][cells["stuck"]], cells["g"][cells["stuck"]])


DRIFTS = {
    "leak": "{law: leak, tau: 100 s, rest: 9 uS}",
    "pcm": "{law: pcm, t0: 20 s, mu_slope: -0.0155, mu_offset: 0.0244, mu_min: 0.049, mu_max: 0.1, s_slope: -0.0125, "
    "s_offset: -0.0059, s_min: 0.008, s_max: 0.045}",
    "sonos": "{law: sonos, start: {time: 1 s, a: 20 nA, b: 180 nA, v_read: 0.1 V}, "
    "end: {time: 1 d, a: 60 nA, b: 500 nA, v_read: 0.1 V}}",
}


@pytest.mark.parametrize("drift", DRIFTS)
@pytest.mark.parametrize("steps", [False, True], ids=["law", "steps"])
def test_a_write_that_a_device_does_not_follow_changes_nothing_of_it_then_or_later(steps, drift):
    """Neither its age nor its exponent nor the error that grows about what it was told before: worn out, or stuck."""
    law = STEPS if steps else "programming: {law: gaussian, sigma_absolute: 0.1 uS, sigma_relative: 0}\n"
    device = bench(law + f"drift: {DRIFTS[drift]}\nenergy: {{endurance: 1000}}\n")
    cells = device.sample((2, 3), rng(), DOUBLE)
    cells = {**cells, "stuck": torch.tensor([[[True, False, False], [False, False, False]]])}
    cells, _, _ = device.program(cells, torch.full_like(cells["g"], 8e-6), None, 0.0, rng(1))
    worn = torch.tensor([[[False, True, True], [False, False, False]]])
    cells = {**cells, "wear": torch.where(worn, 1000, cells["wear"])}
    held = worn | cells["stuck"]
    assert torch.equal(device.held(cells), held)  # pyright: ignore[reportArgumentType]
    after, _, gave_up = device.program(cells, torch.full_like(cells["g"], 23e-6), None, 40.0, rng(2))
    assert gave_up is not None
    assert torch.equal(gave_up, held)
    for later in (40.0, 90.0, 1e6):
        one, other = (device.conductance(each, later) for each in (cells, after))
        torch.testing.assert_close(other[held], one[held], rtol=1e-9, atol=0)
        if later < 100:
            assert bool((other[~held] > one[~held] + 1e-6).all())
    if drift == "leak":  # what is stuck does not leak
        assert torch.equal(device.conductance(after, 1e6)[after["stuck"]], cells["g"][after["stuck"]])


@pytest.mark.parametrize("drift", DRIFTS)
def test_a_device_that_gets_no_pulse_keeps_its_age_and_its_exponent(drift):
    device = bench(STEPS + f"drift: {DRIFTS[drift]}\n")
    cells = device.sample((1, 2), rng(), DOUBLE)
    cells = device.place(cells, torch.full_like(cells["g"], 12e-6), None, 0.0, rng(1))
    after, pulses = device.pulse(cells, torch.tensor([[[3e-6, 0.0]]], dtype=DOUBLE), 50.0, rng(2))
    assert (pulses > 0).flatten().tolist() == [True, False]
    for later in (50.0, 90.0, 1e6):
        one, other = (device.conductance(each, later)[0, 0, 1] for each in (cells, after))
        assert float(other) == pytest.approx(float(one), rel=1e-9, abs=0)


@pytest.mark.parametrize(
    ("limit", "wear", "worn"),
    [(None, [100, 99], [True, False]), (None, [99, 1], None), ([3.0, 200.0], [50, 50], [True, False]),
     ([3.0, 200.0], [3, 1], [True, False])],
)  # fmt: skip
def test_devices_are_worn_out_by_the_pulses_that_each_endures(limit, wear, worn):
    device = bench(STEPS + "energy: {endurance: 100}\n")
    cells = {**device.sample((1, 2), rng(), DOUBLE), "wear": torch.tensor([[wear]], dtype=torch.int32)}
    if limit is not None:
        cells["limit"] = torch.tensor([[limit]], dtype=DOUBLE)
    out = device.worn_out(cells)
    assert (None if out is None else out.flatten().tolist()) == worn


def test_pulses_beyond_what_a_counter_holds_leave_it_full():
    device = bench(STEPS)
    cells = device.sample((1, 2), rng(), DOUBLE)
    most = torch.iinfo(torch.int32).max
    cells = {**cells, "wear": torch.tensor([[[most - 1, 7]]], dtype=torch.int32)}
    cells, pulses = device.pulse(cells, torch.full_like(cells["g"], 3.1e-6), 0.0, rng(1))
    assert bool((pulses >= 6).all())
    assert cells["wear"].flatten().tolist() == [most, 7 + int(pulses.flatten()[1])]


def test_endurance_spreads_lognormally_about_its_median():
    limit = bench("energy: {endurance: 1e6, endurance_sd: 0.5}\n" + STEPS).sample((200, 100), rng(), DOUBLE)["limit"]
    assert stats.kstest(limit.log().flatten().numpy(), stats.norm(math.log(1e6), 0.5).cdf).pvalue > 1e-3
