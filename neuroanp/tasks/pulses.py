"""Two symbols, one pulse after the other, and one decision at the end: what XOR and delayed match share."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from neuroanp.losses import Loss, mean_loss
from neuroanp.tasks.options import TaskOptions
from neuroanp.tasks.protocol import Batch


class PulsesConfig(TaskOptions):
    """Lengths, in steps, of a trial with two pulses: start, pulse, gap, pulse, delay, window."""

    start: int = Field(default=20, ge=0, le=100_000, description="silent steps before the first pulse")
    pulse: int = Field(default=15, ge=1, le=100_000, description="steps of each of the two pulses")
    gap: int = Field(default=5, ge=0, le=100_000, description="silent steps between the two pulses")
    delay: int = Field(default=5, ge=0, le=100_000, description="silent steps between the second pulse and the window")
    window: int = Field(default=20, ge=1, le=100_000, description="scored steps at the end")
    cue: bool = Field(default=False, description="one more input line, 1 in the window")
    test_size: int = Field(default=128, ge=1, le=1_000_000, description="test sequences")

    @property
    def steps(self) -> int:
        """T, the sum of all lengths."""
        return self.start + 2 * self.pulse + self.gap + self.delay + self.window


def present(symbols: np.ndarray, kinds: int, answers: np.ndarray, layout: PulsesConfig) -> Batch:
    """Turn two symbols and the right answer into a batch.

    A symbol is a pulse of 1 on its own input line; the last line is the cue, if there is one. The target is the answer
    in the window, and 0 (unscored) before it.

    Args:
        symbols: 0 .. kinds-1, (2, B).
        kinds: number of symbol lines S.
        answers: +1 or -1, (B,).
        layout: the lengths.

    Returns: inputs (T, B, S), or S + 1 with the cue, targets (T, B, 1), mask (T,).

    >>> layout = PulsesConfig(start=1, pulse=1, gap=1, delay=0, window=2, cue=True)
    >>> batch = present(np.array([[0], [1]]), 2, np.array([1.0]), layout)
    >>> batch.inputs[:, 0].astype(int).tolist()
    [[0, 0, 0], [1, 0, 0], [0, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]]
    >>> batch.targets[:, 0, 0].astype(int).tolist()
    [0, 0, 0, 0, 1, 1]
    """
    first = layout.start
    second = first + layout.pulse + layout.gap
    inputs = np.zeros((layout.steps, symbols.shape[1], kinds + layout.cue))
    for begin, symbol in zip((first, second), symbols, strict=True):
        inputs[begin : begin + layout.pulse, :, :kinds] = np.eye(kinds)[symbol]
    scored = np.arange(layout.steps) >= layout.steps - layout.window
    if layout.cue:
        inputs[scored, :, -1] = 1.0
    targets = scored[:, None, None] * answers[None, :, None]
    return Batch(inputs, targets, scored.astype(float))


def decision_scores(y: np.ndarray, batch: Batch, loss: Loss) -> dict[str, float]:
    """Return `accuracy` and `loss` of one output whose sign is the answer.

    The decision is the sign of the output's mean over the scored steps; 0 decides nothing and is wrong.

    Args:
        y: outputs, (T, B, 1).
        batch: the sequences.
        loss: the task's.

    >>> from neuroanp.losses import SQUARED_ERROR
    >>> batch = Batch(np.zeros((2, 2, 1)), np.array([[[1.0], [-1.0]]] * 2), np.ones(2))
    >>> decision_scores(np.array([[[3.0], [1.0]], [[-1.0], [1.0]]]), batch, SQUARED_ERROR)
    {'accuracy': 0.5, 'loss': 4.0}
    """
    steps = batch.mask > 0
    got, target = y[steps].mean(axis=0), batch.targets[steps].mean(axis=0)
    return {"accuracy": float(np.mean(got * target > 0)), "loss": mean_loss(loss, y, batch)}
