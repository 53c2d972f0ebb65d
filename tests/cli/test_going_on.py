"""train --extend and --tensorboard, by the command: what Python does, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from neuroanp.records import RunDir

TINY = """\
task: {name: copy, length: 1, delay: 1, symbols: 2, test_size: 4}
network: {hidden: 4}
rule: {name: anp, K: 2}
optimizer: {name: adam, lr: 0.01, schedule: constant}
training: {batch: 2, updates: 2, log_every: 1, evaluate_every: 1, checkpoint_every: 1, controls: false}
"""


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, invoke):
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(TINY)

    def call(*words: str) -> dict:
        done = invoke("train", *words, "--json", "--no-report")
        assert done.exit_code == 0, done.stderr
        (row,) = json.loads(done.stdout)["results"]
        return row

    return call


def test_two_updates_and_three_more_are_the_five_of_one_run(train) -> None:
    half = train("tiny.yaml", "--profile", "pcm")
    rest = train("--extend", "last", "--updates", "3")
    whole = train("tiny.yaml", "--profile", "pcm", "--updates", "5", "--runs", "whole")
    leave = {"run": "", "wall_s": 0.0}
    assert {**rest, **leave} == {**whole, **leave}
    assert rest["run"] != half["run"] == train("tiny.yaml", "--profile", "pcm")["run"]
    assert Path(rest["run"]).parent.name == "runs"
    one, other = (RunDir.open(Path(row["run"])).metrics() for row in (whole, rest))
    assert one["train_loss"] == other["train_loss"]
    assert train("--extend", half["run"], "--updates", "3")["run"] == rest["run"]  # the same run, which is shown
    again = train("--extend", rest["run"], "--updates", "1", "--runs", "more")
    assert (again["updates"], Path(again["run"]).parent.name) == (6, "more")


def test_a_run_that_is_extended_is_looked_for_in_the_store_that_is_told(train) -> None:
    train("tiny.yaml", "--seed", "1")
    other = train("tiny.yaml", "--runs", "more")
    longer = train("--extend", "last", "--updates", "1", "--runs", "more")
    assert (longer["seed"], longer["updates"], Path(longer["run"]).parent.name) == (0, 3, "more")
    assert longer["run"] != other["run"]


def test_a_dry_run_of_one_that_goes_on_tells_of_the_rest(train, invoke) -> None:
    train("tiny.yaml")
    done = invoke("train", "--extend", "last", "--updates", "7", "--dry-run", "--json")
    assert done.exit_code == 0, done.stderr
    (row,) = json.loads(done.stdout)["results"]
    assert row["updates"] == 7
    assert len([*Path("runs").glob("copy-*")]) == 1


def test_all_that_is_said_beside_it_is_named(train, invoke) -> None:
    train("tiny.yaml")
    words = ["tiny.yaml", "--rule", "np", "--seed", "1", "--write", "ideal", "--workers", "1", "--set", "dt=2 us"]
    done = invoke("train", "--extend", "last", "--updates", "1", *words)
    assert done.exit_code == 2
    assert "leave out CONFIG, workers, rule, seed, hardware.write, dt" in done.stderr
    assert len([*Path("runs").glob("copy-*")]) == 1


def test_tensorboard_gets_the_numbers_of_the_run_and_changes_none(train) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    told = train("tiny.yaml", "--tensorboard", "tb")
    (file,) = (Path("tb") / Path(told["run"]).name).iterdir()
    steps = [event.step for event in EventFileLoader(str(file)).Load() if event.summary.value]
    assert steps == [1, 1, 2, 2]
    assert train("tiny.yaml", "--runs", "plain") | {"run": ""} == told | {"run": ""}


def test_a_run_of_rates_is_trained_anew_as_one_that_spikes(train) -> None:
    train("tiny.yaml")
    held = train("--adapt", "last", "--target", "nir")
    assert (held["backend"], held["rule"], held["updates"]) == ("lif", "anp", 2)


def test_what_a_chip_can_hold_is_trained_in_the_place_of_a_run(train, invoke) -> None:
    spiking = ("--backend", "lif", "--set", "neuron.tau_s='3 ms'")
    run = train("tiny.yaml", *spiking, "--runs", "mine")
    plan = invoke("train", "--adapt", "last", "--target", "nir", "--runs", "mine", "--dry-run")
    assert plan.exit_code == 0, plan.stderr
    assert "nir: neuron.tau_s: 3 ms -> 0 s" in plan.stdout
    assert len([*Path("mine").glob("copy-*")]) == 1
    held = train("--adapt", run["run"].rpartition("-")[2][:8], "--target", "nir", "--runs", "mine", "--updates", "1")
    assert (held["updates"], Path(held["run"]).parent.name) == (1, "mine")
    assert invoke("export", held["run"], "--format", "nir", "-o", "out").exit_code == 0
    log = RunDir.open(Path(held["run"])).manifest["log"]  # of which --json and --no-progress show nothing
    assert log[0].startswith(f"nir: in the place of {run['run']}: begins at the weights of ")
    assert "nir: neuron.tau_s: 3 ms -> 0 s" in log


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--adapt", "last"], "--adapt: say the chip or format"),
        (["tiny.yaml", "--adapt", "last", "--target", "nir"], "leave out tiny.yaml"),
        (["--adapt", "last", "--extend", "last", "--updates", "1"], "leave out --adapt"),
        (["--adapt", "nobody", "--target", "nir"], "nobody: no such directory"),
        (["--adapt", "--target", "nir"], "--adapt: name a run"),
    ],
)
def test_what_cannot_be_adapted_is_told(train, invoke, words, said) -> None:
    train("tiny.yaml", "--backend", "lif")
    done = invoke("train", *words)
    assert done.exit_code == 2
    assert said in done.stderr
