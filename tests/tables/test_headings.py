"""Headers in the ways in which names and units are written."""

import pytest

from neuroanp.tables.headings import QUANTITIES, measured, readings, scale, unit_under
from neuroanp.tables.times import named_like_time

TIME, VOLTAGE, CURRENT, *_ = QUANTITIES


@pytest.mark.parametrize(
    "header",
    ["time_us", "time (us)", "time [us]", "time/us", "time, us", "time {us}", "time us", "time(µs)"],
)
def test_a_name_and_its_unit(header):
    name, unit = next(iter(readings(header)))
    assert name == "time"
    assert scale(unit, TIME) == 1e-6


def test_names_may_have_the_marks_that_lead_units():
    assert next(iter(readings("read_voltage_mV"))) == ("read_voltage", "mV")
    assert ("air_temp", "") in list(readings("air_temp"))


@pytest.mark.parametrize(
    ("text", "unit"),
    [("Volt", "V"), ("(mV)", "V"), ("second", "s"), ("msec", "s"), ("kOhm", "ohm"), ("uA", "A"), ("nS", "S")],
)
def test_units_as_instruments_write_them(text, unit):
    assert measured(text).unit == unit


def test_oscilloscopes_write_seconds_as_siemens():
    assert next(iter(readings("TIME (S)"))) == ("TIME", "s")
    assert next(iter(readings("G (S)"))) == ("G", "S")
    assert (unit_under("Time", "S"), unit_under("conductance", "S"), unit_under("Time", "mV")) == ("s", "S", "mV")


def test_what_measures_nothing_of_an_instrument():
    assert measured("kW") is None
    assert measured("") is None
    assert scale("mV", TIME) is None
    assert scale("uA", CURRENT) == 1e-6
    assert scale("kV", VOLTAGE) == 1e3


@pytest.mark.parametrize(
    ("name", "is_time"),
    [("time_s", True), ("Timestamp", True), ("t (ms)", True), ("Second", True), ("date", True), ("load", False),
     ("temp_max", False), ("downtime", False), ("T", False), ("T (K)", False), ("T_out", False), ("t_out", False),
     ("t", True), ("T (us)", True), ("time (mV)", False), ("Temp (°C)", False), ("t, °C", False), ("time [K]", False),
     ("Time (UTC)", True), ("date_time", True), ("time_hour", True), ("TIME (S)", True), ("H", False), ("h", True)],
)  # fmt: skip
def test_names_of_times(name, is_time):
    assert named_like_time(name) is is_time
