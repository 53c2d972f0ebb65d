"""Long short-term memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from neuroanp.network.cell import RateCell, State

if TYPE_CHECKING:
    from torch import Tensor

GATES = ("i", "f", "g", "o")


class LSTM(RateCell):
    """Long short-term memory without peepholes.

        k_t = s(h^f_t + b_f) k_{t-1} + s(h^i_t + b_i) tanh(h^g_t)   s: logistic
        x_t = s(h^o_t + b_o) tanh(k_t)

    Four pre-activations i, f, g, o, all of which currents from below and from the recurrence reach. b_i, b_f and b_o
    are constants that set where the gates stand at first, with no line of an array.

    Source: Hochreiter and Schmidhuber, Neural Comput. 9, 1735 (1997); forget gate: Gers et al., Neural Comput. 12,
    2451 (2000), eqs. 3.2-3.6; b_f: Jozefowicz et al., ICML 2015.

    >>> import torch
    >>> i, f, g, o = 100.0, -100.0, 0.5, 100.0  # takes g, forgets what was
    >>> LSTM().step((torch.ones(1, 1),), torch.tensor([[i, f, g, o]]))[1]  # tanh(tanh(0.5))
    tensor([[0.4318]])
    """

    ports: ClassVar[tuple[str, ...]] = GATES
    feed: ClassVar[tuple[str, ...]] = GATES
    recurrent: ClassVar[tuple[str, ...]] = GATES

    name: Literal["lstm"] = "lstm"
    i_bias: float = Field(default=0.0, ge=-100, le=100, description="b_i; above 0: what comes in is taken")
    f_bias: float = Field(default=1.0, ge=-100, le=100, description="b_f; above 0: a memory is kept")
    o_bias: float = Field(default=0.0, ge=-100, le=100, description="b_o; above 0: a memory is shown")

    def start(self, rows: int, n: int, like: Tensor) -> State:
        """Return k = 0."""
        return (like.new_zeros(rows, n),)

    def step(self, state: State, h: Tensor) -> tuple[State, Tensor]:
        """Return the memory k as the state, and the activity."""
        i, f, g, o = h.chunk(4, -1)
        k = (f + self.f_bias).sigmoid() * state[0] + (i + self.i_bias).sigmoid() * g.tanh()
        return (k,), (o + self.o_bias).sigmoid() * k.tanh()
