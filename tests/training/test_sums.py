"""Sums of what shards found: exact ones are those of whole numbers, in any order and among any processes."""

import math
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neuroanp.training.sums import bytes_of, mean_of
from tests.close import close

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.lists(st.lists(FLOATS, min_size=3, max_size=3), min_size=1, max_size=7))
def test_the_exact_mean_is_that_of_fractions(rows):
    """Within what is cut off beside the largest number: 2^(e - b) a shard, and the last rounding."""
    parts = [{"w": torch.tensor(row, dtype=torch.float32)} for row in rows]
    found = mean_of(parts, len(parts), "exact", None)["w"]
    largest = max(abs(x) for row in rows for x in row)
    for k in range(3):
        true = sum(Fraction(row[k]) for row in rows) / len(rows)
        cut = Fraction(largest) / 2**50
        assert abs(Fraction(float(found[k])) - true) <= abs(true) / 2**23 + cut + Fraction(2) ** -149


@given(st.lists(FLOATS, min_size=4, max_size=4))
def test_no_order_of_the_shards_counts(numbers):
    means = {
        mean_of([{"w": torch.tensor([numbers[k]])} for k in order], 4, "exact", None)["w"].numpy().tobytes()
        for order in permutations(range(4))
    }
    assert len(means) == 1


def test_in_floating_point_the_order_counts():
    big = [1e8, 1.0, -1e8, 1.0]
    found = {
        float(mean_of([{"w": torch.tensor([big[k]])} for k in order], 4, "float", None)["w"])
        for order in permutations(range(4))
    }
    assert len(found) > 1
    assert float(mean_of([{"w": torch.tensor([x])} for x in big], 4, "exact", None)["w"]) == 0.5


@pytest.mark.parametrize("sums", ["exact", "float"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_arrays_keep_their_names_shapes_and_types(sums, dtype):
    rng = np.random.default_rng(0)
    of = [{"b": rng.normal(size=(2, 3)), "a": 1e-9 * rng.normal(size=4), "z": np.zeros(2)} for _ in range(3)]
    parts = [{name: torch.tensor(x, dtype=dtype) for name, x in each.items()} for each in of]
    found = mean_of(parts, 3, sums, None)
    for name, x in of[0].items():
        assert found[name].shape == x.shape
        assert found[name].dtype == dtype
        mean, rel = np.mean([each[name] for each in of], 0), 1e-6 if dtype == torch.float32 else 1e-14
        assert found[name].numpy() == close(mean, rel=rel, abs=rel * abs(x).max())  # where numbers cancel


def test_names_are_taken_in_one_order_whatever_that_of_a_process():
    """A copy of a trainer that was made from a file holds its arrays in another order than the first process."""
    sent = []

    class Crew:
        size, index = 2, 0

        def largest(self, sizes):
            return sizes

        def total(self, part):
            sent.append(part.tolist())
            return part

        def share(self, probes, losses, pages):
            raise AssertionError

    one = {"a": torch.tensor([1.0]), "b": torch.tensor([10.0])}
    for sums in ("exact", "float"):
        for part in (one, dict(reversed(one.items()))):
            mean_of([part], 2, sums, Crew())
    assert sent[0] == sent[1]
    assert sent[2] == sent[3]


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_what_is_no_number_in_one_shard_is_none_in_the_mean(wrong):
    parts = [{"w": torch.tensor([1.0, wrong]), "v": torch.ones(1)}, {"w": torch.ones(2), "v": torch.ones(1)}]
    found = mean_of(parts, 2, "exact", None)
    assert found["w"].isnan().all()
    assert float(found["v"]) == 1.0


def test_others_hear_of_what_is_no_number_by_a_size_that_has_none():
    """Infinity and no NaN, of which the largest of several may be either."""
    heard = []

    class Crew:
        size, index = 2, 0

        def largest(self, sizes):
            heard.append(sizes.tolist())
            return sizes

        def total(self, part):
            return part

        def share(self, probes, losses, pages):
            raise AssertionError

    mean_of([{"w": torch.tensor([math.nan, 2.0])}], 2, "exact", Crew())
    assert heard == [[math.inf]]


def test_what_is_cut_off_is_rounded_to_the_nearest():
    found = mean_of([{"w": torch.tensor([1.0, -1e-30])}], 1, "exact", None)["w"]
    assert found.tolist() == [1.0, 0.0]


def test_the_smallest_numbers_of_double_precision_do_not_overflow_the_shift():
    tiny = 5e-324
    found = mean_of([{"w": torch.tensor([tiny], dtype=torch.float64)}] * 2, 2, "exact", None)["w"]
    assert float(found) in (0.0, tiny)


def test_what_is_sent_is_counted_to_the_byte():
    sent = []

    class Crew:
        size, index = 2, 0

        def largest(self, sizes):
            sent.append(sizes.numel() * sizes.element_size())
            return sizes

        def total(self, part):
            sent.append(part.numel() * part.element_size())
            return part

        def share(self, probes, losses, pages):
            raise AssertionError

    part = {"w": torch.ones(3, 5), "b": torch.ones(7)}
    for sums in ("exact", "float"):
        sent.clear()
        mean_of([part], 2, sums, Crew())
        assert sum(sent) == bytes_of([15, 7], 4, sums)
