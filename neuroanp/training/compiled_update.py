"""A whole update of a plain network in a few compiled calls: what the learner of local rules does step by step.

See `plain_form` for what is plain. Time is taken in stretches that no option moves, so that an update has the same bits
whatever `training.chunk` and `training.memory` say.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from neuroanp.backends.rate import RateBackend
from neuroanp.backends.reads import NEAR
from neuroanp.kernels import updates
from neuroanp.kernels.blas import one_thread
from neuroanp.learning.credit import differences
from neuroanp.losses import errors_of_steps, is_squared_error, of_steps
from neuroanp.network.lines import with_bias_line
from neuroanp.network.network import OUTPUT
from neuroanp.substrates.chip_reads import ReadChip
from neuroanp.training.plain_form import exact
from neuroanp.training.told_outputs import Told, ToldSums, inferred_errors
from neuroanp.training.whole_arrays import ExactArrays, Filled, Given, ReadArrays
from neuroanp.trajectory import WeightUpdate

if TYPE_CHECKING:
    from neuroanp.training.lab import Lab
    from neuroanp.training.plain_form import Form


NONE = np.empty((0, 0, 0, 0), np.float32)
"""Noise that is not drawn beforehand."""


class Stretch(NamedTuple):
    """What is kept of some steps until their credit is known.

    Args:
        t0: the first. d, s, dy, sy, pre: as in `neuroanp.kernels.updates.forward`. losses: (T, M, B).
        told: what the outputs knew; None: nobody told them.
    """

    t0: int
    d: np.ndarray
    s: np.ndarray
    dy: np.ndarray
    sy: np.ndarray
    pre: np.ndarray
    losses: np.ndarray
    told: Told | None


class CompiledUpdate:
    """One update of a plain network.

    Args:
        form: of the update. lab: which is `plain`.
    """

    def __init__(self, form: Form, lab: Lab) -> None:
        assert isinstance(lab.source, Tensor)
        assert isinstance(lab.substrate, ReadChip)
        assert isinstance(lab.backend, RateBackend)
        self.form, self.lab, self.chip = form, lab, lab.substrate
        into, back, out = form.names
        reads = lab.reads
        all_exact = all(map(exact, reads.values()))
        self.arrays = ExactArrays(form, lab, self.chip) if all_exact else ReadArrays(form, lab, self.chip)
        self.lines = _lines(lab.source.numpy(), form.bias)
        self.steps = self.lines.shape[0]
        self.targets, self.mask = lab.targets.numpy(), lab.mask.numpy()
        apart = self.steps * lab.backend.dt  # presentations follow one another: what is slow is common to them
        self.nodes = self.chip.perturbation(form.plan, form.batch, lab.streams, apart=apart)
        units, outputs = self.nodes.white(form.layer), self.nodes.white(OUTPUT)
        self.drawn = units is None or outputs is None  # by sources with a memory
        self.noise, self.of_outputs = form.source(units), form.source(outputs)
        self.sums = tuple(np.zeros(tuple(reads[name].W.shape), np.float32) for name in form.names)
        self.learns = (lab.learns(into), lab.learns(back), lab.learns(out) and not form.hears_errors)
        told = (form.M if form.which < 0 else 1) * form.batch
        self.sums_told = ToldSums(form.readout, form.network, lab.mask, told) if form.hears_errors else None
        self.gamma = form.discount(lab.backend.dt)

    def made(self, first: int) -> WeightUpdate:
        """Return the update; first: the step from which on what is kept fits in memory; those before are run twice."""
        with one_thread():
            total = self._one_by_one() if self.form.instantaneous else self._all_at_once(first)
        if self.lab.books:
            self._book()
        scored = float(self.mask.sum()) * self.form.batch * self.form.M
        arrays = {name: torch.from_numpy(W) for name, W in zip(self.form.names, self.sums, strict=True)}
        arrays |= {} if self.sums_told is None else self.sums_told.done()
        return WeightUpdate(arrays, {"loss": total / scored if scored else float("nan")})

    def _one_by_one(self) -> float:
        """Add what each stretch teaches by itself, and return the sum of the losses."""
        total = 0.0
        for each in self._passes(0):
            hidden, output, of_stretch = self._credit(each.losses)
            self._add(each, hidden, output)
            total += of_stretch
        return total

    def _all_at_once(self, first: int) -> float:
        """Add what all stretches teach once all losses are known, and return the sum of these."""
        first = -(-first // self.form.most) * self.form.most  # of a stretch; where there is one alone, it is stored
        first = 0 if self.steps <= self.form.most else first
        kept = [*self._passes(first)]
        losses = kept[0].losses if len(kept) == 1 else np.concatenate([each.losses for each in kept])
        hidden, output, total = self._credit(losses)
        stored = [each for each in kept if each.t0 >= first]
        del kept
        for each in chain(self._passes(0, first, again=True), stored):
            time = slice(each.t0, each.t0 + each.losses.shape[0])
            self._add(each, hidden[time], output[time])
        return total

    def _passes(self, first: int, until: int | None = None, again: bool = False) -> Iterator[Stretch]:
        """Run the passes, and yield what is kept of each stretch of time: losses alone of those before `first`.

        Args: until: the step before which they end; None: the last one. again: that they are booked already.
        """
        form = self.form
        x = np.zeros((form.M, form.batch, form.n), np.float32)
        for t0 in range(0, self.steps if until is None else until, form.most):
            lines, keep = self.lines[t0 : t0 + form.most], t0 >= first
            lead = steps, _, B = lines.shape[0], form.R if keep else 0, form.batch
            d, s = np.empty((*lead, form.n), np.float32), np.empty(lead, np.float32)
            dy, sy = np.empty((*lead, form.outputs), np.float32), np.empty(lead, np.float32)
            pre = np.empty((steps + 1 if keep else 0, B, form.n), np.float32)
            y = np.empty((steps, form.M, B, form.outputs), np.float32)
            seen = np.empty((steps if keep and form.hears_errors else 0, form.M, B, form.n), np.float32)
            for part in self._parts(steps):
                node, node_y = self._nodes(t0 + part.start, part.stop - part.start)
                given = Given(x, node, node_y, self.noise, self.of_outputs)
                filled = Filled(
                    d[part], s[part], pre[part.start : part.stop + 1], y[part], dy[part], sy[part], seen[part]
                )
                self.arrays.run(lines[part], t0 + part.start, given, filled, not again)
            yield Stretch(t0, d, s, dy, sy, pre, self._losses(y, t0), self._told(y, dy, seen, t0))

    def _parts(self, steps: int) -> list[slice]:
        """Return the parts that a stretch is done in: the whole, or as much as lies in a near cache of drawn noise."""
        form = self.form
        at_once = steps if not self.drawn else max(1, NEAR // (4 * form.M * form.batch * form.n))
        return [slice(start, min(start + at_once, steps)) for start in range(0, steps, at_once)]

    def _nodes(self, t0: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the noise of units and outputs in some steps, (T, M, B, lines) each; of no step where it is white."""
        if not self.drawn:
            return NONE, NONE
        units, outputs = (self.nodes.draw(group, t0, steps) for group in (self.form.layer, OUTPUT))
        return NONE if units is None else units.numpy(), NONE if outputs is None else outputs.numpy()

    def _losses(self, y: np.ndarray, t0: int) -> np.ndarray:
        """Return the loss of each step that is scored, (T, M, B)."""
        time = slice(t0, t0 + y.shape[0])
        if not is_squared_error(self.lab.loss):
            return of_steps(self.lab.loss, torch.from_numpy(y), self.lab.targets[time], self.lab.mask[time]).numpy()
        losses = np.empty(y.shape[:3], np.float32)
        updates.squared_errors(losses, y, self.targets[time], self.mask[time])
        return losses

    def _told(self, y: np.ndarray, dy: np.ndarray, seen: np.ndarray, t0: int) -> Told | None:
        """Return what the outputs knew in some steps; None: nobody told them. seen: (T, M, B, n) activities."""
        if not len(seen):
            return None
        time, which, of = slice(t0, t0 + y.shape[0]), self.form.which, torch.from_numpy(y)
        mask = self.lab.mask[time]
        if self.form.told:
            errors = errors_of_steps(self.lab.loss, of, self.lab.targets[time], mask)
        else:
            dL = differences(torch.from_numpy(self._losses(y, t0)), self.form.plan)
            found = inferred_errors(dL, torch.from_numpy(dy), of, self.lab.loss)
            errors = found * (mask > 0)[:, None, None, None]
        passes = slice(None) if which < 0 else slice(which, which + 1)
        return Told(errors[:, passes], with_bias_line(torch.from_numpy(seen[:, passes]), self.form.bias_out))

    def _credit(self, losses: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """Return the credit of units and outputs, (T, R, B) each, and the sum of the losses (T, M, B)."""
        shape = losses.shape[0], self.form.R, losses.shape[2]
        hidden, output = np.empty(shape, np.float32), np.empty(shape, np.float32)
        total = updates.credit(hidden, output, losses, self.form.pairs, self.gamma, self.form.whole)
        return hidden, output, float(total)

    def _add(self, kept: Stretch, hidden: np.ndarray, output: np.ndarray) -> None:
        """Add the outer products of a stretch."""
        lines = self.lines[kept.t0 : kept.t0 + hidden.shape[0]]
        updates.products(
            self.sums, self.learns, hidden, output, kept.d, kept.s, kept.dy, kept.sy, self.form.norms, lines, kept.pre
        )
        if self.sums_told is not None and kept.told is not None:
            self.sums_told.add(kept.told, self.lab.mask[kept.t0 : kept.t0 + hidden.shape[0]])

    def _book(self) -> None:
        """Book the reads of all arrays: M x B x T vectors each."""
        rows = self.steps * self.form.batch
        reads, noisy = rows * self.form.M, rows * self.form.noisy
        for name, found in zip(self.form.names, self.arrays.books(reads), strict=True):
            self.chip.book_reads(name, torch.from_numpy(found.load), reads, noisy)
            self.chip.ledger.book_conversions(found.clipped, found.conversions)


def _lines(u: np.ndarray, bias: bool) -> np.ndarray:
    """Return what the word lines of the inputs see, (T, B, I): u, and a 1 for a bias."""
    return np.concatenate([u, np.ones_like(u[..., :1])], -1) if bias else np.ascontiguousarray(u)
