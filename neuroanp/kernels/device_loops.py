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
def telegraph_step(key, update, stream, t, states, lost, sigma, figures, places, first, words, noise):  # pyright: ignore
    """Let the devices of one sequence, whose calls begin at `first`, take a step; fill noise (m' n) of the weights."""
    p, rest, high, low = figures
    planes, many, length = len(lost), words.shape[1], len(places)
    if many == length:  # all in one go: the words lie as the devices do
        for plane in range(planes):
            add = ONE if plane else f32(0)
            draw_calls(first + plane * length, places, key, update, stream, t, words)
            of = states[plane]
            switch(words.reshape(4 * length), of, lost[plane], sigma[plane], p, rest, high, low, add, noise)
        return
    for plane in range(planes):
        add = ONE if plane else f32(0)
        for q in range(0, length, many):
            part = places[q : q + many]
            draw_calls(first + plane * length, part, key, update, stream, t, words)
            for k in range(4):
                a, z = k * length + q, k * length + q + len(part)
                of = states[plane, a:z]
                switch(words[k], of, lost[plane, a:z], sigma[plane, a:z], p, rest, high, low, add, noise[a:z])


@njit(cache=True, error_model="numpy")
def telegraph_reads(key, update, streams, t0, states, lost, sigma, figures, x, heard, factors, starts, out):  # pyright: ignore
    """Let devices take a step a read; fill out with what their noise makes of the inputs.

    Args:
        key: two words. update. streams: (S,) where they draw from. t0: the first step.
        states: (S, B, planes, m' n), 0 or 1, changed in place: word line after word line, m' = 4 ceil(m / 4) of them.
        lost, sigma: (planes, m' n) of the devices, 0 beyond word line m.
        figures: p, 1 - p, and what z is in state 1 and 0.
        x: (T, M, B, m). heard: (M,) which of the streams a pass listens to, -1: none. factors: (M,) of its noise.
        starts: first word line of each tile, and m. out: (tiles, T, M, B, n).
    """
    T, passes, B, m = x.shape
    n, calls = out.shape[4], (m + 3) // 4
    places = np.empty(calls * n, np.uint32)
    for i in range(calls):
        for r in range(n):
            places[i * n + r] = r * calls + i
    words = np.empty((4, min(calls, max(1, AT_ONCE // n)) * n), np.uint32)
    noise = np.zeros(4 * calls * n, f32)
    lines, total = noise[: m * n].reshape(m, n), np.empty(n, f32)
    for t in range(T):
        for s in range(len(streams)):
            for b in range(B):
                first = b * len(lost) * calls * n
                telegraph_step(
                    key, update, streams[s], t0 + t, states[s, b], lost, sigma, figures, places, first, words, noise
                )  # fmt: skip
                for k in range(passes):
                    if heard[k] != s:
                        continue
                    for tile in range(len(out)):
                        a, z = starts[tile], starts[tile + 1]
                        np.dot(x[t, k, b, a:z], lines[a:z], total)
                        into = out[tile, t, k, b]
                        for r in range(n):
                            into[r] = factors[k] * total[r]
