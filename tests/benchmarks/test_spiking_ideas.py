"""What was tried on spiking XOR: every idea is one that can be run, and is another than where it starts."""

from __future__ import annotations

import importlib
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from neuroanp.training.configure import configure


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import the script as it is started: its neighbours go by bare names."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    yield importlib.import_module("spiking_ideas")
    for name in ("spiking_ideas", "spiking_echo", "common"):
        sys.modules.pop(name, None)


def test_each_idea_is_a_change_of_where_it_starts(script) -> None:
    start, *ideas = (configure(case.base, case.overrides) for case in script.cases())
    assert (start.rule.gamma, start.optimizer.lr, start.training.updates) == (0, 0.03, 1600)
    assert start.profile == "smtj_koenders"
    each = [config.model_dump_json() for config in (start, *ideas)]
    assert len(set(each)) == len(each) == 23
    assert all(config.training == start.training for config in ideas)


def test_ideas_are_sorted_by_the_loss_without_noise_on_tuning_seeds(script, monkeypatch) -> None:
    asked, kept = {}, {}

    def runs(cases, options, first):
        asked.update(first=first, seeds=options.seeds)
        return {
            case.label: [{"test_loss_noise_free": 100.0 - k + seed, "test_loss": float(k)} for seed in range(2)]
            for k, case in enumerate(cases)
        }

    monkeypatch.setattr(script, "run_cases", runs)
    monkeypatch.setattr(script, "arguments", lambda *given, **named: Namespace(**named))
    monkeypatch.setattr(script, "keep", lambda name, title, body: kept.update({name: body}))
    script.main()
    assert asked == {"first": 100, "seeds": 4}
    lines = kept["spiking_ideas"].splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == [case.label for case in script.cases()][::-1]
    assert " ".join(lines[-1].split()) == "| as it starts | 100 [100 .. 101] | 0 [0 .. 0] |"
