"""Figures of a page: their numbers as CSV, their colours on dark paper, their width on a phone; what captions say."""

import base64
import gc
import math
import re

import numpy as np
import pytest

from neuroanp.reporting import insights, plots
from neuroanp.reporting.figure_data import csv_of, read_back
from neuroanp.reporting.html import ENOUGH, section
from neuroanp.reporting.method import methods
from neuroanp.reporting.origins import numbers_of
from neuroanp.reporting.pictures import DARK, for_both, pictured, uncollected
from neuroanp.reporting.reading import shown
from neuroanp.reporting.style import new_figure, styled
from neuroanp.reporting.warned import grouped
from neuroanp.training.sections import TrainingConfig


@pytest.fixture
def learned(build):
    every = [shown(build(profile="pcm", seed=seed)) for seed in (0, 1, 2)]
    return methods([one.result for one in every]), {str(one.run.path): one.metrics for one in every}


def test_the_csv_of_a_curve_has_the_median_and_the_ends_of_the_band_to_the_last_bit(learned):
    group, metrics = learned
    figure = plots.learning_curves(group, metrics, "test_loss")
    assert figure is not None
    rows = [row for row in read_back(csv_of(figure)) if row["series"] == "pcm · anp"]
    each = np.array([one.series("test_loss")[1] for one in metrics.values()])
    updates = next(iter(metrics.values())).series("test_loss")[0]
    read = {name: [float(row[name]) for row in rows] for name in ("x", "y", "low", "high")}
    assert read == {
        "x": updates, "y": np.median(each, 0).tolist(), "low": each.min(0).tolist(), "high": each.max(0).tolist(),
    }  # fmt: skip
    assert rows[0]["x axis"] == "update"
    assert rows[0]["y axis"] == "test loss (mean squared error)"


def test_the_csv_has_controls_without_a_place_and_marks_of_tests_beside_the_training_loss(learned):
    group, metrics = learned
    figure = plots.learning_curves(group, metrics, "train_loss")
    assert figure is not None
    rows = read_back(csv_of(figure))
    (constant,) = [row for row in rows if row["series"] == "constant mean"]
    assert (constant["x"], float(constant["y"])) == ("", 0.021)
    assert len([row for row in rows if row["series"] == "pcm · anp"]) == 200
    assert len([row for row in rows if row["series"] == "pcm · anp: test loss"]) == 20


def rows_of(draw):
    figure = new_figure(4, 3)
    draw(figure.subplots())
    return [
        tuple(row[key] for key in ("series", "x", "y", "low", "high", "value")) for row in read_back(csv_of(figure))
    ]


def test_bars_have_their_length_and_the_name_of_their_place():
    def lying(axes):
        axes.barh([-0.2, 0.8], [0.5, -0.25], height=0.34, label="all on")
        axes.barh([1.2], [0.125], height=0.34)
        axes.plot([0.25], [-0.2], label="_all on: seeds")
        axes.set_yticks(range(2), ["drift", "c2c"])

    assert rows_of(lying) == [
        ("all on: seeds", "0.25", "drift", "", "", ""),
        ("all on", "", "drift", "", "", "0.5"), ("all on", "", "c2c", "", "", "-0.25"),
        ("bar", "", "c2c", "", "", "0.125"),
    ]  # fmt: skip
    assert [row[1] for row in rows_of(lambda axes: axes.bar(["pcm", "rram"], [3, 4]))] == ["pcm", "rram"]
    assert rows_of(lambda axes: axes.bar([1, 2], [3, 4], width=1, label="n")) == [
        ("n", "1.0", "", "0.5", "1.5", "3.0"), ("n", "2.0", "", "1.5", "2.5", "4.0"),
    ]  # fmt: skip


def test_stairs_are_bins_once_and_error_bars_have_their_ends():
    def stairs(axes):
        axes.stairs([3, 4], [0, 1, 4], fill=True)
        axes.stairs([3, 4], [0, 1, 4])

    assert rows_of(stairs) == [("bins", "0.5", "", "0.0", "1.0", "3.0"), ("bins", "2.5", "", "1.0", "4.0", "4.0")]
    ends = {"yerr": [[0.5, 0.25], [1, 2]], "label": "measured"}
    assert rows_of(lambda axes: axes.errorbar([1, 2], [3, 4], **ends)) == [
        ("measured", "1.0", "3.0", "2.5", "4.0", ""), ("measured", "2.0", "4.0", "3.75", "6.0", ""),
    ]  # fmt: skip
    unknown = {"yerr": [math.nan, 1], "label": "measured"}
    assert rows_of(lambda axes: axes.errorbar([1, 2], [3, 4], **unknown)) == [
        ("measured", "1.0", "3.0", "", "", ""), ("measured", "2.0", "4.0", "3.0", "5.0", ""),
    ]  # fmt: skip
    assert [row[0] for row in rows_of(lambda axes: axes.plot([1], [2], label="_nolegend_"))] == ["line 1"]


def test_names_in_a_csv_are_no_formulas_and_hold_no_hidden_characters():
    figure = new_figure(2, 2)
    figure.subplots().plot([0, 1], [2, 3], label="=cmd|' /C calc'!A0\u202e")
    first = read_back(csv_of(figure))[0]
    assert first["series"] == "'=cmd|' /C calc'!A0\\u202e"


def test_colours_change_on_dark_paper_and_the_file_keeps_those_of_light_paper():
    svg = for_both('<?xml version="1.0"?><svg width="1"><path style="stroke: #1f2933; fill: none"/></svg>')
    assert 'style="stroke: #1f2933; fill: none"' in svg
    style, _, rest = svg.partition("@media (prefers-color-scheme: dark)")
    assert "#fff" in style
    assert f'[style*="stroke: #1f2933"] {{ stroke: {DARK["#1f2933"]} !important }}' in rest


@pytest.mark.parametrize("dark", DARK.values())
def test_every_colour_of_dark_paper_is_told_from_it(dark):
    paper = _light(DARK["#ffffff"])
    least = 1.3 if dark in (DARK["#e4e7eb"], DARK["#c5cdd5"]) else 3.0  # lines of a grid are faint, on light paper too
    assert dark == DARK["#ffffff"] or (_light(dark) + 0.05) / (paper + 0.05) > least


def _light(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    return sum(share * v for share, v in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_a_figure_is_drawn_anew_for_a_phone_as_wide_as_one():
    @styled
    def draw():
        from neuroanp.reporting.style import fitted

        figure = new_figure(fitted(10.5), 2)
        figure.subplots().plot([1, 2])
        return figure

    found = pictured(draw, "two numbers", "")
    assert found is not None
    wide, narrow = (base64.b64decode(uri.partition(",")[2]).decode() for uri in (found.uri, found.narrow))
    assert 'width="756pt"' in wide
    assert 'width="295.2pt"' in narrow
    assert pictured(lambda: None, "nothing", "") is None


@pytest.mark.parametrize("updates", [60, 100, 199, 200, 499, 500, 1000, 5000])
def test_a_run_writes_enough_rows_for_a_curve_and_one_that_says_how_often_keeps_it(updates):
    every = TrainingConfig(updates=updates).log_every
    assert every is not None
    assert updates // every >= ENOUGH
    assert every <= 10
    stated = TrainingConfig(updates=updates, log_every=10)
    assert TrainingConfig.model_validate(stated.model_dump()).log_every == 10
    assert TrainingConfig.model_validate(TrainingConfig(updates=updates).model_dump()).log_every == every


def test_the_curve_of_a_page_has_fifty_points_where_tests_are_fewer(build):
    found = section([shown(build(updates=200))])
    assert found.curves is not None
    text = base64.b64decode(found.curves.data.partition(",")[2]).decode()
    assert len([row for row in read_back(text) if row["series"] == "pcm · anp"]) >= ENOUGH
    assert "Training loss" in found.curves.caption


def test_alike_warnings_are_one_that_opens():
    labels = ["pcm · anp", "pcm · anp · lif", "rram · np"]
    lines = [f"{label} has not shown that it learned: {k}.5e-3 against {k}." for k, label in enumerate(labels)]
    (one, alone) = grouped([*lines, "One seed shows nothing.", "One seed shows nothing."], labels)
    assert one.said == "3 methods, each: has not shown that it learned (pcm · anp, pcm · anp · lif, rram · np)."
    assert list(one.each) == lines
    assert alone == ("One seed shows nothing.", ())


def test_a_caption_names_no_method_where_none_is_the_best(build):
    every = [shown(build(profile=profile, final=final)) for profile, final in (("ideal", 0.003), ("pcm", 0.006))]
    group = methods([one.result for one in every])
    said = insights.of_curves(group, {str(one.run.path): one.metrics for one in every})
    assert said.startswith("The test loss that ends lowest goes from ")
    assert "after 200 updates. All have levelled off." in said


def test_a_caption_says_how_much_of_the_targets_the_outputs_explain():
    target = np.tile([[[0.0]], [[1.0]]], (1, 8, 1))
    arrays = {"target": target, "y": target + 0.25, "mask": np.ones(2)}
    assert insights.of_prediction(arrays) == "The outputs explain 75 % of the variance of the targets."
    assert "none" in insights.of_prediction({**arrays, "y": 1 - target})


def test_inherited_numbers_are_counted_apart_and_named():
    text = "meta: {status: measured}\nread: {law: pcm, q: 1}\nenergy: {write: {value: 1, status: illustrative}}"
    found = numbers_of({"text": text, "inherited": {"read.q": "pcm"}})
    assert [(one.kind, one.count, one.text) for one in found] == [
        ("inherited", 1, "1 inherited from pcm"), ("illustrative", 1, "1 illustrative"),
    ]  # fmt: skip
    assert numbers_of({"text": "no: [profile"}) == []


def test_what_states_no_colour_is_black_on_light_paper_alone():
    """A default fill of black would be unseen on dark paper."""
    sheet = for_both("<svg><path d='M0 0'/></svg>").partition("</style>")[0]
    light, _, dark = sheet.partition("@media (prefers-color-scheme: dark)")
    assert "fill" not in light
    assert re.search(r"svg \{ background: #14191e; fill: #e6eaee \}", dark)


def test_garbage_is_looked_for_again_however_drawing_ends_and_meanwhile_where_much_waits(monkeypatch):
    def fails():
        assert not gc.isenabled()
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        pictured(fails, "", "")
    assert gc.isenabled()
    seen = []
    monkeypatch.setattr(gc, "collect", lambda: seen.append(gc.isenabled()))
    monkeypatch.setattr(gc, "get_count", lambda: (10, 0, 0))
    for most, times in ((10, 0), (9, 1)):
        monkeypatch.setattr("neuroanp.reporting.pictures.MOST_KEPT", most)
        seen.clear()
        with uncollected(), uncollected():
            assert not gc.isenabled()
        assert seen == [False] * times
        assert gc.isenabled()
    gc.disable()  # by who calls: it stays so
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
