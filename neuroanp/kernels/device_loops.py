"""Read arrays whose devices are drawn one by one, compiled: no noise of a whole array is ever stored.

The plain forms are `neuroanp.substrates.device_noise.DeviceNoise.draw` and the sum over weights in
`neuroanp.substrates.read.Reader.sampled`: the same draws and states, sums over word lines in another order.
"""

from __future__ import annotations

import numpy as np
from numba import njit, uint32

from neuroanp.kernels.compiled import BY_24, call

f32, u32 = np.float32, np.uint32
ONE = f32(1)


AT_ONCE = 2048
"""Calls made side by side; see `compiled.AT_ONCE`."""


@njit(cache=True, error_model="numpy")
def draw_calls(first, places, key, update, stream, t, words):  # pyright: ignore
    """Fill words (4, n) with those of the calls at n places counted from the first."""
    k0, k1, c1, c2, c3 = uint32(key[0]), uint32(key[1]), uint32(t), uint32(stream), uint32(update)
    w0, w1, w2, w3 = words[0], words[1], words[2], words[3]
    for q in range(len(places)):
        w0[q], w1[q], w2[q], w3[q] = call(uint32(first) + places[q], c1, c2, c3, k0, k1)


@njit(cache=True, error_model="numpy")
def switch(words, state, lost, sigma, p, rest, high, low, add, noise):  # pyright: ignore
    """Let devices take a step; their noise is (high if one is in state 1, else low) sigma.

    Args:
        words: of the uniforms. state: 0 or 1, changed in place. lost: 1 - rho of each. p: P(1). rest: 1 - p.
        add: 1: the noise is added to what is there, 0: it is put there.
    """
    for q in range(len(state)):
        u = f32(words[q] >> u32(8)) * BY_24
        s = u < (ONE - rest * lost[q] if state[q] > 0 else p * lost[q])
        state[q] = ONE if s else f32(0)
        noise[q] = add * noise[q] + (high if s else low) * sigma[q]


@njit(cache=True, error_model="numpy")
def telegraph_reads(address, t0, states, lost, sigma, figures, x, factors, starts, out):  # pyright: ignore
    """Let the devices of one stream take a step a read; fill out with what their noise makes of the inputs.

    Args:
        address: key (two words), update, stream. t0: the first step.
        states: (B, planes, m' n), 0 or 1, changed in place: word line after word line, m' = 4 ceil(m / 4) of them.
        lost, sigma: (planes, m' n) of the devices, 0 beyond word line m.
        figures: p, 1 - p, and what z is in state 1 and 0.
        x: (T, passes, B, m), of the passes that listen. factors: (passes,).
        starts: first word line of each tile, and m. out: (tiles, T, passes, B, n).
    """
    key, update, stream = address
    p, rest, high, low = figures
    T, passes, B, m = x.shape
    planes, n, calls = len(lost), out.shape[4], (m + 3) // 4
    places = np.empty(calls * n, np.uint32)
    for i in range(calls):
        for r in range(n):
            places[i * n + r] = r * calls + i
    many = max(1, AT_ONCE // n) * n
    words, noise, heard = np.empty((4, many), np.uint32), np.zeros(4 * calls * n, f32), np.empty(n, f32)
    lines = noise[: m * n].reshape(m, n)
    for t in range(T):
        for b in range(B):
            for plane in range(planes):
                add = ONE if plane else f32(0)
                for q in range(0, calls * n, many):
                    part = places[q : q + many]
                    draw_calls((b * planes + plane) * n * calls, part, key, update, stream, t0 + t, words)
                    for k in range(4):
                        a, z = k * calls * n + q, k * calls * n + q + len(part)
                        of = states[b, plane, a:z]
                        switch(words[k], of, lost[plane, a:z], sigma[plane, a:z], p, rest, high, low, add, noise[a:z])
            for k in range(passes):
                for tile in range(len(out)):
                    a, z = starts[tile], starts[tile + 1]
                    np.dot(x[t, k, b, a:z], lines[a:z], heard)
                    for r in range(n):
                        out[tile, t, k, b, r] = factors[k] * heard[r]
