"""What every executor must hold: order, failures as outcomes, held runs, deaths, limits, news; the same weights."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from neuroanp.comparing.choosing import executor_of
from neuroanp.comparing.desk import TRIES, planned
from neuroanp.comparing.executor import Executor
from neuroanp.comparing.limits import NO_LIMITS, Limits
from neuroanp.comparing.standing import PHASE
from neuroanp.comparing.worker import Job
from neuroanp.records.run_dir import RunDir
from neuroanp.training.configure import configure
from neuroanp.training.launch import launch
from tests.comparing.dask_by_hand import by_hand

TINY = {
    "task": {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 8},
    "network": {"hidden": 6},
    "rule": "anp",
    "training": {"updates": 3, "batch": 2, "checkpoint_every": 5, "controls": False},
}
DIVERGES = {"optimizer.name": "sgd", "optimizer.lr": 1e3, "training.updates": 200}
LONG = 1_000_000
Make = Callable[..., Executor]


@pytest.fixture(
    scope="module",
    params=[None, pytest.param("local", marks=pytest.mark.long), pytest.param("tcp", marks=pytest.mark.long)],
    ids=["processes", "local", "tcp"],
)
def make(request, tmp_path_factory) -> Iterator[Make]:
    """Return what makes an executor: make(2, limits)."""
    if request.param != "tcp":
        yield lambda workers=2, limits=NO_LIMITS: executor_of(workers, request.param, limits)
        return
    with by_hand(tmp_path_factory.mktemp("dask"), workers=2) as dask:
        yield lambda workers=2, limits=NO_LIMITS: executor_of(workers, dask.address, limits)


def job(root: Path, overrides: dict[str, Any] | None = None, force: bool = False, **words: Any) -> Job:
    return Job(configure(TINY, overrides, **words), root, force, ("neuroanp", "compare"))


def silent(event: dict[str, Any]) -> None: ...


def holders(root: Path) -> list[int]:
    """Return the processes that do a run of a store, wherever they were started."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            with suppress(OSError):
                if b"neuroanp.comparing.worker" in (path / "cmdline").read_bytes():
                    links = [os.readlink(one) for one in (path / "fd").iterdir() if one.exists()]
                    found += [int(path.name)] * any(link.startswith(str(root)) for link in links)
    return found


def until(condition: Callable[[], Any], seconds: float = 120.0) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds:.0f} s")


def final(path: Path | None):
    """The end of a run without what a clock says."""
    assert path is not None
    record = RunDir.open(path)
    tensors, _ = record.load_checkpoint(record.checkpoints()[-1])
    result = {key: value for key, value in (record.result or {}).items() if key != "run"}
    return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}, result


@pytest.mark.slow
def test_outcomes_come_in_order_with_the_weights_of_one_process_and_nothing_runs_twice(tmp_path, make):
    root = tmp_path / "store"
    jobs = [job(root, seed=2), job(root, DIVERGES, seed=0), job(root, seed=1)]
    events: list[dict[str, Any]] = []
    with make(2, Limits.of("1 h", "20 GB")) as executor:  # what is within its limits is left alone
        outcomes = executor.run(jobs, events.append)
        before = [(path, path.stat().st_mtime_ns) for path in sorted(root.glob("*/*")) if path.name != ".lock"]
        again = executor.run(jobs, silent)
    assert [one.label for one in outcomes] == [f"copy ideal anp seed {seed}" for seed in (2, 0, 1)]
    assert [one.error is None for one in outcomes] == [True, False, True]
    assert "diverged at update" in (outcomes[1].error or "")
    assert [one.path for one in outcomes] == [plan.path for plan in planned(jobs)]
    assert [(one.path, one.error is None) for one in again] == [(one.path, one.error is None) for one in outcomes]
    assert before == [(path, path.stat().st_mtime_ns) for path in sorted(root.glob("*/*")) if path.name != ".lock"]
    for one, wanted in zip(outcomes, jobs, strict=True):
        if one.error is None:
            assert final(one.path) == final(launch(wanted.config, tmp_path / "alone").path)
    ends = sorted((event["run"], event["phase"]) for event in events if event["phase"] in ("done", "failed"))
    assert ends == [(f"copy ideal anp seed {k}", phase) for k, phase in enumerate(("failed", "done", "done"))]
    stood = [event for event in events if event["phase"] == PHASE]
    assert all(sum(one[key] for key in ("running", "done", "failed", "waiting")) == 3 for one in stood)
    assert {key: stood[-1][key] for key in ("running", "done", "failed", "waiting")} == {
        "running": 0, "done": 2, "failed": 1, "waiting": 0,
    }  # fmt: skip
    assert max(one["running"] for one in stood) <= 2
    assert [*root.glob(".probe*")] == []


def test_nothing_to_do_is_done(make):
    with make() as executor:
        assert executor.run([], silent) == []


@pytest.mark.slow
def test_a_run_that_is_held_elsewhere_is_waited_for(tmp_path, make, caplog):
    caplog.set_level("INFO")
    held, free = job(tmp_path, seed=0), job(tmp_path, seed=1)
    plan = planned([held])[0]
    record = RunDir.create(tmp_path, plan.path.name, held.config.to_yaml(), {"identity": plan.path.name[-16:]})
    lock, ends = record.lock(), []

    def let_go(event: dict[str, Any]) -> None:
        if event["phase"] == "done":
            ends.append(event["run"])
            if len(ends) == 1:
                lock.__exit__(None, None, None)  # the other process ends

    lock.__enter__()
    with make(1) as executor:
        outcomes = executor.run([held, free], let_go)
    assert ends == [outcomes[1].label, outcomes[0].label]
    assert sum("waiting for it" in message for message in caplog.messages) == 1


@pytest.mark.slow
def test_a_killed_process_costs_no_run_and_one_that_kills_all_is_given_up(tmp_path, make):
    """The first goes on from its checkpoint to the end of an undisturbed one; the second is tried three times."""
    wanted = [job(tmp_path / "cut", {"training.updates": 1500}), job(tmp_path / "cut", {"training.updates": LONG})]
    killed: dict[int, list[int]] = {1500: [], LONG: []}

    def kill(event: dict[str, Any]) -> None:
        updates = event["updates"]
        if event["phase"] != "train" or event["update"] < 10 or (updates == 1500 and killed[1500]):
            return
        for pid in holders(tmp_path / "cut"):
            if pid not in killed[updates]:
                killed[updates].append(pid)
                os.kill(pid, signal.SIGKILL)

    with make(1) as executor:
        good, lethal = executor.run(wanted, kill)
    assert good.error is None
    assert any(line.startswith("resumed after update") for line in RunDir.open(good.path or Path()).manifest["log"])
    assert final(good.path) == final(launch(wanted[0].config, tmp_path / "whole").path)
    assert f"({TRIES} times)" in (lethal.error or "")
    assert len(killed[LONG]) == TRIES
    assert holders(tmp_path / "cut") == []


@pytest.mark.long
def test_runs_beyond_their_limits_are_ended_by_name_and_the_others_go_on(tmp_path, make):
    jobs = [job(tmp_path, {"training.updates": LONG, "training.checkpoint_every": LONG}), job(tmp_path, seed=1)]
    with make(1, Limits.of("4 s")) as executor:
        slow, quick = executor.run(jobs, silent)
    assert quick.error is None
    assert "longer than --time-limit '4 s' and was ended; its checkpoint is kept" in (slow.error or "")
    record = RunDir.open(slow.path or Path())
    assert record.manifest["status"] == "interrupted"
    reached = record.checkpoints()[-1]  # none was due: it was made for the end
    with make(1, Limits.of("4 s")) as executor:
        executor.run(jobs[:1], silent)
    assert RunDir.open(slow.path or Path()).checkpoints()[-1] > reached
    with make(1, Limits.of(None, "30 MB")) as executor:
        (large,) = executor.run(jobs[:1], silent)
    assert "more than --memory-limit '30 MB', and was killed" in (large.error or "")
    assert "times)" not in (large.error or "")  # once


@pytest.mark.long
def test_left_early_every_run_saves_a_checkpoint_and_none_is_left(tmp_path, make):
    jobs = [job(tmp_path, {"training.updates": LONG, "training.checkpoint_every": LONG}, seed=k) for k in (0, 1)]
    seen: set[str] = set()

    def stop(event: dict[str, Any]) -> None:
        if event["phase"] == "train" and event["update"] > 10:
            seen.add(event["run"])
            if len(seen) == 2:
                raise KeyboardInterrupt

    with make() as executor, pytest.raises(KeyboardInterrupt):
        executor.run(jobs, stop)
    until(lambda: not holders(tmp_path), 5)
    for plan in planned(jobs):
        record = RunDir.open(plan.path)
        assert record.manifest["status"] == "interrupted"
        assert record.latest_checkpoint() is not None


@pytest.mark.long
def test_two_calls_of_one_executor_share_its_processes_and_leave_none(tmp_path, make):
    from tests.comparing.test_pool import workers_of

    with make() as executor:
        executor.run([job(tmp_path, seed=0)], silent)
        executor.run([job(tmp_path, seed=1)], silent)
    until(lambda: workers_of(os.getpid()) == [], 10)
    assert not [one for one in threading.enumerate() if one.name.startswith("Dask-Default-Threads")]
