"""Tasks from data in memory: what is presented is what was given, and runs know their data."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

import neuroanp as na
from neuroanp.errors import InputError, RunError
from tests.close import close

TINY = {
    "network.hidden": 6, "training.batch": 2, "training.updates": 6, "training.checkpoint_every": 2,
    "training.controls": False, "rule": {"name": "anp", "K": 2},
}  # fmt: skip
X = np.random.default_rng(0).uniform(-1, 1, size=(5, 20, 2))


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_sequences_are_presented_as_they_were_given_each_in_one_part():
    Y = np.stack([X[..., 0] - X[..., 1], X[..., 0]], axis=2)
    own = na.task(X, Y, test=0.25, washout=1)
    batch = own.test()
    assert batch.targets[..., 0] == close(batch.inputs[..., 0] - batch.inputs[..., 1])
    assert batch.mask.tolist() == [0, 1, 1, 1, 1]
    tested = {tuple(one) for one in batch.inputs[0]}
    trained = own.made.sample(np.random.default_rng(0), 500)
    assert np.array_equal(trained.targets[..., 1], trained.inputs[..., 0])
    assert {tuple(one) for one in trained.inputs[0]} | tested == {tuple(one) for one in X[0]}
    assert len(tested) == 5
    assert not {tuple(one) for one in trained.inputs[0]} & tested
    given = na.task(X, Y, X_test=X[:, :3] / 2, Y_test=Y[:, :3] / 2)
    assert np.array_equal(given.test().inputs, X[:, :3] / 2)


def test_one_label_a_sequence_is_told_at_its_end():
    labels = np.array([7, 10, 9] * 6 + [7, 9])
    own = na.task(X, labels, labels=True, test=0.5)
    assert own["classes"] == ["7", "9", "10"]
    batch = own.test()
    assert batch.mask.tolist() == [0, 0, 0, 0, 1]
    of = {tuple(one): str(label) for one, label in zip(X[0], labels, strict=True)}
    told = [own["classes"][k] for k in batch.targets[-1].argmax(axis=1)]
    assert told == [of[tuple(one)] for one in batch.inputs[0]]


def test_rows_and_frames_go_through_the_reader_of_tables():
    pandas = pytest.importorskip("pandas")
    rows = np.cumsum(X[:, :, 0].ravel())[:, None] * [1.0, 0.3] + X.reshape(-1, 2)
    forecast = na.task(rows, horizon=2, window=6, washout=2)
    assert forecast.made.forecast
    assert forecast.made.columns == ("x0", "x1")
    frame = pandas.DataFrame(rows, columns=["x0", "x1"])
    frame["when"] = pandas.date_range("2026-01-01", periods=len(frame), freq="h")
    frame["on"] = frame["x0"] > 1
    framed = na.task(frame, target=["x0", "x1"], time="when", columns=["x0", "x1"], horizon=2, window=6, washout=2)
    assert np.array_equal(framed.test().inputs, forecast.test().inputs)
    assert any("a row every 3600 s" in line for line in framed.account)
    assert na.task(frame, target="on", labels=True, window=6, washout=2).made.named == ("0", "1")
    told = na.task(rows, rows[:, 0] > 1, labels=True, rows="apart", window=4, washout=2)
    assert (told.made.inputs, told.made.outputs) == (2, 2)


def test_runs_know_their_data_go_on_with_them_and_refuse_others():
    own, other = na.task(X, X[..., :1]), na.task(X, -X[..., :1])
    whole = na.train(task=own, overrides=TINY, runs="whole", report=False, progress=False)
    assert whole.record.manifest["data"] == own.sha256 != other.sha256
    assert na.train(task=other, overrides=TINY, report=False, progress=False).path.name != whole.path.name

    def stop(event) -> None:
        if event["update"] >= 3:
            raise KeyboardInterrupt

    with pytest.raises((KeyboardInterrupt, RunError)):
        na.train(task=own, overrides=TINY, report=False, progress=stop)
    path = Path("runs") / whole.path.name
    assert {**na.resume(path, report=False, progress=False).result, "run": ""} == {**whole.result, "run": ""}
    again = na.train(whole.config, runs="again", report=False, progress=False)
    assert again.result["test_loss"] == whole.result["test_loss"]
    assert na.evaluate(path)[0]["test_loss"] == close(whole.result["test_loss"])
    own.path.write_bytes(other.path.read_bytes())
    with pytest.raises(InputError, match="data have changed"):
        na.evaluate(path)
    own.path.unlink()
    with pytest.raises(InputError, match="no such file"):
        na.evaluate(path)


@pytest.mark.slow
def test_a_comparison_takes_them_to_its_workers():
    own = na.task(X, X[..., :1])
    said = {key: value for key, value in TINY.items() if key != "rule"}
    found = na.compare(task=own, rules=["np", "bptt"], seeds=2, overrides=said, workers=2, report=False, progress=False)
    assert len(found.runs) == 4
    assert not found.failed


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: na.task(X), "sequences need targets"),
        (lambda: na.task(X, X[:, :5]), r"shape \(5, 5, 2\), and X is \(5, 20, 2\)"),
        (lambda: na.task(X, X[..., 0] * np.nan), "train/targets: numbers that are not finite"),
        (lambda: na.task(X, np.arange(20) % 2), "labels=True or False"),
        (lambda: na.task(X, ["a"] * 20), "one label"),
        (lambda: na.task(X, X, test=0.01), "leaves none to learn from or to test"),
        (lambda: na.task(X, X, X_test=X), "X_test: goes with the other"),
        (lambda: na.task(X, X, washout=5), r"washout: 5 \(int\) is not a whole number from 0 to 4"),
        (lambda: na.task(X, X, mask=np.ones(4)), "the mask is"),
        (lambda: na.task(X, X, horizon=3), "'horizon': no option of sequences"),
        (lambda: na.task(X[0, 0], X), r"X: shape \(2,\)"),
        (lambda: na.task(X[0], X[0, :, 0], rows="time", windw=3), "'windw': no option of rows"),
        (lambda: na.task("x.csv", X), "X"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_written(make, said):
    with pytest.raises(InputError, match=said):
        make()
    assert not Path("runs").exists()


def test_a_file_that_is_none_is_refused(tmp_path):
    from safetensors.numpy import save_file

    (tmp_path / "x").write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    save_file({"train/inputs": np.ones((2, 3))}, tmp_path / "y")
    for name, said in (("x", "not a safetensors file"), ("y", "train/targets, test/inputs")):
        with pytest.raises(InputError, match=said):
            na.train(task={"name": "arrays", "path": name}, report=False, progress=False)
    with pytest.raises(InputError, match="needs a file of"):
        na.train(task="arrays", report=False, progress=False)


def test_it_shows_itself(tmp_path):
    own = na.task(X, X[..., :1])
    assert repr(own).startswith("Task(arrays: 2 inputs, 1 outputs, 5 steps a sequence; runs/data/")
    assert "Batch(3 sequences of 5 steps" in own._repr_html_()
    assert dict(own) == {"name": "arrays", "path": str(own.path)}


def test_labels_that_are_missing_are_no_class(tmp_path):
    X = np.zeros((3, 4, 1))
    for Y in (np.array([0.0, 1.0, math.nan, 3.0]), np.array(["a", None, "b", "a"], dtype=object)):
        with pytest.raises(InputError, match="Y: 1 labels are missing"):
            na.task(X, Y, labels=True, runs=tmp_path)
    made = na.task(X, np.array(["b", "nan", "10", "9"]), test=0.5, runs=tmp_path)
    assert made.section["classes"] == ["9", "10", "b", "nan"]


def test_targets_may_be_a_tensor_of_torch_and_cells_numbers_of_numpy(tmp_path):
    pandas = pytest.importorskip("pandas")
    X, Y = np.random.default_rng(0).normal(size=(2, 6, 8, 1))
    made = na.task(X, torch.tensor(Y, requires_grad=True), runs=tmp_path)
    assert made.section["path"] == na.task(X, Y, runs=tmp_path).section["path"]
    rows = [[np.float64(0.5 * k), k / 4] for k in range(60)]
    one, other = (
        pandas.DataFrame(cells, columns=["a", "b"], dtype=kind) for cells, kind in ((rows, object), (rows, float))
    )
    paths = {na.task(frame, target="b", window=4, washout=1, runs=tmp_path).section["path"] for frame in (one, other)}
    assert len(paths) == 1


def test_times_in_an_index_are_asked_for_as_a_column(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": np.arange(60.0)}, index=pandas.date_range("2026-01-01", periods=60, freq="h"))
    with pytest.raises(InputError, match=r"its index, which is no column; give X.reset_index"):
        na.task(frame, target="a", runs=tmp_path)


def test_rows_apart_need_targets(tmp_path):
    with pytest.raises(InputError, match="Y: rows apart need targets"):
        na.task(np.zeros((9, 2)), rows="apart", runs=tmp_path)
