"""The benchmark of the default rule: both sides get the same passes, and are counted seed by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.defaults import PROFILES, RULES, TASKS, body, cases
from neuroanp.learning.readouts import RIDGE
from neuroanp.training.configure import configure


def test_both_rules_have_as_many_passes_of_the_same_sequences() -> None:
    every = cases()
    assert len(every) == len(TASKS) * len(PROFILES) * len(RULES)
    for usual, plain, small in zip(*(every[k::3] for k in range(3)), strict=True):
        one, other, third = (configure(case.base, case.overrides) for case in (usual, plain, small))
        assert (one.rule.model_dump()["preset"], other.rule.model_dump()["preset"]) == ("inferred", "default")
        assert third == one.model_copy(update={"rule": one.rule.model_copy(update={"ridge": RIDGE})}) != one
        assert one.rule.plan().passes == other.rule.plan().passes == 2
        assert one.training == other.training
        assert (one.profile, one.task, one.network) == (other.profile, other.task, other.network)


def test_the_default_is_ahead_where_it_is_on_most_seeds() -> None:
    found: dict[str, Sequence[Mapping[str, Any] | None]] = {}
    for case in cases():
        found[case.label] = [{"test_loss": loss} for loss in (1.0, 2.0, 3.0)]
    for profile in PROFILES:
        found[f"copy, {profile}, where none is named"] = [{"test_loss": loss} for loss in (0.5, 1.0, 9.0)]
    found["digits, pcm, where none is named"] = [None, {"test_loss": 1.0}, {"test_loss": 1.0}]  # one diverged
    found["mackey_glass, ideal, where none is named"] = [{"test_loss": loss} for loss in (0.5, 9.0, 9.0)]  # one seed
    lines = [" ".join(line.split()) for line in body(found).splitlines()]
    assert "| copy | ideal | 2 [1 .. 3] | 1 [0.5 .. 9] | 2 [1 .. 3] | 0.5 | 2 of 3 |" in lines
    assert "| digits | pcm | 2 [1 .. 3] | 1 of 3 diverged | 2 [1 .. 3] | 0.5 | 2 of 3 |" in lines
    assert lines[-3:] == [
        "- met: copy: below plain ANP on most seeds on 5 of 5 devices",
        "- NOT MET: digits: below plain ANP on most seeds on 1 of 5 devices",
        "- NOT MET: mackey_glass: below plain ANP on most seeds on 0 of 5 devices",
    ]


def test_half_of_the_seeds_are_not_most() -> None:
    found: dict[str, Sequence[Mapping[str, Any] | None]] = {
        case.label: [{"test_loss": loss} for loss in (1.0, 2.0)] for case in cases()
    }
    for profile in PROFILES:
        found[f"copy, {profile}, where none is named"] = [{"test_loss": 0.5}, {"test_loss": 9.0}]
    assert "- NOT MET: copy: below plain ANP on most seeds on 0 of 5 devices" in body(found)
