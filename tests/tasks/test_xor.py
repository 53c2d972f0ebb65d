"""Temporal XOR: the layout is the sum of its lengths, the answer is the exclusive or, the test is balanced."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from neuroanp.tasks.xor import TemporalXor, TemporalXorConfig
from tests.close import close

lengths = {
    "start": st.integers(0, 6),
    "pulse": st.integers(1, 6),
    "gap": st.integers(0, 6),
    "delay": st.integers(0, 6),
    "window": st.integers(1, 6),
    "cue": st.booleans(),
}


def bits(batch, options) -> np.ndarray:
    """Read the two bits (2, B) off the middles of the pulses."""
    middles = np.array([0, options.pulse + options.gap]) + options.start + options.pulse // 2
    return batch.inputs[middles, :, 1].astype(int)


@given(**lengths, seed=st.integers(0, 99), draw=st.sampled_from(["random", "balanced"]))
def test_the_target_is_the_exclusive_or_of_two_pulses(seed, draw, **layout):
    options = TemporalXorConfig(**layout, draw=draw)
    task = TemporalXor(options)
    batch = task.sample(np.random.default_rng(seed), 7)
    T = layout["start"] + 2 * layout["pulse"] + layout["gap"] + layout["delay"] + layout["window"]
    assert batch.inputs.shape == (T, 7, 2 + layout["cue"]) == (task.steps, 7, task.inputs)
    assert batch.targets.shape == (T, 7, 1)
    window = np.arange(T) >= T - layout["window"]
    np.testing.assert_array_equal(batch.mask, window)
    cues = np.repeat(window[:, None, None], 7, axis=1) if layout["cue"] else np.zeros((T, 7, 0))
    np.testing.assert_array_equal(batch.inputs[:, :, 2:], cues)
    one, two = bits(batch, options)
    np.testing.assert_array_equal(batch.targets[window, :, 0], np.tile(2 * (one ^ two) - 1, (layout["window"], 1)))
    assert not batch.targets[~window].any()
    # each pulse is on one line, for its own steps only
    expected = np.zeros((T, 7, 2))
    for begin, bit in ((options.start, one), (options.start + options.pulse + options.gap, two)):
        expected[begin : begin + options.pulse, np.arange(7), bit] = 1.0
    np.testing.assert_array_equal(batch.inputs[:, :, :2], expected)


def test_by_default_a_trial_is_80_steps_without_a_cue():
    task = TemporalXor(TemporalXorConfig())
    assert (task.steps, task.inputs) == (80, 2)


def test_the_test_holds_each_of_the_four_sequences_equally_often_and_draws_nothing():
    task = TemporalXor(TemporalXorConfig(test_size=24))
    rng = np.random.default_rng(0)
    one, two = bits(task.test(rng), task.options)
    assert np.bincount(2 * one + two).tolist() == [6, 6, 6, 6]
    assert rng.integers(1 << 40) == np.random.default_rng(0).integers(1 << 40)


def test_no_affine_function_of_the_inputs_separates_the_four_sequences():
    # u_00 + u_11 = u_01 + u_10, so f(00) + f(11) = f(01) + f(10) for every affine f: never -, -, +, +
    u = TemporalXor(TemporalXorConfig(test_size=4)).test(np.random.default_rng(0)).inputs
    np.testing.assert_array_equal(u[:, 0] + u[:, 3], u[:, 1] + u[:, 2])
    assert len({u[:, b].tobytes() for b in range(4)}) == 4


@given(st.integers(1, 40), st.integers(0, 99))
def test_balanced_batches_hold_each_sequence_as_often_to_one(size, seed):
    task = TemporalXor(TemporalXorConfig(draw="balanced"))
    one, two = bits(task.sample(np.random.default_rng(seed), size), task.options)
    counts = np.bincount(2 * one + two, minlength=4)
    assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("draw", ["random", "balanced"])
def test_training_bits_are_uniform(draw):
    task = TemporalXor(TemporalXorConfig(draw=draw, start=0, pulse=1, gap=0, delay=0, window=1))
    rng = np.random.default_rng(3)
    counts = np.zeros(4)
    for _ in range(400):  # six at a time: a balanced batch holds two of the sequences twice
        one, two = bits(task.sample(rng, 6), task.options)
        counts += np.bincount(2 * one + two, minlength=4)
    n = 6 * 400
    assert np.abs(counts - n / 4).max() < 4 * np.sqrt(n * 3 / 16)


def test_the_mean_over_the_window_decides():
    task = TemporalXor(TemporalXorConfig(window=4, test_size=4))
    batch = task.test(np.random.default_rng(0))
    assert task.score(batch.targets, batch) == {"accuracy": 1.0, "loss": 0.0}
    assert next(iter(task.score(batch.targets, batch))) == "accuracy"
    y = np.zeros_like(batch.targets)
    assert task.score(y, batch) == {"accuracy": 0.0, "loss": 1.0}  # no decision is not a right one
    y[-4:] = batch.targets[-4:]
    y[-1] *= -2.0  # three right steps outweigh one wrong of twice the size
    y[0] = 99.0  # unscored
    assert task.score(y, batch) == {"accuracy": 1.0, "loss": close(9 / 4)}
    y[-1] *= 2.0
    assert task.score(y, batch)["accuracy"] == 0.0
    constant = np.ones_like(batch.targets)
    assert task.score(constant, batch) == {"accuracy": 0.5, "loss": 2.0}


def test_xor_is_no_forecast():
    task = TemporalXor(TemporalXorConfig())
    assert not task.forecast
    assert task.persistence(task.test(np.random.default_rng(0))) is None
    assert task.fingerprint() == ""


@pytest.mark.parametrize("bad", [{"pulse": 0}, {"start": -1}, {"window": 0}, {"draw": "even"}, {"dealy": 3}])
def test_bad_options_are_refused(bad):
    with pytest.raises(ValidationError):
        TemporalXorConfig(**bad)


def test_every_option_is_described():
    assert all(field.description for field in TemporalXorConfig.model_fields.values())
