"""What a report says of spikes of several layers: which one is shown, how each fires, and which is silent."""

from __future__ import annotations

import numpy as np
import pytest

import neuroanp as na
from neuroanp.cli.results import on_screen
from neuroanp.cli.screen import console, show
from neuroanp.reporting import spikes
from neuroanp.reporting.html import render
from neuroanp.reporting.method import methods
from neuroanp.reporting.reading import shown, variants
from neuroanp.reporting.spikes_plots import Panel, rasters
from neuroanp.reporting.style import WARN
from tests.close import close

CONFIG = {
    "task": {"name": "xor", "test_size": 8},
    "backend": "lif",
    "network": {"layers": [
        {"cell": "lif", "units": 5}, {"cell": {"name": "lif", "drive": 0.0, "synapse_gain": 1e-6}, "units": 3},
    ]},
    "rule": {"name": "anp", "K": 1},
    "training": {"updates": 1, "batch": 2, "controls": False},
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of two layers whose second hears next to nothing."""
    return na.train(CONFIG, runs=tmp_path_factory.mktemp("runs")).record


def layers(*rates_and_silent):
    found = {f"hidden_{k}": {"units": 20, "rate_Hz": r, "silent": s} for k, (r, s) in enumerate(rates_and_silent, 1)}
    return {"rate_Hz": 12.0, "silent": 0.25, "layers": found}


@pytest.fixture
def compared(build):
    """Two seeds of a network of two layers, the second silent in one of them, and a network of one layer."""
    runs = [build(task="copy", backend="lif", seed=seed) for seed in (0, 1)]
    runs[0].update(firing=layers((20.0, 0.1), (4.0, 0.5)))
    runs[1].update(firing=layers((30.0, 0.2), (0.0, 1.0)))
    return [shown(run) for run in [*runs, build(task="copy", profile="ideal", backend="lif")]]


def grouped(runs):
    return methods([one.result for one in runs], variants(runs))


def panel(layers, rates, **changed):
    rng = np.random.default_rng(0)
    arrays = {
        "spikes": (rng.random((20, 3, layers[-1][1] if layers else 4)) < 0.1).astype(np.uint8),
        "v": rng.standard_normal((20, 3, 1)).astype(np.float32),
        "v_threshold": np.ones(1, np.float32),
        "inputs": rng.random((20, 3, 2)).astype(np.float32),
        "rate_Hz": np.asarray(rates, float),
        "dt_s": np.array([1e-3]),
    }
    return Panel("pcm", "anp · seed 0", "#0072B2", arrays | changed, tuple(layers))


def test_a_run_keeps_how_each_layer_fired(trained):
    firing, rates = trained.manifest["firing"], trained.load_arrays("activity")["rate_Hz"]
    first, second = rates[:5], rates[5:]
    assert first.any()
    assert not second.any()
    assert firing["layers"] == {
        "hidden_1": {"units": 5, "rate_Hz": close(float(first.mean())), "silent": close(float((first == 0).mean()))},
        "hidden_2": {"units": 3, "rate_Hz": 0.0, "silent": 1.0},
    }
    assert firing["rate_Hz"] == close(float(rates.mean()))
    assert trained.load_arrays("activity")["spikes"].shape[2] == 3  # of the last layer, as the caption says


def test_page_and_terminal_name_the_layer_and_say_that_it_is_silent(trained, tmp_path, capsys):
    page = " ".join(render([trained], tmp_path / "r.html", None).read_text(encoding="utf-8").split())
    show(*on_screen([shown(trained)], console()))
    said = " ".join(capsys.readouterr().out.split())
    assert "spikes of the first 3 units of the last layer (hidden_2)" in page
    assert "firing rates of the units of each layer" in page
    assert "<td>hidden_2, 3 units</td>" in page
    for text in (page, said):
        assert (
            "ideal · anp · lif: no unit of layer hidden_2 spiked on the held-out sequences, and what it feeds" in text
        )
        assert "no unit of layer hidden_1" not in text
    assert "hidden_2 0 Hz, 3 of 3 silent)" in said


def test_tables_have_a_row_for_each_layer(compared):
    found = spikes.table(grouped(compared), {str(one.run.path): one for one in compared})
    assert found is not None
    heads = [column.header for column in found.columns]
    assert heads[:5] == ["profile", "rule", "layer", "mean rate (Hz)", "silent units (%)"]
    assert [[str(cell) for cell in row.cells[:5]] for row in found.rows][:3] == [
        ["pcm", "anp", "all", "12", "25"],
        ["", "", "hidden_1, 20 units", "25 [20, 30]", "15 [10, 20]"],
        ["", "", "hidden_2, 20 units", "2 [0, 4]", "75 [50, 100]"],
    ]
    assert [row.cells[2].text for row in found.rows][3:] == [""]  # of one layer
    assert {len(row.cells) for row in found.rows} == {len(found.columns)}


def test_sentences_say_each_layer_and_in_how_many_seeds_it_is_silent(compared):
    group = grouped(compared)
    assert "(hidden_1 25 Hz, 3 of 20 silent; hidden_2 2 Hz, 15 of 20 silent)" in spikes.sentences(group, compared)[0]
    assert "hidden" not in spikes.sentences(group, compared)[1]
    assert spikes.silent_layers(group, compared) == [
        "pcm · anp · lif: no unit of layer hidden_2 spiked on the held-out sequences in 1 of 2 seeds, and what it "
        "feeds got nothing of it; raise drive, input_gain or synapse_gain of its cell."
    ]


def test_of_many_layers_the_least_active_is_said(compared):
    compared[0].run.update(firing=layers(*[(10.0 - k, 0.0) for k in range(9)]))
    one = [shown(compared[0].run)]
    assert "(least: hidden_9 2 Hz, 0 of 20 silent)" in spikes.sentences(grouped(one), one)[0]


def test_each_layer_has_a_histogram_of_its_own_units():
    figure = rasters([panel([("hidden_1", 2), ("hidden_2", 4)], [10.0, 30.0, 0, 0, 0, 0])])
    assert figure is not None
    *_, first, second = figure.axes
    assert figure.axes[1].get_ylabel() == "hidden_2"
    assert first.get_title(loc="left") == "hidden_1: mean 20 Hz, 0 of 2 silent"
    assert second.get_title(loc="left") == "hidden_2: none of 4 units spiked"
    assert [axes._left_title.get_color() == WARN for axes in (first, second)] == [False, True]
    heights = [[bar.get_height() for bar in axes.patches] for axes in (first, second)]
    assert sum(heights[0]) == close(100)
    assert heights[1][0] == close(100)
    assert [axes.lines[0].get_xdata()[0] for axes in (first, second)] == [20, 0]


def test_networks_of_other_depths_stand_side_by_side():
    deep = panel([(f"hidden_{k}", 1) for k in range(1, 10)], np.arange(9.0))
    figure = rasters([panel([], [5.0, 0, 0, 0]), deep])
    assert figure is not None
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.axison and axes.get_title(loc="left")]
    assert titles[0] == "mean 1.25 Hz, 75 % silent"
    assert [title.partition(":")[0] for title in titles[1:]] == ["hidden_1", *(f"hidden_{k}" for k in (2, 3, 4, 5, 9))]
    assert figure.axes[2].get_ylabel() == "units"
    assert sum(not axes.axison for axes in figure.axes) == 5


def test_rates_that_are_not_of_the_layers_are_drawn_as_one():
    assert [name for name, _ in panel([("hidden_1", 2), ("hidden_2", 4)], np.ones(5)).rates] == [""]
