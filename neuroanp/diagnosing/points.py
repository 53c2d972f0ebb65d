"""The moments of a training that are looked at: reached by training anew, or kept by a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from neuroanp.errors import InputError
from neuroanp.training.build import build_trainer
from neuroanp.training.updates import updates

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.records.run_dir import RunDir
    from neuroanp.training.build import Experiment
    from neuroanp.training.trainer import Trainer

EVERY_S = 0.1
"""Between two reports of a training's progress."""


class Point(NamedTuple):
    """A moment of a training.

    Args:
        update: how many updates are done. state: of the trainer, as `Trainer.state_dict` returns it.
    """

    update: int
    state: Mapping[str, Tensor]


def trained(
    trainer: Trainer, at: Sequence[int], tell: Callable[[dict[str, Any]], None] = lambda event: None
) -> Iterator[Point]:
    """Train, and yield the moments that are asked for; nothing is written down.

    Args:
        trainer: at its first update. at: updates, ascending. tell: takes update, updates and loss now and then.

    Raises:
        DivergedError: it diverged before the last of them.
    """
    for update in at:
        if trainer.update < update:
            for _ in updates(
                trainer,
                lambda row, end=update: tell({"update": row["update"], "updates": end, "loss": row["train_loss"]}),
                EVERY_S,
            ):
                if trainer.update == update:
                    break
            tell({"update": update, "updates": update, "loss": None, "phase": "done"})
        yield Point(update, {name: x.clone() for name, x in trainer.state_dict().items()})


def kept(record: RunDir, experiment: Experiment, at: Sequence[int | float] | None) -> list[int]:
    """Return the updates of a run that are asked for and there: its checkpoints, and its start; None: the newest.

    Raises:
        InputError: one is not there; the message says which are.
    """
    from neuroanp.diagnosing.asked import updates_of

    there = [int(path.stem) for path in record.checkpoints()]
    if at is None:
        return [int(record.whole_checkpoint().stem)]
    asked = updates_of(at, experiment.config.training.updates)
    missing = [update for update in asked if update not in (0, *there)]
    if missing:
        lost = ", ".join(map(str, missing))
        raise InputError(
            f"--at {lost}: {record.path} keeps its start and the checkpoints of updates {', '.join(map(str, there))}; "
            f"name some of these, or train anew to others: neuroanp diagnose {record.config_path} --at {lost}"
        )
    return asked


def loaded(record: RunDir, experiment: Experiment, at: Sequence[int]) -> Iterator[Point]:
    """Yield the moments of a run at updates that `kept` returned."""
    files = {int(path.stem): path for path in record.checkpoints()}
    for update in at:
        if update in files:
            yield Point(update, record.load_checkpoint(files[update])[0])
        else:
            yield Point(0, build_trainer(experiment).state_dict())
