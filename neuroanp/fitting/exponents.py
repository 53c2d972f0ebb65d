"""The law of drift exponents over devices: mean and spread against ln r, given each exponent's error.

nu_i = |mu(x_i) + s(x_i) xi|,  estimate_i = nu_i + error_i xi',  x = ln r
mu(x) = clip(slope x + offset, low, high), and s(x) likewise
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from neuroanp.fitting.estimate import Estimate, Undetermined, covariance_of
from neuroanp.fitting.likelihood_ratio import interval
from neuroanp.fitting.result import Choice, Parameter

_SMALLEST = 1e-4
"""Smallest spread, in units of the mean exponent: the likelihood needs one above zero."""


class Shape(NamedTuple):
    """Whether a quantity changes with ln r, and which limits it reaches."""

    line: bool
    low: bool = False
    high: bool = False

    @property
    def size(self) -> int:
        """Number of parameters: the value in the middle, the slope, the limits."""
        return 1 + self.line + self.low + self.high


SHAPES = (Shape(False), Shape(True), Shape(True, low=True), Shape(True, high=True), Shape(True, True, True))


class Exponents:
    """Estimated exponents of D devices.

    Args:
        x: (D,) ln r.
        nu: (D,) estimates of the exponent.
        error: (D,) their standard errors.
    """

    def __init__(self, x: np.ndarray, nu: np.ndarray, error: np.ndarray) -> None:
        self.x, self.nu, self.error = x, nu, error
        self.middle = float(x.mean())
        self.size = max(float(np.abs(nu).mean()), 1e-9)

    def loglik(self, mu: np.ndarray, s: np.ndarray) -> float:
        """Return ln L for means and spreads (D,) before the absolute value.

        The density of |mu + s xi| + error xi' is the sum over both signs of mu of
        N(nu; mu, s^2 + error^2) Phi(m / t), m and t the mean and the standard deviation of
        mu + s xi given nu.
        """
        from scipy.special import log_ndtr

        variance = s**2 + self.error**2
        t = s * self.error / np.sqrt(variance)
        terms = []
        for sign in (1.0, -1.0):
            m = (sign * mu * self.error**2 + self.nu * s**2) / variance
            log_inside = log_ndtr(m / np.maximum(t, 1e-300))
            terms.append(-0.5 * (self.nu - sign * mu) ** 2 / variance + log_inside)
        return float((np.logaddexp(*terms) - 0.5 * np.log(2 * np.pi * variance)).sum())

    def surprises(self, mu: np.ndarray, s: np.ndarray) -> np.ndarray:
        """Return P(estimate below the one found), (D,): uniform in [0, 1] if the law holds."""
        from scipy.special import ndtr

        node, weight = np.polynomial.hermite_e.hermegauss(80)
        weight = weight / weight.sum()
        y = self.nu[:, None] - self.error[:, None] * node
        mu, s = mu[:, None], s[:, None]
        wide = np.where(y > 0, ndtr((y - mu) / s) - ndtr((-y - mu) / s), 0.0) @ weight
        narrow = ndtr((self.nu[:, None] - np.abs(mu + s * node)) / np.maximum(self.error[:, None], 1e-300)) @ weight
        return np.where(s[:, 0] > self.error, wide, narrow)  # of both integrals the one over the narrower law


@dataclass(frozen=True)
class SpreadLaw:
    """Fitted mean and spread of exponents against ln r.

    Args:
        shapes: of mu and s.
        estimate: theta in units of the mean exponent: mu's parameters, then s's.
        data: what it was fitted to.
    """

    shapes: tuple[Shape, Shape]
    estimate: Estimate
    data: Exponents

    @property
    def criterion(self) -> float:
        """Schwarz's criterion, P ln D - 2 ln L: limits are believed only where the devices insist.

        Akaike's would add one that is not there in one case of six, and bend the line with it.
        """
        return len(self.estimate.theta) * math.log(len(self.data.x)) - 2 * self.estimate.loglik

    def moments(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mu and s at x = ln r."""
        parts = _split(self.estimate.theta, self.shapes)
        mu, s = (
            self.data.size * _value(part, shape, x - self.data.middle)
            for part, shape in zip(parts, self.shapes, strict=True)
        )
        return mu, np.maximum(s, _SMALLEST * self.data.size)

    def section(self, name: str) -> tuple[list[Parameter], list[Choice]]:
        """Return slope, offset and limits of both; limits that the data do not reach are the lines' ends."""
        parameters: list[Parameter] = []
        choices: list[Choice] = []
        ends = self.moments(np.array([self.data.x.min(), self.data.x.max()]))
        first = 0
        for word, shape, end in zip(("mu", "s"), self.shapes, ends, strict=True):
            block = slice(first, first + shape.size)
            weights = {"offset": {0: 1.0}}
            if shape.line:
                weights = {"slope": {1: 1.0}, "offset": {0: 1.0, 1: -self.data.middle}}
            else:
                choices.append(
                    Choice(f"{name}.{word}_slope", 0.0, "a line describes the data no better (Schwarz)", "fitted")
                )
            for limit, reached in (("min", shape.low), ("max", shape.high)):
                if reached:
                    weights[limit] = {1 + shape.line + (limit == "max" and shape.low): 1.0}
                    continue
                value = float(f"{max(0.0, end.min() if limit == 'min' else end.max()):.4g}")
                source = "the fitted line at the end of the record, not carried on" if shape.line else "the constant"
                choices.append(Choice(f"{name}.{word}_{limit}", value, source, "fitted"))
            parameters += [self._parameter(f"{name}.{word}_{key}", block, of) for key, of in weights.items()]
            first = block.stop
        return parameters, choices

    def _parameter(self, key: str, block: slice, of: Mapping[int, float]) -> Parameter:
        """Return a weighted sum of some of a block's parameters with its interval."""
        weights = np.zeros(len(self.estimate.theta))
        for at, weight in of.items():
            weights[block.start + at] = weight
        size = self.data.size
        low, high = interval(lambda theta: _loglik(self.data, self.shapes, theta), self.estimate, weights, block)
        return Parameter(key, size * float(weights @ self.estimate.theta), size * low, size * high)


def best_law(data: Exponents) -> SpreadLaw:
    """Return the law of the smallest criterion that no change of either shape makes smaller.

    >>> rng = np.random.default_rng(0)
    >>> x, error = rng.uniform(-3, 0, 400), np.full(400, 1e-3)
    >>> law = best_law(Exponents(x, 0.06 - 0.02 * x + 0.01 * rng.standard_normal(400), error))
    >>> law.shapes
    (Shape(line=True, low=False, high=False), Shape(line=False, low=False, high=False))
    """
    tried: dict[tuple[Shape, Shape], SpreadLaw | None] = {}

    def fitted(shapes: tuple[Shape, Shape]) -> SpreadLaw | None:
        if shapes not in tried:
            try:
                tried[shapes] = _fit(data, shapes)
            except Undetermined:  # a limit that no device reaches
                tried[shapes] = None
        return tried[shapes]

    best, before = fitted((SHAPES[0], SHAPES[0])), None
    while best is not None and best is not before:
        before, (mu, s) = best, best.shapes
        near = [fitted(shapes) for shape in SHAPES for shapes in ((shape, s), (mu, shape))]
        best = min((law for law in near if law), key=lambda law: law.criterion)
    if best is None:
        raise Undetermined("the exponents have neither a mean nor a spread")
    for start in (best.estimate.theta, None):
        with suppress(Undetermined):
            best = max(best, _fit(data, best.shapes, start, restarts=2), key=lambda law: law.estimate.loglik)
    return best


def _fit(data: Exponents, shapes: tuple[Shape, Shape], theta: np.ndarray | None = None, restarts: int = 0) -> SpreadLaw:
    """Return the maximum-likelihood fit of one pair of shapes.

    Limits make corners in the likelihood, so the search goes by simplices.

    Args:
        data: what is fitted.
        shapes: of mean and spread.
        theta: where the search starts; least squares, with a third of the devices on limits, where None.
        restarts: how often it starts again from where it ended.
    """
    from scipy.optimize import minimize

    def cost(theta: np.ndarray) -> float:
        return -_loglik(data, shapes, theta)

    at = np.concatenate(_starts(data, shapes, 0.35)) if theta is None else theta
    for size in (0.15, 0.05, 0.15, 0.02)[: 1 + restarts]:
        simplex = np.vstack([at, at + size * np.eye(len(at))])
        options = {"initial_simplex": simplex, "xatol": 1e-5, "fatol": 1e-3 if not restarts else 1e-6, "maxfev": 4000}
        at = minimize(cost, at, method="Nelder-Mead", options=options).x
    estimate = Estimate(at, covariance_of(_information(data, shapes, at)), -cost(at))
    return SpreadLaw(shapes, estimate, data)


def _loglik(data: Exponents, shapes: tuple[Shape, Shape], theta: np.ndarray) -> float:
    """Return ln L of the parameters of both shapes, in units of the mean exponent."""
    x = data.x - data.middle
    mu, s = (_value(part, shape, x) for part, shape in zip(_split(theta, shapes), shapes, strict=True))
    return data.loglik(data.size * mu, data.size * np.maximum(s, _SMALLEST))


def _starts(data: Exponents, shapes: tuple[Shape, Shape], share: float) -> list[np.ndarray]:
    """Return a start for mu and for s: least squares, with limits so that `share` of the devices lie on them."""
    x, nu = data.x - data.middle, data.nu / data.size
    slope, level = np.polyfit(x, nu, 1) if np.ptp(x) > 0 else (0.0, float(nu.mean()))
    spread = max(0.05, float(np.std(nu - slope * x - level)))
    starts = []
    for shape, line in zip(shapes, ((level, slope), (spread, 0.3 * spread * np.sign(slope))), strict=True):
        values = line[0] + line[1] * np.quantile(x, [share / 2, 1 - share / 2])
        limits = [min(values)] * shape.low + [max(values)] * shape.high
        starts.append(np.array([line[0], *([line[1]] if shape.line else []), *limits]))
    return starts


def _information(data: Exponents, shapes: tuple[Shape, Shape], theta: np.ndarray) -> np.ndarray:
    """Return the expected information: sum of d mu d mu^T / v + d v d v^T / (2 v^2), v = s^2 + error^2."""
    x = data.x - data.middle
    parts = _split(theta, shapes)
    of_mu, of_s = (_slopes(part, shape, x) for part, shape in zip(parts, shapes, strict=True))
    s = np.maximum(_value(parts[1], shapes[1], x), _SMALLEST)
    v = s**2 + (data.error / data.size) ** 2
    whitened_mu, whitened_v = of_mu / np.sqrt(v), math.sqrt(2) * s * of_s / v
    info = np.zeros((len(theta), len(theta)))
    n = shapes[0].size
    info[:n, :n], info[n:, n:] = whitened_mu @ whitened_mu.T, whitened_v @ whitened_v.T
    return info


def _split(theta: np.ndarray, shapes: Sequence[Shape]) -> tuple[np.ndarray, np.ndarray]:
    return theta[: shapes[0].size], theta[shapes[0].size :]


def _value(part: np.ndarray, shape: Shape, x: np.ndarray) -> np.ndarray:
    """Return the quantity at x, measured from the middle; part = value there, slope, low, high."""
    if not shape.line:
        return np.full_like(x, part[0])
    line = part[0] + part[1] * x
    line = np.maximum(line, part[2]) if shape.low else line
    return np.minimum(line, part[-1]) if shape.high else line


def _slopes(part: np.ndarray, shape: Shape, x: np.ndarray) -> np.ndarray:
    """Return the derivatives of the quantity in its parameters, (size, D)."""
    if not shape.line:
        return np.ones((1, len(x)))
    line = part[0] + part[1] * x
    on_low = line < part[2] if shape.low else np.zeros(len(x), bool)
    on_high = line > part[-1] if shape.high else np.zeros(len(x), bool)
    free = ~(on_low | on_high)
    rows = [free, free * x]
    return np.array([*rows, *([on_low] if shape.low else []), *([on_high] if shape.high else [])], dtype=float)
