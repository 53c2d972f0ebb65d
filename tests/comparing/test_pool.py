"""Runs side by side in processes that fail, are stopped and are killed: none lost, none run twice."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from neuroanp.comparing import pool
from neuroanp.comparing.desk import again as _again
from neuroanp.comparing.pool import TRIES, planned, run_all
from neuroanp.comparing.worker import Job, Outcome, work
from neuroanp.errors import HeldError, InputError
from neuroanp.records.run_dir import RunDir
from neuroanp.training.build import Experiment
from neuroanp.training.configure import configure
from neuroanp.training.launch import launch

TINY = {
    "task": {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 8},
    "network": {"hidden": 6},
    "rule": "anp",
    "training": {"updates": 3, "batch": 2, "checkpoint_every": 5, "controls": False},
}
DIVERGES = {"optimizer.name": "sgd", "optimizer.lr": 1e3, "training.updates": 200}
LONG = 1_000_000


def job(root: Path, overrides: dict[str, Any] | None = None, force: bool = False, **words: Any) -> Job:
    return Job(configure(TINY, overrides, **words), root, force, ("neuroanp", "compare"))


def silent(event: dict[str, Any]) -> None: ...


def stat(pid: int) -> list[str]:
    """Return the fields of /proc/<pid>/stat after the name: state, parent, ...; none if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def alive(pid: int) -> bool:
    return stat(pid)[:1] not in ([], ["Z"], ["X"])


def workers_of(parent: int) -> list[int]:
    """Return the worker processes of a parent."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit() and stat(int(path.name))[1:2] == [str(parent)]:
            with suppress(OSError):
                found += [int(path.name)] * (b"neuroanp.comparing.worker" in (path / "cmdline").read_bytes())
    return found


def until(condition: Callable[[], Any], seconds: float = 120.0) -> Any:
    """Wait until a condition holds and return what it returned; fail if it never does."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds:.0f} s")


def records(root: Path) -> list[RunDir]:
    return [RunDir.open(path.parent) for path in sorted(root.glob("[!.]*/manifest.json"))]


def final(record: RunDir):
    """The end of a run without what a clock says."""
    tensors, _ = record.load_checkpoint(record.checkpoints()[-1])
    result = {key: value for key, value in (record.result or {}).items() if key != "run"}
    return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}, result


def driver(folder: Path, *words: str, updates: int = LONG) -> subprocess.Popen:
    """Start `neuroanp compare` on two seeds in a process group of its own."""
    config = configure(TINY, {"training.updates": updates})
    (folder / "tiny.yaml").write_text(config.to_yaml())
    command = [sys.executable, "-m", "neuroanp", "compare", "tiny.yaml", "--seeds", "2", *words]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


def both_saved(root: Path) -> bool:
    return len({path.parent for path in root.glob("[!.]*/checkpoints/[0-9]*.safetensors")}) == 2


@pytest.mark.long
def test_outcomes_come_in_order_a_failure_stands_beside_them_and_nothing_runs_twice(tmp_path):
    jobs = [job(tmp_path, seed=2), job(tmp_path, DIVERGES, seed=0), job(tmp_path, seed=1)]
    events: list[dict[str, Any]] = []
    outcomes = run_all(jobs, 2, events.append)
    assert [o.label for o in outcomes] == [f"copy ideal anp seed {seed}" for seed in (2, 0, 1)]
    assert [o.error is None for o in outcomes] == [True, False, True]
    assert "diverged at update" in (outcomes[1].error or "")
    found = [RunDir.open(o.path).result for o in outcomes if o.path is not None]
    assert [(row["seed"], row["status"]) for row in found if row] == [(2, "finished"), (0, "diverged"), (1, "finished")]
    ends = sorted((event["run"], event["phase"]) for event in events if event["phase"] in ("done", "failed"))
    assert ends == [
        ("copy ideal anp seed 0", "failed"),
        ("copy ideal anp seed 1", "done"),
        ("copy ideal anp seed 2", "done"),
    ]
    before = [(path, path.stat().st_mtime_ns) for path in sorted(tmp_path.glob("*/*")) if path.name != ".lock"]
    again = run_all(jobs, 1, silent)
    assert [(o.label, o.path, o.error is None) for o in again] == [(o.label, o.path, o.error is None) for o in outcomes]
    after = [(path, path.stat().st_mtime_ns) for path in sorted(tmp_path.glob("*/*")) if path.name != ".lock"]
    assert before == after


def test_nothing_to_do_is_done():
    assert run_all([], 2, silent) == []


@pytest.mark.parametrize(
    ("overrides", "said"),
    [({"profile": "nowhere.yaml"}, "nowhere"), ({"hardware.write": "pulse"}, "no law"), ({"profile": "pmc"}, "pcm")],
)
def test_a_run_that_cannot_be_is_refused_before_any_starts(tmp_path, overrides, said):
    with pytest.raises(InputError, match=said):
        run_all([job(tmp_path), job(tmp_path, overrides)], 1, silent)
    assert not list(tmp_path.iterdir())


def test_a_bug_in_one_run_is_an_outcome(tmp_path, monkeypatch):
    def broken(*args, **kwargs):
        raise ZeroDivisionError("in someone's rule")

    monkeypatch.setattr("neuroanp.comparing.worker.launch", broken)
    said: list[Any] = []
    assert work(job(tmp_path), lambda kind, content: said.append(content)) == Outcome(
        "copy ideal anp seed 0", None, "ZeroDivisionError: in someone's rule"
    )
    assert [event["phase"] for event in said] == ["failed"]


def test_a_run_that_another_process_holds_says_who(tmp_path):
    held = job(tmp_path, seed=0)
    experiment = Experiment.of(held.config)
    record = RunDir.create(tmp_path, experiment.directory, held.config.to_yaml(), {"identity": experiment.identity})
    with record.lock(), pytest.raises(HeldError, match=f"in use by process {os.getpid()} on"):
        work(held, lambda kind, content: None)
    assert record.checkpoints() == []


def test_two_that_make_the_same_record_at_once_share_it(tmp_path, monkeypatch):
    """Between the look whether a record is there and its making, another process made it."""
    wanted, create, quicker = job(tmp_path), RunDir.create, []

    def late(*args, **kwargs):
        if not quicker:
            quicker.append(True)
            launch(wanted.config, tmp_path)
        return create(*args, **kwargs)

    monkeypatch.setattr(RunDir, "create", late)
    assert launch(wanted.config, tmp_path).result is not None
    assert len(list(tmp_path.glob("[!.]*"))) == 1


def test_force_begins_anew_once(tmp_path):
    """What a retry finds begun goes on; what it finds ended is the old record, and is repeated."""
    wanted = job(tmp_path, force=True)
    (plan,) = planned([wanted])
    assert _again(plan, None).force
    record = launch(wanted.config, tmp_path)
    assert record.path == plan.path
    before = record.manifest["started"]
    assert _again(plan, before).force
    record.update(started="2026-11-29T16:20:04+00:00")
    assert not _again(plan, before).force  # it was begun anew, and ended with the worker that was lost
    assert not _again(plan, None).force
    record.update(status="running")
    assert not _again(plan, record.manifest["started"]).force


@pytest.mark.long
def test_data_that_vanish_meanwhile_end_the_runs_that_need_them_alone(tmp_path, monkeypatch):
    table = tmp_path / "mine.csv"
    table.write_text("load\n" + "\n".join(str(k % 7 + k / 100) for k in range(200)))
    task = {"name": "weather", "path": str(table), "target": "load", "horizon": 1, "window": 10, "washout": 2}
    gone = replace(
        job(tmp_path), config=configure({"task": task, "network": {"hidden": 4}, "training": {"updates": 1}})
    )
    plans = pool.planned

    def late(jobs):
        found = plans(jobs)
        table.unlink()
        return found

    monkeypatch.setattr(pool, "planned", late)
    failed, other = run_all([gone, job(tmp_path)], 1, silent)
    assert "mine.csv: no such file" in (failed.error or "")
    assert failed.path is None
    assert other.error is None


@pytest.mark.parametrize("last", [False, True], ids=["first", "last"])
def test_a_record_that_a_dead_worker_left_unreadable_is_the_outcome_of_that_run_alone(tmp_path, monkeypatch, last):
    """The comparison goes on with the others, and ends where there is none."""
    jobs = [job(tmp_path, {"seed": seed}) for seed in (0, 1)]
    first = launch(jobs[0].config, tmp_path)
    monkeypatch.setattr("neuroanp.comparing.process.START", "import os; os.kill(os.getpid(), 9)")
    for manifest in (first.path / "manifest.json", first.path / "copies" / "manifest.json"):
        assert manifest.exists()
        manifest.write_text("{")
    damaged, other = reversed(run_all(jobs[::-1], 1, silent)) if last else run_all(jobs, 1, silent)
    assert "manifest.json" in (damaged.error or "")
    assert damaged.path == first.path
    assert f"({TRIES} times)" in (other.error or "")


@pytest.mark.parametrize(
    ("start", "said"),
    [
        ("import nowhere", "ended with exit code 1: ModuleNotFoundError: No module named 'nowhere'"),
        ("import os; os.abort()", "was ended by signal SIGABRT"),
        ("import os; os.kill(os.getpid(), 9)", "was killed (SIGKILL), as systems do when memory runs out"),
    ],
)
def test_a_worker_that_never_starts_says_why(tmp_path, monkeypatch, start, said):
    """Only what was killed may have been for want of memory."""
    monkeypatch.setattr("neuroanp.comparing.process.START", start)
    (outcome,) = run_all([job(tmp_path)], 1, silent)
    assert f"its worker process {said}" in (outcome.error or "")
    assert ("memory" in (outcome.error or "")) == ("SIGKILL" in said)
    assert f"({TRIES} times)" in (outcome.error or "")


@pytest.mark.slow
def test_a_held_run_waits_while_others_go_on_and_is_taken_over(tmp_path, caplog):
    """Another process holds the record, and ends without an end of the run."""
    caplog.set_level("INFO")
    held, free = job(tmp_path, seed=0), job(tmp_path, seed=1)
    experiment = Experiment.of(held.config)
    record = RunDir.create(tmp_path, experiment.directory, held.config.to_yaml(), {"identity": experiment.identity})
    lock, ends = record.lock(), []

    def let_go(event: dict[str, Any]) -> None:
        ends.append(event)
        if event["phase"] == "done" and len([end for end in ends if end["phase"] == "done"]) == 1:
            lock.__exit__(None, None, None)  # the other process dies: the system lets go

    lock.__enter__()
    first, second = run_all([held, free], 1, let_go)
    assert (first.error, second.error) == (None, None)
    assert [end["run"] for end in ends if end["phase"] == "done"] == [second.label, first.label]
    assert sum("waiting for it" in message for message in caplog.messages) == 1


@pytest.mark.slow
def test_ctrl_c_while_another_process_is_waited_for(tmp_path):
    with ExitStack() as held:
        for seed in (0, 1):
            experiment = Experiment.of(configure(TINY, {"training.updates": LONG}, seed=seed))
            text, identity = experiment.config.to_yaml(), {"identity": experiment.identity}
            held.enter_context(RunDir.create(tmp_path / "runs", experiment.directory, text, identity).lock())
        process = driver(tmp_path, "--workers", "1")
        assert process.stderr is not None
        until(lambda: "waiting for it" in process.stderr.readline())  # pyright: ignore[reportOptionalMemberAccess]
        assert "interrupted" in interrupted(process, workers_of(process.pid))


@pytest.mark.long
def test_a_killed_worker_costs_no_run(tmp_path):
    """SIGKILL the worker in the middle: the run goes on from its checkpoint to the same end."""
    wanted = [
        job(tmp_path / "cut", {"training.updates": 1500}, force=True),
        job(tmp_path / "cut", {"training.updates": 4}),
    ]
    killed: list[int] = []

    def kill_once(event: dict[str, Any]) -> None:
        if not killed and event["phase"] == "train" and event["update"] > 10 and event["updates"] == 1500:
            killed.extend(workers_of(os.getpid()))
            for pid in killed:
                os.kill(pid, signal.SIGKILL)

    outcomes = run_all(wanted, 1, kill_once)
    assert len(killed) == 1
    assert [o.error for o in outcomes] == [None, None]
    path = outcomes[0].path
    assert path is not None
    record = RunDir.open(path)
    assert any(line.startswith("resumed after update") for line in record.manifest["log"])
    assert final(record) == final(launch(wanted[0].config, tmp_path / "whole"))


@pytest.mark.long
def test_a_run_that_kills_every_worker_is_given_up_and_the_others_finish(tmp_path):
    jobs = [job(tmp_path, {"training.updates": LONG}), job(tmp_path, seed=1)]
    killed: list[int] = []

    def kill_always(event: dict[str, Any]) -> None:
        if event["updates"] == LONG:
            (pid,) = workers_of(os.getpid())
            if pid not in killed:
                killed.append(pid)
                os.kill(pid, signal.SIGKILL)

    lethal, good = run_all(jobs, 1, kill_always)
    assert len(killed) == TRIES
    assert "its worker process was killed (SIGKILL), as systems do when memory runs out" in (lethal.error or "")
    assert f"({TRIES} times)" in (lethal.error or "")
    assert lethal.path is not None
    assert good.error is None
    assert workers_of(os.getpid()) == []


@pytest.mark.slow
def test_a_bad_listener_leaves_no_worker(tmp_path):
    def broken(event: dict[str, Any]) -> None:
        if event["phase"] != "sweep":  # before that its worker has not begun
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_all([job(tmp_path, {"training.updates": LONG})], 1, broken)
    assert workers_of(os.getpid()) == []
    assert [record.manifest["status"] for record in records(tmp_path)] == ["interrupted"]


def interrupted(process, pids) -> str:
    """Send Ctrl-C as a terminal does, to all; check a quiet end without orphans and return what was said."""
    os.killpg(process.pid, signal.SIGINT)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 1, stderr
    assert stdout == ""
    assert "Traceback" not in stderr
    assert not any(map(alive, pids))
    return stderr


@pytest.mark.slow
def test_ctrl_c_stops_all_with_checkpoints_and_leaves_no_orphan(tmp_path):
    process = driver(tmp_path, "--workers", "2")
    until(lambda: both_saved(tmp_path / "runs"))
    pids = workers_of(process.pid)
    assert len(pids) == 2
    assert "the same command continues" in interrupted(process, pids)
    for record in records(tmp_path / "runs"):
        assert record.manifest["status"] == "interrupted"
        with record.lock():  # nobody holds it
            assert record.latest_checkpoint() is not None


@pytest.mark.slow
def test_ctrl_c_while_workers_start_is_quiet(tmp_path):
    process = driver(tmp_path, "--workers", "2")
    pids = until(lambda: workers_of(process.pid))
    interrupted(process, pids)


@pytest.mark.slow
def test_a_killed_driver_leaves_no_orphan_and_the_same_command_goes_on(tmp_path):
    process = driver(tmp_path, "--workers", "2")
    until(lambda: both_saved(tmp_path / "runs"))
    pids = workers_of(process.pid)
    assert len(pids) == 2
    process.kill()
    process.wait()
    until(lambda: not any(map(alive, pids)), 30)
    reached = {record.path: record.checkpoints()[-1] for record in records(tmp_path / "runs")}
    assert {record.manifest["status"] for record in records(tmp_path / "runs")} == {"interrupted"}
    again = driver(tmp_path, "--workers", "2")
    until(lambda: all(record.checkpoints()[-1] > reached[record.path] for record in records(tmp_path / "runs")))
    os.killpg(again.pid, signal.SIGINT)
    again.communicate(timeout=120)
    for record in records(tmp_path / "runs"):
        assert any(line.startswith("resumed after update") for line in record.manifest["log"])


@pytest.mark.slow
def test_two_drivers_on_one_store_do_no_damage(tmp_path):
    """Each run is done once; a driver that finds it held waits for it, and both show all."""
    drivers = [driver(tmp_path, "--workers", "1", "--json", "--share", updates=300) for _ in range(2)]
    shown = []
    for process in drivers:
        stdout, stderr = process.communicate(timeout=300)
        assert process.returncode == 0, stderr
        assert stderr == ""
        shown.append(json.loads(stdout)["results"])
    assert shown[0] == shown[1]
    assert len(shown[0]) == 2
    found = records(tmp_path / "runs")
    assert [record.manifest["status"] for record in found] == ["finished", "finished"]
    for record in found:
        whole = launch(configure(TINY, {"training.updates": 300}, seed=(record.result or {})["seed"]), tmp_path / "w")
        assert final(record) == final(whole)
        assert not any("resumed" in line for line in record.manifest["log"])


@pytest.mark.long
def test_a_second_driver_is_told_who_holds_the_store_or_waits_for_it(tmp_path):
    first = driver(tmp_path, "--workers", "1", updates=3000)
    until(lambda: list((tmp_path / "runs").glob("*/manifest.json")))
    refused = driver(tmp_path, "--workers", "1", updates=3000)
    stdout, stderr = refused.communicate(timeout=120)
    assert (refused.returncode, stdout) == (2, "")
    assert f"runs: in use by process {first.pid} on {socket.gethostname()} since 20" in stderr
    assert "neuroanp compare tiny.yaml --seeds 2 --workers 1; wait for it (--wait)" in stderr
    waiting = driver(tmp_path, "--workers", "1", "--wait", "--json", updates=3000)
    assert first.wait(300) == 0
    stdout, stderr = waiting.communicate(timeout=120)
    assert waiting.returncode == 0, stderr
    assert len(json.loads(stdout)["results"]) == 2
    assert not (tmp_path / "runs" / ".sweep").exists()
    for record in records(tmp_path / "runs"):
        assert not any("resumed" in line for line in record.manifest["log"])
