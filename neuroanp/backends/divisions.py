"""Divisions by zero end a simulation in numpy too, as they do in compiled code; so do integers of what is no number."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

RAISED = (ZeroDivisionError, RuntimeWarning)
"""What a division by zero raises: in compiled code, and in numpy within `checked_divisions`."""

_BY_ZERO, _NOTHING = "divide by zero encountered in", "(?:divide by zero|invalid value) encountered in"
_DIVISION = r" (?:scalar )?(?:divide|true_divide|floor_divide|remainder|divmod)\b"


@contextmanager
def checked_divisions(strict: bool = True) -> Iterator[None]:
    """Raise inside where numpy divides by zero; its other warnings of arithmetic are not shown.

    Args:
        strict: raise for 0/0 as well, which numpy does not tell from inf/inf, and for the integer of what is no number.

    >>> with checked_divisions():
    ...     np.ones(1) / np.zeros(1)
    Traceback (most recent call last):
    ...
    RuntimeWarning: divide by zero encountered in divide
    """
    with warnings.catch_warnings(), np.errstate(divide="warn", invalid="warn", over="ignore", under="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        if strict:
            warnings.filterwarnings("error", "invalid value encountered in cast", RuntimeWarning)
        warnings.filterwarnings("error", (_NOTHING if strict else _BY_ZERO) + _DIVISION, RuntimeWarning)
        yield
