"""Fill the noise of all passes of an update at once: the draws of `compiled.fill`, each pass's times its factor.

Calls of all passes stand side by side, so that vector instructions are full where a step of one pass has few numbers.
"""

from __future__ import annotations

import numpy as np
from numba import njit, uint32, uint64

from neuroanp.kernels.compiled import AT_ONCE, call, pair


@njit
def make(made, position, stream, first, n, key, update, t):  # pyright: ignore
    """Make the normals of calls first .. first+n-1 of a step: number k of call i is made[k, i]."""
    k0, k1, c1, c3 = uint32(key[0]), uint32(key[1]), uint32(t), uint32(update)
    m0, m1, m2, m3 = made[0], made[1], made[2], made[3]
    place, of = position[first : first + n], stream[first : first + n]
    for i in range(n):  # from 0 on: no index is asked for its sign
        a, b, c, d = call(place[i], c1, of[i], c3, k0, k1)
        m0[i], m1[i] = pair(a, b)
        m2[i], m3[i] = pair(c, d)


@njit
def deal(made, lines, first, rows, n, calls, scale):  # pyright: ignore
    """Put calls of whole rows, made (4, rows calls), into lines (all rows, n) from row `first` on, times a factor."""
    for r in range(rows):
        for k in range(uint64(4)):
            start = k * calls
            for i in range(min(calls, n - start) if start < n else uint64(0)):
                lines[first + r, start + i] = made[k, r * calls + i] * scale[first + r]


@njit(cache=True)
def fill_passes(out, key, update, streams, scales, t0):  # pyright: ignore
    """Fill out (T, M, B, n) with normals of stream streams[m] times scales[m], 0 where that is 0.

    Number k Q + i of a row is word k of its call i of Q = ceil(n / 4), as of `compiled.fill`.
    """
    steps, passes, batch, n = out.shape
    rows, calls = passes * batch, (n + 3) // 4
    lines = out.reshape(steps, rows, n)
    position, stream = np.empty(rows * calls, np.uint32), np.empty(rows * calls, np.uint32)
    scale = np.empty(rows, np.float32)
    for row in range(rows):
        scale[row] = scales[row // batch]
        for i in range(calls):
            position[row * calls + i] = (row % batch) * calls + i
            stream[row * calls + i] = streams[row // batch]
    together = max(1, min(rows, AT_ONCE // max(calls, 1)))
    made = np.empty((4, together * calls), np.float32)
    for t in range(steps):
        for row in range(0, rows, together):
            many = min(together, rows - row)
            make(made, position, stream, row * calls, many * calls, key, update, t0 + t)
            deal(made, lines[t], uint64(row), uint64(many), uint64(n), uint64(calls), scale)
