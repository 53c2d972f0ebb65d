"""Optimisers and schedules of torch, which ours are held to."""

from __future__ import annotations

from math import ceil

import torch
from torch.optim import lr_scheduler as schedules

from neuroanp.learning.optimisers import Optimizer


def torchs(optimizer: Optimizer, parameters: list[torch.nn.Parameter], updates: int):
    """The optimiser and the schedule of torch that ours is to be."""
    if optimizer.name == "sgd":  # torch adds the decay to the gradient, which for plain SGD is the same
        made = torch.optim.SGD(parameters, lr=optimizer.lr, weight_decay=optimizer.weight_decay)
    else:
        betas = (optimizer.beta1, optimizer.beta2)
        made = torch.optim.AdamW(
            parameters, lr=optimizer.lr, betas=betas, eps=optimizer.eps, weight_decay=optimizer.weight_decay
        )
    return made, _schedule(optimizer, made, updates)


def _schedule(optimizer: Optimizer, made: torch.optim.Optimizer, updates: int):
    """The warm-up and then the schedule, put together by torch."""
    warmup, rest = optimizer.warmup, updates - optimizer.warmup
    floor = optimizer.floor
    # torch asks its schedules for a rate as they are made: the one that comes first is made last
    if optimizer.schedule == "cosine":
        later = schedules.CosineAnnealingLR(made, T_max=rest, eta_min=optimizer.lr * (floor or 0.0))
    elif optimizer.schedule == "linear":
        later = schedules.LinearLR(made, start_factor=1.0, end_factor=floor or 0.0, total_iters=rest)
    elif optimizer.schedule == "exponential":
        later = schedules.ExponentialLR(made, gamma=(0.01 if floor is None else floor) ** (1 / rest))
    elif optimizer.schedule == "step":
        at = [ceil(share * rest) for share in optimizer.milestones]
        later = schedules.MultiStepLR(made, milestones=at, gamma=optimizer.factor)
    else:
        later = schedules.ConstantLR(made, factor=1.0)
    if not warmup:
        return later
    first = schedules.LinearLR(made, start_factor=1 / (warmup + 1), end_factor=1.0, total_iters=warmup)
    return schedules.SequentialLR(made, [first, later], milestones=[warmup])
