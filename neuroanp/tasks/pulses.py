"""Two symbols, one pulse after the other, and one decision at the end: what XOR and delayed match share."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from neuroanp.losses import Loss, mean_loss
from neuroanp.tasks.options import TaskOptions
from neuroanp.tasks.protocol import Batch


class PulsesConfig(TaskOptions):
    """Lengths, in steps, of a trial with two pulses: start, pulse, gap, pulse, delay, window; and what hides them."""

    unsaid: ClassVar[frozenset[str]] = frozenset({"jitter", "noise"})

    start: int = Field(default=20, ge=0, le=100_000, description="silent steps before the first pulse")
    pulse: int = Field(default=15, ge=1, le=100_000, description="steps of each of the two pulses")
    gap: int = Field(default=5, ge=0, le=100_000, description="silent steps between the two pulses")
    delay: int = Field(default=5, ge=0, le=100_000, description="silent steps between the second pulse and the window")
    window: int = Field(default=20, ge=1, le=100_000, description="scored steps at the end")
    cue: bool = Field(default=False, description="one more input line, 1 in the window")
    jitter: int = Field(
        default=0, ge=0, le=100_000, description="the gap is longer by 0 to so many steps, drawn for each sequence"
    )
    noise: float = Field(
        default=0.0,
        ge=0,
        le=1e3,
        allow_inf_nan=False,
        description="standard deviation of the Gaussian noise on the symbols' lines, drawn anew at every step",
    )
    test_size: int = Field(default=128, ge=1, le=1_000_000, description="test sequences")

    @property
    def steps(self) -> int:
        """T, the sum of all lengths, the gap at its longest."""
        return self.start + 2 * self.pulse + self.gap + self.jitter + self.delay + self.window


def present(
    symbols: np.ndarray, kinds: int, answers: np.ndarray, layout: PulsesConfig, rng: np.random.Generator
) -> Batch:
    """Turn two symbols and the right answer into a batch.

        u_t = sum of the pulses at t + noise xi_t,   xi_t standard normal

    A symbol is a pulse of 1 on its own input line; the last line is the cue, if there is one. The target is the answer
    in the window, and 0 (unscored) before it. With jitter j the second pulse comes 0 to j steps later, and so much
    earlier before the window.

    Args:
        symbols: 0 .. kinds-1, (2, B).
        kinds: number of symbol lines S.
        answers: +1 or -1, (B,).
        layout: the lengths.
        rng: where jitter and then noise are drawn from, each only if it is not 0.

    Returns: inputs (T, B, S), or S + 1 with the cue, targets (T, B, 1), mask (T,).

    >>> layout = PulsesConfig(start=1, pulse=1, gap=1, delay=0, window=2, cue=True)
    >>> batch = present(np.array([[0], [1]]), 2, np.array([1.0]), layout, np.random.default_rng(0))
    >>> batch.inputs[:, 0].astype(int).tolist()
    [[0, 0, 0], [1, 0, 0], [0, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]]
    >>> batch.targets[:, 0, 0].astype(int).tolist()
    [0, 0, 0, 0, 1, 1]
    """
    size, time = symbols.shape[1], np.arange(layout.steps)
    first = np.full(size, layout.start)
    second = first + layout.pulse + layout.gap
    if layout.jitter:
        second = second + rng.integers(layout.jitter + 1, size=size)
    inputs = np.zeros((layout.steps, size, kinds + layout.cue))
    for begin, symbol in zip((first, second), symbols, strict=True):
        since = time[:, None] - begin
        inputs[:, :, :kinds] += ((since >= 0) & (since < layout.pulse))[:, :, None] * np.eye(kinds)[symbol]
    if layout.noise:
        inputs[:, :, :kinds] += layout.noise * rng.standard_normal((layout.steps, size, kinds))
    scored = time >= layout.steps - layout.window
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
