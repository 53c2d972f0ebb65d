"""assess: what is refused before anything is written, each in one message, and what it would take."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from neuroanp.cli.main import app
from tests.assessing.conftest import TINY, written


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    written(Path("good.csv"), 0.2e-6)
    Path("short.csv").write_text("target_uS,actual_uS\n1,1.1\n2,2.1\n")
    Path("tiny.yaml").write_text(TINY)
    Path("t.csv").write_text("hour,temp\n1,2\n2,3\n3,4\n")

    def run(*words: str):
        return CliRunner().invoke(app, ["assess", *words])

    return run


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("none.csv",), "none.csv: no such file (looked in"),
        (("short.csv", "--task", "tiny.yaml"), "short.csv: 2 rows of numbers"),
        (("good.csv", "--task", "cpoy"), "--task: unknown task 'cpoy'; did you mean 'copy'?"),
        (("good.csv", "--task", "copy,copy"), "--task: 'copy,copy' names something twice"),
        (("good.csv", "--task", "tiny.yaml,sub/tiny.yaml"), "--task sub/tiny.yaml: no such file"),
        (("good.csv", "--task", "weather", "--for", "weather:task.path=no.csv"), "path needs target"),
        (
            ("good.csv", "--task", "weather", "--for", "weather:task.path=no.csv", "--for", "weather:task.target=temp"),
            "weather: no.csv: no such file",
        ),
        (
            ("good.csv", "--task", "weather", "--for", "weather:task.path=t.csv", "--for", "weather:task.target=temp"),
            "weather: t.csv: 3 rows",
        ),
        (("good.csv", "--task", "copy", "--for", "xor:task.gap=3"), "--for xor: no such task here (asked for: copy)"),
        (("good.csv", "--for", "copy.task.gap=3"), "--for 'copy.task.gap=3': not of the form task:a.b=c"),
        (("good.csv", "--task", "copy", "--set", "task.lenght=3"), "unknown key; did you mean 'task.length'?"),
        (("good.csv", "--seeds", "0"), "--seeds: '0' is neither a number of seeds nor a list"),
        (("good.csv", "--seeds", "2"), "--seeds: 2 seeds: no verdict without spread; take at least 3"),
        (("good.csv", "--seeds", "1,1,2"), "--seeds: a seed is named twice"),
        (("good.csv", "--seeds", "999999999"), "999,999,999 seeds"),
        (("good.csv", "--beside", "pmc"), "--beside: unknown profile 'pmc'; did you mean 'pcm'?"),
        (("good.csv", "--name", "pcm"), "--name: 'pcm' is a shipped profile's"),
        (("good.csv", "--name", "a/b"), "--name: 'a/b' cannot name a device"),
        (("good.csv", "--target", "loss < 1"), "--target: a result has no 'loss'"),
        (("good.csv", "--task", "tiny.yaml", "--max-runs", "5"), "12 runs (1 task x 4 profiles x 3 seeds), more than"),
        (("good.csv", "--v-read", "3 S"), "--v-read: "),
        (("good.csv", "--task", "tiny.yaml", "--write", "puls"), "hardware.write: 'puls' is not one of"),
        (("good.csv", "--task", "tiny.yaml", "--t0", "20 s"), "--t0: kind programming does not take it"),
        (("good.csv", "good.csv", "--task", "tiny.yaml"), "good.csv and good.csv are all of kind programming"),
        (("good.csv", "-o", "good.csv", "--task", "tiny.yaml"), "-o good.csv: is no folder"),
        (("good.csv", "--task", ""), "--task: '' has an empty part"),
    ],
)  # fmt: skip
def test_bad_input_is_one_message_with_exit_code_2_and_nothing_is_written(call, words, said: str) -> None:
    before = sorted(os.listdir())
    more = () if "--seeds" in words else ("--seeds", "3")
    shown = call(*words, *more)
    assert shown.exit_code == 2, shown.output
    assert said in shown.stderr
    assert shown.stderr.count("error:") == 1
    assert shown.stdout == ""
    assert sorted(os.listdir()) == before


def test_a_task_whose_data_are_missing_says_what_to_install(call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *rest: None)
    shown = call("good.csv", "--task", "digits")
    assert shown.exit_code == 2, shown.output
    assert "digits: task digits needs the images" in shown.stderr
    assert "pip install scikit-learn" in shown.stderr
    assert not Path("assessments").exists()


def test_all_that_is_wrong_is_told_at_once(call) -> None:
    shown = call("none.csv", "--task", "cpoy", "--seeds", "2", "--beside", "pmc", "--target", "x")
    assert shown.exit_code == 2
    for said in ("none.csv: no such file", "unknown task 'cpoy'", "2 seeds", "'pmc'", "'x' is no target"):
        assert said in shown.stderr


def test_costs_are_told_before_and_nothing_is_written(call) -> None:
    before = sorted(os.listdir())
    words = ("good.csv", "--task", "tiny.yaml", "--seeds", "4", "--beside", "ideal", "--workers", "2", "--dry-run")
    shown = call(*words, "--json")
    assert shown.exit_code == 0, shown.output
    (told,) = json.loads(shown.stdout)["results"]
    assert (told["runs"], told["there"], told["passes"]) == (8, 0, 8 * 4 * 2)  # four updates of two passes
    assert told["profiles"] == ["good", "ideal"]
    assert told["sweep_runs"] > 0
    (task,) = told["tasks"]
    assert (task["task"], task["runs"], task["fits"]) == ("tiny", 8, True)
    assert sorted(os.listdir()) == before


@pytest.mark.slow
def test_costs_are_shown_as_a_table(call) -> None:
    words = ("good.csv", "--task", "tiny.yaml", "--seeds", "4", "--beside", "ideal", "--workers", "2", "--dry-run")
    shown = call(*words, "--no-requirements")
    assert shown.exit_code == 0, shown.output
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert [row[:4] for row in rows if row[:1] in (["tiny"], ["all"])] == [
        ["tiny", "8", "0", "64"], ["all", "8", "0", "64"]
    ]  # fmt: skip
    assert "Nothing was written." in shown.stdout
    assert not Path("assessments").exists()


def test_help_has_examples() -> None:
    shown = CliRunner().invoke(app, ["assess", "--help"])
    assert shown.exit_code == 0
    for word in ("neuroanp assess pulses.csv", "--for weather:task.path=my.csv", "--dry-run", "--anyway"):
        assert word in " ".join(shown.stdout.split())
