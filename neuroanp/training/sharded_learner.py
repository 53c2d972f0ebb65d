"""The learner of an update in shards: each an estimate of its own, by some process; what they found is averaged.

A shard is the rule with K / S of its replicas, its own reference, and noise from addresses of its own, so that the
update does not depend on who does which shard. Noise with a memory does not reach from one shard to the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import fsum
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from pydantic import BaseModel
from torch import Tensor

from neuroanp.learning.echo import Echo
from neuroanp.learning.passes import PassRule
from neuroanp.network.network import INPUT
from neuroanp.training.decorrelating import decorrelated_groups, decorrelation_of
from neuroanp.training.echo_learner import EchoLearner
from neuroanp.training.factored import Factors, numbers_of, silent
from neuroanp.training.learner import Learner, make_learner
from neuroanp.training.pass_learner import PassLearner
from neuroanp.training.sharding import rule_of_shard
from neuroanp.training.sums import bytes_of, mean_of
from neuroanp.training.told_outputs import R, numbers_told
from neuroanp.trajectory import WeightUpdate

if TYPE_CHECKING:
    from neuroanp.learning.protocol import LearningRule, State
    from neuroanp.network.network import Network
    from neuroanp.substrates.ledger import Ledger
    from neuroanp.training.lab import Lab
    from neuroanp.training.sections import Compute
    from neuroanp.trajectory import Weights

DW, D, STATE = "dW ", "D ", "state "
"""What names in a sum begin with: of updates, of matrices that decorrelate, of what the learner remembers."""


class Shards(NamedTuple):
    """A rule that is done in shards.

    Args:
        rule: with all replicas. count: S. sums: exact or float.
    """

    rule: PassRule | Echo
    count: int
    sums: str


class ShardedLearner:
    """Does an update in shards, and averages them.

    Args:
        rule: with all its replicas, and how many shards are added in which way.
    """

    options: ClassVar[type[BaseModel] | None] = None
    takes: ClassVar[tuple[str, ...]] = ("data",)

    def __init__(self, rule: Shards) -> None:
        self.sums, one = rule.sums, rule_of_shard(rule.rule, rule.count)
        self._replicas = one.K
        self.parts: Sequence[PassLearner | EchoLearner] = [
            EchoLearner(one, part) if isinstance(one, Echo) else PassLearner(one, part) for part in range(rule.count)
        ]
        self.passes, self.noisy = sum(part.passes for part in self.parts), self.parts[0].noisy

    def numbers_kept(self, network: Network) -> int:
        """Return how many numbers a step of one sequence leaves to store: shards follow one another."""
        return self.parts[0].numbers_kept(network)

    def init(self, weights: Weights) -> State:
        """Return the state at the start of a run, that of a shard."""
        return self.parts[0].init(weights)

    def learn(self, state: State, lab: Lab) -> tuple[State, WeightUpdate]:
        """Do those shards that are this process's, and return what all of them found.

        Raises:
            RunError: a process that shares them has ended.
        """
        size, index = (1, 0) if lab.crew is None else (lab.crew.size, lab.crew.index)
        numbers, names = range(len(self.parts)), [name for name in lab.reads if lab.learns(name)]
        factored = self.factored(lab.network, names, lab.steps, lab.batch)
        losses, pages, found = list[float](), dict[int, "Ledger"](), list[dict[str, Tensor]]()
        remembered, first = dict[str, Tensor](), None
        for n in numbers[index::size]:
            with lab.page() as page:
                new, update, kept = self._found(n, state, lab, factored)
            found.append(kept.found if kept is not None else _named(state, new, update))
            remembered = new
            first = first or kept  # the activity of one shard is that of all
            losses.append(float(update.diagnostics["loss"]))
            pages |= {} if page is None else {n: page}
        if lab.crew is not None:
            losses, pages = lab.crew.share([*numbers], losses, pages)
        for n in sorted(pages):
            lab.substrate.ledger.add(pages[n])
        mean = mean_of(found, len(self.parts), self.sums, lab.crew)
        told = {"loss": fsum(losses) / len(losses)}
        if first is not None:
            return state, replace(self._formed(first, mean, lab), diagnostics=told)
        update = WeightUpdate(_under(DW, mean), told, _under(D, mean))
        return self.parts[0].closed({**remembered, **_under(STATE, mean)}, update, lab.network, len(self.parts))

    def factored(self, network: Network, names: Sequence[str], steps: int, batch: int) -> bool:
        """Return whether shards share factors over time in place of matrices, as they do where those are fewer.

        Args:
            network: that learns. names: of the arrays that learn. steps: T. batch: B.
        """
        part = self.parts[0]
        if not (isinstance(part, PassLearner) and silent(part.plan)):
            return False
        if part.rule.hears_errors or decorrelation_of(part.rule) is not None or part.identifies:
            return False
        whole = sum(n * m for n, m in (network.shapes[name] for name in names))
        return numbers_of(network, names, steps, batch) < whole

    def bytes_told(self, state: State, weights: Weights, names: Sequence[str], steps: int, batch: int) -> int:
        """Return what a process tells others of an update beside losses and books, in bytes.

        Args:
            state: the learner's. weights: of the network that learns. names, steps, batch: as in `factored`.
        """
        size = weights.like.element_size()
        of_state = sum(bytes_of([x.numel()], x.element_size(), self.sums) for x in _shared_of(state))
        told = self.numbers_told(weights.network, names, steps, batch)
        return bytes_of(told, size, self.sums) + of_state

    def numbers_told(self, network: Network, names: Sequence[str], steps: int, batch: int) -> list[int]:
        """Return of how many numbers each array is that a shard finds, beside what a learner remembers.

        Args:
            network: that learns. names, steps, batch: as in `factored`.
        """
        if self.factored(network, names, steps, batch):
            groups = len({network.projection(name).post for name in names})
            return [numbers_of(network, names, steps, batch), *[0] * (groups - 1)]
        rule = self.parts[0].rule
        told = [n * m for n, m in (network.shapes[name] for name in _by_matrix(names, rule, network))]
        told += numbers_told(rule.readout, network)
        if len(names) == len(network.shapes):  # D moves where all arrays learn
            units = {**network.units, INPUT: network.inputs}
            told += [units[group] ** 2 for group in decorrelated_groups(rule, network)]
        return told

    def bytes_held(self, state: State, weights: Weights, steps: int, batch: int, workers: int) -> int:
        """Return what a process holds of its shards at the end of an update, where all arrays learn, in bytes.

        What each of them found, the sums of whole numbers, those of another process and a message of them; of factors
        also the activity of one shard.

        Args:
            state: the learner's. weights: of the network that learns; only shapes count. steps: T. batch: B.
            workers: processes that share the shards.
        """
        network, names, size = weights.network, [*weights], weights.like.element_size()
        own, sets = -(-len(self.parts) // workers), 1 if workers == 1 else 3
        sizes = [(n, size) for n in self.numbers_told(network, names, steps, batch)]
        sizes += [(x.numel(), x.element_size()) for x in _shared_of(state)]
        heard = sum(m for _, m in network.shapes.values()) if self.factored(network, names, steps, batch) else 0
        held = sum(n * (own * each + sets * (8 if self.sums == "exact" else each)) for n, each in sizes)
        return held + steps * batch * heard * size

    def __str__(self) -> str:
        return f"{len(self.parts)}, each of K {self._replicas} with a reference of its own"

    def _found(self, n: int, state: State, lab: Lab, factored: bool) -> tuple[State, WeightUpdate, Factors | None]:
        """Do a shard: return the state, the update before outputs are told anything, and factors where they count."""
        alone, part = replace(lab, crew=None), self.parts[n]
        if factored and isinstance(part, PassLearner):
            kept = Factors(lab.network, lab.steps)
            return state, part.presented(alone, kept), kept
        new, update = part.found(state, alone)
        learn = _by_matrix([name for name in lab.reads if lab.learns(name)], part.rule, lab.network)
        own = {name: dW for name, dW in update.arrays.items() if name not in lab.reads or name in learn}
        return new, replace(update, arrays=own), None

    def _formed(self, factors: Factors, mean: Mapping[str, Tensor], lab: Lab) -> WeightUpdate:
        """Return the update of factors that all shards have a part in."""
        part = self.parts[0]
        assert isinstance(part, PassLearner)
        sums = factors.products(mean, part.rule.init(lab.substrate.weights), lab.batch)
        return part.rule.finish(sums, part.plan, lab.batch)


def learner_of(rule: Any, compute: Compute) -> Learner:
    """Return what runs a rule: in shards where `compute` says so."""
    if compute.shards == 1:
        return make_learner(rule)
    return ShardedLearner(Shards(rule, compute.shards, compute.sums))


def _by_matrix(names: Sequence[str], rule: PassRule | Echo | LearningRule, network: Network) -> list[str]:
    """Return those arrays that a rule finds updates of: of those to the outputs not where these are told something."""
    return [name for name in names if rule.readout == "perturb" or name not in network.readout]


def _shared_of(state: State) -> list[Tensor]:
    """Return what shards find anew of what the learner remembers."""
    return [x for name, x in state.items() if x.ndim and name != R]


def _named(state: State, new: State, update: WeightUpdate) -> dict[str, Tensor]:
    """Return all that a shard found by name: its update, matrices, and what it remembers that is new."""
    changed = {name: x for name, x in new.items() if x.ndim and x is not state.get(name)}
    kinds = {DW: update.arrays, D: update.decorrelation, STATE: changed}
    return {kind + name: x for kind, each in kinds.items() for name, x in each.items()}


def _under(kind: str, found: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(kind): x for name, x in found.items() if name.startswith(kind)}
