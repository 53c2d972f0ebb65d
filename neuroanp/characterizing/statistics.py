"""Estimate moments with their standard errors, and expect them by quadrature."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

ROUNDING = 1e-12
"""Samples that agree to this share of their size are equal."""
REACH, NODES = 9.0, 1801
"""The normal distribution is integrated over +-REACH standard deviations at NODES points."""


def mean(samples: np.ndarray) -> tuple[float, float]:
    """Return the mean of independent samples (n,) and its standard error s / sqrt(n).

    >>> mean(np.array([1.0, 3.0]))
    (2.0, 1.0)
    """
    return float(samples.mean()), spread(samples) / math.sqrt(samples.size)


def spread(samples: np.ndarray) -> float:
    """Return the standard deviation of two or more samples (n,); 0 where they differ by rounding alone."""
    found = float(samples.std(ddof=1))
    return found if found > ROUNDING * float(np.abs(samples).max()) else 0.0


def deviation(samples: np.ndarray) -> tuple[float, float]:
    """Return the standard deviation of independent samples (n,) and its standard error.

    Var(s^2) = (m4 - s^4 (n - 3)/(n - 1)) / n for any distribution; se(s) = sqrt(Var(s^2)) / (2 s).

    >>> sd, error = deviation(np.random.default_rng(0).standard_normal(100_000))
    >>> round(error * math.sqrt(2 * 100_000), 1)
    1.0
    """
    n, sd = samples.size, spread(samples)
    if sd == 0.0:
        return 0.0, 0.0
    scaled = (samples - samples.mean()) / sd  # the fourth power of nanosiemens would leave the floats' range
    variance = max(float((scaled**4).mean()) - (n - 3) / (n - 1), 0.0) / n
    return sd, 0.5 * sd * math.sqrt(variance)


def share(hits: np.ndarray) -> tuple[float, float]:
    """Return the share of true values and its binomial standard error (of at least one hit or miss)."""
    n, p = hits.size, float(hits.mean())
    careful = min(max(p, 1.0 / n), 1.0 - 1.0 / n)
    return p, math.sqrt(careful * (1.0 - careful) / n)


def rectified(mu: np.ndarray, sigma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of max(0, mu + sigma xi).

        E = mu Phi(a) + sigma phi(a),  E x^2 = (mu^2 + sigma^2) Phi(a) + mu sigma phi(a),  a = mu / sigma

    >>> m, s = rectified(np.array([0.0, 3.0]), np.array([1.0, 0.0]))
    >>> m.round(4).tolist(), s.round(4).tolist()
    ([0.3989, 3.0], [0.5838, 0.0])
    """
    mu, sigma = np.asarray(mu, dtype=float), np.asarray(sigma, dtype=float)
    a = np.divide(mu, sigma, out=np.full_like(mu, np.inf), where=sigma > 0)
    cdf = torch.special.ndtr(torch.from_numpy(a)).numpy()
    pdf = np.exp(-0.5 * np.minimum(np.abs(a), 1e3) ** 2) / math.sqrt(2.0 * math.pi)
    first = np.where(sigma > 0, mu * cdf + sigma * pdf, np.maximum(mu, 0.0))
    second = np.where(sigma > 0, (mu**2 + sigma**2) * cdf + mu * sigma * pdf, first**2)
    return first, np.sqrt(np.maximum(second - first**2, 0.0))


def normal_nodes() -> tuple[Tensor, np.ndarray]:
    """Return nodes xi (NODES,) and weights of the trapezoid rule for expectations over a standard normal.

    >>> xi, w = normal_nodes()
    >>> [round(float((w * xi.numpy() ** k).sum()), 10) for k in (0, 2, 4)]
    [1.0, 1.0, 3.0]
    """
    xi = torch.linspace(-REACH, REACH, NODES, dtype=torch.float64)
    weights = torch.exp(-0.5 * xi**2)
    return xi, (weights / weights.sum()).numpy()


def expected(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return mean, standard deviation and median of functions of one standard normal, (3, n).

    Args:
        values: n functions at the nodes, (NODES, n).
        weights: of the nodes.
    """
    first = weights @ values
    sd = np.sqrt(weights @ (values - first) ** 2)
    sd[sd <= ROUNDING * np.abs(values).max(axis=0)] = 0.0
    order = np.argsort(values, axis=0, kind="stable")
    ranked, mass = np.take_along_axis(values, order, axis=0), weights[order]
    reached = np.cumsum(mass, axis=0) - 0.5 * mass
    medians = [np.interp(0.5, reached[:, i], ranked[:, i]) for i in range(values.shape[1])]
    return np.array([first, sd, medians])
