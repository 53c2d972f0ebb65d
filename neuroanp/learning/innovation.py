"""What the own noise of a unit changed: how its pre-activation differs, without what arrays brought."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from neuroanp.learning.credit import differences
from neuroanp.network.network import INPUT

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.network.network import Projection
    from neuroanp.trajectory import PassPlan, Trajectory, Weights


def innovation(name: str, dh: Tensor, chunk: Trajectory, weights: Weights, plan: PassPlan) -> Tensor:
    """Take away what changes elsewhere brought over the arrays: what is left, the unit's own noise made.

        i_t = dh_t - sum_arrays W dx            x of the step that an array carries

    Args:
        name: of the layer. dh: (T, R, B, lines) how its pre-activations differ.
        chunk: of all passes of a rate network. weights: as they are held digitally. plan: the passes.

    Returns: (T, R, B, lines).
    """
    network = weights.network
    for p in network.projections:
        if p.post != name or (p.pre == INPUT and chunk.u.ndim == 3):  # data are the same in all passes
            continue
        x = presynaptic(p, chunk)[..., : network.units[p.pre]]  # a bias line is the same in all passes
        brought = differences(x, plan) @ weights[p.name][:, : network.units[p.pre]].T
        there = network.ports(p)
        if there == slice(0, network.lines[name]):
            dh = dh - brought
        else:
            dh = torch.cat([dh[..., : there.start], dh[..., there] - brought, dh[..., there.stop :]], -1)
    return dh


def presynaptic(p: Projection, chunk: Trajectory) -> Tensor:
    """Return the activity (T, M, B, m) that an array of a rate network carries; of inputs, those of a world."""
    if p.pre == INPUT:
        return chunk.u
    before = chunk.activities[p.pre]
    return torch.cat([before.x_prev.unsqueeze(0), before.x[:-1]]) if p.delay else before.x
