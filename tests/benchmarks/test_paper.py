"""Tuning of the benchmark of the paper: a run that diverged lost, one that failed is no loss at all."""

from __future__ import annotations

import argparse
import importlib
import sys
from math import inf
from pathlib import Path

import pytest

import benchmarks
from neuroanp.comparing.worker import Outcome
from neuroanp.errors import DivergedError, RunError
from neuroanp.reproducing.running import Cell, plain
from neuroanp.training.configure import configure
from neuroanp.training.launch import launch
from tests.reproducing.conftest import tiny


@pytest.fixture
def paper(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(next(iter(benchmarks.__path__))))
    yield importlib.import_module("paper")
    for name in ("paper", "common"):
        sys.modules.pop(name, None)


def trained(root: Path, lr: float, **training: int) -> tuple[Cell, Outcome]:
    """Return a run of four updates and what became of it."""
    cell = Cell(tiny()["recall"], "bptt", 4, 100, quick=True)
    config = plain(cell, lr)
    config["training"] |= {"controls": False, **training}
    return cell, Outcome("bptt", launch(configure(config), root).path)


def test_a_run_that_failed_is_an_error_and_one_that_diverged_an_infinite_loss(paper, tmp_path: Path) -> None:
    assert 0.0 < paper.validated(*trained(tmp_path, 1e-3, validation=2)) < 10.0
    cell = Cell(tiny()["recall"], "anp", 4, 100, quick=True)
    with pytest.raises(RunError, match="recall anp, seed 100: the disk was full; mend it"):
        paper.validated(cell, Outcome("anp", None, "the disk was full"))
    with pytest.raises(RunError, match="has no validation loss"):
        paper.validated(*trained(tmp_path, 1e-2))
    with pytest.raises(DivergedError) as ended:
        launch(configure(plain(cell, 1e3)), tmp_path)
    assert paper.validated(cell, Outcome("anp", ended.value.path, str(ended.value))) == inf


def test_cases_take_the_seeds_that_they_are_given(paper, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    common = sys.modules["common"]
    seeds: list[int] = []

    def run_all(jobs, workers, tell):
        seeds.extend(job.config.seed for job in jobs)
        return [Outcome("", None, "not run") for _ in jobs]

    monkeypatch.setattr(common, "run_all", run_all)
    options = argparse.Namespace(seeds=3, workers=1, runs=tmp_path)
    for first in (None, 200):
        found = common.run_cases([common.Case("a", {"task": "copy"}, {})], options, *[first] * (first is not None))
        assert found == {"a": [None, None, None]}
    assert seeds == [0, 1, 2, 200, 201, 202]
