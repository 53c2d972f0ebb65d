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


NOISY = {
    "start": 1, "pulse": 2, "gap": 2, "jitter": 3, "delay": 4, "window": 3, "cue": True, "noise": 0.2,
    "test_size": 4000,
}  # fmt: skip


def test_noise_is_white_and_lies_on_the_bits_lines_alone():
    task, clean = (TemporalXor(TemporalXorConfig(**{**NOISY, "jitter": 0, "noise": noise})) for noise in (0.2, 0.0))
    batch, plain = (one.test(np.random.default_rng(0)) for one in (task, clean))
    np.testing.assert_array_equal(batch.targets, plain.targets)
    np.testing.assert_array_equal(batch.inputs[:, :, 2], plain.inputs[:, :, 2])
    noise = (batch.inputs - plain.inputs)[:, :, :2]
    assert noise.std() == close(0.2, rel=4 / np.sqrt(2 * noise.size))
    each = noise.reshape(-1, 4000, 2).transpose(0, 2, 1).reshape(-1, 4000)  # steps and lines, of each the sequences
    alike = np.corrcoef(each)
    np.testing.assert_allclose(np.diag(np.cov(each)), 0.04, rtol=5 * np.sqrt(2 / 4000))
    assert np.abs(alike - np.eye(len(alike))).max() < 5 / np.sqrt(4000)
    half = TemporalXor(TemporalXorConfig(**{**NOISY, "jitter": 0, "noise": 0.1})).test(np.random.default_rng(0))
    np.testing.assert_allclose(half.inputs - plain.inputs, (batch.inputs - plain.inputs) / 2, atol=1e-15)


def test_jitter_lengthens_the_gap_evenly_and_the_answer_waits():
    task = TemporalXor(TemporalXorConfig(**{**NOISY, "noise": 0.0}))
    assert task.steps == 1 + 2 * 2 + 2 + 3 + 4 + 3
    batch = task.test(np.random.default_rng(0))
    on = batch.inputs[:, :, :2].sum(axis=2)
    gaps = []
    for b in range(4000):
        steps = np.flatnonzero(on[:, b])
        assert steps[:2].tolist() == [1, 2]
        assert len(steps) == 4
        assert steps[3] == steps[2] + 1
        gaps.append(steps[2] - 3)
        one, two = batch.inputs[1, b, 1], batch.inputs[steps[2], b, 1]
        assert batch.targets[-1, b, 0] == (1.0 if one != two else -1.0)
    counts = np.bincount(gaps)
    assert counts[:2].tolist() == [0, 0]
    assert len(counts) == 2 + 3 + 1
    assert np.abs(counts[2:] - 1000).max() < 4 * np.sqrt(4000 * 3 / 16)
    assert max(gaps) + 3 + 2 + 4 == np.flatnonzero(batch.mask)[0]  # at the longest gap the delay is left


@pytest.mark.parametrize("draw", ["random", "balanced"])
def test_noise_and_jitter_draw_after_the_bits(draw):
    """So that they change no sequence of bits, and without them the draws are those there always were."""
    plain, noisy = (TemporalXor(TemporalXorConfig(draw=draw, **more)) for more in ({}, {"noise": 0.3, "jitter": 2}))
    np.testing.assert_array_equal(
        plain.sample(np.random.default_rng(1), 50).targets[-1], noisy.sample(np.random.default_rng(1), 50).targets[-1]
    )


def test_a_noisy_test_is_drawn_anew_by_another_generator_and_is_balanced_all_the_same():
    task = TemporalXor(TemporalXorConfig(**{**NOISY, "test_size": 24}))
    one, two, again = (task.test(np.random.default_rng(seed)) for seed in (0, 1, 0))
    assert (one.inputs[:, :, :2] != two.inputs[:, :, :2]).all()
    np.testing.assert_array_equal(one.inputs, again.inputs)
    assert one.targets[-1].sum() == 0.0


def test_options_that_came_later_are_not_written_out_at_their_defaults():
    lengths = {"start": 20, "pulse": 15, "gap": 5, "delay": 5, "window": 20, "cue": False, "test_size": 128}
    assert TemporalXorConfig().model_dump() == {**lengths, "draw": "random"}
    noisy = TemporalXorConfig(noise=0.2).model_dump()
    assert noisy == {**lengths, "draw": "random", "noise": 0.2}
    assert TemporalXorConfig(**noisy) == TemporalXorConfig(noise=0.2)


def test_xor_is_no_forecast():
    task = TemporalXor(TemporalXorConfig())
    assert not task.forecast
    assert task.persistence(task.test(np.random.default_rng(0))) is None
    assert task.fingerprint() == ""


@pytest.mark.parametrize("bad", [
    {"pulse": 0}, {"start": -1}, {"window": 0}, {"draw": "even"}, {"dealy": 3}, {"noise": -0.1}, {"jitter": -1},
    {"noise": float("nan")}, {"jitter": 0.5},
])  # fmt: skip
def test_bad_options_are_refused(bad):
    with pytest.raises(ValidationError):
        TemporalXorConfig(**bad)


def test_every_option_is_described():
    assert all(field.description for field in TemporalXorConfig.model_fields.values())
