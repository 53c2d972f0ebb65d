"""The rate network without a substrate: plain, noise-free, differentiable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from neuroanp.trajectory import Weights, with_bias_line


@dataclass(frozen=True)
class Activity:
    """What the network did.

    Args:
        u: (T, B, I) inputs; I + 1 where the network has a bias line, held at 1.
        h: (T, B, N) pre-activations.
        x: (T, B, N) activities.
        y: (T, B, O) outputs.
    """

    u: Tensor
    h: Tensor
    x: Tensor
    y: Tensor


def forward(weights: Weights, inputs: np.ndarray | Tensor) -> Activity:
    """Run the network from rest.

        h_t = W_in u_t + W x_{t-1},   x_t = tanh(h_t),   y_t = W_out x_t

    Args:
        weights: the matrices; with a bias, u_t and x_t are extended by a constant 1.
        inputs: (T, B, I), without the bias line.

    Returns: the activity, in the weights' precision, through which autograd can differentiate.

    >>> one = torch.ones(1, 1, dtype=torch.float64)
    >>> act = forward(Weights({"w_in": one, "w": 0 * one, "w_out": 2 * one}), np.ones((2, 1, 1)))
    >>> [round(float(y), 4) for y in act.y.flatten()]  # 2 tanh(1), twice
    [1.5232, 1.5232]
    """
    w_in, w, w_out = weights["w_in"], weights["w"], weights["w_out"]
    u = with_bias_line(torch.as_tensor(inputs, dtype=w.dtype, device=w.device), weights.bias)
    drive = u @ w_in.T
    x = torch.zeros_like(drive[0])
    hidden, activity = [], []
    for step in drive:
        h = torch.addmm(step, x, w.T)
        x = torch.tanh(h)
        hidden.append(h)
        activity.append(x)
    xs = torch.stack(activity)
    return Activity(u, torch.stack(hidden), xs, with_bias_line(xs, weights.bias) @ w_out.T)


def tanh_outputs(weights: Weights, inputs: Any, neurons: Mapping[str, Tensor] | None = None) -> Tensor:
    """Return the outputs (T, B, O) of the network of tanh units, through which autograd can differentiate.

    A backend whose `differentiable` is this very function has this network: what knows its equations by heart (the
    gradient by hand, the export formats) serves it, and nothing else.

    Args:
        weights: the matrices. inputs: (T, B, I) without the bias line.
        neurons: of units that spike alone; here there is nothing to differ.
    """
    return forward(weights, inputs).y


def tanh_activity(weights: Weights, inputs: Any, neurons: Mapping[str, Tensor] | None = None) -> Tensor:
    """Return the activities (T, B, N) of the network of tanh units; arguments as of `tanh_outputs`."""
    return forward(weights, inputs).x
