"""Commands as processes: what they started, which of it dies, and what is left of it afterwards."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
MARK = "NEUROANP_FAULT_TRIAL"
"""A variable of the environment that all processes of a trial have, whoever started them and in whatever session."""
ORPHANS_END_S = 5.0
"""After this time no process of a killed command may be there any more."""


@dataclass(frozen=True)
class Process:
    """A process of a trial: its number, that of its parent, and its command line."""

    pid: int
    parent: int
    line: str


@dataclass
class Started:
    """A command that was started, with the mark of its trial."""

    process: subprocess.Popen[bytes]
    mark: str
    log: Path
    began: float = field(default_factory=time.monotonic)

    def tree(self) -> list[Process]:
        """Return all its processes that live, itself first."""
        return sorted(marked(self.mark), key=lambda one: (one.pid != self.process.pid, one.pid))

    def wait(self, patience_s: float) -> int | None:
        """Return its exit code; None where it is not through in time, and is ended."""
        with suppress(subprocess.TimeoutExpired):
            return self.process.wait(patience_s)
        self.clear()
        return None

    def orphans(self) -> list[Process]:
        """Return what lives of it some time after its end; what does is ended."""
        until = time.monotonic() + ORPHANS_END_S
        while (left := self.tree()) and time.monotonic() < until:
            time.sleep(0.05)
        self.clear()
        return left

    def clear(self) -> None:
        """End all its processes."""
        for one in self.tree():
            with suppress(ProcessLookupError):
                os.kill(one.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(10)

    @property
    def output(self) -> str:
        """What it wrote."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""


def start(words: Sequence[str], log: Path, **environment: str) -> Started:
    """Start a command, in a session of its own; words[0] is "neuroanp", or any program of the environment."""
    mark = uuid.uuid4().hex
    given = [sys.executable, "-m", "neuroanp", *words[1:]] if words[0] == "neuroanp" else list(words)
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", MARK: mark, **environment}
    with log.open("wb") as file:
        process = subprocess.Popen(
            given, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )
    return Started(process, mark, log)


def marked(mark: str) -> Iterator[Process]:
    """Find the processes that have the mark of a trial in their environment; those that have ended have none."""
    word = f"{MARK}={mark}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):
            if word in (entry / "environ").read_bytes().split(b"\0"):
                stat = (entry / "stat").read_text()
                if stat.rpartition(")")[2].split()[0] == "Z":
                    continue
                parent = int(stat.rpartition(")")[2].split()[1])
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                yield Process(int(entry.name), parent, line)


Choose = Callable[[list[Process], random.Random], Process | None]
"""Chooses who dies from the processes of a command, itself first; None: nobody is there yet."""
HELPERS = ("resource_tracker", "forkserver")
"""Words in the command lines of processes that do no work."""


def driver(tree: list[Process], rng: random.Random) -> Process | None:
    """Choose the command itself."""
    return tree[0] if tree else None


def worker(tree: list[Process], rng: random.Random) -> Process | None:
    """Choose a process that works for it: one that has no others below it, and is no helper of Python's."""
    parents = {one.parent for one in tree}
    free = [one for one in tree[1:] if one.pid not in parents and not any(word in one.line for word in HELPERS)]
    return rng.choice(free) if free else None


def agent(tree: list[Process], rng: random.Random) -> Process | None:
    """Choose what starts the workers and watches them, where that is another process than the command."""
    parents = {one.parent for one in tree[1:]}
    between = [one for one in tree[1:] if one.pid in parents]
    return rng.choice(between) if between else driver(tree, rng)
