"""Units x = h: a network of them is a linear map, or a linear filter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from neuroanp.network.cell import RateCell, State

if TYPE_CHECKING:
    from torch import Tensor


class Linear(RateCell):
    """Linear units: x_t = h_t.

    One unit that does not see itself makes any linear map to one output: the linear model that others are held to.

    >>> import torch
    >>> Linear().step((), torch.tensor([[-1.0, 2.0]]))[1]
    tensor([[-1.,  2.]])
    """

    name: Literal["linear"] = "linear"

    def step(self, state: State, h: Tensor) -> tuple[State, Tensor]:
        """Return the pre-activation itself; there is no state."""
        return state, h + 0.0

    def derivative(self, h: Tensor) -> Tensor:
        """Return 1."""
        return h.new_ones(h.shape)
