"""The learner of echo: passes, what each unit's noise did to the outputs, outer products with what that says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, ClassVar

import torch

from neuroanp.later import number
from neuroanp.learning.credit import return_to_go
from neuroanp.learning.echo import Echo, carried, how_far, later, predicted, products, way, worth
from neuroanp.network.network import OUTPUT
from neuroanp.training.decorrelating import Decorrelating, held_weights
from neuroanp.training.echo_blocks import Block, presented
from neuroanp.training.identifying import Identifying, first_sums
from neuroanp.training.kept import Plan
from neuroanp.training.outer_products import OuterProducts
from neuroanp.training.presynaptic import over_passes
from neuroanp.training.told_outputs import ToldSums, first_state, with_outputs
from neuroanp.trajectory import WeightUpdate

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.learning.protocol import State
    from neuroanp.network.network import Network
    from neuroanp.training.lab import Lab
    from neuroanp.trajectory import Weights


class EchoLearner:
    """Runs echo. Its state: of each layer responses B and their way (H, O, lines), mean squares q (lines,); a count.

    What was heard is known once all steps are over: outputs and what echoes say of them. What units did is needed once
    more then, and stored of as many of the last steps as fit in the memory budget; the passes of those before are run
    twice, with the same noise.

    Args:
        rule: echo's options. part: number of the shard that it does; see `neuroanp.training.sharded_learner`.
    """

    options: ClassVar[type[Echo]] = Echo
    takes: ClassVar[tuple[str, ...]] = ("data",)

    def __init__(self, rule: Echo, part: int = 0) -> None:
        self.rule, self.plan = rule, rule.plan().part(part)
        self.passes, self.noisy = self.plan.passes, True

    def numbers_kept(self, network: Network) -> int:
        """Return how many numbers a step of one sequence leaves to store: what units did, and outputs carried."""
        lines = sum(network.lines.values()) - network.outputs
        carried = sum(network.shapes[name][1] for name in network.readout)
        more = lines if self.rule.eta and self.rule.difference == "activity" else 0
        return self.passes * (lines + more + carried + 2 * network.outputs) + lines + network.hidden

    def init(self, weights: Weights) -> State:
        """Return responses: at lag 0 the weights to the outputs, of rates that reach them in the same step; else 0."""
        network = weights.network
        state: State = {}
        heard = network.outputs if self.rule.hears == "errors" else 1
        for layer in network.layers:
            B = weights.like.new_zeros(self.rule.lags, heard, network.lines[layer.name])
            if self.rule.hears == "errors" and len(layer.cell.ports) == 1 and not layer.cell.spikes:
                for p in network.feed(OUTPUT):
                    if p.pre == layer.name and not p.delay:
                        B[0] = weights[p.name][:, : layer.units]
            state[f"B {layer.name}"], state[f"way {layer.name}"] = B, torch.zeros_like(B)
            state[f"q {layer.name}"] = weights.like.new_zeros(network.lines[layer.name])
        remembered = {**first_state(self.rule.readout, weights), **first_sums(self.rule, weights)}
        return {**state, **remembered, "updates": torch.tensor(0, dtype=torch.int64)}

    def learn(self, state: State, lab: Lab) -> tuple[State, WeightUpdate]:
        """Present the batch M times; return what was learned of echoes, and the update that they give."""
        return self.closed(*self.found(state, lab), lab.network)

    def found(self, state: State, lab: Lab) -> tuple[State, WeightUpdate]:
        """Do so, with sums of what outputs were told in place of their step."""
        needed = lab.steps * lab.batch * self.numbers_kept(lab.network) * lab.mask.element_size()
        first = Plan.of(lab.steps, needed, lab.memory).replayed
        lab = replace(lab, identifying=Identifying.of(self.rule, state, held_weights(lab), self.plan))
        heard, stored = Heard(self.rule, state, lab), list[Block]()
        for block in presented(self.rule, self.plan, lab):
            heard.listen(block, over_passes(block.errors, self.plan) if block.errors is not None else None)
            stored += [block._replace(errors=None)] * (block.time.stop > first)
        if lab.identifying is not None:
            state = {**state, **lab.identifying.done()}
        until = stored[0].t0 if stored else lab.steps
        replayed = presented(self.rule, self.plan, lab, book=False, until=until)
        return self._taught(state, heard, chain(replayed, stored), lab)

    def _taught(self, state: State, heard: Heard, blocks: Iterator[Block], lab: Lab) -> tuple[State, WeightUpdate]:
        """Return the state and the update once all is heard; blocks: the presentation once more."""
        network, rule = lab.network, self.rule
        sums = OuterProducts({name: torch.zeros_like(W) for name, W in lab.substrate.weights.items()}, lab.batch)
        told = None
        if rule.readout != "perturb":
            told = ToldSums(rule.readout, network, lab.mask, lab.batch * self.passes)
        decorrelating = Decorrelating.of(rule, lab)
        heard.end()
        for block in blocks:
            g = heard.said(block)
            if block.of_outputs is not None:
                g[OUTPUT] = block.of_outputs
            factors = {each.name: g[each.post][..., network.ports(each)] for each in network.projections
                       if each.post in g}  # fmt: skip
            sums.add(factors, block.presynaptic.by_array(network, lab.learns))
            if told is not None and block.told is not None:
                told.add(block.told, lab.mask[block.time])
            if decorrelating is not None:
                decorrelating.add(block.presynaptic.of_groups(network))
        arrays = {name: total / lab.batch for name, total in sums.done().items()}
        scored = lab.mask.sum().double() * (lab.batch * self.passes)
        found = WeightUpdate(arrays, {"loss": number(heard.losses.sum().double() / scored)})
        found = found if decorrelating is None else decorrelating.done(found, network)
        arrays = found.arrays if told is None else {**found.arrays, **told.done()}
        return {**state, **heard.learned()}, replace(found, arrays=arrays)

    def closed(
        self, state: State, found: WeightUpdate, network: Network, shards: int = 1
    ) -> tuple[State, WeightUpdate]:
        """Return the state and the update once outputs have learned from what they were told, where they were.

        Args: shards: how many of these `found` is the mean of.
        """
        told = self.rule.readout != "perturb"
        return with_outputs(found, state, self.rule, network, shards) if told else (state, found)


class Heard:
    """What was heard in one presentation, block after block, first of the outputs and then of each unit's noise.

    Args:
        rule, state: as they were before it: what is learned from a noise does not judge it. lab: of the update.
    """

    def __init__(self, rule: Echo, state: State, lab: Lab) -> None:
        self.rule, self.state, self.lab = rule, state, lab
        self.M, T, batch, like = rule.K + 1, lab.steps, lab.batch, lab.mask
        self.lags = min(rule.lags, T)
        outputs = lab.network.outputs if rule.hears == "errors" else 1
        beyond = T + self.lags - 1  # what follows the last step is nothing
        self.p = like.new_zeros(beyond, self.M, batch, outputs)
        self.by_ways = torch.zeros_like(self.p)  # what the ways that responses may go say of the outputs
        self.e = like.new_zeros(beyond, batch, outputs)
        self.losses = like.new_zeros(T, self.M, batch)
        names = [layer.name for layer in lab.network.layers]
        self.B, self.ways = ({name: state[f"{kind} {name}"][: self.lags] for name in names} for kind in ("B", "way"))
        self.products = {name: torch.zeros_like(B) for name, B in self.B.items()}
        self.squares = {name: torch.zeros_like(state[f"q {name}"]) for name in names}
        self.c = self.p[:T, ..., 0]

    def listen(self, block: Block, errors: Tensor | None) -> None:
        """Note what a block's outputs did, and what its noise says of those to come; errors: (T, B, O), their mean."""
        time, later_on = block.time, slice(block.t0, block.time.stop + self.lags - 1)
        self.losses[time] = block.losses
        if self.rule.hears == "errors":
            assert errors is not None
            self.p[time] += block.dy
            self.e[time] = errors
        else:
            self.p[time] += (block.losses - block.losses.mean(1, keepdim=True)).unsqueeze(-1)
            self.e[time] = 1.0
        for name, each in block.noise.items():
            z = each.z
            self.p[later_on] -= predicted(self.B[name], z)
            self.by_ways[later_on] += predicted(self.ways[name], z)
            self.squares[name] += z.square().sum((0, 1, 2))

    def end(self) -> None:
        """Take it that all steps are over: let the responses of each output go its way as far as is best now."""
        beyond = self.lab.steps
        self.p[beyond:], self.by_ways[beyond:] = 0.0, 0.0
        far = how_far(self.p, self.by_ways)
        self.p -= far * self.by_ways
        self.B = {name: B + far.unsqueeze(-1) * self.ways[name] for name, B in self.B.items()}
        if self.rule.eta:
            self.c = return_to_go((self.e[:beyond].unsqueeze(1) * self.p[:beyond]).sum(-1), self.rule.gamma)

    def said(self, block: Block) -> dict[str, Tensor]:
        """Return what the errors say of each unit's noise in a block, (T, B, lines) by layer; note its echoes."""
        to_come = slice(block.t0, block.time.stop + self.lags - 1)
        p, e = later(self.p[to_come], self.lags), later(self.e[to_come], self.lags)
        g: dict[str, torch.Tensor] = {}
        for name, each in block.noise.items():
            self.products[name] += products(p, each.z, self.lags)
            g[name] = each.gained(carried(self.B[name], e))
        if self.rule.eta:
            factor = self.rule.eta * self.c[block.time] * worth(block.change, block.dy)
            g = {name: g[name] + (factor.unsqueeze(-1) * d).sum(1) for name, d in block.change.items()}
        return g

    def learned(self) -> State:
        """Return what is known of echoes now, and which way the responses may go next."""
        count, rule = int(self.state["updates"]), self.rule
        new: State = {}
        samples = self.lab.steps * self.lab.batch * rule.K
        for name, B in self.B.items():
            q = self.squares[name] / samples  # M/(M-1) of the mean over T, M and B
            before = self.state[f"q {name}"]
            q = before + rule.memory * (q - before) if count else q
            for kind, found in (("B", B), ("way", way(self.products[name], q))):
                new[f"{kind} {name}"] = torch.cat([found, self.state[f"{kind} {name}"][self.lags :]])
            new[f"q {name}"] = q
        return {**new, "updates": torch.tensor(count + 1, dtype=torch.int64)}
