"""Draw the untrained network."""

from __future__ import annotations

from math import sqrt

import torch

from neuroanp.noise import Streams
from neuroanp.trajectory import Weights


def xavier(inputs: int, hidden: int, outputs: int, bias: bool, streams: Streams, dtype: torch.dtype) -> Weights:
    """Draw W_ij ~ N(0, 2 / (pre + post)); bias columns start at zero.

    Args:
        inputs, hidden, outputs: I, N, O.
        bias: append the columns that the constant line drives.
        streams: the run's streams; the draw is the stream "init" and the same in every precision.
        dtype: of the result.

    Source: Glorot and Bengio, AISTATS 2010, eq. 12 with a normal distribution.

    >>> W = xavier(2, 3, 1, True, Streams(0), torch.float64)
    >>> W["w_in"].shape, float(W["w_out"][0, -1])
    (torch.Size([3, 3]), 0.0)
    """
    rng = streams.generator("init")

    def draw(post: int, pre: int, line: bool) -> torch.Tensor:
        W = torch.from_numpy(rng.standard_normal((post, pre)) * sqrt(2 / (post + pre)))
        if line:
            W = torch.cat([W, W.new_zeros(post, 1)], 1)
        return W.to(dtype)

    arrays = {
        "w_in": draw(hidden, inputs, bias),
        "w": draw(hidden, hidden, False),
        "w_out": draw(outputs, hidden, bias),
    }
    return Weights(arrays, bias)
