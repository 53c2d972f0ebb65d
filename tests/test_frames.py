"""Data frames: a row a run with every option that differs, and the learning curve."""

from __future__ import annotations

import sys

import pytest

import neuroanp as na
from neuroanp.errors import InputError

TASK = {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 4}
TINY = {"task": TASK, "network": {"hidden": 4}, "training": {"updates": 2, "batch": 2, "log_every": 1}}


def test_rows_have_what_differs_as_numbers_and_what_a_run_lacks_is_missing(tmp_path, in_turn):
    pytest.importorskip("pandas")
    rules = [{"name": "anp", "K": 2}, {"name": "anp", "K": 3, "gamma": 0.5}, "bptt"]
    found = na.compare(TINY, rules=rules, seeds=[4], runs=tmp_path, report=False, progress=False, workers=1)
    frame = found.to_dataframe()
    assert frame["rule"].tolist() == ["anp", "anp", "bptt"]
    assert frame["rule.K"].tolist()[:2] == [2, 3]
    assert frame["rule.K"].isna().tolist() == [False, False, True]
    assert frame["test_loss"].tolist() == [run.result["test_loss"] for run in found.runs]
    assert frame["control ridge"].tolist() == [run.result["controls"]["ridge"] for run in found.runs]
    assert frame["seed"].tolist() == [4, 4, 4]
    one = found.runs[0]
    curve = one.to_dataframe()
    assert curve["update"].tolist() == [0, 1, 2]
    assert curve["train_loss"].tolist()[1:] == one.metrics["train_loss"][1:]


def test_without_pandas_it_says_what_to_install(tmp_path, monkeypatch):
    run = na.train(TINY, training={"controls": False}, runs=tmp_path, report=False, progress=False)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match=r"pip install 'neuroanp\[frames\]'"):
        run.to_dataframe()


def test_what_was_tuned_has_a_column_though_all_came_to_the_same_value(tmp_path, in_turn):
    """The higher of two rates is the better one for both rules, which have nothing to differ in then."""
    pytest.importorskip("pandas")
    said = {"runs": tmp_path, "report": False, "progress": False, "training": {"controls": False}}
    found = na.compare(
        TINY, rules=["anp", "bptt"], seeds=1, tune={"optimizer.lr": [1e-9, 1e-3]}, tune_seeds=[7], **said
    )
    assert {one.chosen["optimizer.lr"] for one in found.tuning if one.chosen} == {1e-3}
    assert found.to_dataframe()["optimizer.lr"].tolist() == [1e-3, 1e-3]


def test_quantities_are_numbers_in_si_and_words_stay(tmp_path, in_turn):
    pytest.importorskip("pandas")
    axes = {"dt": ["1 us", "2 us"], "optimizer.name": ["sgd", "adam"]}
    found = na.compare(
        TINY, rules={"name": "anp"}, seeds=1, axes=axes, runs=tmp_path, report=False, progress=False, workers=1
    )
    frame = found.to_dataframe()
    assert frame["dt"].tolist() == [1e-6, 1e-6, 2e-6, 2e-6]
    assert frame["optimizer.name"].tolist() == ["sgd", "adam"] * 2
