"""Let two-state sources run and draw what they need as they go, compiled, in single precision.

The twins of `neuroanp.kernels.telegraph_loops.flips` and `switches`, which are given their draws: the same bits at half
the cost, for no draw is written to memory.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from neuroanp.kernels.compiled import AT_ONCE, deal, make_normals, make_uniforms

f32 = np.float32


@njit(cache=True, error_model="numpy")
def flips(out, m, s, of_u, of_xi, t0, flip, amplitude, white, scale):  # pyright: ignore
    """Fill out[:, m] of (T, M, B, n) with (amplitude sum_sources s + white xi) scale.

    Args:
        s: +-1 (sources, B, n), before the first step; after the last on return. A source turns round where u < flip.
        of_u, of_xi: key, update and stream of the uniforms (sources, B, n) and normals (B, n) of a step. t0: the first.
    """
    T, _, B, n = out.shape
    made, drawn = _room(B, n)
    for t in range(T):
        for row in range(0, B, len(drawn)):
            lines = out[t, m, row : min(row + len(drawn), B)]
            lines[:] = f32(0)
            for source in range(len(s)):
                _uniforms(made, drawn[: len(lines)], source * B + row, of_u, t0 + t)
                for b in range(len(lines)):
                    _turn(lines[b], s[source, row + b], drawn[b], flip)
            _normals(made, drawn[: len(lines)], row, of_xi, t0 + t)
            for b in range(len(lines)):
                _add_white(lines[b], drawn[b], amplitude, white, scale)


@njit(cache=True, error_model="numpy")
def _turn(total, s, u, flip):  # pyright: ignore
    for i in range(len(s)):
        s[i] = -s[i] if u[i] < flip else s[i]
        total[i] += s[i]


@njit(cache=True, error_model="numpy")
def _add_white(total, xi, amplitude, white, scale):  # pyright: ignore
    for i in range(len(total)):
        total[i] = (amplitude * total[i] + white * xi[i]) * scale


@njit(cache=True, error_model="numpy")
def switches(out, m, s, of_u, t0, low, high, mean, scale):  # pyright: ignore
    """Fill out[:, m] of (T, M, B, n) with (how many sources are in state 1 - mean) scale.

    Args:
        s: 0 or 1 (sources, B, n), before the first step; after the last on return.
        of_u, t0: as in `flips`. low: P(0 -> 1). high: P(1 -> 1), no smaller.
    """
    T, _, B, n = out.shape
    made, drawn = _room(B, n)
    for t in range(T):
        for row in range(0, B, len(drawn)):
            lines = out[t, m, row : min(row + len(drawn), B)]
            lines[:] = f32(0)
            for source in range(len(s)):
                _uniforms(made, drawn[: len(lines)], source * B + row, of_u, t0 + t)
                for b in range(len(lines)):
                    _switch(lines[b], s[source, row + b], drawn[b], low, high)
            for b in range(len(lines)):
                _shift(lines[b], mean, scale)


@njit(cache=True, error_model="numpy")
def _switch(total, s, u, low, high):  # pyright: ignore
    for i in range(len(s)):
        s[i] = f32(u[i] < (high if s[i] > 0 else low))
        total[i] += s[i]


@njit(cache=True, error_model="numpy")
def _shift(total, mean, scale):  # pyright: ignore
    for i in range(len(total)):
        total[i] = (total[i] - mean) * scale


@njit(cache=True, error_model="numpy")
def _room(B, n):  # pyright: ignore
    """Return room for draws of as many rows of n as are made side by side: as made (4, calls), and dealt (rows, n)."""
    calls = (n + 3) // 4
    together = max(1, min(B, AT_ONCE // max(calls, 1)))
    return np.empty((4, together * calls), f32), np.empty((together, n), f32)


@njit(cache=True, error_model="numpy")
def _uniforms(made, drawn, row, at, t):  # pyright: ignore
    """Fill drawn (rows, n) with the uniforms of rows from `row` on in step t; at: key, update and stream."""
    calls = (drawn.shape[1] + 3) // 4
    make_uniforms(made, row * calls, len(drawn) * calls, at[0], at[1], at[2], t)
    deal(made, drawn, calls)


@njit(cache=True, error_model="numpy")
def _normals(made, drawn, row, at, t):  # pyright: ignore
    """Do the same with normals."""
    calls = (drawn.shape[1] + 3) // 4
    make_normals(made, row * calls, len(drawn) * calls, at[0], at[1], at[2], t)
    deal(made, drawn, calls)
