"""Fill arrays with draws by loops that numba compiles: the bits of `philox` and `transforms`, some twenty times as fast.

No fast-math: additions and products stay as they are written, so that both make the same bits. Numba keeps what it has
compiled beside this file, or in the user's cache where that folder cannot be written.
"""

from __future__ import annotations

import numpy as np
from numba import njit, uint32, uint64

from neuroanp.kernels import transforms as plain
from neuroanp.kernels.philox import MULTIPLIERS, ROUNDS, WEYL

f32, i32, u32 = np.float32, np.int32, np.uint32
M0, M1 = np.uint64(MULTIPLIERS[0]), np.uint64(MULTIPLIERS[1])
W0, W1 = u32(WEYL[0]), u32(WEYL[1])
LN0, LN1, LN2, LN3, LN4, LN5, LN6, LN7, LN8 = (f32(c) for c in plain.LN)
E0, E1 = (f32(c) for c in plain.LN2)
S0, S1, S2 = (f32(c) for c in plain.SIN)
C0, C1, C2 = (f32(c) for c in plain.COS)
ROOT, HALF, ONE, TWO = f32(plain.HALF_ROOT), f32(0.5), f32(1), f32(2)
QUARTER_TURN = f32(np.pi / 2)
BY_24, BY_30, BY_32 = f32(2.0**-24), f32(2.0**-30), f32(2.0**-32)
MANTISSA, BELOW_ONE, ANGLE, MIDDLE = i32(0x007FFFFF), i32(0x3F000000), u32(0x3FFFFFFF), i32(0x20000000)


@njit(inline="always")
def call(c0, c1, c2, c3, k0, k1):  # pyright: ignore
    """Return the four words of one call."""
    for _ in range(ROUNDS):
        p0, p1 = M0 * uint64(c0), M1 * uint64(c2)
        c0, c2 = uint32(p1 >> uint64(32)) ^ c1 ^ k0, uint32(p0 >> uint64(32)) ^ c3 ^ k1
        c1, c3 = uint32(p1), uint32(p0)
        k0, k1 = uint32(k0 + W0), uint32(k1 + W1)
    return c0, c1, c2, c3


@njit(inline="always")
def logarithm(u):  # pyright: ignore
    bits = f32(u).view(i32)
    exponent = (bits >> i32(23)) - i32(126)
    half = i32((bits & MANTISSA) | BELOW_ONE).view(f32)
    low = half < ROOT
    m = half + half - ONE if low else half - ONE
    e = f32(exponent - i32(1)) if low else f32(exponent)
    z = m * m
    p = LN0 * m + LN1
    p = p * m + LN2
    p = p * m + LN3
    p = p * m + LN4
    p = p * m + LN5
    p = p * m + LN6
    p = p * m + LN7
    p = p * m + LN8
    return m + (m * z * p + e * E1 - HALF * z) + e * E0


@njit(inline="always")
def pair(w0, w1):  # pyright: ignore
    """Return two standard normals of two words."""
    radius = np.sqrt(-TWO * logarithm((f32(w0) + HALF) * BY_32))
    q = i32(w1 >> u32(30))
    f = f32(i32(w1 & ANGLE) - MIDDLE) * BY_30 * QUARTER_TURN
    z = f * f
    sine = ((S0 * z + S1) * z + S2) * z * f + f
    cosine = ((C0 * z + C1) * z + C2) * z * z - HALF * z + ONE
    odd = (q & i32(1)) != i32(0)
    a, b = (sine if odd else cosine), (cosine if odd else sine)
    a = -a if ((q + i32(1)) & i32(2)) != i32(0) else a
    b = -b if (q & i32(2)) != i32(0) else b
    return radius * a, radius * b


AT_ONCE = 2048
"""Calls made side by side, so that vector instructions are full and what they make stays in the nearest cache."""


@njit(cache=True)
def make_normals(made, first, n, key, update, stream, t):  # pyright: ignore
    """Make the normals of n calls: number k of call i is made[k, i]."""
    k0, k1, c1, c2, c3 = uint32(key[0]), uint32(key[1]), uint32(t), uint32(stream), uint32(update)
    m0, m1, m2, m3 = made[0], made[1], made[2], made[3]
    for i in range(n):
        a, b, c, d = call(uint32(first + i), c1, c2, c3, k0, k1)
        m0[i], m1[i] = pair(a, b)
        m2[i], m3[i] = pair(c, d)


@njit(cache=True)
def make_uniforms(made, first, n, key, update, stream, t):  # pyright: ignore
    """Make the uniforms of n calls."""
    k0, k1, c1, c2, c3 = uint32(key[0]), uint32(key[1]), uint32(t), uint32(stream), uint32(update)
    m0, m1, m2, m3 = made[0], made[1], made[2], made[3]
    for i in range(n):
        a, b, c, d = call(uint32(first + i), c1, c2, c3, k0, k1)
        m0[i], m1[i] = f32(a >> u32(8)) * BY_24, f32(b >> u32(8)) * BY_24
        m2[i], m3[i] = f32(c >> u32(8)) * BY_24, f32(d >> u32(8)) * BY_24


@njit(cache=True)
def fill(out, key, update, stream, t0, normal):  # pyright: ignore
    """Fill out (steps, rows, n): number k Q + i of a row is word k of its call i of Q = ceil(n / 4)."""
    steps, rows, n = out.shape
    calls = (n + 3) // 4
    together = max(1, min(rows, AT_ONCE // max(calls, 1)))
    made = np.empty((4, together * calls), f32)
    for t in range(steps):
        for row in range(0, rows, together):
            many = min(together, rows - row)
            if normal:
                make_normals(made, row * calls, many * calls, key, update, stream, t0 + t)
            else:
                make_uniforms(made, row * calls, many * calls, key, update, stream, t0 + t)
            deal(made, out[t, row : row + many], calls)


@njit(cache=True)
def deal(made, lines, calls):  # pyright: ignore
    """Put made (4, rows calls) into rows (rows, n)."""
    for r in range(len(lines)):
        for k in range(4):
            part, of = lines[r, k * calls :], made[k, r * calls : (r + 1) * calls]
            for i in range(min(calls, len(part))):
                part[i] = of[i]


@njit(cache=True)
def fill_words(out, key, update, stream, t):  # pyright: ignore
    """Fill (n, 4) with the words of n calls."""
    k0, k1 = uint32(key[0]), uint32(key[1])
    c1, c2, c3 = uint32(t), uint32(stream), uint32(update)
    for i in range(len(out)):
        out[i, 0], out[i, 1], out[i, 2], out[i, 3] = call(uint32(i), c1, c2, c3, k0, k1)
