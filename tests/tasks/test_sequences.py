"""Reverse, sort and addition: what is wanted of what is shown, by Python's own words; what is scored, and when."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from neuroanp.tasks.addition import Addition, AdditionConfig
from neuroanp.tasks.reverse import Reverse, ReverseConfig
from neuroanp.tasks.sort import Sort, SortConfig

BOTH = pytest.mark.parametrize(("task", "config", "wanted"), [
    (Reverse, ReverseConfig, lambda shown: [*reversed(shown)]), (Sort, SortConfig, sorted),
])  # fmt: skip


@BOTH
@given(length=st.integers(1, 7), delay=st.integers(0, 5), symbols=st.integers(2, 6), seed=st.integers(0, 99))
def test_what_is_wanted_of_what_is_shown(task, config, wanted, length, delay, symbols, seed):
    made = task(config(length=length, delay=delay, symbols=symbols))
    batch = made.sample(np.random.default_rng(seed), 5)
    assert batch.inputs.shape == (2 * length + delay, 5, symbols + 1) == (made.steps, 5, made.inputs)
    assert batch.mask.tolist() == batch.inputs[:, 0, -1].tolist() == [0.0] * (length + delay) + [1.0] * length
    np.testing.assert_array_equal(batch.inputs[:length, :, :-1].sum(-1), 1.0)
    assert not batch.inputs[length:, :, :-1].any()
    for b in range(5):
        shown = batch.inputs[:length, b, :-1].argmax(-1).tolist()
        assert batch.targets[-length:, b].argmax(-1).tolist() == wanted(shown)
    np.testing.assert_array_equal(batch.targets.sum(-1), np.repeat(batch.mask[:, None], 5, 1))


@given(
    digits=st.integers(1, 12), base=st.integers(2, 12), delay=st.integers(0, 3), seed=st.integers(0, 99),
    first=st.sampled_from(["most", "least"]),
)  # fmt: skip
def test_sums_are_those_of_whole_numbers(digits, base, delay, first, seed):
    task = Addition(AdditionConfig(digits=digits, base=base, delay=delay, first=first))
    batch = task.sample(np.random.default_rng(seed), 5)
    assert batch.inputs.shape == (3 * digits + 2 + delay, 5, base + 2) == (task.steps, 5, task.inputs)

    def number(one_hot) -> int:
        """A number by its digits, (N, S)."""
        read = one_hot.argmax(-1).tolist()
        return sum(int(d) * base**k for k, d in enumerate(read if first == "least" else reversed(read)))

    for b in range(5):
        u = batch.inputs[:, b, :base]
        shown = number(u[:digits]) + number(u[digits + 1 : 2 * digits + 1])
        assert number(batch.targets[-digits - 1 :, b]) == shown
    plus, cue = batch.inputs[:, 0, -2], batch.inputs[:, 0, -1]
    assert np.flatnonzero(plus).tolist() == [digits]
    assert cue.tolist() == batch.mask.tolist() == [0.0] * (2 * digits + 1 + delay) + [1.0] * (digits + 1)
    assert batch.inputs[:, 0].sum() == 2 * digits + 1 + digits + 1


def test_all_digits_come_as_often():
    batch = Addition(AdditionConfig(digits=3, base=5)).sample(np.random.default_rng(0), 20_000)
    counts = batch.inputs[:, :, :5].sum(1)[[0, 1, 2, 4, 5, 6]]
    assert np.abs(counts - 4000).max() < 4.5 * np.sqrt(20_000 * 0.2 * 0.8)


@BOTH
def test_scores(task, config, wanted):
    made = task(config(length=2, test_size=4))
    batch = made.test(np.random.default_rng(0))
    assert made.score(batch.targets, batch) == {"accuracy": 1.0, "exact": 1.0, "loss": 0.0}
    assert next(iter(made.score(batch.targets, batch))) == "accuracy"
    y = batch.targets.copy()
    y[-1, :1] = np.roll(y[-1, :1], 1, -1)  # the last symbol of one of four sequences
    y[batch.mask == 0] = 7.0
    found = made.score(y, batch)
    assert (found["accuracy"], found["exact"]) == (0.875, 0.75)
    assert made.persistence(batch) is None
    assert not made.forecast


@pytest.mark.parametrize(
    ("config", "bad"),
    [
        (ReverseConfig, {"length": 0}), (SortConfig, {"symbols": 1}), (SortConfig, {"lenght": 3}),
        (AdditionConfig, {"digits": 0}), (AdditionConfig, {"base": 1}), (AdditionConfig, {"first": "last"}),
    ],
)  # fmt: skip
def test_bad_options_are_refused(config, bad):
    with pytest.raises(ValidationError):
        config(**bad)
