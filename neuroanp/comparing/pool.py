"""Do runs in processes of this machine; none lost, none run twice (`neuroanp.comparing.desk` says how)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from types import TracebackType
from typing import Any, Self

from neuroanp.comparing.desk import TRIES, Desk, Plan, Progress, planned
from neuroanp.comparing.limits import LOOK_S, NO_LIMITS, Limits
from neuroanp.comparing.needs import Needs
from neuroanp.comparing.process import Worker
from neuroanp.comparing.worker import Job, Outcome
from neuroanp.errors import RunError, refused_by_machine

__all__ = ["TRIES", "Job", "Plan", "Processes", "planned", "run_all"]


@dataclass(frozen=True)
class Processes:
    """The executor of this machine: at most so many processes at a time, started when there is something to do.

    Args: workers: processes. limits: of each run.
    """

    workers: int
    limits: Limits = NO_LIMITS

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is left between two calls of `run`."""

    @property
    def slots(self) -> int:
        """Runs that are done at a time."""
        return self.workers

    @property
    def where(self) -> str:
        """How many at a time, in words."""
        return f"at most {self.workers} at a time"

    @property
    def script(self) -> None:
        """No queue is handed anything."""
        return None

    def run(
        self,
        jobs: Sequence[Job],
        progress: Callable[[dict[str, Any]], None],
        logged: set[tuple[Any, ...]] | None = None,
    ) -> list[Outcome]:
        """Do all jobs; see `run_all`."""
        held = [replace(job, limits=self.limits) for job in jobs] if self.limits else jobs
        return run_all(held, self.workers, progress, logged)


def run_all(
    jobs: Sequence[Job], workers: int, progress: Progress, logged: set[tuple[Any, ...]] | None = None
) -> list[Outcome]:
    """Do all jobs with at most `workers` processes and return their outcomes in the order of the jobs.

    A job whose worker dies is tried again, TRIES times in all, and goes on from its checkpoint. What runs of one
    profile log alike is logged once; `logged` holds what was, for a caller that does more jobs afterwards.

    Raises:
        InputError: a configuration names a profile or data that cannot be used; nothing has run then.
        RunError: the system starts no worker.
        KeyboardInterrupt: stopped by the user; every worker has saved a checkpoint and ended. A second
            one while they save ends them at once.
    """
    desk = Desk(planned(jobs), progress, set() if logged is None else logged, workers)
    look = any(job.limits for job in jobs)
    with _workers(min(workers, len(desk.waiting))) as staff:
        while desk.waiting or any(worker.job is not None for worker in staff):
            for worker in staff:
                if worker.job is None and (index := desk.next()) is not None:
                    _give(worker, index, desk)
            for worker, (kind, content) in _heard(staff, desk.pause(), look):
                _take(desk, worker, kind, content)
            for worker in staff:
                worker.look()
    return desk.ended()


def _take(desk: Desk, worker: Worker, kind: str, content: Any) -> None:
    """Take what a worker said."""
    index = worker.job
    if index is None:
        return
    if kind in ("began", "event", "log"):
        desk.hear(index, kind, content)
        return
    worker.hold(None)
    desk.end(index, kind, content)
    if kind != "died":
        desk.write(worker.written())


def _give(worker: Worker, index: int, desk: Desk) -> None:
    """Hand a job to a worker."""
    plan = desk.plans[index]
    desk.begin(index)
    packed = desk.packed(index)
    if packed is None:
        return
    assert isinstance(plan.needs, Needs)  # what stays here is never given out
    try:
        worker.give(index, plan.needs, packed, plan.job.limits)
    except OSError as error:
        said = refused_by_machine(error) or str(error)
        raise RunError(f"no worker process can be started: {said}") from error


@contextmanager
def _workers(count: int) -> Iterator[list[Worker]]:
    """Provide workers for the body; none outlives it. If it is left early, each saves a checkpoint first."""
    staff = [Worker() for _ in range(count)]
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


def _dismiss(staff: Sequence[Worker]) -> None:
    for worker in staff:
        if worker.process is not None:
            worker.end()


def _heard(staff: Sequence[Worker], seconds: float | None, look: bool) -> Iterator[tuple[Worker, tuple[str, Any]]]:
    """Wait until a worker says something or dies, or a time has passed; iterate over one message of each that did.

    Args: look: whether what runs take has to be looked at meanwhile.
    """
    by_pipe = {worker.pipe: worker for worker in staff if worker.job is not None}
    if not by_pipe and seconds is None:
        return  # the last job could not be handed over: nobody works, and none is left to give
    idle = any(worker.job is None for worker in staff)
    patience = seconds if idle else None
    if look:
        patience = LOOK_S if patience is None else min(patience, LOOK_S)
    for pipe in wait(list(by_pipe), patience):
        worker = by_pipe[pipe]  # pyright: ignore[reportArgumentType]
        yield worker, worker.hear()
