"""Constant: hold a number, from an input that is always 1."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import BaseModel, Field

from neuroanp.losses import mean_loss
from neuroanp.tasks.options import TaskOptions
from neuroanp.tasks.protocol import Batch


class ConstantConfig(TaskOptions):
    """Options of the constant task."""

    value: float = Field(default=1.0, ge=-1e3, le=1e3, description="the number to hold")
    steps: int = Field(default=50, ge=1, le=1_000_000, description="steps of a sequence")
    test_size: int = Field(default=4, ge=1, le=1_000_000, description="test sequences, all the same")


class Constant:
    """Hold a number: the least that can be learned, by a network of one weight.

        u_t = 1,   target_t = value

    The first example of arXiv 2410.13563: a parameter that learns where its target is.

    Args:
        options: the task's options.

    >>> task = Constant(ConstantConfig(value=0.5, steps=2, test_size=1))
    >>> batch = task.test(np.random.default_rng(0))
    >>> batch.inputs.flatten().tolist(), batch.targets.flatten().tolist()
    ([1.0, 1.0], [0.5, 0.5])
    """

    config: ClassVar[type[BaseModel]] = ConstantConfig
    table: ClassVar[None] = None
    name = "constant"
    forecast = False
    inputs, outputs = 1, 1

    def __init__(self, options: ConstantConfig) -> None:
        self.options, self.loss, self.steps = options, options.made_loss(), options.steps

    def sample(self, rng: np.random.Generator, batch: int) -> Batch:
        """Return `batch` sequences; nothing is drawn."""
        inputs = np.ones((self.steps, batch, 1))
        return Batch(inputs, self.options.value * inputs, np.ones(self.steps))

    def test(self, rng: np.random.Generator) -> Batch:
        """Return `test_size` sequences; nothing is drawn."""
        return self.sample(rng, self.options.test_size)

    def score(self, y: np.ndarray, batch: Batch) -> dict[str, float]:
        """Return `error`, the root of the mean squared error, and `loss`, the task's."""
        error = float(np.sqrt(np.mean((np.asarray(y, dtype=np.float64) - batch.targets) ** 2)))
        return {"error": error, "loss": mean_loss(self.loss, y, batch)}

    def persistence(self, batch: Batch) -> None:
        """Return None: there is no present value."""

    def fingerprint(self) -> str:
        """Return the empty string: the options say everything."""
        return ""

    def account(self) -> tuple[str, ...]:
        """Return (): the data are no file of a user's."""
        return ()
