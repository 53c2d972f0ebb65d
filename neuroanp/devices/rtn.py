"""Random telegraph noise: a trap, or a filament's bond, switches between two levels.

Source: Kirton and Uren, Noise in solid-state microstructures, Adv. Phys. 38, 367 (1989); in
resistive memories Ielmini, Nardi and Cagli, Resistance-dependent amplitude of random telegraph-signal
noise in resistive switching memories, Appl. Phys. Lett. 96, 053503 (2010).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from neuroanp.devices import telegraph
from neuroanp.devices.dwells import Dwells
from neuroanp.devices.junction_bank import JunctionBank
from neuroanp.devices.uneven import factors, refuse_spreads
from neuroanp.profiles.laws import Law, Sources
from neuroanp.units import Energy, Fraction, NonNegative, Number, PositiveVoltage

if TYPE_CHECKING:
    from neuroanp.devices.protocol import Place, SourceBank


class RtnSource(Dwells, Law):
    """Drive a unit by the sum of two-state sources, each high or low.

        n_h = kappa amplitude sum over n_sources of (s - p) / V_u,  s in {0, 1}

    Exact over any step; see devices.telegraph.

    Args:
        tau_high, tau_low: mean dwell times in both states, seconds.
        amplitude: high minus low, volts.
        n_sources: sources summed per unit.
        kappa: gain from source to unit.
        volts_per_unit: V_u, volts that stand for a pre-activation of 1.
        energy_per_bit: joules a sample of one source.
        amplitude_cv: how amplitudes differ from source to source, sd over mean, a fraction, or None: not at all.
        dwell_cv: the same of both dwell times of a source, which are longer or shorter by one factor.

    >>> law = RtnSource(tau_high="1 us", tau_low="3 us", amplitude="10 mV", n_sources=1, kappa=1.0,
    ...                 volts_per_unit="0.1 V")
    >>> law.p, law.tau_c, round(law.node_sigma, 4), round(law.autocorrelation(0.75e-6), 4)
    (0.25, 7.5e-07, 0.0433, 0.3679)
    """

    samples_are_steps: ClassVar[bool] = False
    at_temperature: ClassVar[None] = None
    amplitude: PositiveVoltage
    n_sources: Sources
    kappa: Number
    volts_per_unit: PositiveVoltage
    energy_per_bit: Energy | None = None
    amplitude_cv: Fraction | None = None
    dwell_cv: Fraction | None = None

    @model_validator(mode="before")
    @classmethod
    def _spreads_of_its_own(cls, data: Any) -> Any:
        return refuse_spreads(
            data, "rtn", ("amplitude_cv", "dwell_cv"), "has sources that differ by amplitude_cv and dwell_cv"
        )

    @property
    def bank(self) -> Callable[[np.random.Generator, int, Tensor], SourceBank] | None:
        """How the sources of so many units are drawn, each as it is and stays; None: all are alike."""
        return self._bank if self.amplitude_cv or self.dwell_cv else None

    def _bank(self, rng: np.random.Generator, units: int, like: Tensor) -> SourceBank:
        shape = (self.n_sources, 1, units)
        size, pace = (factors(cv or 0.0, shape, rng) for cv in (self.amplitude_cv, self.dwell_cv))
        gain = self.kappa * self.amplitude / self.volts_per_unit
        return JunctionBank(  # pyright: ignore[reportReturnType]
            torch.full(shape, self.p).to(like), (self.tau_c * pace).to(like), (gain * size).to(like), None,
            self.energy_per_bit,
        )  # fmt: skip

    @property
    def node_sigma(self) -> float:
        """Standard deviation of the noise on a pre-activation, dimensionless."""
        volts = self.amplitude * math.sqrt(self.n_sources * self.p * (1.0 - self.p))
        return abs(self.kappa) * volts / self.volts_per_unit

    @property
    def bank_variance(self) -> float:
        """Mean variance of the noise on units whose sources differ: sigma_h^2 (1 + amplitude_cv^2)."""
        return self.node_sigma**2 * (1.0 + (self.amplitude_cv or 0.0) ** 2)

    def autocorrelation(self, lag_s: float) -> float:
        """Return the correlation of the noise with itself lag_s seconds away."""
        return math.exp(-abs(lag_s) / self.tau_c)

    def uniforms(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the uniforms one step takes."""
        return (self.n_sources, *shape)

    def normals(self, shape: tuple[int, ...]) -> None:
        """Return None: no normals are needed."""

    def start(self, u: Tensor, xi: Tensor | None = None) -> Tensor:
        """Return stationary states (bool) for uniforms u (n_sources, *shape)."""
        return telegraph.start(u, self.p)

    def run(self, state: Tensor, u: Tensor, xi: Tensor | None, dt: float) -> tuple[Tensor, Tensor]:
        """Return the noise of T steps, (T, *shape) dimensionless, and the states after them.

        Args:
            state: bool, (n_sources, *shape).
            u: uniforms, (T, n_sources, *shape).
            xi: not used.
            dt: seconds a step, 0 or more.
        """
        high, after = telegraph.count(state, u, self.p, self.tau_c, dt)
        return high.sub_(self.n_sources * self.p).mul_(self.kappa * self.amplitude / self.volts_per_unit), after

    def fill(self, place: Place, state: Tensor, dt: float) -> Tensor:
        """Put the noise of T steps, drawn as they are made, at a place; return the states after them."""
        transition = telegraph.transition(self.p, self.tau_c, dt)
        scale = self.kappa * self.amplitude / self.volts_per_unit
        return telegraph.fill(place, state, transition, self.n_sources * self.p, scale)


@dataclass(frozen=True)
class Telegraph:
    """A telegraph signal of mean 0 and variance 1; correlation times may differ from device to device.

        z = (s - p) / sqrt(p (1-p)),  tau_c of a device = median 10^{decades (v - 1/2)},  v uniform

    Args:
        p: probability of the high state.
        median: of tau_c, seconds.
        decades: width of the spread of tau_c.
        tau_c: of each device, seconds, of the devices' shape; None: drawn anew at every start.

    >>> process = Telegraph(0.5, 1e-3)
    >>> state = process.start(torch.tensor([0.2, 0.9]))
    >>> process.run(state, torch.tensor([[0.5, 0.5]]), None, 1e-6)[0].tolist()
    [[1.0, -1.0]]
    """

    p: float
    median: float
    decades: float = 0.0
    tau_c: Tensor | None = None
    _steps: dict[Any, tuple[np.ndarray, np.ndarray]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    n_sources: ClassVar[int] = 1
    node_sigma: ClassVar[float] = 1.0
    samples_are_steps: ClassVar[bool] = False
    of_ages: ClassVar[None] = None

    @property
    def ends(self) -> tuple[float, float]:
        """The shortest and the longest correlation time, seconds."""
        half = 10.0 ** (0.5 * self.decades)
        return self.median / half, self.median * half

    @property
    def drawn(self) -> bool:
        """Whether a start draws correlation times too, which then are part of the state."""
        return self.decades > 0 and self.tau_c is None

    def of_devices(self, v: Tensor) -> Telegraph:
        """Return the process of devices whose correlation times are drawn by uniforms v, once and for all."""
        return replace(self, tau_c=self._tau(v)) if self.decades else self

    def _tau(self, v: Tensor) -> Tensor:
        return self.median * torch.pow(10.0, self.decades * (v - 0.5))

    def autocorrelation(self, lag_s: float) -> float:
        """Return the correlation with itself lag_s seconds away, on average over devices.

        [E_1(lag/longest) - E_1(lag/shortest)] / ln(longest/shortest)
        """
        if not self.decades or not lag_s:
            return math.exp(-abs(lag_s) / self.median)
        from scipy.special import exp1

        shortest, longest = self.ends
        difference = float(exp1(abs(lag_s) / longest) - exp1(abs(lag_s) / shortest))
        return difference / math.log(longest / shortest)

    def spectrum(self, f: float) -> float:
        """Return the one-sided power spectral density at f > 0 hertz, 1/Hz, on average over devices.

        4 [arctan(2 pi f longest) - arctan(2 pi f shortest)] / (2 pi f ln(longest/shortest))
        """
        if not self.decades:
            return telegraph.spectrum(0.5, self.median, f) * 4.0
        omega, (shortest, longest) = 2.0 * math.pi * f, self.ends
        angle = math.atan(omega * longest) - math.atan(omega * shortest)
        return 4.0 * angle / (omega * math.log(longest / shortest))

    def frozen(self, window: float) -> float:
        """Return the share of the variance that stands still over a window of `window` seconds (its time mean's)."""
        shortest, longest = self.ends
        return telegraph.frozen_share_spread(window / longest, window / shortest)

    def uniforms(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the uniforms one step takes."""
        return (2, *shape) if self.drawn else shape

    def normals(self, shape: tuple[int, ...]) -> None:
        """Return None: no normals are needed."""

    def start(self, u: Tensor, xi: Tensor | None = None) -> Tensor:
        """Return the stationary state for uniforms: bool; with drawn correlation times (2, *shape), s and tau_c."""
        if not self.drawn:
            return telegraph.start(u, self.p)
        return torch.stack([(u[0] < self.p).to(u.dtype), self._tau(u[1])])

    def run(self, state: Tensor, u: Tensor, xi: Tensor | None, dt: float) -> tuple[Tensor, Tensor]:
        """Return the noise of T steps, (T, *shape), and the state after them.

        Args:
            state: what `start` or the last `run` returned.
            u: uniforms, (T, *uniforms(shape)).
            xi: not used.
            dt: seconds a step, 0 or more.
        """
        if self.drawn:
            states = telegraph.run(state[0] > 0, u[:, 0], self.p, state[1], dt)
            after = torch.stack([states[-1].to(u.dtype), state[1]])
        elif u.device.type == "cpu" and u.shape[1:] == state.shape:
            return self._run(state, u, dt)
        else:
            states = telegraph.run(state, u, self.p, self.median if self.tau_c is None else self.tau_c, dt)
            after = states[-1].clone()
        return states.to(u.dtype).sub_(self.p).div_(math.sqrt(self.p * (1.0 - self.p))), after

    def _run(self, state: Tensor, u: Tensor, dt: float) -> tuple[Tensor, Tensor]:
        """Do it by compiled loops, for sources that differ in their last dimensions alone."""
        from neuroanp.kernels import telegraph_loops

        low, high = self._transition(state, u, dt)
        after, out = (torch.empty_like(x, memory_format=torch.contiguous_format).copy_(x) for x in (state, u))
        s, signal = after.view(-1, len(low)).numpy(), out.view(len(u), -1, len(low)).numpy()
        telegraph_loops.signals(s, signal, low, high, *self.ends_of(signal.dtype))
        return out, after

    def ends_of(self, dtype: Any) -> tuple[Any, Any]:
        """Return the signal in state 1 and in state 0, rounded as a tensor of a dtype rounds it."""
        p, root = dtype.type(self.p), dtype.type(math.sqrt(self.p * (1.0 - self.p)))
        return (dtype.type(1) - p) / root, (dtype.type(0) - p) / root

    def chain(self, u: Tensor, gaps: Sequence[float]) -> Tensor:
        """Return states (S, B, *shape), bool, that follow one another: of row 0 those of S streams, of row 1, ...

        What `start` and then `run` give, for known correlation times on a CPU.

        Args: u: uniforms (S, B, *shape). gaps: seconds that lie before each stream's, (S,).
        """
        from neuroanp.kernels import telegraph_loops

        steps = [self._transition(u[0], u, gap) for gap in gaps]
        low, high = (np.stack(each) for each in zip(*steps, strict=True))
        s, dtype = np.empty((*u.shape[:2], low.shape[1]), np.bool_), u.numpy().dtype
        telegraph_loops.chain(u.contiguous().view(s.shape).numpy(), dtype.type(self.p), low, high, s)
        return torch.from_numpy(s).view(u.shape)

    def _transition(self, state: Tensor, u: Tensor, dt: float) -> tuple[np.ndarray, np.ndarray]:
        """Return P(0 -> 1) and P(1 -> 1) of each source over dt; they are kept for the next step of dt."""
        k = self.tau_c.numel() if self.tau_c is not None else state[0].numel() if state.ndim else 1
        found = self._steps.get((dt, u.dtype, k))
        if found is None:
            tau_c = self.median if self.tau_c is None else self.tau_c.flatten()
            low, high = (torch.as_tensor(x).to(u).expand(k) for x in telegraph.transition(self.p, tau_c, dt))
            found = self._steps[dt, u.dtype, k] = low.contiguous().numpy(), high.contiguous().numpy()
        return found


class RtnRead(Dwells, Law):
    """Read through random telegraph noise of each device, in proportion to its conductance.

        G(t) = G [1 + amplitude (s - p)],  Var = (amplitude G)^2 p (1-p)
        frozen over the window T: the variance of the time mean; fresh: the rest

    Args:
        tau_high, tau_low: mean dwell times in both states, seconds; their medians where they spread.
        amplitude: Delta G / G, a fraction.
        tau_decades: both dwell times of a device are longer or shorter by one factor, log-uniform over
            so many decades; 0: all devices alike.

    >>> law = RtnRead(tau_high="1 ms", tau_low="1 ms", amplitude=0.1, tau_decades=4.0)
    >>> g = torch.tensor(10e-6)
    >>> fresh, frozen = law.split(g, g, 25e-6, torch.tensor(1.0), 1e-3)
    >>> [round(1e9 * float(part), 1) for part in (fresh, frozen, torch.hypot(fresh, frozen))]
    [344.8, 362.1, 500.0]
    """

    t_read: ClassVar[None] = None
    v_read: ClassVar[None] = None
    amplitude: Fraction
    tau_decades: Annotated[NonNegative, Field(le=24)] = 0.0

    def process(self) -> Telegraph:
        """Return the process of unit variance that each device follows."""
        return Telegraph(self.p, self.tau_c, self.tau_decades)

    def split(
        self, g_programmed: Tensor, g_now: Tensor, g_max: float, age: Tensor, window: float
    ) -> tuple[Tensor, Tensor]:
        """Return standard deviations of the fresh and the frozen noise, siemens, on average over devices.

        The process is stationary: neither the age nor the conductance just after the write matters.
        """
        process = self.process()
        sigma = self.amplitude * math.sqrt(process.p * (1.0 - process.p))
        frozen = process.frozen(window)
        return g_now * (sigma * math.sqrt(1.0 - frozen)), g_now * (sigma * math.sqrt(frozen))
