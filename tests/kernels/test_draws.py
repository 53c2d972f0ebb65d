"""Draws: the words are the published generator's, and compiled loops make the bits of the plain form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroanp.kernels import compiled, torch_draws, transforms
from neuroanp.kernels.draws import AT_ONCE, draw, draw_doubles, reference
from neuroanp.kernels.philox import Address, words

WORD = st.integers(0, 2**32 - 1)
ADDRESS = st.builds(Address, st.integers(0, 2**64 - 1), WORD, WORD, st.integers(0, 2**32 - 4))
NO_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
KINDS = ["normal", "uniform"]
DTYPES = [np.float32, np.float64]

KNOWN = [  # counter, key, words: the known answers that come with the source's code (Random123, kat_vectors)
    ((0,) * 4, (0,) * 2, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_words_are_those_of_philox_4x32_10(counter, key, expected):
    position, t, stream, update = counter
    at = Address(key[0] | key[1] << 32, update, stream, t)
    assert tuple(words(at, 1, first=position)[0]) == expected


@settings(max_examples=30, deadline=None)
@given(at=ADDRESS)
def test_compiled_words_are_the_plain_ones(at):
    out = np.empty((37, 4), dtype=np.uint32)
    compiled.fill_words(out, at.keys, at.update, at.stream, at.t)
    assert np.array_equal(out, words(at, 37))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=40, deadline=None)
@given(
    at=ADDRESS,
    steps=st.integers(0, 3),
    shape=st.sampled_from([(), (1,), (3,), (2, 5), (3, 64), (5, 67), (2, 3, 4), (0, 3), (3, 0), (3000, 2), (1, 9001)]),
)
def test_compiled_draws_are_the_plain_ones_bit_for_bit(kind, dtype, at, steps, shape):
    made = draw(kind, at, steps, shape, dtype)
    assert made.dtype == dtype
    assert np.array_equal(made, reference(kind, at, steps, shape, dtype))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("steps", "shape"), [(2, (5,)), (90, (3, 40)), (3, (1, 2 * AT_ONCE + 1)), (0, (2,)), (3, (0, 4))]
)
def test_streams_of_double_precision_are_drawn_together_as_each_alone(kind, steps, shape):
    """Some steps of some streams fill what is made at once, and the last such part is not full."""
    at, streams = Address(5, 1, 99, 3), (4, 0, 2**32 - 1)
    made = draw_doubles(kind, at, streams, steps, shape)
    assert made.shape == (steps, 3, *shape)
    for k, stream in enumerate(streams):
        alone = reference(kind, at._replace(stream=stream), steps, shape, np.float64)
        assert np.array_equal(made[:, k], alone)
    with pytest.raises(ValueError, match="32 bits"):
        draw_doubles(kind, at, (0, 2**32), steps, shape)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_are_at_addresses_of_their_own(kind, dtype):
    """Some rows of a batch drawn alone are those of the whole: what splits a batch between workers needs."""
    at, per = Address(5, 1, 2, 3), {np.float32: 4, np.float64: 2}[dtype]
    whole = draw(kind, at, 1, (6, 10), dtype)[0]
    calls = -(-10 // per)
    made = {
        ("normal", np.float32): transforms.normals, ("normal", np.float64): transforms.normals64,
        ("uniform", np.float32): transforms.uniforms, ("uniform", np.float64): transforms.uniforms64,
    }[kind, dtype](words(at, calls, first=4 * calls))  # fmt: skip
    assert np.array_equal(made.T.ravel()[:10], whole[4])


def test_polynomials_are_logarithm_and_circle():
    """To the rounding of single precision, over all exponents and all quadrants."""
    w = np.concatenate([words(Address(1, 0, 0, 0), 50_000).ravel(), np.uint32(1) << np.arange(32, dtype=np.uint32)])
    u = ((w.astype(np.float32) + np.float32(0.5)) * np.float32(2.0**-32)).astype(np.float32)
    exact = np.log(u.astype(np.float64))
    assert np.max(np.abs(transforms.logarithm(u) - exact) / np.maximum(np.abs(exact), 1e-30)) < 3e-7
    cosine, sine = transforms.circle(w)
    quarter, part = (w >> np.uint32(30)).astype(np.float64), (w & np.uint32(0x3FFFFFFF)) * 2.0**-30 - 0.5
    angle = np.pi / 2 * (quarter + part)
    assert np.abs(cosine - np.cos(angle)).max() < 1.5e-7
    assert np.abs(sine - np.sin(angle)).max() < 1.5e-7


@pytest.mark.parametrize("word", [0, 1, 0x3FFFFFFF, 0x40000000, 0x7FFFFFFF, 0x80000000, 0xC0000000, 0xFFFFFFFF])
def test_extremes_are_finite_and_in_range(word):
    w = np.full((1, 4), word, dtype=np.uint32)
    for made, most in ((transforms.normals(w), 6.8), (transforms.normals64(w), 8.6)):
        assert np.isfinite(made).all()
        assert np.abs(made).max() < most
    for made in (transforms.uniforms(w), transforms.uniforms64(w)):
        assert 0 <= made.min() <= made.max() < 1
    assert set(transforms.signs(w).ravel()) <= {-1.0, 1.0}


@pytest.mark.parametrize("part", ["key", "update", "stream", "t"])
def test_addresses_that_do_not_fit_are_refused(part):
    """They would be another address's draws."""
    big = Address(0, 0, 0, 0)._replace(**{part: 1 << (64 if part == "key" else 32)})
    with pytest.raises(ValueError, match=part):
        draw("normal", big, 1, (3,), np.float32)
    with pytest.raises(ValueError, match="'t'"):
        draw("normal", Address(0, 0, 0, 2**32 - 1), 2, (3,), np.float32)


def test_half_precision_is_refused():
    with pytest.raises(TypeError, match="float16"):
        draw("normal", Address(0, 0, 0, 0), 1, (3,), np.float16)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=NO_CUDA)])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@settings(max_examples=25, deadline=None)
@given(
    at=ADDRESS,
    steps=st.integers(1, 3),
    streams=st.lists(WORD, min_size=1, max_size=3),
    shape=st.sampled_from([(), (1,), (3,), (2, 5), (3, 64), (5, 67), (2, 3, 4)]),
)
def test_torch_draws_are_the_plain_ones(device, kind, dtype, at, steps, streams, shape):
    """Bit for bit in single precision, to rounding in double; all passes at once."""
    found = torch_draws.draw(kind, at, steps, streams, shape, torch.empty(0, dtype=dtype, device=device)).cpu()
    numpy_type = np.float32 if dtype == torch.float32 else np.float64
    for m, stream in enumerate(streams):
        expected = torch.from_numpy(reference(kind, at._replace(stream=stream), steps, shape, numpy_type))
        if dtype == torch.float32 or kind == "uniform":
            assert torch.equal(found[:, m], expected)
        else:
            torch.testing.assert_close(found[:, m], expected, rtol=1e-13, atol=1e-15)
