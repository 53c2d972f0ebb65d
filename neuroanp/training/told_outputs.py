"""Outputs that are told their signed errors: what all passes say of the arrays to them, and the readout's step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch

from neuroanp.errors import InputError
from neuroanp.learning.readouts import block_counts, inferred, least_squares
from neuroanp.losses import is_squared_error
from neuroanp.network.lines import word_lines
from neuroanp.network.network import OUTPUT
from neuroanp.training.outer_products import OuterProducts

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.learning.protocol import State
    from neuroanp.losses import Loss
    from neuroanp.network.network import Network
    from neuroanp.trajectory import PassPlan, Trajectory, Weights, WeightUpdate

S, G, R = "readout S", "readout G", "readout R"
"""Names of the sums, and of what recursive least squares remembers."""


class TellsOutputs(Protocol):
    """What of a rule's options a readout that is told its errors depends on."""

    @property
    def readout(self) -> str: ...

    @property
    def errors(self) -> str: ...

    @property
    def forget(self) -> float: ...

    @property
    def ridge(self) -> float: ...

    def plan(self) -> PassPlan: ...


class Told(NamedTuple):
    """What the outputs knew in a chunk of time, of all passes; of a plan with a silent reference, of that alone.

    Args:
        errors: (T, M, B, O) signed errors, 0 where nothing is scored.
        lines: (T, M, B, m) what the arrays to the outputs carried, side by side.
    """

    errors: Tensor
    lines: Tensor

    @classmethod
    def of(cls, chunk: Trajectory, errors: Tensor, network: Network, plan: PassPlan, D: Mapping[str, Tensor]) -> Told:
        """Return that of a chunk.

        Args: errors: (T, M, B, O) of all passes, as told or inferred. D: what decorrelates the activity of a layer.
        """
        lines = []
        for p in network.feed(OUTPUT):
            layer = chunk.activities[p.pre]
            x = chunk.pre[p.name] if p.name in chunk.pre else word_lines(p, layer.x, layer.x_prev)
            n = network.units[p.pre]
            lines.append(torch.cat([x[..., :n] @ D[p.pre].mT, x[..., n:]], -1) if p.pre in D else x)
        carried = lines[0] if len(lines) == 1 else torch.cat(lines, -1)
        if plan.pre is None:
            return cls(errors, carried)
        silent = slice(plan.pre, plan.pre + 1)
        return cls(errors[:, silent], carried[:, silent])


def inferred_errors(dL: Tensor, dy: Tensor, y: Tensor, loss: Loss | None) -> Tensor:
    """Return the errors of all passes that outputs infer, (T, M, B, O).

    What they infer is the error at the mean of the passes; a unit knows how far it is from that, and of the squared
    error what that makes: 2/O times.

    Args:
        dL: (T, R, B). dy: (T, R, B, O). y: (T, M, B, O). loss: the task's; None: of a world.
    """
    at_mean = inferred(dL, dy).unsqueeze(1)
    if loss is None or not is_squared_error(loss):
        return at_mean.expand_as(y)
    return at_mean + (y - y.mean(1, keepdim=True)) * (2.0 / y.shape[-1])


class ToldSums:
    """The sums over all that outputs were told in an update, fed chunk by chunk in the order of time.

    Args:
        readout: delta or rls. network: whose outputs. like: gives dtype and device. rows: M B, what is summed over.
    """

    def __init__(self, readout: str, network: Network, like: Tensor, rows: int) -> None:
        lines = sum(network.shapes[p.name][1] for p in network.feed(OUTPUT))
        sums = {S: like.new_zeros(network.outputs, lines)}
        if readout == "rls":
            sums[G] = like.new_zeros(lines, lines)
        self._products, self._rows = OuterProducts(sums, rows), rows

    def add(self, told: Told, mask: Tensor) -> None:
        """Add a chunk; mask: (T,) of its steps, 1 where they are scored."""
        lines = told.lines.flatten(1, 2)
        scored = lines * (mask > 0)[:, None, None]
        self._products.add({S: told.errors.flatten(1, 2), G: scored}, {S: lines, G: lines})

    def done(self) -> dict[str, Tensor]:
        """Return S and, for rls, G."""
        return {name: total / self._rows for name, total in self._products.done().items()}


def numbers_told(readout: str, network: Network) -> list[int]:
    """Return how many numbers the sums S and, for rls, G are; []: outputs are told nothing.

    >>> from neuroanp.network.compose import Stacked, stack
    >>> from neuroanp.network.tanh import Tanh
    >>> [numbers_told(name, stack(1, [Stacked(Tanh(), 3)], 2)) for name in ("perturb", "delta", "rls")]
    [[], [6], [6, 9]]
    """
    lines = sum(network.shapes[p.name][1] for p in network.feed(OUTPUT))
    return [] if readout == "perturb" else [network.outputs * lines, *([lines**2] if readout == "rls" else [])]


def first_state(readout: str, weights: Weights) -> State:
    """Return what a readout remembers at the start of a run."""
    if readout != "rls":
        return {}
    lines = sum(weights.network.shapes[p.name][1] for p in weights.network.feed(OUTPUT))
    return {R: weights.like.new_zeros(lines, lines, dtype=torch.float64)}


def check(readout: str, loss: Loss) -> None:
    """Raise InputError where a readout is not one for a loss."""
    if readout == "rls" and not is_squared_error(loss):
        raise InputError(
            f"rule.readout: rls is least squares, and the loss is the {loss.label}; use delta, or rule: anp"
        )


def with_outputs(
    found: WeightUpdate, state: State, rule: TellsOutputs, network: Network, shards: int = 1
) -> tuple[State, WeightUpdate]:
    """Return the state after an update, and the update with what the outputs were told.

    Args:
        found: of the other arrays, with S, and G for rls, among them.
        state: the learner's. rule: says how outputs learn. shards: how many updates of the rule `found` is the mean of.
    """
    sums = {name: found.arrays[name] for name in (S, G) if name in found.arrays}
    arrays = {name: dW for name, dW in found.arrays.items() if name not in (*network.readout, *sums)}
    if rule.readout == "delta":
        return state, replace(found, arrays={**arrays, **by_array(sums[S], network)})
    plan = rule.plan()
    K = shards * (plan.passes - 1 if plan.pairs == "mean" else plan.differences)  # those that are independent
    counts = block_counts(len(sums[S]), K) if rule.errors == "inferred" else 1.0
    remembered, step = least_squares(state[R], sums[S], sums[G], rule.forget, rule.ridge, counts)
    steps = by_array(step.to(sums[S].dtype), network)
    return {**state, R: remembered}, replace(found, arrays=arrays, steps=steps)


def by_array(W: Tensor, network: Network) -> dict[str, Tensor]:
    """Return the columns of W (O, m) by the arrays to the outputs that have them."""
    feed = network.feed(OUTPUT)
    parts = W.split([network.shapes[p.name][1] for p in feed], 1)
    return {p.name: part for p, part in zip(feed, parts, strict=True)}
