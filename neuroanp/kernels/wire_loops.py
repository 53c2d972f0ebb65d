"""Ladders of resistors, compiled: the bits of `neuroanp.substrates.wires_fast.plain_ladder`."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, error_model="numpy")
def ladder(g, out):  # pyright: ignore
    """Fill out with the voltage at each node of ladders (batch, length, lines) driven with 1 V before their first.

    Args: g: ohm a segment times siemens at each node. Products along a ladder are taken in double precision.
    """
    batch, length, lines = g.shape
    beyond, reached, one = np.empty(lines, g.dtype), np.empty(lines), g.dtype.type(1)
    for k in range(batch):
        beyond[:] = 0
        for at in range(length - 1, -1, -1):
            own, left = g[k, at], out[k, at]
            for i in range(lines):
                beyond[i] = own[i] + beyond[i] / (beyond[i] + one)
                left[i] = one / (beyond[i] + one)
        reached[:] = 1
        for at in range(length):
            left = out[k, at]
            for i in range(lines):
                reached[i] *= left[i]
                left[i] = reached[i]
