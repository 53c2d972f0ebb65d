"""Sources of node noise that differ in size or in pace, where a law has no physics of a junction that would say why.

    x_j = x f(c),  f(c) = e^{s xi - s^2/2},  s^2 = ln(1 + c^2)        lognormal, of mean x and sd c x

Each source of each unit draws its own once, as the junctions of `devices.junction_bank` do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from neuroanp.errors import InputError
from neuroanp.yaml_io import Problem, all_at

if TYPE_CHECKING:
    from neuroanp.devices.protocol import NodeSource

SPREADS = ("v50_sd", "delta_cv", "r_cv", "tmr_cv", "amplitude_cv", "sigma_cv", "dwell_cv", "flip_cv")
"""Keys by which laws say how their sources differ; each law has its own of them."""


def refuse_spreads(data: Any, law: str, own: tuple[str, ...], why: str) -> Any:
    """Return what a law's section states, unless it states how its sources differ in what the law has not.

    Args: own: of SPREADS, those that the law has. why: what its sources have in place of it, or why they have none.

    Raises:
        ValidationError: at each key.
    """
    stated = [key for key in SPREADS if isinstance(data, Mapping) and key in data and key not in own]
    if stated:
        of = {key: "smtj" if key in SPREADS[:4] else "another law of sources" for key in stated}
        raise all_at([Problem((key,), f"is of {of[key]}; '{law}' {why}") for key in stated])
    return data


def factors(cv: float, shape: tuple[int, ...], rng: np.random.Generator) -> Tensor:
    """Draw lognormal factors of mean 1 and standard deviation cv, double precision; 1 where cv is 0.

    >>> factors(0.0, (2,), np.random.default_rng(0)).tolist()
    [1.0, 1.0]
    """
    s2 = math.log1p(cv * cv)
    return torch.from_numpy(np.exp(math.sqrt(s2) * rng.standard_normal(shape) - 0.5 * s2))


@dataclass(frozen=True)
class ScaledBank:
    """Gaussian sources that differ in size, those of some units: their sum is the law's own process, scaled.

        n_h = f_h n,  f_h^2 = mean over the unit's sources of f_j^2

    Args: law: of sources that are all alike. factor: f_h, (units,).

    >>> from neuroanp.devices.ornstein_uhlenbeck import OrnsteinUhlenbeck
    >>> law = OrnsteinUhlenbeck(sigma=0.1, tau="10 ms", n_sources=1, sigma_cv=0.3)
    >>> bank = law.bank(np.random.default_rng(0), 100_000, torch.empty(0))
    >>> round(float(bank.sigmas.mean()), 3), round(float(bank.sigmas.std()), 3)
    (0.1, 0.03)
    """

    law: NodeSource
    factor: Tensor
    static_power: ClassVar[None] = None
    at_temperature: ClassVar[None] = None
    bank: ClassVar[None] = None
    fill: ClassVar[None] = None

    @classmethod
    def drawn(cls, law: NodeSource, cv: float, units: int, rng: np.random.Generator, like: Tensor) -> ScaledBank:
        """Draw the sources of some units. Args: cv: sd over mean of their sizes. like: gives dtype and device."""
        each = factors(cv, (law.n_sources, units), rng)
        return cls(law, each.square().mean(0).sqrt().to(like))

    @property
    def samples_are_steps(self) -> bool:
        """Whether the noise has no time of its own, as the law's."""
        return self.law.samples_are_steps

    @property
    def n_sources(self) -> int:
        """Sources summed per unit."""
        return self.law.n_sources

    @property
    def energy_per_bit(self) -> float | None:
        """Joules a sample of one source, or None."""
        return self.law.energy_per_bit

    @property
    def sigmas(self) -> Tensor:
        """Standard deviation of the noise on each unit's pre-activation, (units,), dimensionless."""
        return self.factor.double() * self.law.node_sigma

    @property
    def node_sigma(self) -> float:
        """Root of the mean variance of all units, dimensionless."""
        return float(self.sigmas.square().mean().sqrt())

    def autocorrelation(self, lag_s: float) -> float:
        """Return the correlation with itself lag_s seconds away: size does not matter."""
        return self.law.autocorrelation(lag_s)

    def uniforms(self, shape: tuple[int, ...]) -> tuple[int, ...] | None:
        """Return the shape of the uniforms one step takes."""
        return self.law.uniforms(shape)

    def normals(self, shape: tuple[int, ...]) -> tuple[int, ...] | None:
        """Return the shape of the standard normals one step takes."""
        return self.law.normals(shape)

    def start(self, u: Tensor | None, xi: Tensor | None) -> Tensor:
        """Return the stationary state."""
        return self.law.start(u, xi)

    def run(self, state: Tensor, u: Tensor | None, xi: Tensor | None, dt: float) -> tuple[Tensor, Tensor]:
        """Return the noise of T steps, (T, B, units) dimensionless, and the state after them."""
        noise, state = self.law.run(state, u, xi, dt)
        return noise.mul_(self.factor.to(noise)), state


@dataclass(frozen=True)
class FlipBank:
    """Junctions that flip with a probability a sample, each with a step and a probability of its own.

        n_t = (kappa/V_u) [sum_j A_j s_jt + sqrt(n) sigma_white xi_t],  s_j = +-1 flips with probability q_j a sample

    Args:
        flip, amplitude: q_j and (kappa/V_u) A_j, each (n_sources, 1, units). white: (kappa/V_u) sqrt(n) sigma_white.
        energy_per_bit: joules a sample of one source, or None.
    """

    flip: Tensor
    amplitude: Tensor
    white: float
    energy_per_bit: float | None
    samples_are_steps: ClassVar[bool] = True
    static_power: ClassVar[None] = None
    at_temperature: ClassVar[None] = None
    bank: ClassVar[None] = None
    fill: ClassVar[None] = None

    @classmethod
    def drawn(
        cls, figures: tuple[float, float, float], cvs: tuple[float, float], shape: tuple[int, int],
        rng: np.random.Generator, like: Tensor, energy_per_bit: float | None,
    ) -> FlipBank:  # fmt: skip
        """Draw the junctions of some units.

        Args:
            figures: probability of a flip; kappa A/V_u and (kappa/V_u) sqrt(n) sigma_white, of all that are alike.
            cvs: sd over mean of the steps and of the probabilities. shape: (n_sources, units).

        Raises:
            InputError: one that was drawn would flip with a probability above 1.
        """
        sources, units = shape
        size, pace = (factors(cv, (sources, 1, units), rng) for cv in cvs)
        flip = figures[0] * pace
        if float(flip.max()) > 1.0:
            raise InputError(
                f"stochastic: of the {sources * units} junctions that were drawn for {units} units one would flip with "
                f"a probability of {float(flip.max()):.2g} a sample; let them differ less (flip_cv), or lower flip"
            )
        return cls(flip.to(like), (figures[1] * size).to(like), figures[2], energy_per_bit)

    @property
    def n_sources(self) -> int:
        """Junctions summed per unit."""
        return len(self.flip)

    @property
    def sigmas(self) -> Tensor:
        """Standard deviation of the noise on each unit's pre-activation, (units,), dimensionless."""
        return (self.amplitude.double().square().sum((0, 1)) + self.white**2).sqrt()

    @property
    def node_sigma(self) -> float:
        """Root of the mean variance of all units, dimensionless."""
        return float(self.sigmas.square().mean().sqrt())

    def autocorrelation(self, lag_s: float) -> float:
        """Return the correlation with itself so many samples away, of all units: covariances over variances."""
        if not (lag := round(lag_s)):
            return 1.0
        power, total = self.amplitude.double().square(), float(self.sigmas.square().sum())
        return float((power * (1.0 - 2.0 * self.flip.double()) ** lag).sum()) / total if total else 0.0

    def uniforms(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the uniforms one step takes."""
        return (self.n_sources, *shape)

    def normals(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the standard normals one step takes: the white noise of all junctions is one normal."""
        return shape

    def start(self, u: Tensor, xi: Tensor | None = None) -> Tensor:
        """Return stationary states +-1 for uniforms u (n_sources, B, units)."""
        return torch.where(u < 0.5, -1.0, 1.0).to(u.dtype)

    def run(self, state: Tensor, u: Tensor, xi: Tensor, dt: float) -> tuple[Tensor, Tensor]:
        """Return the noise of T samples, (T, B, units) dimensionless, and the states after them; a sample is a step.

        Args: state: +-1, (n_sources, B, units). u: (T, n_sources, B, units). xi: (T, B, units).
        """
        states = torch.where(u < self.flip.to(u), -1.0, 1.0).to(state.dtype).cumprod_(0).mul_(state)
        noise = (states * self.amplitude.to(u)).sum(1)
        return noise.add_(xi, alpha=self.white), states[-1].clone()
