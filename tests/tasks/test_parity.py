"""Parity: the target is the product of the bits it names, and no linear model has any of it."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from neuroanp.baselines.persistence import constant_mean, lagged_linear
from neuroanp.noise import Streams
from neuroanp.tasks.parity import ParityConfig, TemporalParity, products
from tests.close import close

sizes = {
    "length": st.integers(2, 20), "window": st.integers(2, 6), "delay": st.integers(0, 6), "hold": st.integers(1, 3),
}  # fmt: skip


@given(**sizes, seed=st.integers(0, 99))
def test_the_target_is_the_product_of_the_bits_a_delay_ago(length, window, delay, hold, seed):
    assume(window + delay <= length)
    task = TemporalParity(ParityConfig(length=length, window=window, delay=delay, hold=hold))
    batch = task.sample(np.random.default_rng(seed), 4)
    assert batch.inputs.shape == batch.targets.shape == (length * hold, 4, 1) == (task.steps, 4, task.inputs)
    for b in range(4):
        bits = batch.inputs[::hold, b, 0]
        assert set(np.abs(bits)) == {1.0}
        for t in range(task.steps):
            k = t // hold
            assert batch.inputs[t, b, 0] == bits[k]
            first = k - delay - window + 1
            assert batch.mask[t] == (first >= 0)
            expected = 1.0 if first >= 0 else 0.0
            for bit in bits[max(first, 0) : max(first, 0) + window]:
                expected *= bit
            assert batch.targets[t, b, 0] == expected


def test_by_default_it_is_of_the_bits_2_3_and_4_steps_ago():
    batch = TemporalParity(ParityConfig()).test(np.random.default_rng(0))
    u = batch.inputs
    np.testing.assert_array_equal(batch.targets[4:], u[2:-2] * u[1:-3] * u[:-4])
    assert batch.mask.tolist() == [0.0] * 4 + [1.0] * 20
    assert u.shape == (24, 512, 1)


@given(st.integers(1, 6), st.integers(0, 8), st.integers(0, 99))
def test_products_of_bits_in_a_row(window, more, seed):
    bits = 1.0 - 2.0 * np.random.default_rng(seed).integers(2, size=(window + more, 3))
    expected = [np.prod(bits[k : k + window], axis=0) for k in range(more + 1)]
    np.testing.assert_array_equal(products(bits, window), expected)


def test_bits_and_targets_are_balanced_and_independent_of_each_other():
    task = TemporalParity(ParityConfig(length=9, window=3, delay=1))
    batch = task.sample(np.random.default_rng(5), 4000)
    u, y = batch.inputs[:, :, 0], batch.targets[task.options.first :, :, 0]
    limit = 4.5 / np.sqrt(4000)
    assert np.abs(u.mean(axis=1)).max() < limit
    assert np.abs(y.mean(axis=1)).max() < limit
    assert np.abs(u @ y.T).max() / 4000 < limit
    pairs = np.stack([u[i] * u[j] for i in range(9) for j in range(i)])
    assert np.abs(pairs @ y.T).max() / 4000 < limit


def test_a_lagged_linear_model_gets_nothing():
    """Its loss is the constant's, 1, and a little above: n coefficients fitted to N rows cost a share n / N."""
    task = TemporalParity(ParityConfig())
    batch, streams = task.test(np.random.default_rng(1)), Streams(0)
    linear = task.score(lagged_linear(task, batch, streams, windows=1000), batch)
    assert 0.99 < linear["loss"] < 1.03
    assert abs(linear["accuracy"] - 0.5) < 0.03
    assert task.score(constant_mean(task, batch, streams), batch)["loss"] == close(1.0, rel=2e-3)


def test_signs_count():
    task = TemporalParity(ParityConfig(length=4, window=2, delay=0, test_size=50))
    batch = task.test(np.random.default_rng(0))
    assert task.score(batch.targets, batch) == {"accuracy": 1.0, "loss": 0.0}
    assert next(iter(task.score(batch.targets, batch))) == "accuracy"
    assert task.score(np.zeros_like(batch.targets), batch) == {"accuracy": 0.0, "loss": 1.0}
    y = 0.1 * batch.targets
    y[0] = 9.0  # unscored
    y[1] *= -1.0
    assert task.score(y, batch)["accuracy"] == close(2 / 3)


def test_another_generator_draws_other_streams():
    task = TemporalParity(ParityConfig())
    one, two = (task.test(np.random.default_rng(seed)).inputs for seed in (0, 1))
    assert not {one[:, b].tobytes() for b in range(512)} & {two[:, b].tobytes() for b in range(512)}


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"length": 0}, "greater than or equal to 2"),
        ({"window": 1}, "greater than or equal to 2"),
        ({"delay": -1}, "greater than or equal to 0"),
        ({"hold": 0}, "greater than or equal to 1"),
        ({"length": 5, "window": 4}, "set length: 6"),
        ({"length": 24, "window": 25, "delay": 0}, "no product of 25 bits ending 0 bits ago lies within 24 bits"),
        ({"lenght": 3}, "Extra"),
    ],
)
def test_bad_options_are_refused(bad, said):
    with pytest.raises(ValidationError, match=said):
        ParityConfig(**bad)


def test_what_just_fits_is_taken():
    task = TemporalParity(ParityConfig(length=6, window=4, delay=2))
    assert task.sample(np.random.default_rng(0), 1).mask.tolist() == [0, 0, 0, 0, 0, 1]
