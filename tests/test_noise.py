"""Random streams: the same bits for an address, independence between addresses, and the right law."""

from __future__ import annotations

import subprocess
import sys
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from neuroanp.kernels.compiled import AT_ONCE
from neuroanp.noise import PassStreams, Streams

FALSE_ALARM = 1e-3  # of each statistical test below; seeds are fixed, so that a pass stays a pass
DRAWS = 1 << 20
DTYPES = [np.float32, np.float64]
KINDS = ["normal", "uniform"]
NORMAL = ["-0x1.e5c4ee0000000p-5", "-0x1.c3faae0000000p-4", "0x1.2520da0000000p-3"]


def passes(seed=0, phase="train", update=3) -> PassStreams:
    return PassStreams(Streams(seed), phase, update)


def draw(kind: str, name="noise", stream=0, t0=0, steps=10, shape=(2, 3), dtype: type = np.float64, **of) -> np.ndarray:
    return getattr(passes(**of), kind)(name, stream, t0, steps, shape, dtype)


def z_bound(tests: int) -> float:
    """Return the bound that the largest of `tests` standard normals passes with probability FALSE_ALARM at most."""
    return float(stats.norm.isf(FALSE_ALARM / (2 * tests)))


@pytest.fixture(scope="module")
def many() -> np.ndarray:
    """Normals in single precision, of several blocks, slices and partial groups."""
    return draw("normal", steps=200, shape=(DRAWS // 200,), dtype=np.float32).reshape(-1)


# ---- addresses ----


@given(
    seed=st.integers(0, 2**70), name=st.text(max_size=20), index=st.lists(st.integers(0, 2**64 - 1), max_size=3)
)  # fmt: skip
def test_an_address_gives_the_same_bits_again(seed, name, index):
    a, b = (Streams(seed).generator(name, *index).integers(1 << 60, size=8) for _ in range(2))
    assert np.array_equal(a, b)


def test_the_bits_are_the_same_in_another_process():
    """Hash randomisation and import order decide nothing."""
    code = (
        "from neuroanp.noise import *; print(Streams(5).generator('init', 1, 2, 3).integers(1 << 60, size=4).tolist())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(Streams(5).generator("init", 1, 2, 3).integers(1 << 60, size=4).tolist())


def test_the_bits_are_those_of_every_version():
    """Written down once: a change here makes every recorded run another run."""
    assert Streams(0).generator("init").integers(1 << 32, size=3).tolist() == [3550185598, 2312271730, 3003546514]
    normal = draw("normal", steps=1, shape=(3,), dtype=np.float32)
    assert [float(x).hex() for x in normal[0]] == NORMAL


def test_addresses_are_at_most_three_indices():
    with pytest.raises(ValueError, match="three"):
        Streams(0).generator("x", 1, 2, 3, 4)


def test_streams_of_any_names_indices_and_seeds_are_uncorrelated():
    """Max statistic over all pairs: |r| sqrt(n) is standard normal for independent streams."""
    n = 4096
    addresses = [
        (seed, name, index)
        for seed, name in product((0, 1, 2**40), ("data", "datb", "d2d/w", "d2d/w_in"))
        for index in ((0,), (1,), (2,), (256,), (0, 1), (1, 1), (0, 0, 1), (1, 0, 1), (2**63, 0, 0))
    ]
    drawn = np.array([Streams(s).generator(name, *index).standard_normal(n) for s, name, index in addresses])
    r = np.corrcoef(drawn)[np.triu_indices(len(addresses), 1)] * np.sqrt(n)
    assert np.abs(r).max() < z_bound(len(r))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_name_pass_update_phase_and_time_each_make_another_draw(kind, dtype):
    n = 1024
    variants = [
        {}, {"name": "noisf"}, {"stream": 1}, {"stream": 2}, {"update": 4}, {"phase": "test"}, {"seed": 1},
        {"t0": 2}, {"t0": 3}, {"t0": 1}, {"stream": 1, "update": 2}, {"stream": 2, "update": 1},
    ]  # fmt: skip
    drawn = np.array([draw(kind, steps=1, shape=(n,), dtype=dtype, **variant)[0] for variant in variants])
    r = np.corrcoef(drawn.astype(np.float64))[np.triu_indices(len(variants), 1)] * np.sqrt(n)
    assert np.abs(r).max() < z_bound(len(r))


@pytest.mark.parametrize("kind", KINDS)
def test_steps_units_and_sequences_are_uncorrelated(kind):
    """Across the borders of what is made at once too."""
    drawn = draw(kind, steps=72, shape=(4, 2000), dtype=np.float32).reshape(-1, 2000)
    r = np.corrcoef(drawn)[np.triu_indices(len(drawn), 1)] * np.sqrt(2000)
    assert np.abs(r).max() < z_bound(len(r))


def test_more_draws_of_one_stream_shift_no_other():
    """Streams are addressed, not queued."""
    streams = Streams(0)
    expected = streams.generator("b", 0).standard_normal(5)
    hungry = streams.generator("a", 0)
    hungry.standard_normal(100_000)
    assert np.array_equal(streams.generator("b", 0).standard_normal(5), expected)
    one = passes()
    expected = one.normal("b", 0, 0, 5, (3,), np.float64)
    one.normal("a", 0, 0, 500, (30,), np.float64)
    one.normal("b", 1, 0, 500, (30,), np.float64)
    assert np.array_equal(one.normal("b", 0, 0, 5, (3,), np.float64), expected)


def test_the_order_of_the_sequences_matters():
    """Sequence b of a batch has its own noise; more of them change nothing for the first ones."""
    drawn = draw("normal", shape=(3, 4))
    assert not np.array_equal(drawn[:, 0], drawn[:, 1])
    assert np.array_equal(draw("normal", shape=(5, 4))[:, :3], drawn)


# ---- time may be cut anywhere ----


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=60, deadline=None)
@given(
    t0=st.integers(0, 200),
    cuts=st.lists(st.integers(0, 70), min_size=1, max_size=6),
    shape=st.sampled_from([(), (1,), (3,), (2, 5), (7, 37), (1, 512), (513,)]),
)
def test_a_draw_does_not_depend_on_how_time_is_cut(kind, dtype, t0, cuts, shape):
    whole = draw(kind, t0=0, steps=t0 + sum(cuts), shape=shape, dtype=dtype)
    assert whole.dtype == dtype
    assert whole.shape == (t0 + sum(cuts), *shape)
    for steps in cuts:
        part = draw(kind, t0=t0, steps=steps, shape=shape, dtype=dtype)
        assert np.array_equal(part, whole[t0 : t0 + steps])
        t0 += steps


@pytest.mark.parametrize("dtype", DTYPES)
def test_cuts_hold_beyond_what_is_made_at_once(dtype):
    """A step that alone is longer than that."""
    shape = (4 * AT_ONCE + 301,)
    whole = draw("normal", steps=4, shape=shape, dtype=dtype)
    parts = [draw("normal", t0=t, steps=1, shape=shape, dtype=dtype) for t in range(4)]
    assert np.array_equal(np.concatenate(parts), whole)


# ---- the law ----


def test_moments_of_single_precision_normals(many):
    """Mean, variance, skewness and excess kurtosis have variances 1/n, 2/n, 6/n, 24/n."""
    x, n = many.astype(np.float64), many.size
    z = [
        x.mean() * np.sqrt(n),
        (x.var() - 1) * np.sqrt(n / 2),
        stats.skew(x) * np.sqrt(n / 6),
        stats.kurtosis(x) * np.sqrt(n / 24),
    ]
    assert np.abs(z).max() < z_bound(4)


@pytest.mark.parametrize("part", [slice(None), slice(0, None, 2), slice(1, None, 2), slice(0, 100_000)])
def test_single_precision_normals_are_normal(many, part):
    assert stats.kstest(many[part].astype(np.float64), "norm").pvalue > FALSE_ALARM


def test_tails_beyond_four_sigma_are_as_heavy_as_they_must_be():
    """Both tails at 3.5, 4 and 4.5 sigma: counts are Poisson."""
    n, counts = 0, np.zeros((2, 3), dtype=int)
    edges = np.array([3.5, 4.0, 4.5])
    for update in range(16):
        x = draw("normal", steps=64, shape=(1 << 14,), dtype=np.float32, update=update)
        counts += [[int((sign * x > edge).sum()) for edge in edges] for sign in (1, -1)]
        n += x.size
    expected = n * stats.norm.sf(edges)
    p = [
        2 * min(stats.poisson.cdf(count, mean), stats.poisson.sf(count - 1, mean))
        for row in counts
        for count, mean in zip(row, expected, strict=True)
    ]
    assert min(p) > FALSE_ALARM / len(p)
    assert counts[:, 2].min() > 10


def test_the_two_halves_of_a_pair_are_independent():
    """Box and Muller make two normals of one radius: neither they nor their squares may be correlated.

    Those of a call lie a quarter of the row apart.
    """
    four = draw("normal", steps=200, shape=(4 * (DRAWS // 800),), dtype=np.float32).reshape(200, 4, -1)
    a, b = (four[:, k::2].astype(np.float64).ravel() for k in (0, 1))
    z = [np.corrcoef(f(a), f(b))[0, 1] * np.sqrt(a.size) for f in (lambda v: v, np.square, np.abs)]
    assert np.abs(z).max() < z_bound(3)
    angle = np.arctan2(b, a)
    assert stats.kstest(angle, stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > FALSE_ALARM


@pytest.mark.parametrize("dtype", DTYPES)
def test_uniforms_are_uniform_below_one(dtype):
    u = draw("uniform", steps=100, shape=(2000,), dtype=dtype).astype(np.float64).ravel()
    assert 0 <= u.min() < u.max() < 1
    assert stats.kstest(u, "uniform").pvalue > FALSE_ALARM


def test_double_precision_normals_are_normal():
    x = draw("normal", steps=100, shape=(2000,)).ravel()
    assert stats.kstest(x, "norm").pvalue > FALSE_ALARM


@pytest.mark.parametrize("dtype", DTYPES)
def test_nothing_drawn_is_empty(dtype):
    assert draw("normal", steps=0, dtype=dtype).shape == (0, 2, 3)
    assert draw("normal", steps=4, shape=(0,), dtype=dtype).shape == (4, 0)


@pytest.mark.parametrize(("name", "same"), [("d2d/w", 3), ("process/w", 3), ("data", 9), ("train/read/w", 9)])
def test_what_a_device_is_can_have_a_seed_of_its_own(name, same):
    found = Streams(9, device_seed=3).generator(name, 1).integers(1 << 60, size=8)
    assert (found == Streams(same).generator(name, 1).integers(1 << 60, size=8)).all()
    assert (found != Streams(12 - same).generator(name, 1).integers(1 << 60, size=8)).any()
