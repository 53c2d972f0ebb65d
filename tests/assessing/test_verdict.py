"""The verdict where the losses are known: the words follow from the sign test alone, and what cannot be told is not."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, inf
from typing import Any

import pytest

from neuroanp.assessing.asked import few
from neuroanp.assessing.verdict import AS_IDEAL, FROZEN, LEARNS, MEAN, NOT, OPEN, RIDGE, Held, against, verdict
from neuroanp.reporting.method import Method, methods
from neuroanp.reporting.origins import Origins
from tests.close import close

SCATTER = (0.9, 0.95, 1.0, 1.05, 1.1)


def method(
    loss: Sequence[float] | float = 0.1, frozen: float | None = 0.5, ridge: float | None = 0.4, refit: float = 0.1,
    profile: str = "mine", noisy: bool = False, status: str = "finished", **more: Any,
) -> Method:  # fmt: skip
    """Return a method of five seeds: losses as given, or scattered by 10 %, and controls scattered alike."""
    losses = [loss * k for k in SCATTER] if isinstance(loss, float) else [*loss]
    rows = []
    for seed, one in enumerate(losses):
        k = SCATTER[seed % len(SCATTER)]
        controls: dict[str, Any] = {"constant_mean": 1.0}
        if frozen is not None:
            controls["frozen_recurrence"] = frozen * k
        if ridge is not None:
            under = "_noisy" if noisy else ""
            controls |= {f"ridge{under}": ridge * k, f"refit{under}": refit * k}
            if noisy:  # without noise it would be told otherwise
                controls |= {"ridge": 0.01, "refit": 0.02}
        rows.append(
            {"task": "copy", "profile": profile, "backend": "rate", "rule": "anp", "seed": seed, "status": status,
             "test_loss": one, "controls": controls, "origins": Origins(noise=""), **more}
        )  # fmt: skip
    return methods(rows)[0]


IDEAL = method(profile="ideal")


def test_what_is_below_all_controls_on_each_seed_learns_and_as_well_as_what_it_overlaps() -> None:
    found = verdict(method([0.11, 0.09, 0.1, 0.12, 0.1]), IDEAL)
    assert found.word == AS_IDEAL
    assert found.learned
    assert [one.other for one in found.held] == [MEAN, FROZEN, RIDGE]
    assert [one.below for one in found.held] == [5, 5, 5]
    assert found.ideal is not None


def test_what_the_ideal_device_is_below_on_each_seed_learns_and_no_more() -> None:
    assert verdict(method(0.2), IDEAL).word == LEARNS  # .2 against .1, seed by seed
    assert verdict(method(0.1001), IDEAL).word == LEARNS  # by little, and on all five: p = 1/32
    assert verdict(method([0.2, 0.2, 0.2, 0.2, 0.05]), IDEAL).word == AS_IDEAL  # on four of five: p = 6/32
    assert verdict(method(0.05), IDEAL).word == AS_IDEAL  # it is better


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"loss": 1.2}, NOT),  # above the constant mean
        ({"loss": 0.7}, NOT),  # above the frozen recurrence
        ({"refit": 0.6}, NOT),  # the recurrence got worse
        ({"loss": [0.6, 0.6, 0.1, 0.1, 0.1]}, OPEN),  # below the frozen recurrence on three of five
        ({"loss": [0.6, 0.6, 0.6, 0.6, 0.1]}, OPEN),  # above it on four of five: p = 6/32
        ({"frozen": None}, OPEN),
        ({"ridge": None}, OPEN),
        ({"ridge": 1e-14, "refit": 1e-15}, OPEN),  # nothing is left to be learned
        ({"loss": [0.1, 0.1, 0.1, 0.1]}, OPEN),  # four seeds: p = 1/16
        ({"loss": [0.1, 0.1]}, OPEN),
        ({"loss": 0.1, "status": "diverged"}, OPEN),  # none of its controls is there
    ],
)
def test_what_is_not_below_a_control_does_not_learn_or_cannot_be_told(changes: dict[str, Any], word: str) -> None:
    found = verdict(method(**changes), IDEAL)
    assert found.word == word
    assert (found.why == "") == (word == NOT)
    assert not found.learned


def test_why_it_cannot_be_told_is_said() -> None:
    assert "5 seeds do not tell it from the frozen recurrence;" in verdict(method([0.6, 0.6, 0.1, 0.1, 0.1]), IDEAL).why
    assert verdict(method([0.1] * 4), IDEAL).why == "4 seeds are too few, even if all agree; take --seeds 5"
    assert verdict(method(frozen=None), IDEAL).why == "its runs have no control that is the frozen recurrence"


def test_nothing_is_held_against_a_device_where_the_ideal_one_does_not_learn_either() -> None:
    for ideal in (method(0.7, profile="ideal"), method([0.1] * 4, profile="ideal")):
        found = verdict(method(1.2), ideal)
        assert (found.word, found.learned) == (OPEN, False)
        assert "the ideal device has not been shown to learn it here either" in found.why
    assert verdict(method(), method(0.7, profile="ideal")).word == AS_IDEAL  # it does


def test_on_a_noisy_chip_readouts_under_its_noise_decide() -> None:
    assert verdict(method(noisy=True), IDEAL).word == AS_IDEAL
    assert verdict(method(noisy=True, refit=0.6), IDEAL).word == NOT


def test_a_run_that_diverged_counts_as_infinitely_bad() -> None:
    rows = [*method(0.1).results[:4], {**method(0.1).results[4], "status": "diverged", "test_loss": None}]
    found = verdict(methods(rows)[0], IDEAL)
    assert found.word == OPEN
    assert found.held[1].losses[-1][0] == inf
    assert found.held[1].below == 4


def test_the_probability_is_that_of_the_sign_test() -> None:
    for wins in range(6):
        pairs = tuple((0.5 if seed < wins else 1.5, 1.0) for seed in range(5))
        one = Held("it", "other", pairs)
        side = wins if wins > 2 else 5 - wins
        assert one.chance == close(sum(comb(5, k) for k in range(side, 6)) / 32)
        assert one.told == {5: True, 0: False}.get(wins)
    assert Held("it", "other", tuple((0.5, 1.0) for _ in range(8))).told is True
    seven = (*((0.5, 1.0),) * 7, (1.5, 1.0))
    assert Held("it", "other", seven).told is True  # 9/256
    assert Held("it", "other", (*seven[1:], (1.5, 1.0))).told is None  # 37/256


def test_a_device_is_held_to_the_ideal_one_by_the_seeds_that_both_have() -> None:
    mine = method([0.2, 0.3, 0.4, 0.5, 0.6])
    theirs = methods([one for one in IDEAL.results if one["seed"] in (1, 3)])[0]
    found = against(mine, theirs)
    assert found is not None
    assert [other for _, other in found.losses] == [0.3, 0.5]
    assert against(mine, methods([{**IDEAL.results[0], "seed": 99}])[0]) is None


def test_seeds_that_can_tell_nothing_are_said_before() -> None:
    assert few(5) == few(8) == ""
    assert few(3) == "3 seeds can tell no loss from a control (below it on each by chance: 0.12); take --seeds 5"
