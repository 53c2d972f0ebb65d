"""Temporal XOR: were two bits, one after the other, different?"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import BaseModel, Field

from neuroanp.tasks.protocol import Batch
from neuroanp.tasks.pulses import PulsesConfig, decision_scores, present


class TemporalXorConfig(PulsesConfig):
    """Options of the temporal XOR task; all lengths in steps."""

    draw: Literal["random", "balanced"] = Field(
        default="random",
        description="training bits: independent, or the four sequences equally often in every batch",
    )


class TemporalXor:
    """Tell whether two bits, given one after the other, differ.

    T = start + 2 pulse + gap + jitter + delay + window steps, 80 by default. A bit is a pulse on line 0
    (for bit 0) or line 1 (for bit 1); with `cue`, line 2 is 1 in the window. The one output must be +1 in
    the window where the bits differ, else -1; only the window is scored. No linear function of the inputs,
    however many steps it sees, gets more than three of the four sequences right.

    With `noise` both bits are hidden in Gaussian noise that never ends, with `jitter` they lie a varying
    time apart: without the two, a random network tells the four sequences apart, and a readout fitted to
    it answers right (see the control `ridge`). Noisy delayed XOR, short enough for networks of rates, is
    {start: 0, pulse: 2, gap: 2, jitter: 3, delay: 4, window: 3, cue: true, noise: 0.2}.

    The test sequences are the four sequences in turn; nothing is drawn but jitter and noise.

    Args:
        options: the task's options.

    >>> task = TemporalXor(TemporalXorConfig(test_size=4))
    >>> task.steps, task.inputs, task.outputs
    (80, 2, 1)
    >>> task.test(np.random.default_rng(0)).targets[-1, :, 0].tolist()  # 00, 01, 10, 11
    [-1.0, 1.0, 1.0, -1.0]
    """

    config: ClassVar[type[BaseModel]] = TemporalXorConfig
    table: ClassVar[None] = None
    name = "xor"
    forecast = False

    def __init__(self, options: TemporalXorConfig) -> None:
        self.options, self.loss = options, options.made_loss()
        self.inputs, self.outputs, self.steps = 2 + options.cue, 1, options.steps

    def sample(self, rng: np.random.Generator, batch: int) -> Batch:
        """Draw `batch` training sequences."""
        if self.options.draw == "random":
            return self._encode(rng.integers(2, size=(2, batch)), rng)
        # the sequences that a batch not divisible by four holds once more change from batch to batch
        return self._encode(_bits(rng.permutation(4)[np.arange(batch) % 4]), rng)

    def test(self, rng: np.random.Generator) -> Batch:
        """Return the four sequences in turn, `test_size` in all."""
        return self._encode(_bits(np.arange(self.options.test_size) % 4), rng)

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

    def _encode(self, bits: np.ndarray, rng: np.random.Generator) -> Batch:
        """Turn bits (2, B) into pulses and answers."""
        return present(bits, 2, np.where(bits[0] != bits[1], 1.0, -1.0), self.options, rng)


def _bits(codes: np.ndarray) -> np.ndarray:
    """Return the two bits (2, B) of numbers 0 .. 3, the higher one first."""
    return np.stack([codes // 2, codes % 2])
