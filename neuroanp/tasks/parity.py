"""Parity: at every step, is the number of -1 among a few of the last bits even?"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import BaseModel, Field, model_validator

from neuroanp.losses import mean_loss
from neuroanp.tasks.options import TaskOptions
from neuroanp.tasks.protocol import Batch


class ParityConfig(TaskOptions):
    """Options of the parity task."""

    length: int = Field(default=24, ge=2, le=100_000, description="bits of a sequence")
    window: int = Field(default=3, ge=2, le=1_000, description="bits in the product (w): the order of the parity")
    delay: int = Field(
        default=2, ge=0, le=100_000, description="bits between the last one of the product and the present one (d)"
    )
    hold: int = Field(default=1, ge=1, le=10_000, description="steps that each bit lasts")
    test_size: int = Field(default=512, ge=1, le=1_000_000, description="test sequences")

    @model_validator(mode="after")
    def _defined(self) -> ParityConfig:
        if self.first >= self.length:
            raise ValueError(
                f"no product of {self.window} bits ending {self.delay} bits ago lies within {self.length} bits: "
                f"window + delay must be at most length; lower window or delay, or set length: {self.first + 1}"
            )
        return self

    @property
    def first(self) -> int:
        """The first bit at which the product is defined, counted from 0."""
        return self.window + self.delay - 1


class TemporalParity:
    """Give the parity of the last bits of a random stream.

        target_k = prod_{j=0}^{w-1} b_{k-d-j}

    The input is a stream of independent, equally probable bits b = +1 or -1, each for `hold` steps; the
    target, +1 or -1 too, is scored from where it is defined on (bit w + d - 1). It is uncorrelated with
    each single bit and with every product of fewer of them: a linear model of the inputs, of however many
    steps, gets nothing, and the loss of the best one is that of the constant 0, which is 1.

    Args:
        options: the task's options.

    Source: Bertschinger and Natschlaeger, Neural Computation 16, 1413 (2004): parity of the bits of three
    steps, a delay ago.

    >>> task = TemporalParity(ParityConfig(length=5, window=2, delay=1))
    >>> batch = task.sample(np.random.default_rng(0), 1)
    >>> batch.inputs[:, 0, 0].astype(int).tolist()
    [-1, -1, -1, 1, 1]
    >>> batch.targets[:, 0, 0].astype(int).tolist(), batch.mask.astype(int).tolist()
    ([0, 0, 1, 1, -1], [0, 0, 1, 1, 1])
    """

    config: ClassVar[type[BaseModel]] = ParityConfig
    table: ClassVar[None] = None
    name = "parity"
    forecast = False

    def __init__(self, options: ParityConfig) -> None:
        self.options, self.loss = options, options.made_loss()
        self.inputs = self.outputs = 1
        self.steps = options.length * options.hold

    def sample(self, rng: np.random.Generator, batch: int) -> Batch:
        """Draw `batch` streams."""
        options = self.options
        bits = 1.0 - 2.0 * rng.integers(2, size=(options.length, batch))
        targets = np.zeros_like(bits)
        targets[options.first :] = products(bits, options.window)[: options.length - options.first]
        scored = np.arange(options.length) >= options.first
        inputs, targets, mask = (np.repeat(part, options.hold, axis=0) for part in (bits, targets, scored))
        return Batch(inputs[:, :, None], targets[:, :, None], mask.astype(float))

    def test(self, rng: np.random.Generator) -> Batch:
        """Draw the test streams."""
        return self.sample(rng, self.options.test_size)

    def score(self, y: np.ndarray, batch: Batch) -> dict[str, float]:
        """Return `accuracy`, the share of scored steps with the right sign (0 has none), and `loss`, the task's."""
        steps = batch.mask > 0
        right = y[steps] * batch.targets[steps] > 0
        return {"accuracy": float(np.mean(right)), "loss": mean_loss(self.loss, y, batch)}

    def persistence(self, batch: Batch) -> None:
        """Return None: the inputs do not hold the present value."""

    def fingerprint(self) -> str:
        """Return the empty string: the options say everything."""
        return ""

    def account(self) -> tuple[str, ...]:
        """Return (): the data are no file of a user's."""
        return ()


def products(bits: np.ndarray, window: int) -> np.ndarray:
    """Return the product of each `window` bits in a row.

        out_k = prod_{j=0}^{window-1} b_{k+j} = P_{k+window} P_k,   P_k = prod_{i<k} b_i

    The second form holds because the square of +1 and of -1 is 1: its cost does not grow with the window.

    Args:
        bits: +1 or -1, (T, B).
        window: at most T.

    Returns: (T - window + 1, B).

    >>> products(np.array([[1.0], [-1.0], [-1.0], [1.0]]), 2).ravel().tolist()
    [-1.0, 1.0, -1.0]
    """
    before = np.cumprod(np.concatenate([np.ones_like(bits[:1]), bits]), axis=0)
    return before[window:] * before[:-window]
