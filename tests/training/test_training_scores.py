"""Scores of the sequences that training repeats, beside those of the held-out ones."""

from __future__ import annotations

import numpy as np
import pytest

import neuroanp as na
from neuroanp.records.run_dir import RunDir
from neuroanp.tasks.copy import Copy, CopyConfig
from tests.close import close

TASK = {"name": "copy", "length": 4, "delay": 1, "symbols": 3, "mode": "fixed", "fresh_test": True, "test_size": 40}
CONFIG = {
    "task": TASK, "rule": "bptt", "network": {"hidden": 30}, "optimizer": {"lr": 1e-2},
    "training": {"updates": 150, "batch": 1, "controls": False}, "progress": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory):
    return na.train(**CONFIG, runs=tmp_path_factory.mktemp("runs"), perturbation={"name": "none"})


def test_what_was_learned_by_heart_is_told_from_what_was_learned(run):
    scores = run.record.manifest["scores"]
    assert list(scores) == [
        "accuracy", "wrong_bits", "loss", "training_accuracy", "training_wrong_bits", "training_loss",
    ]  # fmt: skip
    assert scores["training_accuracy"] == 1.0
    assert scores["training_loss"] < 0.01
    assert scores["loss"] > 0.1
    assert scores["accuracy"] < 0.7
    assert scores["loss"] == close(run.result["test_loss"], rel=1e-12)  # the headline is of fresh sequences alone
    assert run.result["score"] == scores["accuracy"]
    assert run.record.load_arrays("predictions")["target"].shape[1] == 40


def test_they_are_the_scores_of_the_network_on_that_sequence(run):
    task = Copy(CopyConfig(**{key: value for key, value in TASK.items() if key != "name"}))
    batch = task.sample(np.random.default_rng(0), 1)
    y = run.predict(batch.inputs)
    told = {name.removeprefix("training_"): value for name, value in run.record.manifest["scores"].items()
            if name.startswith("training_")}  # fmt: skip
    assert told == close(task.score(y, batch), rel=1e-5)


def test_evaluations_and_tables_tell_them_too(run):
    (row,) = na.evaluate(run.path)
    assert row["score"] == run.record.manifest["scores"]
    page = run.report().read_text()
    headers = [f">{header}" for header in ("accuracy", "training accuracy", "training loss")]
    assert all(header in page for header in headers)


def test_by_default_nothing_of_training_is_told(run, tmp_path):
    plain = na.train(
        **{**CONFIG, "task": {**TASK, "fresh_test": False}, "training": {"updates": 1, "batch": 1}}, runs=tmp_path
    )
    assert list(RunDir.open(plain.path).manifest["scores"]) == ["accuracy", "wrong_bits", "loss"]
    assert "training accuracy" not in plain.report().read_text()
