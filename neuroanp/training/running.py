"""One noisy pass an update against running averages of those of earlier updates, for batches that repeat.

    dh_t = h_t - hbar_t,   dL_t = L_t - Lbar_t,   then   abar <- abar + rate (a - abar)   for a of h, y, L

and each for every sequence and step of its own. The first pass teaches nothing; the rate of the k-th is
max(average, 1/k), so that the first averages are plain means. The noise of the averages is independent of that of the
pass; what weights changed since is in the differences, too, and grows with the rate of learning.

The averages, and the batch that they are of, are the learner's state, and in its checkpoints. A batch of other
sequences is refused: its averages would be of nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from neuroanp.errors import InputError
from neuroanp.later import number
from neuroanp.learning.passes import PassRule
from neuroanp.learning.protocol import LearningRule, State
from neuroanp.training.decorrelating import folded, matrices
from neuroanp.training.kept import Kept, joined
from neuroanp.training.presynaptic import Presynaptic
from neuroanp.trajectory import LayerActivity, PassPlan, Trajectory, WeightUpdate

if TYPE_CHECKING:
    from neuroanp.network.network import Network
    from neuroanp.training.lab import Lab

Update = Callable[[Iterable[Kept], "Lab", "Tensor | None"], WeightUpdate]
OTHER = (
    "rule.reference: 'running' compares each pass with those of earlier updates, which must have had the same "
    "sequences, and {} has others in every update; use a task whose batches repeat, or reference 'two' or 'mean'"
)
LOSS, COUNT, BATCH = "running/loss", "running/count", ("running/source", "running/targets", "running/mask")
"""Names in the state: averages are "running/loss", "running/y" and "running/<layer>/<field>", (T, B, ...) each."""


def repeats(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    """Return whether two batches, inputs, targets and masks, are the same numbers.

    >>> import numpy as np
    >>> repeats((np.ones(2),), (np.ones(2),)), repeats((np.ones(2),), (np.zeros(2),))
    (True, False)
    """
    pairs = [(torch.as_tensor(a), torch.as_tensor(b)) for a, b in zip(one, other, strict=True)]
    return all(a.shape == b.shape and torch.equal(a, b) for a, b in pairs)


@dataclass(frozen=True)
class Averages:
    """What is remembered of earlier passes of one batch.

    Args:
        state: the learner's, which holds them; {}: of none. fields: of the layers' activity, and "y", that are wanted.
    """

    state: Mapping[str, Tensor]
    fields: tuple[str, ...]

    @property
    def passes(self) -> int:
        """How many passes they are of."""
        return int(self.state[COUNT]) if self.state else 0

    def found(self, chunk: Trajectory, losses: Tensor) -> dict[str, Tensor]:
        """Return what a chunk of one pass has of all that is averaged, (T, B, ...) each."""
        found = {LOSS: losses[:, 0]}
        for name, layer in chunk.activities.items():
            values = {"h": layer.h, "x": layer.x, "z": layer.z}
            for field, value in values.items():
                if field in self.fields and value is not None:
                    found[f"running/{name}/{field}"] = value[:, 0]
        return {**found, "running/y": chunk.y[:, 0]} if "y" in self.fields else found

    def beside(self, chunk: Trajectory) -> Trajectory:
        """Return a chunk of two passes, the one that was run and the averages; what is not averaged, twice the same."""
        at = slice(chunk.t0, chunk.t0 + len(chunk.y))

        def two(value: Tensor, name: str, dim: int = 1) -> Tensor:
            of = self.state[name][at].unsqueeze(1) if name in self.state else value
            return torch.cat([value, of], dim)

        def layer(name: str, did: LayerActivity) -> LayerActivity:
            x = f"running/{name}/x"
            before = did.x_prev
            if x in self.state:
                before = self.state[x][chunk.t0 - 1].unsqueeze(0) if chunk.t0 else torch.zeros_like(before)
            z = None if did.z is None else two(did.z, f"running/{name}/z")
            return LayerActivity(two(did.h, f"running/{name}/h"), two(did.x, x), torch.cat([did.x_prev, before]), z)

        layers = {name: layer(name, did) for name, did in chunk.activities.items()}
        noise = chunk.noise and {k: torch.cat([n, torch.zeros_like(n)], 1) for k, n in chunk.noise.items()}
        return replace(chunk, layers=layers, y=two(chunk.y, "running/y"), noise=noise)

    def after(self, found: Mapping[str, Tensor], rate: float) -> State:
        """Return the averages after one more pass, which was found (T, B, ...)."""
        if not self.state:
            return {name: value.clone() for name, value in found.items()}
        return {name: self.state[name] + rate * (value - self.state[name]) for name, value in found.items()}


def remembered(rule: Any, network: Network) -> int:
    """Return how many numbers of a step of one sequence are remembered: averages, the newest pass, the batch."""
    if not (isinstance(rule, PassRule) and rule.plan().remembered):
        return 0
    fields = rule.remembers(network)
    each = {"h": sum(n for name, n in network.lines.items() if name in network.groups[1:-1]), "x": network.hidden}
    each |= {"z": network.hidden, "y": network.outputs}
    return 2 * (1 + sum(each[field] for field in fields)) + network.inputs + network.outputs


class RunningRule(LearningRule, Protocol):
    """A rule that can compare a pass with averages; see `neuroanp.learning.passes.PassRule`."""

    average: float

    def remembers(self, network: Network) -> tuple[str, ...]:
        """Return what of earlier passes it looks at."""
        ...


def learn(rule: RunningRule, state: State, lab: Lab, update: Update) -> tuple[State, WeightUpdate]:
    """Present the batch once, compare it with the averages, and return them as they are now, and the rule's update.

    Args:
        rule: whose. state: of the learner. lab: of the update.
        update: makes the update of what was kept of chunks and the losses of the presentation; None: each its own.

    Raises:
        InputError: the batch is another one than that of the averages, or a world, which repeats nothing.
    """
    plan, weights = rule.plan(), folded(lab.substrate.weights, matrices(lab))
    if not isinstance(lab.source, Tensor):
        raise InputError(OTHER.format("a world that answers the network"))
    averages, batch = Averages(state, rule.remembers(lab.network)), (lab.source, lab.targets, lab.mask)
    if averages.passes and not repeats(batch, tuple(state[name] for name in BATCH)):
        raise InputError(OTHER.format("this task"))
    kept, parts, total = list[Kept](), list[dict[str, Tensor]](), list[Tensor]()
    once = PassPlan(plan.noise, plan.stream, "mean", pre=0)
    for chunk in lab.run(once, "noise" if rule.needs_noise else "all"):
        losses = lab.losses(chunk)
        parts.append(averages.found(chunk, losses))
        total.append(losses)
        if averages.passes:
            at = slice(chunk.t0, chunk.t0 + len(losses))
            losses = torch.cat([losses, state[LOSS][at].unsqueeze(1)], 1)
            compared = rule.compare(averages.beside(chunk), weights, plan)
            kept.append(Kept(chunk.t0, chunk.dt, losses, compared, Presynaptic.of(chunk, plan)))
    count = averages.passes + 1
    found = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    new = averages.after(found, max(rule.average, 1.0 / count))
    new |= {COUNT: torch.tensor(count, dtype=torch.int64)}
    new |= dict(zip(BATCH, batch, strict=True)) if count == 1 else {name: state[name] for name in BATCH}
    loss = number(torch.cat(total).sum().double() / (lab.mask.sum().double() * lab.batch))
    if not kept:
        return new, WeightUpdate({name: torch.zeros_like(W) for name, W in weights.items()}, {"loss": loss})
    whole = None if rule.instantaneous else torch.cat([each.losses for each in kept])
    made = update(joined(kept), lab, whole)
    return new, replace(made, diagnostics={**made.diagnostics, "loss": loss})
