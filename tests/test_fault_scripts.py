"""The fault scripts call nothing well of which they have seen nothing."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.faults import common, damage
from benchmarks.faults.common import Ended

RESULT = {"score": 0.25}
BASE: Any = SimpleNamespace(evaluated=[{"update": 8, **RESULT}, {"update": 24, **RESULT}], end={"result": RESULT})


def printed(rows: list[dict[str, Any]]) -> Ended:
    return Ended(0, json.dumps({"results": rows}) + "\n")


@pytest.mark.parametrize(
    ("action", "ended", "said"),
    [
        ("load", Ended(0, ""), "0 results where 1 are due"),
        ("evaluate", Ended(0, "warning: nothing to see"), "0 results where 2 are due"),
        ("evaluate", printed(BASE.evaluated[:1]), "1 results where 2 are due"),
        ("evaluate", printed([BASE.evaluated[0], {"score": 0.5}]), "score is 0.5, was 0.25, and nothing was said"),
        ("evaluate", printed(BASE.evaluated), None),
        ("load", printed([RESULT]), None),
        ("load", Ended(2, "error: damaged"), None),
    ],
)
def test_a_command_that_succeeds_gives_all_its_numbers(action: str, ended: Ended, said: str | None) -> None:
    found = damage.wrong(action, ended, Path("whole-1/run"), BASE, True, "")
    assert found == said if said is None else said in str(found)


@pytest.mark.parametrize(("done", "faults", "code"), [(3, [], 0), (2, [], 1), (3, ["trial 1"], 1)])
def test_fewer_faults_than_asked_for_are_told(done: int, faults: list[str], code: int, capsys) -> None:
    options = argparse.Namespace(count=3, seed=0, keep=False)
    with pytest.raises(SystemExit) as ended:
        common.report("kills", options, [("kills", done), ("runs", 1)], faults)
    assert ended.value.code == code
    assert ("2 kills of the 3 that were asked for" in capsys.readouterr().out) == (done < 3)


def test_a_run_to_compare_with_must_have_ended_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "root" / "run").mkdir(parents=True)
    for code in (1, None):
        monkeypatch.setattr(common, "in_child", lambda work, log, code=code: Ended(code, "the disk is full"))
        with pytest.raises(SystemExit, match=f"undisturbed it ended with {code}: the disk is full"):
            common.undisturbed(common.SETUPS[0], tmp_path / "root", tmp_path / "log")


def test_a_difference_and_damage_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "final", lambda path: {"losses": [1.0]})
    assert common.differs("trial 1", tmp_path, {"losses": [1.0]}) is None
    assert common.differs("trial 1", tmp_path, {"losses": [2.0]}) == "trial 1: differs in losses"
    (tmp_path / "damaged").mkdir()
    assert common.differs("trial 1", tmp_path, {"losses": [1.0]}) == "trial 1: it tells of damage that nobody did"
