"""The rule as one would first write it in torch: a plain loop over time, passes stacked as rows.

It shares no code with neuroanp, and takes the noise as given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Noise = Callable[[tuple[int, ...]], Tensor]


def white(sigma: float = 1e-2) -> Noise:
    """Return what draws Gaussian noise of torch's own generator."""
    return lambda shape: sigma * torch.randn(shape)


def update(
    W: Mapping[str, Tensor], u: Tensor, target: Tensor, passes: int, noise: Noise, per_sample: bool = False
) -> dict[str, Tensor]:
    """One ANP update (return-to-go, global norm), step by step with an outer product a step.

    Two passes are compared with each other, more with their mean.

    Args:
        W: w_in (N, I), w (N, N), w_out (O, N). u: (T, B, I). target: (T, B, O). passes: M.
        noise: called twice a step, with (M B, N) and (M B, O).
        per_sample: form one outer product for each sequence and average them, as published code does, instead of one
            product over the batch.
    """
    (T, B, _), (outputs, N) = u.shape, W["w_out"].shape
    x = u.new_zeros(passes * B, N)
    steps = []
    for t in range(T):
        before = _mean(x, passes)
        h = (u[t] @ W["w_in"].T).repeat(passes, 1) + x @ W["w"].T + noise((passes * B, N))
        x = torch.tanh(h)
        y = x @ W["w_out"].T + noise((passes * B, outputs))
        loss = ((y - target[t].repeat(passes, 1)) ** 2).mean(-1)
        steps.append((*(_differences(each, passes) for each in (h, y, loss)), before, _mean(x, passes)))
    to_go = torch.zeros_like(steps[0][2])
    dW = {name: torch.zeros_like(matrix) for name, matrix in W.items()}
    for t in reversed(range(T)):
        dh, dy, dL, before, after = steps[t]
        to_go = to_go + dL
        s = (dh**2).sum(-1) + (dy**2).sum(-1)
        e_h = ((N + outputs) * (to_go / s).unsqueeze(-1) * dh).mean(0)
        e_y = ((N + outputs) * (dL / s).unsqueeze(-1) * dy).mean(0)
        dW["w"] += _outer(e_h, before, per_sample)
        dW["w_in"] += _outer(e_h, u[t], per_sample)
        dW["w_out"] += _outer(e_y, after, per_sample)
    return dW


def _mean(x: Tensor, passes: int) -> Tensor:
    return x.view(passes, -1, x.shape[-1]).mean(0)


def _differences(each: Tensor, passes: int) -> Tensor:
    """Return how passes differ, (1 or M, B, ...)."""
    by_pass = each.view(passes, -1, *each.shape[1:])
    return by_pass[:1] - by_pass[1:] if passes == 2 else by_pass - by_pass.mean(0)


def _outer(e: Tensor, x: Tensor, per_sample: bool) -> Tensor:
    if per_sample:
        return (e.unsqueeze(2) * x.unsqueeze(1)).mean(0)
    return e.T @ x / len(e)
