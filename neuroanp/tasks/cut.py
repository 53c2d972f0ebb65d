"""Sequences cut from rows of numbers: windows of rows in time, or each row a case of its own."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from neuroanp.tasks.protocol import Batch, Held
from neuroanp.tasks.windows import Windows

if TYPE_CHECKING:
    from neuroanp.tasks.protocol import Task


class Cut(Windows):
    """Windows of rows that follow one another, as `Windows` cuts them.

    Args:
        options: window, washout. rows: (R, I) inputs; told: (R, O) what each row tells, both as the network sees them.
        split: the first row of the test part. ahead: rows from an input to its target.

    >>> class Options:
    ...     window, washout = 4, 2
    >>> count = np.arange(10.0)[:, None]
    >>> Cut(Options, count, -count, split=6, ahead=1).test(np.random.default_rng(0)).targets[2:, :, 0].T
    array([[-6., -7.],
           [-8., -9.]])
    """

    def __init__(self, options: Any, rows: np.ndarray, told: np.ndarray, split: int, ahead: int) -> None:
        self.options, self.ahead = options, ahead
        self._rows, self._told, self._split, self._drawn = rows, told, split, split


class Cases(Cut):
    """Rows that have nothing to do with one another: each is held before the network for all steps of a sequence.

        input_t = row,   target_t = what it tells,   for t = 1 .. window

    Rows before `split` are for training, in whatever order they were put; the others are the test part.

    >>> class Options:
    ...     window, washout = 3, 2
    >>> batch = Cases(Options, np.arange(4.0)[:, None], np.eye(4), split=3, ahead=0).test(np.random.default_rng(0))
    >>> batch.inputs[:, 0, 0], batch.targets[-1], batch.mask
    (array([3., 3., 3.]), array([[0., 0., 0., 1.]]), array([0., 0., 1.]))
    """

    def sample(self, rng: np.random.Generator, batch: int) -> Batch:
        """Draw `batch` training rows, each independently."""
        return self._cut(rng.integers(self._drawn, size=batch))

    def test(self, rng: np.random.Generator) -> Batch:
        """Return the rows of the test part; nothing is drawn."""
        return self._cut(np.arange(self._split, len(self._rows)))

    @property
    def spare(self) -> int:
        """How many validation sequences there can be: half of the training rows."""
        return self._split // 2

    def hold_out(self, size: int) -> Held:
        """Keep the last training rows."""
        rest, cut = copy(self), self._split - size
        rest._learn_before(cut)
        where = f"{size:,} of {self._split:,} training rows"
        return Held(cast("Task", rest), self._cut(np.arange(cut, self._split)), where)

    def _cut(self, starts: np.ndarray) -> Batch:
        window = self.options.window
        mask = (np.arange(window) >= self.options.washout).astype(float)
        inputs, targets = (np.repeat(part[starts][None], window, axis=0) for part in (self._rows, self._told))
        return Batch(inputs, targets, mask)
