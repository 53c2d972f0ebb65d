"""Wrong inputs of all kinds (benchmarks/wrong_inputs): one message, exit code 2, nothing left."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import neuroanp as na
from benchmarks.wrong_inputs import calls, commands, going_on, memory
from benchmarks.wrong_inputs.case import Answer, Case, faults
from benchmarks.wrong_inputs.giving import judge
from neuroanp.errors import InputError
from neuroanp.records import RunDir

QUIET = {"report": False, "progress": False}
TASK = {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 4}
TINY = {
    "task": TASK, "network": {"hidden": 4}, "rule": "np", "optimizer": {"name": "adam", "schedule": "constant"},
    "training": {"batch": 2, "controls": False, "updates": 2, "log_every": 1},
}  # fmt: skip
ALL = [*commands.CASES, *memory.CASES, *going_on.CASES, *calls.CASES]
WITHOUT_RUNS = [case for case in ALL if case.kind in ("names", "configs", "tables", "new things", "data in memory")]


def wrong(cases: list[Case], folder: Path, process: bool = False) -> list[tuple[str, list[str], str]]:
    return [(case.what, found, one.message) for case, one, found in judge(cases, folder, process) if found]


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "110")


def test_some_that_need_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for extra in ("pyarrow", "pandas"):
        pytest.importorskip(extra)
    monkeypatch.setattr("benchmarks.wrong_inputs.place.runs", lambda folder: None)
    assert not wrong(WITHOUT_RUNS[::9], tmp_path)


@pytest.mark.slow
def test_all_of_them(tmp_path: Path) -> None:
    assert len(ALL) > 500
    assert not wrong(ALL, tmp_path)


@pytest.mark.long
def test_some_as_processes(tmp_path: Path) -> None:
    assert not wrong(commands.CASES[:-2:24], tmp_path, process=True)


def test_a_judge_sees_what_is_wrong() -> None:
    case, good = Case("x", "x", "x", ("a.yaml:3",)), Answer("error: a.yaml:3: no", 2)
    assert faults(case, good, {"a": "1"}, {"a": "1"}) == []
    assert faults(case, good, {"a": "1"}, {"a": "2"}) == ["left or changed a"]
    assert faults(case, good, {}, {"b": "1"}) == ["left or changed b"]
    assert faults(case, Answer("a.yaml:3", 1), {}, {}) == ["exit code 1, not 2"]
    assert faults(case, Answer("a.yaml", 2), {}, {}) == ["does not say 'a.yaml:3'"]
    assert faults(case, Answer("a.yaml:3 KeyError: 'x'", 2), {}, {}) == ["speaks of 'KeyError'"]
    assert faults(case, Answer("error: a.yaml:3\nerror: b", 2), {}, {}) == ["more than one message"]
    assert faults(case, Answer("a.yaml:3", 2, "found"), {}, {}) == ["prints 'found'"]


# ---- kinds that were wrong ----


def test_a_profile_is_no_config_nor_a_config_a_profile(tmp_path: Path) -> None:
    config, profile = tmp_path / "c.yaml", tmp_path / "p.yaml"
    config.write_text("task: copy\nseed: 1\n")
    profile.write_text("extends: pcm\nmeta: {name: mine}\n")
    with pytest.raises(InputError, match=r"p.yaml: a hardware profile .*--profile .*p.yaml beside --task"):
        na.configure(profile)
    with pytest.raises(InputError, match=r"c.yaml: the config of a run.*neuroanp train .*c.yaml"):
        na.characterize(config)
    profile.write_text("extends: pcm\ncolour: 1\n")  # neither: all that is wrong, and that there is no task
    with pytest.raises(InputError) as told:
        na.configure(profile)
    assert [line.split(": ", 2)[1] for line in told.value.problems] == ["task", "extends", "colour"]


def test_a_word_is_told_as_it_was_said() -> None:
    with pytest.raises(InputError, match=r"the configuration has 1 problem\n  task=coppy: task.name: unknown"):
        na.configure(task="coppy")
    with pytest.raises(InputError, match=r"--set network.hidden.x=4: network.hidden: "):
        na.configure({"task": "copy"}, {"network.hidden.x": "4"})
    with pytest.raises(InputError, match=r"task: nothing is said here; write 'name: \.\.\.'"):
        na.configure({"task": None})
    with pytest.raises(InputError, match=r"task.columns: \[\] has 0 in it; give 1 at least"):
        na.configure({"task": {"name": "table", "path": "x", "target": "a", "columns": []}})


def test_data_in_memory_that_make_no_task_leave_no_file(tmp_path: Path) -> None:
    rows = memory.ROWS.copy()
    rows[5, 1] = float("nan")
    with pytest.raises(InputError, match=r"no task was made\n  X, row 5: x1: 1 value missing"):
        na.task(rows, window=4, washout=2, runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
    good = na.task(memory.ROWS, window=4, washout=2, runs=tmp_path / "runs")
    with pytest.raises(InputError, match=r"no task was made\n  window: 'wide' is not a whole number"):
        na.task(memory.ROWS, window="wide", runs=tmp_path / "runs")
    assert good.path.exists()  # which another task is of, stays


@pytest.fixture
def run(tmp_path: Path) -> na.Run:
    return na.train(TINY, runs=tmp_path / "runs", **QUIET)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("config.yaml", "lr: 0.001", "lr: 0.5"),
        ("metrics.csv", "\n1,0.", "\n1,9."),
        ("result.json", '"test_loss": 0', '"test_loss": 9'),
    ],
)
def test_what_was_changed_after_the_end_is_not_gone_on_with(run: na.Run, name: str, old: str, new: str) -> None:
    for path in (run.path / name, run.path / "copies" / name):
        text = path.read_text()
        assert text.count(old) == 1, text
        path.write_text(text.replace(old, new))
    with pytest.raises(InputError, match=rf"not as it was when it ended.*\n  .*{name}: not as it was written"):
        na.extend(run.path, 2, **QUIET)
    assert [path.name for path in run.path.parent.iterdir() if path.name.startswith("copy-")] == [run.path.name]


def test_one_of_two_copies_is_enough_to_go_on(run: na.Run) -> None:
    path = run.path / "config.yaml"
    path.write_text(path.read_text().replace("lr: 0.001", "lr: 0.5"))
    assert na.extend(run.path, 1, **QUIET).config.optimizer.lr == run.config.optimizer.lr


def test_updates_of_the_whole_are_not_said_beside_those_to_come(run: na.Run) -> None:
    for how in ({"training": {"updates": 9}}, {"overrides": {"training.updates": 9}}):
        with pytest.raises(InputError, match=r"updates: training\.updates says it too"):
            na.extend(run, 2, **how, **QUIET)


def test_what_is_in_the_way_is_named_before_the_work(run: na.Run, tmp_path: Path, invoke, monkeypatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("neuroanp.reporting.html.render", None)  # nothing is drawn
    for place, said in (("file/p.html", "file is a file, not a directory"), ("runs", "a folder is there, no file"),
                        ("no/p.html", "no is no such directory; make it")):  # fmt: skip
        with pytest.raises(InputError, match=said):
            na.report(run, tmp_path / place)
        with pytest.raises(InputError, match=said):
            na.characterize("pcm", tmp_path / place)
    for words, said in (
        (("examples", "--copy", str(tmp_path / "file")), "is a file, no folder"),
        (("schema", "-o", str(tmp_path / "runs"), "--force"), "a folder is there, no file"),
    ):
        done = invoke(*words)
        assert (done.exit_code, said in done.stderr) == (2, True), done.stderr


def test_a_config_names_a_profile_that_is_there_and_says_what_it_lacks(invoke, tmp_path: Path) -> None:
    done = invoke("new", "config", "mine", "--into", str(tmp_path), "--profile", "pmc")
    assert (done.exit_code, "did you mean 'pcm'?" in done.stderr, [*tmp_path.iterdir()]) == (2, True, [])
    done = invoke("new", "config", "mine", "--into", str(tmp_path), "--task", "table")
    assert "before it runs: set task.path, a CSV or Parquet file" in done.stdout
    (row,) = json.loads(invoke("new", "config", "other", "--into", str(tmp_path), "--json").stdout)["results"]
    assert row["lacking"] == []


def test_runs_are_named_by_a_path(run: na.Run) -> None:
    for call in (na.run_facts, na.runs):
        with pytest.raises(InputError, match="3 is no path"):
            call(3)  # pyright: ignore[reportArgumentType]
    assert RunDir.open(run.path).lost(("config.yaml",)) == []
