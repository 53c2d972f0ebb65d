"""How devices differ: mean and spread of a parameter whose value in each device is known with an error.

    theta_i ~ N(mu, tau^2),  estimate_i | theta_i ~ N(theta_i, error_i^2)

Sources: Paule and Mandel, Consensus values and weighting factors, J. Res. NBS 87:377 (1982) for tau;
Viechtbauer, Confidence intervals for the amount of heterogeneity in meta-analysis, Stat. Med. 26:37
(2007) for its interval; Hartung and Knapp, Stat. Med. 20:3875 (2001) for the interval of mu.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from neuroanp.fitting.result import LEVEL


class Interval(NamedTuple):
    """An estimate and its 95 % interval."""

    value: float
    low: float
    high: float


def spread(estimates: np.ndarray, errors: np.ndarray) -> tuple[Interval, Interval]:
    """Return mean mu and standard deviation tau over devices.

    With w_i = 1 / (tau^2 + error_i^2) and mu = sum w_i estimate_i / sum w_i, the sum
    Q(tau^2) = sum w_i (estimate_i - mu)^2 is chi-squared with k - 1 degrees of freedom: tau solves
    Q = k - 1, the ends of its interval Q = the quantiles.

    Args:
        estimates: (k,) of k >= 2 devices.
        errors: (k,) standard errors.

    >>> mean, sd = spread(np.array([1.0, 2.0, 3.0]), np.zeros(3))
    >>> [round(x, 3) for x in (*mean, *sd)]
    [2.0, -0.484, 4.484, 1.0, 0.521, 6.285]
    """
    from scipy.special import chdtri, stdtrit

    freedom = len(estimates) - 1
    tail = (1 - LEVEL) / 2
    low, value, high = (
        _solve(estimates, errors, q) for q in (chdtri(freedom, tail), freedom, chdtri(freedom, 1 - tail))
    )
    if high == 0:  # estimates nearer each other than their errors allow: the interval would be empty
        high = float(np.sqrt(np.mean(errors**2)))
    weight, mean = _mean(estimates, errors, value)
    error = np.sqrt(max(1.0, _q(estimates, errors, value) / freedom) / weight.sum()) if weight.sum() else 0.0
    half = float(stdtrit(freedom, 1 - tail)) * float(error)
    return Interval(mean, mean - half, mean + half), Interval(value, low, high)


def _mean(x: np.ndarray, errors: np.ndarray, tau: float) -> tuple[np.ndarray, float]:
    variance = tau**2 + errors**2
    weight = 1.0 / np.maximum(variance, 1e-300)
    return weight, float((weight / weight.max() * x).sum() / (weight / weight.max()).sum())


def _q(x: np.ndarray, errors: np.ndarray, tau: float) -> float:
    weight, mean = _mean(x, errors, tau)
    return float((weight * (x - mean) ** 2).sum())


def _solve(x: np.ndarray, errors: np.ndarray, wanted: float) -> float:
    """Return the tau >= 0 at which Q is `wanted`; 0 where Q is smaller than that already at 0."""
    from scipy.optimize import brentq

    largest = float(np.sqrt(((x - x.mean()) ** 2).sum() / max(wanted, 1e-12)))
    floor = 1e-9 * max(largest, float(np.abs(x).max()), 1e-300)
    if largest <= floor or _q(x, errors, floor) <= wanted:
        return 0.0
    root: Any = brentq(lambda tau: _q(x, errors, tau) - wanted, floor, largest * 1.001 + floor)
    return float(root)
