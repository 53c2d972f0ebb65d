"""A cluster inside this process: which workers are left out and why, what is not shared, what nobody else reaches."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from neuroanp.comparing import cluster, remote
from neuroanp.comparing.choosing import executor_of
from neuroanp.comparing.fleet import Fleet
from neuroanp.errors import RunError
from tests.comparing.test_executors import job, silent

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
UNGUARDED = """
import neuroanp as na
print("once")
made = na.compare(
    "tiny.yaml", seeds=2, workers=2, cluster="local", report=False, progress=False
)
print([row["status"] for row in made.results])
"""


def reporting(monkeypatch: pytest.MonkeyPatch, *changes: dict[str, Any]) -> None:
    """Let each worker that is asked say something else than it is, one after the other; the last for all further."""
    asked, take = [*changes], Fleet.take_report

    def changed(self, remote, report):
        own = asked.pop(0) if len(asked) > 1 else asked[0]
        take(self, remote, {**report, **own, "versions": {**report["versions"], **own.get("versions", {})}})

    monkeypatch.setattr(Fleet, "take_report", changed)


def test_a_worker_with_other_code_gets_no_run_and_the_others_do_all(tmp_path, monkeypatch, caplog):
    reporting(monkeypatch, {"versions": {"neuroanp": "0.0.9+feedfeedfeed"}}, {})
    with executor_of(2, "local") as executor:
        outcomes = executor.run([job(tmp_path, seed=k) for k in range(2)], silent)
    assert [one.error for one in outcomes] == [None, None]
    assert sum("is left out: it has neuroanp 0.0.9+feedfeedfeed, and the driver" in m for m in caplog.messages) == 1


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"versions": {"python": "3.9.1"}}, "it has python 3.9.1, and the driver 3."),
        (
            {"store": "it cannot write to the store /s (Read-only file system)"},
            "cannot write to the store /s (Read-only",
        ),
        ({"store": "it does not see the store /s"}, "it does not see the store /s"),
    ],
)
def test_where_no_worker_can_each_says_why_and_nothing_has_run(tmp_path, monkeypatch, told, said):
    reporting(monkeypatch, told)
    with executor_of(1, "local") as executor, pytest.raises(RunError) as error:
        executor.run([job(tmp_path)], silent)
    assert "no worker of this machine can do these runs:\n  worker inproc://" in str(error.value)
    assert said in str(error.value)
    assert [*tmp_path.iterdir()] == []


def test_what_may_change_last_bits_and_clocks_that_differ_are_told(tmp_path, monkeypatch, caplog):
    reporting(monkeypatch, {"versions": {"torch": "1.0"}, "time": 0.0})
    with executor_of(1, "local") as executor:
        assert executor.run([job(tmp_path)], silent)[0].error is None
    assert any("has torch 1.0, and the driver" in message for message in caplog.messages)
    assert any("s behind the driver: which run is stale" in message for message in caplog.messages)


def test_a_run_that_ends_where_this_machine_does_not_see_it_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "_as_shipped", lambda job: replace(job, root=tmp_path / "elsewhere"))
    monkeypatch.setattr(cluster, "SEEN_S", 0.5)
    with executor_of(1, "local") as executor:
        (outcome,) = executor.run([job(tmp_path / "store")], silent)
    assert "ended it, but its run is not in" in (outcome.error or "")
    assert "the store must lie on a file system that all workers see" in (outcome.error or "")
    assert outcome.path is None


def test_a_worker_whose_disk_is_full_hands_its_run_to_another(tmp_path, monkeypatch, caplog):
    give, full = remote.Worker.give, []

    def once(self, *rest):
        if not full:
            full.append(True)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        give(self, *rest)

    monkeypatch.setattr(remote.Worker, "give", once)
    with executor_of(2, "local") as executor:
        outcomes = executor.run([job(tmp_path, seed=k) for k in range(2)], silent)
    assert [one.error for one in outcomes] == [None, None]
    assert sum("is left out: no process can be started there" in m and "No space" in m for m in caplog.messages) == 1


def test_nothing_listens_but_on_the_loopback_interface(tmp_path):
    import psutil

    with executor_of(1, "local"):
        listening = {one.laddr.ip for one in psutil.Process().net_connections() if one.status == "LISTEN"}
    assert listening <= {"127.0.0.1", "::1"}


def test_a_script_without_a_guard_is_run_once(tmp_path):
    """No process of a cluster imports the user's script."""
    from tests.comparing.test_executors import TINY, configure

    (tmp_path / "tiny.yaml").write_text(configure(TINY, None).to_yaml())
    (tmp_path / "mine.py").write_text(UNGUARDED)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "mine.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.splitlines() == ["once", "['finished', 'finished']"], done.stderr
    assert "Traceback" not in done.stderr


def test_a_task_of_this_process_alone_is_done_here(tmp_path, monkeypatch, caplog):
    from neuroanp.comparing.needs import Unable

    def unable(experiment):
        raise Unable("'mine' is registered in a notebook or a console")

    monkeypatch.setattr("neuroanp.comparing.desk.needs_of", unable)
    with executor_of(1, "local") as executor:
        assert executor.run([job(tmp_path)], silent)[0].error is None
    assert any("runs go one after another in this process" in message for message in caplog.messages)
