"""Sine: after a go signal, produce a sine that the inputs name but do not contain."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, Field, model_validator

from neuroanp.losses import mean_loss
from neuroanp.tasks.options import TaskOptions
from neuroanp.tasks.protocol import Batch
from neuroanp.tasks.scoring import nrmse

Period = Annotated[float, Field(gt=2, le=1e6, allow_inf_nan=False)]


class SineConfig(TaskOptions):
    """Options of the sine task."""

    steps: int = Field(default=200, ge=3, le=1_000_000, description="steps of a sequence")
    onset: int = Field(
        default=20, ge=1, description="first steps: the start line is 1, and nothing is scored; the sine starts after"
    )
    periods: tuple[Period, ...] = Field(
        default=(90.0,),
        min_length=1,
        max_length=1_000,
        description="period of each sine, in steps; one context line each",
    )
    combine: Literal["one", "sum"] = Field(
        default="one",
        description="one: a sequence asks for one of the sines; sum: for the mean of all of them",
    )
    context: Literal["constant", "pulse"] = Field(
        default="constant", description="the context line is 1 all the time, or during the onset only"
    )
    test_size: int = Field(default=64, ge=1, le=1_000_000, description="test sequences")

    @model_validator(mode="after")
    def _scores_two_steps(self) -> SineConfig:
        if self.steps - self.onset < 2:
            raise ValueError(f"onset {self.onset} leaves fewer than 2 of the {self.steps} steps to score; lower onset")
        return self


class Sine:
    """Produce a sine after a go signal.

        target_t = sin(2 pi (t - onset) / P)   for t >= onset

    One input line for each period P, which says what to produce, and a start line, 1 during the onset.
    The output is 0 and unscored during the onset. Nothing in the input oscillates: the network must.
    With "one", each sequence's period is drawn from `periods` in training and taken in turn in the
    test; with a single period (the default) all sequences are the same. "sum" asks for the mean of
    all sines, and all sequences are the same.

    Args:
        options: the task's options.

    >>> task = Sine(SineConfig(steps=6, onset=2, periods=(4,), test_size=1))
    >>> batch = task.test(np.random.default_rng(0))
    >>> batch.inputs[:, 0].astype(int).tolist()
    [[1, 1], [1, 1], [1, 0], [1, 0], [1, 0], [1, 0]]
    >>> batch.targets[:, 0, 0].round(12).tolist()
    [0.0, 0.0, 0.0, 1.0, 0.0, -1.0]
    """

    config: ClassVar[type[BaseModel]] = SineConfig
    table: ClassVar[None] = None
    name = "sine"
    forecast = False

    def __init__(self, options: SineConfig) -> None:
        self.options, self.loss = options, options.made_loss()
        self.inputs, self.outputs, self.steps = len(options.periods) + 1, 1, options.steps
        time = np.maximum(np.arange(options.steps) - options.onset, 0)
        self._sines = np.sin(2.0 * np.pi * time[:, None] / np.array(options.periods))

    def sample(self, rng: np.random.Generator, batch: int) -> Batch:
        """Draw `batch` training sequences: which of the periods each one asks for."""
        return self._encode(rng.integers(len(self.options.periods), size=batch))

    def test(self, rng: np.random.Generator) -> Batch:
        """Return `test_size` sequences with the periods in turn; nothing is drawn."""
        return self._encode(np.arange(self.options.test_size) % len(self.options.periods))

    def score(self, y: np.ndarray, batch: Batch) -> dict[str, float]:
        """Return `nrmse`, the root of the squared error relative to the targets' variance, and `loss`, the task's."""
        return {"nrmse": nrmse(y, batch), "loss": mean_loss(self.loss, y, batch)}

    def persistence(self, batch: Batch) -> None:
        """Return None: the inputs do not hold the present value."""

    def fingerprint(self) -> str:
        """Return the empty string: the options say everything."""
        return ""

    def account(self) -> tuple[str, ...]:
        """Return (): the data are no file of a user's."""
        return ()

    def _encode(self, which: np.ndarray) -> Batch:
        """Turn the number of the sine asked for (B,) into inputs, targets and the mask."""
        options = self.options
        n = len(options.periods)
        asked = np.eye(n)[which] if options.combine == "one" else np.ones((len(which), n))
        inputs = np.zeros((self.steps, len(which), self.inputs))
        inputs[: options.onset if options.context == "pulse" else None, :, :-1] = asked
        inputs[: options.onset, :, -1] = 1.0
        targets = self._sines @ (asked / asked.sum(axis=1, keepdims=True)).T
        return Batch(inputs, targets[:, :, None], (np.arange(self.steps) >= options.onset).astype(float))
