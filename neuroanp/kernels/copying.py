"""Copy numbers in compiled loops: written out, for `a[:] = b` compiles for seconds.

Numba's own assignment of arrays has an error that tells both shapes, and the making of that text, of which none is
ever seen here, is most of what the loops around it are compiled for.
"""

from __future__ import annotations

from numba import njit


@njit(cache=True)
def put(to, of):  # pyright: ignore
    """Fill a line (n,) with another (n,) or more."""
    for i in range(len(to)):
        to[i] = of[i]


@njit(cache=True)
def put_rows(to, of):  # pyright: ignore
    """Fill rows (rows, n) with others."""
    for row in range(len(to)):
        put(to[row], of[row])


@njit(cache=True)
def put_passes(to, of):  # pyright: ignore
    """Fill the rows of passes (M, B, n) with others."""
    for m in range(len(to)):
        put_rows(to[m], of[m])
