"""Copy: remember a few symbols over a delay and give them back in order."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
from pydantic import BaseModel, Field, model_validator

from neuroanp.losses import mean_loss
from neuroanp.noise import Streams
from neuroanp.tasks.options import TaskOptions
from neuroanp.tasks.protocol import Batch

CUES = {"recall": (0, None), "start": (0, 1), "before": (-1, 0)}
"""Where the cue line is 1, in steps from the first recalled symbol (None: to the end)."""


class CopyConfig(TaskOptions):
    """Options of the copy task."""

    unsaid: ClassVar[frozenset[str]] = frozenset({"fresh_test"})

    length: int = Field(default=3, ge=1, le=10_000, description="symbols to remember (L)")
    delay: int = Field(default=3, ge=0, le=100_000, description="silent steps between the last symbol and recall (D)")
    symbols: int = Field(
        default=4, ge=2, le=1_000, description="kinds of symbol (S): S one-hot input lines and S outputs"
    )
    mode: Literal["fresh", "fixed"] = Field(
        default="fresh",
        description="fresh: new sequences in every batch; fixed: one, trained on and (unless fresh_test) tested",
    )
    fresh_test: bool = Field(
        default=False,
        description="with mode fixed: test on new sequences, and tell the scores of the one trained on beside theirs",
    )
    cue: Literal["recall", "start", "before"] = Field(
        default="recall",
        description="when the cue line is 1: through the whole recall, at its first step, or at the step before it",
    )
    test_size: int = Field(default=512, ge=1, le=1_000_000, description="test sequences")
    sequence_seed: int = Field(default=0, ge=0, description="which sequence mode 'fixed' repeats")

    @model_validator(mode="after")
    def _fresh_of_fixed(self) -> CopyConfig:
        if self.fresh_test and self.mode == "fresh":
            raise ValueError(
                "fresh_test goes with mode fixed; mode fresh is always tested on new sequences: leave it out"
            )
        return self


class Copy:
    """Give back a sequence of symbols after a delay.

    T = 2 L + D steps, S + 1 inputs (one-hot symbols and a cue line), S outputs. Symbols come in at
    steps 0 .. L-1; at the last L steps the targets are the same symbols, one-hot, and only these
    steps are scored.

    With mode "fixed" every update sees the same sequence, so that it can be learned by heart; with
    `fresh_test` it is tested whether anything else was learned. {length: 100, delay: 10, mode: fixed,
    fresh_test: true} in batches of 1 is the experiment of arXiv 2405.08967, whose code tests on the
    training sequence.

    Args:
        options: the task's options.

    >>> task = Copy(CopyConfig(length=2, delay=1, symbols=2))
    >>> batch = task.sample(np.random.default_rng(0), 1)
    >>> batch.inputs[:, 0].astype(int).tolist()
    [[0, 1, 0], [0, 1, 0], [0, 0, 0], [0, 0, 1], [0, 0, 1]]
    >>> batch.targets[:, 0].astype(int).tolist()
    [[0, 0], [0, 0], [0, 0], [0, 1], [0, 1]]
    """

    config: ClassVar[type[BaseModel]] = CopyConfig
    table: ClassVar[None] = None
    name = "copy"
    forecast = False

    def __init__(self, options: CopyConfig) -> None:
        self.options, self.loss = options, options.made_loss()
        self.inputs = options.symbols + 1
        self.outputs = options.symbols
        self.steps = 2 * options.length + options.delay
        fixed = Streams(options.sequence_seed).generator("copy")
        self._fixed = fixed.integers(options.symbols, size=(options.length, 1))

    def sample(self, rng: np.random.Generator, batch: int) -> Batch:
        """Draw `batch` training sequences (`batch` copies of the one sequence in mode "fixed")."""
        if self.options.mode == "fixed":
            return self._encode(np.repeat(self._fixed, batch, axis=1))
        return self._fresh(rng, batch)

    def test(self, rng: np.random.Generator) -> Batch:
        """Draw the test sequences; in mode "fixed" without `fresh_test` they all are the training sequence.

        Then they test memory alone; with it, the training sequence lies beside them.
        """
        options = self.options
        if not options.fresh_test:
            return self.sample(rng, options.test_size)
        return replace(self._fresh(rng, options.test_size), training=self._encode(self._fixed))

    def score(self, y: np.ndarray, batch: Batch) -> dict[str, float]:
        """Return `accuracy`, the share of symbols whose output is the largest, and `wrong_bits`.

        `wrong_bits` is the mean number, out of L S for each sequence, of outputs on the wrong side
        of 1/2 (of logits, their probabilities); `loss` the task's loss.
        """
        steps = batch.mask > 0
        got, target = y[steps], batch.targets[steps]
        hit = np.argmax(got, axis=-1) == np.argmax(target, axis=-1)
        wrong = (self.loss.as_targets(got) > 0.5) != (target > 0.5)
        return {
            "accuracy": float(np.mean(hit)),
            "wrong_bits": float(np.mean(np.sum(wrong, axis=(0, 2)))),
            "loss": mean_loss(self.loss, y, batch),
        }

    def persistence(self, batch: Batch) -> None:
        """Return None: nothing here goes on by itself."""

    def fingerprint(self) -> str:
        """Return the empty string: the options say everything."""
        return ""

    def account(self) -> tuple[str, ...]:
        """Return (): the data are no file of a user's."""
        return ()

    def _fresh(self, rng: np.random.Generator, batch: int) -> Batch:
        return self._encode(rng.integers(self.options.symbols, size=(self.options.length, batch)))

    def _encode(self, symbols: np.ndarray) -> Batch:
        """Turn symbols (L, B) into one-hot inputs, targets and the mask."""
        options = self.options
        first = options.length + options.delay
        one_hot = np.eye(options.symbols)[symbols]
        inputs = np.zeros((self.steps, symbols.shape[1], self.inputs))
        inputs[: options.length, :, :-1] = one_hot
        low, high = CUES[options.cue]
        inputs[first + low : self.steps if high is None else first + high, :, -1] = 1.0
        targets = np.zeros((self.steps, symbols.shape[1], self.outputs))
        targets[first:] = one_hot
        return Batch(inputs, targets, (np.arange(self.steps) >= first).astype(float))
