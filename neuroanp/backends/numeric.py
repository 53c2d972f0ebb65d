"""A network as plain numbers: what chips are told, and what an exporter gets more of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import exp
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from neuroanp.backends.neuron import LIF, Coefficients


@dataclass(frozen=True)
class Numeric:
    """Weights and units of a network.

    Args:
        name: what it is called.
        weights: w_in (N, I or I+1), w (N, N), w_out (O, N or N+1): post, pre; float64.
        bias: whether w_in and w_out have a column more, which a constant drives.
        neuron: the units' parameters; None: tanh units.
        dt: seconds a step.
        spikes_in: whether input lines carry spikes, 0 or 1.
    """

    name: str
    weights: Mapping[str, NDArray[np.float64]]
    bias: bool
    neuron: LIF | None
    dt: float
    spikes_in: bool

    @property
    def spiking(self) -> bool:
        """Whether units spike."""
        return self.neuron is not None

    @property
    def sizes(self) -> tuple[int, int, int]:
        """(I, N, O), lines of a bias left out."""
        n, i = self.weights["w_in"].shape
        return i - self.bias, n, self.weights["w_out"].shape[0]

    @cached_property
    def step(self) -> Coefficients:
        """Coefficients of one step, arrays (N,) of torch float64; see `backends.neuron.coefficients`."""
        import torch

        from neuroanp.backends.neuron import coefficients

        assert self.neuron is not None
        return coefficients(self.neuron, self.dt, torch.zeros(self.sizes[1], dtype=torch.float64))

    @property
    def readout_decay(self) -> float:
        """The factor a of the outputs of spiking units."""
        assert self.neuron is not None
        if self.neuron.decoder == "count":
            return 1.0
        euler = self.neuron.integration == "euler"
        return 1.0 - self.dt / self.neuron.tau_r if euler else exp(-self.dt / self.neuron.tau_r)

    def columns(self, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return an array's weights and its bias (post,), zeros without one."""
        W = self.weights[name]
        return (W[:, :-1], W[:, -1]) if self.bias and name != "w" else (W, np.zeros(len(W)))
