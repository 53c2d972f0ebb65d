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

    >>> even, low = (np.arange(100) + 0.5) / 100, np.arange(100) / 200
    >>> uniform(even).p > 0.99, uniform(low).p < 1e-6
    (True, True)
    """
    from scipy.stats import kstest

    found = kstest(u, "uniform")
    says = "what is left over is not distributed as the law says"
    return Goodness(name, float(found.statistic), float(found.pvalue), says)


def neighbours(z: np.ndarray, order: np.ndarray | None = None) -> Goodness:
    """Test that the correlation of successive residuals is zero.

    >>> z = np.random.default_rng(0).standard_normal(1000)
    >>> neighbours(z).p > 0.01, neighbours(np.sort(z)).p < 1e-6
    (True, True)
    """
    from scipy.special import ndtr

    pairs = z[1:] * z[:-1]
    pairs = pairs if order is None else pairs[order[1:]]
    r = float(pairs.mean() / max(1e-300, float((z**2).mean()))) if len(pairs) else 0.0
    p = float(2 * ndtr(-abs(r) * math.sqrt(max(1, len(pairs)))))
    return Goodness(
        "correlation of neighbouring residuals",
        r,
        p,
        "what is left over is not chance: neighbours are alike or opposed",
    )


def sums(series: Sequence[np.ndarray], lengths: Sequence[int], of: str) -> list[Goodness]:
    """Test that residuals do not add up over windows: one-sided, as fitted parameters make sums smaller.

    Args:
        series: residuals over their standard deviations, in order, one record each.
        lengths: of the windows; those that do not fit twice are left out.
        of: what the residuals are one each of ("pulses").

    >>> walk = 0.02 * np.cumsum(np.random.default_rng(0).standard_normal(1000))
    >>> noise = np.random.default_rng(1).standard_normal(1000)
    >>> [[test.fails() for test in sums([z], (64,), "samples")] for z in (noise, noise + walk)]
    [[False], [True]]
    """
    from scipy.special import chdtrc

    tests = []
    for length in lengths:
        parts = [z[: len(z) // length * length].reshape(-1, length).sum(1) for z in series]
        squares = np.concatenate(parts) ** 2 / length
        if len(squares) >= 2:
            says = f"over {length} {of} the record leaves the law by more than scatter adds up to"
            p = float(chdtrc(len(squares), squares.sum()))
            name = f"spread of residuals summed over {length} {of}"
            tests.append(Goodness(name, float(np.sqrt(squares.mean())), p, says))
    return tests


def chi_squared(squares: np.ndarray, parameters: int, name: str = "reduced chi-squared", says: str = "") -> Goodness:
    """Test that squared residuals sum to their number less that of the fitted parameters.

    >>> found = chi_squared(np.ones(12), 2)  # 12 over 10 degrees of freedom
    >>> round(found.value, 6), round(found.p, 4)
    (1.2, 0.2851)
    """
    from scipy.special import chdtrc

    freedom = max(1, len(squares) - parameters)
    total = float(np.sum(squares))
    return Goodness(name, total / freedom, float(chdtrc(freedom, total)), says)


def doubts(goodness: Sequence[Goodness], what: str) -> list[str]:
    """Say in words which tests a fit fails, and what that means; nothing where it passes all.

    >>> doubts([Goodness("reduced chi-squared", 3.0, 1e-9)], "the law")
    ['reduced chi-squared 3 (p < 0.0001): the law does not describe these data within their scatter']
    """
    tail = f"{what} does not describe these data within their scatter"
    return [f"{test.text}: {test.says or tail}" for test in goodness if test.fails()]
