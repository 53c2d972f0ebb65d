"""Truncated backpropagation of any network of cells of rates, by autograd over windows of time."""

from __future__ import annotations

import torch
from torch import Tensor

from neuroanp.baselines.output import total
from neuroanp.baselines.protocol import Sequences
from neuroanp.losses import SQUARED_ERROR, Loss
from neuroanp.network.rollout import Standing, advance, rest
from neuroanp.trajectory import Weights, WeightUpdate


def truncated_gradient(weights: Weights, batch: Sequences, truncation: int, loss: Loss = SQUARED_ERROR) -> WeightUpdate:
    """Return the gradient in which a loss reaches the k steps t-k+1 .. t and no earlier ones.

    Every step t has a window of its own, which starts from where the network stood at t-k, as a constant; all windows
    are rows of one run of k steps.

    Args:
        weights: the matrices, and the network that they are of. batch: sequences of T steps.
        truncation: k, at least 1. loss: L_tb of the outputs at a step.

    Returns: as `autograd.autograd_gradient`.

    Raises:
        ValueError: truncation below 1.

    Source: Williams and Peng, Neural Comput. 2, 490 (1990), where this is BPTT(k; 1).
    """
    if truncation < 1:
        raise ValueError(f"truncation must be at least 1 step, not {truncation}")
    like, network = weights.like, weights.network

    def tensor(values: object) -> Tensor:
        return torch.as_tensor(values, dtype=like.dtype, device=like.device)

    u, targets, mask = tensor(batch.inputs), tensor(batch.targets), tensor(batch.mask)
    steps, sequences, _ = u.shape
    k = min(truncation, steps)
    leaves = {name: W.detach().clone().requires_grad_() for name, W in weights.items()}
    with torch.enable_grad():
        standing = _windows(weights, u, k)
        y = u.new_zeros(steps, sequences, network.outputs)
        for lag in range(k - 1, -1, -1):  # the input of t - lag, for all t at once; before the start a window rests
            there = torch.arange(steps, device=u.device) >= lag
            shifted = torch.cat([torch.zeros_like(u[:lag]), u[: steps - lag]]).flatten(0, 1)
            after, out = advance(network, leaves, standing, shifted)
            standing = _where(there.repeat_interleave(sequences).unsqueeze(-1), after, standing)
            y = out.view(steps, sequences, -1)
        L = total(loss, y, targets, mask)
        found = torch.autograd.grad(L, list(leaves.values()), materialize_grads=True)
    return WeightUpdate(dict(zip(leaves, found, strict=True)), {"loss": float(L.detach() / mask.sum())})


def _windows(weights: Weights, u: Tensor, k: int) -> Standing:
    """Return where the network stood k steps before the end of each step, rows (T B); at rest before the start."""
    network = weights.network
    with torch.no_grad():
        standing = rest(network, u.shape[1], u)
        stood = [standing] * k
        for now in u[: len(u) - k]:
            standing, _ = advance(network, weights, standing, now)
            stood.append(standing)
    states = {
        layer.name: tuple(torch.cat(parts) for parts in zip(*(s.states[layer.name] for s in stood), strict=True))
        for layer in network.layers
    }
    return Standing(states, {name: torch.cat([s.x[name] for s in stood]) for name in network.groups[:-1]})


def _where(there: Tensor, after: Standing, before: Standing) -> Standing:
    """Return rows of `after` where their step is there, else of `before`."""
    states = {
        name: tuple(torch.where(there, a, b) for a, b in zip(after.states[name], before.states[name], strict=True))
        for name in after.states
    }
    return Standing(states, {name: torch.where(there, after.x[name], before.x[name]) for name in after.x})
