"""Adding: the target is the sum of the two marked numbers, and losses lie at their closed forms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from neuroanp.baselines.persistence import constant_mean
from neuroanp.noise import Streams
from neuroanp.tasks.adding import Adding, AddingConfig
from tests.close import close

SPREAD = np.sqrt(7 / 180)
"""Standard deviation of the square of the sum of two uniform numbers around its mean: E s^4 - (E s^2)^2 = 7/180."""


@given(st.integers(2, 25), st.integers(0, 99))
def test_the_target_is_the_sum_of_the_marked_numbers_less_1(length, seed):
    task = Adding(AddingConfig(length=length))
    batch = task.sample(np.random.default_rng(seed), 6)
    assert batch.inputs.shape == (length, 6, 2) == (task.steps, 6, task.inputs)
    assert batch.mask.tolist() == [0.0] * (length - 1) + [1.0]
    values, marks = batch.inputs[:, :, 0], batch.inputs[:, :, 1]
    assert values.min() >= 0.0
    assert values.max() < 1.0
    for b in range(6):
        first, second = np.flatnonzero(marks[:, b])  # two, no more
        assert first < length // 2 <= second
        assert marks[first, b] == marks[second, b] == 1.0
        assert batch.targets[-1, b, 0] == close(values[first, b] + values[second, b] - 1.0, abs=1e-15)
    assert not batch.targets[:-1].any()


def test_each_step_of_a_half_is_marked_as_often():
    marks = Adding(AddingConfig(length=7)).sample(np.random.default_rng(0), 12_000).inputs[:, :, 1].sum(axis=1)
    expected = np.array([1 / 3] * 3 + [1 / 4] * 4) * 12_000
    assert (np.abs(marks - expected) < 4 * np.sqrt(expected)).all()


@pytest.mark.parametrize("length", [2, 20, 51])
def test_the_constant_has_a_sixth(length):
    task = Adding(AddingConfig(length=length, test_size=20_000))
    batch = task.test(np.random.default_rng(3))
    y = constant_mean(task, batch, Streams(0), windows=20_000)
    assert np.ptp(y) == 0.0
    found = task.score(y, batch)
    assert abs(found["loss"] - 1 / 6) < 4 * SPREAD / np.sqrt(20_000)
    assert found["nrmse"] == close(1.0, rel=1e-3)


@pytest.mark.parametrize("length", [6, 7])
def test_the_best_linear_function_of_all_inputs_has_its_closed_form(length):
    task, size = Adding(AddingConfig(length=length)), 40_000

    def rows(seed):
        batch = task.sample(np.random.default_rng(seed), size)
        flat = batch.inputs.transpose(1, 0, 2).reshape(size, -1)
        return np.column_stack([flat, np.ones(size)]), batch.targets[-1, :, 0]

    coefficients = np.linalg.lstsq(*rows(0), rcond=None)[0]
    inputs, targets = rows(1)
    first = length // 2
    expected = 1 / 6 - (1 / first + 1 / (length - first)) / 12
    assert abs(np.mean((inputs @ coefficients - targets) ** 2) - expected) < 4 * SPREAD / np.sqrt(size)
    by_half = [1 / first] * first + [1 / (length - first)] * (length - first)
    np.testing.assert_allclose(coefficients[0 : 2 * length : 2], by_half, atol=0.03)


def test_scores():
    task = Adding(AddingConfig(test_size=2))
    batch = task.test(np.random.default_rng(0))
    assert task.score(batch.targets, batch) == {"nrmse": 0.0, "loss": 0.0}
    assert next(iter(task.score(batch.targets, batch))) == "nrmse"
    y = batch.targets.copy()
    y[:-1] = 5.0  # unscored
    y[-1] += 0.5
    assert task.score(y, batch)["loss"] == close(0.25)
    assert not task.forecast
    assert task.persistence(batch) is None


@pytest.mark.parametrize("bad", [{"length": 0}, {"length": 1}, {"test_size": 1}, {"steps": 20}])
def test_bad_options_are_refused(bad):
    with pytest.raises(ValidationError):
        AddingConfig(**bad)
