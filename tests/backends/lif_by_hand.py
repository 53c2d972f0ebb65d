"""Leaky integrate-and-fire units in plain numpy, one step after the other as the equations stand."""

from __future__ import annotations

import numpy as np

from neuroanp.backends.neuron import Coefficients


def by_hand(step: Coefficients, kind: str, current, wt, incoming=None, arriving=None):
    """Return h, s, z, v (T, rows, N) of units with a kind of reset; the raised one as snntorch computes it.

    It lowers what is compared by the reset of a membrane still above its threshold, and gives that back afterwards.
    """
    a_m, k_i, k_e, a_s, a_r, threshold = (np.asarray(part) for part in step[:6])
    current, wt, incoming, arriving = (
        None if each is None else np.asarray(each) for each in (current, wt, incoming, arriving)
    )
    v = np.zeros(current.shape[1:])
    I, z, free_at, fired = v.copy(), v.copy(), np.zeros(v.shape, dtype=int), np.zeros(v.shape, dtype=bool)  # noqa: E741
    found = []
    for t, external in enumerate(current):
        J = I if arriving is None else I + arriving[t]
        above = (v > threshold) & (kind == "subtract_raised")
        m = np.where(t >= free_at, a_m * v + k_i * J + k_e * external, v)
        if kind == "hard_delayed":
            m = m * ~fired
        if kind == "subtract_delayed":
            m = m - fired * threshold
        mem = m - above * threshold
        fired = (mem > threshold) & (t >= free_at)
        found.append((J + external, fired, a_r * z + fired, m))
        v = {
            "hard": m * ~fired,
            "subtract": m - fired * threshold,
            "subtract_raised": mem - (fired.astype(float) - above) * threshold,
        }.get(kind, m)
        z = a_r * z + fired
        free_at[fired] = t + step.hold
        I = a_s * J + fired.astype(float) @ wt + (0.0 if incoming is None else incoming[t])  # noqa: E741
    return [np.array(part) for part in zip(*found, strict=True)]
