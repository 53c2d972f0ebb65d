"""Phase-change memory: programming error, drift and 1/f read noise.

Source: Nandakumar et al., Phase-change memory models for deep learning training and inference,
ICECS 2019. How single pulses act is in pcm_update.py.
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import ValidationInfo, field_validator, model_validator
from torch import Tensor

from neuroanp.devices.pcm_noise import PcmNoise
from neuroanp.devices.pcm_update import PcmUpdate
from neuroanp.devices.protocol import Cells, Span
from neuroanp.kernels.precision import single
from neuroanp.profiles.arrhenius import slowed, whole
from neuroanp.profiles.laws import Law, Pulses
from neuroanp.units import (
    Conductance,
    Dimension,
    Energy,
    NonNegative,
    Number,
    Positive,
    PositiveConductance,
    PositiveTime,
    Temperature,
)

__all__ = ["PcmDrift", "PcmProgramming", "PcmRead", "PcmUpdate"]

_Coefficient = Annotated[float, Dimension("conductance", "S", "-1.2 uS", signed=True)]


class PcmProgramming(Law):
    """Leave the error that remains after iterative write-and-verify.

        G_p = max(0, G_target + sigma xi),  sigma = (c0 + c1 r + c2 r^2) g_max / g_ref,  r = G_target / g_max

    It is one draw a write: the verify loop is already in it and must not be run on top.

    Args:
        c0, c1, c2: the polynomial in siemens, fitted at full scale g_ref.
        g_ref: full-scale conductance of the measured devices, siemens.
        pulses: program-and-verify pulses one write stands for in the ledger.
        deadband: a cell is rewritten only when its target moved by more than this, siemens.

    >>> law = PcmProgramming(c0="0.26348 uS", c1="1.9650 uS", c2="-1.1731 uS", g_ref="25 uS")
    >>> [round(s, 4) for s in (1e6 * law.sigma(torch.tensor([1.25e-6, 18.75e-6]), 25e-6)).tolist()]
    [0.3588, 1.0774]
    """

    exact: ClassVar[bool] = False
    error: ClassVar[None] = None
    g_low: ClassVar[None] = None
    c0: _Coefficient
    c1: _Coefficient
    c2: _Coefficient
    g_ref: PositiveConductance
    pulses: Pulses = 1
    deadband: Conductance = 0.0

    @model_validator(mode="after")
    def _not_negative(self) -> PcmProgramming:
        turn = -0.5 * self.c1 / self.c2 if self.c2 else 0.0
        for r in (0.0, min(max(turn, 0.0), 1.0), 1.0):
            sigma = self.c0 + self.c1 * r + self.c2 * r**2
            if sigma < 0:
                raise ValueError(f"the error is negative, {sigma:.3g} S, at r = {r:.3g}; check the coefficients")
        return self

    def sigma(self, g_target: Tensor, g_max: float) -> Tensor:
        """Return the standard deviation of the error before clipping at 0 S, in siemens."""
        r = g_target / g_max
        return ((self.c2 * r + self.c1) * r + self.c0) * (g_max / self.g_ref)

    def write(self, g_target: Tensor, g_max: float, xi: Tensor) -> Tensor:
        """Return the programmed conductance for standard normals xi, in siemens."""
        return (g_target + self.sigma(g_target, g_max) * xi).clamp_min_(0.0)


class PcmDrift(Law):
    """Let conductance fall as a power of the time since programming.

        G(t_s) = G_p (t_s / t0)^-nu  for t_s >= t0,  nu = |mu + s xi|, drawn once per write
        mu = clip(mu_slope ln r + mu_offset, mu_min, mu_max),  s likewise,  r = G_target / g_max

    Args:
        t0: when the programmed conductance was measured after the write, seconds.
        mu_slope, mu_offset, mu_min, mu_max: mean of the exponent against ln r.
        s_slope, s_offset, s_min, s_max: its device-to-device and write-to-write spread.
        activation_energy: E_a, joules, by which it goes faster when warm, t_s -> t_s e^{E_a/k_B (1/T_ref - 1/T)}; None:
            the temperature does not matter. reference_temperature: T_ref, kelvin, at which t0 holds.

    >>> law = PcmDrift(t0="20 s", mu_slope=-0.0155, mu_offset=0.0244, mu_min=0.049, mu_max=0.1,
    ...                s_slope=-0.0125, s_offset=-0.0059, s_min=0.008, s_max=0.045)
    >>> law.factor(torch.tensor(0.05), torch.tensor([1.0, 20.0, 2000.0])).tolist()
    [1.0, 1.0, 0.7943282127380371]
    """

    covers: ClassVar[None] = None
    settles: ClassVar[bool] = False
    last_s: ClassVar[None] = None
    start: ClassVar[None] = None
    t0: PositiveTime
    mu_slope: Number
    mu_offset: Number
    mu_min: NonNegative
    mu_max: NonNegative
    s_slope: Number
    s_offset: Number
    s_min: NonNegative
    s_max: NonNegative
    activation_energy: Energy | None = None
    reference_temperature: Temperature | None = None

    @model_validator(mode="after")
    def _arrhenius_is_whole(self) -> PcmDrift:
        whole(self.activation_energy, self.reference_temperature)
        return self

    def at_temperature(self, temperature: float) -> PcmDrift:
        """Return the law at another temperature, kelvin: t0 is shorter where it is warmer; itself where none matters.

        Raises: ValueError if it is not above 0 K, or if t0 leaves the range of floats.
        """
        t0 = slowed(self.t0, self.activation_energy, self.reference_temperature, temperature, "t0")
        return self if t0 is None else self.model_copy(update={"t0": t0, "reference_temperature": temperature})

    @field_validator("mu_max", "s_max")
    @classmethod
    def _above_the_least(cls, most: float, info: ValidationInfo) -> float:
        name = f"{info.field_name}".replace("max", "min")
        least = info.data.get(name)
        if least is not None and least > most:
            raise ValueError(f"{most:g} is below {name}, {least:g}; raise it or lower {name}")
        return most

    def spread(self, g_target: Tensor, g_max: float) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of the exponent before the absolute value."""
        log_r = torch.log((g_target / g_max).clamp_min(1e-30))  # a target of 0 S takes the upper limits
        mu = (self.mu_slope * log_r + self.mu_offset).clamp_(self.mu_min, self.mu_max)
        return mu, (self.s_slope * log_r + self.s_offset).clamp_(self.s_min, self.s_max)

    def draw(self, g_target: Tensor, g_max: float, xi: Tensor) -> Tensor:
        """Return the drift exponents of one write for standard normals xi."""
        mu, s = self.spread(g_target, g_max)
        return (mu + s * xi).abs_()

    def factor(self, nu: Tensor, age: Tensor) -> Tensor:
        """Return G(t_s) / G_p for exponents `nu` and times since programming `age` (seconds)."""
        if single(nu) and age.dtype == torch.float64:
            return self._looped_factor(nu, age)
        return torch.pow((age / self.t0).clamp_min(1.0).to(nu.dtype), -nu)

    def _looped_factor(self, nu: Tensor, age: Tensor) -> Tensor:
        """Return `factor` by a compiled loop."""
        from neuroanp.kernels import pcm_loops

        nu, age = torch.broadcast_tensors(nu, age)
        out = torch.empty_like(nu, memory_format=torch.contiguous_format)
        pcm_loops.decay(_flat(nu), _flat(age), self.t0, _flat(out))
        return out

    def conductance(self, g: Tensor, nu: Tensor, age: Tensor, target: Tensor, span: Span) -> Tensor:
        """Return the drifted conductance of devices programmed to `g`, in siemens."""
        return g * self.factor(nu, age)


class PcmRead(Law):
    """Read through 1/f noise; its variance divides into what is new at a read and what stands still.

        Var = Q^2 G(t_s)^2 L,  Q = min(q / max(r_p^exponent, floor), q_max),  r_p = G_p / g_max
        total   L   = max(0, ln((t_s + t_r) / (2 t_r)))
        fresh   L_w = max(0, ln(pi T / t_r) - 0.923), never above L: noise that moves within the window T
        frozen  L - L_w: the same for all reads of the window, drawn once

    t_s is the age at the END of the window, so that a cell written just before it is defined. Where every device is
    drawn at every read (hardware.read: sampled) all of it moves in time: see `pcm_noise.PcmNoise`.

    Args:
        t_read: duration of one read t_r, seconds.
        q, exponent, floor, q_max: the noise amplitude against the programmed conductance.

    >>> law = PcmRead(t_read="250 ns", q=0.0088, exponent=0.65, floor=1e-3, q_max=0.2)
    >>> day, microsecond = torch.tensor(86400.0, dtype=torch.float64), 1e-6
    >>> fresh, frozen = law.split_log(day, microsecond)
    >>> round(float(2 * fresh), 1), round(float(2 * (fresh + frozen)), 1)
    (3.2, 51.8)
    """

    v_read: ClassVar[None] = None
    t_read: PositiveTime
    q: NonNegative
    exponent: Positive
    floor: Positive
    q_max: Positive

    def process(self) -> PcmNoise:
        """Return the process of unit variance behind the noise; how slow it is depends on the devices' ages."""
        return PcmNoise(self.t_read)

    def amplitude(self, g_programmed: Tensor, g_max: float) -> Tensor:
        """Return Q, dimensionless, from the undrifted conductance."""
        r = torch.pow((g_programmed / g_max).clamp_min(0.0), self.exponent)
        return (self.q / r.clamp_min_(self.floor)).clamp_max_(self.q_max)

    def split_log(self, age: Tensor, window: float) -> tuple[Tensor, Tensor]:
        """Return the fresh and the frozen part of L for ages at the end of a window (both seconds)."""
        total = torch.log((age + self.t_read) / (2 * self.t_read)).clamp_min_(0.0)
        fresh = total.clamp_max(self._within(window))
        return fresh, total - fresh

    def _within(self, window: float) -> float:
        """Return L_w, which no read's own noise exceeds."""
        return max(0.0, math.log(math.pi * window / self.t_read) - 0.923) if window > 0 else 0.0

    def split(
        self, g_programmed: Tensor, g_now: Tensor, g_max: float, age: Tensor, window: float
    ) -> tuple[Tensor, Tensor]:
        """Return standard deviations of the fresh and the frozen noise, in siemens.

        Args:
            g_programmed: conductance just after the write, siemens.
            g_now: drifted conductance, siemens.
            g_max: full scale, siemens.
            age: time since programming at the end of the window, seconds.
            window: duration of the passes of one update, seconds.
        """
        if all(single(x) and x.shape == age.shape for x in (g_programmed, g_now, age)):
            return self._looped_split(g_programmed, g_now, g_max, age, window)
        scale = self.amplitude(g_programmed, g_max) * g_now
        fresh, frozen = self.split_log(age, window)
        return scale * fresh.sqrt_().to(scale.dtype), scale * frozen.sqrt_().to(scale.dtype)

    def _looped_split(
        self, g_programmed: Tensor, g_now: Tensor, g_max: float, age: Tensor, window: float
    ) -> tuple[Tensor, Tensor]:
        """Return `split` by a compiled loop."""
        from neuroanp.kernels import pcm_loops

        figures, within = self._figures(g_max, window)
        fresh, frozen = (torch.empty(age.shape, dtype=age.dtype) for _ in range(2))
        programmed, now, ages = _flat(g_programmed), _flat(g_now), _flat(age)
        pcm_loops.split(programmed, now, ages, figures, within, _flat(fresh), _flat(frozen))
        return fresh, frozen

    def _figures(self, g_max: float, window: float) -> tuple[tuple[np.float32, ...], np.float32]:
        """Return what the loops want to know of the law and of a window."""
        numbers = (g_max, self.t_read, self.q, self.exponent, self.floor, self.q_max)
        return tuple(np.float32(x) for x in numbers), np.float32(self._within(window))


def observe(
    drift: PcmDrift, read: PcmRead, cells: Cells, now: float, window: float, g_max: float
) -> tuple[Tensor, Tensor, Tensor] | None:
    """Return conductance, fresh and frozen standard deviation in one pass over an array, in siemens.

    None where the loops are not for its devices: they are in single precision on a CPU.
    """
    g, nu, written = cells["g"], cells["nu"], cells["t"]
    if not (single(g) and single(nu) and written.dtype == torch.float64 and g.shape == nu.shape == written.shape):
        return None
    from neuroanp.kernels import pcm_loops

    figures, within = read._figures(g_max, window)
    conducts, fresh, frozen = (torch.empty(g.shape, dtype=g.dtype) for _ in range(3))
    of_devices = _flat(g), _flat(nu), _flat(written)
    filled = _flat(conducts), _flat(fresh), _flat(frozen)
    pcm_loops.observe(*of_devices, now, window, drift.t0, figures, within, *filled)
    return conducts, fresh, frozen


def _flat(x: Tensor) -> np.ndarray:
    return x.detach().contiguous().view(-1).numpy()
