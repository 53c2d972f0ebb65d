"""Several two-level fluctuators on a 1/f background: what the current of a small memory cell shows in time.

    x(t) = sum_k a_k (s_k(t) - p_k) + b(t) + w_t

s_k are telegraph signals of 0 and 1, independent of each other; b is 1/f noise between two cut-offs; w is white: the
noise of the instrument, new at every read. All but w are exact in continuous time, over a step of any length.

Source: Kirton and Uren, Noise in solid-state microstructures, Adv. Phys. 38, 367 (1989), for fluctuators that stand out
of 1/f noise; see `devices.fluctuators` for the process.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field, model_validator
from torch import Tensor

from neuroanp.devices.dwells import Dwells
from neuroanp.devices.fluctuators import Fluctuators, combined
from neuroanp.devices.one_over_f import Band
from neuroanp.devices.uneven import refuse_spreads
from neuroanp.profiles.laws import Law, Sources
from neuroanp.units import Conductance, Dimension, Energy, Fraction, Number, PositiveConductance, PositiveVoltage
from neuroanp.yaml_io import at

MOST = 32
"""Fluctuators of one law; beyond, the sum is Gaussian noise in all but name: a background says it in three numbers."""


class ReadFluctuator(Dwells):
    """A two-level fluctuator of a conductance.

    Args:
        tau_high, tau_low: mean dwell times in both states, seconds.
        amplitude: high minus low, a fraction of the conductance; or
        amplitude_absolute: in siemens, whatever the conductance.
    """

    amplitude: Fraction | None = None
    amplitude_absolute: PositiveConductance | None = None


class SourceFluctuator(Dwells):
    """A two-level fluctuator of a voltage.

    Args:
        tau_high, tau_low: mean dwell times in both states, seconds. amplitude: high minus low, volts.
    """

    amplitude: PositiveVoltage


class ReadBackground(Band):
    """1/f noise of a conductance.

    Args:
        f_low, f_high: cut-offs, hertz: flat below the first, 1/f^2 above the second.
        per_decade: processes a decade; see `OneOverF`.
        amplitude: sqrt(f S_G(f)) between them, a fraction of the conductance; or
        amplitude_absolute: in siemens, whatever the conductance.
    """

    amplitude: Fraction | None = None
    amplitude_absolute: PositiveConductance | None = None


class SourceBackground(Band):
    """1/f noise of a voltage: f_low, f_high, per_decade as of `ReadBackground`; amplitude: sqrt(f S_v(f)), volts."""

    amplitude: PositiveVoltage


class FluctuatorsRead(Law):
    """Read through several two-level fluctuators on a 1/f background.

        G(t) = G + sum_k a_k (s_k - p_k) + b(t) + w_t
        frozen over the window T: the variance of the time mean; fresh: the rest, and all that is white

    Sizes are all fractions of the conductance (amplitude, white), or all in siemens (amplitude_absolute,
    white_absolute). Every device has fluctuators of these sizes and dwell times, each its own course in time.

    Args:
        fluctuators: a list of them, see `ReadFluctuator`; empty: one level.
        background: 1/f noise, see `ReadBackground`, or None.
        white, white_absolute: standard deviation of noise that is new at every read.

    >>> law = FluctuatorsRead(fluctuators=[{"tau_high": "1 ms", "tau_low": "1 ms", "amplitude": 0.1},
    ...     {"tau_high": "3 s", "tau_low": "1 s", "amplitude": 0.04}],
    ...     background={"f_low": "1 mHz", "f_high": "1 kHz", "amplitude": 0.003}, white=0.01)
    >>> g = torch.tensor(10e-6)
    >>> fresh, frozen = law.split(g, g, 25e-6, torch.tensor(1.0), 1e-3)
    >>> [round(1e9 * float(part), 1) for part in (fresh, frozen, torch.hypot(fresh, frozen))]
    [347.3, 430.4, 553.1]
    """

    t_read: ClassVar[None] = None
    v_read: ClassVar[None] = None
    fluctuators: Annotated[tuple[ReadFluctuator, ...], Field(strict=False, max_length=MOST)] = ()
    background: ReadBackground | None = None
    white: Fraction | None = None
    white_absolute: Conductance | None = None

    @model_validator(mode="after")
    def _sizes_of_one_kind(self) -> FluctuatorsRead:
        parts = [(("fluctuators", k, "amplitude"), f) for k, f in enumerate(self.fluctuators)]
        parts += [] if self.background is None else [(("background", "amplitude"), self.background)]
        kinds = {}
        for key, part in parts:
            if (part.amplitude is None) == (part.amplitude_absolute is None):
                said = "no size" if part.amplitude is None else "two sizes"
                raise at(key, f"{said}; state amplitude, a fraction of the conductance, or amplitude_absolute, siemens")
            kinds[key] = part.amplitude is not None
        for name, value in (("white", self.white), ("white_absolute", self.white_absolute)):
            if value is not None:
                kinds[name,] = name == "white"
        check_parts(kinds)
        if not any(part.amplitude or part.amplitude_absolute for _, part in parts) and not (
            self.white or self.white_absolute
        ):
            raise ValueError("all sizes are 0; state how large the noise is, or leave the section out")
        return self

    @property
    def relative(self) -> bool:
        """Whether sizes are fractions of the conductance, else siemens."""
        return self.white is not None or any(
            part.amplitude is not None for part in (*self.fluctuators, *([self.background] if self.background else []))
        )

    @property
    def _made(self) -> tuple[Fluctuators, float]:
        return _made_of_read(self)  # pyright: ignore[reportArgumentType]

    def process(self) -> Fluctuators:
        """Return the process of unit variance that each device follows."""
        return self._made[0]

    def split(
        self, g_programmed: Tensor, g_now: Tensor, g_max: float, age: Tensor, window: float
    ) -> tuple[Tensor, Tensor]:
        """Return standard deviations of the fresh and the frozen noise, siemens.

        The process is stationary: neither the age nor the conductance just after the write matters.
        """
        process, sigma = self._made
        frozen = process.frozen(window)
        size = g_now * sigma if self.relative else torch.full_like(g_now, sigma)
        return size * math.sqrt(1.0 - frozen), size * math.sqrt(frozen)


class FluctuatorsSource(Law):
    """Drive a unit by several two-level fluctuators on a 1/f background.

        n_h = kappa sum over n_sources of [sum_k a_k (s_k - p_k) + b(t) + w_t] / V_u

    Args:
        fluctuators: a list of them, see `SourceFluctuator`; empty: one level.
        background: 1/f noise, see `SourceBackground`, or None.
        white: standard deviation of noise that is new at every sample, volts.
        n_sources: sources summed per unit.
        kappa: gain from source to unit.
        volts_per_unit: V_u, volts that stand for a pre-activation of 1.
        energy_per_bit: joules a sample of one source.

    >>> law = FluctuatorsSource(fluctuators=[{"tau_high": "1 us", "tau_low": "3 us", "amplitude": "10 mV"}],
    ...     white="1 mV", n_sources=1, kappa=1.0, volts_per_unit="0.1 V")
    >>> round(law.node_sigma, 4), round(law.autocorrelation(0.75e-6), 4)
    (0.0444, 0.3493)
    """

    samples_are_steps: ClassVar[bool] = False
    at_temperature: ClassVar[None] = None
    fill: ClassVar[None] = None
    fluctuators: Annotated[tuple[SourceFluctuator, ...], Field(strict=False, max_length=MOST)] = ()
    background: SourceBackground | None = None
    white: Annotated[float, Dimension("voltage", "V", "1 mV")] | None = None
    n_sources: Sources
    kappa: Number
    volts_per_unit: PositiveVoltage
    energy_per_bit: Energy | None = None

    @model_validator(mode="before")
    @classmethod
    def _no_spread(cls, data: Any) -> Any:
        return refuse_spreads(
            data,
            "fluctuators",
            (),
            "has the fluctuators of one device, which say nothing of others: "
            "leave it out, or state those of each device in a profile of its own",
        )

    @model_validator(mode="after")
    def _something(self) -> FluctuatorsSource:
        named = [*(("fluctuators", k) for k in range(len(self.fluctuators))), ("background",), ("white",)]
        there = [*self.fluctuators, self.background, self.white or None]
        check_parts({key: True for key, part in zip(named, there, strict=True) if part is not None})
        return self

    @property
    def _made(self) -> tuple[Fluctuators, float]:
        return _made_of_source(self)  # pyright: ignore[reportArgumentType]

    def process(self) -> Fluctuators:
        """Return the process of unit variance behind the noise."""
        return self._made[0]

    @property
    def node_sigma(self) -> float:
        """Standard deviation of the noise on a pre-activation, dimensionless."""
        return abs(self.kappa) * self._made[1] / self.volts_per_unit

    def autocorrelation(self, lag_s: float) -> float:
        """Return the correlation of the noise with itself lag_s seconds away."""
        return self.process().autocorrelation(lag_s)

    def uniforms(self, shape: tuple[int, ...]) -> tuple[int, ...] | None:
        """Return the shape of the uniforms one step takes: one a fluctuator of each source."""
        return self.process().uniforms(shape)

    def normals(self, shape: tuple[int, ...]) -> tuple[int, ...] | None:
        """Return the shape of the standard normals one step takes; all sources' Gaussian parts are one process."""
        return self.process().normals(shape)

    def start(self, u: Tensor | None, xi: Tensor | None) -> Tensor:
        """Return the stationary state for uniforms u and normals xi."""
        return self.process().start(u, xi)

    def run(self, state: Tensor, u: Tensor | None, xi: Tensor | None, dt: float) -> tuple[Tensor, Tensor]:
        """Return the noise of T steps, dimensionless, and the state after them (see `Fluctuators.run`)."""
        noise, state = self.process().run(state, u, xi, dt)
        return noise.mul_(math.copysign(self.node_sigma, self.kappa)), state


def check_parts(kinds: dict[tuple[Any, ...], bool]) -> None:
    """Raise an error for a law without parts, and at the first key whose size is not of the kind of the others."""
    if not kinds:
        raise ValueError("no noise is stated; name fluctuators, a background or white noise, or leave the section out")
    first = next(iter(kinds.values()))
    for key, kind in kinds.items():
        if kind != first:
            said = ("in siemens", "a fraction of the conductance")
            raise at(key, f"{said[kind]}, and others are {said[first]}; state all sizes in one way")


@lru_cache(maxsize=64)
def _made_of_read(law: FluctuatorsRead) -> tuple[Fluctuators, float]:
    """Return the process of unit variance and its standard deviation; kept, since a run asks at every step."""

    def size(part: ReadFluctuator | ReadBackground) -> float:
        return (part.amplitude if law.relative else part.amplitude_absolute) or 0.0

    white = (law.white if law.relative else law.white_absolute) or 0.0
    slow = 0.0 if law.background is None else size(law.background)
    return combined(law.fluctuators, [size(f) for f in law.fluctuators], law.background, slow, white)


@lru_cache(maxsize=64)
def _made_of_source(law: FluctuatorsSource) -> tuple[Fluctuators, float]:
    """Return the process of unit variance and the sources' standard deviation, volts."""
    slow = 0.0 if law.background is None else law.background.amplitude
    sizes = [f.amplitude for f in law.fluctuators]
    return combined(law.fluctuators, sizes, law.background, slow, law.white or 0.0, law.n_sources)
