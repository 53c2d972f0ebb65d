"""Make random words from an address: Philox 4x32-10, in numpy.

A word is a function of (key, counter) alone, so that any of them can be had in any order, anywhere.

Source: Salmon, Moraes, Dror, Shaw, Parallel random numbers: as easy as 1, 2, 3, SC 2011, section 3.3.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
WORD = 0xFFFFFFFF


class Address(NamedTuple):
    """Where the draws of one step begin: all but the position within the step.

    Args:
        key: 64 bits, those of seed and stream. update: number of the update, below 2^32.
        stream: of the pass, below 2^32. t: step of time, below 2^32.
    """

    key: int
    update: int
    stream: int
    t: int

    @property
    def keys(self) -> tuple[int, int]:
        """The key as two words, low first."""
        return self.key & WORD, self.key >> 32

    def checked(self) -> Address:
        """Return it; ValueError where a part does not fit its word."""
        bad = {k: v for k, v in self._asdict().items() if not 0 <= v <= (WORD if k != "key" else WORD << 32 | WORD)}
        if bad:
            raise ValueError(f"an address of a draw is of words of 32 bits (the key 64); got {bad}")
        return self


def words(address: Address, n: int, first: int = 0) -> npt.NDArray[np.uint32]:
    """Return n calls' words, (n, 4): counters (position, t, stream, update) for positions from `first` on.

    >>> [hex(w) for w in words(Address(0, 0, 0, 0), 1)[0]]  # the known answer of the source's code
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    at = address.checked()
    low, shift = np.uint64(WORD), np.uint64(32)
    c0 = np.arange(first, first + n, dtype=np.uint64)
    c1, c2, c3 = (np.full(n, x, dtype=np.uint64) for x in (at.t, at.stream, at.update))
    k0, k1 = at.keys
    m0, m1 = (np.uint64(m) for m in MULTIPLIERS)
    for _ in range(ROUNDS):
        p0, p1 = m0 * c0, m1 * c2
        c0, c1, c2, c3 = (
            (p1 >> shift) ^ c1 ^ np.uint64(k0), p1 & low, (p0 >> shift) ^ c3 ^ np.uint64(k1), p0 & low,
        )  # fmt: skip
        k0, k1 = (k0 + WEYL[0]) & WORD, (k1 + WEYL[1]) & WORD
    return np.stack([c0, c1, c2, c3], -1).astype(np.uint32)
