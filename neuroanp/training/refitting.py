"""Fit the arrays to the outputs by least squares once training is over: host work, on what the chip itself did.

A readout that was learned online can fall short of what the layers before it have learned. With `training.refit` the
chip is shown training sequences once more, under its own noise; the host, which knows the targets, solves

    W_out = argmin sum_{scored t, b} |W_out x_tb - target_tb|^2 + lambda |W_out|^2,   |W_out| <= w_s of each array

with x what the arrays to the outputs carried (a fifth of the sequences chooses lambda), and the arrays are written as
an update writes them: with pulses, errors and energy. Outputs so come to know their targets, whatever the rule tells
them: a run of class S is one of S+.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite, nan
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from neuroanp.baselines.ridge import ridge
from neuroanp.errors import DivergedError, InputError
from neuroanp.losses import is_squared_error
from neuroanp.network.network import OUTPUT
from neuroanp.training.results import BOOKED, NAMES, took
from neuroanp.training.told_outputs import by_array
from neuroanp.training.under_noise import UnderNoise

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.losses import Loss
    from neuroanp.training.build import Experiment
    from neuroanp.training.trainer import Trainer

STATE = "refit/"
"""Where a checkpoint keeps what was found."""
STREAM = "refit"
"""What the sequences, and the noise that the chip has meanwhile, are drawn from."""
ROUNDING = 1e-9
"""How near to the limit of its array a weight lies at it, relative."""


@dataclass
class Refit:
    """Fits the arrays to the outputs of one trainer, once.

    Args:
        sequences: how many training sequences the chip is shown.
        strength: lambda over the mean square of what the lines carry; nan: not fitted yet.
        at_limit: the share of the fitted weights that lie at the largest weight of their array.
        spent: what it took of the chip: energy_J, time_s, pulses; nan where a profile does not state it.
    """

    sequences: int
    strength: float = nan
    at_limit: float = nan
    spent: dict[str, float] = field(default_factory=lambda: dict.fromkeys(BOOKED, 0.0))

    @classmethod
    def of(cls, experiment: Experiment) -> Refit | None:
        """Return what fits a run's outputs; None where that is not asked for."""
        sequences = experiment.config.training.refit
        return None if sequences is None else cls(sequences)

    def end(self, trainer: Trainer) -> None:
        """Show the chip its sequences, solve, and write the arrays to the outputs.

        Raises:
            DivergedError: what units did is not finite.
        """
        before = trainer.substrate.ledger.report()
        streams, network = trainer.streams, trainer.substrate.network
        chip = UnderNoise(trainer.substrate, trainer.backend, streams, STREAM, trainer.dt, True, trainer.books)
        feed = network.feed(OUTPUT)
        limits = np.repeat([trainer.limits[p.name] for p in feed], [network.shapes[p.name][1] for p in feed])
        try:
            found = ridge(
                trainer.task, trainer.substrate.weights, streams, self.sequences, activity=chip,
                loss=trainer.task.loss, limits=limits, stream=STREAM,
            )  # fmt: skip
        except np.linalg.LinAlgError:
            raise DivergedError(
                f"diverged: after update {trainer.update} units do nothing finite that outputs could be fitted to "
                "(training.refit); try a lower optimizer.lr or optimizer.clip"
            ) from None
        w_out = found.w_out.to(trainer.substrate.weights.like)
        trainer.write(by_array(w_out, network), late=1)
        self.strength = found.strength
        self.at_limit = float(np.mean(np.abs(found.w_out.numpy(force=True)) >= limits * (1.0 - ROUNDING)))
        self.spent = took(before, trainer.substrate.ledger.report())

    def facts(self) -> dict[str, Any]:
        """Return what a record says of it: sequences, lambda, how much lies at the limit, and what it took."""
        return {
            "sequences": self.sequences,
            "strength": self.strength,
            "at_limit": self.at_limit,
            **{NAMES.get(key, key): value if isfinite(value) else None for key, value in self.spent.items()},
        }

    def state_dict(self) -> dict[str, Tensor]:
        """Return all that a resumed run needs, as named tensors."""
        numbers = {"strength": self.strength, "at_limit": self.at_limit}
        spent = {f"spent/{key}": value for key, value in self.spent.items()}
        return {f"{STATE}{key}": torch.tensor(x, dtype=torch.float64) for key, x in {**numbers, **spent}.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state_dict` returned."""
        self.strength, self.at_limit = (float(state[f"{STATE}{key}"]) for key in ("strength", "at_limit"))
        self.spent = {key: float(state[f"{STATE}spent/{key}"]) for key in BOOKED}


def check(refit: int | None, loss: Loss) -> None:
    """Raise InputError where outputs are to be fitted by least squares to a loss that is not one of squares."""
    if refit is not None and not is_squared_error(loss):
        raise InputError(
            f"training.refit: it is least squares, and the loss is the {loss.label}; leave it out, or give the task "
            "loss: squared_error"
        )
