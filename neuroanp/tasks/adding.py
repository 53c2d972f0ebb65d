"""Adding: the sum of two marked numbers out of many, at the end of the sequence."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import BaseModel, Field

from neuroanp.losses import mean_loss
from neuroanp.tasks.options import TaskOptions
from neuroanp.tasks.protocol import Batch
from neuroanp.tasks.scoring import nrmse


class AddingConfig(TaskOptions):
    """Options of the adding task."""

    length: int = Field(default=20, ge=2, le=100_000, description="numbers of a sequence, one a step (T)")
    test_size: int = Field(default=1024, ge=2, le=1_000_000, description="test sequences")


class Adding:
    """Add two marked numbers of a sequence.

        target = v_i + v_j - 1,   i < T/2 <= j

    Two inputs: a number v_t, uniform in [0, 1), and a mark, 1 at steps i and j and 0 at all others. i is
    drawn from the first half of the steps (F = floor(T/2) of them), j from the second (S = T - F), all
    alike probable. The one output is scored at the last step alone. The target lies in [-1, 1) and has
    mean 0, and losses are known in closed form:

        constant               2/12 = 1/6, the variance
        all inputs, linearly   1/6 - (1/F + 1/S) / 12

    A linear model can but add 1/F or 1/S of every number: which one counts is told by a product.

    Args:
        options: the task's options.

    Source: Hochreiter and Schmidhuber, Neural Computation 9, 1735 (1997), experiment 4; numbers, halves
    and the last step as in Le, Jaitly and Hinton, arXiv 1504.00941 (2015), section 4.1, whose target is
    the sum itself.

    >>> task = Adding(AddingConfig(length=4))
    >>> batch = task.sample(np.random.default_rng(0), 1)
    >>> batch.inputs[:, 0].round(2).tolist()
    [[0.64, 1.0], [0.27, 0.0], [0.04, 0.0], [0.02, 1.0]]
    >>> batch.targets[:, 0, 0].round(2).tolist(), batch.mask.tolist()
    ([0.0, 0.0, 0.0, -0.35], [0.0, 0.0, 0.0, 1.0])
    """

    config: ClassVar[type[BaseModel]] = AddingConfig
    table: ClassVar[None] = None
    name = "adding"
    forecast = False
    inputs, outputs = 2, 1

    def __init__(self, options: AddingConfig) -> None:
        self.options, self.loss = options, options.made_loss()
        self.steps = options.length

    def sample(self, rng: np.random.Generator, batch: int) -> Batch:
        """Draw `batch` sequences: the numbers, then the two marks."""
        T, each = self.steps, np.arange(batch)
        values = rng.random((T, batch))
        marked = (rng.integers(T // 2, size=batch), rng.integers(T // 2, T, size=batch))
        inputs = np.zeros((T, batch, 2))
        inputs[:, :, 0] = values
        for steps in marked:
            inputs[steps, each, 1] = 1.0
        targets = np.zeros((T, batch, 1))
        targets[-1, :, 0] = sum(values[steps, each] for steps in marked) - 1.0
        return Batch(inputs, targets, (np.arange(T) == T - 1).astype(float))

    def test(self, rng: np.random.Generator) -> Batch:
        """Draw the test sequences."""
        return self.sample(rng, self.options.test_size)

    def score(self, y: np.ndarray, batch: Batch) -> dict[str, float]:
        """Return `nrmse`, the root of the squared error relative to the targets' variance, and `loss`, the task's."""
        return {"nrmse": nrmse(y, batch), "loss": mean_loss(self.loss, y, batch)}

    def persistence(self, batch: Batch) -> None:
        """Return None: nothing here goes on by itself."""

    def fingerprint(self) -> str:
        """Return the empty string: the options say everything."""
        return ""

    def account(self) -> tuple[str, ...]:
        """Return (): the data are no file of a user's."""
        return ()
