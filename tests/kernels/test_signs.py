"""Signs: bits of the published generator, balanced and independent; every way of adding them up makes the same bits."""

from __future__ import annotations

from itertools import combinations
from math import sqrt

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from neuroanp.kernels import moving, signs, torch_draws
from neuroanp.kernels.draws import draw, reference
from neuroanp.kernels.philox import Address, words
from neuroanp.noise import PassStreams, Streams

WORD = st.integers(0, 2**32 - 1)
ADDRESS = st.builds(Address, st.integers(0, 2**64 - 1), WORD, WORD, st.integers(0, 2**32 - 4))
SIZES = st.sampled_from([1, 31, 32, 33, 127, 128, 129, 8191, 8192, 8193, 20_001])
DTYPES = [torch.float32, torch.float64]
HERE = Address(7, 3, 1, 0)


def test_a_sign_is_a_bit_of_a_word():
    """Number 128 i + 32 k + b is -1 where bit b of word k of call i is 1: by Python's whole numbers."""
    found = signs.reference(HERE, 300)
    w = words(HERE, 3)
    for n in (0, 1, 31, 32, 127, 128, 160, 299):
        assert found[n] == 1 - 2 * (int(w[n // 128, n % 128 // 32]) >> n % 32 & 1)


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=25)
@given(at=ADDRESS, n=SIZES, factor=st.floats(1e-8, 1e3))
def test_moved_weights_are_the_plain_sum_bit_for_bit(dtype, at, n, factor):
    W = torch.from_numpy(np.random.default_rng(n).standard_normal(n)).to(dtype)
    exact = W.numpy() + W.numpy().dtype.type(factor) * signs.reference(at, n).astype(W.numpy().dtype)
    assert np.array_equal(moving.moved(W, factor, at).numpy(), exact)
    room = torch.full_like(W, torch.nan)
    assert moving.moved(W, -factor, at, room) is room
    assert np.array_equal(room.numpy(), W.numpy() - W.numpy().dtype.type(factor) * signs.reference(at, n))


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=15)
@given(at=ADDRESS, n=SIZES, streams=st.lists(WORD, min_size=1, max_size=5))
def test_sums_of_signs_are_the_plain_sums_bit_for_bit(dtype, at, n, streams):
    rng = np.random.default_rng(n)
    factors, start = rng.standard_normal(len(streams)), torch.from_numpy(rng.standard_normal(n)).to(dtype)
    total = start.numpy().copy()
    for factor, stream in zip(factors, streams, strict=True):
        total += total.dtype.type(factor) * signs.reference(at._replace(stream=stream), n)
    found = start.clone()
    assert moving.add(found, list(factors), at, streams) is found
    assert np.array_equal(found.numpy(), total)


@settings(max_examples=25)
@given(at=ADDRESS, n=SIZES, first=st.integers(0, 3))
def test_torch_makes_the_same_signs(at, n, first):
    """What GPUs use, on any device, from any call on."""
    found = torch_draws.signs(at, n, torch.empty(0), first)
    assert np.array_equal(found.numpy(), signs.reference(at, n + 128 * first)[128 * first :])


def test_the_parts_of_a_device_are_the_whole(monkeypatch):
    monkeypatch.setattr(moving, "ON_DEVICE", 256)
    flat = torch.zeros(1000)
    parts = [z for _, z in moving._on_device(HERE, flat)]
    assert [len(z) for z in parts] == [256, 256, 256, 232]
    assert np.array_equal(torch.cat(parts).numpy(), signs.reference(HERE, 1000))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_kind_of_draw(dtype):
    """As the others are drawn: steps of time and shapes; the same in both precisions, and for several passes."""
    for shape in ((), (3,), (7, 45), (0, 3)):
        found = draw("rademacher", HERE, 2, shape, dtype)
        assert found.dtype == dtype
        assert found.shape == (2, *shape)
        assert np.array_equal(found, reference("rademacher", HERE, 2, shape, dtype))
        assert np.array_equal(found[1:], draw("rademacher", HERE._replace(t=1), 1, shape, dtype))
        there = torch_draws.draw("rademacher", HERE, 2, [1, 5], shape, torch.empty(0, dtype=torch.float64))
        assert np.array_equal(there[:, 0].numpy(), found)
        assert np.array_equal(there[:, 1].numpy(), draw("rademacher", HERE._replace(stream=5), 2, shape, dtype))


def test_streams_move_and_add_what_they_draw():
    streams, W = PassStreams(Streams(3), "train", 11), torch.randn(9, 50, dtype=torch.float64)
    z = [streams.tensors("rademacher", "signs/w", [k], 0, 1, (9, 50), W)[0, 0] for k in (0, 4)]
    assert torch.equal(streams.moved(W, 0.25, "signs/w", 4), W + 0.25 * z[1])
    assert torch.equal(streams.add_signs(W.clone(), [0.5, -2.0], "signs/w", [0, 4]), W + 0.5 * z[0] - 2.0 * z[1])
    later = PassStreams(Streams(3), "train", 12)
    assert not torch.equal(later.moved(W, 0.25, "signs/w", 4), streams.moved(W, 0.25, "signs/w", 4))


def test_they_are_balanced_and_independent():
    """The largest of all means and of all products of neighbours, probes, updates and arrays, of 2^16 signs each."""
    n = 1 << 16
    drawn = {
        (name, update, k): PassStreams(Streams(5), "train", update)
        .tensors("rademacher", name, [k], 0, 1, (n,), torch.empty(0, dtype=torch.float64))[0, 0]
        .numpy()
        for name in ("signs/w", "signs/w_in")
        for update in (0, 1)
        for k in range(4)
    }
    z = [*drawn.values()]
    means = [x.mean() for x in z]
    means += [(a * b).mean() for a, b in combinations(z, 2)]
    means += [(x[lag:] * x[:-lag]).mean() for x in z for lag in (1, 2, 31, 32, 33, 64, 127, 128, 129, 4096)]
    means += [x[b::32].mean() / sqrt(32) for x in z for b in range(32)]  # every bit of a word
    assert {*np.unique(z[0])} == {-1.0, 1.0}
    largest = max(map(abs, means)) * sqrt(n)
    assert largest < norm.isf(1e-4 / 2 / len(means))
    assert largest > 1.5  # of so many numbers one of a proper generator is beyond
