"""Add to the synaptic currents what the spikes of a step bring: I <- I + s W^T, for rows of spiking neurons.

Two ways, equal up to the order of a sum. `dense` multiplies the matrix of zeros and ones by the weights;
`sparse` adds up the rows of the weights that belong to spikes (the product of a CSR matrix). Few of the
neurons spike in one step, so the second is faster for all but small networks. Brian2's Synapses, the third way,
are as fast as `sparse` for one row of up to 300 units, and slower beyond: see benchmarks/results/spiking_speed.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

if TYPE_CHECKING:
    from numpy.typing import NDArray

How = Literal["synapses", "dense", "sparse"]

DENSE_BELOW = 300_000
"""Multiplications up to which the dense product is faster; see benchmarks/spiking_speed.py."""
SPARSE_BELOW = 0.2
"""Share of the neurons spiking at once above which the dense product is faster."""


def choose(rows: int, units: int) -> How:
    """Return the faster way of rows x units neurons at the usual few spikes a step.

    >>> choose(16, 100), choose(64, 1000), choose(1, 100)
    ('dense', 'sparse', 'sparse')
    """
    return "dense" if rows > 1 and rows * units * units <= DENSE_BELOW else "sparse"


class Spread:
    """Adds the current of spikes to I, in place.

    Args:
        I: (rows, N) synaptic currents.
        how: the way; None is the faster one, by the sizes and the number of spikes.

    >>> current = torch.zeros(2, 3)
    >>> W = torch.arange(9.0).view(3, 3)
    >>> Spread(current, "sparse").add(W, np.array([0, 2, 4]))  # units 0 and 2 of row 0, unit 1 of row 1
    >>> current.tolist()
    [[6.0, 8.0, 10.0], [3.0, 4.0, 5.0]]
    """

    def __init__(self, I: Tensor, how: How | None = None) -> None:  # noqa: E741 - the equation's letter
        self._current, self._how = I, how
        self._rows, self._units = I.shape
        self._array = I.numpy()
        self._spikes = torch.zeros_like(I)
        self._flat = self._spikes.numpy().reshape(-1)
        self._starts = np.arange(self._rows) * self._units

    def add(self, wt: Tensor, spikes: NDArray[np.integer]) -> None:
        """Add the rows of wt (N, N) that belong to spikes, (n,) sorted indices row * N + unit."""
        if len(spikes) == 0:
            return
        if self._dense(len(spikes)):
            self._flat[spikes] = 1
            self._current.addmm_(self._spikes, wt)
            self._flat[spikes] = 0
        elif self._rows == 1:
            self._array += wt.numpy()[spikes].sum(0)
        else:
            starts = np.searchsorted(spikes, self._starts)
            units = torch.from_numpy(spikes % self._units).long()
            self._current.add_(embedding_bag(units, wt, torch.from_numpy(starts), mode="sum"))

    def _dense(self, spikes: int) -> bool:
        if self._how is not None:
            return self._how == "dense"
        if spikes > SPARSE_BELOW * self._flat.size:
            return True
        return choose(self._rows, self._units) == "dense"
