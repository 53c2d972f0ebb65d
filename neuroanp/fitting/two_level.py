"""Two levels in white noise: the likelihood of a sampled telegraph signal in its physical parameters.

theta = (low, high, ln sigma, ln tau_low / dt, ln tau_high / dt), samples standardised
P(low -> high) = (tau_c / tau_low) (1 - exp(-dt / tau_c)),  1 / tau_c = 1 / tau_high + 1 / tau_low
"""

from __future__ import annotations

import math

import numpy as np

from neuroanp.fitting import hmm
from neuroanp.fitting.estimate import Estimate, maximise

TRIAL_SAMPLES = 50_000
SAME_DWELL = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 1]], dtype=float)
"""theta from one dwell time for both levels, (5, 4)."""


def flips(theta: np.ndarray) -> tuple[float, float]:
    """Return a = P(low -> high) and b = P(high -> low) a sample for theta[3:5] = ln (tau_low, tau_high) / dt.

    >>> a, b = flips(np.array([0.0, 0.0, 0.0, np.log(4.0), np.log(4.0)]))
    >>> [round(float(x), 6) for x in (a, b)], round((1 - math.exp(-0.5)) / 2, 6)
    ([0.196735, 0.196735], 0.196735)
    """
    up, down = np.exp(-theta[3:5])
    total = up + down
    return up / total * -math.expm1(-total), down / total * -math.expm1(-total)


def flips_jacobian(theta: np.ndarray) -> np.ndarray:
    """Return d(a, b) / d theta[3:5]."""
    up, down = np.exp(-theta[3:5])
    total = up + down
    moved, stays = -math.expm1(-total), math.exp(-total)
    of_up = np.array([down / total**2 * moved + up / total * stays, -down / total**2 * moved + down / total * stays])
    of_down = np.array([-up / total**2 * moved + up / total * stays, up / total**2 * moved + down / total * stays])
    return np.column_stack([-up * of_up, -down * of_down])


def loglik_and_gradient(v: np.ndarray, theta: np.ndarray) -> tuple[float, np.ndarray]:
    """Return ln L and its gradient at theta = (low, high, ln sigma, ln tau_low / dt, ln tau_high / dt)."""
    sigma, (a, b) = math.exp(theta[2]), flips(theta)
    if not (1e-6 < sigma < 1e3 and 1e-12 < a < 1 and 1e-12 < b < 1):
        return -math.inf, np.zeros(5)
    found = hmm.moments(v, theta[:2], sigma, a, b)
    raw = hmm.score(found, theta[:2], sigma, a, b)
    return found.loglik, np.array([*raw[:2], raw[2] * sigma, *(raw[3:] @ flips_jacobian(theta))])


def start_of(v: np.ndarray) -> np.ndarray:
    """Return a start for the search: the best of a few runs of expectation maximisation on part of the record."""
    part = v[:TRIAL_SAMPLES]
    low, high = _two_means(part)
    state = part > (low + high) / 2
    sigma = max(1e-3, float(np.sqrt(np.mean((part - np.where(state, high, low)) ** 2))))
    seen = max(1e-4, float(np.mean(state[1:] != state[:-1])))
    runs = [_em(part, np.array([low, high]), sigma, min(0.4, seen * factor)) for factor in (1.0, 0.1, 0.01)]
    _, (levels, sigma, a, b) = max(runs, key=lambda run: run[0])
    total = -math.log1p(-min(a + b, 0.98))
    return np.array([*levels, math.log(sigma), *np.log((a + b) / (total * np.array([a, b])))])


def _two_means(v: np.ndarray) -> tuple[float, float]:
    """Return the two centres that Lloyd's iteration finds from the lower and the upper half."""
    low, high = float(np.quantile(v, 0.1)), float(np.quantile(v, 0.9))
    for _ in range(50):
        above = v > (low + high) / 2
        if above.all() or not above.any():
            break
        low, high = float(v[~above].mean()), float(v[above].mean())
    return low, high


def _em(v: np.ndarray, levels: np.ndarray, sigma: float, flip: float, steps: int = 8):
    """Return the log likelihood and (levels, sigma, a, b) after some steps of expectation maximisation."""
    a = b = flip
    loglik = -math.inf
    for _ in range(steps):
        m = hmm.moments(v, levels, sigma, a, b)
        weight = np.maximum(m.weight, 1e-9)
        levels = m.first / weight
        spread = (m.second - 2 * levels * m.first + m.weight * levels**2).sum() / len(v)
        sigma = max(1e-4, math.sqrt(max(0.0, float(spread))))
        a, b = (min(0.49, max(1e-6, float(m.jumps[i, 1 - i] / max(1e-9, m.jumps[i].sum())))) for i in (0, 1))
        loglik = m.loglik
    return loglik, (levels, sigma, a, b)


def estimate(v: np.ndarray, same_dwell: bool, start: np.ndarray | None = None) -> Estimate:
    """Return the maximum-likelihood estimate of theta for standardised samples.

    Args:
        v: (N,) samples.
        same_dwell: whether both levels last equally long; theta then has one dwell, (4,) instead of (5,).
        start: of the search, (5,); found by `start_of` where None.
    """
    full = start_of(v) if start is None else start
    design = SAME_DWELL if same_dwell else np.eye(5)
    begin = np.array([*full[:3], full[3:].mean()]) if same_dwell else full
    return maximise(
        lambda theta: loglik_and_gradient(v, design @ theta)[0],
        begin,
        lambda theta: design.T @ loglik_and_gradient(v, design @ theta)[1],
    )
