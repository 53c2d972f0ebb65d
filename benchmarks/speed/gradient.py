"""One gradient of torch's own nn.RNN of tanh units and a linear readout, by autograd."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Gradient:
    """Forward and backward through time of a batch; the peer of an update.

    Args:
        units: N. u: (T, B, I). target: (T, B, O); dtype and device are those of u.
    """

    def __init__(self, units: int, u: Tensor, target: Tensor) -> None:
        like = {"dtype": u.dtype, "device": u.device}
        self.u, self.target = u, target
        self.rnn = nn.RNN(u.shape[-1], units, bias=False, **like)
        self.out = nn.Linear(units, target.shape[-1], bias=False, **like)

    def __call__(self, _: int = 0) -> list[Tensor]:
        """Return the gradient of the mean squared error with respect to every matrix."""
        x, _last = self.rnn(self.u)
        loss = nn.functional.mse_loss(self.out(x), self.target)
        return list(torch.autograd.grad(loss, [*self.rnn.parameters(), *self.out.parameters()]))
