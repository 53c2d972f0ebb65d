"""What a report says of spikes: numbers as the records have them, pictures as the arrays have them."""

from __future__ import annotations

import numpy as np
import pytest

from neuroanp.cli.results import on_screen
from neuroanp.reporting import spikes
from neuroanp.reporting.html import render
from neuroanp.reporting.method import methods
from neuroanp.reporting.pictures import to_uri
from neuroanp.reporting.reading import shown, variants
from neuroanp.reporting.spikes_plots import Panel, rasters
from tests.close import close


@pytest.fixture
def compared(build):
    """Two profiles x two seeds of spiking runs, and one run of rates."""
    runs = [
        build(task="copy", profile=profile, seed=seed, backend="spiking") for profile in ("ideal", "pcm")
        for seed in (0, 1)
    ]  # fmt: skip
    for run, rate in zip(runs, (10.0, 20.0, 30.0, 50.0), strict=True):
        run.update(firing={"rate_Hz": rate, "silent": rate / 100})
    return [shown(run) for run in [*runs, build(task="copy", profile="pcm")]]


def grouped(runs):
    return methods([one.result for one in runs], variants(runs))


def panel(steps=20, sequences=3, units=5, traces=2, lines=2, **changed):
    rng = np.random.default_rng(0)
    arrays = {
        "spikes": (rng.random((steps, sequences, units)) < 0.1).astype(np.uint8),
        "v": rng.standard_normal((steps, sequences, traces)).astype(np.float32),
        "v_threshold": np.full(traces, 1.1, np.float32),
        "inputs": rng.random((steps, sequences, lines)).astype(np.float32),
        "rate_Hz": np.linspace(0, 40, units),
        "dt_s": np.array([1e-3]),
    }
    return Panel("pcm", "anp · seed 0", "#0072B2", arrays | changed)


def test_the_table_has_medians_and_ranges_of_spiking_methods_alone(compared):
    found = spikes.table(grouped(compared), {str(one.run.path): one for one in compared})
    assert found is not None
    assert [column.header for column in found.columns] == [
        "profile", "rule", "mean rate (Hz)", "silent units (%)", "spikes", "synaptic events",
        "chip energy / spike", "chip energy / synaptic event",
    ]  # fmt: skip
    assert [[str(cell) for cell in row.cells] for row in found.rows] == [
        ["ideal", "anp", "15 [10, 20]", "15 [10, 20]", "52000", "2.08e6", "not stated", "not stated"],
        ["pcm", "anp", "40 [30, 50]", "40 [30, 50]", "52000", "2.08e6", "2.50 pJ", "80 fJ"],
    ]


def test_a_line_says_the_same_of_each(compared):
    assert spikes.sentences(grouped(compared), compared) == [
        "ideal · anp · spiking: mean rate 15 Hz, 15 % of the units silent; chip energy not stated.",
        "pcm · anp · spiking: mean rate 40 Hz, 40 % of the units silent; chip energy 2.50 pJ / spike, 80 fJ / synaptic "
        "event.",
    ]


def test_the_terminal_says_it_too(compared, capsys):
    from neuroanp.cli.screen import console, show

    show(*on_screen(compared, console()))
    assert "mean rate 40 Hz, 40 % of the units silent" in " ".join(capsys.readouterr().out.split())


def test_runs_of_rates_have_no_such_part(build, tmp_path):
    run = build(task="copy")
    assert shown(run).activity() is None
    assert shown(run).firing == {}
    assert spikes.part(grouped([shown(run)]), grouped([shown(run)]), [shown(run)]) is None
    assert "<h3>Spikes</h3>" not in render([run], tmp_path / "r.html", None).read_text(encoding="utf-8")


def test_each_profile_shows_the_median_seed_of_its_best_method(compared):
    group = grouped(compared)
    by_path = {str(one.run.path): one for one in compared}
    chosen = spikes.typical(group, by_path)
    assert [(m.backend, m.profile) for m, _ in chosen] == [("spiking", "ideal"), ("spiking", "pcm")]
    for method, one in chosen:
        assert one.result["test_loss"] in method.values("test_loss")


@pytest.mark.long
def test_no_more_are_drawn_than_can_be_read(build):
    runs = [shown(build(task="copy", profile=f"p{i}", final=0.001 * (9 - i), backend="lif")) for i in range(6)]
    group = grouped(runs)
    chosen = spikes.typical(group, {str(one.run.path): one for one in runs})
    lowest = sorted(m.values("test_loss")[0] for m in group)[:4]
    assert sorted(one.result["test_loss"] for _, one in chosen) == lowest
    part = spikes.part(group, group, runs)
    assert part is not None
    assert part.figure is not None
    assert "4 of 6 methods" in part.figure.caption


def test_a_record_without_activity_has_its_table_alone(compared):
    runs = [one for one in compared if one.firing]
    for one in runs:
        (one.run.path / "activity.safetensors").unlink()
    part = spikes.part(grouped(runs), grouped(runs), runs)
    assert part is not None
    assert part.figure is None
    assert part.table.rows


@pytest.mark.parametrize(
    "changed",
    [
        {"v_threshold": np.ones(3)},
        {"inputs": np.zeros((7, 3, 2))},
        {"rate_Hz": np.ones((2, 2))},
        {"dt_s": np.ones(2)},
        {"spikes": np.zeros((20, 3, 0), np.uint8)},
    ],
    ids=list("vTrds"),
)
def test_arrays_that_do_not_fit_are_not_drawn(build, changed):
    run = build(task="copy", backend="spiking")
    run.save_arrays("activity", panel().arrays)
    assert shown(run).activity() is not None
    run.save_arrays("activity", {**panel().arrays, **changed})
    assert shown(run).activity() is None


def test_the_raster_has_a_stroke_for_each_spike_at_its_time():
    one = panel()
    figure = rasters([one])
    assert figure is not None
    inputs, raster, first, second, rates = figure.axes
    xs, ys = raster.lines[0].get_data()
    steps, sequences, _ = one.arrays["spikes"].shape
    strokes = set(zip(np.round(xs[::3], 6).tolist(), np.round(np.asarray(ys[::3]) + 0.4, 6).tolist(), strict=True))
    assert strokes == {
        (round(s * steps + t + 0.5, 6), float(n + 1)) for t, s, n in np.argwhere(one.arrays["spikes"])
    }  # milliseconds
    assert raster.get_xlim() == (0, steps * sequences)
    np.testing.assert_allclose(first.lines[0].get_ydata(), one.arrays["v"][:, :, 0].T.ravel())
    dots = second.lines[1].get_xdata()
    assert len(np.asarray(dots)) == one.arrays["spikes"][:, :, 1].sum()
    assert first.lines[2].get_ydata()[0] == close(1.1)  # the threshold
    assert len(inputs.lines) >= 2
    assert sum(bar.get_height() for bar in rates.patches) == close(100)
    assert rates.lines[0].get_xdata()[0] == 20
    assert rates.get_title(loc="left") == "mean 20 Hz, 20 % silent"


def test_many_lines_long_sequences_and_silence_are_drawn():
    many = panel(steps=700, units=1, traces=1, lines=64)
    silent = panel(spikes=np.zeros((20, 3, 5), np.uint8), rate_Hz=np.zeros(5))
    figure = rasters([many, silent])
    assert figure is not None
    first, second = figure.axes[:2]
    assert len(first.images) == 1
    assert first.get_yticks().tolist() == [1, 64]  # lines are counted
    assert first.get_xlim() == (0, 700)  # one sequence; no room for the second
    assert second.get_xlim() == (0, 60)
    assert len(to_uri(figure)) < 400_000
    assert rasters([]) is None


def test_a_saturated_raster_stays_small():
    full = panel(steps=480, sequences=1, units=100, spikes=np.ones((480, 1, 100), np.uint8), rate_Hz=np.ones(100))
    figure = rasters([full])
    assert figure is not None
    assert len(to_uri(figure)) < 4_000_000


@pytest.mark.slow
def test_the_page_has_the_part_and_tells_backends_apart(compared, tmp_path):
    page = render([one.run for one in compared], tmp_path / "r.html", None).read_text(encoding="utf-8")
    assert page.count("<h3>Spikes</h3>") == 1
    assert '<th scope="col">backend</th><th scope="col">profile</th><th scope="col">rule</th>' in page
    assert "copy on ideal, pcm by spiking, rate" in page
    assert "Prediction against target: pcm · anp · rate, seed 0" in page
    assert "Prediction against target: pcm · anp · spiking, seed" in page
