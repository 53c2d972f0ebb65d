"""How all runs stand: how many are being done, are done, failed and wait, and how long it will take."""

from __future__ import annotations

import time
from collections.abc import Mapping
from statistics import fmean
from typing import Any

NAME, PHASE = "all runs", "sweep"
"""What the events of a whole sweep say in place of a run's name and phase."""
EVERY_S = 1.0
"""Between two events of which only the time that is left differs."""


class Standing:
    """Counts what is given out and what comes back.

    Args: total: of the runs.
    """

    def __init__(self, total: int) -> None:
        self.total, self.done, self.failed = total, 0, 0
        self._begun: dict[int, float] = {}
        self._share: dict[int, float] = {}
        self._trained: set[int] = set()
        self._took: list[float] = []
        self._said: tuple[int, ...] = ()
        self._said_at = 0.0

    @property
    def running(self) -> int:
        """Runs that are being done."""
        return len(self._begun)

    @property
    def waiting(self) -> int:
        """Runs that are still to be given out."""
        return self.total - self.done - self.failed - self.running

    def begin(self, index: int) -> None:
        """Note that a run was given out."""
        self._begun[index] = time.monotonic()

    def hear(self, index: int, event: Mapping[str, Any]) -> None:
        """Note how far a run is."""
        updates = event.get("updates")
        if event.get("phase") == "train" and updates:
            self._trained.add(index)
            self._share[index] = event.get("update", 0) / updates

    def end(self, index: int, well: bool | None) -> None:
        """Note that a run came back: done, failed, or (None) to be given out again."""
        begun = self._begun.pop(index, None)
        self._share.pop(index, None)
        if well is None:
            return
        self.done, self.failed = self.done + well, self.failed + (not well)
        if well and begun is not None and index in self._trained:  # one that was there already says nothing
            self._took.append(time.monotonic() - begun)

    def seconds_left(self, slots: int) -> float | None:
        """Return the seconds until all are done, from how long others took; None: nothing is known yet.

        Args: slots: runs that are done at a time.
        """
        now = time.monotonic()
        ages = {index: now - begun for index, begun in self._begun.items()}
        took = self._took or [ages[i] / share for i, share in self._share.items() if share > 0 and i in ages]
        if not took:
            return None
        each = fmean(took)
        left = self.waiting * each + sum(max(each - age, 0.0) for age in ages.values())
        return left / max(min(slots, self.waiting + self.running), 1)

    def told(self, slots: int) -> dict[str, Any] | None:
        """Return an event that says how all stand; None: it would say what the last one said, a moment ago.

        >>> standing = Standing(3)
        >>> standing.begin(0)
        >>> standing.told(2)["running"], standing.told(2)
        (1, None)
        """
        counts = (self.running, self.done, self.failed, self.waiting)
        if counts == self._said and time.monotonic() - self._said_at < EVERY_S:
            return None
        self._said, self._said_at = counts, time.monotonic()
        named = dict(zip(("running", "done", "failed", "waiting"), counts, strict=True))
        ended = self.done + self.failed
        return {
            "run": NAME, "phase": PHASE, "update": ended, "updates": self.total, "loss": None, **named,
            "seconds_left": self.seconds_left(slots),
        }  # fmt: skip
