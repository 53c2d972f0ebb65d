"""What the training loop calls: one step of a learner, from a batch to a weight update."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, cast

import torch
from torch import Tensor

from neuroanp.backends.protocol import Request
from neuroanp.errors import InputError
from neuroanp.losses import Loss, of_steps
from neuroanp.network.network import INPUT
from neuroanp.trajectory import Credit, PassPlan, Trajectory, Weights, WeightUpdate, with_bias_line

if TYPE_CHECKING:
    from neuroanp.backends.protocol import Backend
    from neuroanp.baselines.methods import GradientMethod
    from neuroanp.baselines.protocol import Outputs
    from neuroanp.learning.protocol import LearningRule, State
    from neuroanp.network.network import Network, Projection
    from neuroanp.noise import PassStreams
    from neuroanp.substrates.protocol import Neurons, ReadPlan, Substrate


@dataclass(frozen=True)
class StepContext:
    """All that one update may use.

    Args:
        inputs: (T, B, I); targets: (T, B, O); mask: (T,).
        substrate: holds the weights; reads: what it prepared for this update.
        backend: runs the passes; streams: the noise of this update.
        memory: bytes that stored trajectories may take before passes are replayed instead.
        loss: the task's.
    """

    inputs: Tensor
    targets: Tensor
    mask: Tensor
    substrate: Substrate
    reads: Mapping[str, ReadPlan]
    backend: Backend
    streams: PassStreams
    memory: int
    loss: Loss

    def request(self, plan: PassPlan, keep: str = "all", book: bool = True) -> Request:
        """Return what to ask the backend for to be shown the batch once for each pass."""
        return Request(self.substrate, self.reads, self.inputs, plan, self.streams, keep, book)


class Learner(Protocol):
    """Turns one batch into one update."""

    passes: int

    def step(self, context: StepContext) -> WeightUpdate:
        """Present the batch as often as needed and return the descent direction, with `loss` a diagnostic."""
        ...


class RuleLearner:
    """Runs a local rule: passes, losses, credit, outer products.

    The credit of a step needs the losses that follow it. Chunks are therefore stored where they fit
    in the memory budget, and else the passes are run twice: once for the losses, once with the
    same noise for the activities.
    """

    def __init__(self, rule: LearningRule) -> None:
        self.rule = rule
        self.plan = rule.plan()
        self.passes = self.plan.passes

    def step(self, context: StepContext) -> WeightUpdate:
        """Present the batch M times and return the rule's update."""
        if self.rule.instantaneous:
            return self._accumulate(self._passes(context), context, None)
        if self.stored_bytes(context) <= context.memory:
            chunks: Iterable[Trajectory] = stored(self._passes(context))
            losses = torch.cat([self._losses(chunk, context) for chunk in chunks])
        else:
            losses = torch.cat([self._losses(chunk, context) for chunk in self._passes(context, keep="loss")])
            chunks = self._passes(context, book=False)  # a simulator's replay: the chip reads once
        return self._accumulate(chunks, context, losses)

    def stored_bytes(self, context: StepContext) -> int:
        """Return what storing the whole presentation takes."""
        steps, batch, _ = context.inputs.shape
        numbers = self.numbers_kept(context.substrate.network)
        return steps * self.passes * batch * numbers * context.inputs.element_size()

    def numbers_kept(self, network: Network) -> int:
        """Return how many numbers a step of one pass and sequence leaves to store, at most.

        They are h, x and y; noise, where the rule knows it; of units that spike the spikes and what the outputs read.
        """
        lines = sum(network.lines.values())  # pre-activations of all layers, and the outputs
        known = lines if self.rule.needs_noise else 0
        spikes = 2 * network.hidden + 1 if network.spikes else 0
        return network.hidden + lines + known + spikes

    def _passes(self, context: StepContext, keep: str | None = None, book: bool = True) -> Iterable[Trajectory]:
        keep = keep or ("noise" if self.rule.needs_noise else "all")
        return context.backend.run(context.request(self.plan, keep, book))

    def _losses(self, chunk: Trajectory, context: StepContext) -> Tensor:
        time = slice(chunk.t0, chunk.t0 + len(chunk.y))
        return of_steps(context.loss, chunk.y, context.targets[time], context.mask[time])

    def _accumulate(self, chunks: Iterable[Trajectory], context: StepContext, losses: Tensor | None) -> WeightUpdate:
        weights = context.substrate.targets
        sums = self.rule.init(weights)
        credit: Credit | None = None  # of the whole presentation
        total = 0.0
        for chunk in chunks:
            if losses is None:
                chunk_losses = self._losses(chunk, context)
                chunk_credit = self.rule.assign(chunk_losses, self.plan, chunk.dt)
            else:
                credit = credit or self.rule.assign(losses, self.plan, chunk.dt)
                time = slice(chunk.t0, chunk.t0 + len(chunk.y))
                chunk_losses = losses[time]
                chunk_credit = Credit(credit.hidden[time], credit.output[time])
            total += float(chunk_losses.sum())
            factors = self.rule.modulate(chunk, chunk_credit, weights, self.plan)
            add_outer_products(sums, factors, presynaptic(chunk, self.plan, weights.network))
        batch = context.inputs.shape[1]
        update = self.rule.finish(sums, self.plan, batch)
        scored = float(context.mask.sum()) * batch * self.passes
        return WeightUpdate(update.arrays, {**update.diagnostics, "loss": total / scored})


class GradientLearner:
    """Runs a baseline that differentiates a digital twin with the weights the array holds.

    The chip is read once, which the ledger books; what the twin computes costs the chip nothing.
    The twin is the backend's `differentiable`; where it has none, InputError.
    """

    plan = PassPlan(gain=(0.0,), stream=(0,), pairs="mean")
    passes = 1

    def __init__(self, method: GradientMethod) -> None:
        self.method = method

    def step(self, context: StepContext) -> WeightUpdate:
        """Return the gradient of the loss over the batch."""
        substrate = context.substrate
        weights = Weights({name: read.W for name, read in context.reads.items()}, substrate.network)
        for _ in context.backend.run(context.request(self.plan, "loss")):
            pass  # only the reads are wanted
        outputs = twin(context.backend, substrate.network, substrate.neurons)
        batch = cast("Any", context)  # tensors serve where it expects arrays
        return self.method.gradient(weights, batch, outputs, loss=context.loss)


def twin(backend: Backend, network: Network, neurons: Neurons) -> Outputs:
    """Return what of a backend gradient methods differentiate.

    Args:
        backend: the simulator. network: layers and projections. neurons: how its units differ.

    Raises:
        InputError: it has none.
    """
    outputs = backend.differentiable(network)
    if outputs is None:
        raise InputError(
            f"rule: backend '{backend.name}' has no network of its units that can be differentiated (of neurons by "
            "equations none is known); use a local rule"
        )
    return cast("Outputs", partial(outputs, neurons=neurons)) if network.spikes else outputs


def make_learner(rule: LearningRule | GradientMethod) -> Learner:
    """Return what runs a local rule or a baseline."""
    return RuleLearner(cast("LearningRule", rule)) if rule.local else GradientLearner(cast("GradientMethod", rule))


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
            return chunk.u if p.bias or not network.bias else chunk.u[..., : network.inputs]
        if p.delay:
            before = over_passes(chunk.layers[p.pre].x_prev).unsqueeze(0)
            return with_bias_line(torch.cat([before, now[p.pre][:-1]]), p.bias)
        return with_bias_line(now[p.pre], p.bias)

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
