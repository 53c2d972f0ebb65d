"""Train many configurations in processes of this machine; none lost, none run twice.

The truth is the store: a worker that dies leaves its run's checkpoints, and the run goes on in
another worker. A run that fails is an outcome beside the others, never the end of them.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuroanp.errors import NeuroanpError, RunError
from neuroanp.training.build import Experiment
from neuroanp.training.config import RunConfig
from neuroanp.training.launch import launch

TRIES = 3
PR_SET_PDEATHSIG = 1
Progress = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Job:
    """One run to do: its configuration and how it is done."""

    config: RunConfig
    root: Path
    force: bool
    argv: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What became of a run: its directory, and a message if it failed."""

    label: str
    path: Path | None
    error: str | None = None


def run_all(jobs: Sequence[Job], workers: int, progress: Progress) -> list[Outcome]:
    """Do all jobs with at most `workers` processes and return their outcomes in the order of the jobs.

    Raises:
        KeyboardInterrupt: stopped by the user; every worker has saved a checkpoint and ended.
        RunError: workers keep dying.
    """
    outcomes: dict[int, Outcome] = {}
    for _ in range(TRIES):
        left = {index: job for index, job in enumerate(jobs) if index not in outcomes}
        if not left:
            break
        _one_pool(left, outcomes, min(workers, len(left)), progress)
    missing = [index for index in range(len(jobs)) if index not in outcomes]
    for index in missing:
        label = Experiment.of(jobs[index].config).label
        outcomes[index] = Outcome(label, None, f"its worker process died {TRIES} times; is there enough memory?")
    return [outcomes[index] for index in range(len(jobs))]


def _one_pool(left: dict[int, Job], outcomes: dict[int, Outcome], workers: int, progress: Progress) -> None:
    """Run jobs until all are done or a worker dies; outcomes of the done ones are filled in."""
    context = multiprocessing.get_context("spawn")  # forking a process with threads is unsafe
    events, stop = context.Queue(), context.Event()
    start = (events, stop, os.getpid())
    with (
        _forwarding(events, progress),
        ProcessPoolExecutor(workers, mp_context=context, initializer=_enter, initargs=start) as pool,
    ):
        futures: dict[Future[Outcome], int] = {pool.submit(_work, job): index for index, job in left.items()}
        try:
            pending = set(futures)
            while pending:
                done, pending = wait(pending, timeout=0.5)
                for future in done:
                    outcomes[futures[future]] = future.result()
        except BrokenProcessPool:
            return  # the caller starts a new pool: the runs go on from their checkpoints
        except KeyboardInterrupt:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


@contextmanager
def _forwarding(events: Any, progress: Progress) -> Iterator[None]:
    """Hand the workers' events to `progress` in a thread while the body runs."""
    ended = threading.Event()

    def forward() -> None:
        while not ended.is_set():
            try:
                progress(events.get(timeout=0.1))
            except queue.Empty:
                continue
            except (EOFError, OSError):
                return

    thread = threading.Thread(target=forward, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


_worker: dict[str, Any] = {}


def _enter(events: Any, stop: Any, parent: int) -> None:
    """Prepare a worker: end with the parent, leave Ctrl-C to it, watch for its word to stop."""
    if hasattr(signal, "SIGTERM") and os.uname().sysname == "Linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all: the parent decides
    _worker.update(events=events)
    threading.Thread(target=_watch, args=(stop,), daemon=True).start()


def _watch(stop: Any) -> None:
    stop.wait()
    os.kill(os.getpid(), signal.SIGTERM)


def _work(job: Job) -> Outcome:
    """Do one job in a worker."""
    label = Experiment.of(job.config).label
    told = [0.0]

    def tell(event: dict[str, Any]) -> None:
        now = time.perf_counter()
        if event["phase"] != "train" or now - told[0] > 0.2:
            told[0] = now
            _worker["events"].put(event)

    try:
        record = launch(job.config, job.root, force=job.force, progress=tell, argv=job.argv)
    except NeuroanpError as error:
        tell({"run": label, "phase": "failed", "update": 0, "updates": 0, "loss": None})
        where = job.root / Experiment.of(job.config).directory
        return Outcome(label, where if where.exists() else None, str(error))
    return Outcome(label, record.path)
