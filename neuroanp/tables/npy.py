"""Read the header of the .npy format, whatever a stranger has written there."""

from __future__ import annotations

import warnings
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy

VERSIONS = {
    (1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0, (3, 0): npy.read_array_header_2_0
}  # fmt: skip
"""What reads the header of each; the third writes names of fields otherwise, which arrays of numbers have not."""
DIMENSIONS = 32
"""The most that arrays of every NumPy have."""


def read_header(stream: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Read the header of an array; the stream then stands at its numbers, of which none is read.

    NumPy reads it as a piece of Python, and what is none raises whatever Python's own readers raise, each version
    others: SyntaxError, TokenError, RecursionError, ... A shape that no array has is damage too.

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
        if version not in VERSIONS:
            raise ValueError(f"version {version[0]}.{version[1]} of the format is not known")
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # of files that Python 2 wrote
            shape, fortran, dtype = VERSIONS[version](stream)
        if len(shape) > DIMENSIONS or any(type(length) is not int or length < 0 for length in shape):
            raise ValueError(f"no array has the shape {shape}")
    except Exception as error:
        said = str(error.args[0]) if error.args else ""  # places in the header are of no use to who has the file
        raise ValueError(" ".join(said.split())[:120] or type(error).__name__) from None
    return shape, fortran, dtype
