"""Look at the validation loss while a network learns: stop early, and write the best weights back if that is asked for.

What a look costs, and what writing back costs, is booked: both are parts of learning on the chip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf, isfinite, nan
from typing import TYPE_CHECKING, Any

import torch

from neuroanp.training.evaluate import HeldOutBatch
from neuroanp.training.results import BOOKED, NAMES, took

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.training.build import Experiment
    from neuroanp.training.refitting import Refit
    from neuroanp.training.trainer import Trainer
    from neuroanp.training.updates import Row

STATE, BEST = "validation/", "validation/best/"
"""Where a checkpoint keeps what was found, and the weights of the lowest loss."""


@dataclass
class Validator:
    """Looks at the validation loss of one trainer.

    Args:
        held: the validation sequences.
        every: updates between two looks; there is one before the first update, and one at the end.
        patience: looks without a lower loss after which training is over; None: it never is.
        restore: whether the weights of the lowest loss are written back at the end.
        loss: of the last look. lowest: of all looks, and at which update that was: `at`.
        stale: looks since then. looks: how many there were.
        restored: whether weights were written back.
        spent: what the looks, and the write at the end, took of the chip: energy_J, time_s, pulses; nan where a profile
            does not state it.
        best: the weights of the lowest loss, kept by the host; {} where they are not to be written back.
    """

    held: HeldOutBatch
    every: int
    patience: int | None = None
    restore: bool = False
    loss: float = nan
    lowest: float = inf
    at: int = -1
    stale: int = 0
    looks: int = 0
    restored: bool = False
    spent: dict[str, float] = field(default_factory=lambda: dict.fromkeys(BOOKED, 0.0))
    best: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, experiment: Experiment, trainer: Trainer) -> Validator | None:
        """Return what looks at a run's validation loss; None where the run keeps no validation sequences."""
        if experiment.validation is None:
            return None
        training, task = experiment.config.training, experiment.task
        batch = experiment.validation.batch(trainer.streams.generator("validation"))
        held = HeldOutBatch.of(batch, trainer.substrate.weights.like, task.loss)
        return cls(held, training.evaluate_every, training.patience, training.restore)

    @property
    def over(self) -> bool:
        """Whether patience has run out."""
        return self.patience is not None and self.stale >= self.patience

    def look(self, trainer: Trainer) -> None:
        """Measure the loss; keep the weights if it is the lowest so far and they are to be written back."""
        before = trainer.substrate.ledger.report()
        self.loss = trainer.validate(self.held)
        self._book(before, trainer)
        self.looks += 1
        if self.loss < self.lowest:  # never of a loss that is not a number
            self.lowest, self.at, self.stale = self.loss, trainer.update, 0
            if self.restore:
                self.best = {name: W.clone() for name, W in trainer.of_trained(trainer.substrate.weights).items()}
        else:
            self.stale += 1

    def end(self, trainer: Trainer) -> None:
        """Write the weights of the lowest loss back, if that is asked for and they are not those of now; look again."""
        if not self.restore or self.at == trainer.update or not self.best:
            return
        before = trainer.substrate.ledger.report()
        trainer.write(self.best)
        self._book(before, trainer)
        self.restored = True
        self.again(trainer)  # an error of writing may have come in

    def again(self, trainer: Trainer) -> None:
        """Measure the loss once more, of what was written since training ended."""
        before = trainer.substrate.ledger.report()
        self.loss = trainer.validate(self.held)
        self._book(before, trainer)
        self.looks += 1

    def facts(self) -> dict[str, Any]:
        """Return what a record says of it: losses, looks, and what they took of the chip."""
        return {
            "sequences": self.held.targets.shape[1],
            "loss": self.loss,
            "lowest": self.lowest,
            "at": None if self.at < 0 else self.at,
            "looks": self.looks,
            "stopped": self.over,
            "restored": self.restored,
            **{NAMES.get(key, key): value if isfinite(value) else None for key, value in self.spent.items()},
        }

    def state_dict(self) -> dict[str, Tensor]:
        """Return all that a resumed run needs, as named tensors."""
        numbers = {"loss": self.loss, "lowest": self.lowest, **{f"spent/{key}": x for key, x in self.spent.items()}}
        counts = {"at": self.at, "stale": self.stale, "looks": self.looks, "restored": int(self.restored)}
        return {
            **{f"{STATE}{key}": torch.tensor(x, dtype=torch.float64) for key, x in numbers.items()},
            **{f"{STATE}{key}": torch.tensor(x, dtype=torch.int64) for key, x in counts.items()},
            **{f"{BEST}{name}": W for name, W in self.best.items()},
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state_dict` returned."""
        like = self.held.targets
        self.loss, self.lowest = (float(state[f"{STATE}{key}"]) for key in ("loss", "lowest"))
        self.at, self.stale, self.looks = (int(state[f"{STATE}{key}"]) for key in ("at", "stale", "looks"))
        self.restored = bool(state[f"{STATE}restored"])
        self.spent = {key: float(state[f"{STATE}spent/{key}"]) for key in BOOKED}
        self.best = {name.removeprefix(BEST): W.to(like.device) for name, W in state.items() if name.startswith(BEST)}

    def _book(self, before: Mapping[str, Any], trainer: Trainer) -> None:
        """Add what the books say more than before."""
        for key, more in took(before, trainer.substrate.ledger.report()).items():
            self.spent[key] += more


def validated(
    rows: Iterator[Row],
    trainer: Trainer,
    validator: Validator | None,
    refit: Refit | None = None,
    pause: Callable[[], None] = lambda: None,
) -> Iterator[tuple[Row, bool]]:
    """Yield the row of each update, and whether it was the last one, once all is done that is due there.

    Args:
        rows: of the updates that are left (see `updates`). trainer: which does them.
        validator: None: nothing is looked at, and all updates are done.
        refit: fits the outputs after the last one, whose row then tells of them; None: they stay as they are.
        pause: called between the pieces of that.
    """
    if validator is not None and validator.over:
        return
    for row in rows:
        last = trainer.update == trainer.updates
        if validator is not None:
            if last or trainer.update % validator.every == 0:
                validator.look(trainer)
            last = last or validator.over
            if last:
                validator.end(trainer)
        if last and refit is not None:
            row = {**row, **fit_outputs(refit, trainer, validator, pause)}
        yield row, last
        if validator is not None and last:
            return


def fit_outputs(
    refit: Refit, trainer: Trainer, validator: Validator | None, pause: Callable[[], None] = lambda: None
) -> Row:
    """Fit the outputs, and look at the validation loss of what they are then; return what a row says of the write."""
    refit.end(trainer, pause)
    if validator is not None:
        validator.again(trainer)
    return refit.row(trainer)


def fit_untrained(refit: Refit, trainer: Trainer, pause: Callable[[], None]) -> None:
    """Fit the outputs of a network that is left as it was drawn: what they were before is not seen in the end.

    Its chip is as old then as if it had been trained.
    """
    trainer.substrate.elapse(trainer.window() * trainer.updates)
    fit_outputs(refit, trainer, None, pause)
