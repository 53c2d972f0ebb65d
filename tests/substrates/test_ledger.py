"""The books: parts add up, what is not stated is said, hand-computed reads and writes."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neuroanp.noise import Streams
from neuroanp.profiles import load
from neuroanp.substrates.chip import DeviceChip
from neuroanp.substrates.ledger import ABSENT, KINDS, STATED, UNSTATED, Ledger
from neuroanp.trajectory import Weights, WeightUpdate
from tests.close import close

DOUBLE = torch.float64


@given(
    kinds=st.lists(st.sampled_from([STATED, UNSTATED, ABSENT]), min_size=len(KINDS), max_size=len(KINDS)),
    bookings=st.lists(st.tuples(st.sampled_from(KINDS), st.floats(0, 1e-3)), max_size=30),
    spiking=st.booleans(),
)
def test_totals_are_the_sum_of_the_stated_parts(kinds, bookings, spiking):
    ledger = Ledger(dict(zip(KINDS, kinds, strict=True)), True, 1e6, spiking)
    for kind, joules in bookings:
        ledger.book_energy(kind, joules)
    parts = ledger.energy()
    assert [kind for kind, joules in parts.items() if joules is None] == [k for k in ledger.unstated if k in KINDS]
    if STATED in ledger.kinds.values():
        assert ledger.energy_J == close(sum(part for part in parts.values() if part is not None))
    else:
        assert ledger.energy_J is None
    for kind in KINDS:
        if ledger.kinds[kind] == STATED:
            assert parts[kind] == close(math.fsum(j for k, j in bookings if k == kind))
    given = dict(zip(KINDS, kinds, strict=True))
    if not spiking:
        assert not {"spikes", "synaptic_events"} & set(parts)
    elif given["synaptic_events"] == STATED:  # an event reads its weight: there is nothing else to read
        assert parts["array_reads"] == 0.0
    else:
        assert ledger.kinds == given


def test_energy_over_a_count_leaves_writes_out():
    ledger = Ledger(dict.fromkeys(KINDS, STATED) | {"synaptic_events": ABSENT}, True, None)
    for kind, joules in (("writes", 1.0), ("adc", 2e-12), ("spikes", 3e-12), ("array_reads", 1e-12)):
        ledger.book_spikes(1, 10)
        ledger.book_energy(kind, joules)
    assert ledger.energy_per(4) == close(1.5e-12)
    assert ledger.report()["energy_per_event_J"] == close(0.15e-12)
    assert ledger.energy_per(0) is None
    only = Ledger(dict.fromkeys(KINDS, UNSTATED) | {"writes": STATED}, True, None)
    only.book_spikes(4, 4)
    assert (only.energy_J, only.energy_per(4)) == (0.0, None)


def test_state_survives_bit_for_bit():
    ledger = Ledger(dict.fromkeys(KINDS, STATED), True, 1e9)
    ledger.book_energy("adc", 0.1 + 0.2)
    ledger.book_writes(7, 1e-9 / 3, 1 / 3, 5)
    ledger.book_reads(3)
    ledger.book_conversions(1, 8)
    ledger.book_spikes(11, 130)
    other = Ledger(dict.fromkeys(KINDS, STATED), True, 1e9)
    other.load_state_dict(ledger.state_dict())
    assert other.report() == ledger.report()
    assert ledger.report()["wear_fraction"] == 5e-9
    assert ledger.report()["clipped"] == 0.125


def hand_chip(**changes) -> DeviceChip:
    """All weights at half of the range: G+ 12.5 uS, G- 0; every figure in the profile is round."""
    profile = load("pcm")
    update = {
        "array": profile.array.model_copy(update={"weight_range": 2.0, "write": changes.get("write", "serial")}),
        "energy": profile.energy.model_copy(
            update={
                "write": 1e-12,
                "write_time": 1e-7,
                "digital": 2e-12,
                "endurance": 100.0,
                "read": changes.get("read"),
            }
        ),
        "periphery": profile.periphery.model_copy(
            update={
                "v_read": 0.2,
                "dac": profile.periphery.dac.model_copy(update={"energy": 1e-13}),
                "adc": profile.periphery.adc.model_copy(update={"energy": 3e-13}),
            }
        ),
        "programming": profile.programming.model_copy(update={"pulses": 2, "deadband": 0.0}),
    }
    shapes = {"w_in": (4, 2), "w": (4, 4), "w_out": (1, 4)}
    weights = Weights.one_layer({k: torch.full(s, math.sqrt(2 / sum(s)), dtype=DOUBLE) for k, s in shapes.items()})
    return DeviceChip.build(
        profile.model_copy(update=update), weights, streams=Streams(0), dt=1e-6, effects=frozenset(), dtype=DOUBLE
    )


def test_hand_computed_read():
    chip = hand_chip()
    before = chip.ledger.energy()
    x2 = torch.tensor([1.0, 0.5, 0.0, 2.5], dtype=DOUBLE)
    chip.book_reads("w", x2, 10, 10)
    spent = {kind: chip.ledger.energy()[kind] - before[kind] for kind, joules in before.items() if joules is not None}
    assert spent["array_reads"] == close(0.04 * 4.0 * 4 * 12.5e-6 * 250e-9)
    assert spent["dac"] == close(10 * 4 * 1e-13)
    assert spent["adc"] == close(10 * 4 * 3e-13)
    assert spent["digital"] == close(10 * 4 * 2e-12)
    assert spent["writes"] == spent["node_noise"] == 0.0
    assert chip.ledger.reads == 10
    chip.book_reads("w_in", torch.zeros(2, dtype=DOUBLE), 10, 10)
    assert chip.ledger.energy()["digital"] - before["digital"] == close(spent["digital"])  # the units of w


def test_a_stated_figure_replaces_the_computed_read():
    chip = hand_chip(read=5e-15)
    chip.book_reads("w", torch.ones(4, dtype=DOUBLE), 10, 10)
    assert chip.ledger.energy()["array_reads"] == close(10 * 16 * 5e-15)


@pytest.mark.parametrize(("write", "in_turn"), [("serial", 2 * 2), ("row", 2)])
def test_hand_computed_write(write, in_turn):
    chip = hand_chip(write=write)
    cells = 2 * (8 + 16 + 4)  # the first write: every device of every pair, two pulses each
    assert chip.ledger.pulses == 2 * cells
    assert chip.ledger.energy()["writes"] == close(2 * cells * 1e-12)
    lines = {"serial": 2 * cells, "row": 2 * (2 + 4 + 4)}[write]
    assert chip.ledger.time_s == close(lines * 1e-7)
    before, clock, held = chip.ledger.report(), chip.now, chip.arrays["w"].mean_weights(0.0)
    gradient = torch.zeros(4, 4, dtype=DOUBLE)
    gradient[0, 1] = gradient[2, 1] = 1.0  # two G+ of one word line move; their G- stay at 0 S
    chip.apply(WeightUpdate({"w": gradient}), 0.01, Streams(0), 1)
    after = chip.ledger.report()
    assert after["pulses"] - before["pulses"] == 4
    assert after["energy"]["writes"] - before["energy"]["writes"] == close(4e-12)
    assert after["time_s"] - before["time_s"] == close(in_turn * 1e-7)
    assert chip.now - clock == close(in_turn * 1e-7)
    assert chip.ledger.wear == 4
    assert chip.ledger.wear_fraction == close(0.04)
    torch.testing.assert_close(chip.arrays["w"].mean_weights(0.0) - held, -0.01 * gradient, rtol=1e-9, atol=1e-12)


def test_time_has_two_parts():
    chip = hand_chip()
    writes = chip.ledger.report()["time"]["writes"]
    chip.elapse(0.5)
    assert chip.ledger.report()["time"] == {"reads": 0.5, "writes": writes}
    assert chip.ledger.time_s == close(0.5 + writes) == close(chip.now)


def test_what_the_ideal_profile_does_not_state_is_said():
    weights = Weights.one_layer({k: torch.zeros(s) for k, s in {"w_in": (2, 1), "w": (2, 2), "w_out": (1, 2)}.items()})
    chip = DeviceChip.build(load("ideal"), weights, streams=Streams(0), dt=1e-6)
    chip.book_reads("w", torch.ones(2), 5, 5)
    assert chip.ledger.energy_J is None
    assert {"array_reads", "adc", "writes", "digital", "write_time"} <= set(chip.ledger.unstated)
    assert chip.ledger.energy()["node_noise"] == 0.0


def test_hand_computed_write_from_voltages():
    """V^2 G t of each device, C V^2 of its line, and the half-selected devices of both lines."""
    from neuroanp.profiles.sections import EnergyFigures
    from neuroanp.substrates.tiling import Tiling
    from neuroanp.substrates.write_energy import write_energy

    figures = EnergyFigures(write_voltage=2.0, write_time=1e-7, line_capacitance=5e-14, half_select=0.5)
    before = torch.tensor([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]], dtype=DOUBLE) * 1e-6
    after = before.clone()
    after[0, 1, 0] = 5e-6
    pulses = torch.zeros(2, 2, 2, dtype=torch.int32)
    pulses[0, 1, 0] = 3  # G 3 -> 5 uS, mean 4; word line: 1 + 4 + 5 + 7; bit line: 4 + 4
    expected = 3 * (4 * 4e-6 * 1e-7 + 5e-14 * 4 + 0.25 * 4 * 1e-7 * ((1 + 5 + 7) + 4) * 1e-6)
    assert write_energy(figures, pulses, before, after, Tiling((2,), (2,))) == close(expected)
    alone = 3 * (4 * 4e-6 * 1e-7 + 5e-14 * 4 + 0.25 * 4 * 1e-7 * 7e-6)  # tiles of one cell: only its pair is near
    assert write_energy(figures, pulses, before, after, Tiling((1, 1), (1, 1))) == close(alone)
    assert write_energy(EnergyFigures(write=1e-12), pulses, before, after, Tiling((2,), (2,))) == close(3e-12)
    assert write_energy(EnergyFigures(), pulses, before, after, Tiling((2,), (2,))) is None


def test_tiles_take_a_conversion_each_and_are_added():
    profile = load("pcm")
    tiled = profile.model_copy(
        update={
            "array": profile.array.model_copy(update={"max_rows": 3}),
            "energy": profile.energy.model_copy(update={"accumulate": 1e-14}),
        }
    )
    shapes = {"w_in": (4, 2), "w": (4, 4), "w_out": (1, 4)}
    weights = Weights.one_layer({k: torch.zeros(s, dtype=DOUBLE) for k, s in shapes.items()})
    chip = DeviceChip.build(tiled, weights, streams=Streams(0), dt=1e-6, dtype=DOUBLE)
    before = chip.ledger.energy()
    chip.book_reads("w", torch.ones(4, dtype=DOUBLE), 10, 10)
    spent = {kind: chip.ledger.energy()[kind] - before[kind] for kind in ("dac", "adc", "accumulate")}
    assert spent["dac"] == close(10 * 4 * profile.periphery.dac.energy)
    assert spent["adc"] == close(10 * 4 * 2 * profile.periphery.adc.energy)
    assert spent["accumulate"] == close(10 * 4 * 1e-14)
    assert "accumulate" not in hand_chip().ledger.energy()
