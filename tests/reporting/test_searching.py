"""The table, the figure and the sentences of a search that drew its points."""

from __future__ import annotations

from math import inf

import pytest

from neuroanp.reporting import searching, tuning

OVER = {"low": 1e-4, "high": 1e-1, "log": True}


def search(rule="anp", kind="random", losses=((0.4, 0.2), (inf, 0.3), (0.1, 0.3)), chosen=2, place=0.5, **more):
    """Three points on two seeds; medians .3, inf, .2."""
    points = [{"optimizer.lr": lr, "network.hidden": n} for lr, n in ((1e-3, 5), (1e-1, 6), (3.162e-3, 7))]
    trials = [
        {"values": point, "seed": seed, "loss": loss, "passes": 10, "run": "x", "status": ""}
        for point, row in zip(points, losses, strict=True)
        for seed, loss in zip((9, 10), row, strict=True)
    ]
    medians = [sum(row) / 2 for row in losses]
    return {
        "task": "copy: length 1", "profile": "ideal", "backend": "rate", "rule": rule, "options": {},
        "grid": {"optimizer.lr": OVER, "network.hidden": [5, 6, 7]}, "seeds": [9, 10], "trials": trials,
        "medians": medians, "chosen": None if chosen is None else points[chosen], "loss": min(medians), "at_edge": [],
        "idle": [], "runs": len(trials), "passes": 10 * len(trials),
        "search": {"kind": kind, "trials": 3, "seed": 0}, "place": {} if chosen is None else {"optimizer.lr": place},
        **more,
    }  # fmt: skip


def test_the_table_has_the_best_point_with_its_place_and_the_budget():
    found = tuning.table([search(), search("bptt", losses=((inf, inf),) * 3, chosen=None)])
    assert [column.header for column in found.columns] == [
        "profile", "rule", "optimizer.lr", "network.hidden", "validation loss", "points", "diverged", "trials", "passes"
    ]  # fmt: skip
    assert [[str(cell) for cell in row.cells] for row in found.rows] == [
        ["ideal", "anp", "0.003162 [at 50 %]", "7", "0.200 [0.100, 0.300]", "3", "1", "6", "60"],
        ["ideal", "bptt", "none", "none", "none", "3", "6", "6", "60"],
    ]
    assert tuning.title([search()]) == "tuning: the best optimizer.lr and network.hidden, by median validation loss"


def test_sentences_say_ranges_budget_and_edges():
    edge = search("np", place=0.021, at_edge=["optimizer.lr"])
    first, *others = tuning.sentences([search(), edge])
    assert first == (
        "Tuned on seeds 9, 10, which are not reported: optimizer.lr from 0.0001 to 0.1 (log); network.hidden of 5, 6, "
        "7. 3 points, drawn at random (seed 0), 6 trials for each of 2: the same number for all; the lowest median "
        "validation loss wins."
    )
    assert others == [
        "ideal · anp: 1 of 6 trials diverged.",
        "ideal · np: 1 of 6 trials diverged.",
        "ideal · np: the best optimizer.lr, 0.003162, lies at 2 % of its range, near the lower end: a better one may "
        "lie beyond; widen --tune.",
    ]
    assert "near the upper end" in tuning.warnings([search(place=0.97, at_edge=["optimizer.lr"])])[0]
    assert searching.budget([search()]) == "3 points, drawn at random (seed 0), 6 trials"
    assert "proposed by Optuna (TPE) (seed 0)" in searching.budget([search(kind="optuna")])


def test_unlike_budgets_are_told():
    assert searching.budget([search(), search(runs=4)]).endswith(
        "unlike numbers of trials, 4, 6: not a fair comparison"
    )


def test_the_figure_shows_how_the_lowest_loss_fell():
    one = search(losses=((inf, inf), (0.4, 0.4), (0.5, 0.5)), chosen=1)
    assert searching.falling(one) == [inf, 0.4, 0.4]
    drawn = tuning.figure([one, search("bptt")], "squared error")
    assert drawn is not None
    (axes,) = drawn.axes
    lines = [list(zip(*line.get_data(), strict=True)) for line in axes.lines]
    assert lines == [[(2, 0.4), (3, 0.4)], [(1, 0.30000000000000004), (2, 0.30000000000000004), (3, 0.2)]]
    assert axes.get_yscale() == "log"
    several = tuning.figure([search(options={"network.hidden": n}) for n in (5, 6)], "squared error")
    assert several is not None
    names = [text.get_text() for legend in several.legends for text in legend.get_texts()]
    assert names == ["ideal · anp (network.hidden 5)", "ideal · anp (network.hidden 6)"]


@pytest.mark.parametrize("one", [search(losses=((inf, inf),) * 3, chosen=None), search(losses=((0.0, 0.0),) * 3)])
def test_no_figure_where_nothing_can_be_drawn(one):
    assert tuning.figure([one], "squared error") is None


def test_searches_of_unlike_kinds_are_shown_apart():
    """A report of several comparisons has searches that tried other things."""
    grid = {key: value for key, value in search().items() if key not in ("search", "place")}
    grid["grid"] = {"optimizer.lr": [1, 2]}
    groups = tuning.alike([search(), grid, search("bptt"), search(kind="optuna")])
    assert [[one["rule"] for one in group] for group in groups] == [["anp", "bptt"], ["anp"], ["anp"]]
    assert [searching.is_drawn(group[0]) for group in groups] == [True, False, True]
