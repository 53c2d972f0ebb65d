"""Windows of a table's rows: the training part before the test part, the end of it for validation."""

from __future__ import annotations

from copy import copy
from typing import Any, cast

import numpy as np

from neuroanp.errors import InputError
from neuroanp.tasks.protocol import Batch, Held, HoldsOut, Task
from neuroanp.tasks.table import Table


class Windows(HoldsOut):
    """Base of tasks whose sequences are windows of rows that follow one another.

        input_t = row t,   target_t = what row t + ahead says

    Training windows start anywhere such that no target lies in the test part. Test windows are placed so that the rows
    of the test part are each the target of one scored step, in order; fewer than window - washout rows may be left over
    at the end. Their inputs may reach back before the split.
    """

    options: Any
    """Have window, steps of a sequence, and washout, those at its beginning that are not scored."""
    ahead: int
    """Rows from an input to its target."""
    _rows: np.ndarray
    """(R, I) the inputs, scaled."""
    _told: np.ndarray
    """(R, O) the targets, scaled."""
    _split: int
    """The first row of the test part."""
    _drawn: int
    """The row that training targets lie before."""

    def sample(self, rng: np.random.Generator, batch: int) -> Batch:
        """Draw `batch` windows of the training part."""
        places = self._drawn - self.options.window - self.ahead + 1
        return self._cut(rng.integers(places, size=batch))

    def test(self, rng: np.random.Generator) -> Batch:
        """Return the windows that tile the test part; nothing is drawn."""
        options = self.options
        stride = options.window - options.washout
        tiles = (len(self._rows) - self._split) // stride
        return self._cut(self._split - self.ahead - options.washout + stride * np.arange(tiles))

    @property
    def spare(self) -> int:
        """How many validation sequences there can be, with half of the training rows left to learn from."""
        options = self.options
        least = max(self._split // 2, options.window + self.ahead)
        return max(0, (self._split - least) // (options.window - options.washout))

    def hold_out(self, size: int) -> Held:
        """Keep the last rows of the training part, placed as the test sequences are; scales stay those of all of it.

        Training sequences lie before them, inputs and targets.
        """
        options, rest = self.options, copy(self)
        stride = options.window - options.washout
        kept = size * stride
        cut = self._split - kept
        rest._learn_before(cut)
        batch = self._cut(cut - self.ahead - options.washout + stride * np.arange(size))
        return Held(cast("Task", rest), batch, f"the last {kept:,} of {self._split:,} training rows")

    def _learn_before(self, cut: int) -> None:
        self._drawn = cut

    def _cut(self, starts: np.ndarray) -> Batch:
        """Cut windows that begin at `starts` (B,)."""
        options = self.options
        index = np.arange(options.window)[:, None] + starts[None, :]
        mask = (np.arange(options.window) >= options.washout).astype(float)
        return Batch(self._rows[index], self._told[index + self.ahead], mask)


def ranges(table: Table, columns: int, split: int, targets: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return minimum and range of the first columns over the training rows; InputError if one is constant."""
    values = table.values[:split, :columns]
    low, high = values.min(axis=0), values.max(axis=0)
    flat = [name for name, same in zip(table.columns, low == high, strict=False) if same]
    for target in targets:
        if target in flat:
            raise InputError(
                f"{table.label}: {target} is constant in the training rows: there is nothing to learn",
                ["name another column: set task.target, or move task.split"],
            )
    if flat:
        rest = [name for name in table.columns[:columns] if name not in flat]
        raise InputError(
            f"{table.label}: constant in the training rows: {', '.join(flat)}",
            [f"name the columns to use: set task.columns to [{', '.join(rest)}]"],
        )
    return low, high - low
