"""The rate network without a substrate: plain, noise-free, differentiable."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from neuroanp.network.network import INPUT
from neuroanp.network.rollout import Rollout, rollout
from neuroanp.network.tanh import Tanh
from neuroanp.trajectory import Weights


def forward(weights: Weights, inputs: Any) -> Rollout:
    """Run the network from rest; see `neuroanp.network.rollout`.

    Args:
        weights: the matrices, and the network that they are of. inputs: (T, B, I), without the bias line.

    Returns: what it did, in the weights' precision, through which autograd can differentiate.
    """
    like = weights.like
    return rollout(weights.network, weights, torch.as_tensor(inputs, dtype=like.dtype, device=like.device))


def rate_outputs(weights: Weights, inputs: Any, neurons: Any = None) -> Tensor:
    """Return the outputs (T, B, O) of a network of cells of rates, through which autograd can differentiate.

    A simulator whose `differentiable` is this very function does what the cells say: what knows the equations of a
    cell by heart (the gradient by hand, the export formats) serves it, and nothing else.

    Args:
        weights: the matrices, and the network that they are of. inputs: (T, B, I) without the bias line.
        neurons: of units that spike alone; here there is nothing to differ.
    """
    return forward(weights, inputs).y


def rate_activities(weights: Weights, inputs: Any, neurons: Any = None) -> dict[str, Tensor]:
    """Return the activity (T, B, n) of each layer of a network of cells of rates; arguments as of `rate_outputs`."""
    x = forward(weights, inputs).x
    return {name: x[name] for name in x if name != INPUT}


def is_one_layer_of_tanh(weights: Weights) -> bool:
    """Return whether a network is h_t = W_in u_t + W x_{t-1}, x_t = tanh(h_t), y_t = W_out x_t."""
    network = weights.network
    whole = len(network.layers) == 1 and network.recurrence(network.layers[0].name) is not None
    return whole and type(network.layers[0].cell) is Tanh and all(not p.delay for p in network.feed(network.groups[1]))
