"""Read the header of the .npy format, whatever a stranger has written there."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy


def read_header(stream: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Read the header of an array; the stream then stands at its numbers, of which none is read.

    NumPy reads it as a piece of Python, and what is none raises whatever Python's own readers raise, each version
    others: SyntaxError, TokenError, RecursionError, ...

    Args: stream: at the beginning of the format.

    Returns: shape, whether the first index runs first (Fortran's order), and type.

    Raises: ValueError: it is damaged; says how in at most 120 characters.

    >>> import io
    >>> stream = io.BytesIO()
    >>> np.save(stream, np.zeros((2, 3)))
    >>> read_header(io.BytesIO(stream.getvalue()))
    ((2, 3), False, dtype('float64'))
    """
    try:
        version = npy.read_magic(stream)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = read(stream)
    except Exception as error:
        raise ValueError(str(error)[:120] or type(error).__name__) from None
    return shape, fortran, dtype
