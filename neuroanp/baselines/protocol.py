"""What a baseline sees of a task: sequences, and where they come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.trajectory import Weights


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

    @property
    def raw(self) -> Sequences | None:
        """The sequences of the task before an encoder, which these are an encoding of; None where no encoder did."""
        ...


Network = Callable[["Weights", "Tensor"], "Tensor"]
"""Takes weights and inputs (T, B, I), returns outputs (T, B, O) through which autograd can differentiate."""

Activities = Callable[["Weights", Any], "Tensor"]
"""Takes weights and inputs (T, B, I), returns what the readout sees, (T, B, N), without a bias line."""


class Simulated(Protocol):
    """A Network, or Activities, of a backend: they depend on how its units differ besides."""

    def __call__(self, weights: Weights, inputs: Any, neurons: Mapping[str, Tensor] | None = None) -> Tensor:
        """Simulate the noise-free network.

        Args:
            weights: the matrices. inputs: (T, B, I) without the bias line.
            neurons: factors (N,) of the units' parameters by name; None: all alike.
        """
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
