"""A Dask scheduler and two workers, started by hand; trials of kills choose from their processes too."""

from __future__ import annotations

import random
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.faults.trees import HELPERS, Process, Started, start

WORKERS, PATIENCE_S = 2, 120.0
SCHEDULER, WORKER = "distributed.cli.dask_scheduler", "distributed.cli.dask_worker"
PAGE = ("--dashboard-address", "127.0.0.1:0")


@dataclass
class Cluster:
    """A scheduler on loopback and its workers of one thread.

    Args:
        folder: of logs and scratch.
    """

    folder: Path
    scheduler: Started = field(init=False)
    workers: list[Started] = field(default_factory=list, init=False)
    address: str = field(default="", init=False)
    _logs: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._begin()

    def tree(self) -> list[Process]:
        """Return all processes that live of it, and of runs that its workers have begun."""
        return [one for each in (self.scheduler, *self.workers) for one in each.tree()]

    def left(self) -> list[Process]:
        """Return what lives beside the scheduler, the workers and Python's helpers, once there was time to end."""
        deadline = time.monotonic() + 5.0
        while True:
            own = [SCHEDULER, WORKER, *HELPERS]
            left = [one for one in self.tree() if not any(word in one.line for word in own)]
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(0.05)

    def mend(self) -> None:
        """Start again what has died: a worker; with the scheduler all of it, at a new address."""
        if self.scheduler.process.poll() is not None:
            self.end()
            self._begin()
            return
        for dead in [one for one in self.workers if one.process.poll() is not None]:
            self.workers.remove(dead)
            dead.clear()
        while len(self.workers) < WORKERS:
            self._worker()

    def end(self) -> None:
        """End all its processes."""
        for each in (*self.workers, self.scheduler):
            each.clear()
        self.workers.clear()

    def _begin(self) -> None:
        self.scheduler = self._start(SCHEDULER, "--host", "127.0.0.1", "--port", "0", *PAGE)
        self.address = _said(self.scheduler, r"tcp://127\.0\.0\.1:\d+")
        for _ in range(WORKERS):
            self._worker()

    def _worker(self) -> None:
        one = self._start(
            WORKER, self.address, "--nthreads", "1", "--host", "127.0.0.1", "--no-nanny", "--local-directory",
            str(self.folder / "scratch"), *PAGE,
        )  # fmt: skip
        _said(one, "Registered to")
        self.workers.append(one)

    def _start(self, *words: str) -> Started:
        self._logs += 1
        return start((sys.executable, "-m", *words), self.folder / f"{self._logs}.log")


@contextmanager
def by_hand() -> Iterator[Cluster]:
    """Provide one while the block runs."""
    with TemporaryDirectory() as folder:
        made = Cluster(Path(folder))
        try:
            yield made
        finally:
            made.end()


def hand_worker(tree: list[Process], rng: random.Random) -> Process | None:
    """Choose a worker that was started by hand."""
    there = [one for one in tree if WORKER in one.line]
    return rng.choice(there) if there else None


def scheduler(tree: list[Process], rng: random.Random) -> Process | None:
    """Choose the scheduler."""
    return next((one for one in tree if SCHEDULER in one.line), None)


def _said(one: Started, pattern: str) -> str:
    """Wait until a process has written something, and return it."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if found := re.search(pattern, one.output):
            return found[0]
        time.sleep(0.1)
    raise RuntimeError(f"{one.log.name} does not say {pattern!r}: {one.output[-500:]}")
