"""Times as loggers write them are the same instants, or are refused."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroanp.tables.times import from_numbers, looks_like_time, read_times

START = datetime(2021, 2, 27, 22, 0)
HOURS = [START + timedelta(hours=k) for k in range(80)]
FORMS = {
    "%Y-%m-%dT%H:%M:%S": "ISO 8601",
    "%Y-%m-%d %H:%M": "ISO 8601",
    "%d.%m.%Y %H:%M": "day.month.year",
    "%d.%m.%y %H:%M:%S": "day.month.year",
    "%m/%d/%Y %H:%M": "month/day/year",
    "%d/%m/%Y %H:%M": "day/month/year",
    "%m/%d/%Y %I:%M %p": "month/day/year",
    "%Y/%m/%d %H:%M": "year/month/day",
    "%Y%m%d%H%M": "yearmonthday%H%M",
}


def read(cells, name="when"):
    return read_times(name, cells, ".", np.arange(2, 2 + len(cells)), "x.csv")


@pytest.mark.parametrize("form", FORMS)
def test_the_common_forms_are_the_same_instants(form):
    times, problems = read([stamp.strftime(form) for stamp in HOURS])
    assert not problems
    assert times.form == FORMS[form]
    assert times.ns.tolist() == [int(stamp.replace(tzinfo=UTC).timestamp()) * 10**9 for stamp in HOURS]


@pytest.mark.parametrize("form", ["%m/%d/%Y", "%d/%m/%Y", "%d/%m/%y", "%d/%m/%Y 06:00"])
def test_firsts_of_months_are_months(form):
    """Each could be a day of January; over more than a year, only months are steps of one kind."""
    months = [datetime(1990 + k // 12, 1 + k % 12, 1) for k in range(40)]
    times, problems = read([stamp.strftime(form) for stamp in months])
    assert not problems
    assert times.ns[1] - times.ns[0] == 31 * 86400 * 10**9
    one, two = ("month/day/year", "day/month/year")[:: 1 if form.startswith("%m") else -1]
    assert (times.form, times.other) == (one, two)
    assert times.told == f"{one}, though {two} fits each cell, too"


def test_only_a_form_that_reads_all_cells_otherwise_is_another():
    assert read([stamp.strftime("%m/%d/%Y %H:%M") for stamp in HOURS])[0].other == ""
    assert read(["01/01/2013", "02/02/2013"])[0].other == ""  # the same either way
    assert read(["01/02/2013", "01/03/2013"])[0].other == "day/month/year"


@pytest.mark.parametrize(("per_second", "word"), [(1, "seconds"), (10**3, "milli"), (10**6, "micro"), (10**9, "nano")])
def test_unix_time_in_any_unit(per_second, word):
    seconds = [int(stamp.replace(tzinfo=UTC).timestamp()) for stamp in HOURS]
    times, problems = read([str(one * per_second) for one in seconds])
    assert not problems
    assert word in times.form
    assert times.ns.tolist() == [one * 10**9 for one in seconds]
    assert times.text(0) == "2021-02-27T22:00:00"


def test_elapsed_time_by_its_name_and_unit():
    times, problems = read(["0", "0.1", "0.2", "0.3"], "Time (ms)")
    assert (problems, times.ns.tolist(), times.dated) == ([], [0, 100_000, 200_000, 300_000], False)
    assert from_numbers("load", np.array([0.0, 0.1, 0.2])) is None


@pytest.mark.parametrize("name", ["T (K)", "T", "t_out", "T_max", "time (mV)"])
def test_temperatures_are_no_elapsed_times(name):
    assert from_numbers(name, np.array([280.0, 281.5, 283.0])) is None


@given(st.datetimes(datetime(1980, 1, 1), datetime(2100, 1, 1)))
def test_microseconds_are_kept(stamp):
    times, problems = read([stamp.isoformat()])
    assert not problems
    since = stamp - datetime(1970, 1, 1)
    assert times.ns[0] == (since // timedelta(microseconds=1)) * 1000
    assert datetime.fromisoformat(times.text(0)) == stamp


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["noon"], "x.csv:2: when: 'noon' is not a time; write e.g."),
        (["2013-01-01T00:00Z", "2013-01-01T01:00"], "some times carry a zone and some do not"),
        (["2013-01-01", "", "2013-01-03"], "x.csv:3: when: '' is not a time"),
        (["0.5", "0.7"], "'0.5' is not a time"),
        (["9999-01-01"], "'9999-01-01' is not a time"),
        (["31/31/2013", "1/1/2013"], "'31/31/2013' is not a time"),
    ],
)
def test_what_is_no_time_is_named(cells, message):
    _, problems = read(cells)
    assert message in "\n".join(problems)


def test_the_shape_of_a_time():
    assert all(map(looks_like_time, ["2013-01-01", "1/1/2010 0:00", "20130101T0600", "12:30:01.5", "1.2.13 0:00"]))
    assert not any(map(looks_like_time, ["1.5", "2013", "1,5", "12", "a", "1-2"]))
