"""The copy task: what goes in comes out, and only there it is scored."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from neuroanp.tasks.copy import Copy, CopyConfig
from tests.close import close

sizes = {"length": st.integers(1, 6), "delay": st.integers(0, 6), "symbols": st.integers(2, 6)}


@given(**sizes, seed=st.integers(0, 99))
def test_the_targets_are_the_symbols(length, delay, symbols, seed):
    task = Copy(CopyConfig(length=length, delay=delay, symbols=symbols))
    batch = task.sample(np.random.default_rng(seed), 5)
    assert batch.inputs.shape == (2 * length + delay, 5, symbols + 1) == (task.steps, 5, task.inputs)
    assert batch.targets.shape == (task.steps, 5, task.outputs)
    np.testing.assert_array_equal(batch.targets[-length:], batch.inputs[:length, :, :-1])
    np.testing.assert_array_equal(batch.inputs[:length, :, :-1].sum(axis=-1), 1.0)
    assert not batch.inputs[length:, :, :-1].any()
    assert batch.mask.tolist() == [0.0] * (length + delay) + [1.0] * length


@pytest.mark.parametrize(("cue", "steps"), [("recall", [5, 6, 7]), ("start", [5]), ("before", [4])])
def test_the_cue_tells_when_to_recall(cue, steps):
    batch = Copy(CopyConfig(length=3, delay=2, cue=cue)).sample(np.random.default_rng(0), 2)
    assert np.flatnonzero(batch.inputs[:, 0, -1]).tolist() == steps


def test_perfect_outputs_score_perfectly_and_zero_outputs_miss_one_bit_a_symbol():
    task = Copy(CopyConfig(length=4, delay=1, symbols=3, test_size=9))
    batch = task.test(np.random.default_rng(0))
    assert batch.inputs.shape[1] == 9
    assert task.score(batch.targets, batch) == {"accuracy": 1.0, "wrong_bits": 0.0, "loss": 0.0}
    assert next(iter(task.score(batch.targets, batch))) == "accuracy"
    silent = task.score(np.zeros_like(batch.targets), batch)
    assert silent["wrong_bits"] == 4.0
    assert silent["loss"] == close(1 / 3)


def test_unscored_outputs_do_not_count():
    task = Copy(CopyConfig())
    batch = task.test(np.random.default_rng(0))
    y = batch.targets.copy()
    y[batch.mask == 0] = 7.0
    assert task.score(y, batch)["accuracy"] == 1.0


def test_fixed_mode_repeats_one_sequence_and_fresh_mode_does_not():
    fixed = Copy(CopyConfig(mode="fixed", length=8))
    one, two = fixed.sample(np.random.default_rng(0), 3), fixed.test(np.random.default_rng(1))
    np.testing.assert_array_equal(one.inputs[:, 2], two.inputs[:, 0])
    other = Copy(CopyConfig(mode="fixed", length=8, sequence_seed=1)).sample(np.random.default_rng(0), 1)
    assert (other.inputs[:, 0] != one.inputs[:, 0]).any()
    fresh = Copy(CopyConfig(length=8)).sample(np.random.default_rng(0), 50)
    assert len({fresh.inputs[:, b].tobytes() for b in range(50)}) > 40


def test_copy_is_no_forecast():
    task = Copy(CopyConfig())
    assert not task.forecast
    assert task.persistence(task.sample(np.random.default_rng(0), 1)) is None
    assert task.fingerprint() == ""


@pytest.mark.parametrize("bad", [{"length": 0}, {"delay": -1}, {"symbols": 1}, {"mode": "old"}, {"lenght": 3}])
def test_bad_options_are_refused(bad):
    with pytest.raises(ValidationError):
        CopyConfig(**bad)


def test_every_option_is_described():
    assert all(field.description for field in CopyConfig.model_fields.values())
