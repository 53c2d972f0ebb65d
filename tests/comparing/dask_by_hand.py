"""A Dask scheduler and its workers, started by hand on the loopback interface as a user would."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
QUIET = ["--dashboard-address", "127.0.0.1:0"]


@dataclass
class ByHand:
    """A scheduler; `worker` starts one more for it."""

    folder: Path
    address: str = ""
    processes: list[subprocess.Popen] = field(default_factory=list)

    def start(self, *words: str, log: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen:
        env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **(environment or {})}
        with (self.folder / log).open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", *words],
                cwd=self.folder,
                env=env,
                stdout=file,
                stderr=file,
                stdin=subprocess.DEVNULL,
            )
        self.processes.append(process)
        return process

    def scheduler(self, protocol: str = "tcp") -> None:
        words = ("--host", "127.0.0.1", "--port", "0", "--protocol", protocol, *QUIET)
        self.start("distributed.cli.dask_scheduler", *words, log="scheduler.log")
        self.address = self.said("scheduler.log", rf"{protocol}://127\.0\.0\.1:\d+")

    def worker(self, *words: str, nanny: bool = False, **environment: str) -> subprocess.Popen:
        """Start a worker of one thread; its own process is what is returned, unless it has a nanny."""
        log = f"worker{len(self.processes)}.log"
        process = self.start(
            "distributed.cli.dask_worker", self.address, "--nthreads", "1", "--host", "127.0.0.1", *QUIET,
            "--nanny" if nanny else "--no-nanny", "--local-directory", str(self.folder / "scratch"), *words, log=log,
            environment=environment,
        )  # fmt: skip
        self.said(log, "Registered to")
        return process

    def said(self, log: str, pattern: str, seconds: float = 120.0) -> str:
        """Wait until a process has written something, and return it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            text = (self.folder / log).read_text(errors="replace")
            if found := re.search(pattern, text):
                return found[0]
            time.sleep(0.1)
        raise AssertionError(f"{log} does not say {pattern!r}:\n{(self.folder / log).read_text(errors='replace')}")


@contextmanager
def by_hand(folder: Path, workers: int = 0, protocol: str = "tcp") -> Iterator[ByHand]:
    """Provide a scheduler with so many workers while the block runs."""
    made = ByHand(folder)
    try:
        made.scheduler(protocol)
        for _ in range(workers):
            made.worker()
        yield made
    finally:
        for process in reversed(made.processes):
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        for process in made.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
