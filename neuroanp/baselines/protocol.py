"""What a baseline sees of a task: sequences, and where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.trajectory import Weights


class Sequences(Protocol):
    """Sequences with targets; every task's Batch is one.

    >>> from neuroanp.tasks.xor import TemporalXor
    >>> batch = TemporalXor(TemporalXor.config(test_size=3)).test(np.random.default_rng(0))
    >>> batch.inputs.shape, batch.targets.shape, int(batch.mask.sum()), batch.raw
    ((80, 3, 2), (80, 3, 1), 20, None)
    """

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


class Outputs(Protocol):
    """The noise-free network of a simulator, through which autograd can differentiate.

    >>> from math import tanh
    >>> import torch
    >>> from neuroanp.baselines.network import rate_outputs
    >>> from neuroanp.trajectory import Weights
    >>> one = torch.ones(1, 1, dtype=torch.float64)
    >>> weights = Weights.one_layer({"w_in": one, "w": 0 * one, "w_out": 2 * one})
    >>> rate_outputs(weights, np.ones((1, 1, 1))).item() == 2 * tanh(1.0)
    True
    """

    def __call__(self, weights: Weights, inputs: Any, neurons: Any = None) -> Tensor:
        """Return the outputs (T, B, O).

        Args:
            weights: the matrices, and the network that they are of. inputs: (T, B, I) without the bias line.
            neurons: relative factors (n,) of the units' parameters by name, by layer; None: all alike.
        """
        ...


class Activities(Protocol):
    """The noise-free network of a simulator, as its readout sees it.

    >>> from math import tanh
    >>> import torch
    >>> from neuroanp.baselines.network import rate_activities
    >>> from neuroanp.trajectory import Weights
    >>> one = torch.ones(1, 1, dtype=torch.float64)
    >>> weights = Weights.one_layer({"w_in": one, "w": 0 * one, "w_out": one})
    >>> rate_activities(weights, np.ones((1, 1, 1)))["hidden"].item() == tanh(1.0)
    True
    """

    def __call__(self, weights: Weights, inputs: Any, neurons: Any = None) -> Mapping[str, Tensor]:
        """Return the activity (T, B, n) of each layer, without a bias line; arguments as of `Outputs`."""
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
