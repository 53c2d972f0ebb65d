"""Hold a law of fluctuators to the trace it was fitted to: distribution, spectrum octave by octave, autocorrelation.

How far a record of the law itself may lie from it is found by drawing some. They give the uncertainty of what was
fitted, too: the covariance of an estimate that maximises a composite likelihood is

    H^-1 J H^-1,  H the curvature of the cost, J the covariance of its gradient over records of the law

Source: Godambe, An optimum property of regular maximum likelihood estimation, Ann. Math. Stat. 31:1208 (1960).
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from neuroanp.fitting import fluctuator_model as model
from neuroanp.fitting.estimate import Estimate
from neuroanp.fitting.fluctuator_search import DECIBEL, DISTANCE, Found, bounds
from neuroanp.fitting.result import Goodness
from neuroanp.fitting.sketch import Sketch, sketch
from neuroanp.units import format_quantity

CORRELATION = 0.05
"""The autocorrelation may be so far from the law's."""
_RECORDS, _MOST = 24, 6_000_000
_FLAT = 0.1
"""Curvature of the cost below which a direction of theta is not determined: half a unit of cost is 3 e-folds away."""
WIDEST = 3.5
"""Standard deviation of a logarithm beyond which nothing is known of a number: a factor of a thousand at 95 %."""
_STEP = 1e-4
_SHARE = 0.02
"""Of a direction that is flat: what has more of it moves along."""


class Own(NamedTuple):
    """What records of a law itself show.

    Args: gradients: (R, P) of the cost at the law. decibels: (R, octaves), correlations: (R, lags) and distances: (R,)
        from the law's spectrum, autocorrelation and distribution.
    """

    gradients: np.ndarray
    decibels: np.ndarray
    correlations: np.ndarray
    distances: np.ndarray


def lags_of(n: int) -> np.ndarray:
    """Return the lags, samples, at which a record of n is held to the law: powers of two up to a 20th of it.

    >>> lags_of(200).tolist()
    [1, 2, 4, 8]
    """
    return 2 ** np.arange(int(np.log2(max(2, n // 20))) + 1)


def correlation(v: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """Return the correlation of a record with itself at lags, about its own mean.

    >>> correlation(np.tile([1.0, -1.0], 50), np.array([1, 2])).round(6).tolist()
    [-1.0, 1.0]
    """
    v = v - v.mean()
    return np.array([float(v[lag:] @ v[:-lag]) / (len(v) - lag) for lag in lags]) / float(v @ v) * len(v)


def expected_correlation(theta: np.ndarray, n: int, lags: np.ndarray) -> np.ndarray:
    """Return what `correlation` of a record of n is by the law: about the record's mean, which slow parts move."""
    law = model.law_of(theta)
    every = np.unique(np.geomspace(1, n - 1, 400).astype(int))
    total = law.white**2 + law.slow**2 + float(law.variances.sum())
    # Var(mean) = [C(0) + 2 sum (1 - k/n) C(k)] / n, the sum by trapezia between lags that are ever farther apart
    inner = (1 - every / n) * model.autocovariance(theta, every)
    of_mean = (total + 2 * float(np.trapezoid(inner, every)) + inner[0]) / n
    return (model.autocovariance(theta, lags) - of_mean) / (total - of_mean)


def own_records(found: Found, seed: int = 0) -> Own:
    """Draw records of the law as long as the trace, and return what they show of it."""
    data, theta = found.weighted, found.theta
    rng, lags = np.random.default_rng(seed), lags_of(data.n)
    spectrum, wanted = model.spectrum(theta, data.f), expected_correlation(theta, data.n, lags)
    cdf = model.distribution(theta, data.edges)
    gradients, decibels, correlations, distances = [], [], [], []
    for _ in range(int(np.clip(_MOST // data.n, 8, _RECORDS))):
        v = model.draw(theta, data.n, rng)
        seen = replace(sketch(v, data.edges), weight=data.weight, levelling=data.levelling)
        gradients.append(model.cost(theta, seen)[1])
        decibels.append(seen.decibels(spectrum))
        correlations.append(correlation(v, lags) - wanted)
        distances.append(seen.distance(cdf))
    return Own(*(np.array(each) for each in (gradients, decibels, correlations, distances)))


def uncertain(found: Found, own: Own) -> Estimate:
    """Return the estimate with its covariance.

    What lies at a bound of the search is held there. Of what moves along a direction in which the cost is flat nothing
    is known: its standard deviation is WIDEST, as that of what is less known than that.
    """
    theta, data = found.theta, found.weighted
    limits = bounds(data, model.count_of(theta))
    free = np.flatnonzero((theta > limits[:, 0] + 1e-6) & (theta < limits[:, 1] - 1e-6))
    steps = _STEP * np.eye(len(theta))[free]
    rows = [(model.cost(theta + h, data)[1] - model.cost(theta - h, data)[1])[free] / (2 * _STEP) for h in steps]
    values, axes = np.linalg.eigh(0.5 * (np.array(rows) + np.array(rows).T))
    flat = values < _FLAT
    inverse = (axes[:, ~flat] / values[~flat]) @ axes[:, ~flat].T
    g = own.gradients[:, free]
    part = inverse @ (g.T @ g / len(g)) @ inverse
    sd = np.sqrt(np.diagonal(part))
    unknown = ((axes[:, flat] ** 2).sum(1) > _SHARE) | (sd > WIDEST)
    part = part * np.outer(~unknown, ~unknown) + WIDEST**2 * np.diag(unknown)
    covariance = np.zeros((len(theta), len(theta)))
    covariance[np.ix_(free, free)] = part
    return Estimate(theta, covariance, -model.cost(theta, data)[0])


def unknown_of(found: Estimate) -> np.ndarray:
    """Return which of theta a record does not tell."""
    return np.diagonal(found.covariance) >= WIDEST**2


def _too_short(own: Own, seconds: float) -> str:
    """Say how long a record had to be where even the law's own are too far from it, their squares falling with time."""
    usual = float(np.median(own.distances))
    if usual <= DISTANCE / 2:
        return ""
    needed = format_quantity(seconds * (2 * usual / DISTANCE) ** 2, "s", 2)
    return f"; records of the law itself lie {usual:.2g} from it: this one is too short, and about {needed} are needed"


def held(v: np.ndarray, theta: np.ndarray, data: Sketch, own: Own, dt: float) -> tuple[tuple[Goodness, ...], list[str]]:
    """Return how far the trace is from the law, and in words where that is more than is allowed.

    Args: v: (N,) the trace, standardised. dt: seconds between samples.
    """
    distance = data.distance(model.distribution(theta, data.edges))
    off = data.decibels(model.spectrum(theta, data.f))
    most_off = DECIBEL + 2 * own.decibels.std(0)
    lags = lags_of(data.n)
    apart = correlation(v, lags) - expected_correlation(theta, data.n, lags)
    most_apart = CORRELATION + 3 * own.correlations.std(0)
    goodness = (
        Goodness("Kolmogorov-Smirnov distance of the trace from the law", distance),
        Goodness("largest distance of an octave of the spectrum, dB", float(np.abs(off).max(initial=0.0))),
        Goodness("largest distance of the autocorrelation", float(np.abs(apart).max())),
    )
    doubts = []
    if distance > DISTANCE:
        doubts.append(
            f"distribution: {distance:.3g} from the trace's (Kolmogorov and Smirnov), {DISTANCE} is allowed"
            + _too_short(own, dt * data.n)
        )
    for octave, db, most in zip(data.octaves, off, most_off, strict=True):
        if abs(db) > most:
            high = 0.5 / dt / 2**octave
            doubts.append(f"spectrum: {high / 2:.3g} to {high:.3g} Hz {db:+.2g} dB off the law, {most:.2g} is allowed")
    for lag, by, most in zip(lags, apart, most_apart, strict=True):
        if abs(by) > most:
            doubts.append(f"autocorrelation: {by:+.2g} off the law after {lag * dt:.3g} s, {most:.2g} is allowed")
    return goodness, doubts
