"""Mackey-Glass: forecast, or recall, a chaotic delay equation."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, ClassVar, Literal, cast

import numpy as np
from pydantic import BaseModel, Field, model_validator

from neuroanp.errors import InputError
from neuroanp.losses import mean_loss
from neuroanp.noise import Streams
from neuroanp.tasks.options import TaskOptions
from neuroanp.tasks.protocol import Batch, Held, HoldsOut
from neuroanp.tasks.scoring import nrmse

if TYPE_CHECKING:
    from neuroanp.tasks.protocol import Task

TRANSIENT = 500
"""Time units dropped at the start of a series, so that it has reached the attractor."""


def solve(
    history: np.ndarray, steps: int, *, tau: int = 17, beta: float = 0.2, gamma: float = 0.1, n: float = 10.0
) -> np.ndarray:
    """Integrate the Mackey-Glass equation by Euler's method.

        ds/dt = beta s(t - tau) / (1 + s(t - tau)^n) - gamma s(t)

    Args:
        history: s on [-tau, 0], (tau k + 1,): k substeps per time unit.
        steps: time units to integrate.
        tau, beta, gamma, n: the equation's constants; tau in time units.

    Returns: s at t = 1, 2, ..., steps; (steps,).

    Raises:
        ValueError: the history does not divide into tau time units.

    Source: Mackey and Glass, Science 197, 287 (1977), equation 4b.

    >>> solve(np.ones(171), 3)  # s = 1 is the fixed point, as beta / 2 = gamma
    array([1., 1., 1.])
    """
    substeps, rest = divmod(len(history) - 1, tau)
    if rest or substeps < 1:
        raise ValueError(f"the history must have tau k + 1 points with tau = {tau}, not {len(history)}")
    dt = 1.0 / substeps
    lag = tau * substeps
    s = [float(value) for value in history]  # Python floats: a scalar recursion is slower in numpy
    for i in range(lag, lag + steps * substeps):
        delayed = s[i - lag]
        s.append(s[i] + dt * (beta * delayed / (1.0 + delayed**n) - gamma * s[i]))
    return np.array(s[lag + substeps :: substeps])


class MackeyGlassConfig(TaskOptions):
    """Options of the Mackey-Glass task."""

    horizon: int = Field(default=15, ge=1, le=1_000, description="time units between input and target")
    direction: Literal["ahead", "recall"] = Field(
        default="ahead", description="ahead: the target lies `horizon` in the future; recall: in the past"
    )
    steps: int = Field(default=60, ge=2, le=100_000, description="steps of a sequence, one for each time unit")
    washout: int = Field(default=24, ge=0, description="first steps of a sequence that are not scored")
    train_length: int = Field(default=10_000, ge=100, le=10_000_000, description="time units of the training series")
    test_size: int = Field(default=128, ge=1, le=100_000, description="test sequences, cut from a series of their own")
    series_seed: int = Field(default=0, ge=0, description="seed of the histories that the two series start from")

    @model_validator(mode="after")
    def _fits(self) -> MackeyGlassConfig:
        if self.washout >= self.steps:
            raise ValueError(f"washout {self.washout} leaves none of the {self.steps} steps to score; lower washout")
        if self.train_length < self.steps + self.horizon:
            raise ValueError(
                f"train_length {self.train_length} is shorter than steps + horizon = {self.steps + self.horizon}"
            )
        return self


class MackeyGlass(HoldsOut):
    """Predict (or recall) the Mackey-Glass series.

    The series is tanh(s - 1), s sampled every time unit with 10 Euler substeps from a history of
    1.2 +- 0.1 (uniform), the first 500 units dropped, less the training series' mean. Training and
    test series start from different histories. Training sequences are cut at random places; test
    sequences lie so that their scored steps tile the test series.

    Args:
        options: the task's options.

    >>> task = MackeyGlass(MackeyGlassConfig(train_length=500, test_size=4))
    >>> batch = task.test(np.random.default_rng(0))
    >>> batch.inputs.shape, int(batch.mask.sum())
    ((60, 4, 1), 36)
    >>> bool((batch.targets[:-15] == batch.inputs[15:]).all())
    True
    """

    config: ClassVar[type[BaseModel]] = MackeyGlassConfig
    table: ClassVar[None] = None
    name = "mackey_glass"

    def __init__(self, options: MackeyGlassConfig) -> None:
        self.options, self.loss = options, options.made_loss()
        self.inputs = self.outputs = 1
        self.steps = options.steps
        self.forecast = options.direction == "ahead"
        self._stride = options.steps - options.washout
        length = (options.test_size - 1) * self._stride + options.steps + options.horizon
        train, test = self._series("train", options.train_length), self._series("test", length)
        self._train, self._test = train - train.mean(), test - train.mean()
        self._drawn = options.train_length

    def sample(self, rng: np.random.Generator, batch: int) -> Batch:
        """Draw `batch` windows of the training series."""
        places = self._drawn - self.options.steps - self.options.horizon + 1
        return self._cut(self._train, rng.integers(places, size=batch))

    def test(self, rng: np.random.Generator) -> Batch:
        """Return the windows that tile the test series; nothing is drawn."""
        return self._cut(self._test, np.arange(self.options.test_size) * self._stride)

    @property
    def spare(self) -> int:
        """How many validation sequences there can be, with half of the training series left to learn from."""
        options, beyond = self.options, self._beyond
        least = max(options.train_length // 2, options.steps + options.horizon)
        return max(0, (options.train_length - beyond - least) // self._stride)

    def hold_out(self, size: int) -> Held:
        """Keep the end of the training series: windows whose scored steps tile it, and whose inputs reach back before.

        Training sequences lie before it, inputs and targets.
        """
        options, rest = self.options, copy(self)
        kept = size * self._stride + self._beyond
        cut = options.train_length - kept  # the first scored target
        rest._learn_before(cut)
        first = cut - options.washout - (options.horizon if self.forecast else 0)
        where = f"the last {kept:,} of {options.train_length:,} time units"
        return Held(cast("Task", rest), self._cut(self._train, first + self._stride * np.arange(size)), where)

    def _learn_before(self, cut: int) -> None:
        self._drawn = cut

    @property
    def _beyond(self) -> int:
        """Time units that inputs reach beyond the last target."""
        return 0 if self.forecast else self.options.horizon

    def score(self, y: np.ndarray, batch: Batch) -> dict[str, float]:
        """Return `nrmse`, the root of the squared error relative to the targets' variance, and `loss`, the task's."""
        return {"nrmse": nrmse(y, batch), "loss": mean_loss(self.loss, y, batch)}

    def persistence(self, batch: Batch) -> np.ndarray | None:
        """Return the present value as the forecast, or None where the target is in the past."""
        return batch.inputs.copy() if self.forecast else None

    def fingerprint(self) -> str:
        """Return the empty string: the options say everything."""
        return ""

    def account(self) -> tuple[str, ...]:
        """Return (): the data are no file of a user's."""
        return ()

    def _series(self, part: str, length: int) -> np.ndarray:
        rng = Streams(self.options.series_seed).generator(f"mackey_glass/{part}")
        raw = solve(1.2 + rng.uniform(-0.1, 0.1, 171), TRANSIENT + length)
        series = np.tanh(raw[TRANSIENT:] - 1.0)
        if not np.isfinite(series).all():
            raise InputError("the Mackey-Glass series left the finite numbers; choose another series_seed")
        return series

    def _cut(self, series: np.ndarray, starts: np.ndarray) -> Batch:
        """Cut windows; `starts` (B,) is where the earlier of input and target begins."""
        options = self.options
        index = np.arange(options.steps)[:, None] + starts[None, :]
        early, late = series[index][:, :, None], series[index + options.horizon][:, :, None]
        inputs, targets = (early, late) if self.forecast else (late, early)
        return Batch(inputs, targets, (np.arange(options.steps) >= options.washout).astype(float))
