"""The table, the figure and the sentences of a search."""

from __future__ import annotations

from math import inf

import pytest

from neuroanp.reporting import tuning


def search(rule="anp", medians=(0.4, 0.2, 0.3), values=(0.001, 0.01, 0.1), chosen=1, **more):
    points = [{"optimizer.lr": value} for value in values]
    trials = [
        {
            "values": point,
            "seed": seed,
            "loss": median * (1 + 0.1 * (seed - 9.5)),
            "passes": 10,
            "run": "x",
            "status": "",
        }
        for point, median in zip(points, medians, strict=True)
        for seed in (9, 10)
    ]
    return {
        "task": "copy: length 1", "profile": "ideal", "backend": "rate", "rule": rule, "options": {},
        "grid": {"optimizer.lr": list(values)}, "seeds": [9, 10], "trials": trials, "medians": list(medians),
        "chosen": None if chosen is None else points[chosen], "loss": min(medians), "at_edge": [], "idle": [],
        "runs": len(trials), "passes": 10 * len(trials), **more,
    }  # fmt: skip


def texts(table):
    return [[str(cell) for cell in row.cells] for row in table.rows]


def test_values_stand_side_by_side_with_what_was_chosen():
    table = tuning.table([search(), search("bptt", (0.5, inf, 0.1), chosen=2)])
    assert [column.header for column in table.columns] == [
        "profile", "rule", "chosen", "0.001", "0.01", "0.1", "trials", "passes"
    ]  # fmt: skip
    assert texts(table) == [
        ["ideal", "anp", "0.01", "0.400 [0.380, 0.420]", "0.200 [0.190, 0.210]", "0.300 [0.285, 0.315]", "6", "60"],
        ["ideal", "bptt", "0.1", "0.500 [0.475, 0.525]", "diverged", "0.100 [0.0950, 0.105]", "6", "60"],
    ]
    assert [[cell.strong for cell in row.cells[3:6]] for row in table.rows] == [
        [False, True, False],
        [False, False, True],
    ]


def test_many_values_or_keys_stand_one_below_the_other():
    values = tuple(0.001 * k for k in range(1, 11))
    table = tuning.table([search(medians=values, values=values, chosen=0)])
    assert [column.header for column in table.columns][2:] == [
        "optimizer.lr", "validation loss", "trials", "passes", "chosen"
    ]  # fmt: skip
    rows = texts(table)
    assert len(rows) == 10
    assert [row[:3] for row in rows[:2]] == [["ideal", "anp", "0.001"], ["", "", "0.002"]]
    assert [row[-1] for row in rows] == ["chosen", *[""] * 9]
    assert {tuple(row[-3:-1]) for row in rows} == {("2", "20")}
    assert tuning.figure([search()], "mean squared error") is not None


def test_sentences_say_what_was_tried_on_what_and_what_to_doubt():
    edge = search("np", chosen=0, at_edge=["optimizer.lr"])
    lost = search("bptt", (inf, inf, inf), chosen=None)
    first, *others = tuning.sentences([search(), edge, lost])
    assert first == (
        "Tuned on seeds 9, 10, which are not reported: optimizer.lr of 0.001, 0.01, 0.1. 6 trials for each; the lowest "
        "median validation loss wins."
    )
    assert others == [
        "ideal · bptt: 6 of 6 trials diverged.",
        "ideal · np: the best optimizer.lr, 0.001, is the lowest that was tried: a better one may lie beyond; widen "
        "--tune.",
        "ideal · bptt: nothing could be chosen: every median is infinite; widen --tune.",
    ]
    assert (
        tuning.warnings([search(chosen=2, at_edge=["optimizer.lr"])])[0]
        .partition(": ")[2]
        .startswith("the best optimizer.lr, 0.1, is the highest")
    )
    assert tuning.chosen([search(), lost]) == [
        "tuned ideal · anp: optimizer.lr 0.01, median validation loss 0.200 of 2 seeds"
    ]
    assert tuning.sentences([]) == tuning.of_task([search()], "copy: length 2") == []


def test_axes_and_backends_are_named():
    one = search(options={"network.hidden": 5}, backend="lif")
    assert tuning.label(one) == "ideal · anp · lif (network.hidden 5)"
    heads = [column.header for column in tuning.table([one, search(options={"network.hidden": 6})]).columns]
    assert heads[:4] == ["backend", "profile", "rule", "network.hidden"]


@pytest.mark.parametrize(
    "one",
    [search(values=("a", "b", "c")), search(values=(0.0, 0.1, 0.2)), search(medians=(inf, inf, inf), chosen=None)],
    ids=["words", "zero", "diverged"],
)
def test_no_figure_where_nothing_can_be_drawn(one):
    assert tuning.figure([one], "mean squared error") is None


def test_the_figure_shows_medians_seeds_and_what_was_chosen():
    figure = tuning.figure([search(), search("bptt", (0.5, inf, 0.1), chosen=2)], "mean squared error")
    assert figure is not None
    (axes,) = figure.axes
    lines = [list(zip(*line.get_data(), strict=True)) for line in axes.lines]
    assert lines[0] == [(0.001, 0.4), (0.01, 0.2), (0.1, 0.3)]
    assert len(lines[1]) == 6  # seeds
    assert lines[2] == [(0.01, 0.2)]  # the ring
    assert lines[3] == [(0.001, 0.5), (0.1, 0.1)]  # what diverged is left out
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("optimizer.lr", "validation loss (mean squared error)")


def test_a_key_that_made_no_difference_is_named():
    (said,) = tuning.warnings([search(idle=["optimizer.lr"])])
    assert said == "ideal · anp: optimizer.lr made no difference to any trial; the rule, as it is set, does not use it"
    record = {key: value for key, value in search().items() if key != "idle"}  # of before it was looked for
    assert tuning.warnings([record]) == []
