"""How the controls of a run are come by: now, later, or from another run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from neuroanp.training.callbacks import Callback


@dataclass(frozen=True)
class How:
    """How the controls of a run are come by.

    Args:
        later: leave them out now, and note that they are pending.
        since: those of other runs count from that time on, seconds since 1970; None: all do.
        callbacks: functions that are told of updates, evaluations, checkpoints and the end.
    """

    later: bool = False
    since: float | None = None
    callbacks: tuple[Callback, ...] = ()


NOW = How()
