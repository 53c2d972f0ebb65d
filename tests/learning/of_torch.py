"""Optimisers and schedules of torch, which ours are held to."""

from __future__ import annotations

import torch

from neuroanp.learning.optimisers import Optimizer


def torchs(optimizer: Optimizer, parameters: list[torch.nn.Parameter], updates: int):
    """The optimiser and the schedule of torch that ours is to be."""
    if optimizer.name == "sgd":
        made = torch.optim.SGD(parameters, lr=optimizer.lr)
    else:
        betas = (optimizer.beta1, optimizer.beta2)
        made = torch.optim.Adam(parameters, lr=optimizer.lr, betas=betas, eps=optimizer.eps)
    if optimizer.schedule == "cosine":
        return made, torch.optim.lr_scheduler.CosineAnnealingLR(made, T_max=updates)
    return made, torch.optim.lr_scheduler.ConstantLR(made, factor=1.0)
