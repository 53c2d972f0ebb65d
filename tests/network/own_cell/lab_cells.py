"""A cell of one's own: minimal gated units."""

from typing import ClassVar, Literal

from pydantic import Field

from neuroanp.network.cell import RateCell


class MGU(RateCell):
    """A minimal gated unit: f_t = s(h^f_t + b), x_t = (1 - f_t) x_{t-1} + f_t tanh(h^g_t).

    Source: Zhou, Wu, Zhang, Zhou, Int. J. Autom. Comput. 13, 226 (2016), without the gate on the recurrence.
    """

    ports: ClassVar[tuple[str, ...]] = ("f", "g")
    feed: ClassVar[tuple[str, ...]] = ("f", "g")
    recurrent: ClassVar[tuple[str, ...]] = ("f", "g")

    name: Literal["mgu"] = "mgu"
    f_bias: float = Field(default=0.0, description="b; above 0: an activity is renewed")

    def start(self, rows, n, like):
        """Return x = 0."""
        return (like.new_zeros(rows, n),)

    def step(self, state, h):
        """Return the activity, which is the state as well."""
        f, g = h.chunk(2, -1)
        f = (f + self.f_bias).sigmoid()
        x = (1 - f) * state[0] + f * g.tanh()
        return (x,), x
