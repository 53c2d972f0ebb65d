"""Train many configurations in processes of this machine; none lost, none run twice.

The truth is the store: a worker that dies leaves its run's checkpoints, and the run goes on in
another worker. A run that fails is an outcome beside the others, never the end of them. A run whose
record another process holds is waited for, and shown when it has ended there. Runs on one instrument go one after
another, whoever else works beside them.

What a run needs that lives in this process alone (a notebook's own task, say) keeps it here: such
runs are done one after another when the workers have done the rest.
"""

from __future__ import annotations

import logging
import re
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing.connection import wait
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

from neuroanp.comparing.needs import Needs, Unable, needs_of
from neuroanp.comparing.process import Worker
from neuroanp.comparing.worker import Job, Outcome, name_of, said_of, serving, there, work
from neuroanp.errors import HeldError, InputError, RunError, StoppedError, printable, refused_by_machine
from neuroanp.records.manifest import ENDED
from neuroanp.records.run_dir import RunDir
from neuroanp.training.alone import instrument_of
from neuroanp.training.build import Experiment
from neuroanp.training.described import describe

LOG = logging.getLogger("neuroanp")
TRIES = 3
POLL_S = 0.5
"""Between two looks at a run that another process holds."""
Progress = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Plan:
    """A job, what it is called, where its run will lie, and what a worker needs for it: or why it stays here.

    `instrument` is what holds its weights; None: they are simulated.
    """

    job: Job
    label: str
    path: Path
    needs: Needs | str
    instrument: str | None = None


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
    desk = _Desk(planned(jobs), progress, set() if logged is None else logged)
    if min(workers, len(desk.waiting)) > 1:
        desk.tell_of_instruments()
    with _workers(min(workers, len(desk.waiting))) as staff:
        while desk.waiting or any(worker.job is not None for worker in staff):
            for worker in staff:
                if worker.job is None and (index := desk.next(_driven(staff, desk))) is not None:
                    _give(worker, index, desk)
            for worker, (kind, content) in _heard(staff, desk.pause(_driven(staff, desk))):
                desk.take(worker, kind, content)
    for index in sorted(desk.here):
        desk.outcomes[index] = _here(desk, desk.plans[index])
    return [desk.outcomes[index] for index in range(len(jobs))]


def planned(jobs: Sequence[Job]) -> list[Plan]:
    """Return what is to be done, once every chip could be built; runs that differ by seed are built once."""
    built: dict[str, tuple[Experiment, Needs | str]] = {}
    plans = []
    for job in jobs:
        kind = repr(job.config.model_copy(update={"seed": 0}))
        if kind not in built:
            experiment = Experiment.of(job.config)
            describe(experiment)
            built[kind] = experiment, _needs(experiment)
        experiment, needs = built[kind]
        own = replace(experiment, config=job.config)
        instrument = instrument_of(job.config.hardware)
        plans.append(Plan(job, own.label, job.root / own.directory, needs, instrument))
    return plans


def _needs(experiment: Experiment) -> Needs | str:
    if serving():
        return "this is a worker itself"
    try:
        return needs_of(experiment)
    except Unable as error:
        return str(error)


@dataclass
class _Desk:
    """What is waiting, who holds it, and what came of it."""

    plans: Sequence[Plan]
    progress: Progress
    logged: set[tuple[Any, ...]]
    outcomes: dict[int, Outcome] = field(default_factory=dict)

    def __post_init__(self) -> None:
        every = range(len(self.plans))
        self.here = {index for index in every if isinstance(self.plans[index].needs, str)}
        self.waiting = deque(index for index in every if index not in self.here)
        self.tries = [0] * len(self.plans)
        self.due: dict[int, float] = {}

    def tell_of_instruments(self) -> None:
        """Say which runs do not go in parallel."""
        count = Counter(self.plans[index].instrument for index in self.waiting)
        for name, runs in count.items():
            if name is not None and runs > 1:
                LOG.info(f"{runs} runs on {name} go one after another: it is one instrument")

    def _free(self, driven: set[str | None]) -> list[int]:
        """Return the jobs that wait for no instrument that another one drives."""
        return [index for index in self.waiting if self.plans[index].instrument not in driven]

    def next(self, driven: set[str | None]) -> int | None:
        """Take the next job that waits for nothing; None if there is none now.

        Args: driven: instruments of the jobs that workers hold.
        """
        now = time.monotonic()
        for index in self._free(driven):
            if self.due.get(index, 0.0) <= now:
                self.waiting.remove(index)
                return index
        return None

    def pause(self, driven: set[str | None]) -> float | None:
        """Return how long nothing can be given out, in seconds; None: until a worker says something."""
        free = self._free(driven)
        if not free:
            return None
        return max(min(self.due.get(index, 0.0) for index in free) - time.monotonic(), 0.01)

    def take(self, worker: Worker, kind: str, content: Any) -> None:
        """Take what a worker said."""
        index = worker.job
        if index is None:
            return
        if kind == "event":
            self.progress(content)
            return
        if kind == "log":
            self.log(*content)
            return
        worker.hold(None)
        plan = self.plans[index]
        if kind == "outcome":
            self.outcomes[index] = content
        elif kind == "held":
            self.hold(index, content)
        elif kind == "unable":
            self.here.add(index)
            self.plans = [replace(p, needs=content) if p is plan else p for p in self.plans]
        elif kind == "died" and self.tries[index] < TRIES:
            self.waiting.appendleft(index)
        else:
            said = f"its worker process {content} ({TRIES} times)" if kind == "died" else content
            self.outcomes[index] = Outcome(plan.label, there(plan.path), said)
        if kind != "died":
            self.write(worker.written())

    def hold(self, index: int, message: str) -> None:
        """Wait for a run that another process holds: the others come first."""
        self.tries[index] -= 1
        self.due[index] = time.monotonic() + POLL_S
        self.waiting.append(index)
        self.wait_for(self.plans[index], message)

    def wait_for(self, plan: Plan, held: object) -> None:
        """Say whom a run waits for."""
        self.log(logging.INFO, "%s: %s", plan.label, f"{str(held).partition(';')[0]}; waiting for it")

    def log(self, level: int, form: str, name: str, message: str) -> None:
        """Log what was not logged alike before."""
        if (alike := (level, form, name, _without_numbers(message))) not in self.logged:
            self.logged.add(alike)
            LOG.log(level, form, name, message)

    def write(self, text: str) -> None:
        """Write what a worker wrote, each line once: a warning of a library, or the user's own print."""
        for line in text.splitlines():
            if line.strip() and (alike := ("written", _without_numbers(line))) not in self.logged:
                self.logged.add(alike)
                print(printable(line), file=sys.stderr)


def _driven(staff: Sequence[Worker], desk: _Desk) -> set[str | None]:
    """Return the instruments of the jobs that workers hold."""
    return {desk.plans[worker.job].instrument for worker in staff if worker.job is not None} - {None}


def _give(worker: Worker, index: int, desk: _Desk) -> None:
    """Hand a job to a worker."""
    plan = desk.plans[index]
    desk.tries[index] += 1
    try:
        job = plan.job if desk.tries[index] == 1 else _again(plan)
    except (InputError, OSError) as error:  # the worker that died left a record that cannot be read
        worker.hold(index)
        desk.take(worker, "failed", said_of(error))
        return
    try:
        packed = bytes(ForkingPickler.dumps(job))
    except Exception as error:  # a class that pickle cannot name
        worker.hold(index)
        desk.take(worker, "unable", f"it cannot be handed to another process ({type(error).__name__}: {error})")
        return
    assert isinstance(plan.needs, Needs)  # what stays here is never given out
    try:
        worker.give(index, plan.needs, packed)
    except OSError as error:
        said = refused_by_machine(error) or str(error)
        raise RunError(f"no worker process can be started: {said}") from error


def _here(desk: _Desk, plan: Plan) -> Outcome:
    """Do a job in this process, as `neuroanp.train` would."""

    def say(kind: str, content: Any) -> None:
        if kind == "event":
            desk.progress(content)

    desk.log(
        logging.WARNING, "%s: %s", "runs go one after another in this process",
        f"{plan.needs}; what is imported from a module of its own runs in parallel",
    )  # fmt: skip
    while True:
        try:
            with _logged_once(desk, plan.job):
                return work(plan.job, say)
        except HeldError as error:
            desk.wait_for(plan, error)
            time.sleep(POLL_S)
        except StoppedError as error:
            raise KeyboardInterrupt(str(error)) from None
        except Exception as error:
            return Outcome(plan.label, there(plan.path), said_of(error))


@contextmanager
def _logged_once(desk: _Desk, job: Job) -> Iterator[None]:
    """Let pass, of what a run in this process logs, what no other logged alike, with the name they share."""
    name = name_of(job.config)

    def first(record: logging.LogRecord) -> bool:
        message = record.getMessage()
        alike = (record.levelno, "%s: %s", name, _without_numbers(message))
        new = alike not in desk.logged
        desk.logged.add(alike)
        record.msg, record.args = f"{name}: {message}", None
        return new

    LOG.addFilter(first)
    try:
        yield
    finally:
        LOG.removeFilter(first)


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


def _heard(staff: Sequence[Worker], seconds: float | None) -> Iterator[tuple[Worker, tuple[str, Any]]]:
    """Wait until a worker says something or dies, or a time has passed; iterate over one message of each that did."""
    by_pipe = {worker.pipe: worker for worker in staff if worker.job is not None}
    if not by_pipe and seconds is None:
        return  # the last job could not be handed over: nobody works, and none is left to give
    idle = any(worker.job is None for worker in staff)
    for pipe in wait(list(by_pipe), seconds if idle else None):
        worker = by_pipe[pipe]  # pyright: ignore[reportArgumentType]
        yield worker, worker.hear()


def _without_numbers(message: str) -> str:
    """Return what is logged without its numbers: runs of one profile say the same, each of its own update and share.

    Digits within a name tell what is spoken of.

    >>> _without_numbers("update 10: 5.2 % of the weights")
    'update #: # % of the weights'
    >>> _without_numbers("hidden_1: 0.3 steps")
    'hidden_1: # steps'
    """
    return re.sub(r"(?<!\w)\d[\d.e+-]*", "#", message)


def _again(plan: Plan) -> Job:
    """Return the job as it is tried again: what `force` has already begun anew goes on."""
    begun = plan.path.exists() and RunDir.open(plan.path).manifest["status"] not in ENDED
    return replace(plan.job, force=plan.job.force and not begun)
