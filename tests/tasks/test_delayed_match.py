"""Delayed match: +1 exactly where the symbols agree, half of the time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from neuroanp.tasks.delayed_match import DelayedMatch, DelayedMatchConfig
from neuroanp.tasks.xor import TemporalXor, TemporalXorConfig


def symbols(batch, options) -> np.ndarray:
    """Read the two symbols (2, B) off the first steps of the pulses."""
    begins = [options.start, options.start + options.pulse + options.gap]
    pulses = batch.inputs[begins, :, : options.symbols]
    np.testing.assert_array_equal(pulses.sum(axis=-1), 1.0)
    return pulses.argmax(axis=-1)


@given(st.integers(2, 6), st.integers(0, 5), st.integers(0, 5), st.booleans(), st.integers(0, 99))
def test_the_target_tells_whether_the_symbols_agree(S, gap, delay, cue, seed):
    task = DelayedMatch(DelayedMatchConfig(symbols=S, gap=gap, delay=delay, pulse=2, start=1, window=3, cue=cue))
    batch = task.sample(np.random.default_rng(seed), 9)
    assert batch.inputs.shape == (8 + gap + delay, 9, S + cue) == (task.steps, 9, task.inputs)
    one, two = symbols(batch, task.options)
    np.testing.assert_array_equal(batch.targets[-1, :, 0], np.where(one == two, 1.0, -1.0))
    assert batch.mask.sum() == 3
    assert not batch.inputs[3 : 3 + gap, :, :S].any()
    assert bool((batch.inputs[:, :, S:] == batch.mask[:, None, None]).all())


def test_with_two_symbols_it_is_xor_with_the_answers_exchanged():
    layout = {"start": 2, "pulse": 3, "gap": 4, "delay": 5, "window": 2}
    match = DelayedMatch(DelayedMatchConfig(symbols=2, **layout)).test(np.random.default_rng(0))
    xor = TemporalXor(TemporalXorConfig(**layout, test_size=4)).test(np.random.default_rng(0))
    answers = {xor.inputs[:, b].tobytes(): xor.targets[-1, b, 0] for b in range(4)}
    assert len(answers) == 4
    for b in range(match.inputs.shape[1]):
        assert match.targets[-1, b, 0] == -answers[match.inputs[:, b].tobytes()]


@pytest.mark.parametrize("S", [2, 3, 5])
def test_a_full_test_holds_every_unequal_pair_once_and_as_many_matches(S):
    task = DelayedMatch(DelayedMatchConfig(symbols=S, test_size=2 * S * (S - 1)))
    one, two = symbols(task.test(np.random.default_rng(0)), task.options)
    counts = np.zeros((S, S), dtype=int)
    np.add.at(counts, (one, two), 1)
    np.testing.assert_array_equal(counts, np.ones((S, S)) + (S - 2) * np.eye(S))


def test_training_matches_half_of_the_time_and_mismatches_are_even():
    task = DelayedMatch(DelayedMatchConfig(symbols=3, pulse=1, start=0, gap=0, window=1))
    n = 6000
    one, two = symbols(task.sample(np.random.default_rng(1), n), task.options)
    shift = np.bincount((two - one) % 3) / n
    assert np.abs(shift - [0.5, 0.25, 0.25]).max() < 4 * 0.5 / np.sqrt(n)
    assert np.abs(np.bincount(one) / n - 1 / 3).max() < 4 * np.sqrt(2 / 9 / n)


def test_scores_and_the_rest():
    task = DelayedMatch(DelayedMatchConfig())
    assert (task.steps, task.inputs) == (80, 4)
    batch = task.test(np.random.default_rng(0))
    assert task.score(batch.targets, batch) == {"accuracy": 1.0, "loss": 0.0}
    assert task.score(np.ones_like(batch.targets), batch) == {"accuracy": 0.5, "loss": 2.0}
    assert not task.forecast
    assert task.persistence(batch) is None
    assert task.fingerprint() == ""


@pytest.mark.parametrize("bad", [{"symbols": 1}, {"pulse": 0}, {"gap": -1}, {"symbol": 3}])
def test_bad_options_are_refused(bad):
    with pytest.raises(ValidationError):
        DelayedMatchConfig(**bad)


def test_every_option_is_described():
    assert all(field.description for field in DelayedMatchConfig.model_fields.values())


def test_symbols_can_be_hidden_in_noise_a_varying_time_apart():
    options = {"symbols": 3, "start": 0, "pulse": 1, "gap": 1, "window": 1, "test_size": 600}
    task = DelayedMatch(DelayedMatchConfig(**options, jitter=2, noise=0.01))
    batch = task.test(np.random.default_rng(0))
    assert batch.inputs.shape == (6, 600, 3)
    symbols = np.rint(batch.inputs)
    np.testing.assert_array_equal(symbols.sum(axis=(0, 2)), 2)
    second = symbols[2:5].sum(axis=0)
    np.testing.assert_array_equal(batch.targets[-1, :, 0] == 1.0, (symbols[0] == second).all(axis=1))
    assert (symbols[2:5].sum(axis=2).sum(axis=1) > 150).all()
    assert (batch.inputs != symbols).all()
    plain = DelayedMatchConfig(**options).model_dump()
    assert not {"jitter", "noise"} & set(plain)
