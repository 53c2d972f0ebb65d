"""Intervals from the likelihood itself, where it has corners that make its curvature a poor guide.

    {c : 2 [max ln L - max over w.theta = c of ln L] <= chi-squared quantile}

Source: Venzon and Moolgavkar, A method for computing profile-likelihood-based confidence intervals,
J. R. Stat. Soc. C 37:87 (1988).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from neuroanp.fitting.estimate import Estimate, normal_quantile

_STEPS = 6
_CLOSE = 0.02


def interval(
    loglik: Callable[[np.ndarray], float], found: Estimate, weights: np.ndarray, block: slice
) -> tuple[float, float]:
    """Return the ends of the 95 % interval of w . theta.

    Args:
        loglik: of theta, continuous; corners are allowed.
        found: its maximum; the covariance only scales the search.
        weights: w (P,), zero outside the block.
        block: the part of theta that is fitted anew for every c; the rest stays where it is.

    >>> at_zero = Estimate(np.zeros(2), np.eye(2), 0.0)
    >>> ends = interval(lambda t: -0.5 * float(t @ t), at_zero, np.array([1.0, 1.0]), slice(0, 2))
    >>> [round(end, 2) for end in ends]
    [-2.77, 2.77]
    """
    w, covariance = weights[block], found.covariance[block, block]
    variance = float(w @ covariance @ w)
    direction = covariance @ w / variance  # along which the likelihood falls most slowly, by its curvature
    root = np.linalg.cholesky(covariance)
    _, _, axes = np.linalg.svd((root.T @ w)[None])
    across = (root @ axes[1:].T).T  # w . across = 0: these leave w . theta as it is
    middle, wanted = float(weights @ found.theta), normal_quantile()
    ends = []
    for sign in (-1.0, 1.0):
        shift, aside = sign * wanted * np.sqrt(variance), np.zeros(len(across))
        for _ in range(_STEPS):
            fall, aside = _fall(loglik, found, block, shift * direction, across, aside)
            ratio = np.sqrt(2 * max(fall, 1e-6)) / wanted
            if abs(ratio - 1) < _CLOSE:
                break
            shift /= min(2.0, max(0.5, ratio))
        ends.append(float(middle + shift))
    return ends[0], ends[1]


def _fall(
    loglik: Callable[[np.ndarray], float], found: Estimate, block: slice, moved: np.ndarray, across: np.ndarray,
    aside: np.ndarray,
) -> tuple[float, np.ndarray]:  # fmt: skip
    """Return how far the log likelihood lies below its maximum after a shift, and what is best added across it."""
    from scipy.optimize import minimize

    def cost(z: np.ndarray) -> float:
        theta = found.theta.copy()
        theta[block] += moved + z @ across
        return found.loglik - loglik(theta)

    if not len(across):
        return cost(aside), aside
    simplex = np.vstack([aside, aside + 0.5 * np.eye(len(aside))])
    best = minimize(
        cost, aside, method="Nelder-Mead", options={"initial_simplex": simplex, "xatol": 0.02, "fatol": 0.005}
    )
    return float(best.fun), best.x
