"""Callbacks hear all that a run does, can stop it, and an error in one costs no update."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

import neuroanp as na
from neuroanp.errors import InputError, RunError
from neuroanp.training.callbacks import CallbackError, Event
from neuroanp.training.stopping import StopRequested
from tests.close import close

TASK = {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 4}
TINY = {
    "task": TASK, "network": {"hidden": 4}, "rule": "np",
    "training": {
        "batch": 2, "controls": False, "updates": 5, "evaluate_every": 2, "log_every": 9, "checkpoint_every": 3,
    },
}  # fmt: skip
QUIET = {"report": False, "progress": False}


def test_they_hear_updates_evaluations_checkpoints_and_the_end_and_change_nothing(tmp_path):
    heard = []
    run = na.train(TINY, runs=tmp_path, callbacks=[heard.append], **QUIET)
    plain = na.train(TINY, runs=tmp_path / "plain", **QUIET)
    assert {**run.result, "run": ""} == {**plain.result, "run": ""}
    kinds = ("update", "evaluation", "checkpoint", "end")
    of = {kind: [one.update for one in heard if one.kind == kind] for kind in kinds}
    assert of == {"update": [1, 2, 3, 4, 5], "evaluation": [2, 4, 5], "checkpoint": [3, 5], "end": [5]}
    evaluated = [one.metrics["test_loss"] for one in heard if one.kind == "evaluation"]
    assert evaluated == run.metrics.series("test_loss")[1][1:]
    assert heard[-1].result["test_loss"] == run.result["test_loss"]
    assert heard[-1].path == run.path
    told = {(one.kind, one.update): dict(one.metrics) for one in heard}
    assert told["checkpoint", 3] == told["update", 3]
    assert told["checkpoint", 3]["train_loss"] > 0


def test_one_can_stop_the_run_which_goes_on_to_the_same_end(tmp_path):
    whole = na.train(TINY, runs=tmp_path / "whole", **QUIET)
    with pytest.raises(RunError, match="interrupted at update 2 of 5"):
        na.train(TINY, runs=tmp_path, callbacks=lambda event: event.stop() if event.update == 2 else None, **QUIET)
    resumed = na.resume(tmp_path / whole.path.name, **QUIET)
    assert {**resumed.result, "run": ""} == {**whole.result, "run": ""}


@pytest.mark.parametrize("kind", ["update", "evaluation", "checkpoint"])
def test_an_error_in_one_ends_the_run_with_a_checkpoint_of_that_update(tmp_path, kind):
    whole = na.train(TINY, runs=tmp_path / "whole", **QUIET)

    def broken(event):
        if event.kind == kind and event.update >= 3:
            raise ValueError("no such column")

    said = r"callback broken: ValueError: no such column, after update \d of 5"
    with pytest.raises(CallbackError, match=said) as told:
        na.train(TINY, runs=tmp_path, callbacks=[broken], **QUIET)
    record = na.load_run(tmp_path / whole.path.name).record
    assert record.manifest["status"] == "interrupted"
    update = int(record.whole_checkpoint().stem)
    assert f"after update {update} of 5" in str(told.value)
    resumed = na.resume(record.path, **QUIET)
    assert {**resumed.result, "run": ""} == {**whole.result, "run": ""}
    assert resumed.metrics["update"] == whole.metrics["update"]


def test_what_cannot_be_called_is_refused(tmp_path):
    for wrong in ("print", [3], 7):
        with pytest.raises(InputError, match="callbacks: "):
            na.train(TINY, runs=tmp_path, callbacks=wrong, **QUIET)


def test_tensorboard_reads_the_numbers_of_the_metrics(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    from neuroanp.training.tensorboard import TensorBoard

    run = na.train(TINY, runs=tmp_path / "runs", callbacks=[TensorBoard(tmp_path / "tb")], **QUIET)
    (file,) = (tmp_path / "tb" / run.path.name).iterdir()
    found = {}
    for event in EventFileLoader(str(file)).Load():
        for value in event.summary.value:
            found.setdefault(value.tag, {})[event.step] = value.tensor.float_val[0]
    assert sorted(found["train_loss"]) == [1, 2, 3, 4, 5]
    updates, losses = run.metrics.series("test_loss")
    assert sorted(found["test_loss"]) == updates[1:]
    assert [found["test_loss"][int(k)] for k in updates[1:]] == close(losses[1:], rel=1e-6)


def test_without_tensorboard_it_says_what_to_install(monkeypatch, tmp_path):
    import sys

    from neuroanp.training.tensorboard import TensorBoard

    monkeypatch.setitem(sys.modules, "tensorboard.summary.writer.event_file_writer", None)
    with pytest.raises(InputError, match=r"pip install 'neuroanp\[tensorboard\]'"):
        TensorBoard(tmp_path)


def test_what_takes_no_event_is_refused_before_the_run(tmp_path):
    for wrong, said in ((lambda: None, r"<lambda>: takes \(\)"), (dict, r"dict: a class; make one of it: dict\(...\)"),
                        (lambda event, other: None, r"takes \(event, other\)"), (3, r"3 \(int\): ")):  # fmt: skip
        with pytest.raises(InputError, match=said):
            na.train(TINY, runs=tmp_path, callbacks=[print, wrong], **QUIET)
    assert not list(tmp_path.iterdir())


def test_no_callback_changes_what_the_next_one_hears_or_the_record(tmp_path):
    def forging(event):
        for told in (event.metrics, event.result):
            with pytest.raises(TypeError):
                told["train_loss"] = told["test_loss"] = 0.0
        with pytest.raises(AttributeError):
            event.update = 99

    heard = []
    run = na.train(TINY, runs=tmp_path, callbacks=[forging, heard.append], **QUIET)
    assert {one.update for one in heard} == {1, 2, 3, 4, 5}
    assert heard[-1].result["test_loss"] == run.result["test_loss"] > 0
    assert all(one.metrics["train_loss"] > 0 for one in heard if one.kind == "update")


def test_of_a_run_that_has_ended_they_hear_nothing_and_it_says_so(tmp_path, caplog):
    na.train(TINY, runs=tmp_path, callbacks=[print], **QUIET)
    assert "hears nothing" not in caplog.text
    heard = []
    na.train(TINY, runs=tmp_path, callbacks=heard.append, **QUIET)
    assert not heard
    assert "the run has ended, so that builtin_function_or_method hears nothing of it; --force" in caplog.text


def test_tensorboard_takes_no_file_for_a_folder(tmp_path):
    from neuroanp.training.tensorboard import TensorBoard

    (tmp_path / "file").write_text("")
    for place in ("file", "file/deeper"):
        with pytest.raises(InputError, match="file is no directory; name another folder for TensorBoard"):
            TensorBoard(tmp_path / place)
    TensorBoard(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_an_event_goes_to_another_process() -> None:
    event = Event("update", "one", Path("runs/one"), 3, 10, {"train_loss": 0.5}, _stop=StopRequested())
    there = pickle.loads(pickle.dumps(event))  # noqa: S301 - our own bytes
    assert there == event
    assert there.stop() is None
