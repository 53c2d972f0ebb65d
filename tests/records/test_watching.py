"""How runs stand: while they are written, ended, killed; nothing is disturbed by looking."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from neuroanp.errors import InputError
from neuroanp.records import RunDir, holders, lock, watching
from neuroanp.records.metrics import Metrics
from neuroanp.records.sweep_lock import held_for_sweep
from neuroanp.records.watching import StoreWatcher, Watcher, curve, left_of
from tests.close import close
from tests.records.lives import RESULT

CONFIG = "training: {updates: 40, batch: 1}\n"


def make(root: Path, name: str) -> RunDir:
    return RunDir.create(root, name, CONFIG, {"identity": "0" * 16})


def rows(*updates: int) -> list[dict[str, float | int | None]]:
    return [{"update": u, "train_loss": 1 / u, "test_loss": 2 / u, "wall_s": u / 4} for u in updates]


def old(run: RunDir) -> None:
    os.utime(run.path / "manifest.json", (0, 0))


def test_a_run_is_seen_from_its_first_row_to_its_end(tmp_path: Path) -> None:
    run, watcher = make(tmp_path, "one"), Watcher(tmp_path / "one")
    with run.lock():
        old(run)
        first = watcher.look()
        assert (first.status, first.update, first.updates, first.left_s) == ("running", 0, 40, None)
        run.append_metrics(rows(10, 20))
        now = watcher.look()
        assert (now.update, now.train_loss, now.test_loss, list(now.losses)) == (20, 0.05, 0.1, [0.1, 0.05])
        assert now.left_s == close(20 * 0.25)
        run.append_metrics(rows(40))
        assert watcher.look().left_s == 0
        run.write_result({**RESULT, "updates": 40})
        run.end("finished", "ended well")
        done = watcher.look()
    assert (done.status, done.left_s, done.note, done.runs) == ("finished", None, None, False)


def test_one_that_failed_says_why(tmp_path: Path) -> None:
    run = make(tmp_path, "one")
    run.end("failed", "no memory left")
    assert (Watcher(run.path).look().status, Watcher(run.path).look().note) == ("failed", "no memory left")


def test_one_that_was_killed_is_stopped_and_one_just_made_is_not(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from neuroanp.records import RunDir\n"
        "with RunDir.open(Path(sys.argv[1])).lock():\n    print('held', flush=True); time.sleep(60)"
    )
    run = make(tmp_path, "one")
    assert Watcher(run.path).look().status == "running"  # nobody holds it yet
    with subprocess.Popen([sys.executable, "-c", code, run.path], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        old(run)
        assert Watcher(run.path).look().status == "running"
        process.kill()
        process.wait()
    assert Watcher(run.path).look().status == "stopped"


def test_looking_writes_nothing_and_holds_nothing(tmp_path: Path) -> None:
    run = make(tmp_path, "one")
    run.append_metrics(rows(1, 2))
    before = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in run.path.rglob("*") if p.is_file()}
    watcher = Watcher(run.path)
    for _ in range(3):
        watcher.look()
        with run.lock():  # it could be taken at any moment
            pass
    after = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in run.path.rglob("*") if p.is_file()}
    assert {p: seen for p, seen in after.items() if p.name != lock.NAME} == before


def test_metrics_are_read_again_only_when_they_changed(tmp_path: Path, monkeypatch) -> None:
    run, watcher, reads = make(tmp_path, "one"), Watcher(tmp_path / "one"), []
    real = watching.peek
    monkeypatch.setattr(watching, "peek", lambda root, name, limit: reads.append(name) or real(root, name, limit))
    run.append_metrics(rows(1))
    for _ in range(3):
        watcher.look()
    assert reads.count("metrics.csv") == 1
    run.append_metrics(rows(2))
    assert watcher.look().update == 2


def test_a_store_shows_what_runs_counts_the_rest_and_its_trials(tmp_path: Path) -> None:
    make(tmp_path, "ended").end("finished")
    running, trial = make(tmp_path, "running"), make(tmp_path / "tuning", "trial")
    watcher = StoreWatcher(tmp_path, ("tuning",))
    stands, counts, holder = watcher.look()
    assert [Path(one.run).name for one in stands] == ["running", "trial"]
    assert (counts, holder) == ({"finished": 1, "running": 2}, None)
    running.end("diverged", "at update 3")
    trial.end("finished")
    stands, counts, _ = watcher.look()
    assert {Path(one.run).name: one.status for one in stands} == {"running": "diverged", "trial": "finished"}
    assert counts == {"finished": 2, "diverged": 1}
    with pytest.raises(InputError, match="no such directory"):
        StoreWatcher(tmp_path / "none").look()


def test_who_holds_a_store_is_told_while_it_lives(tmp_path: Path) -> None:
    assert holders.of_store(tmp_path) is None
    with held_for_sweep(tmp_path, ["neuroanp", "compare"]):
        assert "neuroanp compare" in (holders.of_store(tmp_path) or "")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    here = f"process {ended.pid} on {os.uname().nodename} since 2026: x"
    for text, held in ((here, False), (here.replace(os.uname().nodename, "elsewhere"), True), ("nonsense", False)):
        (tmp_path / ".sweep").write_text(text)
        assert (holders.of_store(tmp_path) is not None) == held, text
    (tmp_path / ".sweep").unlink()
    os.mkfifo(tmp_path / ".sweep")
    assert holders.of_store(tmp_path) is None  # and nobody waits for it


def test_time_left_is_of_the_last_rows() -> None:
    """40 slow rows of 10 s an update, then 20 of .5 s: 100 more take 50 s."""
    wall = [10.0 * i for i in range(1, 41)] + [400 + 0.5 * i for i in range(1, 21)]
    metrics = Metrics({"update": [float(i) for i in range(1, 61)], "wall_s": wall})
    assert left_of(metrics, 160) == close(100 * 0.5)
    assert left_of(metrics, 60) == 0
    assert left_of(Metrics({"update": [1.0], "wall_s": [1.0]}), 9) is None


def test_the_curve_is_of_means_and_falls_where_losses_fall() -> None:
    assert curve([2.0**-i for i in range(80)], 8) == "█▇▆▅▄▃▂▁"  # a straight line of logarithms
    assert curve([-1.0, 0.0, 1.0], 3) == "▁▅█"
    assert curve([float("nan"), 1.0, float("inf")]) == "▁"
    assert len(curve([1.0, 2.0] * 500, 24)) == 24
