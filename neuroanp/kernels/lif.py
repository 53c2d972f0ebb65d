"""Step leaky integrate-and-fire units by loops that numba compiles; a spike is an event that adds a row of the weights.

What a step is, `neuroanp.backends.neuron` says; `neuroanp.backends.lif` is the same in plain torch. Sums are rounded in
the order (a_m v + k_I J) + k_e I_ext and (a_s J + sum of W in the order of the units) + incoming, without fast-math, so
that both make the same bits. Each loop writes one array: of several the compiler could not tell whether they overlap,
and would use no vectors. Units of a step stand in one line, row after row; indices have no sign, or each would be
asked for it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit, types, uint64
from numba.extending import overload

AT_ONCE = 8192
"""Units that take all parts of a step together, so that what they need stays in a near cache."""


class Units(NamedTuple):
    """Coefficients of some units that take a step together, and what a spike does; see `neuron.Coefficients`.

    Those of units that are alike are numbers, of others arrays (P,) of whole rows.
    """

    a_m: Any
    k_i: Any
    k_e: Any
    a_s: Any
    a_r: Any
    threshold: Any
    hold: int
    subtract: bool
    delayed: bool
    raised: bool


class State(NamedTuple):
    """What units carry from step to step, (rows N,): v, I, steps to wait (int32); and memory of a step.

    The latter is what the last spikes add, and what membranes must exceed where thresholds are raised.
    """

    v: Any
    I: Any  # noqa: E741 - the equation's letter
    wait: Any
    added: Any
    above: Any


class Drive(NamedTuple):
    """What comes in, (T, rows N): external current; what arrives, and what comes at the synapses' turn, or no steps."""

    current: Any
    arriving: Any
    incoming: Any


class Traces(NamedTuple):
    """What is kept: h (T, rows N); s and z (T + 1, rows N), the first of the step before; v (T, rows N) or no steps."""

    h: Any
    s: Any
    z: Any
    v: Any


def at(c: Any, i: Any) -> Any:
    """Return a coefficient of unit i: of all units, or its own."""


@overload(at, inline="always")
def _at(c, i):  # pyright: ignore
    return (lambda c, i: c[i]) if isinstance(c, types.Array) else (lambda c, i: c)


@njit
def add(total, parts, t, lo, n):  # pyright: ignore
    for i in range(n):
        total[lo + i] += parts[t, lo + i]


@njit
def to_cross(above, v, threshold, lo, n):  # pyright: ignore
    """Write what membranes must exceed to spike where thresholds are raised: twice of it where they are above it."""
    for i in range(n):
        once = at(threshold, i)
        above[lo + i] = once + once if v[lo + i] > once else once


@njit
def integrate(h, v, wait, I, external, t, a_m, k_i, k_e, lo, n):  # noqa: E741  # pyright: ignore
    for i in range(n):
        h[t, lo + i] = I[lo + i] + external[t, lo + i]
        moved = at(a_m, i) * v[lo + i] + at(k_i, i) * I[lo + i] + at(k_e, i) * external[t, lo + i]
        v[lo + i] = moved if wait[lo + i] == 0 else v[lo + i]


@njit
def keep(kept, t, v, lo, n):  # pyright: ignore
    for i in range(n):
        kept[t, lo + i] = v[lo + i]


@njit
def fire(s, t, v, wait, threshold, lo, n):  # pyright: ignore
    for i in range(n):
        s[t, lo + i] = (v[lo + i] > at(threshold, i)) & (wait[lo + i] == 0)


@njit
def fire_raised(s, t, v, wait, above, lo, n):  # pyright: ignore
    for i in range(n):
        s[t, lo + i] = (v[lo + i] > above[lo + i]) & (wait[lo + i] == 0)


@njit
def reset(v, s, t, threshold, subtract, lo, n):  # pyright: ignore
    if subtract:
        for i in range(n):
            v[lo + i] = v[lo + i] - at(threshold, i) if s[t, lo + i] else v[lo + i]
    else:
        zero = v.dtype.type(0)
        for i in range(n):
            v[lo + i] = zero if s[t, lo + i] else v[lo + i]


@njit
def rest(wait, s, t, hold, lo, n):  # pyright: ignore
    """Let the steps begin that a spike takes, or one of them pass: what is left in the next step."""
    all_but_one = np.int32(max(hold - 1, 0))
    for i in range(n):
        wait[lo + i] = all_but_one if s[t, lo + i] else max(wait[lo + i] - np.int32(1), np.int32(0))


@njit
def move(units, state, drive, traces, t, lo, n):  # pyright: ignore
    """Take n units from lo on up to the spikes of step t, and reset those that spiked."""
    v, wait, s, now = state.v, state.wait, traces.s, t + uint64(1)
    if len(drive.arriving):
        add(state.I, drive.arriving, t, lo, n)
    if units.raised:
        to_cross(state.above, v, units.threshold, lo, n)
    integrate(traces.h, v, wait, state.I, drive.current, t, units.a_m, units.k_i, units.k_e, lo, n)
    if units.delayed:
        reset(v, s, t, units.threshold, units.subtract, lo, n)
    if len(traces.v):
        keep(traces.v, t, v, lo, n)
    if units.raised:
        fire_raised(s, now, v, wait, state.above, lo, n)
    else:
        fire(s, now, v, wait, units.threshold, lo, n)
    if not units.delayed:
        reset(v, s, now, units.threshold, units.subtract, lo, n)
    rest(wait, s, now, units.hold, lo, n)


@njit
def settle(units, state, drive, traces, t, lo, n):  # pyright: ignore
    """Take n units from the spikes of step t to its end: currents decay and gain what these add, traces count them."""
    decay(state.I, state.added, units.a_s, lo, n)
    if len(drive.incoming):
        add(state.I, drive.incoming, t, lo, n)
    trace(traces.z, traces.s, t, units.a_r, lo, n)


@njit
def decay(I, added, a_s, lo, n):  # noqa: E741  # pyright: ignore
    for i in range(n):
        I[lo + i] = at(a_s, i) * I[lo + i] + added[lo + i]


@njit
def trace(z, s, t, a_r, lo, n):  # pyright: ignore
    one, zero, now = z.dtype.type(1), z.dtype.type(0), t + uint64(1)
    for i in range(n):
        z[now, lo + i] = (one if s[now, lo + i] else zero) + at(a_r, i) * z[t, lo + i]


@njit
def find(s, t, which):  # pyright: ignore
    """Write the numbers of the units that spiked in step t into `which`, and return how many they are."""
    count = uint64(0)  # without a branch for each unit, which would be guessed wrong at each spike
    for i in range(uint64(s.shape[1])):
        which[count] = i
        count += uint64(s[t, i])
    return count


@njit
def spread(added, which, count, wt):  # pyright: ignore
    """Write into `added` the sum of those rows of wt (N, N) whose unit spiked, in their order, row by row of units."""
    n, one, two, three = uint64(len(wt)), uint64(1), uint64(2), uint64(3)
    added[:] = 0
    k = uint64(0)
    while k < count:
        lo = which[k] // n * n
        a = which[k] - lo
        if k + three < count and which[k + three] < lo + n:  # four on their way from memory at once, in their order
            b, c, d = which[k + one] - lo, which[k + two] - lo, which[k + three] - lo
            for i in range(n):
                added[lo + i] = added[lo + i] + wt[a, i] + wt[b, i] + wt[c, i] + wt[d, i]
            k += three + one
        else:
            for i in range(n):
                added[lo + i] += wt[a, i]
            k += one


@njit(cache=True)
def count(s, found):  # pyright: ignore
    """Add to found (N,) how often each unit of s (steps, N) spiked."""
    for t in range(len(s)):
        for i in range(len(found)):
            found[i] += s[t, i]


@njit(cache=True)
def to_spikes(units, state, drive, traces, step, size):  # pyright: ignore
    """Take all units up to the spikes of a step, `size` of them at once."""
    total = uint64(len(state.v))
    for lo in range(uint64(0), total, uint64(size)):
        move(units, state, drive, traces, uint64(step), lo, min(uint64(size), total - lo))


@njit(cache=True)
def from_spikes(units, state, drive, traces, step, size):  # pyright: ignore
    """Take all units from the spikes of a step to its end; `state.added` is what they add."""
    total = uint64(len(state.v))
    for lo in range(uint64(0), total, uint64(size)):
        settle(units, state, drive, traces, uint64(step), lo, min(uint64(size), total - lo))


@njit(cache=True)
def run(units, state, drive, traces, size, wt):  # pyright: ignore
    """Take all rows through T steps; wt (N, N) is what a spike of a unit (row) adds to another, or (N, 0): nothing."""
    which = np.empty(len(state.v) + 1, np.uint64)
    state.added[:] = 0
    for step in range(len(traces.h)):
        to_spikes(units, state, drive, traces, step, size)
        if wt.size:
            spread(state.added, which, find(traces.s, step + 1, which), wt)
        from_spikes(units, state, drive, traces, step, size)
