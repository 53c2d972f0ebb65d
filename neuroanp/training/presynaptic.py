"""What the arrays of a network had before them: the presynaptic factor of every outer product."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from neuroanp.network.lines import word_lines
from neuroanp.network.network import INPUT
from neuroanp.trajectory import LayerChange

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.network.network import Network, Projection
    from neuroanp.trajectory import LayerActivity, PassPlan, Trajectory


def over_passes(x: Tensor, plan: PassPlan) -> Tensor:
    """Return the mean over the passes of x (..., M, B, n), or that of the silent one."""
    return x.mean(-3) if plan.pre is None else x.select(-3, plan.pre).clone()  # a view would hold all passes


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

        def of(layer: LayerActivity | LayerChange) -> tuple[Tensor, Tensor]:
            if isinstance(layer, LayerChange):
                return layer.x, layer.x_prev
            return over_passes(layer.x, plan), over_passes(layer.x_prev, plan)

        found = {name: of(layer) for name, layer in chunk.layers.items()}
        return cls(
            chunk.u if chunk.u.ndim == 3 else over_passes(chunk.u, plan),
            {name: x for name, (x, _) in found.items()},
            {name: before for name, (_, before) in found.items()},
            {name: over_passes(x, plan) for name, x in chunk.pre.items()},
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
