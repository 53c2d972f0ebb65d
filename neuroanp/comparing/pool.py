"""Train many configurations in processes of this machine; none lost, none run twice.

The truth is the store: a worker that dies leaves its run's checkpoints, and the run goes on in
another worker. A run that fails is an outcome beside the others, never the end of them.

Each worker has a pipe of its own and shares no lock with the others, so that one killed at any
moment holds up nobody.
"""

from __future__ import annotations

import ctypes
import logging
import multiprocessing
import os
import re
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from neuroanp.errors import NeuroanpError
from neuroanp.records.run_dir import RunDir
from neuroanp.training.build import Experiment
from neuroanp.training.config import RunConfig
from neuroanp.training.launch import ENDED, launch

LOG = logging.getLogger("neuroanp")
TRIES = 3
TELL_EVERY_S = 0.2
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


def run_all(
    jobs: Sequence[Job], workers: int, progress: Progress, logged: set[tuple[Any, ...]] | None = None
) -> list[Outcome]:
    """Do all jobs with at most `workers` processes and return their outcomes in the order of the jobs.

    A job whose worker dies is tried again, TRIES times in all, and goes on from its checkpoint. What runs of one
    profile log alike is logged once; `logged` holds what was, for a caller that does more jobs afterwards.

    Raises:
        InputError: a configuration names a profile or data that cannot be used; nothing has run then.
        KeyboardInterrupt: stopped by the user; every worker has saved a checkpoint and ended. A second
            one while they save ends them at once.
    """
    labels = _checked_labels(jobs)
    outcomes: dict[int, Outcome] = {}
    logged = set() if logged is None else logged
    waiting, tries = deque(range(len(jobs))), [0] * len(jobs)
    with _workers(min(workers, len(jobs))) as staff:
        while len(outcomes) < len(jobs):
            for worker in staff:
                if worker.job is None and waiting:
                    index = waiting.popleft()
                    tries[index] += 1
                    worker.give(index, jobs[index] if tries[index] == 1 else _again(jobs[index]))
            for worker, (kind, content) in _heard(staff):
                index = worker.job
                if index is None:
                    continue
                if kind == "event":
                    progress(content)
                    continue
                if kind == "log":
                    if _without_numbers(content) not in logged:
                        logged.add(_without_numbers(content))
                        LOG.log(*content)
                    continue
                worker.job = None
                if kind == "outcome":
                    outcomes[index] = content
                elif tries[index] < TRIES:
                    waiting.appendleft(index)
                else:
                    outcomes[index] = Outcome(labels[index], _there(jobs[index]), _died(content))
    return [outcomes[index] for index in range(len(jobs))]


class _Worker:
    """A process that does one job after another and tells of them over its pipe; started when first needed."""

    def __init__(self) -> None:
        self.job: int | None = None
        self.process: Any = None
        self.pipe: Any = None

    def give(self, index: int, job: Job) -> None:
        """Hand over a job, in a new process if the last one died."""
        self.job = index
        if self.process is None:
            context = multiprocessing.get_context("spawn")  # forking a process with threads is unsafe
            self.pipe, theirs = context.Pipe()
            self.process = context.Process(target=_serve, args=(theirs, os.getpid()), daemon=True)
            with _interrupts_held():  # inherited: Ctrl-C in the terminal reaches all, and the parent decides
                self.process.start()
            theirs.close()  # so that the worker's death is the end of the pipe
        with suppress(OSError):  # it died between two jobs: `hear` finds the end of the pipe
            self.pipe.send(job)

    def hear(self) -> tuple[str, Any]:
        """Return ("event", event), ("outcome", outcome), or ("died", exit code) after a death."""
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            code = self.end()
            return "died", code

    def end(self) -> int | None:
        """Close the pipe, wait for the process, and return its exit code; a signal's is negative."""
        self.pipe.close()
        self.process.join()
        code, self.process = self.process.exitcode, None
        return code


@contextmanager
def _workers(count: int) -> Iterator[list[_Worker]]:
    """Provide workers for the body; none outlives it. If it is left early, each saves a checkpoint first."""
    staff = [_Worker() for _ in range(count)]
    try:
        yield staff
    except BaseException:
        for worker in staff:
            if worker.process is not None:
                worker.process.terminate()
        raise
    finally:
        try:
            _dismiss(staff)
        except KeyboardInterrupt:
            for worker in staff:
                if worker.process is not None:
                    worker.process.kill()
            _dismiss(staff)
            raise


def _dismiss(staff: Sequence[_Worker]) -> None:
    for worker in staff:
        if worker.process is not None:
            worker.end()


def _heard(staff: Sequence[_Worker]) -> Iterator[tuple[_Worker, tuple[str, Any]]]:
    """Wait until a worker says something or dies; iterate over one message of each that did."""
    by_pipe = {worker.pipe: worker for worker in staff if worker.process is not None}
    for pipe in wait(list(by_pipe)):
        worker = by_pipe[pipe]
        yield worker, worker.hear()


def _without_numbers(content: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return what is logged without its numbers: runs of one profile say the same, each of its own update and share.

    >>> _without_numbers((30, "%s: %s", "pcm", "update 10: 5.2 % of the weights"))
    (30, '%s: %s', 'pcm', 'update #: # % of the weights')
    """
    *head, message = content
    return *head, re.sub(r"\d[\d.e+-]*", "#", message)


def _checked_labels(jobs: Sequence[Job]) -> list[str]:
    """Return what the runs are called, once every chip could be built; runs that differ by seed share one."""
    built: dict[str, Experiment] = {}
    labels = []
    for job in jobs:
        kind = job.config.model_copy(update={"seed": 0}).to_yaml()
        if kind not in built:
            built[kind] = Experiment.of(job.config)
            built[kind].describe()
        labels.append(replace(built[kind], config=job.config).label)
    return labels


def _again(job: Job) -> Job:
    """Return the job as it is tried again: what `force` has already begun anew goes on."""
    path = _there(job)
    begun = path is not None and RunDir.open(path).manifest["status"] not in ENDED
    return replace(job, force=job.force and not begun)


def _there(job: Job) -> Path | None:
    """Return the directory of a job's run if there is one."""
    path = job.root / Experiment.of(job.config).directory
    return path if path.exists() else None


def _died(code: int | None) -> str:
    how = f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"
    return f"its worker process died {TRIES} times (the last one of {how}); is there enough memory?"


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold SIGINT back in this thread; a process started meanwhile never sees one."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: Connection, parent: int) -> None:
    """Do jobs until the pipe ends: a worker's life."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        return  # it ended before we could be told
    try:
        while True:
            pipe.send(("outcome", _work(pipe.recv(), pipe)))
    except (EOFError, OSError):
        return  # no more jobs, or nobody left to tell


@contextmanager
def _logging_to(pipe: Connection, name: str) -> Iterator[None]:
    """Send what is logged in a worker to the parent, under a name that many runs share, which shows it once."""

    class Sent(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            _say(pipe, "log", (record.levelno, "%s: %s", name, record.getMessage()))

    handler = Sent()
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    try:
        yield
    finally:
        LOG.removeHandler(handler)


def _say(pipe: Connection, kind: str, content: Any) -> None:
    with suppress(OSError):  # the parent has gone: the system sends a signal, which ends the run in order
        pipe.send((kind, content))


def _work(job: Job, pipe: Connection) -> Outcome:
    """Do one job in a worker."""
    experiment = Experiment.of(job.config)
    told = [0.0]

    def tell(event: dict[str, Any]) -> None:
        now = time.perf_counter()
        if event["phase"] != "train" or now - told[0] > TELL_EVERY_S:
            told[0] = now
            _say(pipe, "event", event)

    name, backend = experiment.profile.name, job.config.backend
    try:
        with _logging_to(pipe, name if backend == "rate" else f"{name}, {backend}"):
            record = launch(job.config, job.root, force=job.force, progress=tell, argv=job.argv)
    except Exception as error:
        told_as = str(error) if isinstance(error, NeuroanpError) else f"{type(error).__name__}: {error}"
        tell({"run": experiment.label, "phase": "failed", "update": 0, "updates": 0, "loss": None})
        return Outcome(experiment.label, _there(job), told_as)
    return Outcome(experiment.label, record.path)
