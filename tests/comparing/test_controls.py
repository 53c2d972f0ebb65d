"""The controls of a comparison: once for runs that have one in common, and last where that is asked for."""

from __future__ import annotations

import logging

import pytest

import neuroanp as na
from neuroanp.comparing import pool
from neuroanp.errors import InputError
from neuroanp.records.shared import FOLDER

TINY = {
    "task": {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 8}, "network": {"hidden": 6},
    "training": {"updates": 3, "batch": 2, "checkpoint_every": 5},
}  # fmt: skip
RULES = [{"name": "anp", "gamma": gamma} for gamma in (1.0, 0.9, 0.0)]


def compared(root, **words):
    return na.compare(TINY, rules=RULES, seeds=2, workers=2, runs=root, report=False, progress=False, **words)


def controls_of(comparison) -> list[dict[str, float]]:
    return [run.result["controls"] for run in comparison.runs]


@pytest.mark.long
def test_equal_seeds_have_one_control_and_last_is_as_each(tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="neuroanp"):
        each = compared(tmp_path / "each")
        assert "now the controls" not in caplog.text
        last = compared(tmp_path / "last", controls="last")
    frozen = [found["frozen_recurrence"] for found in controls_of(each)]
    assert frozen[0::2] == [frozen[0]] * 3  # by seed
    assert frozen[1::2] == [frozen[1]] * 3
    assert frozen[0] != frozen[1]
    assert controls_of(each) == controls_of(last)
    for root in ("each", "last"):
        assert len([*(tmp_path / root / FOLDER).glob("*/number.json")]) == 2
    assert [run.result["test_loss"] for run in each.runs] == [run.result["test_loss"] for run in last.runs]


@pytest.mark.long
def test_the_last_begin_when_all_runs_have_their_results(tmp_path, monkeypatch):
    """Two rounds: of all runs without controls, and of all runs again; what lies in the store between them."""
    rounds, run_all = [], pool.run_all

    def noted(jobs, *rest):
        there = [na.load_run(path).result["controls"] for path in tmp_path.glob("copy-*")]
        rounds.append(([job.later for job in jobs], there))
        return run_all(jobs, *rest)

    monkeypatch.setattr(pool, "run_all", noted)
    compared(tmp_path, controls="last")
    assert rounds == [([True] * 6, []), ([False] * 6, [{}] * 6)]
    rounds.clear()
    compared(tmp_path)  # all is there
    assert [later for later, _ in rounds] == [[False] * 6]


def test_what_is_neither_each_nor_last_is_refused(tmp_path):
    with pytest.raises(InputError, match="controls: 'never' is neither of each, last"):
        compared(tmp_path, controls="never")


@pytest.mark.long
def test_forced_ones_are_computed_anew_and_once_for_all(tmp_path):
    before = compared(tmp_path)
    numbers = {path: path.read_text() for path in (tmp_path / FOLDER).glob("*/number.json")}
    after = compared(tmp_path, force=True)
    assert controls_of(before) == controls_of(after)
    assert all(path.read_text() != text for path, text in numbers.items())
    taken = [line for run in after.runs for line in run.record.manifest["log"] if line.startswith("control ")]
    assert len(taken) == 4
