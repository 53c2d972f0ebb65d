"""runs label, rm and export, and how a run can be named: what they change, what they leave, how they refuse."""

from __future__ import annotations

import csv
import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from neuroanp.errors import InputError
from neuroanp.records import RunDir, labels, lock
from neuroanp.records.finding import found
from neuroanp.records.removing import carry_out, planned
from neuroanp.records.sweep_lock import held_for_sweep
from tests.records.lives import RESULT

NAMES = [f"copy-pcm-anp-s{seed}-{'a' if seed < 2 else 'b'}{seed:015x}" for seed in range(3)]


@pytest.fixture
def store(tmp_path: Path, monkeypatch) -> Path:
    """Three runs in runs/, which is in the working directory; the last one was begun in between."""
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "runs"
    for seed, started in enumerate(("2026-01-01", "2026-03-01", "2026-02-01")):
        run = RunDir.create(root, NAMES[seed], "seed: 0\n", {"identity": f"{seed:016x}", "seeds": {"seed": seed}})
        told = {"profile": "pcm", "rule": "anp", "seed": seed, "test_loss": 0.1 * seed + 0.1}
        run.write_result({**RESULT, **told, "score": {"accuracy": seed / 3}})
        run.end("finished", started=f"{started}T00:00:00+00:00")
    return Path("runs")


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != ".lock"}


def test_a_run_goes_by_path_beginning_hash_label_and_last(store: Path) -> None:
    labels.give(store, NAMES[0], "best")
    assert found(store / NAMES[0]) == store / NAMES[0]
    assert found(Path("copy-pcm-anp-s2")) == store / NAMES[2]
    assert found(Path("b")) == found(Path("runs/copy-pcm-anp-s2-...")) == store / NAMES[2]
    assert found(Path("best")) == found(Path("runs/best")) == store / NAMES[0]
    assert found(Path("last")) == found(Path("runs/last")) == store / NAMES[1]  # not the last by name
    with pytest.raises(InputError, match="2 runs begin so") as told:
        found(Path("a"))
    assert [NAMES[0] in line or NAMES[1] in line for line in told.value.problems] == [True, True]
    assert found(Path("nothing")) == Path("nothing")
    Path("last").mkdir()
    assert found(Path("last")) == Path("last")  # what is there by that name


def test_a_label_leaves_the_record_sealed_and_as_it_was(invoke, store: Path) -> None:
    before = content(store / NAMES[1])
    done = invoke("runs", "label", "last", "best", "--json")
    assert json.loads(done.stdout)["results"] == [{"run": f"runs/{NAMES[1]}", "labels": ["best"]}]
    assert content(store / NAMES[1]) == before
    assert RunDir.open(store / NAMES[1]).sealed
    rows = json.loads(invoke("runs", "list", "--json").stdout)["results"]
    assert [row["label"] for row in rows] == [None, "best", None]
    assert json.loads(invoke("runs", "show", "best", "--json").stdout)["results"][0]["seed"] == 1
    assert "best" in invoke("runs", "list").stdout
    refused = invoke("runs", "label", "b", "best")
    assert (refused.exit_code, f"is the label of {NAMES[1]}" in refused.stderr) == (2, True)
    assert invoke("runs", "label", "b", "best", "--force").exit_code == 0
    assert found(Path("best")) == store / NAMES[2]
    assert invoke("runs", "label", "b", "--remove").exit_code == 0
    assert labels.read(store) == {}


@pytest.mark.parametrize("name", ["last", "../x", "", "a b", NAMES[0], "\x1b[31m"])
def test_what_can_be_no_label_is_refused(invoke, store: Path, name: str) -> None:
    done = invoke("runs", "label", NAMES[1], name)
    assert done.exit_code == 2
    assert "\x1b" not in done.output
    assert labels.read(store) == {}


@pytest.mark.parametrize(
    "text", ["", "[]", '{"format": 1, "labels": {"a": "../x"}}', '{"format": 1, "labels": {"a": 1}}', "\xff", "{" * 9]
)
def test_damaged_labels_lead_nowhere(store: Path, text: str) -> None:
    (store / labels.FILE).write_text(text)
    with pytest.raises(InputError, match="damaged; remove it"):
        found(Path("best"))


def test_rm_looks_for_a_name_in_the_store_that_is_told(invoke, store: Path) -> None:
    shutil.copytree(store, "other")
    done = invoke("runs", "rm", "last", "--store", "other", "--yes", "--json")
    assert [row["run"] for row in json.loads(done.stdout)["results"]] == [f"other/{NAMES[1]}"]
    assert sorted(path.name for path in store.iterdir() if path.is_dir()) == NAMES
    assert not (Path("other") / NAMES[1]).exists()


def test_rm_takes_what_filters_choose_and_says_what_it_frees(invoke, store: Path) -> None:
    labels.give(store, NAMES[2], "worst")
    size = sum(len(data) for data in content(store / NAMES[2]).values())
    words = ("runs", "rm", "--where", "test_loss > 0.25", "--json")
    (row,) = json.loads(invoke(*words, "--dry-run").stdout)["results"]
    assert (row["run"], row["removed"]) == (f"runs/{NAMES[2]}", False)
    assert size <= row["bytes"] <= size + 200  # and the lock's line
    asked = invoke(*words)
    assert (asked.exit_code, "add --yes" in asked.stderr) == (2, True)
    assert (store / NAMES[2]).is_dir()
    assert json.loads(invoke(*words, "--yes").stdout)["results"][0]["removed"] is True
    assert sorted(path.name for path in store.iterdir() if path.is_dir()) == NAMES[:2]
    assert labels.read(store) == {}
    assert not [path for path in store.iterdir() if path.name.endswith(".tmp")]


@pytest.mark.parametrize(("answer", "code", "left"), [("n\n", 1, 3), ("y\n", 0, 2)])
def test_rm_asks_on_a_terminal_and_no_is_no(store: Path, answer: str, code: int, left: int) -> None:
    terminal, end = pty.openpty()
    os.write(terminal, answer.encode())
    words = [sys.executable, "-m", "neuroanp", "runs", "rm", "last"]
    done = subprocess.run(words, stdin=end, capture_output=True, text=True, timeout=100)
    assert (done.returncode, "for good? [y/N]" in done.stderr) == (code, True), done.stderr
    assert len([path for path in store.iterdir() if path.is_dir()]) == left
    os.close(terminal)
    os.close(end)


def test_rm_wants_runs_or_filters_and_not_both(invoke, store: Path) -> None:
    for words in ((), ("last", "--seed", "1")):
        done = invoke("runs", "rm", *words, "--yes")
        assert (done.exit_code, "one of the two" in done.stderr) == (2, True)
    assert len([path for path in store.iterdir() if path.is_dir()]) == 3


def test_rm_leaves_what_a_process_writes_and_all_else_with_it(invoke, store: Path) -> None:
    with RunDir.open(store / NAMES[0]).lock():
        done = invoke("runs", "rm", NAMES[0], NAMES[1], "--yes")
    assert (done.exit_code, f"in use by process {os.getpid()}" in done.stderr) == (1, True)
    with held_for_sweep(store, ["neuroanp", "compare"]):
        done = invoke("runs", "rm", NAMES[1], "--yes")
    assert (done.exit_code, "neuroanp compare; wait for it to end" in done.stderr) == (2, True)
    assert sorted(path.name for path in store.iterdir() if path.is_dir()) == NAMES


def test_rm_never_follows_links_out(invoke, store: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    (store / NAMES[0] / "checkpoints" / "more").symlink_to(outside)
    (tmp_path / "elsewhere").mkdir()
    os.rename(store / NAMES[1], tmp_path / "elsewhere" / NAMES[1])
    (store / NAMES[1]).symlink_to(tmp_path / "elsewhere" / NAMES[1])
    done = invoke("runs", "rm", f"runs/{NAMES[1]}", "--yes")
    assert (done.exit_code, "a link, which is not followed" in done.stderr) == (2, True)
    assert invoke("runs", "rm", NAMES[0], "--yes").exit_code == 0
    assert not (store / NAMES[0]).exists()
    assert (outside / "precious").read_text() == "x"
    assert (tmp_path / "elsewhere" / NAMES[1] / "manifest.json").exists()


def test_export_has_a_column_for_every_number(invoke, store: Path) -> None:
    done = invoke("runs", "export", "-o", "all.csv", "--seed", "1,2", "--sort=-test_loss")
    assert done.exit_code == 0, done.stderr
    rows = [*csv.DictReader(Path("all.csv").read_text().splitlines())]
    assert [row["name"] for row in rows] == [NAMES[2], NAMES[1]]
    assert [float(row["test_loss"]) for row in rows] == [0.1 * 2 + 0.1, 0.2]  # all digits
    assert [float(row["score.accuracy"]) for row in rows] == [2 / 3, 1 / 3]
    assert {row["controls.ridge"] for row in rows} == {"0.1"}
    assert {row["energy_J"] for row in rows} == {""}
    again = invoke("runs", "export", "-o", "all.csv")
    assert (again.exit_code, "--force" in again.stderr) == (2, True)
    assert invoke("runs", "export", "-o", "all.json").exit_code == 0
    rows = json.loads(Path("all.json").read_text())["results"]
    assert rows == json.loads(invoke("runs", "list", "--json").stdout)["results"]
    assert invoke("runs", "export").stdout.count("\n") == 4
    assert invoke("runs", "export", "-o", "all.xlsx").exit_code == 2


def test_a_cell_is_no_formula(store: Path) -> None:
    from neuroanp.records.facts_table import as_csv

    assert as_csv([{"task": "=1+1", "seed": -1}]) == "task,seed\n'=1+1,-1\n"


def test_the_label_of_a_run_that_is_gone_is_taken_away(invoke, store: Path) -> None:
    name = NAMES[0]
    labels.give(store, name, "best")
    shutil.rmtree(store / name)
    done = invoke("runs", "label", str(store / "best"), "--remove")
    assert (done.exit_code, labels.read(store)) == (0, {}), done.stderr


def test_labels_in_use_hide_no_other_error(store: Path, caplog: pytest.LogCaptureFixture) -> None:
    name = NAMES[0]
    labels.give(store, name, "best")
    removal = planned([store / name])
    with lock.held(store, "its labels"):
        assert carry_out(removal, ["test"]) == [store / name]
    assert "labels of what was removed stay" in caplog.text
    assert labels.read(store) == {"best": name}
