"""What the arrays of a network had before them: the presynaptic factor of every outer product."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from neuroanp.network.lines import word_lines
from neuroanp.network.network import INPUT
from neuroanp.trajectory import LayerChange

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.network.network import Network, Projection
    from neuroanp.trajectory import Compared, LayerActivity, PassPlan, Trajectory


def over_passes(x: Tensor, plan: PassPlan, live: Tensor | None = None) -> Tensor:
    """Return the mean over the passes of x (..., M, B, n), or that of the silent one.

    Args:
        live: (..., M, B) bool, of a world what goes on: what is over is not heard, and where no pass is left x is 0.
            None: all do.

    >>> from neuroanp.trajectory import PassPlan
    >>> x, plan = torch.tensor([[[1.0], [1.0]], [[3.0], [3.0]]]), PassPlan((1.0, 1.0), (0, 1), "mean")
    >>> over_passes(x, plan, torch.tensor([[True, False], [False, False]])).tolist()
    [[1.0], [0.0]]
    """
    if live is not None:
        there = live.to(x).unsqueeze(-1)
        x = x * there
        return over_passes(x, plan) if plan.pre is not None else x.sum(-3) / there.sum(-3).clamp_min(1)
    return x.mean(-3) if plan.pre is None else x.select(-3, plan.pre).clone()  # a view would hold all passes


def compared_while_live(compared: Compared, chunk: Trajectory, plan: PassPlan) -> Compared:
    """Return how passes differ, d = 0 where one of those that are compared is over: its activity is not there.

    Args:
        compared: of the chunk. chunk: of all passes. plan: which of them are compared.
    """
    live = heard(chunk)
    if live is None:
        return compared
    if isinstance(plan.pairs, str):
        both = live.all(1, keepdim=True).expand(live.shape)
    else:
        both = torch.stack([live[:, p] & live[:, q] for p, q in plan.pairs], 1)
    return replace(compared, d={name: d * both.unsqueeze(-1).to(d) for name, d in compared.d.items()})


def heard(chunk: Trajectory) -> Tensor | None:
    """Return which worlds go on in a chunk, (T, M, B), where the activity lies; None: all do."""
    return None if chunk.live is None or bool(chunk.live.all()) else chunk.live.to(chunk.y.device)


@dataclass(frozen=True)
class Presynaptic:
    """Presynaptic activity of one chunk: the mean over the passes, or that of the silent one.

    Args:
        u: (T, B, I) of the inputs, a bias line included.
        layers: (T, B, n) of the units of each layer. before: (B, n) of the step before the chunk.
        arrays: (T, B, m) of arrays that see another activity than that of the units before them, by name.
    """

    u: Tensor
    layers: Mapping[str, Tensor]
    before: Mapping[str, Tensor]
    arrays: Mapping[str, Tensor]

    @classmethod
    def of(cls, chunk: Trajectory, plan: PassPlan) -> Presynaptic:
        """Return that of a chunk of all passes."""

        live = heard(chunk)

        def of(layer: LayerActivity | LayerChange) -> tuple[Tensor, Tensor]:
            if isinstance(layer, LayerChange):
                return layer.x, layer.x_prev
            return over_passes(layer.x, plan, live), over_passes(layer.x_prev, plan, None if live is None else live[0])

        found = {name: of(layer) for name, layer in chunk.layers.items()}
        return cls(
            chunk.u if chunk.u.ndim == 3 else over_passes(chunk.u, plan, live),
            {name: x for name, (x, _) in found.items()},
            {name: before for name, (_, before) in found.items()},
            {name: over_passes(x, plan, live) for name, x in chunk.pre.items()},
        )

    def of_groups(self, network: Network) -> dict[str, Tensor]:
        """Return what units did, (T, B, n): inputs without the line of a constant, and layers."""
        return {INPUT: self.u[..., : network.inputs], **self.layers}

    @property
    def last(self) -> dict[str, Tensor]:
        """The activity (B, n) of the last step of each layer."""
        return {name: x[-1] for name, x in self.layers.items()}

    def after(self, before: Mapping[str, Tensor]) -> Presynaptic:
        """Return it with these activities as those of the step before, so that they are held once."""
        return replace(self, before={**self.before, **before})

    def by_array(self, network: Network, learns: Callable[[str], bool] = lambda name: True) -> dict[str, Tensor]:
        """Return what each array that learns has before it, (T, B, m): activity of its units, a 1 for a bias line."""

        def of(p: Projection) -> Tensor:
            if p.name in self.arrays:
                return self.arrays[p.name]
            if p.pre == INPUT:
                return self.u if p.bias or not network.bias else self.u[..., : network.inputs]
            return word_lines(p, self.layers[p.pre], self.before[p.pre])

        return {p.name: of(p) for p in network.projections if learns(p.name)}
