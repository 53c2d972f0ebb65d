"""Do runs on the workers of a Dask scheduler, on any number of machines that see the store.

Dask carries orders and news, no more. Which run is done where, and that one whose worker is lost is tried again, is
decided here: a worker is asked first what it is (`neuroanp.comparing.vetting`), gets one run a thread, and none that it
lacks something for. The run itself is done by our own process on that machine (`neuroanp.comparing.remote`).
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self

from neuroanp.comparing.desk import Desk, Plan, Progress, planned
from neuroanp.comparing.fleet import SLOW_S, Fleet, Remote, probe_in
from neuroanp.comparing.limits import NO_LIMITS, Limits
from neuroanp.comparing.needs import Needs
from neuroanp.comparing.remote import Order, Probe, dismiss, do, finish, report
from neuroanp.comparing.schedulers import Scheduler
from neuroanp.comparing.within import within
from neuroanp.comparing.worker import Job, Outcome
from neuroanp.errors import InputError, RunError
from neuroanp.records.run_dir import RunDir

REFRESH_S = 2.0
"""Between two looks at which workers there are, where the scheduler tells of no change."""
SEEN_S = 5.0
"""How long a run that another machine has ended may take to be seen here."""
END_S = 10.0
"""How long runs that are asked to end are waited for."""
DISMISS_S = 3.0
"""How long workers may take to hear that the driver leaves: their processes end by themselves soon after."""
ANSWER_S = 60.0
"""How long the scheduler may take to say which workers there are."""
GONE = "what was begun keeps its checkpoints, nothing is lost, and the same command goes on"


class DaskExecutor:
    """The executor of a cluster.

    Args:
        scheduler: where it comes from. limits: of each run.
        most: runs at a time; None: as many as its workers have threads.
    """

    def __init__(self, scheduler: Scheduler, limits: Limits = NO_LIMITS, most: int | None = None) -> None:
        self._scheduler, self._limits, self._most = scheduler, limits, most
        self._stack = ExitStack()
        self._client: Any = None
        self._fleet = Fleet(scheduler.name, scheduler.most)
        self._session = ""

    def __enter__(self) -> Self:
        """Reach the scheduler."""
        self._session = f"neuroanp-{uuid.uuid4().hex}"
        self._fleet = Fleet(self._scheduler.name, self._scheduler.most)
        self._client = self._stack.enter_context(self._scheduler.reached())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the workers' idle processes, and of the scheduler."""
        finish(self._session)  # where the workers are in this process
        if (good := self._fleet.good()) and self._client.status == "running":
            run, there = self._client.run, [one.address for one in good]
            with suppress(Exception):  # a worker that went away meanwhile, or is stopped
                within(DISMISS_S, lambda: run(dismiss, self._session, workers=there, on_error="ignore"))
        self._client = None
        self._stack.close()

    @property
    def slots(self) -> int:
        """Runs that are done at a time."""
        there = self._fleet.slots or self._most or 1
        return there if self._most is None else min(there, self._most)

    @property
    def where(self) -> str:
        """How many at a time and where, in words."""
        most = (
            "as many at a time as its workers have threads" if self._most is None else f"at most {self._most} at a time"
        )
        return f"on {self._scheduler.name}, {most}"

    @property
    def script(self) -> str | None:
        """What is handed to a queue for each job."""
        return self._scheduler.script

    def run(self, jobs: Sequence[Job], progress: Progress, logged: set[tuple[Any, ...]] | None = None) -> list[Outcome]:
        """Do all jobs on the cluster, and return their outcomes in the order of the jobs.

        Raises:
            RunError: the scheduler is gone, or none of its workers can do these runs.
        """
        plans = planned([replace(job, limits=self._limits) for job in jobs])
        desk = Desk(plans, progress, set() if logged is None else logged, self.slots, _as_shipped)
        if desk.waiting:
            with probe_in(jobs[0].root) as probe:
                need = self._scheduler.need
                _Sweep(self._client, self._session, self._fleet, desk, self._most, probe, need).run()
        return desk.ended()


def _as_shipped(job: Job) -> Job:
    """Return a job that means the same from any directory."""
    return replace(job, config=job.config.anchored(), root=job.root.absolute())


@dataclass(frozen=True)
class _Flight:
    """What a worker was given: a run, by its number, or (None) the question what it is."""

    remote: Remote
    future: Any
    index: int | None
    since: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class _Bar:
    """Why a worker does not get a run: its kind, as of `neuroanp.comparing.worker.serve`, and in words."""

    kind: str
    why: str


class _Sweep:
    """One call of `DaskExecutor.run`: hands runs out, hears of them, and gives lost ones to others."""

    def __init__(
        self, client: Any, session: str, fleet: Fleet, desk: Desk, most: int | None, probe: Probe,
        need: Callable[[int, int, int], None],
    ) -> None:  # fmt: skip
        self._client, self._session, self._fleet, self._desk = client, session, fleet, desk
        self._most, self._probe, self._need = most, probe, need
        self._inbox: SimpleQueue[tuple[str, Any]] = SimpleQueue()
        self._flights: dict[str, _Flight] = {}
        self._begun: set[str] = set()
        self._taken_up: set[str] = set()
        self._barred: dict[int, dict[str, _Bar]] = {}
        self._stuck: dict[int, float] = {}
        self._refreshed = -REFRESH_S
        self._paths = tuple(path for path in sys.path if isinstance(path, str) and Path(path).is_absolute())

    def run(self) -> None:
        """Do all that the desk has waiting; left early, runs are asked to end and waited for."""
        self._client.subscribe_topic(self._session, lambda event: self._inbox.put(("said", event[1])))
        self._client.subscribe_topic("all", self._on_event)
        try:
            while self._desk.waiting or self._given:
                self._refresh()
                self._hand_out()
                self._hear(self._patience())
        finally:
            self._leave()

    def _patience(self) -> float:
        pause = self._desk.pause()
        return min(REFRESH_S, 1.0) if pause is None else min(max(pause, 0.05), 1.0)

    def _on_event(self, event: tuple[float, Any]) -> None:
        """Hear, in the client's thread, that a worker came or went."""
        if isinstance(event[1], dict) and event[1].get("action") in ("add-worker", "remove-worker"):
            self._inbox.put(("workers", None))

    def _refresh(self) -> None:
        """Look which workers there are; ask new ones what they are, and take back what lost ones had."""
        if self._client.status != "running":
            raise RunError(f"the scheduler of {self._fleet.name} is gone; {GONE}")
        now = time.monotonic()
        if now - self._refreshed < REFRESH_S:
            return
        self._refreshed = now
        try:
            workers = within(ANSWER_S, lambda: self._client.scheduler_info(n_workers=-1))["workers"]
        except Exception as error:
            raise RunError(f"the scheduler of {self._fleet.name} is gone ({error}); {GONE}") from error
        new, gone = self._fleet.changed(workers)
        for remote in gone:
            self._lose(remote)
        for remote in new:
            self._fly(remote, None, report, self._probe)
        self._desk.allow(self._slots)
        self._fleet.check()
        self._say_busy()
        self._give_up()
        stuck = len(self._fleet.good()) if self._stuck else 0
        self._need(len(self._desk.waiting) + self._given, self._fleet.refused(), stuck)

    def _say_busy(self) -> None:
        """Tell once of workers that keep us waiting, which may be for ever."""
        late = [token for token, one in self._flights.items() if time.monotonic() - one.since > SLOW_S]
        runs = sum(self._flights[token].index is not None and token not in self._taken_up for token in late)
        told = self._fleet.say_busy("workers that have not answered yet", self._fleet.unanswered())
        if self._fleet.say_busy("runs that their workers have not begun yet", runs) or told:
            self._desk.show()

    @property
    def _given(self) -> int:
        """Runs that are given out."""
        return sum(one.index is not None for one in self._flights.values())

    @property
    def _slots(self) -> int:
        there = max(self._fleet.slots, 1)
        return there if self._most is None else min(there, self._most)

    def _fly(self, remote: Remote, index: int | None, function: Callable[..., Any], argument: Any) -> None:
        """Give a worker something to do."""
        token = argument.token if isinstance(argument, Order) else uuid.uuid4().hex
        future = self._client.submit(
            function, argument, key=f"neuroanp-{token}", workers=[remote.address], allow_other_workers=False,
            pure=False, retries=0,
        )  # fmt: skip
        self._flights[token] = _Flight(remote, future, index)
        if index is not None:
            remote.flights.add(token)
        future.add_done_callback(lambda _: self._inbox.put(("done", token)))

    def _hand_out(self) -> None:
        """Give each free thread a run that its worker lacks nothing for."""
        for remote in self._fleet.free():
            while remote.free and self._given < self._slots:
                index = self._desk.next(lambda one, at=remote.address: at not in self._barred.get(one, {}))
                if index is None:
                    break
                plan = self._desk.plans[index]
                self._desk.begin(index)
                if (packed := self._desk.packed(index)) is None:
                    continue
                assert isinstance(plan.needs, Needs)  # what stays here is never given out
                order = Order(self._session, uuid.uuid4().hex, plan.needs, packed, plan.job.limits, self._paths)
                self._fly(remote, index, do, order)

    def _give_up(self) -> None:
        """Let runs fail for which every worker that is there lacks something, once no other comes.

        One that none could do, whatever were installed there, is done in this process: its data are others in each.
        """
        good, now = [one.address for one in self._fleet.good()], time.monotonic()
        stuck = {
            index: self._stuck.get(index, now)
            for index in self._desk.waiting
            if good and all(address in self._barred.get(index, {}) for address in good)
        }
        self._stuck = {index: since for index, since in stuck.items() if self._fleet.waits(since)}
        for index in stuck.keys() - self._stuck.keys():
            self._desk.waiting.remove(index)
            bars = [self._barred[index][address] for address in good]
            if all(one.kind == "unable" for one in bars):
                self._desk.end(index, "unable", bars[0].why)
                continue
            why = next(one.why for one in bars if one.kind != "unable")
            self._desk.end(index, "failed", f"no worker of {self._fleet.name} can do it: {why}")

    def _hear(self, seconds: float) -> None:
        """Wait for news and take all that there are."""
        with suppress(Empty):
            kind, content = self._inbox.get(timeout=seconds)
            while True:
                self._take(kind, content)
                kind, content = self._inbox.get_nowait()

    def _take(self, kind: str, content: Any) -> None:
        if kind == "workers":
            self._refreshed = -REFRESH_S
        elif kind == "said":
            self._said(content["token"], content["kind"], json.loads(content["content"]))
        elif (flight := self._flights.pop(content, None)) is not None:
            flight.remote.flights.discard(content)
            if flight.index is None:
                self._vetted(flight)
            else:
                self._ended(flight, flight.index)

    def _said(self, token: str, kind: str, content: Any) -> None:
        """Take what a run says on its way."""
        if kind == "began":
            self._begun.add(token)
            self._taken_up.add(token)
        elif kind == "ended":
            self._begun.discard(token)
        elif (flight := self._flights.get(token)) is not None and flight.index is not None:
            self._desk.hear(flight.index, kind, content)

    def _vetted(self, flight: _Flight) -> None:
        """Take what a worker says of itself."""
        remote = flight.remote
        try:
            found = flight.future.result(timeout=END_S)
        except ModuleNotFoundError as error:
            self._fleet.refuse(remote, f"it lacks {error.name}; install this neuroanp there")
        except Exception as error:
            self._fleet.refuse(remote, f"it cannot say what it is ({type(error).__name__}: {error})")
        else:
            self._fleet.take_report(remote, found)
        self._refreshed = -REFRESH_S

    def _ended(self, flight: _Flight, index: int) -> None:
        """Take what became of a run."""
        remote, desk = flight.remote, self._desk
        if flight.future.status != "finished":
            self._broken(flight, index)
            return
        kind, content, written = flight.future.result(timeout=END_S)
        if kind == "refused":
            self._fleet.refuse(remote, content)
            desk.give_back(index)
        elif kind in ("lacking", "absent", "unable"):
            self._barred.setdefault(index, {})[remote.address] = _Bar(kind, f"{content} ({remote.host})")
            desk.give_back(index)
        elif kind == "released":
            desk.end(index, "lost", f"was let go of by {remote}")
        elif kind == "stopped":
            desk.end(index, "lost", f"was told to end on {remote}")
        elif kind == "outcome":
            desk.end(index, kind, self._seen(desk.plans[index], content, remote))
        else:
            desk.end(index, kind, content)
        desk.write(written)
        if kind in ("refused", "lacking", "absent", "unable"):
            self._refreshed = -REFRESH_S

    def _broken(self, flight: _Flight, index: int) -> None:
        """Take that Dask could not do what it was given."""
        error = flight.future.exception(timeout=END_S) if flight.future.status == "error" else None
        if error is None or type(error).__name__ == "KilledWorker":
            self._desk.end(index, "lost", f"was lost with {flight.remote}")
        else:
            self._desk.end(index, "failed", f"{flight.remote} cannot do it ({type(error).__name__}: {error})")

    def _lose(self, remote: Remote) -> None:
        """Take back what a worker had that is gone."""
        for token in [token for token, one in self._flights.items() if one.remote is remote]:
            flight = self._flights.pop(token)
            self._begun.discard(token)
            flight.future.cancel()
            if flight.index is not None:
                self._desk.end(flight.index, "lost", f"was lost with {remote}")

    def _seen(self, plan: Plan, outcome: Outcome, remote: Remote) -> Outcome:
        """Return an outcome with the path as this machine has it; an error where the run is not there."""
        if outcome.error is not None or outcome.path is None:
            return replace(outcome, path=plan.path if plan.path.exists() else None)
        deadline = time.monotonic() + SEEN_S
        while time.monotonic() < deadline:
            with suppress(InputError):
                if RunDir.open(plan.path, check_code=False, quiet=True).result is not None:
                    return replace(outcome, path=plan.path)
            time.sleep(0.2)
        why = f"its run is not in {plan.path.absolute()}: the store must lie on a file system that all workers see"
        self._fleet.refuse(remote, why)
        return Outcome(plan.label, None, f"{remote} ended it, but {why}")

    def _leave(self) -> None:
        """Let go of all that is still being done: each run saves a checkpoint, and is waited for."""
        running = self._client.status == "running"
        for flight in self._flights.values():
            flight.remote.flights.clear()
            if running:
                with suppress(Exception):  # the scheduler went away just now
                    flight.future.cancel()
        deadline = time.monotonic() + END_S
        self._flights = {}
        while running and self._begun and time.monotonic() < deadline:
            self._hear(0.2)
        if running:
            with suppress(Exception):
                self._client.unsubscribe_topic(self._session)
                self._client.unsubscribe_topic("all")
