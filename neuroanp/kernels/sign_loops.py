"""Signs by loops that numba compiles: the bits of `signs.reference`, and sums with them, block by block.

A block's words are made side by side, then spread over its numbers while both lie in the nearest cache.
"""

from __future__ import annotations

import numpy as np
from numba import int32, njit, uint32

from neuroanp.kernels.compiled import call

BITS, CALLS = 32, 64
PER_CALL, BLOCK = 4 * BITS, 4 * BITS * CALLS
"""Signs of a call, and of the calls that are made side by side."""


@njit(cache=True)
def make(words, first, n, key, update, stream, t):  # pyright: ignore
    """Make the words of n calls from number `first` on: word k of call i is words[4 i + k]."""
    k0, k1, c1, c2, c3 = uint32(key[0]), uint32(key[1]), uint32(t), uint32(stream), uint32(update)
    for i in range(n):
        words[4 * i], words[4 * i + 1], words[4 * i + 2], words[4 * i + 3] = call(uint32(first + i), c1, c2, c3, k0, k1)


@njit(cache=True)
def spread(signs, n, words):  # pyright: ignore
    """Fill signs (n or more) with those of words; a whole word at a time."""
    for w in range((n + BITS - 1) // BITS):
        word, first = words[w], w * BITS
        for b in range(BITS):
            twice = uint32(uint32(uint32(word >> uint32(b)) & uint32(1)) << uint32(1))  # of 32 bits: a full vector
            signs[first + b] = int32(int32(1) - int32(twice))


@njit(cache=True)
def move(W, factor, out, key, update, stream, t):  # pyright: ignore
    """Fill out (n,) with W + factor z; the three arrays of numbers are of one precision."""
    words, signs = np.empty(4 * CALLS, np.uint32), np.empty(BLOCK, W.dtype)
    for start in range(0, len(W), BLOCK):
        part, into = W[start : start + BLOCK], out[start : start + BLOCK]
        make(words, start // PER_CALL, (len(part) + PER_CALL - 1) // PER_CALL, key, update, stream, t)
        spread(signs, len(part), words)
        for i in range(len(part)):
            into[i] = part[i] + factor * signs[i]


@njit(cache=True)
def add(total, factors, streams, key, update, t):  # pyright: ignore
    """Add sum_j factor_j z_j to total (n,), stream after stream in each block."""
    words, signs = np.empty(4 * CALLS, np.uint32), np.empty(BLOCK, total.dtype)
    for start in range(0, len(total), BLOCK):
        part = total[start : start + BLOCK]
        for j in range(len(streams)):
            make(words, start // PER_CALL, (len(part) + PER_CALL - 1) // PER_CALL, key, update, streams[j], t)
            spread(signs, len(part), words)
            factor = factors[j]
            for i in range(len(part)):
                part[i] += factor * signs[i]
