"""What is to be done, who does it, and what came of it: the same wherever runs are done.

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
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

from neuroanp.comparing.needs import Needs, Unable, needs_of
from neuroanp.comparing.standing import Standing
from neuroanp.comparing.worker import Job, Outcome, name_of, said_of, serving, there, work
from neuroanp.errors import HeldError, InputError, RunError, StoppedError, printable
from neuroanp.records.checkpoints import FOLDER as CHECKPOINTS
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
class Desk:
    """What is waiting, and what came of what was given out.

    Args:
        plans: what is to be done. progress: told of what runs say, and how all of them stand.
        logged: what was logged already.
        slots: how many may be done at a time, for the time that is left.
        shipped: what a job is where another process does it.
    """

    plans: Sequence[Plan]
    progress: Progress
    logged: set[tuple[Any, ...]]
    slots: int = 1
    shipped: Callable[[Job], Job] = lambda job: job
    outcomes: dict[int, Outcome] = field(default_factory=dict)

    def __post_init__(self) -> None:
        every = range(len(self.plans))
        self.here = {index for index in every if isinstance(self.plans[index].needs, str)}
        self.waiting = deque(index for index in every if index not in self.here)
        self.tries = [0] * len(self.plans)
        self._spared = [0] * len(self.plans)
        self._reached: dict[int, int] = {}
        self._before: dict[int, str | None] = {}
        self.due: dict[int, float] = {}
        self.standing = Standing(len(self.plans))
        self._out, self._told = set[int](), False
        self._tell_of_instruments()

    def _tell_of_instruments(self) -> None:
        """Say, once there is more than one worker, which runs do not go in parallel."""
        if self._told or min(self.slots, len(self.waiting)) < 2:
            return
        self._told = True
        count = Counter(self.plans[index].instrument for index in self.waiting)
        for name, runs in count.items():
            if name is not None and runs > 1:
                LOG.info(f"{runs} runs on {name} go one after another: it is one instrument")

    def _free(self) -> list[int]:
        """Return the jobs that wait for no instrument that one which is given out drives."""
        driven = {self.plans[index].instrument for index in self._out} - {None}
        return [index for index in self.waiting if self.plans[index].instrument not in driven]

    def allow(self, slots: int) -> None:
        """Note how many may be done at a time from now on."""
        self.slots = slots
        self._tell_of_instruments()

    def next(self, able: Callable[[int], bool] = lambda index: True) -> int | None:
        """Take the next job that is not being waited for and that `able` admits; None if there is none now."""
        now = time.monotonic()
        for index in self._free():
            if self.due.get(index, 0.0) <= now and able(index):
                self.waiting.remove(index)
                return index
        return None

    def pause(self) -> float | None:
        """Return how long nothing can be given out, in seconds; None: until a worker says something."""
        free = self._free()
        if not free:
            return None
        return max(min(self.due.get(index, 0.0) for index in free) - time.monotonic(), 0.01)

    def begin(self, index: int) -> None:
        """Note that a job is given out."""
        self.tries[index] += 1
        if self.tries[index] == 1:
            plan = self.plans[index]
            self._before[index] = started(plan.path) if plan.job.force else None
            self._reached[index] = -1 if plan.job.force else reached(plan.path)
        self._out.add(index)
        self.standing.begin(index)
        self.show()

    def packed(self, index: int) -> bytes | None:
        """Return a job as another process takes it; None: it cannot be handed over, which is an outcome by now.

        Its tries have been counted: what `force` has already begun anew goes on.
        """
        plan = self.plans[index]
        try:
            job = plan.job if self.tries[index] == 1 else again(plan, self._before[index])
        except (InputError, OSError) as error:  # the worker that died left a record that cannot be read
            self.end(index, "failed", said_of(error))
            return None
        try:
            return bytes(ForkingPickler.dumps(self.shipped(job)))
        except Exception as error:  # a class that pickle cannot name
            why = f"it cannot be handed to another process ({type(error).__name__}: {error})"
            self.end(index, "unable", why)
            return None

    def hear(self, index: int, kind: str, content: Any) -> None:
        """Take what a run says while it is done: an event, or what it logs."""
        if kind == "event":
            self.standing.hear(index, content)
            self.progress(content)
            self.show()
        elif kind == "log":
            self.log(*content)

    def end(self, index: int, kind: str, content: Any) -> None:
        """Take what became of a job.

        Args:
            kind: outcome, with its Outcome; held: another process has its record; unable, absent: it must be done
                here; died: its process did; lost: it went with what it was done on, which is no try where the run has
                got on meanwhile; or what a run failed by, which is not tried again.
            content: the outcome, or why, in words.
        """
        plan = self.plans[index]
        self._out.discard(index)
        if kind == "outcome":
            self.outcomes[index] = content
        elif kind == "held":
            self._hold(index, content)
        elif kind in ("unable", "absent"):
            self.here.add(index)
            self.plans = [replace(p, needs=content) if p is plan else p for p in self.plans]
        elif kind in ("died", "lost") and self._again(index, kind):
            self.waiting.appendleft(index)
        else:
            said = f"its worker process {content} ({TRIES} times)" if kind in ("died", "lost") else content
            self.outcomes[index] = Outcome(plan.label, there(plan.path), said)
        ended = self.outcomes.get(index)
        self.standing.end(index, None if ended is None else ended.error is None)
        self.show()

    def _again(self, index: int, kind: str) -> bool:
        """Tell whether a job is tried again: three times, those aside between which it has saved a checkpoint."""
        if kind == "lost":
            before, now = self._reached[index], reached(self.plans[index].path)
            self._spared[index] += now > before
            self._reached[index] = now
        return self.tries[index] - self._spared[index] < TRIES

    def give_back(self, index: int) -> None:
        """Take back a job that was given to what cannot do it now; that is no try."""
        self.tries[index] -= 1
        self._out.discard(index)
        self.waiting.appendleft(index)
        self.standing.end(index, None)

    def _hold(self, index: int, message: str) -> None:
        """Wait for a run that another process holds: the others come first."""
        self.tries[index] -= 1
        self.due[index] = time.monotonic() + POLL_S
        self.waiting.append(index)
        self.wait_for(self.plans[index], message)

    def wait_for(self, plan: Plan, held: object) -> None:
        """Say whom a run waits for."""
        self.log(logging.INFO, "%s: %s", plan.label, f"{str(held).partition(';')[0]}; waiting for it")

    def show(self) -> None:
        """Tell how all of them stand, where that is new."""
        if (event := self.standing.told(self.slots)) is not None:
            self.progress(event)

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

    def ended(self) -> list[Outcome]:
        """Do what has to be done in this process, and return all outcomes in the order of the jobs."""
        for index in sorted(self.here):
            self.standing.begin(index)
            self.outcomes[index] = self._do_here(index)
            self.standing.end(index, self.outcomes[index].error is None)
            self.show()
        return [self.outcomes[index] for index in range(len(self.plans))]

    def _do_here(self, index: int) -> Outcome:
        """Do a job in this process, as `neuroanp.train` would."""
        plan = self.plans[index]

        def say(kind: str, content: Any) -> None:
            if kind == "event":
                self.hear(index, kind, content)

        self.log(
            logging.WARNING, "%s: %s", "runs go one after another in this process",
            f"{plan.needs}; what is imported from a module of its own runs in parallel",
        )  # fmt: skip
        if plan.job.limits:
            said = "a run that is done in this process cannot be ended from outside"
            self.log(logging.WARNING, "%s: %s", "limits of time and memory are not held", said)
        while True:
            try:
                with _logged_once(self, plan.job):
                    return work(plan.job, say)
            except HeldError as error:
                self.wait_for(plan, error)
                time.sleep(POLL_S)
            except StoppedError as error:
                raise KeyboardInterrupt(str(error)) from None
            except Exception as error:
                return Outcome(plan.label, there(plan.path), said_of(error))


@contextmanager
def _logged_once(desk: Desk, job: Job) -> Iterator[None]:
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


def _without_numbers(message: str) -> str:
    """Return what is logged without its numbers: runs of one profile say the same, each of its own update and share.

    Digits within a name tell what is spoken of.

    >>> _without_numbers("update 10: 5.2 % of the weights")
    'update #: # % of the weights'
    >>> _without_numbers("hidden_1: 0.3 steps")
    'hidden_1: # steps'
    """
    return re.sub(r"(?<!\w)\d[\d.e+-]*", "#", message)


def again(plan: Plan, before: str | None) -> Job:
    """Return the job as it is tried again: what `force` has already begun anew goes on, or is shown where it has ended.

    Args: before: when the record that was there before the sweep was begun; None: there was none.
    """
    if not plan.path.exists():
        return plan.job
    found = RunDir.open(plan.path).manifest
    old = found["status"] in ENDED and found.get("started") == before
    return replace(plan.job, force=plan.job.force and old)


def started(path: Path) -> str | None:
    """Return when the record of a run was begun, as it says; None where there is none that can be read."""
    try:
        return RunDir.open(path, check_code=False, quiet=True).manifest.get("started")
    except (InputError, RunError, OSError):
        return None


def reached(path: Path) -> int:
    """Return the update of a run's newest checkpoint, -1 where there is none."""
    names = (one.stem for one in path.glob(f"{CHECKPOINTS}/*.safetensors"))
    return max((int(name) for name in names if name.isascii() and name.isdigit()), default=-1)
