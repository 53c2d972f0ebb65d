"""What a sweep sees of Dask, without Dask: workers that answer what a test has them answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from neuroanp.comparing.cluster import _Sweep
from neuroanp.comparing.desk import Desk, planned
from neuroanp.comparing.fleet import Fleet
from neuroanp.comparing.remote import Order, Probe, versions
from neuroanp.comparing.worker import Job, Outcome
from tests.comparing.test_executors import silent

NEVER = "never"
"""An answer that does not come."""
Answers = Callable[[str, Order], Any]


def report(**changes: Any) -> dict[str, Any]:
    """What a worker says of itself that may do runs."""
    return {"host": "node", "time": time.time(), "versions": versions(), "store": "", **changes}


@dataclass
class Future:
    """One task: what became of it, if anything did."""

    value: Any
    status: str = "finished"
    told: list[Callable[[Any], None]] = field(default_factory=list)

    def result(self, timeout: float) -> Any:
        return self.value

    def exception(self, timeout: float) -> Any:
        return self.value

    def cancel(self) -> None:
        self.status = "cancelled"

    def add_done_callback(self, function: Callable[[Any], None]) -> None:
        self.told.append(function)
        if self.status != "pending":
            function(self)

    def finish(self) -> None:
        self.status = "finished"
        for function in self.told:
            function(self)


@dataclass
class Client:
    """A scheduler with its workers.

    Args:
        workers: threads by address. answers: of a worker to an order; `NEVER`: none comes; a `Future`: as it is.
        reports: what a worker says of itself, by address, where it may do no runs; `NEVER` as well.
    """

    workers: dict[str, int]
    answers: Answers
    reports: Mapping[str, Any] = field(default_factory=dict)
    status: str = "running"
    given: list[tuple[str, int]] = field(default_factory=list)

    def scheduler_info(self, n_workers: int) -> dict[str, Any]:
        return {"workers": {address: {"host": "node", "nthreads": many} for address, many in self.workers.items()}}

    def submit(self, function: Any, argument: Any, workers: list[str], **words: Any) -> Future:
        (address,) = workers
        if isinstance(argument, Probe):
            value = self.reports.get(address, report())
        else:
            self.given.append((address, len(self.given)))
            value = self.answers(address, argument)
        return value if isinstance(value, Future) else Future(value, "pending" if value is NEVER else "finished")

    def run(self, function: Any, *rest: Any, **words: Any) -> None: ...

    def subscribe_topic(self, *rest: Any) -> None: ...

    def unsubscribe_topic(self, *rest: Any) -> None: ...


def well(address: str, order: Order) -> tuple[str, Any, str]:
    """Answer that a run is done, which failed for a reason of its own: nobody looks for its record then."""
    return "outcome", Outcome("", None, f"done by {address}"), ""


@dataclass
class Faked:
    """A sweep of such a client."""

    client: Client
    desk: Desk
    fleet: Fleet
    needs: list[tuple[int, int, int]] = field(default_factory=list)
    need: Callable[[int, int, int], None] = lambda *need: None

    def _need(self, *need: int) -> None:
        runs, refused, stuck = need
        self.needs.append((runs, refused, stuck))
        self.need(runs, refused, stuck)

    def run(self) -> list[str]:
        """Do all, and return what became of each."""
        probe = Probe("/s", "name", "text")
        _Sweep(self.client, "session", self.fleet, self.desk, None, probe, self._need).run()
        return [str(one.error) for one in self.desk.ended()]


def faked(client: Client, jobs: list[Job], fleet: Fleet, progress: Callable[[dict[str, Any]], None] = silent) -> Faked:
    """Return a sweep of jobs."""
    return Faked(client, Desk(planned(jobs), progress, set(), 1), fleet)
