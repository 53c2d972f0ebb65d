"""Units x = tanh(h), plain and leaky."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from neuroanp.network.cell import RateCell, State

if TYPE_CHECKING:
    from torch import Tensor


class Tanh(RateCell):
    """x_t = tanh(h_t).

    >>> import torch
    >>> Tanh().step((), torch.tensor([[0.0, 1.0]]))[1]
    tensor([[0.0000, 0.7616]])
    """

    name: Literal["tanh"] = "tanh"

    def step(self, state: State, h: Tensor) -> tuple[State, Tensor]:
        """Return the activity; there is no state."""
        return state, h.tanh()

    def derivative(self, h: Tensor) -> Tensor:
        """Return 1 - tanh^2(h)."""
        return 1.0 - h.tanh().square()


class LeakyTanh(RateCell):
    """x_t = (1 - a) x_{t-1} + a tanh(h_t).

    Source: Jaeger, Lukosevicius, Popovici, Siewert, Neural Netw. 20, 335 (2007), eq. 3, a step of time at once.

    >>> import torch
    >>> LeakyTanh(leak=0.5).step((torch.ones(1, 1),), torch.zeros(1, 1))[1]
    tensor([[0.5000]])
    """

    name: Literal["leaky_tanh"] = "leaky_tanh"
    leak: float = Field(default=0.5, gt=0, le=1, description="a, the share of an activity that a step renews; 1: tanh")

    def start(self, rows: int, n: int, like: Tensor) -> State:
        """Return x = 0."""
        return (like.new_zeros(rows, n),)

    def step(self, state: State, h: Tensor) -> tuple[State, Tensor]:
        """Return the activity, which is the state as well."""
        x = (1.0 - self.leak) * state[0] + self.leak * h.tanh()
        return (x,), x

    def derivative(self, h: Tensor) -> Tensor:
        """Return a (1 - tanh^2(h)): what an activity keeps of the step before does not depend on h."""
        return self.leak * (1.0 - h.tanh().square())
