"""Codes for missing values are suspected; measurements are not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroanp.tables.suspects import counts_up, suspected_codes


@pytest.mark.parametrize("code", [-999.9, -9999, 9999, 1e30, 999.25, -99.9, -32768, 9.91e37, 9.96921e36])
@pytest.mark.parametrize("times", [1, 20])
def test_codes_among_measurements_are_found(code, times):
    values = np.random.default_rng(0).uniform(0.0, 40.0, 2000)
    values[::100][:times] = code
    assert suspected_codes(values) == [(code, times)]


def test_two_codes_and_an_unknown_one_that_repeats():
    values = np.random.default_rng(0).uniform(900.0, 1050.0, 1000)
    values[::50], values[1::50] = -999.0, -9999.0
    assert suspected_codes(values) == [(-9999.0, 20), (-999.0, 20)]
    values = np.random.default_rng(0).uniform(0.0, 1.0, 1000)
    values[::50] = 55.5
    assert suspected_codes(values) == [(55.5, 20)]
    assert suspected_codes(values, only_codes=True) == []


@given(st.integers(0, 2**31), st.sampled_from(["normal", "exponential", "uniform", "poisson", "cauchy"]))
def test_measurements_are_no_suspects(seed, law):
    rng = np.random.default_rng(seed)
    drawn = {
        "normal": rng.standard_normal(500), "exponential": rng.standard_exponential(500), "uniform": rng.random(500),
        "poisson": rng.poisson(2.0, 500).astype(float), "cauchy": rng.standard_cauchy(500),
    }  # fmt: skip
    assert suspected_codes(drawn[law]) == []


@pytest.mark.parametrize(
    "values",
    [
        [0.0, 1.0] * 50,
        [0.0] * 99 + [999.0],
        list(range(1000)),
        [999.0 + k / 10 for k in range(30)],
        [float("nan")] * 5,
        [],
        [7.0] * 9,
        [0.0] * 50 + [0.1, 0.4, 12.0] * 4,
    ],
)
def test_switches_ranges_and_rain_are_no_suspects(values):
    assert suspected_codes(np.array(values)) == []


def test_counters_rise_evenly():
    assert counts_up(np.arange(100.0))
    assert counts_up(0.1 * np.arange(5000) + 1e5)
    assert not counts_up(np.array([0.0, 1.0, 3.0]))
    assert not counts_up(np.zeros(10))
    assert not counts_up(np.sin(np.arange(10.0)))
