"""The learners of rules that wait for the return of an episode: an eligibility trace of each synapse and episode."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from neuroanp.errors import InputError
from neuroanp.learning.nrl import NRL
from neuroanp.learning.rmhl import RMHL
from neuroanp.losses.surprise import first_state, surprise
from neuroanp.training.presynaptic import Presynaptic
from neuroanp.trajectory import WeightUpdate

if TYPE_CHECKING:
    from neuroanp.learning.protocol import State
    from neuroanp.network.network import Network
    from neuroanp.source import Shared
    from neuroanp.training.lab import Lab
    from neuroanp.trajectory import Trajectory, Weights

NO_ACTIONS = "rule: '{}' learns from the return of what its actions did, and this task has none; use anp, np or wp"


class Step(NamedTuple):
    """One step of the episodes of a batch.

    Args:
        factors: postsynaptic factors, (1, B, lines) by array. before: presynaptic activity, (1, B, m) by array.
        live: (1, B, 1) bool, which episodes go on.
    """

    factors: Mapping[str, Tensor]
    before: Mapping[str, Tensor]
    live: Tensor


class RewardLearner:
    """Base: lets all passes act as one in each episode, and adds up traces until the returns are known.

    A trace is kept for each synapse and episode of the batch, which is no longer the longer the episodes are.
    """

    options: ClassVar[Any]
    takes: ClassVar[tuple[str, ...]] = ("worlds", "actions")
    noisy: bool = True

    def __init__(self, rule: Any) -> None:
        self.rule, self.plan = rule, rule.plan()
        self.passes = self.plan.passes

    def numbers_kept(self, network: Network) -> int:
        """Return 0: no step is kept."""
        return 0

    def init(self, weights: Weights) -> State:
        """Return the state at the start of a run: no return is known."""
        return first_state()

    def learn(self, state: State, lab: Lab) -> tuple[State, WeightUpdate]:
        """Let the batch of episodes go by, and return the traces times how surprising their returns were.

        Raises:
            InputError: the task has no actions to choose from.
        """
        world = shared(lab, self.rule.name, self.acts)
        traces: dict[str, Tensor] = {}
        for factors, pre, live in self._steps(replace(lab, source=world)):
            for name, x in pre.items():
                product = torch.einsum("tbn,tbm->bnm", factors[name] * live.to(x), x)
                if name not in traces:
                    traces[name] = product
                    continue
                if self.rule.gamma < 1:  # what an episode left when it ended stays until its return is known
                    faded = torch.where(live[0].unsqueeze(-1), x.new_tensor(self.rule.gamma), x.new_tensor(1.0))
                    traces[name].mul_(faded)
                traces[name].add_(product)
        returns = torch.from_numpy(world.rewards.sum(0))
        delta, after = surprise(returns, state, self.rule.average)
        weight = delta / (lab.batch * self.differences)
        arrays = {name: -torch.einsum("b,bnm->nm", weight.to(e), e) for name, e in traces.items()}
        loss = -float(returns.sum()) / (lab.steps * lab.batch)
        return after, WeightUpdate(arrays, {"loss": loss})

    @property
    def acts(self) -> int | None:
        """The pass that acts; None: the mean of the policies."""
        raise NotImplementedError

    @property
    def differences(self) -> int:
        """R, differences of passes."""
        raise NotImplementedError

    def _steps(self, lab: Lab) -> Iterator[Step]:
        """Yield the steps of the episodes."""
        raise NotImplementedError

    def _step(self, factors: Mapping[str, Tensor], chunk: Trajectory, lab: Lab) -> Step:
        """Return a step with its presynaptic activity, and the episodes that go on."""
        before = Presynaptic.of(chunk, self.plan).by_array(lab.network, lab.learns)
        every = torch.ones(chunk.y.shape[0], chunk.y.shape[2], dtype=torch.bool, device=chunk.y.device)
        live = every if chunk.live is None else chunk.live[:, 0].to(chunk.y.device)
        return Step(factors, before, live.unsqueeze(-1))


class NrlLearner(RewardLearner):
    """Runs noise-based reward-modulated learning; see `neuroanp.learning.nrl`."""

    options: ClassVar[type[NRL]] = NRL

    @property
    def acts(self) -> int | None:
        """The pass that acts: the silent one, or the mean of the policies."""
        return self.rule.acts

    @property
    def differences(self) -> int:
        """R, differences of passes."""
        return self.plan.differences

    def _steps(self, lab: Lab) -> Iterator[Step]:
        for chunk in lab.run(self.plan, self.rule.keep):
            compared = self.rule.compare(chunk, lab.substrate.weights, self.plan)
            yield self._step(self.rule.factors(lab.losses(chunk), compared, lab.network), chunk, lab)


class RmhlLearner(RewardLearner):
    """Runs reward-modulated Hebbian learning; see `neuroanp.learning.rmhl`."""

    options: ClassVar[type[RMHL]] = RMHL

    @property
    def acts(self) -> int | None:
        """The pass that acts: there is one."""
        return 0

    @property
    def differences(self) -> int:
        """1: nothing is compared."""
        return 1

    def _steps(self, lab: Lab) -> Iterator[Step]:
        network, averages = lab.network, dict[str, Tensor]()
        for chunk in lab.run(self.plan, self.rule.keep):
            d, averages = self.rule.explored(chunk, averages, network)
            factors = {p.name: d[p.post][..., network.ports(p)] for p in network.projections}
            yield self._step(factors, chunk, lab)


def shared(lab: Lab, name: str, by: int | None) -> Shared:
    """Return the episodes of a lab in which all passes act as one (`neuroanp.source.World.shared`).

    Raises:
        InputError: it has no actions to choose from; name: the rule that needs them.
    """
    found = None if isinstance(lab.source, Tensor) else lab.source.shared(by)
    if found is None:
        raise InputError(NO_ACTIONS.format(name))
    return found
