"""Devices measured at known truth, tasks of a second, and runs made in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from examples.data import synthesize
from neuroanp.comparing.worker import Outcome, work
from neuroanp.devices.gaussian import GaussianProgramming

TINY = """
task: {name: copy, length: 1, delay: 1, symbols: 2, test_size: 8}
network: {hidden: 6}
training: {updates: 4, batch: 2, controls: false}
"""
"""Without controls, which take the time: of them nothing can be told."""
FULL_SCALE = 25e-6


def written(path: Path, error: float, writes: int = 420) -> Path:
    """Record what writes leave of devices with a Gaussian error, siemens."""
    law = GaussianProgramming(sigma_absolute=error, sigma_relative=0.0)
    rng = np.random.default_rng(0)
    path.write_text(synthesize.as_csv(synthesize.programming(law, FULL_SCALE, writes, rng), digits=8))
    return path


class InTurn:
    """Does jobs one after another in this process, and counts those that the store did not have."""

    def __init__(self) -> None:
        self.done = 0

    def __call__(self, jobs: Any, workers: int, tell: Any, logged: Any = None) -> list[Outcome]:
        from neuroanp.comparing.pool import planned

        outcomes = []
        for plan in planned(jobs):
            self.done += not (plan.path / "result.json").is_file()
            outcomes.append(work(plan.job, lambda kind, content: None))
        return outcomes


@pytest.fixture
def in_turn() -> Iterator[InTurn]:
    """Runs are made in this process: tests/comparing has those of workers."""
    with pytest.MonkeyPatch.context() as patch:
        runs = InTurn()
        patch.setattr("neuroanp.comparing.pool.run_all", runs)
        yield runs


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a good device's record and a tiny task."""
    monkeypatch.chdir(tmp_path)
    written(Path("good.csv"), 0.2e-6)
    Path("tiny.yaml").write_text(TINY)
    return tmp_path


def content() -> dict[str, bytes]:
    """Return the content of all files below the working directory, by name."""
    return {str(path): path.read_bytes() for path in sorted(Path().rglob("*")) if path.is_file()}
