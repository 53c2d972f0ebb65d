"""Networks of every kind, and random matrices for them."""

from __future__ import annotations

import torch

from neuroanp.network.compose import Stacked, stack
from neuroanp.network.gru import GRU
from neuroanp.network.lstm import LSTM
from neuroanp.network.network import Network
from neuroanp.network.relu import ReLU
from neuroanp.network.tanh import LeakyTanh, Tanh
from neuroanp.trajectory import Weights

NETWORKS = {
    "tanh": stack(2, [Stacked(Tanh(), 4)], 3),
    "tanh bias": stack(2, [Stacked(Tanh(), 4)], 3, bias=True),
    "no recurrence": stack(2, [Stacked(ReLU(), 4, recurrent=False)], 3, bias=True),
    "gru": stack(2, [Stacked(GRU(), 4)], 3, bias=True),
    "lstm": stack(2, [Stacked(LSTM(), 4)], 3, bias=True),
    "two": stack(2, [Stacked(LeakyTanh(leak=0.3), 4), Stacked(Tanh(), 3)], 3, bias=True),
    "delayed": stack(2, [Stacked(Tanh(), 4), Stacked(LSTM(), 3, delay=1)], 3, bias=True),
    "skips": stack(2, [Stacked(GRU(), 4), Stacked(GRU(), 3), Stacked(Tanh(), 2, recurrent=False)], 3, True, True),
}
"""Of two inputs and three outputs."""


def random(network: Network, seed: int = 0, size: float = 0.7) -> Weights:
    """Return normal matrices, in double precision."""
    made = torch.Generator().manual_seed(seed)
    return Weights(
        {
            name: size * torch.randn(shape, generator=made, dtype=torch.float64)
            for name, shape in network.shapes.items()
        },
        network,
    )


def inputs(steps: int = 6, rows: int = 3, lines: int = 2, seed: int = 1) -> torch.Tensor:
    """Return normal inputs (T, rows, I)."""
    return torch.randn((steps, rows, lines), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
