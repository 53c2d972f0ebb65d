"""A whole update of a plain network in a few compiled calls: what the learner of local rules does step by step.

Plain: one layer of tanh units that sees itself, in single precision on a CPU, small enough for one thread, arrays that
are read without noise and converters, white noise of the units, and the credit of each sample. All else takes the
general path, which this one is held to.

Time is taken in stretches that no option moves, so that an update has the same bits whatever `training.chunk` and
`training.memory` say.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from neuroanp.backends.compiled_passes import SMALL, Source, single
from neuroanp.backends.rate import RateBackend
from neuroanp.learning.anp import ANP
from neuroanp.losses import is_squared_error, of_steps
from neuroanp.network.network import INPUT, OUTPUT
from neuroanp.network.tanh import Tanh
from neuroanp.substrates.chip_reads import ReadChip
from neuroanp.training.outer_products import block_steps
from neuroanp.trajectory import WeightUpdate

if TYPE_CHECKING:
    from neuroanp.learning.protocol import LearningRule
    from neuroanp.network.network import Network
    from neuroanp.substrates.protocol import ReadPlan
    from neuroanp.training.lab import Lab
    from neuroanp.trajectory import PassPlan


class Stretch(NamedTuple):
    """What is kept of some steps until their credit is known.

    Args:
        t0: the first. d, s, dy, sy, pre: as in `neuroanp.kernels.updates.forward`. losses: (T, M, B).
    """

    t0: int
    d: np.ndarray
    s: np.ndarray
    dy: np.ndarray
    sy: np.ndarray
    pre: np.ndarray
    losses: np.ndarray


def applies(rule: LearningRule, plan: PassPlan, lab: Lab) -> bool:
    """Return whether an update can be made by compiled calls alone."""
    return (
        type(rule) is ANP
        and rule.keep == "changes"
        and rule.credit == "sample"
        and rule.control_variate == "none"
        and type(lab.backend) is RateBackend
        and isinstance(lab.substrate, ReadChip)
        and isinstance(lab.source, Tensor)
        and single(lab.mask)
        and one_layer(lab.network)
        and plan.passes * lab.batch * lab.network.hidden**2 <= SMALL
        and all(_plain(read) for read in lab.reads.values())
        and lab.substrate.junctions is None
    )


def one_layer(network: Network) -> bool:
    """Return whether a network is one layer of tanh units that sees its input and itself."""
    if len(network.layers) != 1 or len(network.projections) != 3 or type(network.layers[0].cell) is not Tanh:
        return False
    into, back, out = network.projections
    name = network.layers[0].name
    ends = [(p.pre, p.post, p.delay) for p in (into, back, out)]
    return ends == [(INPUT, name, 0), (name, name, 1), (name, OUTPUT, 0)] and not back.bias


def _plain(read: ReadPlan) -> bool:
    """Return whether an array is read without noise and converters."""
    noisy = read.sigma2 is not None or read.process is not None or read.dac_sigma or read.amplifies_noise
    converted = read.dac is not None or read.adc is not None or read.bits or read.pulse_width
    matched = read.gain is None and read.offset is None
    return matched and not noisy and not converted and not read.widths


class CompiledUpdate:
    """One update of a plain network.

    Args:
        rule, plan, lab: as in `PassLearner`; `applies` said so.
    """

    def __init__(self, rule: ANP, plan: PassPlan, lab: Lab) -> None:
        self.rule, self.plan, self.lab, self.chip = rule, plan, lab, cast("ReadChip", lab.substrate)
        network = lab.network
        into, back, out = network.projections
        self.names = (into.name, back.name, out.name)
        self.arrays = tuple(np.ascontiguousarray(lab.reads[name].W.numpy()) for name in self.names)
        self.lines = _lines(cast("Tensor", lab.source).numpy(), into.bias)
        nodes = self.chip.perturbation(plan, lab.batch, lab.streams)
        self.noise = Source.of(nodes.white(network.layers[0].name), plan)
        self.of_outputs = Source.of(nodes.white(OUTPUT), plan)
        self.pairs = np.array(() if plan.pairs == "mean" else plan.pairs, dtype=np.int64).reshape(-1, 2)
        self.norms = _norms(rule, network, lab.batch * plan.differences)
        self.sums = tuple(np.zeros_like(W) for W in self.arrays)
        self.learns = tuple(lab.learns(name) for name in self.names)

    def made(self, stored: bool) -> WeightUpdate:
        """Return the update; stored: whether what is kept of all steps fits in memory, else passes are run twice."""
        from neuroanp.kernels.blas import one_thread

        load = np.zeros((2, self.lab.network.hidden if self.lab.books and self.chip.weighs_reads else 0))
        with one_thread():
            if self.rule.instantaneous:
                total = sum(self._add(each, *self._credit(each.losses)) for each in self._passes(True, load))
            else:
                kept = [*self._passes(stored, load)]
                losses = kept[0].losses if len(kept) == 1 else np.concatenate([each.losses for each in kept])
                hidden, output, total = self._credit(losses)
                for each in kept if stored else self._passes(True, load[:, :0]):
                    time = slice(each.t0, each.t0 + len(each.losses))
                    self._add(each, hidden[time], output[time], 0.0)
        if self.lab.books:
            self._book(load)
        scored = float(self.lab.mask.numpy().sum()) * self.lab.batch * self.plan.passes
        arrays = dict(zip(self.names, map(torch.from_numpy, self.sums), strict=True))
        return WeightUpdate(arrays, {"loss": total / scored})

    def _passes(self, keep: bool, load: np.ndarray) -> Iterator[Stretch]:
        """Run the passes, and yield what is kept of each stretch of time; load: as in `forward`."""
        from neuroanp.kernels import updates

        M, B, n, outputs = self.plan.passes, self.lab.batch, self.lab.network.hidden, self.lab.network.outputs
        R, most, which = self.plan.differences if keep else 0, block_steps(B), self.plan.pre
        x = np.zeros((M, B, n), np.float32)
        for t0 in range(0, self.lab.steps, most):
            lines = self.lines[t0 : t0 + most]
            steps = lines.shape[0]
            lead = steps, R, B
            shapes = (*lead, n), lead, (*lead, outputs), lead, (steps + 1 if keep else 0, B, n), (steps, M, B, outputs)
            d, s, dy, sy, pre, y = (np.empty(shape, np.float32) for shape in shapes)
            updates.forward(
                lines, self.arrays, x, self.noise, self.of_outputs, t0, self.pairs, -1 if which is None else which,
                d, s, pre, y, dy, sy, load,
            )  # fmt: skip
            yield Stretch(t0, d, s, dy, sy, pre, self._losses(y, t0))

    def _losses(self, y: np.ndarray, t0: int) -> np.ndarray:
        """Return the loss of each step that is scored, (T, M, B)."""
        from neuroanp.kernels import updates

        time = slice(t0, t0 + y.shape[0])
        targets, mask = self.lab.targets[time], self.lab.mask[time]
        if not is_squared_error(self.lab.loss):
            return of_steps(self.lab.loss, torch.from_numpy(y), targets, mask).numpy()
        losses = np.empty(y.shape[:3], np.float32)
        updates.squared_errors(losses, y, targets.numpy(), mask.numpy())
        return losses

    def _credit(self, losses: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """Return the credit of units and outputs, (T, R, B) each, and the sum of the losses (T, M, B)."""
        from neuroanp.kernels import updates

        shape = losses.shape[0], self.plan.differences, losses.shape[2]
        hidden, output = np.empty(shape, np.float32), np.empty(shape, np.float32)
        gamma = np.float32(self.rule.discount(self.lab.backend.dt))
        total = updates.credit(hidden, output, losses, self.pairs, gamma, self.rule.loss == "trial")
        return hidden, output, total

    def _add(self, kept: Stretch, hidden: np.ndarray, output: np.ndarray, total: float) -> float:
        """Add the outer products of a stretch and return the sum of its losses."""
        from neuroanp.kernels import updates

        lines = self.lines[kept.t0 : kept.t0 + hidden.shape[0]]
        updates.products(
            self.sums, self.learns, hidden, output, kept.d, kept.s, kept.dy, kept.sy, self.norms, lines, kept.pre
        )
        return total

    def _book(self, load: np.ndarray) -> None:
        """Book the reads of all arrays: M x B x T vectors each; load: of the layer's own array and of the outputs'."""
        rows = self.lab.steps * self.lab.batch
        reads, noisy = rows * self.plan.passes, rows * sum(factor != 0 for factor in self.plan.noise)
        loads = load
        if load.shape[1]:
            of_inputs = np.square(self.lines, dtype=np.float64).sum((0, 1)) * self.plan.passes
            constant = [float(reads)] * (self.arrays[2].shape[1] - load.shape[1])  # of the line of a bias
            loads = of_inputs, load[0], np.append(load[1], constant)
        for name, each in zip(self.names, loads if load.shape[1] else (load[0],) * 3, strict=True):
            self.chip.book_reads(name, torch.from_numpy(each), reads, noisy)


def _lines(u: np.ndarray, bias: bool) -> np.ndarray:
    """Return what the word lines of the inputs see, (T, B, I): u, and a 1 for a bias."""
    return np.concatenate([u, np.ones_like(u[..., :1])], -1) if bias else np.ascontiguousarray(u)


def _norms(rule: ANP, network: Network, share: int) -> np.ndarray:
    """Return what `products` takes for norms; share: what every sum is divided by."""
    units, outputs = network.layers[0].name, OUTPUT
    worth, damping = rule.worth(network), rule.damped(network)
    of_credit = worth[units] / share, worth[outputs] / share
    return np.array([rule.norm == "global", *of_credit, damping[units], damping[outputs], rule.eps], dtype=np.float32)
