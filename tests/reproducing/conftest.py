"""Experiments so small that a run takes a second, and results that are made up."""

from collections.abc import Mapping

import pytest

from neuroanp.reproducing.experiments import Experiment
from neuroanp.reproducing.running import Measured

COPY = {"name": "copy", "length": 2, "delay": 1, "symbols": 2, "test_size": 8}
GLASS = {"name": "mackey_glass", "steps": 12, "washout": 4, "horizon": 3, "train_length": 200, "test_size": 4}
WAYS = ("anp", "danp", "np", "wp", "mean", "echo", "bptt", "bptt1")


def tiny(data=None) -> dict[str, Experiment]:
    """Return experiments of 8 passes with all names that there are; psMNIST is of files that are not there."""
    fixed = {**COPY, "mode": "fixed", "fresh_test": True}
    tasks: Mapping[str, Mapping] = {
        "forecast": GLASS, "recall": {**GLASS, "direction": "recall"}, "copy_fixed": fixed, "copy_fresh": COPY,
        "weather": {"name": "weather", "horizon": 1, "window": 12, "washout": 4},
        "psmnist": {"name": "mnist", "permute": 0}, "scaling": fixed,
    }  # fmt: skip
    measures = {"copy_fixed": "trained", "scaling": "trained"}
    return {
        name: Experiment(
            name, task, (3, 5) if name == "scaling" else (4,), 2, 8,
            ("anp", "danp", "bptt1") if name == "scaling" else WAYS, 1e-2, measure=measures.get(name, "loss"),
        )
        for name, task in tasks.items()
    }  # fmt: skip


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the tiny experiments in place of the quick ones."""
    monkeypatch.setattr("neuroanp.reproducing.paper.at_quick", tiny)


def run(
    way: str, seed: int, loss: float | None, experiment: str = "recall", hidden: int = 4, **more: float
) -> Measured:
    """Return a result that is made up; without a loss it failed."""
    values = {} if loss is None else {"loss": loss, **more}
    return Measured(experiment, way, hidden, seed, 4, 0.1, values, None if loss is not None else "the disk was full")
