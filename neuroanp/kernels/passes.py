"""Loops over the passes of a chunk of time, compiled, for single precision on a CPU.

    h^m_t = drive_t + f_m xi^m_t + W x^m_{t-1}      x^m_t = tanh(h^m_t)
    d^r_t = h^p_t - h^q_t (or h^m_t - mean_m h_t)   s^r_t = |d^r_t|^2      pre_t = mean_m x^m_t (or x^p_t)

A step's numbers are made, used and reduced to what is kept of them while they lie in the nearest cache: nothing of
shape (T, M, B, N) but x is written to memory. Sums over units may be taken in any order, the same each time.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from neuroanp.kernels.compiled import AT_ONCE, make_normals
from neuroanp.kernels.copying import put, put_rows

f32 = np.float32
ANY_ORDER = {"reassoc", "contract"}

LARGEST = f32(7.9053111)
"""|h| from which tanh h rounds to 1."""
# tanh h = h P(h^2) / Q(h^2): figures of the rational approximation of Eigen's ptanh (Benoit Steiner, 2014), to 3 ulp
P1, P3, P5, P7 = (
    f32(4.89352455891786e-03),
    f32(6.37261928875436e-04),
    f32(1.48572235717979e-05),
    f32(5.12229709037114e-08),
)
P9, P11, P13 = f32(-8.60467152213735e-11), f32(2.00018790482477e-13), f32(-2.76076847742355e-16)
Q0, Q2, Q4, Q6 = (
    f32(4.89352518554385e-03),
    f32(2.26843463243900e-03),
    f32(1.18534705686654e-04),
    f32(1.19825839466702e-06),
)


@njit(inline="always")
def tanh(h):  # pyright: ignore
    """Return tanh h."""
    c = min(max(h, -LARGEST), LARGEST)
    z = c * c
    p = ((((((P13 * z + P11) * z + P9) * z + P7) * z + P5) * z + P3) * z + P1) * c
    return p / (((Q6 * z + Q4) * z + Q2) * z + Q0)


@njit(cache=True, error_model="numpy")
def drive_and_noise(h, drive, key, update, streams, factors, t):  # pyright: ignore
    """Fill h (M, B, n) with drive (1 or M, B, n) and each pass's normals times its factor."""
    passes, rows, n = h.shape
    calls = (n + 3) // 4
    together = max(1, min(rows, AT_ONCE // max(calls, 1)))
    made = np.empty((4, together * calls), f32)
    for m in range(passes):
        below, factor = drive[m if len(drive) > 1 else 0], factors[m]
        if factor == f32(0):
            put_rows(h[m], below)
            continue
        for row in range(0, rows, together):
            many = min(together, rows - row)
            make_normals(made, row * calls, many * calls, key, update, streams[m], t)
            for r in range(many):
                line, under = h[m, row + r], below[row + r]
                for k in range(4):
                    part, of = line[k * calls :], made[k, r * calls : (r + 1) * calls]
                    from_below = under[k * calls :]
                    for i in range(min(calls, len(part))):
                        part[i] = from_below[i] + factor * of[i]


@njit(cache=True, error_model="numpy")
def noisy_drive(out, drive, key, update, streams, factors, t0):  # pyright: ignore
    """Fill out (T, M, B, n) with drive (T, 1 or M, B, n) and each pass's normals times its factor."""
    for t in range(len(out)):
        drive_and_noise(out[t], drive[t], key, update, streams, factors, t0 + t)


@njit(cache=True, error_model="numpy", fastmath=ANY_ORDER)
def activate(h, x):  # pyright: ignore
    """Fill x (rows, n) with tanh h."""
    for row in range(len(h)):
        to, of = x[row], h[row]
        for i in range(len(of)):
            to[i] = tanh(of[i])


@njit(cache=True, error_model="numpy", fastmath=ANY_ORDER)
def reduce(h, x, d, s, pre, pairs, which):  # pyright: ignore
    """Keep of one step how the passes differ, and what they had in common.

    Args:
        h, x: (M, B, n). d: (R, B, n) and s: (R, B), to be filled. pre: (B, n), to be filled.
        pairs: (R, 2) passes, or (0, 2): each against their mean. which: the pass whose x is presynaptic, or -1: mean.
    """
    passes, rows, n = h.shape
    lines, activities, kept = h.reshape(passes, rows * n), x.reshape(passes, rows * n), d.reshape(len(d), rows * n)
    if len(pairs):
        for r in range(len(pairs)):
            _subtract(kept[r], lines[pairs[r, 0]], lines[pairs[r, 1]])
    else:
        common = np.empty(rows * n, f32)
        _mean(common, lines)
        for m in range(passes):
            _subtract(kept[m], lines[m], common)
    for r in range(len(d)):
        for b in range(rows):
            s[r, b] = _square(d[r, b])
    if which < 0:
        _mean(pre.reshape(rows * n), activities)
    else:
        put_rows(pre, x[which])


@njit(cache=True, error_model="numpy")
def reduce_all(h, x, d, s, pre, pairs, which):  # pyright: ignore
    """Do it for all steps: h, x (T, M, B, n); d (T, R, B, n), s (T, R, B) and pre (T, B, n) to be filled."""
    for t in range(len(h)):
        reduce(h[t], x[t], d[t], s[t], pre[t], pairs, which)


@njit(cache=True, error_model="numpy", fastmath=ANY_ORDER)
def _subtract(d, a, b):  # pyright: ignore
    for i in range(len(d)):
        d[i] = a[i] - b[i]


@njit(cache=True, error_model="numpy", fastmath=ANY_ORDER)
def _square(d):  # pyright: ignore
    total = f32(0)
    for i in range(len(d)):
        total += d[i] * d[i]
    return total


AT_A_TIME = 1024
"""Numbers of a mean over passes summed at a time: they stay in the nearest cache."""


@njit(cache=True, error_model="numpy", fastmath=ANY_ORDER)
def _mean(out, of):  # pyright: ignore
    """Fill out (n,) with the mean of lines (M, n)."""
    share = f32(1) / f32(len(of))
    for start in range(0, len(out), AT_A_TIME):
        part = out[start : start + AT_A_TIME]
        put(part, of[0, start : start + AT_A_TIME])
        for m in range(1, len(of)):
            line = of[m, start : start + AT_A_TIME]
            for i in range(len(part)):
                part[i] += line[i]
        for i in range(len(part)):
            part[i] *= share


@njit(cache=True, error_model="numpy")
def recur(drive, wt, x, hs, xs, d, s, pre, key, update, streams, factors, t0, pairs, which):  # pyright: ignore
    """Do all steps of a small layer that sees itself.

    Args:
        drive: (T, 1 or M, B, n). wt: (n, n), W transposed. x: (M B, n), of the step before.
        hs: (T or 1, M, B, n), all h or the last one; xs: (T, M, B, n); d: (T, R, B, n), R = 0 where none is wanted;
            s: (T, R, B); pre: (T, B, n): to be filled.
        key, update, streams, factors, t0: the address of the noise, and its factor by pass.
        pairs, which: as in `reduce`.
    """
    passes, rows, n = xs.shape[1:]
    product = np.empty((passes * rows, n), f32)
    for t in range(len(drive)):
        h = hs[t % len(hs)]
        drive_and_noise(h, drive[t], key, update, streams, factors, t0 + t)
        np.dot(x, wt, product)
        flat, x = h.reshape(passes * rows, n), xs[t].reshape(passes * rows, n)
        add_and_activate(flat, product, x)
        if d.shape[1]:
            reduce(h, xs[t], d[t], s[t], pre[t], pairs, which)


@njit(cache=True, error_model="numpy", fastmath=ANY_ORDER)
def add_and_activate(h, product, x):  # pyright: ignore
    for row in range(len(h)):
        to, line, more = x[row], h[row], product[row]
        for i in range(len(line)):
            line[i] += more[i]
            to[i] = tanh(line[i])


@njit(cache=True, error_model="numpy", fastmath=ANY_ORDER)
def weigh(out, d, factor):  # pyright: ignore
    """Fill out (T, B, n) with sum_r factor (T, R, B) d (T, R, B, n)."""
    for t in range(len(out)):
        for b in range(out.shape[1]):
            line, f, of = out[t, b], factor[t, 0, b], d[t, 0, b]
            for i in range(len(line)):
                line[i] = f * of[i]
            for r in range(1, d.shape[1]):
                f, of = factor[t, r, b], d[t, r, b]
                for i in range(len(line)):
                    line[i] += f * of[i]
