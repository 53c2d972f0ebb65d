"""Units x = max(h, 0)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from neuroanp.network.cell import RateCell, State

if TYPE_CHECKING:
    from torch import Tensor


class ReLU(RateCell):
    """x_t = max(h_t, 0).

    >>> import torch
    >>> ReLU().step((), torch.tensor([[-1.0, 2.0]]))[1]
    tensor([[0., 2.]])
    """

    name: Literal["relu"] = "relu"

    def step(self, state: State, h: Tensor) -> tuple[State, Tensor]:
        """Return the activity; there is no state."""
        return state, h.relu()
