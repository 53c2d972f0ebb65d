"""Draw signs, +1 or -1 with probability 1/2 each (Rademacher).

The signs of a step lie in one row, whatever its shape: number 128 i + 32 k + b is -1 where bit b of word k of call i is
1. A call of the generator makes 128 of them, so that a sign costs little beside the sum that it goes into. They are the
same in single and in double precision.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from neuroanp.kernels.philox import words

if TYPE_CHECKING:
    from neuroanp.kernels.philox import Address

PER_CALL = 128
"""Signs of one call of the generator."""


def reference(at: Address, n: int) -> npt.NDArray[np.int8]:
    """Return n signs in numpy alone: the definition.

    >>> from neuroanp.kernels.philox import Address
    >>> reference(Address(key=7, update=0, stream=0, t=0), 8).tolist()
    [-1, 1, -1, -1, 1, -1, 1, 1]
    """
    w = words(at, -(-n // PER_CALL))
    bits = (w[..., None] >> np.arange(32, dtype=np.uint32)) & np.uint32(1)
    return (1 - 2 * bits.reshape(-1)[:n].astype(np.int8)).astype(np.int8)


def draw(at: Address, steps: int, shape: tuple[int, ...], dtype: npt.DTypeLike) -> np.ndarray:
    """Return the signs of steps (steps, *shape) from an address on, as numbers of a precision, by compiled loops."""
    from neuroanp.kernels import sign_loops

    out = np.zeros((steps, prod(shape)), dtype=dtype)
    for t in range(steps):
        sign_loops.move(out[t], out.dtype.type(1), out[t], at.keys, at.update, at.stream, at.t + t)
    return out.reshape(steps, *shape)
