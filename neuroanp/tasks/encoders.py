"""Encoders: turn a task's values into currents or spikes on input lines."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, field_serializer, model_validator

from neuroanp.errors import InputError
from neuroanp.registry import Registry
from neuroanp.units import Frequency, PositiveTime, format_quantity
from neuroanp.yaml_io import Section

LEAST_SPIKES = 1e-3
"""Spikes a step, of a value of 1, below which inputs are blank for as long as any task lasts."""


class Encoder(Section):
    """Base of all encoders: options, and what they make of a value.

    `spikes` says whether the lines carry spikes (0 or 1) or currents.

    >>> poisson = ENCODERS.get("poisson")(rate="500 Hz", hold=2)
    >>> poisson.check(1e-3)
    >>> u = np.full((500, 1, 1), 1.0)
    >>> spikes = poisson.encode(u, np.random.default_rng(0), 1e-3)
    >>> poisson.spikes, poisson.lines(1), spikes.shape, bool(abs(spikes[..., 0].mean() - 0.5) < 0.05)  # 500 Hz of 1 ms
    (True, 2, (1000, 1, 2), True)
    """

    spikes: ClassVar[bool]
    hold: int = Field(default=1, ge=1, le=100_000, description="steps of the simulation that a step of the task lasts")

    @abstractmethod
    def lines(self, inputs: int) -> int:
        """Return how many input lines `inputs` values take."""

    @abstractmethod
    def encode(self, inputs: np.ndarray, rng: np.random.Generator, dt: float) -> np.ndarray:
        """Encode a task's inputs.

        Args:
            inputs: (T, B, I) float64.
            rng: where random spikes are drawn from.
            dt: seconds a step of the simulation.

        Returns: (T hold, B, lines(I)) float64.
        """

    def check(self, dt: float) -> None:
        """Raise ValueError if the options make no sense at steps of `dt` seconds; here all do."""


ENCODERS: Registry[type[Encoder]] = Registry("encoder", "neuroanp.encoders", Encoder)


class Current(Encoder):
    """Inject the values as they are, as currents.

    >>> Current(hold=2).encode(np.array([[[0.5]], [[-1.0]]]), np.random.default_rng(0), 1e-3).ravel().tolist()
    [0.5, 0.5, -1.0, -1.0]
    """

    name: Literal["current"] = "current"
    spikes: ClassVar[bool] = False

    def lines(self, inputs: int) -> int:
        """Return `inputs`: one line a value."""
        return inputs

    def encode(self, inputs: np.ndarray, rng: np.random.Generator, dt: float) -> np.ndarray:
        """Hold each value `hold` steps; nothing is drawn."""
        return np.repeat(inputs, self.hold, axis=0)


class Poisson(Encoder):
    """Spike at random, at a rate in proportion to the value.

        P(spike in a step) = |u| rate dt,   independently in every step

    Each value u has a line that spikes where u > 0 and, if `signed`, one that spikes where u < 0
    (all the first ones, then all the second ones). Discrete steps make the process Bernoulli: at most
    one spike a step, variance p (1 - p) in place of Poisson's p. Which uniform numbers are drawn does
    not depend on `rate` or `signed`.

    >>> encoder = Poisson(rate=500.0)
    >>> spikes = encoder.encode(np.full((1000, 1, 1), -0.5), np.random.default_rng(0), 1e-3)
    >>> spikes.shape, spikes.sum(axis=(0, 1)).astype(int).tolist()  # 250 +- 14 expected on line 1
    ((1000, 1, 2), [0, 231])
    """

    name: Literal["poisson"] = "poisson"
    spikes: ClassVar[bool] = True
    rate: Frequency = Field(default=200.0, description="spikes a second at a value of 1 (or -1)")
    signed: bool = Field(
        default=True, description="a second line a value for where it is negative; without, negative is silent"
    )

    def lines(self, inputs: int) -> int:
        """Return 2 `inputs` if signed, else `inputs`."""
        return inputs * (1 + self.signed)

    def encode(self, inputs: np.ndarray, rng: np.random.Generator, dt: float) -> np.ndarray:
        """Draw one uniform number a value and step, and spike where it lies below the probability.

        Raises:
            InputError: a value is so large that its probability exceeds 1.
        """
        p = np.repeat(on_off(inputs, self.signed), self.hold, axis=0) * (self.rate * dt)
        if p.max(initial=0.0) > 1.0:
            raise InputError(
                f"encoder poisson: a value of {p.max() / (self.rate * dt):.3g} needs {p.max():.3g} spikes a step; "
                "lower rate or dt, or scale the task's inputs"
            )
        drawn = rng.random((p.shape[0], *inputs.shape[1:]))
        return (np.tile(drawn, 1 + self.signed) < p).astype(float)

    def check(self, dt: float) -> None:
        """Raise ValueError if a value of 1 would need more than one spike a step, or hardly ever spike."""
        if self.rate * dt < LEAST_SPIKES:
            raise ValueError(
                f"rate {format_quantity(self.rate, 'Hz')} at steps of {format_quantity(dt, 's')} is one spike in "
                f"{1 / (self.rate * dt):.3g} steps: inputs would be blank; raise dt (1 ms, say) or rate"
            )
        if self.rate * dt > 1.0:
            raise ValueError(
                f"rate {format_quantity(self.rate, 'Hz')} at steps of {format_quantity(dt, 's')} is "
                f"{self.rate * dt:.3g} spikes a step, at most 1 fits; "
                f"lower rate to 1/dt ({format_quantity(1 / dt, 'Hz')}) or below"
            )

    @field_serializer("rate", when_used="json")
    def _with_unit(self, rate: float) -> str:
        return format_quantity(rate, "Hz", digits=None)


class Latency(Encoder):
    """Spike once, the earlier the larger the value.

        t = tau ln(u / (u - theta))   for u > theta, else no spike

    This is when an integrator of time constant tau that a constant u charges from 0,
    v = u (1 - exp(-t/tau)), reaches theta. It spikes in the step that t falls into, once, and is
    recharged from 0 by the next value. Lines as of `Poisson`: on lines, then off lines if `signed`.

    With `each: value` a value lasts until its line's value changes, however many steps that takes: a
    pulse or a held image makes one spike. With `each: step` it lasts one step of the task (`hold`
    steps), equal neighbours or not. A value that does not last t makes no spike: for inputs that
    change at every step, set `hold` to about two tau.

    Source: the membrane equation of the leaky integrate-and-fire neuron solved for a constant current,
    as in Gerstner et al., Neuronal Dynamics (2014), section 1.3.

    >>> encoder = Latency(tau=10e-3, theta=0.5)
    >>> spikes = encoder.encode(np.full((20, 1, 2), [1.0, -0.6]), np.random.default_rng(0), 1e-3)
    >>> np.argwhere(spikes[:, 0]).tolist()  # after 6.9 ms on line 0, after 17.9 ms on line 3
    [[6, 0], [17, 3]]
    """

    name: Literal["latency"] = "latency"
    spikes: ClassVar[bool] = True
    tau: PositiveTime = Field(default=20e-3, description="time constant of charging")
    theta: float = Field(default=0.2, gt=0, lt=1, description="smallest value that spikes, after an infinite time")
    signed: bool = Field(
        default=True, description="a second line a value for where it is negative; without, negative is silent"
    )
    each: Literal["value", "step"] = Field(
        default="value", description="one spike for each new value of a line, or for each step of the task"
    )

    @model_validator(mode="after")
    def _has_time(self) -> Latency:
        if self.each == "step" and self.hold == 1:
            raise ValueError("each: step with hold 1 leaves no time to tell spikes apart; raise hold, or each: value")
        return self

    def lines(self, inputs: int) -> int:
        """Return 2 `inputs` if signed, else `inputs`."""
        return inputs * (1 + self.signed)

    def encode(self, inputs: np.ndarray, rng: np.random.Generator, dt: float) -> np.ndarray:
        """Spike in the step of the first passage; nothing is drawn."""
        values = on_off(inputs, self.signed)
        fresh = np.ones(values.shape, dtype=bool)
        if self.each == "value":
            fresh[1:] = values[1:] != values[:-1]
        index = np.arange(len(values))[:, None, None]
        steps_before = (index - np.maximum.accumulate(np.where(fresh, index, 0), axis=0)) * self.hold
        passes, delay = values > self.theta, np.full(values.shape, np.inf)
        with np.errstate(divide="ignore"):  # a value that rounds to theta takes infinitely long
            delay[passes] = -self.tau * np.log1p(-self.theta / values[passes])
        step = np.repeat(np.floor(delay / dt) - steps_before, self.hold, axis=0)
        return (step == np.tile(np.arange(self.hold), len(values))[:, None, None]).astype(float)

    def check(self, dt: float) -> None:
        """Raise ValueError if spikes cannot be told apart, or come too late for every value up to 1."""
        if self.tau <= dt:
            raise ValueError(
                f"tau {format_quantity(self.tau, 's')} is no longer than a step of {format_quantity(dt, 's')}: "
                "most values would spike in the same step; raise tau, or lower dt"
            )
        first = -self.tau * float(np.log1p(-self.theta))
        if self.each == "step" and first >= self.hold * dt:
            raise ValueError(
                f"a value of 1 spikes after {format_quantity(first, 's', digits=3)}, but a step of the task lasts "
                f"{format_quantity(self.hold * dt, 's', digits=3)}: nothing would spike; raise hold, or lower tau"
            )

    @field_serializer("tau", when_used="json")
    def _with_unit(self, tau: float) -> str:
        return format_quantity(tau, "s", digits=None)


class Population(Encoder):
    """Spread each value over n lines with Gaussian tuning curves; the lines carry currents.

        r_j = exp(-(u - c_j)^2 / (2 width^2)),   c_j evenly from low to high

    Lines 0 .. n-1 belong to the first value, the next n to the second.

    Source: Gaussian receptive fields as in Bohte, Kok and La Poutre, Neurocomputing 48, 17 (2002).

    >>> Population(n=3, width=1.0).encode(np.array([[[0.0]]]), np.random.default_rng(0), 1e-3).round(3)
    array([[[0.607, 1.   , 0.607]]])
    """

    name: Literal["population"] = "population"
    spikes: ClassVar[bool] = False
    n: int = Field(default=8, ge=2, le=10_000, description="lines a value")
    width: float | None = Field(
        default=None, gt=0, description="standard deviation of a tuning curve; unset: the distance between centres"
    )
    low: float = Field(default=-1.0, description="centre of the first tuning curve")
    high: float = Field(default=1.0, description="centre of the last tuning curve")

    @model_validator(mode="after")
    def _ordered(self) -> Population:
        if self.low >= self.high:
            raise ValueError(f"low {self.low} is not below high {self.high}; swap them, or widen the range")
        return self

    def lines(self, inputs: int) -> int:
        """Return n `inputs`."""
        return self.n * inputs

    def encode(self, inputs: np.ndarray, rng: np.random.Generator, dt: float) -> np.ndarray:
        """Return the tuning curves' values, held `hold` steps; nothing is drawn."""
        centres, distance = np.linspace(self.low, self.high, self.n, retstep=True)
        scaled = (inputs[..., None] - centres) / (distance if self.width is None else self.width)
        rates = np.exp(-0.5 * scaled**2).reshape(*inputs.shape[:2], -1)
        return np.repeat(rates, self.hold, axis=0)


def on_off(values: np.ndarray, signed: bool) -> np.ndarray:
    """Split values into their positive and, if `signed`, negative parts, none below 0.

    >>> on_off(np.array([0.5, -2.0]), True).tolist()
    [0.5, 0.0, 0.0, 2.0]
    """
    parts = [values, -values] if signed else [values]
    return np.maximum(np.concatenate(parts, axis=-1), 0.0)
