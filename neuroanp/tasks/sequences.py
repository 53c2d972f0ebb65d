"""What tasks share that show a sequence of symbols and then ask for one: one-hot lines, a cue, and scores."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from neuroanp.losses import Loss, mean_loss
from neuroanp.tasks.options import TaskOptions
from neuroanp.tasks.protocol import Batch


class SequenceConfig(TaskOptions):
    """Options of tasks that ask for as many symbols as they show."""

    length: int = Field(default=3, ge=1, le=10_000, description="symbols shown, and asked for (L)")
    delay: int = Field(default=3, ge=0, le=100_000, description="silent steps between the last symbol and recall (D)")
    symbols: int = Field(
        default=4, ge=2, le=1_000, description="kinds of symbol (S): S one-hot input lines and S outputs"
    )
    test_size: int = Field(default=512, ge=1, le=1_000_000, description="test sequences")


class Sequences:
    """Show L of S symbols, wait D steps, and ask for L symbols while a cue line is 1; fresh sequences in every batch.

    T = 2 L + D steps, S + 1 inputs, S outputs; the last L steps are scored. What is asked for is `wanted` of a task
    derived from this.

    Args:
        options: the task's.
    """

    table: ClassVar[None] = None
    forecast = False

    def __init__(self, options: SequenceConfig) -> None:
        self.options, self.loss = options, options.made_loss()
        self.inputs, self.outputs = options.symbols + 1, options.symbols
        self.steps = 2 * options.length + options.delay

    def wanted(self, shown: np.ndarray) -> np.ndarray:
        """Return the symbols (L, B) that are asked for after those shown (L, B)."""
        raise NotImplementedError

    def sample(self, rng: np.random.Generator, batch: int) -> Batch:
        """Draw `batch` training sequences."""
        options = self.options
        shown = rng.integers(options.symbols, size=(options.length, batch))
        inputs = np.zeros((self.steps, batch, self.inputs))
        inputs[: options.length, :, :-1] = np.eye(options.symbols)[shown]
        return recall(inputs, self.wanted(shown), options.symbols)

    def test(self, rng: np.random.Generator) -> Batch:
        """Draw the test sequences."""
        return self.sample(rng, self.options.test_size)

    def score(self, y: np.ndarray, batch: Batch) -> dict[str, float]:
        """Return `accuracy` and `exact`, see `symbol_scores`, and the task's `loss`."""
        return symbol_scores(y, batch, self.loss)

    def persistence(self, batch: Batch) -> None:
        """Return None: nothing here goes on by itself."""

    def fingerprint(self) -> str:
        """Return the empty string: the options say everything."""
        return ""

    def account(self) -> tuple[str, ...]:
        """Return (): the data are no file of a user's."""
        return ()


def recall(inputs: np.ndarray, wanted: np.ndarray, symbols: int) -> Batch:
    """Return sequences whose last steps ask for symbols, one-hot, while the last input line is 1: it is set here.

    Args: inputs: (T, B, I), all lines but the cue. wanted: (L, B), whole numbers below `symbols`.

    >>> batch = recall(np.zeros((3, 1, 3)), np.array([[1]]), symbols=2)
    >>> batch.targets[-1, 0].tolist(), batch.inputs[:, 0, -1].tolist(), batch.mask.tolist()
    ([0.0, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0])
    """
    first = len(inputs) - len(wanted)
    inputs[first:, :, -1] = 1.0
    targets = np.zeros((*inputs.shape[:2], symbols))
    targets[first:] = np.eye(symbols)[wanted]
    return Batch(inputs, targets, (np.arange(len(inputs)) >= first).astype(float))


def symbol_scores(y: np.ndarray, batch: Batch, loss: Loss) -> dict[str, float]:
    """Return `accuracy`, the share of symbols whose output is the largest, `exact`, of whole sequences, and `loss`.

    Args:
        y: outputs, one a symbol, (T, B, S). batch: the sequences; targets one-hot. loss: the task's.

    >>> from neuroanp.losses import SQUARED_ERROR
    >>> batch = recall(np.zeros((2, 2, 1)), np.array([[0, 1], [1, 1]]), 2)
    >>> y = batch.targets.copy()
    >>> y[0, 0] = y[0, 0, ::-1]  # the first symbol of the first sequence is wrong
    >>> symbol_scores(y, batch, SQUARED_ERROR)
    {'accuracy': 0.75, 'exact': 0.5, 'loss': 0.25}
    """
    steps = batch.mask > 0
    hit = np.argmax(y[steps], axis=-1) == np.argmax(batch.targets[steps], axis=-1)
    return {
        "accuracy": float(np.mean(hit)),
        "exact": float(np.mean(hit.all(axis=0))),
        "loss": mean_loss(loss, y, batch),
    }
