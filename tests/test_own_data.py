"""A run on anyone's table: what it took is in its record, and nothing that a run can do is closed to it."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest

import neuroanp as na
from neuroanp import api
from neuroanp.errors import InputError, RunError
from tests.close import close

SMALL = {
    "task.window": 6, "task.washout": 2, "task.horizon": 1, "network.hidden": 6, "training.batch": 2,
    "training.updates": 6, "training.checkpoint_every": 2, "training.controls": False, "rule.K": 2,
}  # fmt: skip


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder with a table as a logger in Europe writes it."""
    monkeypatch.chdir(tmp_path)
    v = 1.5 + np.sin(np.arange(200) / 4) + 0.1 * np.random.default_rng(0).standard_normal(200)
    loads = [f"{x:.4f}".replace(".", ",") for x in v]
    rows = "\n".join(f"{1 + k // 24:02d}.03.2023 {k % 24:02d}:00;{load};A" for k, load in enumerate(loads))
    Path("ts.csv").write_text(f"Logger 7\n\nstamp;load;site\n{rows}\n")
    return tmp_path


def train(**words):
    return na.train(task="weather", overrides={"task.path": "ts.csv", "task.target": "load", **SMALL}, **words)


def interrupted(**words) -> Path:
    """Start a run, interrupt it after two updates, and return its directory."""

    def stop(event) -> None:
        if event["update"] >= 3:
            raise KeyboardInterrupt

    with pytest.raises((KeyboardInterrupt, RunError)):
        train(progress=stop, **words)
    return next(Path("runs").iterdir())


def test_an_interrupted_run_on_ones_own_data_goes_on_to_the_same_end(own):
    whole = train(runs="whole")
    path = interrupted()
    assert na.load_run(path).record.manifest["status"] != "finished"
    resumed = na.resume(path)
    assert {**resumed.result, "run": ""} == {**whole.result, "run": ""}


def test_all_that_a_run_can_do_works_on_ones_own_data(own):
    run = train(profile="pcm")
    assert na.evaluate(run.path)[0]["test_loss"] == close(run.result["test_loss"])
    assert run.weights()["w"].shape == (6, 6)
    again = na.train(run.path / "config.yaml")
    assert again.path == run.path
    run.export("crossbar", own / "exported")
    assert (own / "exported" / "report.json").is_file()
    tuned = na.train(run.path / "config.yaml", overrides={"network.weights": str(run.path), "seed": 1})
    assert tuned.result["status"] == "finished"


def test_what_was_taken_is_logged_and_recorded(own, caplog):
    with caplog.at_level(logging.INFO, "neuroanp"):
        run = train()
    taken = [line for line in run.record.manifest["log"] if line.startswith("data: ")]
    assert taken == [
        "data: ts.csv: columns separated by semicolons, decimal commas, names in line 3, 1 line above left out; "
        "200 rows (lines 4 to 203)",
        "data: inputs: load; target: load",
        "data: left out: stamp (times), site (words: 'A')",
        "data: rows are taken as evenly spaced, as stamp says: 3600 s",
    ]
    assert set(taken) <= set(caplog.messages)
    assert "station" not in (run.path / "config.yaml").read_text().replace("station: null", "")


def test_encoded_data_keep_their_account(own):
    config = api.configure(None, {"task.path": "ts.csv", "task.target": "load", **SMALL}, task="weather", backend="lif")
    from neuroanp.training.build import Experiment
    from neuroanp.training.described import describe as described

    config = config.model_copy(update={"encoder": config.encoder.model_copy(update={"hold": 2})})
    assert any(line.startswith("data: left out") for line in described(Experiment.of(config))[1])


def test_a_table_that_moved_or_changed_is_named_with_the_remedy(own):
    path = interrupted()
    shutil.move("ts.csv", "elsewhere.csv")
    with pytest.raises(InputError, match=r"ts.csv: no such file .*set task.path to where it is now"):
        na.resume(path)
    moved = na.train(path / "config.yaml", overrides={"task.path": "elsewhere.csv"})
    assert moved.path == na.load_run(path).path
    assert moved.result["status"] == "finished"
    shutil.copy("elsewhere.csv", "ts.csv")
    assert na.evaluate(path)
    with Path("ts.csv").open("a") as file:
        file.write("09.03.2023 08:00;1,5;A\n")
    with pytest.raises(InputError, match="its data have changed since the run; restore them"):
        na.evaluate(path)
