"""What a baseline sees of a task: sequences, and where they come from."""

from __future__ import annotations

from typing import Protocol

import numpy as np


class Sequences(Protocol):
    """Sequences with targets; every task's Batch is one."""

    @property
    def inputs(self) -> np.ndarray:
        """(T, B, I)."""
        ...

    @property
    def targets(self) -> np.ndarray:
        """(T, B, O)."""
        ...

    @property
    def mask(self) -> np.ndarray:
        """(T,) 1 where a step is scored, 0 elsewhere."""
        ...


class Source(Protocol):
    """Where training sequences come from; every Task is one."""

    @property
    def forecast(self) -> bool:
        """Whether the forecasts below make sense."""
        ...

    def sample(self, rng: np.random.Generator, batch: int) -> Sequences:
        """Draw `batch` training sequences."""
        ...

    def persistence(self, batch) -> np.ndarray | None:
        """Return the forecast "nothing changes", (T, B, O), or None."""
        ...


def scored(array: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the scored steps of an array (T, B, n) as rows, (steps B, n).

    >>> scored(np.arange(6.0).reshape(3, 1, 2), np.array([0.0, 1.0, 1.0]))
    array([[2., 3.],
           [4., 5.]])
    """
    return array[mask > 0].reshape(-1, array.shape[-1])
