"""What a kind of fault trials came to: how many there were, how many passed, and what failed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Outcome:
    """One row of the table.

    Args:
        label: what was tried. asked: trials that were asked for.
        trials: those that were done. faults: what was wrong, one line each; a trial has at most one.
        notes: what else is to be known of them: counts, the slowest, the largest.
    """

    label: str
    asked: int
    trials: int = 0
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def passed(self) -> int:
        """Trials in which nothing was wrong."""
        return self.trials - len(self.faults)

    @property
    def good(self) -> bool:
        """Whether nothing was wrong in as many trials as were asked for: fewer show less than the row claims."""
        return not self.faults and self.trials >= self.asked

    def add(self, fault: str | None) -> None:
        """Count a trial with what was wrong in it, or None."""
        self.trials += 1
        if fault is not None:
            self.faults.append(fault)

    def cells(self) -> list[str]:
        """Return the row.

        >>> Outcome("kills", 3, 2, ["trial 1: hung"]).cells()
        ['kills', '2 of 3', '1', 'trial 1: hung']
        """
        trials = f"{self.trials}" if self.trials >= self.asked else f"{self.trials} of {self.asked}"
        failed = "; ".join(_short(line) for line in self.faults[:SHOWN])
        failed += f"; and {len(self.faults) - SHOWN} more" if len(self.faults) > SHOWN else ""
        return [self.label, trials, str(self.passed), failed or "-"]


SHOWN = 3
"""Faults that a row tells of before it counts the rest."""


def _short(line: str) -> str:
    flat = " ".join(line.split()).replace("|", "/")
    return flat if len(flat) <= 160 else f"{flat[:157]}..."


@dataclass(frozen=True)
class Budget:
    """What one kind of trials is given.

    Args:
        trials: so many; None: as many as the kind's results are quoted with.
        seed: of the random choices.
        tell: is told what was done so far, and each fault at once.
    """

    trials: int | None
    seed: int
    tell: Callable[[str], None] = lambda line: None

    def count(self, usual: int) -> int:
        """Return the trials to do, `usual` where none were asked for."""
        return usual if self.trials is None else self.trials


@dataclass
class Clock:
    """How long something took."""

    began: float = field(default_factory=time.monotonic)

    def __str__(self) -> str:
        return f"{time.monotonic() - self.began:.0f} s"
