"""The copy task: what goes in comes out, and only there it is scored."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from neuroanp.tasks.copy import Copy, CopyConfig
from neuroanp.tasks.encoders import Current
from neuroanp.tasks.encoding import encoded
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


def test_one_sequence_can_be_trained_on_and_fresh_ones_tested():
    """The experiment of arXiv 2405.08967, and what it leaves open: 210 steps, the same sequence at every update."""
    options = {"length": 100, "delay": 10, "mode": "fixed", "test_size": 20}
    task = Copy(CopyConfig(**options, fresh_test=True))
    assert task.steps == 210
    trained = [task.sample(np.random.default_rng(seed), 1).inputs.tobytes() for seed in range(3)]
    assert len(set(trained)) == 1
    batch = task.test(np.random.default_rng(0))
    tested = {batch.inputs[:, b].tobytes() for b in range(20)}
    assert len(tested) == 20
    assert trained[0] not in tested
    assert batch.training is not None
    assert batch.training.inputs.tobytes() == trained[0]
    assert batch.training.targets.shape == (210, 1, 4)
    np.testing.assert_array_equal(batch.training.mask, batch.mask)
    by_heart = Copy(CopyConfig(**options)).test(np.random.default_rng(0))
    assert by_heart.training is None
    assert {by_heart.inputs[:, b].tobytes() for b in range(20)} == {trained[0]}
    fresh = Copy(CopyConfig(length=100, delay=10, test_size=20)).test(np.random.default_rng(0))
    np.testing.assert_array_equal(fresh.inputs, batch.inputs)


def test_an_encoder_encodes_the_training_sequence_too():
    own = Copy(CopyConfig(length=4, mode="fixed", fresh_test=True, test_size=3))
    plain, seen = (task.test(np.random.default_rng(0)) for task in (own, encoded(own, Current(hold=2), 1e-3)))
    np.testing.assert_array_equal(seen.training.inputs, np.repeat(plain.training.inputs, 2, axis=0))
    np.testing.assert_array_equal(seen.training.raw.inputs, plain.training.inputs)
    np.testing.assert_array_equal(seen.raw.inputs, plain.inputs)


def test_options_that_came_later_are_not_written_out_at_their_defaults():
    said = {
        "length": 3, "delay": 3, "symbols": 4, "mode": "fresh", "cue": "recall", "test_size": 512, "sequence_seed": 0,
    }  # fmt: skip
    assert CopyConfig().model_dump() == said
    fixed = CopyConfig(mode="fixed", fresh_test=True)
    assert fixed.model_dump() == {**said, "mode": "fixed", "fresh_test": True}
    assert CopyConfig(**fixed.model_dump()) == fixed


def test_a_test_on_fresh_sequences_is_an_option_of_the_fixed_one():
    with pytest.raises(ValidationError, match="fresh_test goes with mode fixed; mode fresh is always tested on new"):
        CopyConfig(fresh_test=True)


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
