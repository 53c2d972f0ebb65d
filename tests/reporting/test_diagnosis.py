"""A diagnosis as table, sentences and figure: what is said of whom, and what a reader can see."""

from __future__ import annotations

import os
from collections.abc import Sequence
from math import inf, nan

import numpy as np
import pytest

from neuroanp.diagnosing.result import Diagnosis, Row
from neuroanp.diagnosing.statistics import Alignment, Estimate
from neuroanp.errors import InputError
from neuroanp.reporting import diagnosis as said
from neuroanp.reporting.diagnosis_plots import MOST_ROWS, axis_of, figure

NONE = Estimate(None, 0.0, 0.0)
ABOUT = {
    "task": "copy", "profile": "ideal", "backend": "rate", "rule": "anp", "seed": 3, "updates": 100, "batch": 8,
    "gradient": "exact", "within": 0.05, "most": 256, "run": None,
}  # fmt: skip


def around(value: float, half: float = 0.01) -> Estimate:
    return Estimate(value, value - half, value + half)


def row(array="all", update=0, K: int | None = 1, sigma: float | None = 0.01, own=True, **changes) -> Row:
    found = {
        "weights": 10, "draws": 16, "cosines": np.array([0.1, 0.3, 0.2, nan]), "cosine": around(0.8),
        "scale": around(0.5), "bias": around(0.375), "variance": around(2.0), "signal": 0.2,
    }  # fmt: skip
    one = Alignment(**{**found, **changes})
    return Row(update, K, sigma, 2 * (K or 1), array, own, one)


def made(*rows: Row, **about) -> Diagnosis:
    return Diagnosis({**ABOUT, **about}, rows)


def cells(found: Diagnosis) -> list[dict[str, str]]:
    table = said.table(found)
    heads = [column.header for column in table.columns]
    return [dict(zip(heads, map(str, line.cells), strict=True)) for line in table.rows]


def test_the_table_tells_apart_what_differs_and_nothing_else():
    one, other = cells(made(row(), row("w")))
    assert one == {
        "passes": "2", "array": "all", "draws": "16", "one update": "0.200 [0.100, 0.300]",
        "mean update": "0.800 [0.790, 0.810]", "scale": "0.500 [0.490, 0.510]", "bias": "0.375 [0.365, 0.385]",
        "variance": "2 [1.99, 2.01]", "SNR": "0.20",
    }  # fmt: skip
    assert (other["passes"], other["array"]) == ("", "w")
    varied = cells(made(row(update=0, sigma=0.1), row(update=50, sigma=0.2, K=4)))
    assert [(line["update"], line["sigma"], line["K"], line["passes"]) for line in varied] == [
        ("0", "0.1", "1", "2"), ("50", "0.2", "4", "8")
    ]  # fmt: skip


def test_what_is_not_resolved_not_there_or_without_noise_is_shown_as_such():
    unknown = row(cosine=Estimate(None, -1.0, 1.0), bias=Estimate(None, 0.0, 0.0123))
    exact = row(variance=Estimate(0.0, 0.0, 0.0), signal=inf, scale=Estimate(1.0, 1.0, 1.0))
    gone = row(why="the gradient is zero", cosine=NONE, scale=NONE, bias=NONE, variance=NONE)
    first, second, third = cells(made(unknown, exact, gone))
    assert (first["mean update"], first["bias"]) == ("not resolved", "< 0.012")
    assert (second["scale"], second["variance"], second["SNR"]) == ("1", "0", "∞")
    assert {third[key] for key in ("one update", "mean update", "scale", "bias", "variance", "SNR")} == {"–"}
    told = said.sentences(made(unknown, exact, gone))
    assert "Bias < x: not resolved, its interval holds 0; it is below x." in told
    assert "all: nothing to compare, the gradient is zero." in told
    assert gone.plain()["scale"] is gone.plain()["scale_low"] is gone.plain()["signal_to_noise"] is None
    assert exact.plain()["signal_to_noise"] is None
    assert unknown.plain()["bias_high"] == 0.0123


def test_an_interval_without_an_end_is_none_in_a_file():
    found = row(scale=Estimate(0.5, -inf, inf))
    assert (found.plain()["scale_low"], found.plain()["scale_high"]) == (None, None)


@pytest.mark.parametrize(
    ("bias", "variance", "words"),
    [
        (0.1, 2.0, "mostly variance, which more passes average out (8 of variance, squared bias 0.040"),
        (0.5, 0.1, "mostly bias, which more passes do not take away (0.40 of variance, squared bias 1,"),
        (0.5, 0.3, "variance and bias, which more passes do not take away (1.2 of variance, squared bias 1,"),
        (None, 2.0, "mostly variance, which more passes average out (8 of variance, squared bias none resolved"),
    ],
)
def test_it_is_said_what_leads_single_updates_astray(bias, variance, words):
    """In units of what is along the gradient, a^2 = 1/4."""
    value = Estimate(None, 0.0, 0.3) if bias is None else around(bias)
    told = said.sentences(made(row(bias=value, variance=around(variance)), row("w")))
    lines = [line for line in told if line.startswith("Update 0, 2 passes, all arrays: what leads")]
    assert len(lines) == 1
    assert words in lines[0]


def test_it_is_said_of_the_configurations_own_setting_where_that_is_there():
    rows = [row(K=1, own=False), row(K=2, own=True), row(K=4, own=False)]
    told = " ".join(said.sentences(made(*rows)))
    assert "Update 0, 4 passes" in told
    assert "Update 0, 2 passes" not in told
    told = " ".join(said.sentences(made(rows[0], rows[2])))
    assert "Update 0, 2 passes" in told
    assert "Update 0, 8 passes" in told


def test_an_update_up_the_gradient_and_one_without_fault_are_told_apart():
    up = row(scale=around(-0.5), cosine=around(-0.8))
    assert said.limit(up) == "Update 0, 2 passes, all arrays: the mean update goes up the gradient, not down."
    assert said.limit(row(bias=NONE, variance=Estimate(0.0, 0.0, 0.0))) is None
    assert said.limit(row(cosine=Estimate(None, -1.0, 1.0))) is None


def test_wide_intervals_are_counted():
    rows = [row(cosine=around(0.8, 0.1)), row("w", cosine=around(0.8, 0.01))]
    assert any(
        line.startswith("1 of 2 angles of the mean update are known less well") for line in said.sentences(made(*rows))
    )
    assert not any("known less well" in line for line in said.sentences(made(*rows, within=0.0)))


def test_spikes_have_a_surrogate():
    assert "the surrogate gradient (a spike has no exact one) g" in said.sentences(made(row(), gradient="surrogate"))[0]


@pytest.mark.parametrize(
    ("rows", "axis"),
    [
        ([row(K=1), row(K=4), row(K=1, sigma=0.1)], "passes"),
        ([row(sigma=0.1), row(sigma=0.2), row(sigma=0.2, update=9)], "sigma"),
        ([row(update=0), row(update=9)], "update"),
        ([row()], "passes"),
    ],
)
def test_the_figure_goes_along_what_differs(rows: Sequence[Row], axis):
    assert axis_of(rows) == axis


def test_the_figure_has_a_row_for_each_moment_and_noise_level(caplog):
    rows = [row(array, update, K) for update in range(MOST_ROWS + 2) for K in (1, 4) for array in ("all", "w")]
    shown = figure(made(*rows))
    assert len(shown.axes) == 3 * MOST_ROWS
    assert f"the figure shows {MOST_ROWS} of {MOST_ROWS + 2} moments and noise levels" in caplog.text
    assert [axes.get_title(loc="left") for axes in shown.axes[:4:3]] == ["update 0, sigma 0.01", "update 1, sigma 0.01"]
    cosine, bias, variance = shown.axes[:3]
    assert cosine.get_ylabel() == "cosine to the gradient"
    assert bias.get_ylim()[0] == 0
    assert variance.get_yscale() == "log"
    drawn = {tuple(line.get_ydata()) for line in cosine.lines if len(line.get_ydata()) == 2}
    assert {(0.2, 0.2), (0.8, 0.8)} <= drawn  # one update, and the mean one


def test_what_is_held_to_no_gradient_is_not_named_in_the_figure():
    none = dict.fromkeys(("cosine", "scale", "bias", "variance"), NONE)
    found = made(row("all"), row("w"), row("w_out", **none, cosines=np.array([nan]), why="least squares"))
    texts = [text.get_text() for text in figure(found).legends[0].get_texts()]
    assert texts[:2] == ["all arrays", "w"]
    assert "w_out" not in texts


def test_what_is_not_resolved_is_a_mark_at_its_end_and_no_variance_is_said():
    found = made(*(row(K=K, bias=Estimate(None, 0.0, 0.2), variance=Estimate(0.0, 0.0, 0.0)) for K in (1, 4)))
    shown = figure(found)
    _, bias, variance = shown.axes
    assert [tuple(line.get_ydata()) for line in bias.lines if line.get_marker() == "v"] == [(0.2, 0.2)]
    assert [text.get_text() for text in variance.texts] == ["none"]
    assert "not resolved, below" in [text.get_text() for text in shown.legends[0].get_texts()]


def test_a_folder_that_cannot_take_the_files_is_refused(tmp_path):
    (tmp_path / "diagnosis.csv").mkdir()
    with pytest.raises(InputError, match=r"diagnosis\.csv: a folder, where a file is to be written"):
        said.check_folder(tmp_path)
    os.symlink(tmp_path / "nowhere", tmp_path / "link")
    with pytest.raises(InputError, match="link: is no folder"):
        said.check_folder(tmp_path / "link")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_that_is_not_writable_is_refused(tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(InputError, match="not writable for you"):
        said.check_folder(tmp_path / "locked")
