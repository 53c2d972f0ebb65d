"""Do the updates of a run one after another: the one loop that trains."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from neuroanp.training.stopping import StopRequested
    from neuroanp.training.trainer import Trainer

Row = Mapping[str, float | int]


def updates(
    trainer: Trainer,
    tell: Callable[[Row], None] = lambda row: None,
    every_s: float = 0.0,
    stop: StopRequested | None = None,
) -> Iterator[Row]:
    """Do the updates that are left and yield the row of each (see `Trainer.step`).

    Args:
        trainer: where it stands is where it begins.
        tell: takes a row now and then, for people who wait: at most once in `every_s` seconds, not before the first of
            them are over.
        stop: asked after each update, when the caller has done with its row what it does.

    Raises:
        DivergedError: see `Trainer.step`.
        KeyboardInterrupt: a stop was requested.
    """
    told = time.perf_counter()
    try:
        while trainer.update < trainer.updates:
            row = trainer.step()
            now = time.perf_counter()
            if now - told > every_s:
                told = now
                tell(row)
            yield row
            if stop is not None:
                stop.raise_if_requested()
    finally:
        trainer.release()
