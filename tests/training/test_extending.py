"""Ten updates and ten more are the twenty of one run, to the last bit: weights, device, clock, books, metrics."""

from __future__ import annotations

import shutil

import pytest
import torch

import neuroanp as na
from neuroanp.errors import DivergedError, InputError, RunError
from neuroanp.training.extending import extended

TASK = {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 4}
TINY = {
    "task": TASK, "network": {"hidden": 4}, "rule": {"name": "anp", "K": 2},
    "optimizer": {"name": "adam", "lr": 0.01, "schedule": "constant"},
    "training": {"batch": 2, "controls": False, "evaluate_every": 2, "log_every": 2, "checkpoint_every": 2},
}  # fmt: skip
QUIET = {"report": False, "progress": False}


def state_of(run):
    state, meta = run.record.load_checkpoint(run.record.whole_checkpoint())
    return state, meta


@pytest.mark.parametrize(
    "words",
    [
        {"profile": "pcm"},
        {"profile": "rram_hfo2", "hardware": {"write": "pulse"}},
        {"rule": {"name": "anp", "preset": "inferred", "K": 2}, "training": {"validation": 4}},
        pytest.param(
            {"backend": "lif", "encoder": {"name": "poisson", "hold": 4}, "dt": "1 ms"}, marks=pytest.mark.slow
        ),
    ],
    ids=str,
)
def test_four_updates_and_four_more_are_the_eight_of_one_run(tmp_path, words):
    whole = na.train(TINY, updates=8, runs=tmp_path / "whole", **words, **QUIET)
    half = na.train(TINY, updates=4, runs=tmp_path / "parts", **words, **QUIET)
    before = {path.name: path.read_bytes() for path in half.path.iterdir() if path.is_file() and path.name != ".lock"}
    rest = na.extend(half, updates=4, **QUIET)
    assert rest.path.parent == half.path.parent != rest.path
    assert before == {
        path.name: path.read_bytes() for path in half.path.iterdir() if path.is_file() and path.name != ".lock"
    }
    (one, _), (other, _) = state_of(whole), state_of(rest)
    assert one.keys() == other.keys()
    differ = [name for name in one if not torch.equal(one[name].nan_to_num(9e9), other[name].nan_to_num(9e9))]
    assert not differ
    leave = {"run": "", "wall_s": 0.0}
    assert {**whole.result, **leave} == {**rest.result, **leave}
    for name in whole.metrics.columns:
        if name != "wall_s":
            assert str(whole.metrics[name]) == str(rest.metrics[name]), name
    assert whole.record.manifest["identity"] != rest.record.manifest["identity"]
    assert any(line.startswith("goes on after update 4 of ") for line in rest.record.manifest["log"])


def test_an_interrupted_extension_goes_on_even_without_what_it_came_from(tmp_path):
    half = na.train(TINY, updates=4, profile="pcm", runs=tmp_path, **QUIET)
    whole = na.extend(half, 6, runs=tmp_path / "whole", **QUIET)

    def stop(event) -> None:
        if event["update"] >= 5:
            raise KeyboardInterrupt

    with pytest.raises((KeyboardInterrupt, RunError)):
        na.extend(half, 6, report=False, progress=stop)
    path = tmp_path / whole.path.name
    shutil.rmtree(half.path)
    for checkpoint in (path / "checkpoints").iterdir():
        checkpoint.unlink()  # it begins again where the other run ended, not at 0
    resumed = na.resume(path, **QUIET)
    assert {**resumed.result, "run": ""} == {**whole.result, "run": ""}
    assert na.evaluate(resumed)[0]["update"] == 10
    with pytest.raises(InputError):
        na.train(resumed.config, runs=tmp_path / "anew", **QUIET)


def test_what_cannot_go_on_is_refused(tmp_path):
    half = na.train(TINY, updates=2, runs=tmp_path, **QUIET)
    with pytest.raises(InputError, match="updates: 0"):
        na.extend(half, 0)
    for how in ({"overrides": {"training": {"batch": 2}}}, {"overrides": {"training.extends": None}},
                {"training": {"extends": None}}):  # fmt: skip
        with pytest.raises(InputError, match="say its keys one by one"):
            na.extend(half, 2, **how, **QUIET)
    assert na.extend(half, 2, training={"evaluate_every": 1}, **QUIET).result["updates"] == 4
    good = extended(half.record, 2)
    assert good.training.updates == 4
    other = na.configure(good, {"rule.K": 3})
    with pytest.raises(InputError, match=r"another run than what is to go on[\s\S]*rule"):
        na.train(other, runs=tmp_path, **QUIET)
    state = good.training.extends.model_copy(update={"state": "0" * 64})
    forged = good.model_copy(update={"training": good.training.model_copy(update={"extends": state})})
    with pytest.raises(InputError, match="holds another state"):
        na.train(forged, runs=tmp_path, **QUIET)


def test_a_run_that_diverged_has_no_end_to_go_on_from(tmp_path):
    wild = {"optimizer.name": "sgd", "optimizer.lr": 1e3, "optimizer.clip": None, "training.checkpoint_every": 1}
    with pytest.raises(DivergedError) as told:
        na.train(TINY, updates=60, overrides=wild, runs=tmp_path, **QUIET)
    with pytest.raises(InputError, match="it diverged, and there is nothing to go on from"):
        na.extend(told.value.path, 2, **QUIET)


def test_a_refit_or_an_unfinished_run_is_no_place_to_go_on_from(tmp_path):
    fitted = na.train(TINY, updates=2, overrides={"training.refit": 10}, runs=tmp_path, **QUIET)
    with pytest.raises(InputError, match=r"training\.refit changes what a run ends with"):
        na.extend(fitted, 2)
