"""Units x = max(h, 0) + a min(h, 0)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from neuroanp.network.cell import RateCell, State

if TYPE_CHECKING:
    from torch import Tensor


class LeakyReLU(RateCell):
    """x_t = h_t where h_t > 0, a h_t elsewhere.

    Source: Maas, Hannun, Ng, Rectifier nonlinearities improve neural network acoustic models, ICML (2013), section 2,
    with its slope.

    >>> import torch
    >>> LeakyReLU(slope=0.25).step((), torch.tensor([[-1.0, 2.0]]))[1]
    tensor([[-0.2500,  2.0000]])
    """

    name: Literal["leaky_relu"] = "leaky_relu"
    slope: float = Field(default=0.01, gt=0, lt=1, description="a, how much of a negative pre-activation is passed on")

    def step(self, state: State, h: Tensor) -> tuple[State, Tensor]:
        """Return the activity; there is no state."""
        import torch

        return state, torch.nn.functional.leaky_relu(h, self.slope)

    def derivative(self, h: Tensor) -> Tensor:
        """Return 1 where h > 0, a elsewhere."""
        return h.new_ones(h.shape).masked_fill_(h <= 0, self.slope)
