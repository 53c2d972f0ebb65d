"""Pulses that switch by chance: the probability, trains, verified writes, spread, and what the law is not for."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from neuroanp.characterizing import characterize
from neuroanp.devices.device import Device
from neuroanp.devices.protocol import Span
from neuroanp.devices.stt_mram import SttMram
from neuroanp.errors import InputError
from neuroanp.noise import Streams
from neuroanp.profiles import load
from neuroanp.requiring.parameters import parameters_of
from neuroanp.substrates.chip import DeviceChip
from neuroanp.trajectory import Weights, WeightUpdate
from tests.close import close

EXAMPLE = Path(__file__).parents[2] / "examples/data/stt_mram.yaml"
SPAN = Span(100e-6, 200e-6)
NUMBERS = {
    "tau0": 1e-9, "delta": 60.0, "duration": 100e-9, "current_up": 36e-6, "current_down": 51e-6, "i_c0_up": 40e-6,
    "i_c0_down": 60e-6, "max_pulses": 30, "pulses": "deterministic",
}  # fmt: skip
P_UP, P_DOWN = (-math.expm1(-100 * math.exp(-60 * x)) for x in (0.1, 0.15))
CHANCE = frozenset({"c2c", "d2d", "programming_error"})


def law(**changes) -> SttMram:
    return SttMram(**{**NUMBERS, **changes})


def cells_of(one: SttMram, high: bool, n: int, effects=CHANCE, dtype=torch.float32):
    g = torch.full((1, 1, n), SPAN.g_max if high else SPAN.g_min, dtype=dtype)
    return {"g": g, **one.sample((1, 1, n), np.random.default_rng(0), effects, g)}


def change(one: SttMram, count: int, like, sign: int = 1):
    return torch.full_like(like, sign * count * one.nominal(SPAN))


def test_the_probability_of_a_pulse_is_that_of_thermal_activation():
    assert law().probabilities == close((P_UP, P_DOWN), rel=1e-12)
    assert law(current_up=20e-6).probabilities[0] == close(100 * math.exp(-30), rel=1e-9)
    assert law(duration=200e-9).probabilities[0] == close(1 - (1 - P_UP) ** 2, rel=1e-12)


@pytest.mark.parametrize(("count", "sign", "p"), [(1, 1, P_UP), (4, 1, P_UP), (1, -1, P_DOWN), (25, -1, P_DOWN)])
def test_trains_switch_as_many_devices_as_they_should(count, sign, p):
    n, one = 200_000, law()
    cells = cells_of(one, sign < 0, n)
    done = one.pulse(cells, change(one, count, cells["g"], sign), SPAN, np.random.default_rng(1), CHANCE)
    assert bool((done.pulses == count).all())
    wanted = 1 - (1 - p) ** count
    share = float((done.cells["g"] != cells["g"]).double().mean())
    assert share == pytest.approx(wanted, abs=5 * math.sqrt(wanted * (1 - wanted) / n))
    assert sorted(set(done.cells["g"].flatten().tolist())) == close([SPAN.g_min, SPAN.g_max], rel=1e-6)


def test_who_is_there_already_stays():
    one = law()
    cells = cells_of(one, True, 100)
    done = one.pulse(cells, change(one, 30, cells["g"]), SPAN, np.random.default_rng(1), CHANCE)
    assert torch.equal(done.cells["g"], cells["g"])


def test_small_changes_are_right_on_average():
    """|dG| asks for |dG|/(P width) pulses, rounded by chance: of devices in the other state dG is the mean change."""
    n, one = 400_000, law(pulses=None, current_down=54e-6)  # both ways alike
    cells = cells_of(one, False, n)
    asked = 0.3 * one.nominal(SPAN)
    done = one.pulse(cells, torch.full_like(cells["g"], asked), SPAN, np.random.default_rng(1), CHANCE)
    moved = (done.cells["g"] - cells["g"]).double()
    assert float(moved.mean()) == close(asked, rel=5 * float(moved.std()) / math.sqrt(n) / asked)
    assert float(done.pulses.double().mean()) == close(0.3, rel=0.02)


@pytest.mark.parametrize("rises", [True, False])
def test_a_verified_write_takes_a_geometric_number_of_pulses(rises):
    n, one, p = 200_000, law(max_pulses=12), P_UP if rises else P_DOWN
    cells = cells_of(one, not rises, n)
    target = torch.full_like(cells["g"], 160e-6 if rises else 140e-6)
    done = one.program(cells, target, torch.ones_like(target, dtype=torch.bool), SPAN, np.random.default_rng(2), CHANCE)
    for k in (1, 2, 5):
        share = float((done.pulses == k).double().mean())
        wanted = p * (1 - p) ** (k - 1)
        assert share == pytest.approx(wanted, abs=5 * math.sqrt(wanted / n))
    left = (1 - p) ** 12
    missed = float(done.gave_up.double().mean())
    assert missed == pytest.approx(left, abs=5 * math.sqrt(left / n))
    assert float(done.pulses.double().mean()) == close((1 - left) / p, rel=0.02)
    assert torch.equal(done.cells["g"] == cells["g"], done.gave_up)


def test_what_is_in_the_nearer_state_takes_no_pulse_and_what_is_stuck_all():
    one = law()
    cells = {**cells_of(one, True, 4), "stuck": torch.tensor([[[False, True, False, True]]])}
    target = torch.tensor([[[190e-6, 190e-6, 110e-6, 110e-6]]])
    mask = torch.tensor([[[True, True, True, True]]])
    done = one.program(cells, target, mask, SPAN, np.random.default_rng(0), frozenset())
    assert done.pulses.flatten().tolist() == [0, 0, 1, 30]
    assert done.gave_up.flatten().tolist() == [False, False, False, True]
    assert done.cells["g"].flatten().tolist() == close([200e-6, 200e-6, 100e-6, 200e-6], rel=1e-6)
    none = one.program(cells, target, ~mask, SPAN, np.random.default_rng(0), CHANCE)
    assert not none.pulses.any()


def test_a_new_device_that_does_not_switch_is_in_the_other_state():
    one = law(current_up=10e-6, current_down=15e-6, max_pulses=1)  # P = 3e-18
    cells = {**cells_of(one, False, 2), "g": torch.full((1, 1, 2), SPAN.middle)}
    target = torch.tensor([[[200e-6, 100e-6]]])
    rng = np.random.default_rng(0)
    for done in (
        one.program(cells, target, torch.ones_like(target, dtype=torch.bool), SPAN, rng, CHANCE),
        one.pulse(cells, (target - SPAN.middle) * 1e18, SPAN, rng, CHANCE),
    ):
        assert done.pulses.flatten().tolist() == [1, 1]
        assert done.cells["g"].flatten().tolist() == close([100e-6, 200e-6], rel=1e-6)


def test_devices_differ_by_factors_of_mean_one():
    n, one = 200_000, law(delta_cv=0.05, i_c0_cv=0.1)
    drawn = cells_of(one, False, n, dtype=torch.float64)
    for name, mean, cv in (("delta", 60.0, 0.05), ("i_c0", 1.0, 0.1)):
        assert float(drawn[name].mean()) == close(mean, rel=2e-3)
        assert float(drawn[name].std() / drawn[name].mean()) == close(cv, rel=0.02)
    alike = cells_of(one, False, 5, frozenset({"c2c"}))
    assert alike["delta"].flatten().tolist() == [60.0] * 5
    assert alike["i_c0"].flatten().tolist() == [1.0] * 5
    rate = one.rate(torch.tensor([True]), torch.tensor([60.0]), torch.tensor([1.05]))
    assert float(rate) == close(100 * math.exp(-60 * (1 - 0.9 / 1.05)), rel=1e-4)
    beyond = one.rate(torch.tensor([True]), torch.tensor([60.0]), torch.tensor([0.5]))
    assert float(beyond) == close(100.0, rel=1e-6)  # t / tau_0, no faster


def test_without_chance_a_train_switches_where_a_half_would():
    one = law(current_up=36.5e-6)  # P = .41
    cells = cells_of(one, False, 3)
    for count, switched in ((1, False), (2, True)):
        done = one.pulse(cells, change(one, count, cells["g"]), SPAN, np.random.default_rng(0), frozenset())
        p = 1 - (1 - one.probabilities[0]) ** int(done.pulses[0, 0, 0])
        assert (p >= 0.5) == switched
        assert bool((done.cells["g"] != cells["g"]).all()) == switched


# ---- the example ----


def chip(write, hardware=None) -> DeviceChip:
    g = torch.Generator().manual_seed(0)
    shapes = {"w_in": (6, 4), "w": (6, 6), "w_out": (3, 6)}
    W = Weights.one_layer({k: torch.rand(s, generator=g) - 0.5 for k, s in shapes.items()})
    return DeviceChip.build(hardware or load(EXAMPLE), W, streams=Streams(0), dt=1e-6, write=write)


@pytest.mark.parametrize("write", ["verify", "pulse"])
def test_a_chip_holds_two_values_a_weight_and_books_its_pulses(write):
    one = chip(write)
    for index in range(3):
        W = {name: torch.full(w.shape, 0.1 * (-1) ** index) for name, w in one.weights.items()}
        one.apply(WeightUpdate(W), 1.0, Streams(0), index)
    for array in one.arrays.values():
        held = (array.mean_weights(one.now) / array.w_s).flatten().tolist()
        assert all(min(abs(w - 1), abs(w + 1)) < 1e-4 for w in held)
    report = one.ledger.report()
    assert report["pulses"] > 0
    assert report["energy"]["writes"] == close(1e-12 * report["pulses"], rel=1e-9)


def test_pulses_in_place_are_refused_for_pairs():
    plain = load(EXAMPLE)
    pairs = plain.model_copy(update={"conductance": plain.conductance.model_copy(update={"coding": "differential"})})
    with pytest.raises(InputError, match="pulses in place are rises only"):
        chip("pulse", pairs)
    held = chip("verify", pairs).arrays["w"]
    values = {round(w, 4) for w in (held.mean_weights(0.0) / held.w_s).flatten().tolist()}
    assert values <= {-1.0, 0.0, 1.0}


def test_it_is_characterized_and_can_be_required():
    found = characterize(load(EXAMPLE), only=["switching"], devices=3000)
    assert len(found.measurements[0].moments) == 16
    assert all(abs(moment.z) < 4.5 for moment in found.checked)
    short = load(EXAMPLE).model_copy(update={"update": load(EXAMPLE).update.model_copy(update={"max_pulses": 3})})
    few = characterize(short, only=["switching"], devices=20_000)
    assert len(few.checked) == 8
    assert all(abs(moment.z) < 4.5 for moment in few.checked)
    with pytest.raises(InputError, match="nothing to measure"):
        characterize(load("pcm"), only=["switching"])
    asked, _ = parameters_of(load(EXAMPLE), "test_loss", CHANCE, "verify", False)
    assert {"update.i_c0_cv", "update.delta_cv"} <= {one.key for one in asked}
    assert Device(load(EXAMPLE)).can_program


@pytest.mark.parametrize(("changes", "key", "says"), [
    ({"current_up": 40e-6}, "current_up", "is not below i_c0_up, '40 uA': the law is of thermal activation"),
    ({"current_down": 70e-6}, "current_down", "is not below i_c0_down"),
    ({"duration": 1e-9}, "duration", "is over before chance decides"),
    ({"current_up": 1e-9, "delta": 800.0}, "delta", "pulses never switch"),
    ({"delta": 0.0}, "delta", "not a number above 0"),
    ({"max_pulses": 0}, "max_pulses", "greater than 0"),
])  # fmt: skip
def test_beyond_its_range_the_law_is_refused(changes, key, says):
    with pytest.raises(ValidationError) as error:
        law(**changes)
    found = error.value.errors()
    assert [detail["loc"] for detail in found] == [(key,)]
    assert says in found[0]["msg"]
