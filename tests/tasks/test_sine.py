"""Sine: the target obeys the oscillator's recursion, the inputs only name it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from neuroanp.tasks.sine import Sine, SineConfig
from tests.close import close


@given(st.integers(20, 60), st.integers(1, 9), st.floats(2.5, 80.0), st.integers(0, 9))
def test_the_target_is_the_harmonic_recursion_from_phase_zero(steps, onset, period, seed):
    task = Sine(SineConfig(steps=steps, onset=onset, periods=(period,)))
    batch = task.sample(np.random.default_rng(seed), 3)
    assert batch.inputs.shape == (steps, 3, 2) == (task.steps, 3, task.inputs)
    assert batch.targets.shape == (steps, 3, 1)
    s = batch.targets[onset:, 0, 0]
    assert s[0] == 0.0
    assert s[1] == close(np.sin(2 * np.pi / period))
    np.testing.assert_allclose(s[2:] + s[:-2], 2 * np.cos(2 * np.pi / period) * s[1:-1], atol=1e-9)
    assert not batch.targets[:onset].any()
    np.testing.assert_array_equal(batch.mask, np.arange(steps) >= onset)


def test_by_default_two_periods_fit():
    task = Sine(SineConfig())
    s = task.test(np.random.default_rng(0)).targets[20:, 0, 0]
    assert len(s) == 180
    np.testing.assert_allclose(s[90:], s[:90], atol=1e-12)
    assert np.sum(np.diff(np.sign(s[1:])) != 0) >= 3
    assert np.mean(s**2) == close(0.5)


@pytest.mark.parametrize("context", ["constant", "pulse"])
def test_context_lines_name_the_period_and_the_start_line_marks_the_onset(context):
    task = Sine(SineConfig(steps=30, onset=4, periods=(8, 12, 20), context=context, test_size=7))
    batch = task.test(np.random.default_rng(0))
    on = np.arange(30) < (30 if context == "constant" else 4)
    for b in range(7):
        k = b % 3
        expected = np.zeros((30, 4))
        expected[on, k] = 1.0
        expected[:4, 3] = 1.0
        np.testing.assert_array_equal(batch.inputs[:, b], expected)
        np.testing.assert_allclose(
            batch.targets[4:, b, 0], np.sin(2 * np.pi * np.arange(26) / (8, 12, 20)[k]), atol=1e-12
        )


def test_the_sum_is_the_mean_of_all_sines():
    one = Sine(SineConfig(periods=(30, 50), test_size=2)).test(np.random.default_rng(0))
    both = Sine(SineConfig(periods=(30, 50), combine="sum", test_size=2)).test(np.random.default_rng(0))
    np.testing.assert_allclose(both.targets[:, 0], one.targets.mean(axis=1), atol=1e-15)
    assert both.inputs[100, 0].tolist() == [1.0, 1.0, 0.0]
    np.testing.assert_array_equal(both.targets[:, 0], both.targets[:, 1])


def test_training_draws_the_periods_evenly():
    task = Sine(SineConfig(steps=4, onset=1, periods=(4, 8)))
    first = task.sample(np.random.default_rng(0), 4000).inputs[0, :, 0]
    assert abs(first.mean() - 0.5) < 4 * 0.5 / np.sqrt(4000)


def test_scores_and_the_rest():
    task = Sine(SineConfig())
    batch = task.test(np.random.default_rng(0))
    assert task.score(batch.targets, batch) == {"nrmse": 0.0, "loss": 0.0}
    assert next(iter(task.score(batch.targets, batch))) == "nrmse"
    flat = task.score(np.zeros_like(batch.targets), batch)
    assert flat == {"nrmse": close(1.0), "loss": close(0.5)}  # whole periods: mean 0, square 1/2
    assert not task.forecast
    assert task.persistence(batch) is None
    assert task.fingerprint() == ""


@given(st.integers(3, 9), st.floats(2.001, 1e6), st.sampled_from(["one", "sum"]))
def test_targets_always_vary(steps, period, combine):
    task = Sine(SineConfig(steps=steps, onset=1, periods=(period, 50.0), combine=combine))
    batch = task.test(np.random.default_rng(0))
    assert np.isfinite(task.score(batch.targets, batch)["nrmse"])


@pytest.mark.parametrize(
    "bad", [{"onset": 199}, {"onset": 0}, {"periods": ()}, {"periods": (2.0,)}, {"periods": (float("inf"),)}, {"f": 1}]
)
def test_bad_options_are_refused(bad):
    with pytest.raises(ValidationError):
        SineConfig(**bad)


def test_every_option_is_described():
    assert all(field.description for field in SineConfig.model_fields.values())
