"""evaluate, transfer and compare --ablate on tiny real runs: tables, JSON, and what a user gets wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from neuroanp.comparing import pool
from neuroanp.comparing.worker import Outcome
from neuroanp.training.build import Experiment
from neuroanp.training.launch import launch

TINY = """\
task: {name: copy, length: 1, delay: 1, symbols: 2, test_size: 8}
network: {hidden: 6}
profile: pcm
training: {updates: 3, batch: 2, controls: false}
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file to train from, in a directory of its own; comparisons run in this process."""

    def run_all(jobs, workers, progress, logged=None) -> list[Outcome]:
        return [Outcome(Experiment.of(job.config).label, launch(job.config, job.root).path) for job in jobs]

    monkeypatch.setattr(pool, "run_all", run_all)
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(TINY)
    return "tiny.yaml"


def read(done) -> dict:
    assert done.exit_code == 0, done.stderr
    assert done.stdout.count("\n") == 1
    return json.loads(done.stdout, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))


def test_evaluate_prints_a_row_for_each_time(config, invoke):
    (trained,) = read(invoke("train", config, "--set", "training.evaluate_after=['1 h']", "--json"))["results"]
    rows = read(invoke("evaluate", trained["run"], "--after", "30d, 1 h", "--json"))["results"]
    assert [row["after"] for row in rows] == ["at once", "1 h", "30 d"]
    assert [row["test_loss"] for row in rows[:2]] == [trained["test_loss"], trained["test_loss_after"]["1 h"]]
    shown = invoke("evaluate", trained["run"], "--after", "1 h", "--without", "drift")
    assert shown.exit_code == 0, shown.stderr
    assert "anp on pcm, seed 0, after 3 updates" in shown.stdout
    lines = [line.split() for line in shown.stdout.splitlines()]
    once, later = (line for line in lines if line[:2] in (["at", "once"], ["1", "h"]))
    assert once[3] == later[3]  # noise-free, and no drift
    elsewhere = invoke("evaluate", trained["run"], "--profile", "ideal")
    assert "effects on: none" in elsewhere.stdout
    assert (
        "weights: the digital targets of anp on pcm, after 3 updates; all within the range of the array"
        in elsewhere.stderr
    )


def test_evaluate_tells_what_makes_up_for_the_drift(config, invoke):
    """Of a new chip that compensates: the factor on its outputs, 1 at once and above it after a day; else nothing."""
    (trained,) = read(invoke("train", config, "--json"))["results"]
    rows = read(invoke("evaluate", trained["run"], "--after", "1 d", "--profile", "pcm_compensated", "--json"))[
        "results"
    ]
    assert set(rows[0]["drift_factors"]) == {"w_in", "w", "w_out"}
    assert set(rows[0]["drift_factors"].values()) == {1.0}
    assert all(1.2 < factor < 2 for factor in rows[1]["drift_factors"].values())
    shown = invoke("evaluate", trained["run"], "--after", "1 d", "--profile", "pcm_compensated").stdout
    assert "outputs x" in shown
    assert "1.000" in shown
    off = ("--profile", "pcm_compensated", "--without", "drift_compensation")
    assert "drift_factors" not in read(invoke("evaluate", trained["run"], *off, "--json"))["results"][0]
    assert "drift_factors" not in read(invoke("evaluate", trained["run"], "--json"))["results"][0]


def test_evaluate_says_that_outputs_were_fitted(config, invoke):
    runs = [
        read(invoke("train", config, *options, "--json"))["results"][0]["run"]
        for options in (["--set", "training.refit=20"], [])
    ]
    fitted, plain = (invoke("evaluate", run).stdout for run in runs)
    assert "after 3 updates, outputs fitted to 20 sequences" in fitted
    assert "fitted" not in plain
    rows = [read(invoke("evaluate", run, "--json"))["results"][0] for run in runs]
    assert [row.get("refit") for row in rows] == [20, None]


def test_what_evaluate_cannot_read_ends_with_2(config, invoke):
    (trained,) = read(invoke("train", config, "--json"))["results"]
    for words, said in (
        (["--after", "1 h,,2 h"], "has an empty part"),
        (["--after", "soon"], "'soon' is not a time; write e.g. '1 h'"),
        (["--without", "d2d"], "no evaluation can take it out"),
        (["--only", "drift,drift"], "names something twice"),
        (["--profile", "pmc"], "did you mean 'pcm'"),
    ):
        ended = invoke("evaluate", trained["run"], *words)
        assert ended.exit_code == 2
        assert said in ended.stderr
        assert ended.stdout == ""


def test_evaluate_of_no_run_ends_with_2(config, invoke):
    ended = invoke("evaluate", "runs/none")
    assert ended.exit_code == 2
    assert "no such directory" in ended.stderr


@pytest.mark.slow
def test_an_ablation_is_a_table_and_json(config, invoke):
    effects = ["--only", "read_noise,programming_error"]
    whole = read(invoke("compare", config, *effects, "--ablate", "--json"))
    assert len(whole["results"]) == 4
    assert {row["effect"] for row in whole["ablation"]} == {"read_noise", "programming_error"}
    shown = invoke("compare", config, *effects, "--ablate")
    assert shown.exit_code == 0, shown.stderr
    assert "what each non-ideality costs: pcm · anp" in shown.stdout
    assert "hardware.without" not in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 100
    assert "ablation" not in read(invoke("compare", config, "--json"))


def test_a_transfer_shows_its_stages(config, invoke):
    words = ["transfer", config, "--profiles", "pcm", "--fine-tune", "2", "--fine-tune-lr", "1e-4"]
    shown = invoke(*words)
    assert shown.exit_code == 0, shown.stderr
    for said in ("programmed", "fine-tuned", "from scratch", "as trained (bptt on ideal)", "after 2 updates of anp"):
        assert said in " ".join(shown.stdout.split())
    assert max(map(len, shown.stdout.splitlines())) <= 100
    rows = read(invoke(*words, "--json"))["results"]
    assert [(row["profile"], row["rule"], row["updates"]) for row in rows] == [
        ("ideal", "bptt", 3), ("pcm", "anp", 0), ("pcm", "anp", 2), ("pcm", "anp", 3),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no devices to transfer to"),
        (["--profiles", "pmc"], "did you mean 'pcm'"),
        (["--profiles", "pcm", "--set", "network.weights=here"], "trains the weights itself"),
        (["--profiles", "pcm", "--seeds", "two"], "--seeds: 'two'"),
        (["--profiles", "pcm", "--updates", "0"], "0 must be at least 1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_transfer_cannot_read_ends_with_2(config, invoke, words, said):
    ended = invoke("transfer", config, *words)
    assert ended.exit_code == 2
    assert said in ended.stderr
    assert not Path("runs").exists()
