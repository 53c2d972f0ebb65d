"""Headers in the ways in which names and units are written."""

import pytest

from neuroanp.tables.headings import QUANTITIES, measured, readings, scale
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


def test_what_measures_nothing_of_an_instrument():
    assert measured("kW") is None
    assert measured("") is None
    assert scale("mV", TIME) is None
    assert scale("uA", CURRENT) == 1e-6
    assert scale("kV", VOLTAGE) == 1e3


@pytest.mark.parametrize(
    ("name", "is_time"),
    [("time_s", True), ("Timestamp", True), ("t (ms)", True), ("Second", True), ("date", True), ("load", False),
     ("temp_max", False), ("downtime", False)],
)  # fmt: skip
def test_names_of_times(name, is_time):
    assert named_like_time(name) is is_time
