"""Lorenz: forecast one coordinate of a chaotic flow from itself."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, ClassVar, NamedTuple, cast

import numpy as np
from pydantic import BaseModel, Field, model_validator

from neuroanp.losses import mean_loss
from neuroanp.noise import Streams
from neuroanp.tasks.options import TaskOptions
from neuroanp.tasks.protocol import Batch, Held, HoldsOut
from neuroanp.tasks.scoring import nrmse

if TYPE_CHECKING:
    from neuroanp.tasks.protocol import Task

TRANSIENT = 50.0
"""Time dropped at the start, so that the state has reached the attractor: the slowest rate of approach is near 1."""
LONGEST = 0.01
"""Longest step of the integrator: after a time of 1 a state is off by about 1e-4."""
SCALE = 20.0
"""What x is divided by: |x| stays below it on the attractor (19.52 at most in a time of 2e5)."""

State = tuple[float, float, float]


class Flow(NamedTuple):
    """The Lorenz equations, and one step of the classical Runge-Kutta method.

        dx/dt = sigma (y - x),   dy/dt = x (rho - z) - y,   dz/dt = x y - beta z

    Source: Lorenz, Journal of the Atmospheric Sciences 20, 130 (1963), equations 25 to 27.

    >>> Flow().rate((1.0, 1.0, 3.0))
    (0.0, 24.0, -7.0)
    """

    sigma: float = 10.0
    rho: float = 28.0
    beta: float = 8.0 / 3.0

    def rate(self, state: State) -> State:
        """Return the derivative at a state (x, y, z)."""
        x, y, z = state
        return self.sigma * (y - x), x * (self.rho - z) - y, x * y - self.beta * z

    def step(self, state: State, dt: float) -> State:
        """Return the state after a time dt, off by O(dt^5)."""
        a = self.rate(state)
        b = self.rate(_moved(state, a, dt / 2.0))
        c = self.rate(_moved(state, b, dt / 2.0))
        d = self.rate(_moved(state, c, dt))
        mean = tuple((a[i] + 2.0 * b[i] + 2.0 * c[i] + d[i]) / 6.0 for i in range(3))
        return _moved(state, mean, dt)


FLOW = Flow()
"""With Lorenz's constants: chaotic."""


def _moved(state: State, rate: tuple[float, ...], dt: float) -> State:
    return state[0] + dt * rate[0], state[1] + dt * rate[1], state[2] + dt * rate[2]


def solve(start: State, samples: int, interval: float, flow: Flow = FLOW) -> np.ndarray:
    """Integrate the Lorenz equations by steps of interval / k, the fewest that are no longer than LONGEST.

    Args:
        start: (x, y, z) at t = 0.
        samples: how many states to return.
        interval: time from one to the next.
        flow: the equations' constants.

    Returns: states at t = interval, 2 interval, ...; (samples, 3).

    >>> solve((0.0, 0.0, 1.0), 2, 0.05).round(4).tolist()  # on the z axis: exp(-8/3 t)
    [[0.0, 0.0, 0.8752], [0.0, 0.0, 0.7659]]
    """
    substeps = max(int(np.ceil(interval / LONGEST - 1e-9)), 1)
    dt, state, found = interval / substeps, start, []
    for _ in range(samples):
        for _ in range(substeps):  # Python floats: a recursion of three numbers is slower in numpy
            state = flow.step(state, dt)
        found.append(state)
    return np.array(found)


class LorenzConfig(TaskOptions):
    """Options of the Lorenz task."""

    horizon: int = Field(default=5, ge=1, le=1_000, description="samples between input and target")
    interval: float = Field(
        default=0.05, gt=0, le=1.0, allow_inf_nan=False, description="time from sample to sample, dimensionless"
    )
    steps: int = Field(default=60, ge=2, le=100_000, description="steps of a sequence, one for each sample")
    washout: int = Field(default=24, ge=0, description="first steps of a sequence that are not scored")
    train_length: int = Field(default=10_000, ge=100, le=1_000_000, description="samples of the training part")
    test_size: int = Field(
        default=128, ge=1, le=100_000, description="test sequences, cut from what follows the training part"
    )
    series_seed: int = Field(default=0, ge=0, description="seed of the state that the series starts from")

    @model_validator(mode="after")
    def _fits(self) -> LorenzConfig:
        if self.washout >= self.steps:
            raise ValueError(f"washout {self.washout} leaves none of the {self.steps} steps to score; lower washout")
        if self.train_length < self.steps + self.horizon:
            raise ValueError(
                f"train_length {self.train_length} is shorter than steps + horizon = {self.steps + self.horizon}"
            )
        return self


class Lorenz(HoldsOut):
    """Forecast the Lorenz system's x from its past.

        input_t = x(t interval) / 20,   target_t = input_{t + horizon}

    sigma 10, rho 28, beta 8/3; x alone is seen. One series: it starts near (1, 1, 1), a time of 50 is
    dropped, the training part follows, and after it in time the test part, with no sample in common.
    Training sequences are cut at random places; test sequences lie so that their scored steps tile the
    test part. Nearby states part by a factor e in a time of about 1.1: with the defaults the target lies
    0.25 ahead. The equations do not change with the signs of x and y, so that the mean of x is 0.

    Args:
        options: the task's options.

    Source: Lorenz, Journal of the Atmospheric Sciences 20, 130 (1963), equations 25 to 27.

    >>> task = Lorenz(LorenzConfig(train_length=500, test_size=4))
    >>> batch = task.test(np.random.default_rng(0))
    >>> batch.inputs.shape, int(batch.mask.sum())
    ((60, 4, 1), 36)
    >>> bool((batch.targets[:-5] == batch.inputs[5:]).all())
    True
    """

    config: ClassVar[type[BaseModel]] = LorenzConfig
    table: ClassVar[None] = None
    name = "lorenz"
    forecast = True
    inputs, outputs = 1, 1

    def __init__(self, options: LorenzConfig) -> None:
        self.options, self.loss, self.steps = options, options.made_loss(), options.steps
        self._stride = options.steps - options.washout
        tested = (options.test_size - 1) * self._stride + options.steps + options.horizon
        series = self._series(options.train_length + tested)
        self._train, self._test = np.split(series, [options.train_length])
        self._drawn = options.train_length

    def sample(self, rng: np.random.Generator, batch: int) -> Batch:
        """Draw `batch` windows of the training part."""
        places = self._drawn - self.options.steps - self.options.horizon + 1
        return self._cut(self._train, rng.integers(places, size=batch))

    def test(self, rng: np.random.Generator) -> Batch:
        """Return the windows that tile the test part; nothing is drawn."""
        return self._cut(self._test, np.arange(self.options.test_size) * self._stride)

    @property
    def spare(self) -> int:
        """How many validation sequences there can be, with half of the training part left to learn from."""
        options = self.options
        least = max(options.train_length // 2, options.steps + options.horizon)
        return max(0, (options.train_length - least) // self._stride)

    def hold_out(self, size: int) -> Held:
        """Keep the end of the training part: windows whose targets tile it, and whose inputs reach back before.

        Training sequences lie before it, inputs and targets.
        """
        options, rest = self.options, copy(self)
        kept = size * self._stride
        cut = options.train_length - kept  # the first scored target
        rest._learn_before(cut)
        first = cut - options.washout - options.horizon
        where = f"the last {kept:,} of {options.train_length:,} samples"
        return Held(cast("Task", rest), self._cut(self._train, first + self._stride * np.arange(size)), where)

    def _learn_before(self, cut: int) -> None:
        self._drawn = cut

    def score(self, y: np.ndarray, batch: Batch) -> dict[str, float]:
        """Return `nrmse`, the root of the squared error relative to the targets' variance, and `loss`, the task's."""
        return {"nrmse": nrmse(y, batch), "loss": mean_loss(self.loss, y, batch)}

    def persistence(self, batch: Batch) -> np.ndarray:
        """Return the present value as the forecast."""
        return batch.inputs.copy()

    def fingerprint(self) -> str:
        """Return the empty string: the options say everything."""
        return ""

    def account(self) -> tuple[str, ...]:
        """Return (): the data are no file of a user's."""
        return ()

    def _series(self, samples: int) -> np.ndarray:
        """Return x / SCALE, (samples,), on the attractor."""
        options = self.options
        x, y, z = 1.0 + Streams(options.series_seed).generator("lorenz").uniform(-0.1, 0.1, 3)
        dropped = int(np.ceil(TRANSIENT / options.interval))
        return solve((float(x), float(y), float(z)), dropped + samples, options.interval)[dropped:, 0] / SCALE

    def _cut(self, series: np.ndarray, starts: np.ndarray) -> Batch:
        """Cut windows that begin at `starts` (B,)."""
        options = self.options
        index = np.arange(options.steps)[:, None] + starts[None, :]
        inputs, targets = series[index][:, :, None], series[index + options.horizon][:, :, None]
        return Batch(inputs, targets, (np.arange(options.steps) >= options.washout).astype(float))
