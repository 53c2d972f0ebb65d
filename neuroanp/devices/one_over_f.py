"""1/f noise between two cut-offs: a sum of Ornstein-Uhlenbeck processes, exact over any step.

Processes of corner frequencies f_k, evenly spaced in ln f by h, each of variance h, add up to
f S(f) = 1 but for a ripple of 4 e^{-pi^2/h}, as far as f_k reaches to both sides. One process beyond
each cut-off stands for all that are missing there: at c f_low and f_high / c with variance 1/c it has
their tail, and c = sqrt(4/pi - 1) gives it their value at the cut-off.

Source: van der Ziel, On the noise spectra of semi-conductor noise and of flicker effect, Physica 16,
359 (1950), for the superposition; the end processes are this module's own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
import torch
from pydantic import Field, PositiveInt, ValidationInfo, field_validator, model_validator
from torch import Tensor

from neuroanp.devices.telegraph import frozen_share
from neuroanp.devices.uneven import ScaledBank, refuse_spreads
from neuroanp.profiles.laws import Law, Sources
from neuroanp.units import Energy, Fraction, Frequency, NonNegative, Number, PositiveVoltage, format_quantity

if TYPE_CHECKING:
    from collections.abc import Callable

    from neuroanp.devices.protocol import SourceBank

END = math.sqrt(4.0 / math.pi - 1.0)
"""c: how far beyond a cut-off the end process lies."""


def of_a_step(corners: np.ndarray, dt: float, xi: Tensor) -> tuple[Tensor, Tensor]:
    """Return what a step keeps of processes, rho_k = e^{-2 pi f_k dt}, and how much is new, sqrt(1 - rho_k^2).

    Args:
        corners: f_k, hertz. dt: seconds. xi: normals of steps, (T, K, ...), whose rows both can be multiplied with.

    Raises: ValueError for a negative step.

    >>> rho, fresh = of_a_step(np.array([1.0]), math.log(2.0) / (2.0 * math.pi), torch.zeros(1, 1))
    >>> round(rho.item(), 6), round((rho**2 + fresh**2).item(), 6)
    (0.5, 1.0)
    """
    if not dt >= 0:
        raise ValueError(f"a step of {dt} s: time runs forward; use 0 s or more")
    decay = 2.0 * math.pi * corners * dt
    column = (-1, *[1] * (xi.dim() - 2))
    rho, fresh = (
        torch.as_tensor(a, dtype=xi.dtype, device=xi.device).view(column)
        for a in (np.exp(-decay), np.sqrt(-np.expm1(-2.0 * decay)))
    )
    return rho, fresh


@dataclass(frozen=True)
class OneOverF:
    """A stationary Gaussian process of unit variance whose spectrum falls as 1/f.

        x_k <- rho_k x_k + sqrt(1 - rho_k^2) xi,  rho_k = e^{-2 pi f_k dt},  noise = sum_k sqrt(w_k) x_k

    The spectrum is flat below f_low and falls as 1/f^2 above f_high. Between them f S(f) is constant
    within 2 % for 2 processes a decade (13 % for 1, 1 % for 4).

    Args:
        f_low, f_high: cut-offs, hertz.
        per_decade: processes a decade.

    >>> process = OneOverF(1.0, 1e6)
    >>> [round(float(process.spectrum(f)) * f / process.density, 2) for f in (1.0, 1e3, 1e6)]
    [1.0, 1.0, 1.0]
    """

    f_low: float
    f_high: float
    per_decade: int = 2
    n_sources: ClassVar[int] = 1
    node_sigma: ClassVar[float] = 1.0
    samples_are_steps: ClassVar[bool] = False
    of_devices: ClassVar[None] = None
    of_ages: ClassVar[None] = None

    @property
    def density(self) -> float:
        """The variance an e-fold of frequency, f S(f) between the cut-offs: 1 / (ln(f_high/f_low) + 2/c)."""
        return 1.0 / (math.log(self.f_high / self.f_low) + 2.0 / END)

    @cached_property
    def ladder(self) -> tuple[np.ndarray, np.ndarray]:
        """The corner frequencies f_k, hertz, and the variances w_k, which sum to 1."""
        span = math.log(self.f_high / self.f_low)
        count = math.ceil(self.per_decade * span / math.log(10.0))
        h = span / count
        inside = self.f_low * np.exp((np.arange(count) + 0.5) * h)
        corners = np.array([END * self.f_low, *inside, self.f_high / END])
        return corners, self.density * np.array([1.0 / END, *[h] * count, 1.0 / END])

    def spectrum(self, f: Any) -> Any:
        """Return the one-sided power spectral density at f hertz, 1/Hz: sum_k (2/pi) w_k f_k / (f_k^2 + f^2)."""
        return sum(2.0 / math.pi * w * corner / (corner**2 + f**2) for corner, w in zip(*self.ladder, strict=True))

    def autocorrelation(self, lag_s: float) -> float:
        """Return the correlation of the noise with itself lag_s seconds away."""
        corners, weights = self.ladder
        return float(weights @ np.exp(-2.0 * math.pi * abs(lag_s) * corners))

    def frozen(self, window: float) -> float:
        """Return the share of the variance that stands still over a window of `window` seconds.

        It is the variance of the time mean; what is left, the fresh part, is in a band that holds the window

            density [ln(2 pi f_high T) + gamma - 3/2 + 1/c]
        """
        shares = (w * frozen_share(2.0 * math.pi * f * window) for f, w in zip(*self.ladder, strict=True))
        return min(1.0, sum(shares))  # the weights sum to 1 but for rounding

    def uniforms(self, shape: tuple[int, ...]) -> None:
        """Return None: no uniforms are needed."""

    def normals(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the standard normals one step takes."""
        return (len(self.ladder[0]), *shape)

    def start(self, u: Tensor | None, xi: Tensor) -> Tensor:
        """Return the stationary state for normals xi (K, *shape): each process by its own standard deviation."""
        return xi.clone()

    def run(self, state: Tensor, u: Tensor | None, xi: Tensor, dt: float) -> tuple[Tensor, Tensor]:
        """Return the noise of T steps, (T, *shape), and the state after them.

        Args:
            state: (K, *shape).
            u: not used.
            xi: standard normals, (T, K, *shape).
            dt: seconds a step, 0 or more; infinity makes the steps independent.

        Raises: ValueError for a negative step.
        """
        corners, weights = self.ladder
        rho, fresh = of_a_step(corners, dt, xi)
        root = torch.as_tensor(np.sqrt(weights), dtype=xi.dtype, device=xi.device)
        state, noise = state.clone(), xi.new_empty(xi.shape[0], *xi.shape[2:])
        for step, out in zip(xi, noise, strict=True):
            state.mul_(rho).addcmul_(fresh, step)
            out.copy_(torch.tensordot(root, state, 1))
        return noise, state


class Band(Law):
    """A law of 1/f noise between two cut-offs."""

    f_low: Frequency
    f_high: Frequency
    per_decade: Annotated[PositiveInt, Field(le=16)] = 2

    @field_validator("f_high")
    @classmethod
    def _above_f_low(cls, f_high: float, info: ValidationInfo) -> float:
        f_low = info.data.get("f_low")
        if f_low is not None and f_low >= f_high:
            shown = [format_quantity(f, "Hz") for f in (f_high, f_low)]
            raise ValueError(f"'{shown[0]}' is not above f_low, '{shown[1]}'; raise f_high or lower f_low")
        return f_high

    def process(self) -> OneOverF:
        """Return the process of unit variance behind the noise."""
        return OneOverF(self.f_low, self.f_high, self.per_decade)


class OneOverFSource(Band):
    """Drive a unit by 1/f noise.

        n_h = kappa v / V_u,  S_v(f) = n_sources amplitude^2 / f between the cut-offs

    Args:
        f_low, f_high: cut-offs, hertz: flat below the first, 1/f^2 above the second.
        per_decade: processes a decade; see `OneOverF`.
        amplitude: of one source, sqrt(f S_v(f)), volts.
        n_sources: sources summed per unit.
        kappa: gain from source to unit.
        volts_per_unit: V_u, volts that stand for a pre-activation of 1.
        energy_per_bit: joules a sample of one source.
        amplitude_cv: how amplitudes differ from source to source, sd over mean, a fraction, or None: not at all.

    >>> law = OneOverFSource(f_low="1 Hz", f_high="1 MHz", amplitude="1 mV", n_sources=1, kappa=1.0,
    ...                      volts_per_unit="0.1 V")
    >>> round(law.node_sigma, 4), round(law.autocorrelation(1e-3), 3)
    (0.042, 0.363)
    """

    samples_are_steps: ClassVar[bool] = False
    at_temperature: ClassVar[None] = None
    fill: ClassVar[None] = None
    amplitude: PositiveVoltage
    n_sources: Sources
    kappa: Number
    volts_per_unit: PositiveVoltage
    energy_per_bit: Energy | None = None
    amplitude_cv: Fraction | None = None

    @model_validator(mode="before")
    @classmethod
    def _spreads_of_its_own(cls, data: Any) -> Any:
        return refuse_spreads(data, "one_over_f", ("amplitude_cv",), "has sources that differ by amplitude_cv")

    @property
    def bank(self) -> Callable[[np.random.Generator, int, Tensor], SourceBank] | None:
        """How the sources of so many units are drawn, each as it is and stays; None: all are alike."""
        return self._bank if self.amplitude_cv else None

    def _bank(self, rng: np.random.Generator, units: int, like: Tensor) -> SourceBank:
        return ScaledBank.drawn(self, self.amplitude_cv or 0.0, units, rng, like)  # pyright: ignore

    @property
    def node_sigma(self) -> float:
        """Standard deviation of the noise on a pre-activation, dimensionless."""
        volts = self.amplitude * math.sqrt(self.n_sources / self.process().density)
        return abs(self.kappa) * volts / self.volts_per_unit

    @property
    def bank_variance(self) -> float:
        """Mean variance of the noise on units whose sources differ: sigma_h^2 (1 + amplitude_cv^2)."""
        return self.node_sigma**2 * (1.0 + (self.amplitude_cv or 0.0) ** 2)

    def autocorrelation(self, lag_s: float) -> float:
        """Return the correlation of the noise with itself lag_s seconds away."""
        return self.process().autocorrelation(lag_s)

    def uniforms(self, shape: tuple[int, ...]) -> None:
        """Return None: no uniforms are needed."""

    def normals(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the standard normals one step takes; the sum of all sources is one Gaussian process."""
        return self.process().normals(shape)

    def start(self, u: Tensor | None, xi: Tensor) -> Tensor:
        """Return the stationary state for normals xi."""
        return self.process().start(u, xi)

    def run(self, state: Tensor, u: Tensor | None, xi: Tensor, dt: float) -> tuple[Tensor, Tensor]:
        """Return the noise of T steps, dimensionless, and the state after them (see `OneOverF.run`)."""
        noise, state = self.process().run(state, u, xi, dt)
        return noise.mul_(math.copysign(self.node_sigma, self.kappa)), state


class OneOverFRead(Band):
    """Read through 1/f noise in proportion to the conductance.

        S_G(f) = relative_psd G^2 / f,  Var = relative_psd G^2 / density
        frozen over the window T: the variance of the time mean; fresh: the rest

    Args:
        f_low, f_high: cut-offs, hertz: flat below the first, 1/f^2 above the second.
        per_decade: processes a decade; see `OneOverF`.
        relative_psd: f S_G(f) / G^2, dimensionless.

    >>> law = OneOverFRead(f_low="1 mHz", f_high="1 MHz", relative_psd=1e-5)
    >>> g = torch.tensor(10e-6)
    >>> fresh, frozen = law.split(g, g, 25e-6, torch.tensor(1.0), 1e-3)
    >>> [round(1e9 * float(part), 1) for part in (fresh, frozen, torch.hypot(fresh, frozen))]
    [98.7, 121.7, 156.7]
    """

    t_read: ClassVar[None] = None
    v_read: ClassVar[None] = None
    relative_psd: NonNegative

    def split(
        self, g_programmed: Tensor, g_now: Tensor, g_max: float, age: Tensor, window: float
    ) -> tuple[Tensor, Tensor]:
        """Return standard deviations of the fresh and the frozen noise, siemens.

        The process is stationary: neither the age nor the conductance just after the write matters.
        """
        process = self.process()
        frozen = process.frozen(window)
        total = self.relative_psd / process.density
        return g_now * math.sqrt(total * (1.0 - frozen)), g_now * math.sqrt(total * frozen)
