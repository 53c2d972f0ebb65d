"""PyVISA, and the instrument that PyVISA-sim plays: messages, the physics behind them, its own look at limits."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroanp.errors import InputError
from neuroanp.instruments.played import PlayedArray, array_of
from neuroanp.instruments.protocol import InstrumentError, LinkLostError
from neuroanp.instruments.visa import VisaInstrument
from neuroanp.instruments.visa_options import COMMANDS
from tests.close import close
from tests.instruments.conftest import LIMITS, PULSE

RESOURCE = "TCPIP::bench::INSTR"


def opened(profile: Path, **options: Any) -> tuple[VisaInstrument, PlayedArray]:
    driver = VisaInstrument(RESOURCE, {"library": f"played:{profile}", "lines": 6, "bits": 4, **options})
    driver.open(LIMITS, PULSE)
    return driver, array_of(str(profile), "TCPIP0::bench::inst0::INSTR", driver.options)


def test_it_says_what_it_is(bench_profile: Path) -> None:
    driver, _ = opened(bench_profile)
    assert driver.open(LIMITS, PULSE) == ("neuroanp,played bench_ecram,0,1", 6, 4)


def test_a_read_is_V_G_with_the_noise_of_the_profile(bench_profile: Path) -> None:
    driver, played = opened(bench_profile)
    volts = np.linspace(-0.2, 0.2, 6)
    found = driver.read(np.tile(volts, (4000, 1))).astype(float)
    mean, sigma = volts @ played.siemens, 0.01 * np.sqrt(volts**2 @ played.siemens**2)
    assert np.abs(found.mean(0) - mean).max() < 5 * sigma.max() / 4000**0.5
    assert found.std(0) == close(sigma, rel=5 / 8000**0.5)


def test_pulses_move_the_devices_they_are_sent_to_and_no_others(bench_profile: Path) -> None:
    text = bench_profile.read_text() + "update: {dw_d2d: 0, c2c: 0, gamma_up: 0, gamma_down: 0, up_down_d2d: 0}\n"
    bench_profile.write_text(text)
    driver, played = opened(bench_profile)
    before, pulses = played.siemens, np.zeros((6, 4), np.int16)
    pulses[1, 2], pulses[5, 0] = 7, -20
    driver.write(pulses)
    assert (played.siemens - before) / 1e-8 == close(pulses.astype(float), rel=1e-4, abs=1e-4)  # float32 of 6 uS
    assert (played.pulses, played.written) == (27, 1)


def test_it_says_that_a_train_is_cut_to_what_its_law_sends(
    bench_profile: Path, caplog: pytest.LogCaptureFixture
) -> None:
    flat = "update: {dw_d2d: 0, c2c: 0, gamma_up: 0, gamma_down: 0, up_down_d2d: 0, max_pulses: 12}\n"
    bench_profile.write_text(bench_profile.read_text() + flat)
    driver, played = opened(bench_profile)
    before, pulses = played.siemens, np.zeros((6, 4), np.int16)
    pulses[1, 2], pulses[5, 0] = 12, -12
    driver.write(pulses)
    assert played.short == 0
    assert not caplog.messages
    driver.cost()
    pulses[1, 2], pulses[5, 0] = -20, 17
    at = played.siemens
    driver.write(pulses)
    assert played.siemens == close(before, rel=1e-4)  # twelve back, of either
    assert (played.short, played.pulses) == (13, 48)
    between = 0.5 * (at + played.siemens)
    assert driver.cost().joules == close((1.3**2 * between[1, 2] + 1.2**2 * between[5, 0]) * 12 * 1e-7, rel=1e-6)
    [said] = caplog.messages
    assert "played bench_ecram cut a train: its law sends a device 12 pulses at most" in said
    assert "13 were not sent" in said
    driver.write(pulses)
    assert len(caplog.messages) == 1  # once


def test_what_it_costs_is_V2_G_t(bench_profile: Path) -> None:
    driver, played = opened(bench_profile)
    driver.cost()
    volts = np.full((3, 6), 0.1)
    driver.read(volts)
    cost = driver.cost()
    assert cost.joules == close(3 * 0.01 * played.siemens.sum() * 250e-9, rel=1e-6)
    assert cost.seconds == close(3 * 250e-9)
    g, pulses = played.siemens[2, 3], np.zeros((6, 4), np.int16)
    pulses[2, 3] = -5
    driver.write(pulses)
    cost = driver.cost()
    assert cost.joules == close(1.3**2 * (g + played.siemens[2, 3]) / 2 * 5 * 1e-7, rel=1e-6)
    assert cost.seconds == close(5e-7)
    assert driver.cost() == (0.0, 0.0)


def test_the_instrument_refuses_by_itself_what_is_beyond_the_limits_it_was_told(bench_profile: Path) -> None:
    driver, played = opened(bench_profile)
    assert not np.isfinite(driver.read(np.full((1, 6), 0.3))).any()
    before = played.siemens
    with pytest.raises(InstrumentError, match="Data out of range"):
        driver.write(np.full((6, 4), 51, np.int16))
    np.testing.assert_array_equal(played.siemens, before)
    assert played.beyond == 2
    driver.write(np.full((6, 4), 50, np.int16))  # and the complaint is over
    assert (played.beyond, played.written) == (2, 1)


def test_what_others_left_in_the_queue_of_errors_is_none_of_ours(bench_profile: Path) -> None:
    driver, played = opened(bench_profile)
    played.error = '-350,"Queue overflow"'
    driver.open(LIMITS, PULSE)
    driver.write(np.zeros((6, 4), np.int16))


def test_devices_stay_as_they_are_until_they_are_written_again(bench_profile: Path) -> None:
    driver, played = opened(bench_profile)
    driver.write(np.full((6, 4), 9, np.int16))
    g = played.siemens
    driver.close()
    _, again = opened(bench_profile)
    np.testing.assert_array_equal(again.siemens, g)


def test_a_file_keeps_the_devices_from_one_process_to_the_next(bench_profile: Path, tmp_path: Path) -> None:
    state = str(tmp_path / "devices.npz")
    driver, played = opened(bench_profile, state=state)
    driver.write(np.full((6, 4), 9, np.int16))
    again = PlayedArray(played.profile, driver.options)
    np.testing.assert_array_equal(again.siemens, played.siemens)
    assert (again.pulses, again.message) == (played.pulses, 7)  # *CLS, *IDN?, LIM, OPC, ERR, SIZE, PULS
    with np.load(state) as held:
        kept = dict(held)
    damaged = {
        "no archive": None,
        "a count less": {**kept, "counts": kept["counts"][1:]},
        "one count": {**kept, "counts": kept["counts"][0]},
        "no time": {name: array for name, array in kept.items() if name != "now"},
        "two times": {**kept, "now": np.zeros(2)},
    }
    for content, arrays in damaged.items():
        Path(state).write_bytes(content.encode()) if arrays is None else np.savez(state, **arrays)
        with pytest.raises(InputError, match=r"devices\.npz: is not the state"):
            PlayedArray(played.profile, driver.options)


def test_a_kept_state_with_a_header_that_is_none_is_refused(bench_profile: Path, tmp_path: Path) -> None:
    state = tmp_path / "devices.npz"
    driver, played = opened(bench_profile, state=str(state))
    driver.write(np.full((6, 4), 9, np.int16))
    with zipfile.ZipFile(state) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    assert b"}" in content["now.npy"]
    content["now.npy"] = content["now.npy"].replace(b"}", b" ")  # nothing closes the bracket
    with zipfile.ZipFile(state, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    with pytest.raises(InputError, match=r"devices\.npz: is not the state"):
        PlayedArray(played.profile, driver.options)


def test_a_cut_link_is_lost_until_it_is_opened_again(bench_profile: Path) -> None:
    driver, played = opened(bench_profile)
    played.linked = False
    for ask in (lambda: driver.read(np.zeros((1, 6))), lambda: driver.write(np.ones((6, 4), np.int16)), driver.cost):
        with pytest.raises(LinkLostError, match="the link is lost"):
            ask()
    driver.open(LIMITS, PULSE)
    driver.read(np.zeros((1, 6)))
    driver.close()
    with pytest.raises(LinkLostError, match="not connected"):
        driver.cost()


def test_half_of_the_cuts_come_after_the_pulses_were_sent(bench_profile: Path) -> None:
    driver, played = opened(bench_profile)
    played.options = driver.options.model_copy(update={"cut_rate": 0.5})
    sent = lost = 0
    for _ in range(60):
        before = played.written
        try:
            driver.write(np.ones((6, 4), np.int16))
        except LinkLostError:
            lost += 1
            sent += played.written - before
            played.linked = True
    assert 0 < sent < lost


@pytest.mark.parametrize(
    ("command", "said", "told"),
    [
        ("size", "*IDN?", "is no size of an array"),
        ("size", "ARR:COST?", "is no size of an array"),
        ("cost", "*IDN?", "is no cost"),
        ("limits", "ARR:LIMITS", "Syntax error"),
    ],
)
def test_other_answers_than_are_due_are_said(bench_profile: Path, command: str, said: str, told: str) -> None:
    with pytest.raises(InstrumentError, match=told):
        opened(bench_profile, commands={command: said})[0].cost()


def test_currents_that_are_no_block_are_said(bench_profile: Path) -> None:
    driver, _ = opened(bench_profile)
    driver._words = {**COMMANDS, "read": "*OPC?"}
    with pytest.raises(InstrumentError, match="no block of numbers"):
        driver.read(np.zeros((1, 6)))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"libary": "@py"}, "hardware.options: libary: unknown key; did you mean 'library'?"),
        ({"commands": {"raed": "X"}}, "'raed' is not a command; did you mean 'read'?"),
        ({"commands": {"read": "X\nY"}}, "more than one line"),
        ({"timeout": "10 V"}, "timeout"),
    ],
)
def test_wrong_options_are_said(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as error:
        VisaInstrument(RESOURCE, options)
    assert said in str(error.value)


def test_a_resource_that_is_none_is_said(bench_profile: Path) -> None:
    driver = VisaInstrument("the board over there", {"library": f"played:{bench_profile}"})
    with pytest.raises(InputError, match=r"hardware\.resource: 'the board over there' is no VISA resource"):
        driver.open(LIMITS, PULSE)


def test_a_library_that_is_not_there_is_said() -> None:
    with pytest.raises(InputError, match=r"hardware\.options\.library: no VISA library '@nobody'"):
        VisaInstrument(RESOURCE, {"library": "@nobody"}).open(LIMITS, PULSE)


def test_an_instrument_that_is_not_there_is_a_lost_link(bench_profile: Path) -> None:
    with pytest.raises(LinkLostError, match=r"hardware\.resource: 'TCPIP::nobody::INSTR' does not answer"):
        VisaInstrument("TCPIP::nobody::INSTR", {"library": "@sim"}).open(LIMITS, PULSE)


def test_a_profile_without_pulses_of_one_size_cannot_be_played() -> None:
    with pytest.raises(InputError, match="'played:pcm': that profile has no pulses up and down of one size"):
        VisaInstrument(RESOURCE, {"library": "played:pcm"}).open(LIMITS, PULSE)
