"""The one squared error."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroanp.tasks.protocol import Batch
from neuroanp.tasks.scoring import nrmse, squared_error
from tests.close import close


def batch_of(seed: int, steps: int, size: int, outputs: int) -> Batch:
    rng = np.random.default_rng(seed)
    mask = np.zeros(steps)
    mask[steps // 2 :] = 1.0
    return Batch(np.zeros((steps, size, 1)), rng.standard_normal((steps, size, outputs)), mask)


@given(st.integers(0, 99), st.integers(1, 6), st.integers(1, 5), st.integers(1, 4))
def test_error_is_the_explicit_sum(seed, steps, size, outputs):
    batch = batch_of(seed, steps, size, outputs)
    y = np.random.default_rng(seed + 1).standard_normal(batch.targets.shape)
    total, count = 0.0, 0
    for t in range(steps):
        for b in range(size):
            for o in range(outputs):
                if batch.mask[t]:
                    total += (y[t, b, o] - batch.targets[t, b, o]) ** 2
                    count += 1
    assert squared_error(y, batch) == close(total / count)


def test_unscored_steps_do_not_count():
    batch = batch_of(0, 6, 3, 2)
    y = batch.targets.copy()
    y[:3] = 1e6
    assert squared_error(y, batch) == 0.0


def test_the_targets_own_mean_has_nrmse_one():
    batch = batch_of(0, 20, 5, 2)
    y = np.broadcast_to(batch.targets[10:].mean(axis=(0, 1)), batch.targets.shape)
    assert nrmse(y, batch) == close(1.0)


def test_what_cannot_be_scored_is_refused():
    batch = batch_of(0, 4, 2, 1)
    with pytest.raises(ValueError, match="do not match"):
        squared_error(np.zeros((4, 2, 2)), batch)
    with pytest.raises(ValueError, match="scores no step"):
        squared_error(batch.targets, Batch(batch.inputs, batch.targets, np.zeros(4)))
    with pytest.raises(ValueError, match="constant"):
        nrmse(batch.targets, Batch(batch.inputs, np.ones_like(batch.targets), batch.mask))
