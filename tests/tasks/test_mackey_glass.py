"""Mackey-Glass: the solver holds to the equation, windows to their series."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from neuroanp.tasks.mackey_glass import MackeyGlass, MackeyGlassConfig, solve
from tests.close import close


def small(**options) -> MackeyGlass:
    return MackeyGlass(MackeyGlassConfig(**{"train_length": 400, "test_size": 6, **options}))


@given(st.floats(0.15, 0.5), st.floats(0.05, 0.14), st.integers(1, 10))
@settings(max_examples=20)
def test_the_fixed_point_stays(beta, gamma, n):
    fixed = (beta / gamma - 1.0) ** (1.0 / n)
    series = solve(np.full(171, fixed), 5, beta=beta, gamma=gamma, n=n)
    np.testing.assert_allclose(series, fixed, rtol=1e-12)


def test_without_feedback_it_decays_exponentially_to_first_order():
    exact = 1.2 * np.exp(-0.1 * np.arange(1, 11))
    errors = [np.abs(solve(np.full(17 * k + 1, 1.2), 10, beta=0.0) - exact).max() for k in (10, 20, 40)]
    assert errors[0] / errors[1] == close(2.0, rel=0.02)
    assert errors[1] / errors[2] == close(2.0, rel=0.02)


def test_one_step_of_the_delay_equation_by_hand():
    history = np.linspace(0.9, 1.3, 18)  # one substep for each time unit
    first = history[-1] + 0.2 * history[0] / (1 + history[0] ** 10) - 0.1 * history[-1]
    second = first + 0.2 * history[1] / (1 + history[1] ** 10) - 0.1 * first
    np.testing.assert_allclose(solve(history, 2), [first, second], rtol=1e-15)


def test_a_history_of_another_length_is_refused():
    with pytest.raises(ValueError, match="tau k"):
        solve(np.ones(100), 1)


def test_the_series_is_chaotic_and_within_the_known_range():
    series = solve(1.2 + np.random.default_rng(0).uniform(-0.1, 0.1, 171), 3000)[500:]
    assert 0.2 < series.min() < 0.5
    assert 1.2 < series.max() < 1.4
    near = solve(np.full(171, 1.2), 3000)[-100:], solve(np.full(171, 1.2 + 1e-6), 3000)[-100:]
    assert np.abs(near[0] - near[1]).max() > 1e-3


@pytest.mark.parametrize("direction", ["ahead", "recall"])
def test_the_target_is_the_input_shifted(direction):
    task = small(direction=direction, horizon=7)
    for batch in (task.sample(np.random.default_rng(0), 4), task.test(np.random.default_rng(0))):
        if direction == "ahead":
            np.testing.assert_array_equal(batch.targets[:-7], batch.inputs[7:])
        else:
            np.testing.assert_array_equal(batch.targets[7:], batch.inputs[:-7])
        assert np.abs(batch.inputs).max() < 1.0


def test_test_windows_score_each_unit_once():
    batch = small().test(np.random.default_rng(0))
    scored = batch.inputs[batch.mask > 0][:, :, 0].T.ravel()
    assert len(np.unique(scored)) == len(scored) == 6 * 36
    tail = batch.inputs[36:, 0, 0]  # the next window's washout repeats the window before
    np.testing.assert_array_equal(tail, batch.inputs[:24, 1, 0])


def test_the_training_series_has_no_mean_and_differs_from_the_test_series():
    task = small(train_length=2000)
    assert abs(task._train.mean()) < 1e-12
    assert not np.isin(task._test, task._train).any()
    assert not np.array_equal(small(series_seed=1)._train, small()._train)


def test_persistence_is_the_present_value_and_makes_no_sense_for_recall():
    task = small()
    batch = task.test(np.random.default_rng(0))
    np.testing.assert_array_equal(task.persistence(batch), batch.inputs)
    recall = small(direction="recall")
    assert not recall.forecast
    assert recall.persistence(batch) is None
    assert task.score(batch.targets, batch) == {"nrmse": 0.0, "loss": 0.0}


@pytest.mark.parametrize(
    "bad", [{"washout": 60}, {"horizon": 0}, {"train_length": 100, "steps": 90}, {"direction": "back"}]
)
def test_bad_options_are_refused(bad):
    with pytest.raises(ValidationError):
        MackeyGlassConfig(**bad)


def test_every_option_is_described():
    assert all(field.description for field in MackeyGlassConfig.model_fields.values())
