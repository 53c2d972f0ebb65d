"""A cluster that fails: drivers, workers and schedulers that are killed; nothing is lost, and nothing is left over."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from neuroanp.comparing.choosing import executor_of
from neuroanp.comparing.cluster import _Sweep
from neuroanp.comparing.needs import Needs
from neuroanp.errors import RunError
from neuroanp.records.run_dir import RunDir
from neuroanp.training.launch import launch
from tests.comparing.dask_by_hand import by_hand
from tests.comparing.test_executors import final, holders, job, silent, until
from tests.comparing.test_pool import alive, both_saved, driver, records

pytestmark = pytest.mark.slow
ENDS_S = 5.0
"""Within which the processes of a lost driver end."""


@pytest.mark.long
def test_a_killed_driver_leaves_no_run_going_and_the_same_command_goes_on(tmp_path):
    with by_hand(tmp_path, workers=2) as dask:
        process = driver(tmp_path, "--cluster", dask.address)
        until(lambda: both_saved(tmp_path / "runs"))
        pids = until(lambda: len(found := holders(tmp_path / "runs")) == 2 and found)
        process.kill()
        process.wait()
        until(lambda: not holders(tmp_path / "runs"), ENDS_S)
        reached = {record.path: record.checkpoints()[-1] for record in records(tmp_path / "runs")}
        assert {record.manifest["status"] for record in records(tmp_path / "runs")} == {"interrupted"}
        again = driver(tmp_path, "--cluster", dask.address)
        until(lambda: all(record.checkpoints()[-1] > reached[record.path] for record in records(tmp_path / "runs")))
        os.killpg(again.pid, signal.SIGINT)
        stdout, stderr = again.communicate(timeout=120)
        assert (again.returncode, stdout) == (1, "")
        assert "the same command continues" in stderr
        assert "Traceback" not in stderr
        until(lambda: not holders(tmp_path / "runs"), ENDS_S)
        until(lambda: not any(map(alive, pids)), 30)
    for record in records(tmp_path / "runs"):
        assert any(line.startswith("resumed after update") for line in record.manifest["log"])
        with record.lock():  # nobody holds it
            assert record.latest_checkpoint() is not None


@pytest.mark.parametrize("nanny", [False, pytest.param(True, marks=pytest.mark.long)], ids=["worker", "nanny"])
def test_what_a_killed_worker_did_goes_on_elsewhere_to_the_same_bits(tmp_path, nanny):
    with by_hand(tmp_path) as dask:
        victim = dask.worker(nanny=nanny)
        wanted = job(tmp_path / "cut", {"training.updates": 1500})
        killed: list[int] = []

        def kill_once(event) -> None:
            if not killed and event["phase"] == "train" and event["update"] > 10:
                killed.append(victim.pid)
                dask.worker()
                victim.kill()

        with executor_of(None, dask.address) as executor:
            (outcome,) = executor.run([wanted], kill_once)
    assert killed
    assert outcome.error is None
    assert any(line.startswith("resumed after") for line in RunDir.open(outcome.path or Path()).manifest["log"])
    assert final(outcome.path) == final(launch(wanted.config, tmp_path / "whole").path)


@pytest.mark.long
def test_a_scheduler_that_goes_away_ends_the_command_and_its_runs_in_order(tmp_path):
    with by_hand(tmp_path, workers=2) as dask:
        process = driver(tmp_path, "--cluster", dask.address)
        until(lambda: both_saved(tmp_path / "runs"))
        dask.processes[0].kill()
        stdout, stderr = process.communicate(timeout=60)
        assert (process.returncode, stdout) == (1, "")
        assert f"the scheduler of {dask.address} is gone" in stderr
        assert "the same command goes on" in stderr
        assert "Traceback" not in stderr
        until(lambda: not holders(tmp_path / "runs"), 15)
    assert {record.manifest["status"] for record in records(tmp_path / "runs")} == {"interrupted"}


@pytest.mark.long
def test_a_worker_that_lacks_an_extra_gets_other_runs_and_one_that_none_can_do_fails_by_name(tmp_path, monkeypatch):
    """`gymnasium` is missing for one of two workers, and scikit-learn for both."""
    for name, missing in (("one", ["gymnasium", "sklearn"]), ("other", ["sklearn"])):
        (tmp_path / name).mkdir()
        (tmp_path / name / "sitecustomize.py").write_text(
            f"import sys\nsys.modules.update(dict.fromkeys({missing!r}))\n"
        )
    world = {"task": {"name": "cartpole", "test_size": 2}, "rule": "reinforce", "training.updates": 1}
    digits = {"task": "digits", "training.updates": 1}
    root, given, fly = Path(__file__).parents[2], [], _Sweep._fly

    def noted(self, remote, index, *rest):
        given.append((remote.address, index))
        fly(self, remote, index, *rest)

    monkeypatch.setattr(_Sweep, "_fly", noted)
    with by_hand(tmp_path) as dask:
        for name in ("one", "other"):
            dask.worker("--name", name, PYTHONPATH=f"{tmp_path / name}{os.pathsep}{root}")
        jobs = [
            job(tmp_path / "s", world),
            job(tmp_path / "s", digits),
            *(job(tmp_path / "s", seed=k) for k in (1, 2)),
        ]
        with executor_of(None, dask.address) as executor:
            cartpole, pictures, *rest = executor.run(jobs, silent)
    assert cartpole.error is None
    assert "no worker of" in (pictures.error or "")
    assert "scikit-learn" in (pictures.error or "")
    assert [one.error for one in rest] == [None, None]
    assert len(set(given)) == len(given)  # what a worker lacks it is not asked for again


def test_nobody_who_works_is_told_and_given_up_after_a_while(tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO")
    monkeypatch.setattr("neuroanp.comparing.fleet.PATIENCE_S", 2.0)
    said = r"has had no worker for 2 s; start one \(dask worker ADDRESS"
    with by_hand(tmp_path) as dask, executor_of(None, dask.address) as executor, pytest.raises(RunError, match=said):
        executor.run([job(tmp_path / "store")], silent)
    assert sum("has no worker yet; waiting for one" in message for message in caplog.messages) == 1


@pytest.mark.long
def test_a_worker_that_comes_later_is_used(tmp_path):
    with by_hand(tmp_path, workers=1) as dask:
        hosts: set[str] = set()

        def more(event) -> None:
            if event["phase"] == "train" and not hosts:
                hosts.add("asked")
                dask.worker()
            if event["phase"] == "sweep" and event["running"] == 2:
                hosts.add("two at a time")

        jobs = [job(tmp_path / "s", {"training.updates": 3000}, seed=k) for k in range(2)]
        with executor_of(None, dask.address) as executor:
            assert [one.error for one in executor.run(jobs, more)] == [None, None]
    assert "two at a time" in hosts


def test_what_lies_where_only_the_driver_looks_is_found_by_its_workers(tmp_path, monkeypatch):
    """A module of the driver's folder is imported there, as by processes of this machine."""
    from neuroanp.comparing.needs import Thing

    (tmp_path / "mine_only.py").write_text("from neuroanp.tasks.copy import Copy\n\n\nclass Thing(Copy):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    needs = Needs((Thing("neuroanp.tasks", "thing", "mine_only", "Thing"),))
    monkeypatch.setattr("neuroanp.comparing.desk.needs_of", lambda experiment: needs)
    with by_hand(tmp_path, workers=1) as dask, executor_of(None, dask.address) as executor:
        (outcome,) = executor.run([job(tmp_path / "s")], silent)
    assert outcome.error is None


@pytest.mark.long
def test_a_command_with_json_says_nothing_else(tmp_path):
    with by_hand(tmp_path, workers=2) as dask:
        process = driver(tmp_path, "--cluster", dask.address, "--json", updates=5)
        stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert stderr == ""
    assert len(json.loads(stdout)["results"]) == 2


@pytest.mark.long
@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_a_scheduler_with_certificates_is_reached_with_them_and_not_without(tmp_path, monkeypatch):
    """Certificates are those of Dask's own configuration."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2",
         "-subj", "/CN=neuroanp"],
        check=True, capture_output=True,
    )  # fmt: skip
    settings = {"CA_FILE": certificate}
    for role in ("SCHEDULER", "WORKER", "CLIENT"):
        settings |= {f"{role}__KEY": key, f"{role}__CERT": certificate}
    for name, path in settings.items():
        monkeypatch.setenv(f"DASK_DISTRIBUTED__COMM__TLS__{name}", str(path))
    with by_hand(tmp_path, workers=1, protocol="tls") as dask:
        process = driver(tmp_path, "--cluster", dask.address, "--json", updates=3)
        stdout, stderr = process.communicate(timeout=120)
        assert process.returncode == 0, stderr
        assert len(json.loads(stdout)["results"]) == 2
        for name in settings:
            monkeypatch.delenv(f"DASK_DISTRIBUTED__COMM__TLS__{name}")
        process = driver(tmp_path, "--cluster", dask.address, "--force", updates=3)
        stdout, stderr = process.communicate(timeout=120)
    assert (process.returncode, stdout) == (1, "")
    assert f"no Dask scheduler answers at {dask.address}" in stderr
    assert "certificates of Dask's configuration" in stderr
