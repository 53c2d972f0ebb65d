"""Jobs of a queue as runs need them: Dask's own decisions of which to close, on the state of a scheduler made here."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from neuroanp.comparing.cluster_file import Between, ClusterFile
from neuroanp.comparing.fleet import Fleet
from neuroanp.comparing.schedulers import Queue, quiet
from tests.comparing.dask_faked import report
from tests.comparing.test_executors import until

ROUNDS = 12
"""Looks at what is needed; ten alike close a job."""


class Cluster:
    """What Dask's adapting sees of a cluster: jobs by name, and how many runs each does."""

    def __init__(self, busy: dict[str, int]) -> None:
        self.busy, self.adapted = busy, dict[str, Any]()
        self.plan = self.requested = self.observed = {*busy}
        self.scheduler_comm = SimpleNamespace(workers_to_close=self._to_close)

    def adapt(self, **words: Any) -> None:
        self.adapted = words

    async def _to_close(self, **words: Any) -> list[str]:
        """Answer as Dask's scheduler does."""
        from distributed import Scheduler

        workers = {
            name: SimpleNamespace(
                address=name, name=name, processing=[None] * runs, long_running=[], memory_limit=10**9, nbytes=0
            )
            for name, runs in self.busy.items()
        }
        seen = SimpleNamespace(workers=workers, plugins={})
        return Scheduler.workers_to_close(cast("Any", seen), **words)


def closed(cluster: Cluster, runs: int, jobs: Between, cores: int) -> set[str]:
    """Return the jobs that a queue would close."""
    file = ClusterFile(kind="slurm", jobs=jobs, cores=cores, memory=1e9, host="127.0.0.1")
    queue = Queue(file, "queue.yaml")
    queue.need(runs, 0, 0)
    file.ask(cluster, queue.jobs)
    kind = cluster.adapted["Adaptive"]
    adaptive = kind(
        cluster, interval=0, minimum=cluster.adapted["minimum"], maximum=cluster.adapted["maximum"],
        wait_count=cluster.adapted["wait_count"],
    )  # fmt: skip

    async def looked() -> set[str]:
        found: set[str] = set()
        for _ in range(ROUNDS):
            said = await adaptive.recommendations(await adaptive.safe_target())
            found |= {*said.get("workers", ())}
        return found

    return asyncio.run(looked())


@pytest.mark.parametrize(
    ("busy", "runs", "least", "gone"),
    [
        ({"a": 1, "b": 1}, 2, 0, 0),  # two halves of one job's cores: none can go
        ({"a": 1, "b": 0, "c": 1}, 2, 0, 1),
        ({"a": 4, "b": 0, "c": 0}, 4, 0, 2),
        ({"a": 4, "b": 0, "c": 0}, 4, 2, 1),
        ({"a": 0, "b": 0}, 0, 0, 2),
        ({"a": 4, "b": 0}, 5, 0, 0),  # one waits
    ],
)
def test_jobs_that_do_runs_are_kept_when_fewer_would_do(busy, runs, least, gone):
    found = closed(Cluster(busy), runs, Between(minimum=least, maximum=9), cores=4)
    assert not [name for name in found if busy[name]]
    assert len(found) == gone


@pytest.mark.parametrize(
    ("runs", "refused", "stuck", "jobs"),
    [(0, 0, 0, 0), (4, 0, 0, 1), (5, 0, 0, 2), (5, 2, 0, 4), (5, 0, 1, 2), (5, 0, 2, 3), (1, 3, 1, 5)],
)
def test_jobs_that_can_do_nothing_are_needed_beside_those_that_can(runs, refused, stuck, jobs):
    queue = Queue(
        ClusterFile(kind="slurm", jobs=Between(maximum=9), cores=4, memory=1e9, host="127.0.0.1"), "queue.yaml"
    )
    queue.need(runs, refused, stuck)
    assert queue.jobs() == jobs


@pytest.mark.parametrize(("most", "first"), [(9, "b"), (0, "a")])
def test_a_queues_fullest_job_is_filled_first(most, first):
    """So that the others become idle and go back; a scheduler of one's own has its workers loaded alike."""
    fleet = Fleet("x", most)
    fleet.changed({name: {"host": name, "nthreads": 4} for name in ("a", "b", "c")})
    for name, runs in (("a", 0), ("b", 3), ("c", 4)):
        fleet.take_report(fleet.remotes[name], report(host=name))
        fleet.remotes[name].flights.update(map(str, range(runs)))
    assert next(one.address for one in fleet.free()) == first


def held(file: str) -> str:
    """Do until a file is gone (a run, for Dask)."""
    while Path(file).exists():
        time.sleep(0.1)
    return file


@pytest.mark.long
def test_a_job_of_several_runs_is_closed_when_its_last_has_ended(tmp_path):
    """On dask-jobqueue's own queue of processes of this machine: two jobs of two runs, each with one left."""
    from distributed import Client

    file = ClusterFile(
        kind="local", jobs=Between(maximum=2), cores=2, memory=1e9, host="127.0.0.1", local_directory=str(tmp_path)
    )
    needed = [4]
    with quiet(), file.cluster("127.0.0.1:0") as cluster, Client(cluster, set_as_default=False) as client:
        file.ask(cluster, lambda: -(-needed[0] // 2))

        def there() -> list[str]:
            return [*client.scheduler_info(n_workers=-1)["workers"]]

        until(lambda: len(there()) == 2)
        kept, other = there()
        futures, names = [], ("kept", "other")
        for address, name in zip((kept, other), names, strict=True):
            (tmp_path / name).touch()
            futures.append(client.submit(held, str(tmp_path / name), workers=[address], pure=False))
        needed[0] = 2
        time.sleep(ROUNDS + 3)
        assert {*there()} == {kept, other}
        (tmp_path / "other").unlink()
        needed[0] = 1
        until(lambda: there() == [kept], 60)
        (tmp_path / "kept").unlink()
        assert futures[0].result(30) == str(tmp_path / "kept")
        needed[0] = 0
