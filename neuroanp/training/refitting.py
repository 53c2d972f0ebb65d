"""Fit the arrays to the outputs by least squares once training is over: host work, on what the chip itself did.

A readout that was learned online can fall short of what the layers before it have learned. With `training.refit` the
chip is shown training sequences once more, under its own noise; the host, which knows the targets, solves

    W_out = argmin sum_{scored t, b} |W_out x_tb - target_tb|^2 + lambda |W_out|^2,   |W_out| <= w_s of each array

with x what the arrays to the outputs carried, for every lambda of a grid; a fifth of the sequences tells which of them
is best where weights are exact. What arrays hold is not that: writing errs, pulses stop short, ranges differ. So the
host writes what it found and shows the chip some of that fifth. Where the loss is not that of exact weights it tries
every stronger lambda too, and writes again what can come nearer. The best of all, or what the outputs were before, is
written until it does about as well again: errors of writing are drawn anew each time. Writes and looks are a part of
learning: booked, and the chip's time goes on. Outputs so come to know their targets, whatever the rule tells them: a
run of class S is one of S+.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from math import isfinite, nan
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from neuroanp.baselines.protocol import scored
from neuroanp.baselines.regression import LAMBDAS, Moments, drawn, ridge_path
from neuroanp.baselines.ridge import features
from neuroanp.errors import DivergedError, InputError
from neuroanp.losses import is_squared_error
from neuroanp.network.network import OUTPUT
from neuroanp.noise import PassStreams
from neuroanp.training.evaluate import HeldOutBatch, learning_loss
from neuroanp.training.results import BOOKED, NAMES, took
from neuroanp.training.told_outputs import by_array
from neuroanp.training.under_noise import UnderNoise

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.baselines.protocol import Sequences
    from neuroanp.losses import Loss
    from neuroanp.tasks.protocol import Batch
    from neuroanp.training.build import Experiment
    from neuroanp.training.trainer import Trainer

STATE = "refit/"
"""Where a checkpoint keeps what was found."""
STREAM, LOOKS = "refit", "refit looks"
"""What the sequences, and the noise that the chip has meanwhile, are drawn from; the noise while it is looked at."""
SAME = 1e-5
"""How near to what they were to hold weights are that nothing more is written to, over the largest of their array."""
ROUNDING = 1e-9
"""How near to the limit of its array a weight lies at it, relative."""
AS_EXACT = 1.1
"""Where the loss as written is no more than so many times that of exact weights, no other lambda is tried."""
AGAIN, MOST = 1.1, 10
"""Where what did best is written once more, its loss may be so many times what it was; how often it is tried."""
NEARER = 0.99
"""What is written again must bring the loss to so much of what it was, or it is not written a third time."""
Written = dict[str, "Tensor"]


@dataclass
class Refit:
    """Fits the arrays to the outputs of one trainer, once.

    Args:
        sequences: how many training sequences the chip is shown; a fifth of them tells how good a fit is.
        strength: lambda over the mean square of what the lines carry; nan: not fitted yet, or nothing was better than
            the weights of before.
        at_limit: the share of the fitted weights that lie at the largest weight of their array.
        exact: loss of exact weights with the best lambda, on that fifth. before, after: losses of the chip under its
            noise on a piece of it, before anything was written and in the end.
        unverified: share of the weights that the last write gave up. writes, looks: how many there were.
        energy_J, time_s, pulses: what it took of the chip; nan where a profile does not state it.
    """

    sequences: int
    strength: float = nan
    at_limit: float = nan
    exact: float = nan
    before: float = nan
    after: float = nan
    unverified: float = 0.0
    writes: int = 0
    looks: int = 0
    spent: dict[str, float] = field(default_factory=lambda: dict.fromkeys(BOOKED, 0.0))

    @classmethod
    def of(cls, experiment: Experiment) -> Refit | None:
        """Return what fits a run's outputs; None where that is not asked for."""
        sequences = experiment.config.training.refit
        return None if sequences is None else cls(sequences)

    def end(self, trainer: Trainer, pause: Callable[[], None] = lambda: None) -> None:
        """Show the chip its sequences, solve, and write the arrays to the outputs.

        Args:
            trainer: whose outputs are fitted. pause: called between pieces; what it raises leaves the fit.

        Raises:
            DivergedError: what units did is not finite.
        """
        books = trainer.substrate.ledger.report()
        bench = _Bench.of(trainer, self.sequences, pause)
        self.before = bench.look()
        start = bench.held_weights()
        tries: list[tuple[float, float, float, Written]] = [(self.before, nan, nan, start)]
        for strength, w_out, exact in bench.solutions():
            self.exact = exact if np.isnan(self.exact) else self.exact
            loss = bench.written(w_out)
            tries.append((loss, strength, _share_at(w_out, bench.limits), bench.held_weights()))
            if loss <= AS_EXACT * self.exact:
                break
        best = min(tries, key=lambda each: each[0])
        self.after, self.strength, self.at_limit, weights = best
        if best is not tries[-1]:
            self.after = bench.again(weights, self.after)
        self.writes, self.looks, self.unverified = bench.writes, bench.looks, bench.unverified
        self.spent = took(books, trainer.substrate.ledger.report())

    def row(self, trainer: Trainer) -> dict[str, float]:
        """Return what a row of the metrics says of the last write."""
        return {"saturated": trainer.saturated(), "unverified": self.unverified}

    def facts(self) -> dict[str, Any]:
        """Return what a record says of it; null for what is not known."""
        every = {"sequences": self.sequences, **self._numbers()}
        every |= {NAMES.get(key, key): value for key, value in self.spent.items()}
        return {key: value if isfinite(value) else None for key, value in every.items()}

    def state_dict(self) -> dict[str, Tensor]:
        """Return all that a resumed run needs, as named tensors."""
        every = {**self._numbers(), **{f"spent/{key}": value for key, value in self.spent.items()}}
        return {f"{STATE}{key}": torch.tensor(x, dtype=torch.float64) for key, x in every.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state_dict` returned."""
        told = {key: float(state[f"{STATE}{key}"]) for key in self._numbers()}
        self.strength, self.at_limit, self.unverified = told["strength"], told["at_limit"], told["unverified"]
        self.exact, self.before, self.after = told["exact"], told["before"], told["after"]
        self.writes, self.looks = int(told["writes"]), int(told["looks"])
        self.spent = {key: float(state[f"{STATE}spent/{key}"]) for key in BOOKED}

    def _numbers(self) -> dict[str, float]:
        """Return what was found, by name."""
        return {key: value for key, value in asdict(self).items() if key not in ("sequences", "spent")}


@dataclass
class _Bench:
    """A chip whose outputs are fitted, with what it was shown: it is written, and looked at.

    Args:
        trainer: of the chip. fit, held: sums over the sequences to fit by, and to choose by. looked: a piece of these.
        limits: (m,) the largest weight of each line to the outputs. pause: called between pieces.
        writes, looks: how many there were. unverified: share of the weights that the last write gave up.
    """

    trainer: Trainer
    fit: Moments
    held: Moments
    looked: HeldOutBatch
    limits: np.ndarray
    pause: Callable[[], None]
    writes: int = 0
    looks: int = 0
    unverified: float = 0.0

    @classmethod
    def of(cls, trainer: Trainer, sequences: int, pause: Callable[[], None]) -> _Bench:
        """Show the chip its sequences."""
        network, feed = trainer.substrate.network, trainer.substrate.network.feed(OUTPUT)
        chip = UnderNoise(trainer.substrate, trainer.backend, trainer.streams, STREAM, trainer.dt, True, trainer.books)
        limits = np.repeat([trainer.limits[p.name] for p in feed], [network.shapes[p.name][1] for p in feed])
        fit, held = (Moments(len(limits), network.outputs) for _ in range(2))
        looked: Sequences | None = None
        for chooses, batch in drawn(trainer.task, trainer.streams, STREAM, sequences):
            did = chip(trainer.substrate.weights, batch.inputs)
            carried = {name: decorrelated(x, trainer.substrate.decorrelation.get(name)) for name, x in did.items()}
            x = features(carried, network).numpy(force=True)
            (held if chooses else fit).add(scored(x, batch.mask), scored(batch.targets, batch.mask))
            looked = batch if chooses and looked is None else looked
            pause()
        assert looked is not None, "a fifth of at least five sequences"
        if not np.isfinite(fit.gram).all():
            raise DivergedError(
                f"diverged: after update {trainer.update} units do nothing finite that outputs could be fitted to "
                "(training.refit); try a lower optimizer.lr or optimizer.clip"
            )
        piece = HeldOutBatch.of(cast("Batch", looked), trainer.substrate.weights.like, trainer.task.loss)
        return cls(trainer, fit, held, piece, limits, pause)

    def solutions(self) -> list[tuple[float, np.ndarray, float]]:
        """Return (lambda, weights (O, m), loss where they are exact): the best lambda first, then all stronger ones."""
        path = ridge_path(self.fit, LAMBDAS, self.limits)
        found = [(s, C.T, self.held.error(C)) for s, C in zip(LAMBDAS, path, strict=True)]
        return found[int(np.argmin([exact for *_, exact in found])) :]

    def look(self) -> float:
        """Return the loss of the chip under its noise, on sequences that the fit has not seen."""
        t = self.trainer
        noise = PassStreams(t.streams, LOOKS, self.looks)
        self.looks += 1
        self.pause()
        return learning_loss(self.looked, t.substrate, t.backend, noise, t.dt, t.books)

    def held_weights(self) -> Written:
        """Return what the host knows of the arrays to the outputs."""
        network, weights = self.trainer.substrate.network, self.trainer.substrate.weights
        return {name: weights[name].clone() for name in network.readout}

    def written(self, w_out: np.ndarray | Written) -> float:
        """Write weights (O, m), again while that brings the loss down, and return the loss."""
        t = self.trainer
        if isinstance(w_out, np.ndarray):
            w_out = by_array(torch.as_tensor(w_out.copy()).to(t.substrate.weights.like), t.substrate.network)
        self._write(w_out)
        loss = self.look()
        while self._misses(w_out):  # pulses that are not verified
            self._write(w_out)
            last, loss = loss, self.look()
            if loss > NEARER * last:
                break
        return loss

    def again(self, weights: Written, loss: float) -> float:
        """Write weights that once had a loss, until it is about that, and return the loss."""
        found = loss
        for _ in range(MOST):
            if not self._misses(weights):  # who verifies would write nothing
                self._write({name: torch.zeros_like(W) for name, W in weights.items()})
            found = self.written(weights)
            if found <= AGAIN * loss:
                break
        return found

    def _write(self, weights: Written) -> None:
        self.writes += 1
        self.unverified = self.trainer.write(weights, late=self.writes).unverified

    def _misses(self, weights: Written) -> bool:
        """Return whether the arrays are known to hold something else, beyond rounding."""
        now = self.held_weights()
        limit = {name: self.trainer.limits[name] for name in weights}
        return any(bool(((now[n] - W).abs() > SAME * limit[n]).any()) for n, W in weights.items())


def check(refit: int | None, loss: Loss) -> None:
    """Raise InputError where outputs are to be fitted by least squares to a loss that is not one of squares."""
    if refit is not None and not is_squared_error(loss):
        raise InputError(
            f"training.refit: it is least squares, and the loss is the {loss.label}; leave it out, or give the task "
            "loss: squared_error"
        )


def decorrelated(x: Tensor, D: Tensor | None) -> Tensor:
    """Return D x, what word lines carry of activity x (T, B, N) where a matrix (N, N) stands before them.

    >>> decorrelated(torch.tensor([[[1.0, 2.0]]]), torch.tensor([[1.0, 0.5], [0.0, 1.0]]))
    tensor([[[2., 2.]]])
    """
    return x if D is None else x @ D.to(x).T


def _share_at(w_out: np.ndarray, limits: np.ndarray) -> float:
    return float(np.mean(np.abs(w_out) >= limits * (1.0 - ROUNDING)))
