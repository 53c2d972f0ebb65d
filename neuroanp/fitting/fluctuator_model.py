"""Several fluctuators on a 1/f background, sampled: spectrum, distribution, and how well they are those of a trace.

    v_t = mean + sum_k a_k (s_k - p_k) + b_t + w_t
    S(f) = w^2 + b^2 sum_j w_j L(e^{-2 pi f_j}, f) + sum_k a_k^2 p_k (1 - p_k) L(e^{-1/tau_k}, f)
    L(rho, f) = (1 - rho^2) / (1 - 2 rho cos 2 pi f + rho^2),  f in cycles a sample: aliases are in it

The distribution is a sum over the 2^K combinations of states of normal ones of variance w^2 + b^2. Both enter one
composite likelihood: Whittle's of the spectrum, and that of the histogram as of so many independent samples.

Source: Whittle, Estimation and information in stationary time series, Ark. Mat. 2:423 (1953); Varin, Reid and Firth,
An overview of composite likelihood methods, Stat. Sinica 21:5 (2011).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from neuroanp.devices.one_over_f import END
from neuroanp.fitting.sketch import Sketch

PLAIN = 5
"""theta = (mean, ln w, ln b, ln f_high, ln f_high/f_low, ln a_k ..., ln high_k ..., ln low_k ...), times in samples."""
RUNGS = 12
FAR = 0.05
"""Distance of two distributions from which on `levelling` draws them together: a high power is nearly the largest."""
_LEAST = 1e-7
_STEP = 1e-5


class Law(NamedTuple):
    """theta in its own units: standardised samples, and times in them; see the module.

    Args: white, slow: standard deviations w and b. size, high, low: (K,) amplitudes and mean dwell times.
    """

    mean: float
    white: float
    slow: float
    f_low: float
    f_high: float
    size: np.ndarray
    high: np.ndarray
    low: np.ndarray

    @property
    def p(self) -> np.ndarray:
        """(K,) probability of the high state."""
        return self.high / (self.high + self.low)

    @property
    def tau(self) -> np.ndarray:
        """(K,) correlation times, samples."""
        return self.high * self.low / (self.high + self.low)

    @property
    def variances(self) -> np.ndarray:
        """(K,) of the fluctuators."""
        return self.size**2 * self.p * (1 - self.p)


def count_of(theta: np.ndarray) -> int:
    """Return K, the number of fluctuators."""
    return (len(theta) - PLAIN) // 3


def law_of(theta: np.ndarray) -> Law:
    """Return theta in its own units."""
    parts = np.exp(theta[PLAIN:]).reshape(3, -1)
    return Law(theta[0], math.exp(theta[1]), math.exp(theta[2]), *_band(theta), *parts)


def _band(theta: np.ndarray) -> tuple[float, float]:
    """Return f_low and f_high, cycles a sample."""
    return math.exp(theta[3] - theta[4]), math.exp(theta[3])


def rungs(f_low: float, f_high: float) -> tuple[np.ndarray, np.ndarray]:
    """Return corner frequencies and shares of `OneOverF`, of a fixed number of processes: smooth in the cut-offs."""
    span = math.log(f_high / f_low)
    h = span / RUNGS
    inside = f_low * np.exp((np.arange(RUNGS) + 0.5) * h)
    weights = np.array([1 / END, *[h] * RUNGS, 1 / END]) / (span + 2 / END)
    return np.array([END * f_low, *inside, f_high / END]), weights


def lorentzian(rho: np.ndarray, f: np.ndarray) -> np.ndarray:
    """Return L of each rho at each f, (len(rho), len(f)).

    >>> lorentzian(np.array([0.5]), np.array([0.0, 0.5])).round(6).tolist()  # (1 + rho) / (1 - rho), and its inverse
    [[3.0, 0.333333]]
    """
    rho = rho[:, None]
    return (1 - rho**2) / (1 - 2 * rho * np.cos(2 * np.pi * f) + rho**2)


def _slow(theta: np.ndarray, f: np.ndarray) -> np.ndarray:
    corners, weights = rungs(*_band(theta))
    return weights @ lorentzian(np.exp(-2 * np.pi * corners), f)


def spectrum(theta: np.ndarray, f: np.ndarray) -> np.ndarray:
    """Return S at f, (len(f),)."""
    law = law_of(theta)
    return law.white**2 + law.slow**2 * _slow(theta, f) + law.variances @ lorentzian(np.exp(-1 / law.tau), f)


def autocovariance(theta: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """Return the covariance of samples so many samples apart, 1 at least, (len(lags),)."""
    law = law_of(theta)
    corners, weights = rungs(law.f_low, law.f_high)
    slow = weights @ np.exp(-2 * np.pi * corners[:, None] * lags)
    return law.slow**2 * slow + law.variances @ np.exp(-lags / law.tau[:, None])


def states(law: Law) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the combinations of states: (C, K) of 0 and 1, their means and probabilities (C,)."""
    k = len(law.size)
    s = (np.arange(2**k)[:, None] >> np.arange(k)) & 1
    return s, law.mean + (s - law.p) @ law.size, np.prod(np.where(s == 1, law.p, 1 - law.p), axis=1)


def distribution(theta: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the probability of a sample below each x."""
    from scipy.special import ndtr

    law = law_of(theta)
    _, means, weights = states(law)
    return weights @ ndtr((x - means[:, None]) / math.hypot(law.white, law.slow))


def cost(theta: np.ndarray, data: Sketch) -> tuple[float, np.ndarray]:
    """Return minus the logarithm of the composite likelihood, and its gradient.

    sum_bins weight (ln S + I / S) - samples sum_bins share ln q + levelling mean_bins ((F - F_trace) / FAR)^8
    """
    of_spectrum, one = _cost_of_spectrum(theta, data)
    of_samples, other = _cost_of_samples(theta, data)
    return of_spectrum + of_samples, one + other


def _cost_of_spectrum(theta: np.ndarray, data: Sketch) -> tuple[float, np.ndarray]:
    law, f = law_of(theta), data.f
    rho = np.exp(-1 / law.tau)
    shape, slow = lorentzian(rho, f), _slow(theta, f)
    s = law.white**2 + law.slow**2 * slow + law.variances @ shape
    pull = data.weight * (1 / s - data.power / s**2)  # d cost / d S
    grad = np.zeros_like(theta)
    grad[1], grad[2] = 2 * law.white**2 * pull.sum(), 2 * law.slow**2 * (pull @ slow)
    for index in (3, 4):
        moved = theta.copy()
        moved[index] += _STEP
        grad[index] = law.slow**2 * (pull @ (_slow(moved, f) - slow)) / _STEP
    if len(law.size):
        p, k = law.p, len(law.size)
        c, r = np.cos(2 * np.pi * f), rho[:, None]
        d = 1 - 2 * r * c + r**2
        of_rho = (-2 * r * d - (1 - r**2) * (2 * r - 2 * c)) / d**2
        of_tau = law.variances * rho / law.tau * (of_rho @ pull)  # d cost / d ln tau
        of_size = law.variances * (shape @ pull)  # d cost / d ln variance
        grad[PLAIN : PLAIN + k] = 2 * of_size
        grad[PLAIN + k : PLAIN + 2 * k] = of_tau * (1 - p) + of_size * (1 - 2 * p)
        grad[PLAIN + 2 * k :] = of_tau * p - of_size * (1 - 2 * p)
    return float((data.weight * (np.log(s) + data.power / s)).sum()), grad


def _cost_of_samples(theta: np.ndarray, data: Sketch) -> tuple[float, np.ndarray]:
    from scipy.special import ndtr

    law = law_of(theta)
    on, means, weights = states(law)
    sd = math.hypot(law.white, law.slow)
    z = (data.edges - means[:, None]) / sd
    below, density = ndtr(z), np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi) / sd
    cdf = weights @ below
    q = np.diff(cdf) + _LEAST
    off = cdf[1:] - np.cumsum(data.share)
    pull = -np.diff(-data.samples * data.share / q, prepend=0, append=0)  # d cost / d cdf at the edges
    pull[1:] += 8 * data.levelling / len(off) / FAR * (off / FAR) ** 7
    of_means = -weights * (density @ pull)
    of_weights = weights * (below @ pull)
    grad = np.zeros_like(theta)
    grad[0] = of_means.sum()
    of_sd = -float(weights @ ((density * z) @ pull))
    grad[1], grad[2] = of_sd * law.white**2 / sd, of_sd * law.slow**2 / sd
    if len(law.size):
        p, k = law.p, len(law.size)
        grad[PLAIN : PLAIN + k] = law.size * (of_means @ (on - p))
        of_p = -law.size * of_means.sum() + of_weights @ np.where(on == 1, 1 / p, -1 / (1 - p))
        grad[PLAIN + k : PLAIN + 2 * k] = of_p * p * (1 - p)
        grad[PLAIN + 2 * k :] = -of_p * p * (1 - p)
    return float(data.levelling * np.mean((off / FAR) ** 8) - data.samples * (data.share @ np.log(q))), grad


def cost_of_changes(theta: np.ndarray, v: np.ndarray, lags: tuple[int, ...], samples: float) -> float:
    """Return minus the log likelihood of the changes v_(t+lag) - v_t, as of so many independent ones a lag.

    A change is a sum of -a_k, 0 or a_k, with p_k (1 - p_k) (1 - e^{-lag/tau_k}) of either step, and of normal noise: it
    tells which size is the fast one, where spectrum and distribution do not.
    """
    from scipy.special import ndtr

    law = law_of(theta)
    corners, weights = rungs(law.f_low, law.f_high)
    total = 0.0
    for lag in lags:
        change = v[lag:] - v[:-lag]
        edges = np.linspace(change.min() - 1e-6, change.max() + 1e-6, 129)
        share = np.histogram(change, edges)[0] / len(change)
        means, chances = np.zeros(1), np.ones(1)
        for size, p, tau in zip(law.size, law.p, law.tau, strict=True):
            steps = p * (1 - p) * -math.expm1(-lag / tau)
            means = np.concatenate([means - size, means, means + size])
            chances = np.concatenate([chances * steps, chances * (1 - 2 * steps), chances * steps])
        slow = law.slow**2 * (1 - float(weights @ np.exp(-2 * np.pi * corners * lag)))
        sd = math.sqrt(2 * (law.white**2 + slow))
        q = np.diff(chances @ ndtr((edges - means[:, None]) / sd)) + _LEAST
        total -= samples * float(share @ np.log(q))
    return total


def draw(theta: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a record of n samples of the law, from its stationary state."""
    from scipy.signal import lfilter

    law = law_of(theta)
    v = law.mean + law.white * rng.standard_normal(n)
    for corner, weight in zip(*rungs(law.f_low, law.f_high), strict=True):
        rho = math.exp(-2 * math.pi * corner)
        first = [math.sqrt(weight) * rng.standard_normal() * rho]
        fresh = math.sqrt(weight * -math.expm1(-4 * math.pi * corner)) * rng.standard_normal(n)
        v += law.slow * lfilter([1.0], [1.0, -rho], fresh, zi=first)[0]
    for size, p, tau in zip(law.size, law.p, law.tau, strict=True):
        v += size * (_switching(p, tau, n, rng) - p)
    return v


def _switching(p: float, tau: float, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a telegraph signal at its samples: dwells of whole samples are geometric, and exactly so."""
    gone = -math.expm1(-1 / tau)
    leave = ((p * gone), (1 - p) * gone)  # from low, from high
    state, filled, parts = int(rng.random() < p), 0, []
    while filled < n:
        pairs = int(0.6 * (n - filled) / (1 / leave[0] + 1 / leave[1])) + 8
        dwells = np.empty(2 * pairs, dtype=np.int64)
        dwells[0::2], dwells[1::2] = (
            rng.geometric(max(leave[x], 1e-12), pairs).clip(max=n + 1) for x in (state, 1 - state)
        )
        parts.append(np.repeat(np.tile([state, 1 - state], pairs), dwells)[: n - filled])
        filled += len(parts[-1])
    return np.concatenate(parts).astype(float)
