"""The learners of weights that are computed: a sampled network and an echo state network, in one write.

The first update computes. Its batch is all the data that hidden weights are chosen from (`training.batch` sequences,
presented once, as every batch is): on a twin of the network without noise, in float64, the host chooses them, runs the
twin and fits the outputs to what it did; a fifth of the sequences chooses the ridge. What it found is written through
the arrays as whole steps, W <- W - (W - W_found), so that programming errors, pulses, energy and time are those of any
write, and no rate is a factor.

Every later update refits the outputs, and nothing else: the batch is presented to the chip as it was written, under its
own noise, and the host solves for the outputs again, from the sums over all batches since. So they make up for what
programming and reading did to the hidden weights, as `training.refit` does once at the end.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from neuroanp.baselines.esn import ESN, inputs, reservoir
from neuroanp.baselines.network import rate_activities
from neuroanp.baselines.protocol import scored
from neuroanp.baselines.regression import HELD_OUT, Moments
from neuroanp.baselines.ridge import features
from neuroanp.baselines.sampled import STATE_LAMBDAS, Sampled, recurrences, sample
from neuroanp.baselines.solved import exact_error, outputs
from neuroanp.network.network import OUTPUT
from neuroanp.training.told_outputs import Told, by_array
from neuroanp.trajectory import PassPlan, Weights, WeightUpdate

if TYPE_CHECKING:
    from pydantic import BaseModel

    from neuroanp.learning.protocol import State
    from neuroanp.network.network import Network
    from neuroanp.training.lab import Lab

Arrays = dict[str, Tensor]
PARTS = ("fit", "held")
"""Sums over the sequences that outputs are fitted to, and over those that choose the ridge."""


class Data(NamedTuple):
    """What hidden weights are chosen from: u (T, B, I), targets (T, B, O) and mask (T,), float64."""

    u: np.ndarray
    targets: np.ndarray
    mask: np.ndarray

    @classmethod
    def of(cls, lab: Lab) -> Data:
        """Return the batch of an update; InputError where a world answers."""
        return cls(*(each.double().numpy(force=True) for each in (lab.inputs, lab.targets, lab.mask)))


class SolvedLearner(ABC):
    """Base of learners whose hidden weights are computed in the first update, and whose outputs are fitted in each."""

    options: ClassVar[type[BaseModel] | None]
    passes: int = 1
    noisy: bool = True
    plan: ClassVar[PassPlan] = PassPlan(noise=(1.0,), stream=(0,), pairs="mean")

    def __init__(self, rule: Any) -> None:
        self.rule = rule

    @abstractmethod
    def hidden(self, data: Data, lab: Lab) -> Iterator[Mapping[str, np.ndarray]]:
        """Yield arrays that the hidden weights may be, by name; the outputs' error on held-out sequences chooses."""

    def numbers_kept(self, network: Network) -> int:
        """Return 0: sums are all that is kept of a step."""
        return 0

    def init(self, weights: Weights) -> State:
        """Return sums of nothing, and that no update is done."""
        sums = Moments(_lines(weights.network), weights.network.outputs)
        state: State = {"updates": torch.tensor(0, dtype=torch.int64)}
        for part in PARTS:
            state |= _kept(part, sums)
        return state

    def learn(self, state: State, lab: Lab) -> tuple[State, WeightUpdate]:
        """Present the batch; return the computed weights, or newly fitted outputs, as steps.

        Raises: InputError: the data do not say what hidden weights are, or a world answers.
        """
        sums = {part: _moments(part, state) for part in PARTS}
        first = int(state["updates"]) == 0
        loss = self._present(lab, None if first else sums)
        found = self._computed(lab) if first else self._refitted(lab, sums)
        now = lab.substrate.weights
        steps = {name: now[name] - W for name, W in found.items() if lab.learns(name)}
        new: State = {"updates": state["updates"] + 1}
        for part, moments in sums.items():
            new |= _kept(part, moments)
        return new, WeightUpdate({}, {"loss": loss}, steps=steps)

    def _present(self, lab: Lab, sums: Mapping[str, Moments] | None) -> float:
        """Show the chip the batch, add what it did to the sums, and return the mean loss."""
        total, held = 0.0, held_out(lab.batch)
        for chunk in lab.run(self.plan, "loss" if sums is None else "all"):
            total += float(lab.losses(chunk).double().sum())
            if sums is None:
                continue
            time = slice(chunk.t0, chunk.t0 + len(chunk.y))
            lines = Told.of(chunk, chunk.y, lab.network, self.plan, {}).lines[:, 0].double().numpy(force=True)
            targets, mask = (each[time].double().numpy(force=True) for each in (lab.targets, lab.mask))
            for part, of in zip(PARTS, (~held, held), strict=True):
                sums[part].add(scored(lines[:, of], mask), scored(targets[:, of], mask))
        return total / (float(lab.mask.sum()) * lab.batch)

    def _computed(self, lab: Lab) -> Arrays:
        """Return all arrays, chosen on a twin of the network: the hidden ones with which outputs err least."""
        data, limits, strengths = Data.of(lab), _limits(lab), self.rule.strengths()
        best: tuple[float, Mapping[str, np.ndarray], tuple[Moments, Moments]] | None = None
        for arrays in self.hidden(data, lab) if self._moves_hidden(lab) else ({},):
            sums = self._run(data, _with(lab.substrate.weights, arrays))
            error = exact_error(*sums, strengths, limits)
            if best is None or error < best[0]:
                best = error, arrays, sums
        assert best is not None, "the strongest ridge makes a recurrence that any array holds"
        _, arrays, (fit, held) = best
        outs = by_array(self._like(lab, outputs(fit, held, strengths, limits).w_out), lab.network)
        return {name: self._like(lab, W) for name, W in arrays.items()} | outs

    def _moves_hidden(self, lab: Lab) -> bool:
        return all(lab.learns(p.name) for p in lab.network.projections if p.post != OUTPUT)

    def _run(self, data: Data, twin: Weights) -> tuple[Moments, Moments]:
        """Run a twin in float64, and return what its outputs are fitted to, and what chooses the ridge."""
        exact = Weights({name: W.double() for name, W in twin.items()}, twin.network)
        x = features(rate_activities(exact, data.u), twin.network).numpy(force=True)
        fit, chooses = (Moments(x.shape[-1], twin.network.outputs) for _ in PARTS)
        held = held_out(data.u.shape[1])
        for moments, of in ((fit, ~held), (chooses, held)):
            moments.add(scored(x[:, of], data.mask), scored(data.targets[:, of], data.mask))
        return fit, chooses

    def _refitted(self, lab: Lab, sums: Mapping[str, Moments]) -> Arrays:
        found = outputs(sums["fit"], sums["held"], self.rule.strengths(), _limits(lab))
        return by_array(self._like(lab, found.w_out), lab.network)

    def _like(self, lab: Lab, W: np.ndarray) -> Tensor:
        return torch.as_tensor(W).to(lab.substrate.weights.like)


class SampledLearner(SolvedLearner):
    """Computes a sampled network; see `neuroanp.baselines.sampled`."""

    options: ClassVar[type[Sampled]] = Sampled
    takes: ClassVar[tuple[str, ...]] = ("data",)

    def hidden(self, data: Data, lab: Lab) -> Iterator[Mapping[str, np.ndarray]]:
        """Yield the sampled weights with the recurrence of each ridge strength."""
        into, back, units = _projections(lab.network)
        rule: Sampled = self.rule
        rng = lab.streams.streams.generator("sampled", lab.streams.update)
        sampled = sample(rule, *data, units, lab.limits.get(into, inf), rng)
        w_in = np.concatenate([sampled.w_c, sampled.b[:, None]], axis=1)
        limit = lab.limits.get(back, inf)
        for W in recurrences(sampled, data.u, rule.delays, rule.strengths(STATE_LAMBDAS), limit):
            yield {into: w_in, back: W}


class ESNLearner(SolvedLearner):
    """Computes an echo state network; see `neuroanp.baselines.esn`."""

    options: ClassVar[type[ESN]] = ESN
    takes: ClassVar[tuple[str, ...]] = ("data",)

    def hidden(self, data: Data, lab: Lab) -> Iterator[Mapping[str, np.ndarray]]:
        """Yield the reservoir that the run's seed draws."""
        yield drawn_reservoir(self.rule, lab.network, lab.streams.streams)


def drawn_reservoir(rule: ESN, network: Network, streams: Any) -> dict[str, np.ndarray]:
    """Return the hidden arrays of an echo state network, by name.

    Args: rule: its options. network: of one layer. streams: the run's.
    """
    into, back, units = _projections(network)
    W = reservoir(rule, units, streams.generator("esn", 0))
    return {into: inputs(rule, units, network.shapes[into][1], streams.generator("esn", 1)), back: W}


def held_out(batch: int) -> np.ndarray:
    """Return which sequences of a batch choose the ridge, (B,): the last fifth.

    >>> held_out(6).tolist()
    [False, False, False, False, False, True]
    """
    return np.arange(batch) >= batch - batch // HELD_OUT


def _projections(network: Network) -> tuple[str, str, int]:
    """Return the names of the arrays into and within the one layer, and its units."""
    (layer,) = network.layers
    (into,), back = network.feed(layer.name), network.recurrence(layer.name)
    assert back is not None, "looked at before the run"
    return into.name, back.name, layer.units


def _with(weights: Weights, arrays: Mapping[str, np.ndarray]) -> Weights:
    """Return weights with other arrays among them, in their precision."""
    given = {name: torch.as_tensor(W).to(weights.like) for name, W in arrays.items()}
    return Weights({**weights, **given}, weights.network)


def _lines(network: Network) -> int:
    return sum(network.shapes[p.name][1] for p in network.feed(OUTPUT))


def _limits(lab: Lab) -> np.ndarray:
    """Return the largest weight of each line to the outputs, (m,)."""
    feed = lab.network.feed(OUTPUT)
    return np.repeat([lab.limits.get(p.name, inf) for p in feed], [lab.network.shapes[p.name][1] for p in feed])


def _kept(part: str, moments: Moments) -> State:
    """Return sums as named tensors."""
    gram, cross = torch.from_numpy(moments.gram), torch.from_numpy(moments.cross)
    said = torch.tensor([moments.rows, moments.squares], dtype=torch.float64)
    return {f"{part} gram": gram, f"{part} cross": cross, f"{part} rows": said}


def _moments(part: str, state: State) -> Moments:
    """Return a copy of the sums of a state."""
    gram, cross, said = (state[f"{part} {name}"].numpy(force=True) for name in ("gram", "cross", "rows"))
    return Moments.of(gram, cross, int(said[0]), float(said[1]))
