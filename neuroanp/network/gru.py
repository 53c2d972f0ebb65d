"""Gated recurrent units."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from neuroanp.network.cell import RateCell, State

if TYPE_CHECKING:
    from torch import Tensor


class GRU(RateCell):
    """A gated recurrent unit, with the reset gate behind the recurrent product (as cuDNN, torch and ONNX have it).

        r_t = s(h^r_t + b_r)   z_t = s(h^z_t + b_z)   s: logistic
        x_t = (1 - z_t) tanh(h^n_t + r_t h^c_t) + z_t x_{t-1}

    Four pre-activations: r and z get current from below and from the recurrence, n from below alone, c from the
    recurrence alone. So an array from below has the lines n, r, z of every unit, the recurrent one r, z, c. b_r and
    b_z are constants that set where the gates stand at first, with no line of an array.

    Source: Cho et al., EMNLP 2014, arXiv 1406.1078, eqs. 5-8; the place of r as in Chung et al., arXiv 1412.3555,
    and in torch.nn.GRU.

    >>> import torch
    >>> n, r, z, c = 0.5, 100.0, -100.0, 0.25  # the reset gate open, nothing of the step before kept
    >>> GRU().step((torch.ones(1, 1),), torch.tensor([[n, r, z, c]]))[1]  # tanh(0.75)
    tensor([[0.6351]])
    """

    ports: ClassVar[tuple[str, ...]] = ("n", "r", "z", "c")
    feed: ClassVar[tuple[str, ...]] = ("n", "r", "z")
    recurrent: ClassVar[tuple[str, ...]] = ("r", "z", "c")

    name: Literal["gru"] = "gru"
    r_bias: float = Field(default=0.0, ge=-100, le=100, description="b_r; above 0: the recurrence counts in full")
    z_bias: float = Field(default=0.0, ge=-100, le=100, description="b_z; above 0: an activity is kept, below: renewed")

    def start(self, rows: int, n: int, like: Tensor) -> State:
        """Return x = 0."""
        return (like.new_zeros(rows, n),)

    def step(self, state: State, h: Tensor) -> tuple[State, Tensor]:
        """Return the activity, which is the state as well."""
        n, r, z, c = h.chunk(4, -1)
        r, z = (r + self.r_bias).sigmoid(), (z + self.z_bias).sigmoid()
        x = (1.0 - z) * (n + r * c).tanh() + z * state[0]
        return (x,), x
