"""Stochastic magnetic tunnel junctions as sources of node noise.

Source: Koenders et al., Noise-based local learning using stochastic magnetic tunnel junctions,
arXiv 2412.12783 (Phys. Rev. Applied 23, 054035, 2025), parameters as in its code.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from pydantic import model_validator
from torch import Tensor

from neuroanp.devices.uneven import FlipBank, refuse_spreads
from neuroanp.profiles.laws import Law, Sources
from neuroanp.units import Energy, Fraction, Number, PositiveVoltage, Voltage

if TYPE_CHECKING:
    from collections.abc import Callable

    from neuroanp.devices.protocol import Place, SourceBank


class Koenders(Law):
    """Sum two-state telegraph sources with white noise; its fluctuation drives a unit.

        v_t = mean + sigma_white xi_t + amplitude s_t,  s = +-1 flips with probability `flip` a sample
        n_t = kappa (sum over n_sources of (v_t - E v)) / volts_per_unit,  one sample a step

    The source states no sampling time: a sample is a step, however long. devices.junction has the
    physics in seconds.

    Args:
        mean, sigma_white, amplitude: volts.
        flip: probability of a flip from one sample to the next; the mean dwell is 1 / flip samples.
        n_sources: junctions summed per unit.
        kappa: gain from source to unit.
        volts_per_unit: V_u, volts that stand for a pre-activation of 1.
        energy_per_bit: joules a sample of one source.
        amplitude_cv: how amplitudes differ from junction to junction, sd over mean, a fraction, or None: not at all.
        flip_cv: the same of the probability of a flip. White noise, the amplifier's, is the same of all.

    >>> law = Koenders(mean="42.092 mV", sigma_white="0.90841 mV", amplitude="5.9316 mV", flip=0.0809,
    ...                n_sources=1, kappa=1.0, volts_per_unit="1 V", energy_per_bit="20 fJ")
    >>> round(law.autocorrelation(1), 3), round(law.correlation_samples, 2), round(law.node_sigma, 5)
    (0.819, 5.67, 0.006)
    """

    samples_are_steps: ClassVar[bool] = True
    at_temperature: ClassVar[None] = None
    mean: Voltage
    sigma_white: Voltage
    amplitude: Voltage
    flip: Fraction
    n_sources: Sources
    kappa: Number
    volts_per_unit: PositiveVoltage
    energy_per_bit: Energy | None = None
    amplitude_cv: Fraction | None = None
    flip_cv: Fraction | None = None

    @model_validator(mode="before")
    @classmethod
    def _spreads_of_its_own(cls, data: Any) -> Any:
        return refuse_spreads(
            data, "koenders", ("amplitude_cv", "flip_cv"), "has junctions that differ by amplitude_cv and flip_cv"
        )

    @property
    def bank(self) -> Callable[[np.random.Generator, int, Tensor], SourceBank] | None:
        """How the junctions of so many units are drawn, each as it is and stays; None: all are alike."""
        return self._bank if self.amplitude_cv or self.flip_cv else None

    def _bank(self, rng: np.random.Generator, units: int, like: Tensor) -> SourceBank:
        amplitude, white, gain = self._figures
        return FlipBank.drawn(  # pyright: ignore[reportReturnType]
            (self.flip, gain * amplitude, gain * white), (self.amplitude_cv or 0.0, self.flip_cv or 0.0),
            (self.n_sources, units), rng, like, self.energy_per_bit,
        )  # fmt: skip

    @property
    def variance(self) -> float:
        """Variance of the summed fluctuation, volts squared: n (amplitude^2 + sigma_white^2)."""
        return self.n_sources * (self.amplitude**2 + self.sigma_white**2)

    @property
    def node_sigma(self) -> float:
        """Standard deviation of the noise on a pre-activation, dimensionless."""
        return abs(self.kappa) * math.sqrt(self.variance) / self.volts_per_unit

    @property
    def correlation_samples(self) -> float:
        """Samples after which the correlation of s has fallen to 1/e: -1 / ln |1 - 2 flip|."""
        rho = abs(1.0 - 2.0 * self.flip)
        return math.inf if rho == 1.0 else 0.0 if rho == 0.0 else -1.0 / math.log(rho)

    @property
    def bank_variance(self) -> float:
        """Mean variance of the noise on units whose sources differ: n (A^2 (1 + amplitude_cv^2) + sigma_white^2)."""
        return (self.kappa / self.volts_per_unit) ** 2 * (
            self.variance + self.n_sources * self.amplitude**2 * (self.amplitude_cv or 0.0) ** 2
        )

    def autocorrelation(self, lag_s: float, dt: float = 1.0) -> float:
        """Return the correlation of v with itself `lag_s` seconds later, for steps of dt seconds.

        With dt left out the lag is in samples.
        """
        lag = round(lag_s / dt)
        if lag == 0:
            return 1.0
        total = self.amplitude**2 + self.sigma_white**2
        return self.amplitude**2 * (1.0 - 2.0 * self.flip) ** lag / total if total else 0.0

    def uniforms(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the uniforms one step takes."""
        return (self.n_sources, *shape)

    def normals(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the standard normals one step takes."""
        return shape

    def start(self, u: Tensor, xi: Tensor | None = None) -> Tensor:
        """Return stationary states +-1 for uniforms u in [0, 1), (n_sources, *shape)."""
        return torch.where(u < 0.5, -1.0, 1.0).to(u.dtype)

    def run(self, state: Tensor, u: Tensor, xi: Tensor, dt: float) -> tuple[Tensor, Tensor]:
        """Return the noise of T samples, (T, *shape) dimensionless, and the states after them.

        Args:
            state: +-1, (n_sources, *shape).
            u: uniforms, (T, n_sources, *shape).
            xi: standard normals, (T, *shape).
            dt: seconds a step; a sample is a step, so it does not matter.
        """
        if u.device.type != "cpu":
            states = self.states(state, u)
            return self.noise(states, xi), states[-1].clone()
        from neuroanp.kernels import telegraph_loops

        after, out = state.clone(memory_format=torch.contiguous_format), xi.new_empty(xi.shape)
        T, sources, k = len(u), len(after), after[0].numel()
        rows = (after.view(sources, k), u.contiguous().view(T, sources, k), xi.contiguous().view(T, k), out.view(T, k))
        s, uniforms, normals, noise = (x.numpy() for x in rows)
        flip, amplitude, white, scale = (s.dtype.type(x) for x in (self.flip, *self._figures))
        telegraph_loops.flips(s, uniforms, flip, normals, amplitude, white, scale, noise)
        return out, after

    def fill(self, place: Place, state: Tensor, dt: float) -> Tensor:
        """Put the noise of T samples, drawn as they are made, at a place; return the states after them."""
        from neuroanp.kernels import source_loops

        after = state.clone(memory_format=torch.contiguous_format)
        of_u, of_xi = ((at.keys, at.update, at.stream) for at in (place.u, place.xi))
        source_loops.flips(
            place.noise.numpy(), place.m, after.numpy(), of_u, of_xi, place.u.t,
            *(np.float32(x) for x in (self.flip, *self._figures)),
        )  # fmt: skip
        return after

    @property
    def _figures(self) -> tuple[float, float, float]:
        """Volts of the states' sum and of white noise, and noise per volt."""
        return self.amplitude, self.sigma_white * math.sqrt(self.n_sources), self.kappa / self.volts_per_unit

    def states(self, s: Tensor, u: Tensor) -> Tensor:
        """Return the states after each of T samples.

        Args:
            s: state before the first sample, +-1, any shape.
            u: uniforms, (T, *shape): a source flips where u < flip.
        """
        return torch.where(u < self.flip, -1.0, 1.0).to(s.dtype).cumprod_(0).mul_(s)

    def noise(self, s: Tensor, xi: Tensor) -> Tensor:
        """Return the noise on pre-activations, dimensionless.

        Args:
            s: states, (T, n_sources, ...).
            xi: standard normals, (T, ...): the white noise of all sources summed is one normal.
        """
        volts = self.amplitude * s.sum(1) + (self.sigma_white * math.sqrt(self.n_sources)) * xi
        return volts.mul_(self.kappa / self.volts_per_unit)
