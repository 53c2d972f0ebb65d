"""Maximum likelihood: the estimate, its covariance from the observed information, and intervals.

Source: Efron and Hinkley, Assessing the accuracy of the maximum likelihood estimator: observed versus
expected Fisher information, Biometrika 65:457 (1978).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from neuroanp.fitting.result import LEVEL, Parameter

Function = Callable[[np.ndarray], float]
Gradient = Callable[[np.ndarray], np.ndarray]

_SCALES = {
    "linear": (lambda x: x, lambda y: y),
    "log": (np.log, np.exp),
    "logit": (lambda x: np.log(x) - np.log1p(-x), lambda y: 1.0 / (1.0 + np.exp(-y))),
}
_STEP = 1e-4


class Undetermined(ArithmeticError):
    """The likelihood has no maximum that the data fix: some direction in the parameters is flat."""


@dataclass(frozen=True)
class Estimate:
    """A maximum of the likelihood.

    Args:
        theta: (P,) the parameters in the coordinates of the search, about 1 in size.
        covariance: (P, P) of theta.
        loglik: logarithm of the likelihood there.
    """

    theta: np.ndarray
    covariance: np.ndarray
    loglik: float

    @property
    def aic(self) -> float:
        """Akaike's criterion, 2 P - 2 ln L; smaller is better."""
        return 2.0 * len(self.theta) - 2.0 * self.loglik

    def parameter(self, key: str, unit: str, of: Function, scale: str = "linear", shown: bool = False) -> Parameter:
        """Return a function of theta with its 95 % interval by the delta method.

            s(f) +- z sqrt(d^T C d),  d = grad s(f(theta)),  taken back by the inverse of s

        Args:
            key, unit: of the parameter, SI.
            of: f, from theta to the SI value.
            scale: s, on which f is nearly normal: linear; log for what is positive; logit for a fraction.
            shown: the parameter is only shown, no profile holds it.

        >>> two = Estimate(np.zeros(1), np.array([[0.01]]), 0.0)
        >>> p = two.parameter("read.q", "", lambda t: float(np.exp(t[0])), "log")
        >>> round(p.low, 3), p.value, round(p.high, 3)
        (0.822, 1.0, 1.217)
        """
        to, back = _SCALES[scale]
        slope = gradient_of(lambda theta: float(to(of(theta))), self.theta)
        half = normal_quantile() * float(np.sqrt(slope @ self.covariance @ slope))
        middle = float(to(of(self.theta)))
        low, high = (float(back(end)) for end in (middle - half, middle + half))
        return Parameter(key, float(of(self.theta)), low, high, unit, fitted=not shown)


def normal_quantile() -> float:
    """Return the half width of the 95 % interval of a standard normal.

    >>> round(normal_quantile(), 4)
    1.96
    """
    from scipy.special import ndtri

    return float(ndtri(0.5 + LEVEL / 2))


def maximise(loglik: Function, start: np.ndarray, gradient: Gradient | None = None) -> Estimate:
    """Maximise a log likelihood and return the maximum with its observed information.

    BFGS brings the search near; Newton steps with the numerical Hessian end it.

    Args:
        loglik: of theta (P,), smooth; -inf where it is impossible.
        start: (P,), in coordinates in which the estimates' errors are below 1.
        gradient: of loglik; numerical where it is None.

    Raises:
        Undetermined: the Hessian at the end is not negative definite.

    >>> x = np.array([1.0, 2.0, 3.0, 6.0])
    >>> found = maximise(lambda t: float(-0.5 * np.sum((x - t[0]) ** 2)), np.zeros(1))
    >>> round(float(found.theta[0]), 6), round(float(found.covariance[0, 0]), 6)
    (3.0, 0.25)
    """
    from scipy.optimize import minimize

    slope = gradient or (lambda theta: gradient_of(loglik, theta))
    size = max(1.0, abs(loglik(start)))
    found = minimize(lambda t: -loglik(t) / size, start, jac=lambda t: -slope(t) / size, method="BFGS")
    theta, value = found.x, loglik(found.x)
    for _ in range(8):
        covariance = covariance_of(-_hessian(slope, theta))
        step = covariance @ slope(theta)
        gain, shrink = 0.0, 1.0
        while shrink > 1e-3:
            moved = loglik(theta + shrink * step)
            if moved >= value:
                gain, theta, value = moved - value, theta + shrink * step, moved
                break
            shrink /= 2
        if gain < 1e-9 * size or not np.any(step):
            break
    return Estimate(theta, covariance_of(-_hessian(slope, theta)), value)


def gradient_of(function: Function, theta: np.ndarray) -> np.ndarray:
    """Return the gradient by central differences."""
    steps = _STEP * np.eye(len(theta)) * np.maximum(1.0, np.abs(theta))
    return np.array([(function(theta + h) - function(theta - h)) / (2 * h.sum()) for h in steps])


def covariance_of(information: np.ndarray) -> np.ndarray:
    """Invert an information matrix; Undetermined where it is not positive definite.

    >>> covariance_of(np.diag([4.0, 1.0])).tolist()
    [[0.25, 0.0], [0.0, 1.0]]
    """
    scale = np.sqrt(np.abs(np.diagonal(information)))
    if not np.all(np.isfinite(information)) or not np.all(scale > 0):
        raise Undetermined("a parameter does not change the likelihood")
    values, vectors = np.linalg.eigh(information / np.outer(scale, scale))
    if values[0] <= 1e-10:
        raise Undetermined("a combination of the parameters does not change the likelihood")
    return (vectors / values) @ vectors.T / np.outer(scale, scale)


def _hessian(slope: Gradient, theta: np.ndarray) -> np.ndarray:
    steps = _STEP * np.eye(len(theta)) * np.maximum(1.0, np.abs(theta))
    rows = np.array([(slope(theta + h) - slope(theta - h)) / (2 * h.sum()) for h in steps])
    return 0.5 * (rows + rows.T)
