"""watch, by the real command, of a run that trains beside it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from neuroanp.records import RunDir

CONFIG = "training: {updates: 4, batch: 1}\n"
TRAIN = ["train", "--task", "copy", "--updates", "40", "--set", "network.hidden=8", "--set", "training.batch=2"]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    for name, status in (("a", "finished"), ("b", "failed")):
        run = RunDir.create(tmp_path / "runs", name, CONFIG, {"identity": "0" * 16})
        run.append_metrics([{"update": 4, "train_loss": 0.25, "wall_s": 1.0}])
        run.end(status, "out of \x1b[31mluck")
    return tmp_path / "runs"


def test_what_has_ended_is_told_at_once(invoke, store: Path) -> None:
    done = invoke("watch", str(store / "a"))
    assert done.exit_code == 0
    assert "finished  4/4  train 0.25" in done.stdout
    failed = invoke("watch", str(store / "b"))
    assert failed.exit_code == 1
    assert "out of \\x1b[31mluck" in failed.stdout
    whole = invoke("watch", str(store))
    assert (whole.exit_code, whole.stdout) == (0, "1 failed, 1 finished\n")
    assert "\x1b" not in done.stdout + failed.stdout


def test_once_for_scripts(invoke, store: Path) -> None:
    (row,) = json.loads(invoke("watch", str(store / "b"), "--once", "--json").stdout)["results"]
    assert (row["status"], row["update"], row["updates"], row["train_loss"]) == ("failed", 4, 4, 0.25)
    assert "losses" not in row
    page = invoke("watch", str(store / "b"), "--once")
    assert page.exit_code == 0
    assert "4/4" in page.stdout


def test_what_is_no_run_is_refused(invoke, tmp_path: Path) -> None:
    done = invoke("watch", str(tmp_path / "none"))
    assert (done.exit_code, "neither a run nor a folder" in done.stderr) == (2, True)


@pytest.mark.slow
def test_a_run_is_followed_to_its_end(tmp_path: Path) -> None:
    """Lines begin while it trains and end with its end; the run is the same, bit for bit, as one nobody watched."""
    python = [sys.executable, "-m", "neuroanp"]
    alone = subprocess.run([*python, *TRAIN, "--json", "--runs", "alone"], cwd=tmp_path, capture_output=True, text=True)
    training = subprocess.Popen([*python, *TRAIN, "--json"], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    while not list((tmp_path / "runs").glob("copy-*/manifest.json")):
        assert training.poll() is None
    words = [*python, "watch", "last", "--every", "0.1", "--json"]
    seen = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    result = json.loads(training.communicate()[0])["results"][0]
    assert seen.returncode == 0, seen.stderr
    stands = [json.loads(line)["results"][0] for line in seen.stdout.splitlines()]
    assert (stands[-1]["status"], stands[-1]["update"]) == ("finished", 40)
    updates = [one["update"] for one in stands]
    assert updates == sorted(updates)
    other = json.loads(alone.stdout)["results"][0]
    assert {k: v for k, v in result.items() if k != "run"} == {k: v for k, v in other.items() if k != "run"}
