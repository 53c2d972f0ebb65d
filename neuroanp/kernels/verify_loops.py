"""Write devices by pulse and look, compiled: a block of devices at a time, until all of it is in tolerance.

The plain form is `neuroanp.devices.verifying.plain`, with the same draws and operations in the same order: the bits are
its own, but where the fraction of a step is an exponential. Single precision.
"""

from __future__ import annotations

import numpy as np
from numba import njit, uint32

from neuroanp.kernels.compiled import call, pair

f32, i32 = np.float32, np.int32
ONE, ZERO = f32(1), f32(0)
KINDS = ("bound", "linear", "exponential")
"""Fractions of a step that remain at w: 1 - w/a, max(0, 1 - a w), max(0, 1 - a e^{b w})."""
BLOCK = 1024
"""Devices at a time: their twenty numbers each stay in the nearest caches."""


@njit(cache=True, error_model="numpy")
def normals_at(positions, n, key, t, made):  # pyright: ignore
    """Make four normals made (4, n) of the calls at some positions."""
    k0, k1, c1, none = uint32(key[0]), uint32(key[1]), uint32(t), uint32(0)
    m0, m1, m2, m3 = made[0], made[1], made[2], made[3]
    for i in range(n):
        a, b, c, d = call(uint32(positions[i]), c1, none, none, k0, k1)
        m0[i], m1[i] = pair(a, b)
        m2[i], m3[i] = pair(c, d)


@njit(cache=True, error_model="numpy")
def words_at(positions, key, t, out):  # pyright: ignore
    """Fill out (n, 4) with the words of the calls at some positions."""
    k0, k1, none = uint32(key[0]), uint32(key[1]), uint32(0)
    for i in range(len(positions)):
        out[i, 0], out[i, 1], out[i, 2], out[i, 3] = call(uint32(positions[i]), uint32(t), none, none, k0, k1)


@njit(cache=True, error_model="numpy")
def fractions(kind, n, w, rises, a, b, c, d, out):  # pyright: ignore
    """Fill out with the fractions of a step that remain; a and c are the coefficients up, b and d down."""
    if kind == 0:
        for i in range(n):
            out[i] = ONE - w[i] / (a[i] if rises[i] else b[i])
    elif kind == 1:
        for i in range(n):
            out[i] = max(ZERO, ONE - (a[i] if rises[i] else b[i]) * w[i])
    else:
        for i in range(n):
            factor, rate = (a[i], c[i]) if rises[i] else (b[i], d[i])
            out[i] = max(ZERO, ONE - factor * np.exp(rate * w[i]))


@njit(cache=True, error_model="numpy")
def pulse(kind, additive, figures, n, own, xi, eta, off, sent):  # pyright: ignore
    """Send one pulse to the devices that are off their targets; return how many still are.

    Args:
        figures: c2c, write noise in device units, tolerance. own: see `verify`, and two rows to work in.
        xi, eta: (n,) normals of the step and of what is seen. off: 0 or 1 (n,). sent: pulses (n,).
    """
    c2c, write, tolerance = figures[0], figures[1], figures[2]
    w, seen, target, up, down, low, high = own[0], own[1], own[2], own[3], own[4], own[5], own[6]
    rises, f = own[11], own[12]
    for i in range(n):
        rises[i] = ONE if target[i] > seen[i] else ZERO
    fractions(kind, n, w, rises, own[7], own[8], own[9], own[10], f)
    for i in range(n):
        noise = c2c * xi[i]
        moved = noise + f[i] if additive else (noise + ONE) * f[i]
        moved = moved * (up[i] if rises[i] else -down[i]) + w[i]
        moved = low[i] if moved < low[i] else moved
        moved = high[i] if moved > high[i] else moved
        shown = moved + write * eta[i]
        w[i] = moved if off[i] else w[i]
        seen[i] = shown if off[i] else seen[i]
    left = 0
    for i in range(n):
        sent[i] += off[i]
        off[i] = i32(abs(seen[i] - target[i]) > tolerance) & off[i]
        left += off[i]
    return left


@njit(cache=True, error_model="numpy")
def verify(kind, additive, figures, most, key, positions, w, seen, pulses, fixed):  # pyright: ignore
    """Pulse devices, all off their targets, until they are within the tolerance or have had `most` pulses.

    Pulses 2 c + 1 and 2 c + 2 of a device take the four normals of call c at its position, two each.

    Args:
        kind, additive, figures: see `pulse`. key: two words. positions: of the devices in their array.
        w, seen, pulses: of the array, changed in place.
        fixed: of the array: target, up, down, w_min, w_max, the first coefficient up and down, the second likewise.
    """
    made, own = np.empty((4, BLOCK), f32), np.empty((13, BLOCK), f32)
    at, off, sent = np.empty(BLOCK, np.uint32), np.empty(BLOCK, i32), np.empty(BLOCK, i32)
    for start in range(0, len(positions), BLOCK):
        n = min(BLOCK, len(positions) - start)
        for i in range(n):
            place = positions[start + i]
            at[i], off[i], sent[i], own[0, i], own[1, i] = place, 1, 0, w[place], seen[place]
        for k in range(len(fixed)):
            row, of = own[2 + k], fixed[k]
            for i in range(n):
                row[i] = of[at[i]]
        for c in range((most + 1) // 2):
            normals_at(at, n, key, c, made)
            left = pulse(kind, additive, figures, n, own, made[0], made[1], off, sent)
            if 2 * c + 1 < most:
                left = pulse(kind, additive, figures, n, own, made[2], made[3], off, sent)
            if left == 0:
                break
            if left < n - n // 4:
                n = settle(n, own, at, off, sent, w, seen, pulses)
        off[:n] = 0
        settle(n, own, at, off, sent, w, seen, pulses)


@njit(cache=True, error_model="numpy")
def settle(n, own, at, off, sent, w, seen, pulses):  # pyright: ignore
    """Put what is done in its place, and close the gaps; return how many go on."""
    for i in range(n):
        if not off[i]:
            w[at[i]], seen[at[i]], pulses[at[i]] = own[0, i], own[1, i], sent[i]
    for k in range(11):
        row, left = own[k], 0
        for i in range(n):
            row[left] = row[i]
            left += off[i]
    left = 0
    for i in range(n):
        at[left], sent[left] = at[i], sent[i]
        left += off[i]
    off[:left] = 1
    return left
