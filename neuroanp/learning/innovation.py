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

    >>> from neuroanp.network.compose import one_layer
    >>> from neuroanp.trajectory import LayerActivity, PassPlan, Trajectory, Weights
    >>> x = torch.tensor([1.0, 0.0]).reshape(1, 2, 1, 1).expand(2, 2, 1, 1)  # T 2, M 2, B 1, n 1
    >>> chunk = Trajectory(torch.zeros(2, 1, 1), {"hidden": LayerActivity(x, x, 0 * x[0])}, x, t0=0, dt=1e-3)
    >>> weights = Weights.one_layer({"w_in": torch.ones(1, 1), "w": torch.tensor([[0.5]]), "w_out": torch.ones(1, 1)})
    >>> dh, plan = torch.full((2, 1, 1, 1), 0.7), PassPlan(noise=(1.0, 1.0), stream=(0, 1), pairs=((0, 1),))
    >>> innovation("hidden", dh, chunk, weights, plan).flatten()  # .5 of a difference of 1, from the second step on
    tensor([0.7000, 0.2000])
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
    """Return the activity (T, M, B, m) that an array of a rate network carries; of inputs, those of a world.

    >>> from neuroanp.network.compose import one_layer
    >>> from neuroanp.trajectory import LayerActivity, PassPlan, Trajectory, Weights
    >>> x = torch.tensor([1.0, 0.0]).reshape(1, 2, 1, 1).expand(2, 2, 1, 1)  # T 2, M 2, B 1, n 1
    >>> chunk = Trajectory(torch.zeros(2, 1, 1), {"hidden": LayerActivity(x, x, 0 * x[0])}, x, t0=0, dt=1e-3)
    >>> network = one_layer({"w_in": (1, 1), "w": (1, 1), "w_out": (1, 1)})
    >>> presynaptic(network.projection("w"), chunk)[:, 0].flatten().tolist()  # a step late
    [0.0, 1.0]
    """
    if p.pre == INPUT:
        return chunk.u
    before = chunk.activities[p.pre]
    return torch.cat([before.x_prev.unsqueeze(0), before.x[:-1]]) if p.delay else before.x
