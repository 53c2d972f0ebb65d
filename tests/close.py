"""One way for tests to compare floating-point numbers: by a relative tolerance, with no absolute one behind it."""

from __future__ import annotations

from typing import Any

import pytest


def close(expected: Any, rel: float = 1e-6, abs: float = 0.0) -> Any:
    """Return what equals `expected` up to rounding: pytest.approx without its absolute 1e-12.

    Energies here are picojoules, currents nanoamperes, conductance variances 1e-18 S^2: with an absolute tolerance of
    1e-12 a number that is not there at all (0 J) is as good as the right one. `make lint` finds what forgets this
    (tests/lint/tolerances.py).

    Args:
        expected: a number, or a list, dict or array of numbers, as pytest.approx takes them.
        rel: the largest difference allowed, as a share of each number expected.
        abs: the same in the unit of the numbers; where a difference of numbers leaves a rounding instead of 0, say what
            rounding that is. With 0 a zero is met by zero alone.

    >>> 0.0 == close(4e-12), 0.0 == pytest.approx(4e-12)
    (False, False)
    >>> 0.0 == close(0.4e-12), 0.0 == pytest.approx(0.4e-12)
    (False, True)
    >>> 4e-12 * (1 + 1e-9) == close(4e-12), 1e-19 == close(0.0), 1e-19 == close(0.0, abs=1e-18)
    (True, False, True)
    """
    return pytest.approx(expected, rel=rel, abs=abs)
