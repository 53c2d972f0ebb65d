"""reproduce paper: what it lists and expects, bad input, and a run of tiny experiments."""

import json
import os
from pathlib import Path

import pytest

from tests.reproducing.conftest import tiny


@pytest.fixture
def call(invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    return lambda *words: invoke("reproduce", "paper", *words)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neuroanp.reproducing.paper.at_quick", tiny)
    monkeypatch.setattr("neuroanp.reproducing.running.rate", lambda experiment, way, quick: 1e-3)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--only", "recal"], "only: no experiment 'recal'; did you mean 'recall'? (known: forecast, recall, "),
        (["--only", "recall,recall"], "--only: 'recall,recall' names something twice"),
        (["--only", "recall", "--only", "recall"], "only: an experiment is named twice"),
        (["--seeds", "many"], "--seeds: 'many' is neither a number of seeds nor a list"),
        (["--seeds", "6"], "seeds: 6 of the paper's 5 seeds; take 1 to 5, or name a list"),
        (["--seeds", "3,3"], "seeds: name at least one, and each once"),
        (["--csv", "missing.csv"], "; name it with --csv"),
        (["--only", "recall", "--csv", "text.txt"], "csv: weather alone reads it, which --only leaves out; add wea"),
        (["--only", "weather", "--mnist", "full"], "mnist: psmnist alone reads it, which --only leaves out; add psmn"),
        (["--dry-run", "--out", "text.txt"], "text.txt: is no folder; name another one with --out"),
        (["--csv", "text.txt"], "text.txt:"),
        (["--mnist", "."], "no train images, no train labels, no test images, no test labels; a set has"),
        (["--mnist", "missing"], "; name it with --mnist"),
        (["--out", "text.txt"], "text.txt: is no folder; name another one with --out"),
        (["--out", "missing/out"], "missing/out: missing does not exist; make it"),
        (["--out", "full"], "full/report.md: a folder, where a file is to be written"),
        (["--runs", "text.txt/runs"], "text.txt is no directory"),
        (["--workers", "100000"], "processes are too few or too many"),
    ],
)  # fmt: skip
def test_bad_input_ends_with_code_2_before_anything_is_run(call, monkeypatch, words: list[str], says: str) -> None:
    def never(*args, **kwargs):
        raise AssertionError("run in spite of bad input")

    monkeypatch.setattr("neuroanp.comparing.pool.run_all", never)
    Path("text.txt").write_text("hello\n")
    Path("full/report.md").mkdir(parents=True)
    ended = call("--quick", *words)
    assert ended.exit_code == 2, ended.output
    assert says in " ".join(ended.stderr.split())
    assert ended.stderr.count("error:") == 1
    assert ended.stdout == ""
    assert sorted(os.listdir()) == ["full", "text.txt"]


def test_one_idx_file_that_is_missing_is_named(call) -> None:
    Path("mnist").mkdir()
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte"):
        Path("mnist", name).write_bytes(b"")
    ended = call("--mnist", "mnist", "--dry-run")
    assert ended.exit_code == 2, ended.output
    assert "mnist: no test labels; a set has" in " ".join(ended.stderr.split())


def test_the_list_has_experiments_and_claims_and_runs_nothing(call) -> None:
    shown = call("--list", "--json")
    assert shown.exit_code == 0, shown.output
    (found,) = json.loads(shown.stdout)["results"]
    assert [one["name"] for one in found["experiments"]] == [*tiny()]
    assert found["experiments"][2]["sizes"] == "Hidden 500, batch 1, 1,000 passes a run"
    assert {"name": "NP", "whose": "paper", "said": "ANP ends below node perturbation."} in found["claims"]
    assert "copy_fixed" in call("--list", "--only", "copy_fixed").stdout
    assert os.listdir() == []


def test_a_dry_run_tells_runs_and_passes_and_runs_nothing(call) -> None:
    """40 runs of the paper's copy at 1,000 passes: 7 methods of 500 updates and one of 250, five seeds."""
    shown = call("--dry-run", "--only", "copy_fixed", "--json")
    assert shown.exit_code == 0, shown.output
    (found,) = json.loads(shown.stdout)["results"]
    assert (found["runs"], found["there"], found["updates"], found["passes"]) == (40, 0, 5 * (7 * 500 + 250), 40_000)
    assert found["multiply_accumulates"] == 40_000 * 210 * 500 * (9 + 500 + 8)
    said = " ".join(call("--dry-run", "--quick", "--only", "copy_fixed").stdout.split())
    assert "an update of backpropagation, forward and back, counts two" in said
    assert "at least a second a run" in said
    assert " 27 s to " in said  # 9 methods of three seeds
    assert os.listdir() == []


@pytest.mark.long
def test_a_run_prints_claims_and_where_the_report_is(call, small) -> None:
    done = call("--quick", "--only", "copy_fresh", "--seeds", "5,6,7", "--workers", "1", "--no-progress")
    assert done.exit_code == 0, done.output
    said = " ".join(done.stdout.split())
    assert "Of 39 comparisons that 8 claims of the paper come to" in said
    assert done.stdout.splitlines()[-1] == "written: reproduce-paper-quick (report.md, .json, .png)"
    report = json.loads(Path("reproduce-paper-quick/report.json").read_text())
    assert len(report["runs"]) == 8 * 3
    decided = [one for one in report["findings"] if one["where"] == "copy_fresh" and one["verdict"] != "undecided"]
    assert all(one["seeds"] == 3 and (one["chance"] is None) == (one["within"] > 1) for one in decided)
    assert report["command"][0] == "neuroanp"
    again = call("--quick", "--only", "copy_fresh", "--seeds", "5,6,7", "--json", "-o", "again")
    (found,) = json.loads(again.stdout)["results"]
    assert found["findings"] == report["findings"]


def test_help_has_examples(call) -> None:
    shown = call("--help")
    assert shown.exit_code == 0
    assert "neuroanp reproduce paper --quick" in shown.stdout
