"""Static power and area: what flows while nothing happens, by hand; the divider of a junction; books old and new."""

from __future__ import annotations

import pytest
import torch

from neuroanp.errors import InputError
from neuroanp.noise import Streams
from neuroanp.profiles import load, loads
from neuroanp.substrates.chip import DeviceChip
from neuroanp.substrates.facts import describe, known_effects
from neuroanp.trajectory import Weights, WeightUpdate
from tests.close import close

N, I, O = 5, 3, 2  # noqa: E741
TEXT = """
meta: {{name: bench, summary: s, source: bench, status: illustrative}}
conductance: {{g_min: 1 uS, g_max: 21 uS, coding: differential}}
programming: {{law: ideal}}
array: {{weight_range: 2, write: serial, max_rows: 2}}
energy: {{write: 1 pJ, write_time: 1 us{energy}}}
{more}
"""
STATIC = ", static_row: 1 uW, static_column: 20 uW, static_node: 300 uW"
AREA = ", area_device: 1 um^2, area_row: 20 um^2, area_column: 300 um^2, area_node: 4000 um^2"
RTN = (
    "stochastic: {law: rtn, tau_high: 2 us, tau_low: 5 us, amplitude: 50 mV, n_sources: 3, kappa: 1, "
    "volts_per_unit: 0.3 V}"
)


def profile(energy: str = "", more: str = ""):
    return loads(TEXT.format(energy=energy, more=more), "bench.yaml")


def build(hardware, write="verify", **options) -> DeviceChip:
    shapes = {"w_in": (N, I), "w": (N, N), "w_out": (O, N)}
    W = {key: torch.full(size, 0.1, dtype=torch.float64) for key, size in shapes.items()}
    given = {"dt": 1e-6, "dtype": torch.float64, "write": write, **options}
    return DeviceChip.build(hardware, Weights.one_layer(W), streams=Streams(0), **given)


def test_every_second_is_paid_for():
    """m rows; n columns of each of ceil(m/2) tiles; N + O units; while arrays are read and while they are written."""
    chip = build(profile(STATIC))
    watts = 1e-6 * (I + N + N) + 20e-6 * (N * 2 + N * 3 + O * 3) + 300e-6 * (N + O)
    assert sum(chip.static.values()) == close(watts)
    written = chip.ledger.time_s
    assert written > 0
    assert chip.ledger.energy()["static"] == close(watts * written)
    chip.elapse(2.5)
    assert chip.ledger.energy()["static"] == close(watts * (written + 2.5))
    chip.apply(WeightUpdate({"w": torch.ones(N, N, dtype=torch.float64)}), 0.1, Streams(0), 0)
    report = chip.ledger.report()
    assert report["energy"]["static"] == close(watts * report["time_s"])
    assert report["static_W"] == close(watts)
    assert report["energy_J"] == close(sum(joules for joules in report["energy"].values() if joules is not None))
    assert "static" not in report["unstated"]


def test_area_is_that_of_the_parts():
    chip = build(profile(AREA))
    devices = 2 * (N * I + N * N + O * N)
    area = 1e-12 * devices + 20e-12 * (I + N + N) + 300e-12 * (N * 2 + N * 3 + O * 3) + 4000e-12 * (N + O)
    assert sum(chip.area.values()) == close(area)
    assert chip.ledger.report()["area_m2"] == close(area)
    assert describe(chip)["area_m2"]["devices"] == close(1e-12 * devices)


def test_what_states_neither_says_neither():
    chip = build(profile())
    chip.elapse(1.0)
    report = chip.ledger.report()
    assert not {"static_W", "area_m2"} & set(report)
    assert "static" not in report["energy"]
    assert "static" not in chip.ledger.state_dict()
    assert not {"static_W", "area_m2"} & set(describe(chip))


def test_sources_burn_what_is_stated_of_them():
    """Three a unit, of hidden and output units alike; none where they are off."""
    hardware = profile(", static_junction: 2 uW, area_junction: 7 um^2", RTN)
    chip = build(hardware)
    assert chip.static == {"junctions": close(2e-6 * 3 * (N + O))}
    assert chip.area == {"junctions": close(7e-12 * 3 * (N + O))}
    off = build(hardware, effects=frozenset(known_effects(hardware)) - {"node_noise"})
    assert off.static == {}


def test_the_divider_of_smtj_telegraph():
    """V_DD^2 / (R_L + R) of both states at balance: 7.3 pJ a step of 1 us and junction, beside 20 fJ a sample."""
    chip = build(load("smtj_telegraph"), write="ideal")
    chip.elapse(1e-6)
    joules = 0.4**2 * 0.5 * (1 / (11e3 + 7.64e3) + 1 / (11e3 + 15.28e3)) * 1e-6
    assert joules == close(7.3e-12, rel=0.01)
    assert chip.ledger.energy()["static"] == close(joules * (N + O), rel=1e-9)


def test_a_divider_follows_its_junction():
    """p of the state AP at the bias counts: at 0.24 V the odds are e^2 for AP, whose current is lower."""
    law = load("smtj_telegraph").stochastic.model_copy(update={"bias": 0.24})  # pyright: ignore[reportOptionalMemberAccess]
    p = law.occupancy()
    assert p > 0.8
    assert law.static_power == close(0.16 * ((1 - p) / 18640 + p / 26280), rel=1e-9)


def test_books_of_before_are_taken_back():
    """A checkpoint without static power: the books go on from 0 of it."""
    chip = build(profile(STATIC))
    state = chip.state_dict()
    again = build(profile(STATIC))
    again.elapse(1.0)
    again.load_state_dict(state)
    assert again.ledger.report() == chip.ledger.report()
    again.load_state_dict({key: value for key, value in state.items() if key != "ledger/static"})
    assert again.ledger.energy()["static"] == 0.0
    page = chip.ledger.page()
    page.book_time("reads", 1.0)
    before = chip.ledger.energy()["static"]
    chip.ledger.add(page)
    assert chip.ledger.energy()["static"] == close(before + chip.ledger.static)


@pytest.mark.parametrize(
    ("energy", "more", "said"),
    [
        (", static_junction: 1 uW", "", "energy.static_junction: is of sources of node noise that there are not"),
        (", area_junction: 1 um^2", "", "energy.area_junction: is of sources of node noise that there are not"),
        (", static_row: 1 pJ", "", "'1 pJ' is not a power; write e.g. '3 uW'"),
        (", area_device: 1 um", "", "'1 um' is not an area; write e.g. '25 um^2'"),
    ],
)
def test_figures_that_make_no_sense_are_refused(energy, more, said):
    with pytest.raises(InputError) as caught:
        profile(energy, more)
    assert said in str(caught.value)


def test_a_power_that_the_law_knows_is_not_stated_again(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "extends: smtj_telegraph\nmeta: {name: mine, summary: s, source: a choice, status: illustrative}\n"
        "energy: {static_junction: 1 uW}\n"
    )
    with pytest.raises(InputError, match="computes their power from its own parameters; drop this key"):
        load(tmp_path / "mine.yaml")


@pytest.mark.parametrize("value", ["25 um^2", "0.01 mm^2", "3 m^2", "7e-15 m^2"])
def test_an_area_is_read_back_as_it_was_written(value):
    one = profile(f", area_device: {value}")
    assert loads(one.text).hash == one.hash
    assert loads(one.text).energy == one.energy
