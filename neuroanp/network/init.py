"""Draw the weights of an untrained network."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from neuroanp.network.network import Network
    from neuroanp.noise import Streams


def xavier(network: Network, streams: Streams, dtype: torch.dtype) -> dict[str, Tensor]:
    """Draw W_ij ~ N(0, 2 / (pre + post)), port by port; bias columns start at zero.

    pre and post are the units at both ends of the array: each port of a unit is a matrix of its own.

    Args:
        network: gives the arrays, drawn in their order.
        streams: the run's streams; the draw is the stream "init" and the same in every precision.
        dtype: of the result.

    Source: Glorot and Bengio, AISTATS 2010, eq. 12 with a normal distribution.

    >>> import torch
    >>> from neuroanp.network.compose import Stacked, stack
    >>> from neuroanp.network.tanh import Tanh
    >>> from neuroanp.noise import Streams
    >>> W = xavier(stack(2, [Stacked(Tanh(), 3)], 1, bias=True), Streams(0), torch.float64)
    >>> W["w_in"].shape, float(W["w_out"][0, -1])
    (torch.Size([3, 3]), 0.0)
    """
    import torch

    rng = streams.generator("init")
    drawn = {}
    for p in network.projections:
        rows, pre, post = network.shapes[p.name][0], network.units[p.pre], network.units[p.post]
        W = torch.from_numpy(rng.standard_normal((rows, pre)) * sqrt(2 / (post + pre)))
        if p.bias:
            W = torch.cat([W, W.new_zeros(rows, 1)], 1)
        drawn[p.name] = W.to(dtype)
    return drawn
