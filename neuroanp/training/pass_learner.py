"""The learner of local rules: run the passes, turn losses into credit, form the outer products."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from neuroanp.network.lines import word_lines
from neuroanp.network.network import INPUT
from neuroanp.trajectory import Credit, PassPlan, Trajectory, Weights, WeightUpdate

if TYPE_CHECKING:
    from neuroanp.learning.protocol import LearningRule, State
    from neuroanp.network.network import Network, Projection
    from neuroanp.training.lab import Lab


class PassLearner:
    """Runs a local rule: passes, losses, credit, outer products. It has no state.

    The credit of a step needs the losses that follow it. Chunks are therefore stored where they fit
    in the memory budget, and else the passes are run twice: once for the losses, once with the
    same noise for the activities.
    """

    options: ClassVar[None] = None

    def __init__(self, rule: LearningRule) -> None:
        self.rule = rule
        self.plan = rule.plan()
        self.passes = self.plan.passes

    @property
    def noisy(self) -> bool:
        """Whether any pass has noise."""
        return any(self.plan.noise)

    def init(self, weights: Weights) -> State:
        """Return the state at the start of a run: none."""
        return {}

    def learn(self, state: State, lab: Lab) -> tuple[State, WeightUpdate]:
        """Present the batch M times and return the rule's update."""
        if self.rule.instantaneous:
            return state, self._accumulate(self._passes(lab), lab, None)
        if self.stored_bytes(lab) <= lab.memory:
            chunks: Iterable[Trajectory] = stored(self._passes(lab))
            losses = torch.cat([lab.losses(chunk) for chunk in chunks])
        else:
            losses = torch.cat([lab.losses(chunk) for chunk in self._passes(lab, keep="loss")])
            chunks = self._passes(lab, book=False)  # a simulator's replay: the chip reads once
        return state, self._accumulate(chunks, lab, losses)

    def stored_bytes(self, lab: Lab) -> int:
        """Return what storing the whole presentation takes."""
        numbers = self.numbers_kept(lab.network)
        return lab.steps * self.passes * lab.batch * numbers * lab.mask.element_size()

    def numbers_kept(self, network: Network) -> int:
        """Return how many numbers a step of one pass and sequence leaves to store, at most.

        They are h, x and y; noise, where the rule knows it; of units that spike the spikes, and what arrays to other
        layers and to the outputs had sent. Credit that looks at its own step alone needs none.
        """
        if self.rule.instantaneous:
            return 0
        lines = sum(network.lines.values())  # pre-activations of all layers, and the outputs
        known = lines if self.rule.needs_noise else 0
        sent = [p.name for p in network.projections if p.pre not in (INPUT, p.post)]
        spikes = network.hidden + sum(network.shapes[name][1] for name in sent) if network.spikes else 0
        return network.hidden + lines + known + spikes

    def _passes(self, lab: Lab, keep: str | None = None, book: bool = True) -> Iterable[Trajectory]:
        return lab.run(self.plan, keep or ("noise" if self.rule.needs_noise else "all"), book)

    def _accumulate(self, chunks: Iterable[Trajectory], lab: Lab, losses: Tensor | None) -> WeightUpdate:
        weights = lab.substrate.weights
        sums = self.rule.init(weights)
        credit: Credit | None = None  # of the whole presentation
        total = 0.0
        for chunk in chunks:
            if losses is None:
                chunk_losses = lab.losses(chunk)
                chunk_credit = self.rule.assign(chunk_losses, self.plan, chunk.dt)
            else:
                credit = credit or self.rule.assign(losses, self.plan, chunk.dt)
                time = slice(chunk.t0, chunk.t0 + len(chunk.y))
                chunk_losses = losses[time]
                chunk_credit = Credit(credit.hidden[time], credit.output[time])
            total += float(chunk_losses.sum())
            factors = self.rule.modulate(chunk, chunk_credit, weights, self.plan)
            add_outer_products(sums, factors, presynaptic(chunk, self.plan, weights.network))
        update = self.rule.finish(sums, self.plan, lab.batch)
        scored = float(lab.mask.sum()) * lab.batch * self.passes
        return WeightUpdate(update.arrays, {**update.diagnostics, "loss": total / scored})


def presynaptic(chunk: Trajectory, plan: PassPlan, network: Network) -> dict[str, Tensor]:
    """Return the presynaptic activity of each array (T, B, m): the mean over the passes, or the silent one's.

    It is the activity of the units before it, with a 1 for a bias line, where the backend does not say another.
    """

    def over_passes(x: Tensor) -> Tensor:
        return x.mean(-3) if plan.pre is None else x.select(-3, plan.pre)

    now = {name: over_passes(layer.x) for name, layer in chunk.layers.items()}

    def of(p: Projection) -> Tensor:
        if p.name in chunk.pre:
            return over_passes(chunk.pre[p.name])
        if p.pre == INPUT:
            u = chunk.u if chunk.u.ndim == 3 else over_passes(chunk.u)
            return u if p.bias or not network.bias else u[..., : network.inputs]
        return word_lines(p, now[p.pre], over_passes(chunk.layers[p.pre].x_prev))

    return {p.name: of(p) for p in network.projections}


def stored(chunks: Iterable[Trajectory]) -> list[Trajectory]:
    """Keep the chunks of a presentation; what one starts from is the last step of the one before, kept once."""
    kept: list[Trajectory] = []
    for chunk in chunks:
        before = kept[-1].layers if kept else {}
        layers = {
            name: replace(layer, x_prev=before[name].x[-1]) if name in before else layer
            for name, layer in chunk.layers.items()
        }
        kept.append(replace(chunk, layers=layers))
    return kept


def add_outer_products(sums: State, factors: Mapping[str, Tensor], pre: Mapping[str, Tensor]) -> None:
    """Add sum_{t,b} A_tb pre_tb^T to each sum: the one place where a local rule's matrices are formed."""
    for name, A in factors.items():
        sums[name].addmm_(A.flatten(0, 1).T, pre[name].flatten(0, 1))
