"""One process at a time drives an instrument: runs of one wait for one another, and a second process is told who."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import neuroanp as na
from neuroanp.comparing.desk import Desk
from neuroanp.comparing.needs import Needs
from neuroanp.comparing.pool import Plan, run_all
from neuroanp.comparing.worker import Job, Outcome
from neuroanp.errors import HeldError, InputError
from neuroanp.training.alone import alone
from neuroanp.training.configure import configure
from tests.instruments.conftest import settings, without

HOLD = """
import sys
from neuroanp.training.alone import alone
from neuroanp.training.sections import Hardware
pulse = {"up": "1 V", "down": "-1 V", "width": "1 us"}
limits = {"voltage": "1 V", "write_voltage": "1 V", "current": "1 A", "pulses": 1}
hardware = Hardware(substrate="visa", resource=sys.argv[1], limits=limits, pulse=pulse)
with alone(hardware):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(resource: str) -> Iterator[subprocess.Popen[str]]:
    """Let another process hold an instrument."""
    command = [sys.executable, "-c", HOLD, resource]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        try:
            yield other
        finally:
            other.kill()


def test_an_instrument_that_another_process_drives_is_not_touched(bench_profile: Path, tmp_path: Path) -> None:
    plain = settings(bench_profile, seed=21)
    with holder("TCPIP0::BENCH::inst0::INSTR") as other:  # the same by another spelling
        said = rf"hardware\.resource: 'TCPIP::bench::INSTR': in use by process {other.pid} on .*; wait for it to end"
        for look in (lambda: na.train(plain, runs=tmp_path / "runs"), lambda: na.estimate(plain)):
            with pytest.raises(HeldError, match=said):
                look()
        assert not (tmp_path / "runs").exists()
        other.kill()  # however it ends, the instrument is free then
        other.wait()
        assert na.train(plain, runs=tmp_path / "runs").record.manifest["status"] == "finished"


def test_another_instrument_is_free(bench_profile: Path, tmp_path: Path) -> None:
    with holder("TCPIP::bench2::INSTR"):
        assert na.train(settings(bench_profile, seed=22), runs=tmp_path / "runs").result["status"] == "finished"


def test_the_run_that_drives_it_is_named(bench_profile: Path, tmp_path: Path) -> None:
    hardware = configure(settings(bench_profile)).hardware
    run = tmp_path / "runs" / "a"
    said = f"process {os.getpid()} on .*, run {run}; wait"
    with alone(hardware, run), pytest.raises(HeldError, match=said), alone(hardware):
        pass
    with alone(hardware):
        pass


def test_simulated_arrays_are_nobodys(bench_profile: Path) -> None:
    plain = without(settings(bench_profile), "substrate", "resource", "options", "limits", "pulse")
    hardware = configure(plain).hardware
    with alone(hardware), alone(hardware):
        pass


def test_a_folder_of_locks_that_is_not_ours_is_refused(
    bench_profile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "neuroanp").symlink_to(tmp_path / "elsewhere")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with (
        pytest.raises(InputError, match="is not a directory of yours"),
        alone(configure(settings(bench_profile)).hardware),
    ):
        pass


def test_a_run_that_lost_its_turn_is_interrupted_and_goes_on(
    bench_profile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = settings(bench_profile, seed=23)
    with monkeypatch.context() as patch:
        patch.setattr("neuroanp.training.launch.try_bench", lambda experiment: None)  # as if it had been free then
        with holder("TCPIP::bench::INSTR"), pytest.raises(HeldError):
            na.train(plain, runs=tmp_path / "runs")
    [path] = (tmp_path / "runs").iterdir()
    manifest = na.load_run(path).record.manifest
    assert manifest["status"] == "interrupted"
    assert "in use by process" in manifest["log"][-1]
    assert na.resume(path).record.manifest["status"] == "finished"


@pytest.mark.long
def test_runs_of_one_instrument_go_one_after_another(
    bench_profile: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plain = settings(bench_profile, state=str(tmp_path / "devices.npz"))
    plain["training"] |= {"updates": 40}
    jobs = [Job(configure(plain, seed=seed), tmp_path / "runs", False, ("neuroanp", "compare")) for seed in (0, 1)]
    told: list[tuple[Any, Any]] = []
    with caplog.at_level(logging.INFO, "neuroanp"):
        outcomes = run_all(jobs, 2, lambda event: told.append((event["run"], event["phase"])))
    assert [outcome.error for outcome in outcomes] == [None, None]
    runs = [run for run, phase in told if phase != "sweep"]
    assert len({*runs}) == 2
    assert sum(before != after for before, after in pairwise(runs)) == 1  # they do not interleave
    assert "2 runs on tcpip0::bench::inst0::instr go one after another" in caplog.text
    assert "waiting for it" not in caplog.text


def test_others_go_beside_them(bench_profile: Path, tmp_path: Path) -> None:
    job = Job(configure(settings(bench_profile)), tmp_path, False, ())
    instruments = ("a", "a", None, "b", None)
    plans = [Plan(job, "", tmp_path, Needs(), each) for each in instruments]
    desk = Desk(plans, lambda event: None, set(), slots=3)
    found = []
    while (index := desk.next()) is not None:
        desk.begin(index)
        found.append(index)
    assert found == [0, 2, 3, 4]
    assert desk.pause() is None  # until a worker says something
    desk.end(2, "outcome", Outcome("", None))
    assert desk.next() is None
    desk.end(0, "outcome", Outcome("", None))
    assert desk.next() == 1


def test_several_processes_never_share_the_updates_of_one_instrument(bench_profile: Path) -> None:
    """Refused before it is opened: no pulse is sent."""
    plain = settings(bench_profile)
    plain["rule"] = {"name": "anp", "preset": "default", "reference": "two", "K": 4}
    for compute in ({"workers": 2, "shards": 2}, {"shards": 2}):
        with pytest.raises(InputError) as error:
            configure({**plain, "compute": compute})
        said = "\n".join([str(error.value), *error.value.problems])
        assert all(f"compute.{key}: 2 share what is simulated, and an instrument is one" in said for key in compute)
