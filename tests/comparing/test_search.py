"""Searches: which points they try, on the layer that asks and is told, with losses of a known function."""

from __future__ import annotations

from math import inf, log10
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroanp.comparing import search as module
from neuroanp.comparing.ranges import Range
from neuroanp.comparing.search import BATCH, START, Search, drawn, ends, search_of
from neuroanp.comparing.settings import Axis, axes_over
from neuroanp.errors import InputError

AXES = axes_over({"optimizer.lr": "1e-4..1e0:log", "network.hidden": "5..50", "optimizer.name": ["a", "b"]}, "--tune")


def loss(point):
    """A bowl with its floor, 0, at lr = 1e-2, 20 units and a."""
    return (
        (log10(point["optimizer.lr"]) + 2) ** 2
        + ((point["network.hidden"] - 20) / 15) ** 2
        + 0.5 * (point["optimizer.name"] != "a")
    )


def told_all(search, axes=AXES, of=loss):
    """Ask and tell until the search is through; return points with losses, and the sizes of its batches."""
    told, sizes = [], []
    while batch := search.next(axes, told):
        told += [(point, of(point)) for point in batch]
        sizes.append(len(batch))
    return told, sizes


# ---- random ----


@given(seed=st.integers(0, 2**40), few=st.integers(2, 20), more=st.integers(0, 30))
def test_a_longer_random_search_begins_with_the_points_of_a_shorter_one(seed, few, more):
    short, long = (told_all(Search("random", n, seed))[0] for n in (few, few + more))
    assert long[:few] == short
    assert len(long) == few + more
    assert told_all(Search("random", few, seed))[1] == [few]


def test_points_differ_by_seed_and_a_further_key_changes_no_other_s_values():
    one, other = drawn(AXES, 20, 0), drawn(AXES, 20, 1)
    assert not any(point in other for point in one)
    fewer = drawn(AXES[:1], 20, 0)
    assert [point["optimizer.lr"] for point in one] == [point["optimizer.lr"] for point in fewer]
    assert [*drawn(AXES[::-1], 20, 0)] == one  # nor does the order of the keys
    values = {key: [point[key] for point in one] for key in one[0]}
    assert len(set(values["optimizer.lr"])) == 20
    # keys are drawn by themselves: equal shares would make the one's order the other's
    ranks = [sorted(column).index(v) for column in (values["optimizer.lr"],) for v in column]
    others = [sorted(values["network.hidden"]).index(v) for v in values["network.hidden"]]
    assert ranks != others


@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=3), seed=st.integers(0, 99), data=st.data())
@settings(max_examples=30)
def test_points_are_different_and_so_many_as_there_are_can_be_had(sizes, seed, data):
    axes = [Axis(f"k.{i}", tuple(range(n))) for i, n in enumerate(sizes)]
    whole = Search().next(axes, [])
    number = data.draw(st.integers(1, len(whole)))
    points = drawn(axes, number, seed)
    assert len({repr(point) for point in points}) == number
    assert all(point in whole for point in points)


# ---- a grid ----


def test_a_grid_tries_all_points_once_the_last_key_fastest():
    axes = [Axis("a", (1, 2)), Axis("b", ("x", "y", "z"))]
    told, sizes = told_all(Search(), axes, lambda point: 0.0)
    assert [tuple(point.values()) for point, _ in told] == [(a, b) for a in (1, 2) for b in "xyz"]
    assert sizes == [6] == [Search().count(axes)]


# ---- Optuna ----

optuna = pytest.importorskip("optuna", reason="pip install neuroanp[search]")


def test_optuna_beats_the_median_of_random_search_at_the_same_budget():
    """On a bowl whose floor is known, over seeds: the best of 40 points, and what is proposed against draws."""
    seeds = range(8)
    found = {kind: [told_all(Search(kind, 40, seed))[0] for seed in seeds] for kind in ("random", "optuna")}
    assert {len(told) for each in found.values() for told in each} == {40}
    best = {kind: [min(y for _, y in told) for told in each] for kind, each in found.items()}
    assert median(best["optuna"]) < 0.5 * median(best["random"])
    assert median(best["optuna"]) < 0.1
    proposed = [median(y for _, y in told[START:]) for told in found["optuna"]]
    by_chance = [median(y for _, y in told[START:]) for told in found["random"]]
    assert all(mine < theirs for mine, theirs in zip(proposed, by_chance, strict=True))


def test_optuna_begins_with_random_points_and_asks_for_batches_of_one_size():
    told, sizes = told_all(Search("optuna", 23, 3))
    assert sizes == [START, BATCH, BATCH, 3]
    assert [point for point, _ in told[:START]] == drawn(AXES, START, 3)
    assert told_all(Search("optuna", 7, 3))[0] == told[:7]
    for point, _ in told:
        assert 1e-4 <= point["optimizer.lr"] <= 1
        assert 5 <= point["network.hidden"] <= 50
        assert type(point["network.hidden"]) is int
        assert point["optimizer.lr"] == float(f"{point['optimizer.lr']:.4g}")  # it can be typed again
        assert point["optimizer.name"] in ("a", "b")
    assert len({repr(point) for point, _ in told[START : START + BATCH]}) == BATCH


def test_a_longer_search_of_optuna_begins_with_the_points_of_a_shorter_one_and_a_repeat_has_the_same():
    long = told_all(Search("optuna", 32, 1))[0]
    for few in (12, 15, 21, 32):
        assert told_all(Search("optuna", few, 1))[0] == long[:few]
    assert told_all(Search("optuna", 32, 2))[0] != long


def test_what_diverges_is_the_worst_and_is_avoided():
    """Rates above 0.1 diverge: a third of what is drawn, and next to nothing of what is proposed."""

    def of(point):
        return inf if point["optimizer.lr"] > 0.1 else loss(point)

    lost = [[y == inf for _, y in told_all(Search("optuna", 40, seed), of=of)[0]] for seed in range(6)]
    drawn_, proposed = (sum(sum(one[part]) for one in lost) for part in (slice(START), slice(START, None)))
    assert drawn_ / (6 * START) > 2 * proposed / (6 * 30)
    everything, _ = told_all(Search("optuna", 17, 0), of=lambda point: inf)
    assert len(everything) == 17


def test_values_of_a_list_keep_their_kind():
    axes = [Axis("a", (True, 1, [1], {"x": 1}, "1", None)), Axis("b", (), "--tune", Range(0.0, 1.0))]
    told, _ = told_all(Search("optuna", 40, 0), axes, lambda point: point["b"] + (point["a"] is not None))
    proposed = [point["a"] for point, _ in told[START:]]
    assert {repr(value) for value in proposed} <= {repr(value) for value in axes[0].values}
    assert proposed.count(None) > 2 * len(proposed) / 6  # the best of them, twice as often as by chance
    from neuroanp.comparing import suggesting

    assert [suggesting._to(axes[0], value) for value in axes[0].values] == [*range(6)]
    assert all(suggesting._from(axes[0], k) is value for k, value in enumerate(axes[0].values))


def test_optuna_says_nothing_of_its_own_and_stays_as_it_was(capfd):
    optuna.logging.set_verbosity(optuna.logging.INFO)
    told_all(Search("optuna", 17, 0))
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == optuna.logging.INFO


# ---- what is asked for ----


def test_ends_have_every_end_and_every_value():
    points = ends(AXES)
    for axis, values in zip(AXES, ({1e-4, 1.0}, {5, 50}, {"a", "b"}), strict=True):
        assert {point[axis.key] for point in points} == values


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("randm", 5, None), "--search: 'randm' is none; did you mean 'random'? (there are: grid, random, optuna)"),
        ((3, 5, None), "--search: 3 is none"),
        ((None, None, None), "--tune optimizer.lr: 0.0001..1.0:log is a range to draw from, and a grid tries values"),
        (("grid", None, None), "--search random --trials 20, or how many values there are: 0.0001..1.0:log,4"),
        (("random", None, None), "--trials: missing; say how many points"),
        (("random", 1, None), "--trials: 1 (int) is not a whole number from 2 to 1,000"),
        (("random", 1001, None), "--trials: 1001 (int) is not a whole number from 2 to 1,000"),
        (("optuna", 2.5, None), "--trials: 2.5"),
        (("random", 5, -1), "--search-seed: -1"),
    ],
)
def test_what_is_no_search_is_told(given, said):
    with pytest.raises(InputError) as caught:
        search_of(*given, AXES)
    assert said in str(caught.value)


def test_what_a_grid_does_not_take_and_fewer_points_than_trials_are_told():
    lists = [Axis("a", (1, 2, 3))]
    assert search_of(None, None, None, lists) == search_of("grid", None, None, lists) == Search()
    for words, said in [((None, 5, None), "--trials: a grid tries"), ((None, None, 5), "--search-seed: a grid tries")]:
        with pytest.raises(InputError) as caught:
            search_of(*words, lists)
        assert said in str(caught.value)
    assert search_of("random", 3, None, lists) == Search("random", 3, 0)
    with pytest.raises(InputError, match="--trials: 4 trials, and there are 3 points; take at most 3"):
        search_of("random", 4, None, lists)
    whole = axes_over({"a": "0..1"}, "--tune")
    with pytest.raises(InputError, match=r"there are 2 points \(0..1 is of whole numbers; 0.0..1 is of any\)"):
        search_of("optuna", 3, None, whole)


def test_without_optuna_one_message_says_what_to_install(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(
        InputError, match=r"--search optuna: needs the package optuna.*pip install 'neuroanp\[search\]'"
    ):
        search_of("optuna", 5, None, AXES)
    assert search_of("random", 5, None, AXES).kind == "random"
