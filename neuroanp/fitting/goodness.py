"""Tests of a fitted law: what it calls chance must look like chance."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from neuroanp.fitting.result import Goodness


def of_residuals(z: np.ndarray, order: np.ndarray | None = None) -> tuple[Goodness, ...]:
    """Test that residuals are standard normal and, in the order given, independent.

    The distance of Kolmogorov and Smirnov from the normal law, and the correlation of neighbours,
    which is N(0, 1 / n) for independent ones.

    Args:
        z: (N,) residuals over their standard deviations.
        order: (N,) bool, whether a residual follows the one before it; all do where None.

    >>> z = np.random.default_rng(0).standard_normal(1000)
    >>> [round(g.p, 2) for g in of_residuals(z)]
    [0.16, 0.79]
    """
    from scipy.special import ndtr

    return (uniform(ndtr(z)), neighbours(z, order))


def uniform(u: np.ndarray, name: str = "Kolmogorov-Smirnov distance of the residuals") -> Goodness:
    """Test that numbers are uniform in [0, 1].

    Source: Massey, The Kolmogorov-Smirnov test for goodness of fit, J. Am. Stat. Assoc. 46:68 (1951).
    """
    from scipy.stats import kstest

    found = kstest(u, "uniform")
    return Goodness(name, float(found.statistic), float(found.pvalue))


def neighbours(z: np.ndarray, order: np.ndarray | None = None) -> Goodness:
    """Test that the correlation of successive residuals is zero."""
    from scipy.special import ndtr

    pairs = z[1:] * z[:-1]
    pairs = pairs if order is None else pairs[order[1:]]
    r = float(pairs.mean() / max(1e-300, float((z**2).mean()))) if len(pairs) else 0.0
    return Goodness(
        "correlation of neighbouring residuals", r, float(2 * ndtr(-abs(r) * math.sqrt(max(1, len(pairs)))))
    )


def chi_squared(squares: np.ndarray, parameters: int, name: str = "reduced chi-squared") -> Goodness:
    """Test that squared residuals sum to their number less that of the fitted parameters."""
    from scipy.special import chdtrc

    freedom = max(1, len(squares) - parameters)
    total = float(np.sum(squares))
    return Goodness(name, total / freedom, float(chdtrc(freedom, total)))


def doubts(goodness: Sequence[Goodness], what: str) -> list[str]:
    """Say in words which tests a fit fails; nothing where it passes all.

    >>> doubts([Goodness("reduced chi-squared", 3.0, 1e-9)], "the law")
    ['reduced chi-squared 3 (p < 0.0001): the law does not describe these data within their scatter; see the figure']
    """
    bad = [test for test in goodness if test.fails()]
    tail = f"{what} does not describe these data within their scatter; see the figure"
    return [f"{test.text}: {tail}" for test in bad]
