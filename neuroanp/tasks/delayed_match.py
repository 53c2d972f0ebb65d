"""Delayed match: is the second symbol the same as the first, seen some time ago?"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import BaseModel, Field

from neuroanp.tasks.protocol import Batch
from neuroanp.tasks.pulses import PulsesConfig, decision_scores, present


class DelayedMatchConfig(PulsesConfig):
    """Options of the delayed-match task; all lengths in steps."""

    symbols: int = Field(default=4, ge=2, le=1_000, description="kinds of symbol (S), one input line each")
    start: int = Field(default=5, ge=0, le=100_000, description="silent steps before the first symbol")
    gap: int = Field(default=25, ge=0, le=100_000, description="silent steps between the two symbols")
    delay: int = Field(default=0, ge=0, le=100_000, description="silent steps between the second symbol and the window")


class DelayedMatch:
    """Tell whether two symbols, a delay apart, are the same.

    T = start + 2 pulse + gap + jitter + delay + window steps, 80 by default; S inputs (a pulse on the
    symbol's line, and noise if there is any), and with `cue` one more, 1 in the window. The one output
    must be +1 in the window for a match, else -1; only the window is scored. Half of the trials match, in
    expectation in training and exactly (to one trial) in the test; the others are spread evenly over the
    pairs of unequal symbols.

    With two symbols this is temporal XOR with the answers exchanged; with more, one must remember
    which symbol it was.

    Args:
        options: the task's options.

    >>> task = DelayedMatch(DelayedMatchConfig(symbols=3, test_size=4))
    >>> batch = task.test(np.random.default_rng(0))
    >>> batch.inputs[[5, 45], :, :3].argmax(axis=-1).tolist()  # first symbols, second symbols
    [[0, 0, 1, 1], [0, 1, 1, 2]]
    >>> batch.targets[-1, :, 0].tolist()
    [1.0, -1.0, 1.0, -1.0]
    """

    config: ClassVar[type[BaseModel]] = DelayedMatchConfig
    table: ClassVar[None] = None
    name = "delayed_match"
    forecast = False

    def __init__(self, options: DelayedMatchConfig) -> None:
        self.options, self.loss = options, options.made_loss()
        self.inputs, self.outputs, self.steps = options.symbols + options.cue, 1, options.steps

    def sample(self, rng: np.random.Generator, batch: int) -> Batch:
        """Draw `batch` training sequences."""
        S = self.options.symbols
        first = rng.integers(S, size=batch)
        match = rng.integers(2, size=batch) == 1
        shift = rng.integers(1, S, size=batch)
        return self._encode(first, np.where(match, 0, shift), rng)

    def test(self, rng: np.random.Generator) -> Batch:
        """Return all pairs in turn, a match every other trial, `test_size` in all; jitter and noise are drawn."""
        S, trial = self.options.symbols, np.arange(self.options.test_size)
        pair = trial // 2
        return self._encode(pair % S, np.where(trial % 2 == 0, 0, 1 + pair // S % (S - 1)), rng)

    def score(self, y: np.ndarray, batch: Batch) -> dict[str, float]:
        """Return `accuracy`, the share of right signs of the output's mean over the window, and `loss`."""
        return decision_scores(y, batch, self.loss)

    def persistence(self, batch: Batch) -> None:
        """Return None: nothing here goes on by itself."""

    def fingerprint(self) -> str:
        """Return the empty string: the options say everything."""
        return ""

    def account(self) -> tuple[str, ...]:
        """Return (): the data are no file of a user's."""
        return ()

    def _encode(self, first: np.ndarray, shift: np.ndarray, rng: np.random.Generator) -> Batch:
        """Present symbol `first` (B,) and then the one `shift` (B,) places on; 0 is a match."""
        S = self.options.symbols
        return present(np.stack([first, (first + shift) % S]), S, np.where(shift == 0, 1.0, -1.0), self.options, rng)
