"""The learner of local rules: run the passes, turn losses into credit, form the outer products."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, ClassVar, cast

from torch import Tensor

from neuroanp.later import number
from neuroanp.learning.credit import differences
from neuroanp.network.network import INPUT
from neuroanp.training import running
from neuroanp.training.decorrelating import Decorrelating, held_weights, known_weights, matrices
from neuroanp.training.identifying import Identifying, first_sums, identifies
from neuroanp.training.kept import Kept, Losses, Plan, Room, joined
from neuroanp.training.outer_products import OuterProducts
from neuroanp.training.plain_form import Form, plain
from neuroanp.training.presynaptic import Presynaptic, compared_while_live
from neuroanp.training.recorded import Recorded
from neuroanp.training.told_outputs import Told, ToldSums, first_state, inferred_errors, with_outputs
from neuroanp.trajectory import Credit, Trajectory, Weights, WeightUpdate

if TYPE_CHECKING:
    from neuroanp.learning.protocol import LearningRule, State
    from neuroanp.network.network import Network
    from neuroanp.training.factored import Factors
    from neuroanp.training.lab import Lab
    from neuroanp.training.running import RunningRule


class PassLearner:
    """Runs a local rule: passes, losses, credit, outer products. On a GPU it keeps a recording.

    It has no state but what a readout remembers that is told its errors (`neuroanp.training.told_outputs`), running
    averages of earlier updates that it compares with (`neuroanp.training.running`), or what units heard that identify
    the arrays before them (`neuroanp.training.identifying`).

    Args:
        rule: that it runs. part: number of the shard that it does, where an update has several; see
            `neuroanp.training.sharded_learner`.

    The credit of a step needs the losses that follow it. How the passes differ is therefore stored, of as many of the
    last steps as fit in the memory budget. The passes of the steps before are run twice: once for the losses, once with
    the same noise for the activities.
    """

    options: ClassVar[None] = None
    takes: ClassVar[tuple[str, ...]] = ("data", "worlds")

    def __init__(self, rule: LearningRule, part: int = 0) -> None:
        self.rule = rule
        self.plan = rule.plan().part(part)
        self.passes = self.plan.passes
        self._told = self.passes if self.plan.pre is None else 1  # passes of which the outputs are told their errors
        self._recorded = Recorded(self._learn)
        self._form: tuple[Network | None, int, Form | None] = None, 0, None  # of the last update, to be found again

    @property
    def noisy(self) -> bool:
        """Whether any pass has noise."""
        return any(self.plan.noise)

    def init(self, weights: Weights) -> State:
        """Return the state at the start of a run: what the readout remembers; running averages begin with an update."""
        return {**first_state(self.rule.readout, weights), **first_sums(self.rule, weights)}

    def learn(self, state: State, lab: Lab) -> tuple[State, WeightUpdate]:
        """Present the batch M times and return the rule's update."""
        if self.plan.remembered:
            return running.learn(cast("RunningRule", self.rule), state, lab, self._update)
        return self.closed(*self.found(state, lab), lab.network)

    def found(self, state: State, lab: Lab) -> tuple[State, WeightUpdate]:
        """Present the batch M times; return the update, with sums of what outputs were told in place of their step."""
        form = self.form(lab)
        if form is not None and plain(lab):
            from neuroanp.training.compiled_update import CompiledUpdate  # imports numba

            found = CompiledUpdate(form, lab).made(self.plan_of(lab).replayed)
        elif (identifying := Identifying.of(self.rule, state, held_weights(lab), self.plan)) is not None:
            found = self._learn(
                replace(lab, identifying=identifying)
            )  # no recording: what is known is another each time
            state = {**state, **identifying.done()}
        else:
            found = self._recorded(lab)
        return state, found

    def closed(
        self, state: State, found: WeightUpdate, network: Network, shards: int = 1
    ) -> tuple[State, WeightUpdate]:
        """Return the state and the update once outputs have learned from what they were told, where they were.

        Args: shards: how many of these `found` is the mean of.
        """
        return with_outputs(found, state, self.rule, network, shards) if self.rule.hears_errors else (state, found)

    def presented(self, lab: Lab, into: Factors) -> WeightUpdate:
        """Present the batch M times, keep factors and activity where matrices would be formed, and return the loss."""
        return self._learn(lab, into)

    @property
    def identifies(self) -> bool:
        """Whether units identify the arrays before them."""
        return identifies(self.rule)

    def _learn(self, lab: Lab, into: Factors | None = None) -> WeightUpdate:
        if self.rule.instantaneous:
            return self._update(self._present(lab), lab, None, into)
        first = self.plan_of(lab).replayed
        room, losses = Room(lab.steps), Losses(lab.steps)
        if first == lab.steps:
            for chunk in lab.run(self.plan, "loss"):
                losses.add(chunk.t0, lab.losses(chunk))
            return self._update(self._present(lab, book=False), lab, losses.all, into)
        room.fill(self._compared(lab, first, losses))
        replayed = self._present(lab, book=False, until=room.first)  # a simulator's replay: the chip reads once
        return self._update(joined(chain(replayed, room.kept())), lab, losses.all, into)

    def _compared(self, lab: Lab, first: int, losses: Losses) -> Iterator[Kept]:
        """Run all passes, note losses, and yield what is kept of chunks from a step on."""
        for chunk in lab.run(self.plan, self._keep(lab)):
            if chunk.t0 < first:
                losses.add(chunk.t0, lab.losses(chunk))
                continue
            kept = self._kept(chunk, lab)
            yield kept._replace(losses=losses.add(chunk.t0, kept.losses))

    def plan_of(self, lab: Lab) -> Plan:
        """Return which steps of a presentation are stored."""
        return Plan.of(lab.steps, self.stored_bytes(lab), lab.memory)

    def form(self, lab: Lab) -> Form | None:
        """Return what plain updates of the network have in common; None where they are not plain."""
        network, batch, form = self._form
        if network is not lab.network or batch != lab.batch:
            form = Form.of(self.rule, self.plan, lab) if type(self) is PassLearner else None
            self._form = lab.network, lab.batch, form
        return form

    def stored_bytes(self, lab: Lab) -> int:
        """Return what storing the whole presentation takes."""
        return lab.steps * lab.batch * self.numbers_kept(lab.network) * lab.mask.element_size()

    def numbers_kept(self, network: Network) -> int:
        """Return how many numbers a step of one sequence leaves to store, at most.

        They are the differences of all pre-activations and outputs, with a gain for each group, and the presynaptic
        activity of each layer; of units that spike what each array to other layers and to the outputs had sent. Credit
        that looks at its own step alone needs none.
        """
        if self.rule.instantaneous or self.plan.remembered:  # those remember all of a presentation anyway
            return 0
        differences = self.plan.differences * (sum(network.lines.values()) + len(network.lines))
        sent = [p.name for p in network.projections if p.pre not in (INPUT, p.post)] if network.spikes else []
        told = network.outputs + sum(network.shapes[name][1] for name in network.readout)  # of every pass
        told *= self.passes if self.rule.hears_errors else 0
        return differences + network.hidden + sum(network.shapes[name][1] for name in sent) + self.passes + told

    def _keep(self, lab: Lab) -> str:
        """Return what trajectories must carry; where passes of a world end apart, who goes on of more than a pair."""
        apart = not isinstance(lab.source, Tensor) and self.plan.pairs != "mean" and self.passes > 2
        return "all" if apart and self.rule.keep == "changes" else self.rule.keep

    def _kept(self, chunk: Trajectory, lab: Lab) -> Kept:
        """Return what is kept of a chunk until the credit of its steps is known."""
        D = matrices(lab)
        compared = compared_while_live(self.rule.compare(chunk, known_weights(lab), self.plan), chunk, self.plan)
        if lab.identifying is not None:
            lab.identifying.add(chunk, compared.d)
        losses, told = lab.losses(chunk), None
        if self.rule.hears_errors:
            told = Told.of(chunk, self._errors(chunk, losses, lab), lab.network, self.plan, D)
        return Kept(chunk.t0, chunk.dt, losses, compared, Presynaptic.of(chunk, self.plan), told)

    def _errors(self, chunk: Trajectory, losses: Tensor, lab: Lab) -> Tensor:
        """Return the signed errors of the outputs in a chunk, (T, M, B, O)."""
        if self.rule.errors == "told":
            return lab.errors(chunk)
        dL, dy = differences(losses, self.plan), differences(chunk.y, self.plan)
        found = inferred_errors(dL, dy, chunk.y, lab.loss if chunk.loss is None else None)
        return found * (lab.mask[chunk.t0 : chunk.t0 + len(losses)] > 0)[:, None, None, None]

    def _present(self, lab: Lab, book: bool = True, until: int | None = None) -> Iterator[Kept]:
        """Run the passes, up to a step or to the end, and yield what is kept of each chunk."""
        until = lab.steps if until is None else until

        def chunks() -> Iterator[Kept]:
            for chunk in lab.run(self.plan, self._keep(lab), book) if until else ():
                yield self._kept(chunk, lab)
                if chunk.t0 + len(chunk.y) >= until:
                    return

        return joined(chunks())

    def _credit(self, losses: Tensor, dt: float, lab: Lab) -> Credit:
        """Return the credit of losses; in a world what outputs do is felt later, too, and theirs is the hidden's."""
        credit = self.rule.assign(losses, self.plan, dt)
        return credit if isinstance(lab.source, Tensor) else Credit(credit.hidden, credit.hidden)

    def _update(
        self, chunks: Iterable[Kept], lab: Lab, losses: Tensor | None, into: Factors | None = None
    ) -> WeightUpdate:
        """Return the update; losses: of the whole presentation, None where each chunk has its own credit.

        Args: into: takes factors and activity; None: their products are formed.
        """
        weights = lab.substrate.weights
        products = OuterProducts(self.rule.init(weights), lab.batch) if into is None else into
        of_steps = Losses(lab.steps)
        hears, readout = self.rule.hears_errors, weights.network.readout
        sums = ToldSums(self.rule.readout, weights.network, weights.like, self._told * lab.batch) if hears else None
        decorrelating = Decorrelating.of(self.rule, lab)

        def learns(name: str) -> bool:
            return lab.learns(name) and not (hears and name in readout)

        credit: Credit | None = None  # of the whole presentation
        for kept in chunks:
            if losses is None:
                of_chunk = self._credit(kept.losses, kept.dt, lab)
            else:
                credit = credit or self._credit(losses, kept.dt, lab)
                time = slice(kept.t0, kept.t0 + len(kept.losses))
                of_chunk = Credit(credit.hidden[time], credit.output[time])
            of_steps.add(kept.t0, kept.losses.sum((1, 2)))
            factors = self.rule.modulate(kept.compared, of_chunk, weights.network)
            products.add(factors, kept.presynaptic.by_array(weights.network, learns))
            if sums is not None and kept.told is not None:
                sums.add(kept.told, lab.mask[kept.t0 : kept.t0 + len(kept.losses)])
            if decorrelating is not None:
                decorrelating.add(kept.presynaptic.of_groups(weights.network))
        update = self.rule.finish(products.done(), self.plan, lab.batch)
        if decorrelating is not None:
            rows = None if isinstance(lab.source, Tensor) else lab.shown.heard
            update = decorrelating.done(update, weights.network, rows)
        scored = lab.mask.sum().double() * (lab.batch * self.passes)
        loss = number(of_steps.all.sum().double() / scored)
        arrays = {**update.arrays, **({} if sums is None else sums.done())}
        return replace(update, arrays=arrays, diagnostics={**update.diagnostics, "loss": loss})
