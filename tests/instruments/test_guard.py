"""Limits hold before anything is sent; a link that is lost comes back, and pulses are never sent twice."""

from __future__ import annotations

import numpy as np
import pytest

from neuroanp.errors import InputError
from neuroanp.instruments.guard import Guard
from neuroanp.instruments.protocol import Identity, InstrumentError, LinkLostError
from tests.instruments.conftest import LIMITS, PULSE, Told


@pytest.fixture
def guard(told: Told) -> Guard:
    made = Guard(told, LIMITS, PULSE, retries=2, wait_s=0.0)
    made.open()
    return made


def test_a_read_is_what_the_instrument_answers(guard: Guard, told: Told) -> None:
    volts = np.linspace(-0.25, 0.25, 24).reshape(3, 8)
    found = guard.read(volts, told.siemens)
    np.testing.assert_allclose(found, volts.astype(np.float32).astype(float) @ told.siemens, rtol=1e-6)


def test_large_reads_go_in_parts(guard: Guard, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neuroanp.instruments.guard.MOST_VALUES", 16)
    volts = np.full((5, 8), 0.1) * np.arange(1, 6)[:, None] / 5
    found = guard.read(volts, told.siemens)
    assert [len(part) for part in told.reads] == [2, 2, 1]
    np.testing.assert_allclose(found, volts @ told.siemens, rtol=1e-6)


@pytest.mark.parametrize("volts", [0.2501, -0.2501, float("nan"), float("inf")])
def test_no_voltage_beyond_the_limit_is_sent(guard: Guard, told: Told, volts: float) -> None:
    asked = np.zeros((2, 8))
    asked[1, 3] = volts
    with pytest.raises(InstrumentError, match=r"limits\.voltage"):
        guard.read(asked, told.siemens)
    assert not told.reads


def test_no_current_that_can_be_foreseen_beyond_the_limit_is_driven(guard: Guard, told: Told) -> None:
    asked = np.full((1, 8), 0.25)
    known = np.full((8, 4), 51e-6)  # 8 x .25 V x 51 uS = 102 uA
    with pytest.raises(InstrumentError, match=r"limits\.current.*would need 102 uA.*nothing was sent"):
        guard.read(asked, known)
    assert not told.reads
    guard.read(asked, known * 49 / 51)


def test_a_current_that_nobody_foresaw_ends_the_run(guard: Guard, told: Told) -> None:
    told.siemens = np.full((8, 4), 1e-3)
    with pytest.raises(InstrumentError, match=r"limits\.current.*drove"):
        guard.read(np.full((1, 8), 0.25), np.zeros((8, 4)))


@pytest.mark.parametrize("answer", [np.zeros((1, 3)), np.full((1, 4), np.nan)])
def test_nonsense_is_no_read(guard: Guard, told: Told, answer: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told, "read", lambda volts: answer)
    with pytest.raises(InstrumentError, match="told: a read of 1 rows"):
        guard.read(np.zeros((1, 8)), told.siemens)


@pytest.mark.parametrize("count", [51, -51, 40_000, -32_768])
def test_no_pulses_beyond_the_limit_are_sent(guard: Guard, told: Told, count: int) -> None:
    pulses = np.zeros((8, 4), np.int64)
    pulses[2, 1] = count
    with pytest.raises(InstrumentError, match=r"limits\.pulses.*nothing was sent"):
        guard.write(pulses)
    assert not told.writes
    pulses[2, 1] = 50
    assert guard.write(pulses)
    assert told.writes[0][2, 1] == 50


@pytest.mark.parametrize("name", ["up", "down"])
def test_no_pulse_of_a_voltage_beyond_the_limit_can_be_asked_for(told: Told, name: str) -> None:
    with pytest.raises(InputError) as error:
        Guard(told, LIMITS, PULSE.model_copy(update={name: -1.6}))
    assert f"hardware.pulse.{name}" in str(error.value)
    assert not told.opened


def test_a_read_is_repeated_where_the_link_was_lost(guard: Guard, told: Told) -> None:
    told.fails = ["read", "open", "read"]
    found = guard.read(np.full((1, 8), 0.1), told.siemens)
    np.testing.assert_allclose(found, np.full((1, 4), 0.8 * 6e-6), rtol=1e-6)
    assert guard.lost == 2
    assert not told.fails


@pytest.mark.parametrize("when", ["before write", "after write"])
def test_pulses_are_never_sent_twice(guard: Guard, told: Told, when: str) -> None:
    told.fails = [when]
    assert not guard.write(np.ones((8, 4), np.int16))
    assert len(told.writes) == (when == "after write")
    assert told.opened == 2


def test_a_link_that_stays_lost_is_an_error(guard: Guard, told: Told) -> None:
    told.fails = ["read", "open", "open"]
    with pytest.raises(LinkLostError, match="open: cut"):
        guard.read(np.zeros((1, 8)), told.siemens)


@pytest.mark.parametrize("cost", [(-1.0, None), (None, float("nan")), (float("inf"), 0.0)])
def test_no_cost_is_below_nothing(guard: Guard, told: Told, cost: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told, "cost", lambda: cost)
    with pytest.raises(InstrumentError, match="where 0 or more are due"):
        guard.cost()


def test_another_instrument_is_not_taken_for_the_same(guard: Guard, told: Told) -> None:
    told.fails, told.identity = ["read"], Identity("another", 8, 4)
    with pytest.raises(InstrumentError, match="another instrument answers"):
        guard.read(np.zeros((1, 8)), told.siemens)
