"""Rossler: forecast one coordinate of a flow that is nearly periodic, and chaotic."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import BaseModel

from neuroanp.noise import Streams
from neuroanp.tasks.series import SeriesConfig, SeriesForecast, State, sampled

A, B, C = 0.2, 0.2, 5.7
"""Rossler's constants: chaotic."""
TRANSIENT = 200.0
"""Time dropped at the start: about 34 turns."""
LONGEST = 0.02
"""Longest step of the integrator: after a time of 1 a state is off by about 2e-8."""
SCALE = 12.0
"""What x is divided by: |x| stays below it on the attractor (11.43 at most in a time of 1e5)."""


def rate(state: State) -> State:
    """Return the derivative at a state (x, y, z).

        dx/dt = -y - z,   dy/dt = x + a y,   dz/dt = b + z (x - c)

    Source: Rossler, Physics Letters A 57, 397 (1976), equation 2.

    >>> [round(slope, 6) for slope in rate((1.0, 2.0, 1.0))]
    [-3.0, 1.4, -4.5]
    """
    x, y, z = state
    return -y - z, x + A * y, B + z * (x - C)


class RosslerConfig(SeriesConfig):
    """Options of the Rossler task."""


class Rossler(SeriesForecast):
    """Forecast the Rossler system's x from its past.

        input_t = x(t interval) / 12,   target_t = input_{t + horizon}

    a = b = 0.2, c = 5.7; x alone is seen. One series: it starts near (1, 1, 1), a time of 200 is dropped, the training
    part follows, and after it in time the test part. A turn takes a time of about 5.9, and nearby states part by a
    factor e in about 14: with the defaults the target lies 1 ahead.

    Args:
        options: the task's options.

    Source: Rossler, Physics Letters A 57, 397 (1976).

    >>> task = Rossler(RosslerConfig(train_length=500, test_size=4))
    >>> batch = task.test(np.random.default_rng(0))
    >>> batch.inputs.shape, bool((batch.targets[:-5] == batch.inputs[5:]).all())
    ((60, 4, 1), True)
    """

    config: ClassVar[type[BaseModel]] = RosslerConfig
    name = "rossler"
    inputs, outputs = 1, 1

    def _series(self, samples: int) -> np.ndarray:
        """Return x / SCALE, (samples, 1), on the attractor."""
        x, y, z = 1.0 + Streams(self.options.series_seed).generator("rossler").uniform(-0.1, 0.1, 3)
        dropped = int(np.ceil(TRANSIENT / self.options.interval))
        start = (float(x), float(y), float(z))
        states = sampled(lambda i: rate, start, dropped + samples, self.options.interval, LONGEST)
        return states[dropped:, :1] / SCALE
