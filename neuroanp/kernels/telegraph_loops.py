"""Let two-state sources run, compiled: their sums are all that is kept, no states of the steps between.

The plain forms are `neuroanp.devices.smtj.Koenders.states` and `noise`, and `neuroanp.devices.telegraph.run`: the same
operations in the same order, so that the bits are theirs.
"""

from __future__ import annotations

from numba import njit


@njit(cache=True)
def flips(s, u, flip, xi, amplitude, white, scale, out):  # pyright: ignore
    """Turn sources round where u < flip; fill out with (amplitude sum_sources s + white xi) scale.

    Args:
        s: +-1 (sources, k), before the first step; after the last on return.
        u: uniforms (T, sources, k). xi: normals (T, k). out: (T, k).
    """
    for t in range(len(u)):
        total, own = out[t], xi[t]
        for source in range(len(s)):
            state, draw = s[source], u[t, source]
            for i in range(len(state)):
                state[i] = -state[i] if draw[i] < flip else state[i]
            if source:
                for i in range(len(state)):
                    total[i] += state[i]
            else:
                for i in range(len(state)):
                    total[i] = state[i]
        for i in range(len(total)):
            total[i] = (amplitude * total[i] + white * own[i]) * scale


@njit(cache=True)
def switches(s, u, low, high, out):  # pyright: ignore
    """Put a source into state 1 where u < P(. -> 1); fill out with how many of each k are in it.

    Args:
        s: 0 or 1 (sources, k), before the first step; after the last on return.
        u: uniforms (T, sources, k). low: P(0 -> 1). high: P(1 -> 1), no smaller. out: (T, k).
    """
    for t in range(len(u)):
        total = out[t]
        for source in range(len(s)):
            state, draw = s[source], u[t, source]
            for i in range(len(state)):
                state[i] = draw[i] < (high if state[i] > 0 else low)
            if source:
                for i in range(len(state)):
                    total[i] += state[i]
            else:
                for i in range(len(state)):
                    total[i] = state[i]
