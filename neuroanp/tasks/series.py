"""Forecasts of one series: windows of it, the training part before the test part, and the end of it for validation."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from copy import copy
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
from pydantic import Field, model_validator

from neuroanp.losses import mean_loss
from neuroanp.tasks.options import TaskOptions
from neuroanp.tasks.protocol import Batch, Held, HoldsOut
from neuroanp.tasks.scoring import nrmse

if TYPE_CHECKING:
    from neuroanp.tasks.protocol import Task

State = tuple[float, ...]
Rate = Callable[[State], State]


def runge_kutta(rate: Rate, state: State, dt: float) -> State:
    """Return a state after a time dt, off by O(dt^5): one step of the classical Runge-Kutta method.

    Args:
        rate: dx/dt of a state. state: x. dt: the step, in units of the equations' time.

    >>> round(runge_kutta(lambda x: (-x[0],), (1.0,), 0.1)[0], 7)  # exp(-.1) = .9048374
    0.9048375
    """

    def moved(k: State, by: float) -> State:
        return tuple(x + by * slope for x, slope in zip(state, k, strict=True))

    a = rate(state)
    b = rate(moved(a, dt / 2.0))
    c = rate(moved(b, dt / 2.0))
    d = rate(moved(c, dt))
    mean = tuple((p + 2.0 * q + 2.0 * r + s) / 6.0 for p, q, r, s in zip(a, b, c, d, strict=True))
    return moved(mean, dt)


def sampled(rate: Callable[[int], Rate], start: State, samples: int, interval: float, longest: float) -> np.ndarray:
    """Integrate equations by steps of interval / k, the fewest that are no longer than `longest`.

    Args:
        rate: dx/dt between sample i and the next. start: the state at sample 0. samples: how many to return.
        interval: time from one sample to the next.

    Returns: states at samples 0, 1, ...; (samples, n).

    >>> sampled(lambda i: lambda x: (-x[0],), (1.0,), 3, 0.5, 0.05)[:, 0].round(5).tolist()
    [1.0, 0.60653, 0.36788]
    """
    substeps = max(int(np.ceil(interval / longest - 1e-9)), 1)
    dt, state, found = interval / substeps, start, [start]
    for i in range(samples - 1):
        now = rate(i)
        for _ in range(substeps):  # Python floats: a recursion of a few numbers is slower in numpy
            state = runge_kutta(now, state, dt)
        found.append(state)
    return np.array(found)


class SeriesConfig(TaskOptions):
    """Options of tasks that forecast one series."""

    horizon: int = Field(default=5, ge=1, le=1_000, description="samples between input and target")
    interval: float = Field(
        default=0.2, gt=0, le=1.0, allow_inf_nan=False, description="time from sample to sample, dimensionless"
    )
    steps: int = Field(default=60, ge=2, le=100_000, description="steps of a sequence, one for each sample")
    washout: int = Field(default=24, ge=0, description="first steps of a sequence that are not scored")
    train_length: int = Field(default=10_000, ge=100, le=1_000_000, description="samples of the training part")
    test_size: int = Field(
        default=128, ge=1, le=100_000, description="test sequences, cut from what follows the training part"
    )
    series_seed: int = Field(default=0, ge=0, description="seed of what is drawn of the series")

    @model_validator(mode="after")
    def _fits(self) -> SeriesConfig:
        if self.washout >= self.steps:
            raise ValueError(f"washout {self.washout} leaves none of the {self.steps} steps to score; lower washout")
        if self.train_length < self.steps + self.horizon:
            raise ValueError(
                f"train_length {self.train_length} is shorter than steps + horizon = {self.steps + self.horizon}"
            )
        return self


class SeriesForecast(HoldsOut):
    """Base of tasks that forecast one series of samples: a subclass gives `_series`, and how many are targets.

        input_t = s_t (all columns),   target_t = s_{t + horizon} (the first `outputs` columns)

    The training part comes first, and the test part after it in time, with no sample in common. Training sequences are
    cut at random places; test sequences lie so that their scored steps tile the test part.

    Args:
        options: the task's options.
    """

    table: ClassVar[None] = None
    forecast = True
    inputs: int
    outputs: int

    def __init__(self, options: Any) -> None:
        self.options, self.loss, self.steps = options, options.made_loss(), options.steps
        self._stride = options.steps - options.washout
        tested = (options.test_size - 1) * self._stride + options.steps + options.horizon
        series = self._series(options.train_length + tested)
        self._train, self._test = np.split(series, [options.train_length])
        self._drawn = options.train_length

    @abstractmethod
    def _series(self, samples: int) -> np.ndarray:
        """Return the series, (samples, inputs), within about [-1, 1]."""

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
        """Return the present values as the forecast."""
        return batch.inputs[..., : self.outputs].copy()

    def fingerprint(self) -> str:
        """Return the empty string: the options say everything."""
        return ""

    def account(self) -> tuple[str, ...]:
        """Return (): the data are no file of a user's."""
        return ()

    def _cut(self, series: np.ndarray, starts: np.ndarray) -> Batch:
        """Cut windows that begin at `starts` (B,)."""
        options = self.options
        index = np.arange(options.steps)[:, None] + starts[None, :]
        inputs, targets = series[index], series[index + options.horizon][..., : self.outputs]
        return Batch(inputs, targets, (np.arange(options.steps) >= options.washout).astype(float))
