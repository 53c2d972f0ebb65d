"""A first one is named from three seeds on, where it is ahead on each; else ties are said; and which pairs are run."""

from __future__ import annotations

from itertools import permutations

import pytest

from neuroanp.requiring.ranking import ranked, worst_pairs
from tests.close import close
from tests.requiring.test_response import finding


def test_the_chance_is_that_of_one_being_first_on_every_seed() -> None:
    names = "abc"
    orders = list(permutations(range(3)))
    first = 0
    for one in orders:
        for two in orders:
            gains = {name: [1.0 + one[i], 1.0 + two[i]] for i, name in enumerate(names)}
            first += any(all(gains[name][s] == 3.0 for s in range(2)) for name in names)
    found = ranked({name: [1.0, 2.0] for name in names})
    assert found.chance == close(first / len(orders) ** 2)


def test_nothing_is_named_from_one_or_two_seeds() -> None:
    for seeds in (1, 2):
        found = ranked({"a": [5.0] * seeds, "b": [0.1] * seeds})
        assert found.first is None
        assert found.ties[0] == "a"
    assert ranked({"a": [5.0] * 3, "b": [0.1] * 3}).first is None  # by chance one of four times
    assert ranked({"a": [5.0] * 4, "b": [0.1] * 4}).first == "a"
    assert ranked({"a": [5.0] * 3, "b": [0.1] * 3, "c": [0.1] * 3}).first == "a"


@pytest.mark.parametrize("place", range(3))
def test_one_seed_on_which_another_is_ahead_is_a_tie_and_said_with_whom(place: int) -> None:
    gains = {"a": [1.0, 1.0, 1.0], "b": [0.5, 0.5, 0.5], "c": [0.1, 0.1, 0.1]}
    gains["b"][place] = 1.5
    found = ranked(gains)
    assert found.first is None
    assert found.ties == ("a", "b")


def test_it_is_the_same_seeds_that_are_compared() -> None:
    # b's best seed is above a's worst, but on no seed is b ahead of a
    assert ranked({"a": [1.0, 2.0, 3.0, 4.0], "b": [0.5, 1.5, 2.5, 3.5]}).first == "a"


def test_nothing_is_named_that_loses_on_a_seed() -> None:
    assert ranked({"a": [1.0, 1.0, -0.1], "b": [0.5, 0.5, -0.5]}).first is None
    assert ranked({}).first is None


def sweeps(ideals: list[float], stated: float):
    """Return findings whose ideals have these losses on two seeds, all worse with the value."""
    made = [finding({"ideal": [loss] * 2, 1.0: [stated] * 2, 10.0: [10 * stated] * 2}, stated=1.0) for loss in ideals]
    return made, [made[0].target.distance(stated)] * 2


def test_pairs_are_of_what_brings_most_where_none_alone_suffices() -> None:
    found, distances = sweeps([0.5, 0.02, 0.1, 2.0], stated=1.0)
    pairs = worst_pairs(found, distances, met=False, most=2)
    assert [(found.index(a[0]), found.index(b[0])) for a, b in pairs] == [(1, 2), (1, 0)]
    assert {value for pair in pairs for _, value in pair} == {"ideal"}
    assert len(worst_pairs(found, distances, met=False, most=50)) == 6  # what is worse alone may help the others


def test_no_pairs_are_run_where_one_alone_suffices_or_none_is_asked_for() -> None:
    found, distances = sweeps([0.005, 0.02], stated=1.0)
    assert worst_pairs(found, distances, met=False, most=3) == []
    found, distances = sweeps([0.05, 0.02], stated=1.0)
    assert worst_pairs(found, distances, met=False, most=0) == []


def test_pairs_of_a_profile_that_meets_the_target_are_of_what_has_least_to_spare() -> None:
    def one(at: float):
        return finding({x: [0.01 * x / at] * 2 for x in (0.1, 1.0, 10.0, 100.0)}, stated=1.0)

    found = [one(50.0), one(20.0), one(30.0), one(2.0)]
    pairs = worst_pairs(found, [-1.0, -1.0], met=True, most=3)
    # the one that misses the target at its very next value has nothing worse that was met to combine
    assert [(found.index(a[0]), found.index(b[0])) for a, b in pairs] == [(1, 2), (1, 0), (2, 0)]
    assert {value for pair in pairs for _, value in pair} == {10.0}


def test_why_none_is_first_is_said() -> None:
    from neuroanp.requiring.words import _tied

    by_chance = _tied(ranked({"a": [5.0] * 3, "b": [0.1] * 3}), "brings most")
    assert "one of 2 would be first on all 3 seeds with probability 0.25: take more seeds" in by_chance
    assert "not on every seed against b" in _tied(ranked({"a": [5.0, 5.0, 0.0], "b": [0.1] * 3}), "brings most")
    assert "on one seed it brings nothing" in _tied(
        ranked({"a": [5.0, 5.0, 0.0], "b": [-1.0] * 3, "c": [-1.0] * 3}), "brings most"
    )
