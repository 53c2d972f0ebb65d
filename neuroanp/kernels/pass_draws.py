"""Draws of several passes and steps at once: few rows of one pass are too short for vector instructions.

The numbers are those of `compiled.make_normals`, call by call; only which calls are made side by side differs.
"""

from __future__ import annotations

import numpy as np
from numba import njit, uint32

from neuroanp.kernels.compiled import AT_ONCE, call, pair

f32, u32 = np.float32, np.uint32
LONG = 256
"""Calls of one pass and step that fill vector instructions by themselves."""


@njit(cache=True)
def plan_draws(noise, rows, n, steps, long):  # pyright: ignore
    """Return room for draws and which calls are made at once.

    Args:
        noise: key, update, streams and factors (M,). rows, n: numbers of a pass and step. steps: there are.
        long: calls of a pass from which each is drawn by itself.

    Returns: room, made (4, calls); first, step and stream (calls,) of the calls of several steps; calls of a step and
        how many steps are made at once. Where one pass is long enough, or none is noisy: room for rows of it, and 0.
    """
    streams, factors = noise[2], noise[3]
    calls, noisy = (n + 3) // 4, 0
    for factor in factors:
        noisy += factor != f32(0)
    of_pass = rows * calls
    if of_pass >= long or not noisy or not of_pass:
        together = max(1, min(rows, AT_ONCE // max(calls, 1)))
        none = np.empty(0, u32)
        return np.empty((4, together * calls), f32), none, none, none, 0, 1
    together = max(1, min(steps, AT_ONCE // (noisy * of_pass)))
    of_all = np.empty((3, together * noisy * of_pass), u32)
    first, step, stream = of_all[0], of_all[1], of_all[2]
    i = 0
    for k in range(together):
        for m in range(len(factors)):
            if factors[m] != f32(0):
                for j in range(of_pass):
                    first[i], step[i], stream[i] = j, k, streams[m]
                    i += 1
    return np.empty((4, len(first)), f32), first, step, stream, noisy * of_pass, together


@njit(cache=True)
def make_calls(made, first, step, stream, key, update, t):  # pyright: ignore
    """Make the normals of calls at addresses of their own, from step t on: number k of call i is made[k, i]."""
    k0, k1, c1, c3 = uint32(key[0]), uint32(key[1]), uint32(t), uint32(update)
    m0, m1, m2, m3 = made[0], made[1], made[2], made[3]
    for i in range(len(first)):
        a, b, c, d = call(first[i], uint32(c1 + step[i]), stream[i], c3, k0, k1)
        m0[i], m1[i] = pair(a, b)
        m2[i], m3[i] = pair(c, d)
