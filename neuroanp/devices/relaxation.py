"""Devices whose error about the target is tabulated at several times after the write.

The tables hold TOTAL errors: that of a later time has the error of the write in it. A programming
law draws the error at the first time; the relaxation law adds what has come since, an independent
part of variance sigma(r, t)^2 - sigma(r, t_0)^2. Either can be switched off without the other, and
nothing is counted twice.

Source of the RRAM's form: Wan et al., A compute-in-memory chip based on resistive random-access
memory, Nature 608, 504 (2022).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import model_validator
from torch import Tensor

from neuroanp.devices.protocol import ErrorAt, Span
from neuroanp.profiles.laws import Law, Pulses
from neuroanp.units import Conductance, Dimension, PositiveConductance, PositiveTime
from neuroanp.yaml_io import Section, at

_Coefficient = Annotated[float, Dimension("conductance", "S", "-1.2 uS", signed=True)]


class PolynomialError(Section):
    """State the error at one time as a polynomial of the target.

        sigma = (c0 + c1 r + c2 r^2 + c3 r^3 + c4 r^4) g_max / g_ref,  r = G_target / g_max in [0, 1]

    Args:
        time: seconds after the write.
        g_ref: full-scale conductance of the measured devices, siemens.
        c0, c1, c2, c3, c4: the polynomial in siemens.
    """

    time: PositiveTime
    g_ref: PositiveConductance
    c0: _Coefficient
    c1: _Coefficient
    c2: _Coefficient
    c3: _Coefficient
    c4: _Coefficient

    @model_validator(mode="after")
    def _not_negative(self) -> PolynomialError:
        r, low = _minimum(self._powers)
        if low < 0:
            raise ValueError(f"the error is negative, {low:.3g} S, at r = {r:.3g}; check the coefficients")
        return self

    @property
    def v_read(self) -> None:
        """None: it is of conductances, at whatever voltage they were read."""
        return None

    @property
    def _powers(self) -> np.ndarray:
        return np.array([self.c0, self.c1, self.c2, self.c3, self.c4])

    def sigma(self, g_target: Tensor, g_max: float) -> Tensor:
        """Return the standard deviation of the total error, siemens; beyond [0, g_max] that of the end."""
        r = (g_target / g_max).clamp_(0.0, 1.0)
        polynomial = (((self.c4 * r + self.c3) * r + self.c2) * r + self.c1) * r + self.c0
        return polynomial.mul_(g_max / self.g_ref)

    def shift(self, g_target: Tensor) -> None:
        """Return None: the mean stays at the target."""

    def within(self, later: PolynomialError) -> bool:
        """Return whether the error is at most that of a later time for every target."""
        return _minimum(later._powers / later.g_ref - self._powers / self.g_ref)[1] >= 0


class WanProgramming(Law):
    """Leave the error that RRAM shows shortly after write-and-verify.

        G_p = max(0, G_target + sigma xi)

    One draw a write: the verify loop is in it.

    Args:
        error: the total error at the first time it was measured.
        pulses: program-and-verify pulses one write stands for in the ledger.
        deadband: a cell is rewritten only when its target moved by more than this, siemens.

    >>> error = PolynomialError(time="1 s", g_ref="40 uS", c0="0.348 uS", c1="16.030 uS", c2="-43.853 uS",
    ...                         c3="45.393 uS", c4="-16.815 uS")
    >>> law = WanProgramming(error=error)
    >>> [round(s, 3) for s in (1e6 * law.sigma(torch.tensor([0.0, 20e-6, 40e-6]), 40e-6)).tolist()]
    [0.348, 2.023, 1.103]
    """

    exact: ClassVar[bool] = False
    g_low: ClassVar[None] = None
    error: PolynomialError
    pulses: Pulses = 1
    deadband: Conductance = 0.0

    def sigma(self, g_target: Tensor, g_max: float) -> Tensor:
        """Return the standard deviation of the error before clipping at 0 S, siemens."""
        return self.error.sigma(g_target, g_max)

    def write(self, g_target: Tensor, g_max: float, xi: Tensor) -> Tensor:
        """Return the programmed conductance for standard normals xi, siemens."""
        return (g_target + self.sigma(g_target, g_max) * xi).clamp_min_(0.0)


class WanRelaxation(Law):
    """Let RRAM wander from what was written, as its total errors at three times say.

        G(t) = max(0, G_p + sqrt(sigma(r, t)^2 - sigma(r, t_0)^2) nu),  nu a standard normal a write

    See `relaxed` for the interpolation between the times and for what the clipping hides.

    Args:
        start: the error that the programming law leaves, at t_0.
        middle, end: total errors at later times.
    """

    covers: ClassVar[None] = None
    settles: ClassVar[bool] = False
    at_temperature: ClassVar[None] = None
    start: PolynomialError
    middle: PolynomialError
    end: PolynomialError

    @model_validator(mode="after")
    def _order(self) -> WanRelaxation:
        check_stages({"start": self.start, "middle": self.middle, "end": self.end})
        return self

    @property
    def last_s(self) -> float:
        """The last time that is tabulated, seconds after the write."""
        return self.end.time

    def draw(self, g_target: Tensor, g_max: float, xi: Tensor) -> Tensor:
        """Return the standard normals of one write: they scale what comes after it."""
        return xi

    def sigma(self, g_target: Tensor, g_max: float, age: Tensor) -> Tensor:
        """Return the standard deviation of the TOTAL error `age` seconds after the write, siemens."""
        return total_sigma((self.start, self.middle, self.end), g_target, g_max, age)

    def conductance(self, g: Tensor, nu: Tensor, age: Tensor, target: Tensor, span: Span) -> Tensor:
        """Return the conductance `age` seconds (float64) after the write, siemens."""
        return relaxed((self.start, self.middle, self.end), g, nu, age, target, span.g_max)


def total_sigma(stages: Sequence[ErrorAt], g_target: Tensor, g_max: float, age: Tensor) -> Tensor:
    """Return the total error at any age: tabulated values, joined by straight lines in ln t.

    Before the first time and after the last it stays what it is there: no table says more.

    Args:
        stages: errors at rising times.
        g_target: siemens.
        g_max: full scale, siemens.
        age: seconds since the write, float64.

    Returns: standard deviation before clipping at 0 S, siemens, of the dtype of `g_target`.
    """
    return _in_time(stages, lambda stage: stage.sigma(g_target, g_max), age)


def total_shift(stages: Sequence[ErrorAt], g_target: Tensor, age: Tensor) -> Tensor | None:
    """Return how far the mean has moved from the target at any age, siemens, as `total_sigma`; None: nowhere.

    A stage that states no shift has the mean at the target.
    """
    if all(stage.shift(g_target) is None for stage in stages):
        return None

    def of(stage: ErrorAt) -> Tensor:
        shift = stage.shift(g_target)
        return torch.zeros_like(g_target) if shift is None else shift

    return _in_time(stages, of, age)


def _in_time(stages: Sequence[ErrorAt], of: Callable[[ErrorAt], Tensor], age: Tensor) -> Tensor:
    """Join what stages say by straight lines in the logarithm of the time."""
    found = of(stages[0])
    log_age = age.clamp_min(stages[0].time).log()
    for one, two in pairwise(stages):
        share = (log_age - math.log(one.time)).div_(math.log(two.time / one.time)).clamp_(0.0, 1.0)
        found = found + share.to(found.dtype) * (of(two) - of(one))
    return found


def relaxed(
    stages: Sequence[ErrorAt], g: Tensor, nu: Tensor, age: Tensor, target: Tensor, g_max: float, shrinks: bool = False
) -> Tensor:
    """Return the conductance some time after the write.

        G(t) = max(0, G_p + shift(t) - shift(t_0) + sqrt(sigma(t)^2 - sigma(t_0)^2) nu)

    so that its error about the moved mean is sigma(t) at any one time; between two times it is fully
    correlated, since one nu a write moves it. Where it `shrinks`, a sigma below that of the write draws
    devices together: their deviation from the mean is scaled by sigma(t) / sigma(t_0). A write that clipped at 0 S
    hid how far below it fell: for it G_p is taken at its conditional mean, G_target - sigma_0 phi(z) /
    Phi(-z), z = G_target / sigma_0. That keeps mean and sd within 4 % of those of max(0, N(G_target,
    sigma(t)^2)) at the smallest targets (0.3 % from r = 0.025 on), where G_p = 0 would raise the mean by a
    fifth. A target of exactly 0 S does not tell a clipped write from an exact one and is taken as exact.

    Args:
        stages: total errors at rising times; the first is that of the write.
        g: conductance just after the write, siemens.
        nu: one standard normal a write.
        age: seconds since the write, float64.
        target: siemens; NaN (never written) takes g as the target.
        g_max: full scale, siemens.
        shrinks: whether a later sigma may be below the first.
    """
    aim = torch.where(target.isnan(), g, target)
    start, total = stages[0].sigma(aim, g_max), total_sigma(stages, aim, g_max, age)
    extra = (total.square() - start.square()).clamp_min_(0.0).sqrt_()
    hidden = (g <= 0) & (aim > 0) & (start > 0)
    below = g.clone()
    z = aim[hidden] / start[hidden]
    log_mills = -0.5 * z.square() - 0.5 * math.log(2.0 * math.pi) - torch.special.log_ndtr(-z)
    below[hidden] = aim[hidden] - start[hidden] * log_mills.exp()
    shift = total_shift(stages, aim, age)
    if shrinks:
        first = stages[0].shift(aim)
        mean = aim if first is None else aim + first
        below = mean + (below - mean) * torch.where(total < start, total / start, 1.0)
    if shift is not None:
        first = stages[0].shift(aim)
        below = below + (shift if first is None else shift - first)
    return below.addcmul_(extra, nu).clamp_min_(0.0)


def check_stages(stages: Mapping[str, ErrorAt]) -> None:
    """Raise an error at the key of a stage whose time does not rise or whose error falls below the first's."""
    names = list(stages)
    first = stages[names[0]]
    for before, name in pairwise(names):
        if stages[name].time <= stages[before].time:
            raise at((name, "time"), f"not later than {before}.time, {stages[before].time:g} s; put the times in order")
        if not first.within(stages[name]):
            text = f"an error below that of '{names[0]}' for some target: a total error has that of the write in it"
            raise at((name,), text)


def _minimum(powers: np.ndarray) -> tuple[float, float]:
    """Return where on [0, 1] a polynomial (constant first) is smallest, and its value there."""
    polynomial = np.polynomial.Polynomial(powers / max(np.abs(powers).max(), np.finfo(float).tiny))
    turns = polynomial.deriv().roots()
    inside = [float(t.real) for t in turns if abs(t.imag) < 1e-9 and 0 < t.real < 1]
    r = min((0.0, 1.0, *inside), key=lambda r: float(polynomial(r)))
    return r, float(np.polynomial.Polynomial(powers)(r))
