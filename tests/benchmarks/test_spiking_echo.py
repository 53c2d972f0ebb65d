"""The benchmark of echo with spiking units: rates by the tuning seeds, and the whole of it with a few updates."""

from __future__ import annotations

import importlib
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import the script as it is started: its neighbours go by bare names."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    yield importlib.import_module("spiking_echo")
    for name in ("spiking_echo", "common"):
        sys.modules.pop(name, None)


def test_each_method_takes_its_rate_of_the_lowest_median_on_seeds_that_are_not_reported(script, monkeypatch) -> None:
    asked = {}

    def runs(cases, options, first):
        asked.update(first=first, seeds=options.seeds)
        best = {label: script.RATES[k % 4] for k, (label, *_) in enumerate(script.rows())}
        losses = {
            case.label: (0.1, 0.3) if case.overrides["optimizer.lr"] == best[case.label.rpartition(", lr ")[0]]
            else (0.01, 9.0)
            for case in cases
        }  # fmt: skip
        return {label: [{"test_loss": loss} for loss in pair] for label, pair in losses.items()}

    monkeypatch.setattr(script, "run_cases", runs)
    found = script.chosen(Namespace(seeds=8))
    assert found == {label: script.RATES[k % 4] for k, (label, *_) in enumerate(script.rows())}
    assert asked == {"first": 100, "seeds": 2}


def test_the_whole_of_it_runs(script, monkeypatch, tmp_path) -> None:
    kept = {}
    monkeypatch.setattr(script, "PASSES", 32)
    monkeypatch.setattr(script, "RATES", (1e-2,))
    monkeypatch.setattr(script, "TUNING", (100, 1))
    monkeypatch.setattr(script, "BASE", {**script.BASE, "network": {"hidden": 6}})
    few = [
        (label, feedback, passes, {**each, "training.updates": min(each["training.updates"], 4)})
        for label, feedback, passes, each in script.rows() if "K=" not in label and label != "surrogate BPTT"
    ]  # fmt: skip
    monkeypatch.setattr(script, "rows", lambda: few)
    options = Namespace(seeds=1, workers=1, runs=tmp_path)
    monkeypatch.setattr(script, "arguments", lambda *given, **named: options)
    monkeypatch.setattr(script, "keep", lambda name, title, body: kept.update({name: body}))
    script.main()
    lines = kept["spiking_echo"].splitlines()
    assert len([line for line in lines if line.startswith("| ")]) == 1 + 1 + len(few)
    assert sum(" (edge)" in line for line in lines) == len(few) == 7
    assert len([line for line in lines if "(<= 1.5)" in line]) == 6
