"""Van der Pol: forecast an oscillator from its state, left to itself or driven by a control that is seen too."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import BaseModel, Field, model_validator

from neuroanp.noise import Streams
from neuroanp.tasks.series import Rate, SeriesConfig, SeriesForecast, State, sampled

TRANSIENT = 100.0
"""Time dropped at the start: some 15 turns, in which the oscillator has come to its cycle."""
LONGEST = 0.02
"""Longest step of the integrator."""
SCALE = (3.0, 6.0)
"""What x and v are divided by: on the cycle of mu = 1 |x| is at most 2.01, |v| 2.68; a control of 3 drives them to 2.85
and 5.30."""

LEAST_DAMPING = 0.1
"""mu below which a control may drive the oscillator far beyond SCALE."""


def rate(mu: float, control: float) -> Rate:
    """Return the derivative of (x, v) under a control that is held.

        dx/dt = v,   dv/dt = mu (1 - x^2) v - x + c

    Source: van der Pol, Philosophical Magazine 2, 978 (1926), with a force c.

    >>> rate(1.0, 0.5)((2.0, 1.0))
    (1.0, -4.5)
    """

    def slope(state: State) -> State:
        x, v = state
        return v, mu * (1.0 - x * x) * v - x + control

    return slope


class VanDerPolConfig(SeriesConfig):
    """Options of the Van der Pol task."""

    horizon: int = Field(default=1, ge=1, le=1_000, description="samples between input and target")
    mu: float = Field(default=1.0, ge=0, le=10, description="strength of the nonlinear damping; 0: a linear oscillator")
    control: float = Field(
        default=0.0, ge=0, le=3, description="largest control; it is one more input; 0: the oscillator by itself"
    )
    hold: int = Field(default=5, ge=1, le=10_000, description="samples that a control is held for")

    @model_validator(mode="after")
    def _stays_bounded(self) -> VanDerPolConfig:
        if self.control and self.mu < LEAST_DAMPING:
            raise ValueError(
                f"control {self.control:g} drives an oscillator that mu {self.mu:g} hardly damps further and further "
                f"away; use mu of at least {LEAST_DAMPING:g}, or control 0"
            )
        return self


class VanDerPol(SeriesForecast):
    """Forecast the state of a Van der Pol oscillator from its state, and from the control that drives it.

        input_t = (x_t / 3, v_t / 6, c_t / control),   target_t = (x / 3, v / 6)_{t + horizon}

    c_t is what acts from sample t to t + 1: uniform in [-control, control], drawn anew every `hold` samples. With
    control 0 there is none, and no third input. One step ahead the inputs decide the target; further ahead controls act
    that nobody has seen yet.

    Args:
        options: the task's options.

    Source: van der Pol, Philosophical Magazine 2, 978 (1926).

    >>> task = VanDerPol(VanDerPolConfig(train_length=500, test_size=4, control=1.0))
    >>> batch = task.test(np.random.default_rng(0))
    >>> batch.inputs.shape, batch.targets.shape
    ((60, 4, 3), (60, 4, 2))
    """

    config: ClassVar[type[BaseModel]] = VanDerPolConfig
    name = "van_der_pol"
    outputs = 2

    def __init__(self, options: VanDerPolConfig) -> None:
        self.inputs = 2 + (options.control > 0)
        super().__init__(options)

    def _series(self, samples: int) -> np.ndarray:
        """Return the state, and the control where there is one, scaled: (samples, inputs)."""
        options, streams = self.options, Streams(self.options.series_seed)
        x, v = 1.0 + streams.generator("van_der_pol").uniform(-0.1, 0.1, 2)
        dropped = int(np.ceil(TRANSIENT / options.interval))
        total = dropped + samples
        levels = streams.generator("van_der_pol/control").uniform(-1.0, 1.0, total // options.hold + 1)
        control = np.repeat(levels, options.hold)[:total]
        rates = [rate(options.mu, options.control * float(level)) for level in levels]
        states = sampled(lambda i: rates[i // options.hold], (float(x), float(v)), total, options.interval, LONGEST)
        seen = [states / np.array(SCALE), *([control[:, None]] if options.control else [])]
        return np.concatenate(seen, axis=1)[dropped:]
