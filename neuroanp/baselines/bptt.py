"""Backpropagation through time, whole or truncated: the exact gradient that a local rule estimates.

Of one layer of tanh units by hand, which is faster than autograd and held to it by tests; of any network of cells of
rates see `baselines.autograd`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from neuroanp.baselines.network import forward
from neuroanp.baselines.output import at_output
from neuroanp.baselines.protocol import Sequences
from neuroanp.losses import SQUARED_ERROR, Loss
from neuroanp.network.network import INPUT, OUTPUT
from neuroanp.network.rollout import lines
from neuroanp.trajectory import Weights, WeightUpdate


def gradient(
    weights: Weights, batch: Sequences, truncation: int | None = None, loss: Loss = SQUARED_ERROR
) -> WeightUpdate:
    """Return the gradient of the loss of a network of one layer of tanh units by backpropagation through time.

        L = 1/B sum_{t,b} m_t L_tb
        dL/dW = sum_t sum_{s = t-k+1}^{t} (dL_t/dh_s) x_{s-1}^T,   dW_in the same with u_s,
        dL/dW_out = sum_t (dL_t/dy_t) x_t^T

    Truncated to k steps, the loss at t reaches the pre-activations of the k steps t-k+1 .. t and no
    earlier ones. With k = 1 the hidden state of the step before is a constant (detached); k >= T is
    the whole gradient.

    Args:
        weights: the matrices (plus the bias column, if any).
        batch: sequences of T steps.
        truncation: k, at least 1; None for the whole gradient.
        loss: L_tb of the outputs at a step.

    Returns: dW of the weights' shapes and precision; the diagnostic `loss` is the mean of L_tb over
        the scored steps and the sequences (not L, their sum over t).

    Raises:
        ValueError: truncation below 1.

    Source: Werbos, Proc. IEEE 78, 1550 (1990); Williams and Peng, Neural Comput. 2, 490 (1990), where
        truncation to k steps is BPTT(k; 1).

    >>> import numpy as np
    >>> from types import SimpleNamespace
    >>> one = torch.ones(1, 1, dtype=torch.float64)
    >>> batch = SimpleNamespace(inputs=np.ones((1, 1, 1)), targets=np.zeros((1, 1, 1)), mask=np.ones(1))
    >>> update = gradient(Weights.one_layer({"w_in": one, "w": one, "w_out": one}), batch)
    >>> round(update.arrays["w_out"].item(), 4)  # 2 tanh(1)^2
    1.1601
    """
    if truncation is not None and truncation < 1:
        raise ValueError(f"truncation must be at least 1 step, not {truncation}")
    network = weights.network
    (layer,) = network.layers
    (into,), (out,), back = network.feed(layer.name), network.feed(OUTPUT), network.recurrence(layer.name)
    assert back is not None
    with torch.no_grad():
        act = forward(weights, batch.inputs)
        x = act.x[layer.name]
        steps, like = len(act.y), {"dtype": act.y.dtype, "device": act.y.device}
        targets, mask = torch.as_tensor(batch.targets, **like), torch.as_tensor(batch.mask, **like)
        at_y, mean = at_output(loss, act.y, targets, mask)  # dL/dy_t
        at_hidden = at_y @ weights[out.name][:, : layer.units]  # dL_t/dx_t, the step's own loss
        k = steps if truncation is None else min(truncation, steps)
        w = weights[back.name]
        error = _whole(x, at_hidden, w) if k == steps else _truncated(x, at_hidden, w, k)
        arrays = {
            into.name: _outer(error, lines(into, act.x[INPUT])),
            back.name: _outer(error, lines(back, x)),
            out.name: _outer(at_y, lines(out, x)),
        }
    return WeightUpdate(arrays, {"loss": mean})


def _whole(x: Tensor, at_hidden: Tensor, w: Tensor) -> Tensor:
    """Return dL/dh (T, B, N): e_t = (own_t + e_{t+1} W) (1 - x_t^2)."""
    slope = 1.0 - x**2
    error = torch.empty_like(at_hidden)
    error[-1] = at_hidden[-1] * slope[-1]
    for t in range(len(error) - 2, -1, -1):
        error[t] = torch.addmm(at_hidden[t], error[t + 1], w) * slope[t]
    return error


def _truncated(x: Tensor, at_hidden: Tensor, w: Tensor, k: int) -> Tensor:
    """Return sum_{j<k} dL_{s+j}/dh_s (T, B, N), one lag j at a time over all steps s."""
    slope = 1.0 - x**2
    lagged = at_hidden * slope
    error = lagged.clone()
    for _ in range(1, k):
        lagged = (lagged[1:] @ w) * slope[: len(lagged) - 1]
        error[: len(lagged)] += lagged
    return error


def _outer(post: Tensor, pre: Tensor) -> Tensor:
    """Return sum_{t,b} post pre^T, (n, m)."""
    return post.flatten(0, 1).T @ pre.flatten(0, 1)
