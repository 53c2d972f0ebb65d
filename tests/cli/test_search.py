"""compare --search from the command line: what is handed on, printed, and said of what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from neuroanp.comparing import pool
from neuroanp.comparing.worker import work

TINY = """\
task: {name: copy, length: 1, delay: 1, symbols: 2, test_size: 8}
network: {hidden: 6}
optimizer: {name: sgd, schedule: constant}
training: {updates: 3, batch: 2, controls: false}
"""
SEARCH = ["--tune", "optimizer.lr=1e-4..1e-1:log", "--tune-seeds", "100,101", "--search", "random", "--trials", "4"]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file to train from, in a directory of its own; comparisons run in this process."""

    def run_all(jobs, workers, progress, logged=None):
        return [work(job, lambda kind, content: None) for job in jobs]

    monkeypatch.setattr(pool, "run_all", run_all)
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(TINY)
    return "tiny.yaml"


def test_every_option_is_handed_on(api, invoke, monkeypatch):
    monkeypatch.setattr(api, "runs_of_comparison", lambda *args, **kwargs: 7, raising=False)
    done = invoke("compare", "x.yaml", *SEARCH, "--search-seed", "5")
    assert done.exit_code == 0, done.stderr
    ((_, _, kwargs),) = [call for call in api.calls if call[0] == "compare"]
    assert kwargs["tune"] == {"optimizer.lr": "1e-4..1e-1:log"}
    assert (kwargs["search"], kwargs["trials"], kwargs["search_seed"]) == ("random", 4, 5)
    assert invoke("compare", "x.yaml").exit_code == 0
    assert {"search", "trials", "search_seed"}.isdisjoint(api.calls[-1][2])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (SEARCH[:4], "is a range to draw from, and a grid tries values; say how it is searched, e.g. --search random"),
        ([*SEARCH[:4], "--search", "random"], "--trials: missing"),
        ([*SEARCH[:4], "--search", "grd"], "--search: 'grd' is none; did you mean 'grid'?"),
        ([*SEARCH, "--search", "grid"], "is a range to draw from"),
        (["--search", "random", "--trials", "3"], "--search: nothing is tuned"),
        ([*SEARCH, "--trials", "0"], "--trials: 0 (int) is not a whole number from 2 to 1,000"),
        ([*SEARCH, "--tune", "network.hiden=4..9"], "did you mean 'network.hidden'"),
        ([*SEARCH, "--tune", "network.hidden=9..4"], "is empty: it runs backwards; write 4..9"),
        ([*SEARCH, "--tune", "training.batch=0..4:log"], "has no logarithm at 0; begin above 0"),
        ([*SEARCH, "--ablate"], "--tune: an ablation is of one setting"),
        ([*SEARCH, "--max-runs", "8"], "the comparison has 9 runs"),
    ],
    ids=lambda value: " ".join(value[-4:]) if isinstance(value, list) else "",
)
def test_what_is_wrong_is_one_message_and_ends_with_2(config, invoke, words, said):
    ended = invoke("compare", config, *words)
    assert ended.exit_code == 2, ended.stdout
    assert said in ended.stderr
    assert ended.stderr.count("error:") == 1
    assert ended.stdout == ""
    assert [path.name for path in Path().iterdir()] == ["tiny.yaml"]


def test_a_dry_run_says_how_many_trials_there_are(config, invoke):
    words = ["compare", config, "--rules", "anp,bptt", "--seeds", "3", *SEARCH, "--dry-run"]
    shown = invoke(*words)
    assert shown.exit_code == 0, shown.stderr
    assert shown.stdout.startswith("22 runs (2 x 8 trials, and 6 that are reported), at most")
    (plain,) = json.loads(invoke(*words, "--json").stdout)["results"]
    assert (plain["runs"], plain["trials"], plain["reported"]) == (22, 16, 6)
    assert [path.name for path in Path().iterdir()] == ["tiny.yaml"]
    grid = invoke("compare", config, "--tune", "optimizer.lr=1,2", "--tune-seeds", "9", "--dry-run")
    assert grid.stdout.startswith("3 runs (1 x 2 trials, and 1 that are reported)")


@pytest.mark.long
@pytest.mark.parametrize("columns", ["80", "140"])
def test_what_was_found_is_in_the_table_and_in_json(config, invoke, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    words = ["compare", config, "--rules", "anp,bptt", *SEARCH]
    shown = invoke(*words)
    assert shown.exit_code == 0, shown.stderr
    text = " ".join(shown.stdout.replace("* ", "").split())
    assert "tuning: the best optimizer.lr, by median validation loss" in text
    assert "4 points, drawn at random (seed 0), 8 trials for each of 2: the same number for all" in text
    assert max(map(len, shown.stdout.splitlines())) <= int(columns)
    for one in json.loads(invoke(*words, "--json").stdout)["tuning"]:
        assert one["search"] == {"kind": "random", "trials": 4, "seed": 0}
        assert one["grid"] == {"optimizer.lr": {"low": 0.0001, "high": 0.1, "log": True}}
        assert one["chosen"] == one["trials"][2 * one["medians"].index(min(one["medians"]))]["values"]
        assert 0 <= one["place"]["optimizer.lr"] <= 1


def test_help_has_an_example(invoke):
    said = " ".join(invoke("compare", "--help").stdout.split())
    assert "--tune optimizer.lr=1e-4..1e-1:log" in said
    assert "--search optuna --trials 30" in said
