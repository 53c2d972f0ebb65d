"""Is a trace a telegraph signal: two levels that stand still, white noise, and the memory of one dwell time each.

Each test looks at what another misses: more levels, levels that drift, residuals with a memory of
their own, a spectrum that is no Lorentzian. A random walk, 1/f noise or three levels are fitted by
two levels without complaint; these tests are what complains.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from neuroanp.fitting import hmm
from neuroanp.fitting.goodness import chi_squared, neighbours, sums, uniform
from neuroanp.fitting.levels import three_against_two
from neuroanp.fitting.result import Goodness
from neuroanp.fitting.two_level import flips

_WINDOWS = (8, 64, 512)
_PIECES = 8
"""Of the record, between which levels may drift."""
_PER_DECADE = 4
"""Bins of the spectrum."""
_FEWEST = 16
"""Frequencies in a bin."""
CLEARLY = 10.0
"""By so much smaller Schwarz's criterion of three levels must be."""


def tests_of(v: np.ndarray, theta: np.ndarray) -> tuple[Goodness, ...]:
    """Return all tests with a probability.

    Args:
        v: (N,) standardised samples.
        theta: (5,) as in `two_level`.
    """
    from scipy.special import ndtri

    u = hmm.surprises(v, theta[:2], math.exp(theta[2]), *flips(theta))
    z = ndtri(np.clip(u, 1e-12, 1 - 1e-12))
    return (
        uniform(u, "Kolmogorov-Smirnov distance of the predictions"), neighbours(z), *sums([z], _WINDOWS, "samples"),
        _drift(v, theta), _spectrum(v, theta),
    )  # fmt: skip


def more_levels(
    v: np.ndarray, theta: np.ndarray, middle: float, scale: float, show: Callable[[float], str]
) -> list[str]:
    """Say where three levels lie if they describe the trace much better than two.

    Args:
        v, theta: as in `tests_of`.
        middle, scale: of the standardisation.
        show: writes a level, SI, as text.
    """
    a, b = flips(theta)
    better, three = three_against_two(v, theta[:2].copy(), math.exp(theta[2]), np.array([[1 - a, a], [b, 1 - b]]))
    if better < CLEARLY:
        return []
    levels = ", ".join(show(middle + scale * x) for x in three.mean)
    return [
        f"three levels ({levels}) or more are likelier than two (Schwarz's criterion smaller by {better:.3g}): "
        "this is more than one fluctuator"
    ]


def _drift(v: np.ndarray, theta: np.ndarray) -> Goodness:
    """Test that both levels are the same in all pieces of the record.

    In each piece the score of a level, sum of P(level | all) (v - level) / sigma, has variance
    sum of P(level | all) at most: less where the noise hides the states.
    """
    sigma = math.exp(theta[2])
    high = hmm.moments(v, theta[:2], sigma, *flips(theta)).high
    squares = []
    for piece in np.array_split(np.arange(len(v)), _PIECES):
        for weight, level in ((1 - high[piece], theta[0]), (high[piece], theta[1])):
            if weight.sum() >= _FEWEST:
                squares.append(float((weight * (v[piece] - level)).sum() / sigma) ** 2 / float(weight.sum()))
    name = f"levels in {_PIECES} pieces of the record, reduced chi-squared"
    says = "the levels drift; fit a shorter piece, or take the drift off first"
    return chi_squared(np.array(squares), 2, name, says)


def _spectrum(v: np.ndarray, theta: np.ndarray) -> Goodness:
    """Test the periodogram against the spectrum of the law, sampled: a Lorentzian and its aliases, and white noise.

        S(f) = A^2 p (1-p) (1 - rho^2) / (1 - 2 rho cos(2 pi f) + rho^2) + sigma^2,  f in cycles a sample

    Over bins of many frequencies the ratio is 1, with a variance of one over their number and two
    over that of the switches.
    """
    (a, b), n = flips(theta), len(v)
    p, rho = a / (a + b), 1 - a - b
    power = np.abs(np.fft.rfft(v - v.mean())[1:-1]) ** 2 / n
    f = np.arange(1, len(power) + 1) / n
    swing = (theta[1] - theta[0]) ** 2 * p * (1 - p)
    law = swing * (1 - rho**2) / (1 - 2 * rho * np.cos(2 * np.pi * f) + rho**2) + math.exp(2 * theta[2])
    edges = np.unique(np.geomspace(1, len(f) + 1, max(2, int(_PER_DECADE * math.log10(len(f))))).astype(int)) - 1
    while len(edges) > 2 and edges[1] - edges[0] < _FEWEST:
        edges = np.delete(edges, 1)
    few = 2 / max(1.0, n * 2 * a * b / (a + b))  # so many switches make the whole spectrum what it is
    z = [(float((power[i:j] / law[i:j]).mean()) - 1) / math.sqrt(1 / (j - i) + few) for i, j in pairwise(edges)]
    says = "the spectrum is not that of one telegraph signal in white noise"
    return chi_squared(np.square(z), 2, "spectrum against the law's, reduced chi-squared", says)
