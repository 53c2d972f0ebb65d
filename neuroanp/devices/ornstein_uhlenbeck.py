"""Gaussian noise of one correlation time, or of none: the noise of a membrane, exact over any step.

Source: Uhlenbeck and Ornstein, On the theory of the Brownian motion, Phys. Rev. 36, 823 (1930); the
exact step of any length, Gillespie, Phys. Rev. E 54, 2084 (1996).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from pydantic import model_validator
from torch import Tensor

from neuroanp.devices.uneven import ScaledBank, refuse_spreads
from neuroanp.profiles.laws import Law, Sources
from neuroanp.units import Energy, Fraction, Positive, PositiveTime, format_quantity

if TYPE_CHECKING:
    from collections.abc import Callable

    from neuroanp.devices.protocol import SourceBank


class OrnsteinUhlenbeck(Law):
    """Drive a unit by Gaussian noise that forgets exponentially; white without a correlation time.

        n(t + dt) = a n(t) + sqrt(1 - a^2) sigma_h xi,  a = e^{-dt/tau},  sigma_h = sigma sqrt(n_sources)

    Two steps of dt/2 are one of dt. Without tau every step has noise of its own, a = 0 however long
    the step is: its power a hertz then depends on dt.

    Args:
        sigma: standard deviation of one source, in units of the pre-activation; of a spiking neuron
            in units of its threshold.
        tau: correlation time, seconds, or None: white.
        n_sources: sources summed per unit; their sum is one such process.
        energy_per_bit: joules a sample of one source.
        sigma_cv: how sigma differs from source to source, sd over mean, a fraction, or None: not at all.

    >>> law = OrnsteinUhlenbeck(sigma=0.1, tau="10 ms", n_sources=4)
    >>> law.node_sigma, round(law.autocorrelation(10e-3), 4)
    (0.2, 0.3679)
    >>> noise, state = law.run(law.start(None, torch.ones(2)), None, torch.zeros(3, 2), 10e-3)
    >>> [round(n, 4) for n in noise[:, 0].tolist()]
    [0.0736, 0.0271, 0.01]
    """

    at_temperature: ClassVar[None] = None
    fill: ClassVar[None] = None
    sigma: Positive
    tau: PositiveTime | None = None
    n_sources: Sources
    energy_per_bit: Energy | None = None
    sigma_cv: Fraction | None = None

    @model_validator(mode="before")
    @classmethod
    def _spreads_of_its_own(cls, data: Any) -> Any:
        return refuse_spreads(data, "ornstein_uhlenbeck", ("sigma_cv",), "has sources that differ by sigma_cv")

    @property
    def bank(self) -> Callable[[np.random.Generator, int, Tensor], SourceBank] | None:
        """How the sources of so many units are drawn, each as it is and stays; None: all are alike."""
        return self._bank if self.sigma_cv else None

    def _bank(self, rng: np.random.Generator, units: int, like: Tensor) -> SourceBank:
        return ScaledBank.drawn(self, self.sigma_cv or 0.0, units, rng, like)  # pyright: ignore

    @property
    def samples_are_steps(self) -> bool:
        """Whether the noise has no time of its own: white noise is drawn anew at every step."""
        return self.tau is None

    @property
    def node_sigma(self) -> float:
        """Standard deviation of the noise on a pre-activation, dimensionless."""
        return self.sigma * math.sqrt(self.n_sources)

    @property
    def bank_variance(self) -> float:
        """Mean variance of the noise on units whose sources differ: sigma_h^2 (1 + sigma_cv^2)."""
        return self.node_sigma**2 * (1.0 + (self.sigma_cv or 0.0) ** 2)

    def autocorrelation(self, lag_s: float) -> float:
        """Return the correlation of the noise with itself lag_s seconds away: e^{-lag/tau}; of white noise 0."""
        if self.tau is None:
            return 0.0 if lag_s else 1.0
        return math.exp(-abs(lag_s) / self.tau)

    def uniforms(self, shape: tuple[int, ...]) -> None:
        """Return None: no uniforms are needed."""

    def normals(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the standard normals one step takes; the sum of all sources takes one."""
        return shape

    def start(self, u: Tensor | None, xi: Tensor) -> Tensor:
        """Return the stationary state, of unit variance, for normals xi of any shape."""
        return xi.clone()

    def run(self, state: Tensor, u: Tensor | None, xi: Tensor, dt: float) -> tuple[Tensor, Tensor]:
        """Return the noise of T steps, (T, *shape) dimensionless, and the state after them.

        Args:
            state: n / sigma_h before the first step, of the units' shape.
            u: not used.
            xi: standard normals, (T, *shape).
            dt: seconds a step, 0 or more; infinity makes the steps independent.

        Raises: ValueError for a negative step.
        """
        if not dt >= 0:
            raise ValueError(f"a step of {format_quantity(dt, 's')}: time runs forward; use 0 s or more")
        if self.tau is None:
            return xi * self.node_sigma, xi[-1].clone()
        a, fresh = math.exp(-dt / self.tau), math.sqrt(-math.expm1(-2.0 * dt / self.tau))
        state, noise = state.clone(), torch.empty_like(xi)
        for step, out in zip(xi, noise, strict=True):
            state.mul_(a).add_(step, alpha=fresh)
            torch.mul(state, self.node_sigma, out=out)
        return noise, state
