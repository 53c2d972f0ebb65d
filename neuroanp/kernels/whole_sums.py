"""The loop of sums of whole numbers, compiled: what `neuroanp.training.sums` does in four passes over an array."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, error_model="numpy")
def add_whole(total, x, scale):  # pyright: ignore
    """Add numbers as whole ones, n_i <- n_i + round(scale x_i), halves to the even one.

    Args:
        total: (n,) int64, to be added to. x: (n,) single or double precision. scale: a power of two, double precision,
            with which no number reaches 2^63.

    Raises: nothing; the caller sees to the size of x.

    >>> total = np.array([1, 1, 1], np.int64)
    >>> add_whole(total, np.array([0.25, 0.375, -2.0], np.float32), 4.0)
    >>> total
    array([ 2,  3, -7])
    """
    for i in range(len(total)):
        total[i] += np.int64(np.rint(np.float64(x[i]) * scale))
