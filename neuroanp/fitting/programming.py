"""Fit what a write leaves: the error of programmed conductances against their targets.

target_uS,actual_uS
5.0,5.31

actual = max(0, target + sigma(target) xi): what lies at 0 S was cut off there and counts as such.
"""

from __future__ import annotations

import numpy as np

from neuroanp.fitting.estimate import Estimate, Undetermined, maximise
from neuroanp.fitting.goodness import doubts, neighbours, uniform
from neuroanp.fitting.options import Options
from neuroanp.fitting.result import Choice, Fit, Goodness, Parameter
from neuroanp.fitting.scale import full_scale, range_choices, refuse_negative
from neuroanp.fitting.table import CONDUCTANCE, Column, Table
from neuroanp.fitting.white import White
from neuroanp.profiles import HardwareProfile
from neuroanp.units import format_quantity

LAWS = ("pcm", "gaussian")
BASE = "pcm"
LEAST = 30
LEAST_TARGETS = 3


def columns(options: Options) -> list[Column]:
    """Return what the file must hold: targets and what they became."""
    return [Column("target", (CONDUCTANCE,)), Column("actual", (CONDUCTANCE,), header=options.column)]


def fit(table: Table, base: HardwareProfile, options: Options) -> Fit:
    """Fit PcmProgramming or GaussianProgramming, whichever has the smaller Akaike criterion.

    PcmProgramming's polynomial gets the degree (0 to 2) of the smallest criterion among those that
    stay above zero from 0 to g_max.

    Raises:
        InputError: a target or conductance outside 0 to g_max, fewer than 30 rows or 3 targets.
    """
    g_max = full_scale(table, "target", base, options)
    target, actual = table["target"], table["actual"]
    refuse_negative(table, "actual", noisy=True)
    actual = np.maximum(actual, 0.0)  # a read below 0 S is one of a device at 0 S
    if len(np.unique(target)) < LEAST_TARGETS:
        text = f"{len(np.unique(target))} different targets; the error against the target needs {LEAST_TARGETS} or more"
        raise table.failed(f"{table.label}: {table.headers['target']}: {text}")
    size = float(np.sqrt(np.mean((actual - target) ** 2)))
    if not size > 1e-9 * g_max:
        raise table.failed(f"{table.label}: every write hits its target; there is no error to fit")
    found: list[_Polynomial | White] = []
    if options.law != "gaussian":
        found += [p for p in (_polynomial(target, actual, g_max, degree) for degree in (0, 1, 2)) if p]
    if options.law != "pcm":
        found.append(White(lambda sigma: censored(target, actual, sigma), target, size))
    if not found:
        raise table.failed(f"{table.label}: no polynomial stays above zero up to g_max; fit --law gaussian")
    best = min(found, key=lambda one: one.estimate.aic)
    law = "gaussian" if isinstance(best, White) else "pcm"
    parameters, choices = best.section("programming")
    goodness = _goodness(target, actual, best.sigma(target))
    return Fit(
        kind="programming", section="programming", law=law, base=BASE, parameters=tuple(parameters),
        choices=(*choices, *_controller(), *range_choices(base, options)), goodness=goodness,
        data=f"{len(target):,} writes to {len(np.unique(target)):,} targets",
        doubts=(*doubts(goodness, f"law {law}"), *_offset(target, actual, best.sigma(target))),
        series={
            "target": target, "actual": actual,
            "grid": np.linspace(0, max(target), 200), "sigma": best.sigma(np.linspace(0, max(target), 200)),
        },
    )  # fmt: skip


def censored(target: np.ndarray, actual: np.ndarray, sigma: np.ndarray) -> float:
    """Return the log likelihood: a normal density above 0 S, and at 0 S the probability of ending there or below.

    >>> zero, one = np.zeros(1), np.ones(1)
    >>> round(censored(zero, zero, one), 6), round(censored(one, one, one), 6)  # ln 1/2; - ln(2 pi) / 2
    (-0.693147, -0.918939)
    """
    from scipy.special import log_ndtr

    if not np.all(sigma > 0):
        return -np.inf
    z = (actual - target) / sigma
    density = -0.5 * z**2 - np.log(sigma) - 0.5 * np.log(2 * np.pi)
    return float(np.where(actual > 0, density, log_ndtr(-target / sigma)).sum())


class _Polynomial:
    """sigma = (c0 + c1 r + c2 r^2) g_max / g_ref with g_ref = g_max, found by its values at as many nodes."""

    def __init__(self, estimate: Estimate, nodes: np.ndarray, size: float, g_max: float) -> None:
        self.estimate, self._size, self._g_max = estimate, size, g_max
        self._matrix = np.linalg.inv(np.vander(nodes, increasing=True))

    def coefficients(self, theta: np.ndarray) -> np.ndarray:
        """Return (c0, c1, ...) in siemens from the logarithms of sigma at the nodes."""
        return self._size * self._matrix @ np.exp(theta)

    def sigma(self, g: np.ndarray) -> np.ndarray:
        """Return the fitted standard deviation at targets g, siemens."""
        return np.polynomial.polynomial.polyval(g / self._g_max, self.coefficients(self.estimate.theta))

    def section(self, name: str) -> tuple[list[Parameter], list[Choice]]:
        """Return c0, c1, c2 and g_ref of the profile's section `name`."""
        count = len(self.estimate.theta)
        parameters = [
            self.estimate.parameter(f"{name}.c{i}", "S", lambda t, i=i: float(self.coefficients(t)[i]))
            for i in range(count)
        ]
        absent = "a lower degree describes the data as well (Akaike)"
        choices = [Choice(f"{name}.c{i}", "0 S", absent, "fitted") for i in range(count, 3)]
        g_ref = format_quantity(self._g_max, "S", None)
        return parameters, [*choices, Choice(f"{name}.g_ref", g_ref, "full scale of the fit", "fitted")]


def _polynomial(target: np.ndarray, actual: np.ndarray, g_max: float, degree: int) -> _Polynomial | None:
    """Return the fit of one degree, or None where it is undetermined or comes below zero from 0 to g_max."""
    r = target / g_max
    nodes = np.linspace(r.min(), r.max(), degree + 1) if degree else np.array([1.0])
    size = float(np.sqrt(np.mean((actual - target) ** 2)))
    powers = np.vander(r, degree + 1, increasing=True) @ np.linalg.inv(np.vander(nodes, increasing=True))
    try:
        estimate = maximise(lambda t: censored(target, actual, size * (powers @ np.exp(t))), np.zeros(degree + 1))
    except Undetermined:
        return None
    found = _Polynomial(estimate, nodes, size, g_max)
    return found if np.all(found.sigma(np.linspace(0, g_max, 257)) > 0) else None


def _goodness(target: np.ndarray, actual: np.ndarray, sigma: np.ndarray) -> tuple[Goodness, ...]:
    """Test the writes that ended above 0 S against the normal law cut off there."""
    from scipy.special import ndtr, ndtri

    inside = actual > 0
    z, cut = ((actual - target) / sigma)[inside], ndtr((-target / sigma)[inside])
    u = np.clip((ndtr(z) - cut) / (1 - cut), 1e-12, 1 - 1e-12)
    return uniform(u), neighbours(ndtri(u))


def _offset(target: np.ndarray, actual: np.ndarray, sigma: np.ndarray) -> list[str]:
    """Say if writes miss their targets on average, which the law does not know."""
    safe = target > 4 * sigma  # where the cut at 0 S does not lift the mean
    z = ((actual - target) / sigma)[safe]
    if len(z) < LEAST or abs(z.mean()) * np.sqrt(len(z)) < 4:
        return []
    mean = format_quantity(float((actual - target)[safe].mean()), "S", 3)
    return [
        f"writes miss their targets by {mean} on average, {z.mean():.2g} standard deviations; the law has no offset"
    ]


def _controller() -> list[Choice]:
    """Return what the section needs of the controller that wrote."""
    return [
        Choice("programming.pulses", 1, "a choice; the record does not say how many a write took", fallback=True),
        Choice("programming.deadband", "0 S", "a choice; every change of a target is written", fallback=True),
    ]
