"""Addition: read two whole numbers digit by digit and write their sum."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import BaseModel, Field

from neuroanp.tasks.options import TaskOptions
from neuroanp.tasks.protocol import Batch
from neuroanp.tasks.sequences import recall, symbol_scores


class AdditionConfig(TaskOptions):
    """Options of the addition task."""

    digits: int = Field(default=2, ge=1, le=10_000, description="digits of each number (N); the sum has one more")
    base: int = Field(default=10, ge=2, le=1_000, description="of the digits (S): S one-hot input lines, S outputs")
    first: Literal["most", "least"] = Field(
        default="most", description="the digit that comes first, shown and asked for: the most significant, as numbers "
        "are written, or the least, as they are added",
    )  # fmt: skip
    delay: int = Field(default=0, ge=0, le=100_000, description="silent steps between the last digit and the sum (D)")
    test_size: int = Field(default=512, ge=1, le=1_000_000, description="test sequences")


class Addition:
    """Add two numbers of N digits, each uniform from 0 to S^N - 1.

    T = 3 N + 2 + D steps: N digits, a step at which the line "plus" is 1, N digits, D silent steps, and N + 1 steps at
    which the cue line is 1 and the digits of the sum are asked for, zeros in front included; they alone are scored.
    S + 2 inputs (one-hot digits, plus, cue), S outputs. Fresh numbers in every batch. Where the least digit comes first
    a carry is all that has to be remembered from one digit of the sum to the next.

    Args:
        options: the task's options.

    >>> task = Addition(AdditionConfig(digits=2, base=10))
    >>> batch = task.encode(np.array([[8], [7]]), np.array([[2], [5]]))  # 87 + 25
    >>> batch.targets[-3:, 0].argmax(-1)
    array([1, 1, 2])
    >>> batch.inputs[:, 0, -2].astype(int)
    array([0, 0, 1, 0, 0, 0, 0, 0])

    Source: one of the tasks of arXiv 2505.17852, whose code adds up digits; numbers of several digits are ours.
    """

    config: ClassVar[type[BaseModel]] = AdditionConfig
    table: ClassVar[None] = None
    name = "addition"
    forecast = False

    def __init__(self, options: AdditionConfig) -> None:
        self.options, self.loss = options, options.made_loss()
        self.inputs, self.outputs = options.base + 2, options.base
        self.steps = 3 * options.digits + 2 + options.delay

    def sample(self, rng: np.random.Generator, batch: int) -> Batch:
        """Draw `batch` training sequences."""
        size = (2, self.options.digits, batch)
        return self.encode(*rng.integers(self.options.base, size=size))

    def test(self, rng: np.random.Generator) -> Batch:
        """Draw the test sequences."""
        return self.sample(rng, self.options.test_size)

    def encode(self, a: np.ndarray, b: np.ndarray) -> Batch:
        """Return the sequences of numbers by their digits (N, B), in the order in which they are shown."""
        N, base, one_hot = self.options.digits, self.options.base, np.eye(self.options.base)
        inputs = np.zeros((self.steps, a.shape[1], self.inputs))
        inputs[:N, :, :base], inputs[N + 1 : 2 * N + 1, :, :base] = one_hot[a], one_hot[b]
        inputs[N, :, base] = 1.0
        return recall(inputs, self.sums(a, b), base)

    def sums(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Return the digits (N + 1, B) of the sums of numbers by their digits (N, B), in the order of these."""
        least = slice(None, None, -1 if self.options.first == "most" else 1)
        carry, found = np.zeros_like(a[0]), []
        for total in a[least] + b[least]:
            carry, digit = np.divmod(total + carry, self.options.base)
            found.append(digit)
        return np.stack([*found, carry])[least]

    def score(self, y: np.ndarray, batch: Batch) -> dict[str, float]:
        """Return `accuracy` and `exact`, of digits and of whole sums, and the task's `loss`; see `symbol_scores`."""
        return symbol_scores(y, batch, self.loss)

    def persistence(self, batch: Batch) -> None:
        """Return None: nothing here goes on by itself."""

    def fingerprint(self) -> str:
        """Return the empty string: the options say everything."""
        return ""

    def account(self) -> tuple[str, ...]:
        """Return (): the data are no file of a user's."""
        return ()
