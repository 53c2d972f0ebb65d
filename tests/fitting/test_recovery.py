"""Fits find the parameters behind measurements that the library's own laws made."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.fitting.cases import CASES, fitted, truth_of

FIRST_SEED = 400
TRIALS = {"drift": 50, "linear_step": 50}
"""Of records whose fit takes a second; of the others MANY."""
MANY = 200
SHARE = 0.9
"""Of 95 % intervals, so many at least hold the truth: of 200 with probability 0.999 for each parameter."""
FAR = 4.5
"""Standard errors: a normal estimate is further off once in 150,000."""


@pytest.mark.parametrize("name", CASES)
def test_one_record_gives_its_parameters_back(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    fit = fitted(case, FIRST_SEED, tmp_path)
    assert fit.law == case.law
    for key in case.truth:
        found, true = fit[key], truth_of(case, fit, key)
        assert found.low <= found.value <= found.high
        assert abs(found.value - true) < FAR / 1.96 * max(found.high - found.value, found.value - found.low), key
    assert not any(test.fails(1e-6) for test in fit.goodness)


@pytest.mark.long
@pytest.mark.parametrize("name", CASES)
def test_intervals_hold_the_truth(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    hits: Counter[str] = Counter()
    trials = TRIALS.get(name, MANY)
    for seed in range(FIRST_SEED, FIRST_SEED + trials):
        fit = fitted(case, seed, tmp_path)
        for key in case.truth:
            found = fit[key] if fit.law == case.law else None
            hits[key] += found is not None and found.low <= truth_of(case, fit, key) <= found.high
    assert {key: hits[key] for key in case.truth if hits[key] < SHARE * trials} == {}
