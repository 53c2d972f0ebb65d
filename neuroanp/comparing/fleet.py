"""The workers of a Dask scheduler: which are there, which may do runs, and which of them is free."""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neuroanp.comparing.remote import Probe, versions
from neuroanp.comparing.vetting import differences, refusal
from neuroanp.errors import RunError
from neuroanp.records.atomic import said

LOG = logging.getLogger("neuroanp")
PATIENCE_S = 60.0
"""How long a scheduler that nobody starts workers for may be without one."""
SLOW_S = 10.0
"""After which it is said that a worker has not answered, or not begun a run: it may do what others gave it first."""
QUEUE_S = 1800.0
"""How long a queue is waited for that has started some jobs, none of which can do what is left."""


@dataclass
class Remote:
    """One Dask worker.

    Args:
        address: of it. host: its machine. threads: runs that it does at a time.
        good: whether it may do runs; None: it has not answered yet. why: what it is left out for.
        flights: tokens of what it has been given. asked: when it was asked what it is; since: the same by the monotonic
            clock.
    """

    address: str
    host: str
    threads: int
    good: bool | None = None
    why: str = ""
    flights: set[str] = field(default_factory=set)
    asked: float = field(default_factory=time.time)
    since: float = field(default_factory=time.monotonic)

    @property
    def free(self) -> bool:
        """Whether it may be given a run now."""
        return bool(self.good) and len(self.flights) < self.threads

    @property
    def load(self) -> float:
        """How busy it is, from 0 to 1."""
        return len(self.flights) / max(self.threads, 1)

    def answer(self, host: str, why: str) -> None:
        """Note what it says of itself, and why it is left out; "": it may do runs."""
        self.host, self.good, self.why = host or self.host, not why, why

    def __str__(self) -> str:
        return f"worker {self.address} on {self.host}"


class Fleet:
    """All workers of a scheduler.

    Args: name: of the scheduler. most: workers that are started for it by and by; 0: nobody starts any.
    """

    def __init__(self, name: str, most: int) -> None:
        self.name, self._most = name, most
        self.remotes: dict[str, Remote] = {}
        self._ours = versions()
        self._said: set[str] = set()
        self._alone_since: float | None = None
        self._busy = dict[str, bool]()

    @property
    def slots(self) -> int:
        """Runs that may be done at a time."""
        return sum(one.threads for one in self.remotes.values() if one.good)

    def changed(self, workers: Mapping[str, Mapping[str, Any]]) -> tuple[list[Remote], list[Remote]]:
        """Take what the scheduler says of its workers; return which are new, and which are gone."""
        gone = [self.remotes.pop(address) for address in [*self.remotes] if address not in workers]
        new = [
            Remote(address, str(one.get("host", "")), int(one.get("nthreads", 1)))
            for address, one in workers.items()
            if address not in self.remotes and one.get("status", "running") in ("running", "paused")
        ]
        self.remotes |= {one.address: one for one in new}
        return new, gone

    def take_report(self, remote: Remote, report: Mapping[str, Any]) -> None:
        """Take what a worker says of itself, and decide whether it gets runs."""
        why = refusal(report, self._ours)
        remote.answer(str(report["host"]), why)
        if why:
            self.refuse(remote, why)
            return
        for one in differences(report, self._ours, remote.asked, time.time()):
            self.warn(f"{remote}: {one}", remote.host + one)

    def refuse(self, remote: Remote, why: str) -> None:
        """Leave a worker out from now on."""
        remote.answer("", why)
        self.warn(f"{remote} is left out: {why}", remote.host + why)

    def warn(self, message: str, alike: str) -> None:
        """Log what was not said alike before: a machine may have a hundred workers."""
        if alike not in self._said:
            self._said.add(alike)
            LOG.warning(message)

    def free(self) -> list[Remote]:
        """Return who may be given a run: the least busy first, or the busiest where idle jobs go back to a queue."""
        free = (one for one in self.remotes.values() if one.free)
        return sorted(free, key=lambda one: -one.load if self._most else one.load)

    def good(self) -> list[Remote]:
        """Return who may do runs."""
        return [one for one in self.remotes.values() if one.good]

    def unanswered(self) -> int:
        """Return how many should have said by now what they are."""
        now = time.monotonic()
        return sum(one.good is None and now - one.since > SLOW_S for one in self.remotes.values())

    def say_busy(self, what: str, many: int) -> bool:
        """Say how many workers, or runs, are waited for, where none was before; return whether that was said."""
        first = many > 0 and not self._busy.get(what, False)
        self._busy[what] = many > 0
        if first:
            LOG.info(f"{self.name}: {what}: {many} (busy with what others gave them?)")
        return first

    def refused(self) -> int:
        """Return how many are left out."""
        return sum(one.good is False for one in self.remotes.values())

    def waits(self, since: float) -> bool:
        """Tell whether somebody may still come, or answer, who can do what those that are there cannot.

        Args: since: when it was seen that they cannot, by the monotonic clock.
        """
        unanswered = any(one.good is None for one in self.remotes.values())
        coming = len(self.remotes) < self._most
        return (unanswered or coming) and time.monotonic() - since < (QUEUE_S if coming else PATIENCE_S)

    def check(self) -> None:
        """Raise RunError where nobody can do runs and nobody will; say once that workers are waited for."""
        if any(one.good is not False for one in self.remotes.values()):
            self._alone_since = None
            return
        now = time.monotonic()
        first, self._alone_since = self._alone_since is None, self._alone_since or now
        if self.remotes and not self.waits(self._alone_since):
            each = "\n".join(f"  {one}: {one.why}" for one in self.remotes.values())
            raise RunError(f"no worker of {self.name} can do these runs:\n{each}")
        if self.remotes and first:
            who = f"all {len(self.remotes)} jobs" if len(self.remotes) > 1 else "the job"
            self.warn(
                f"{self.name}: {who} that it has started so far can do no run; waiting for others, up to {self._most} "
                f"in all, for {QUEUE_S / 60:.0f} min",
                f"left out: {who}",
            )
        elif first:
            LOG.info(f"{self.name} has no worker yet; waiting for one")
        elif not self.remotes and not self._most and now - self._alone_since > PATIENCE_S:
            raise RunError(
                f"{self.name} has had no worker for {PATIENCE_S:.0f} s; start one (dask worker ADDRESS --nthreads 1); "
                "what was begun is kept, and the same command goes on"
            )


@contextmanager
def probe_in(root: Path) -> Iterator[Probe]:
    """Write a file into the store, by which workers tell that they see it, while the block runs."""
    root = root.absolute()
    name, text = f".probe-{os.getpid()}-{uuid.uuid4().hex[:8]}", uuid.uuid4().hex
    with said(root):
        root.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    try:
        yield Probe(str(root), name, text)
    finally:
        with suppress(OSError):
            (root / name).unlink()
