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


@njit(cache=True)
def bank(s, u, low, high, mean, scale, out):  # pyright: ignore
    """Let sources that differ take steps; fill out with sum_sources (s - mean) scale.

    Args:
        s: 0 or 1 (sources, B, n), before the first step; after the last on return.
        u: uniforms (T, sources, B, n). low, high: P(0 -> 1) and P(1 -> 1) of each, (sources, n).
        mean, scale: of each likewise. out: (T, B, n).
    """
    for t in range(len(u)):
        for b in range(u.shape[2]):
            total = out[t, b]
            for source in range(len(s)):
                state, draw = s[source, b], u[t, source, b]
                for i in range(len(state)):
                    state[i] = draw[i] < (high[source, i] if state[i] > 0 else low[source, i])
                    moved = (state[i] - mean[source, i]) * scale[source, i]
                    total[i] = total[i] + moved if source else moved


@njit(cache=True)
def signals(s, u, low, high, up, down):  # pyright: ignore
    """Let sources take steps; put up in place of the uniforms where one is in state 1, else down.

    Args: s: bool (B, k), before the first step; after the last on return. u: uniforms (T, B, k).
        low, high: P(0 -> 1) and P(1 -> 1) of each, (k,).
    """
    for t in range(len(u)):
        for b in range(len(s)):
            state, draw = s[b], u[t, b]
            for i in range(len(state)):
                state[i] = draw[i] < (high[i] if state[i] else low[i])
                draw[i] = up if state[i] else down


@njit(cache=True)
def chain(u, p, low, high, s):  # pyright: ignore
    """Fill s, bool (S, B, k), with states that follow one another: of row 0 those of S streams, of row 1, ...

    Args: u: uniforms (S, B, k); the first is below p where it begins in state 1.
        low, high: P(0 -> 1) and P(1 -> 1) over the time before a stream's, (S, k).
    """
    for b in range(u.shape[1]):
        for stream in range(len(u)):
            before, state, draw = s[stream - 1, b], s[stream, b], u[stream, b]
            if stream == 0:
                before = s[len(u) - 1, max(b - 1, 0)]
            for i in range(len(state)):
                if b == 0 and stream == 0:
                    state[i] = draw[i] < p
                else:
                    state[i] = draw[i] < (high[stream, i] if before[i] else low[stream, i])
