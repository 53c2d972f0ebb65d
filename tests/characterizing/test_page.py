"""The page and the table of moments: what stands where, that it needs nothing but itself, the same bytes again."""

import re
from pathlib import Path

import numpy as np
import pytest

from neuroanp.characterizing import Characterization, Measurement, characterize
from neuroanp.characterizing.result import At, Axis, Map, Moment, Panel, Series
from neuroanp.errors import InputError
from neuroanp.profiles import load
from neuroanp.reporting.characterization import between, condition, moments_table, render, spark, verdict
from neuroanp.reporting.characterization_plots import draw

X = np.linspace(0.0, 1e-6, 5)
CURVE = Panel(
    "a curve",
    Axis("target", "S"),
    Axis("sd", "S"),
    (Series("sampled", X, 2 * X, low=X, high=3 * X), Series("closed form", X, 2 * X, "line", group=-1)),
)


def made(*moments: Moment, panels: tuple = ()) -> Characterization:
    one = Measurement("drift", "Drift", "How.", moments, panels)
    return Characterization(load("pcm"), 0, 100, (one,))


def moment(sampled: float, error: float, expected: float | None, unit: str = "S") -> Moment:
    return Moment("mean", (At("target", 12.5e-6, "S"), At("age", 86400.0, "s")), unit, sampled, error, expected)


def test_numbers_are_written_to_the_digit_of_their_error() -> None:
    table = moments_table(made(moment(1.07403e-6, 7.6e-9, 1.0e-6), moment(-3e-10, 2.3e-8, 0.0)).measurements[0])
    assert [column.header for column in table.columns] == [
        "quantity", "conditions", "sampled", "expected", "difference (SE)",
    ]  # fmt: skip
    rows = [[str(cell) for cell in row.cells] for row in table.rows]
    assert rows[0] == ["mean", "target 12.5 µS, age 1 d", "1.0740 µS ± 0.0076 µS", "1.0000 µS", "+9.7"]
    assert rows[1][2:] == ["0 nS ± 23 nS", "0 nS", "0.0"]


def test_columns_without_content_are_left_out() -> None:
    table = moments_table(made(Moment("pulses a write", (), "", 3.0, 0.5)).measurements[0])
    assert [column.header for column in table.columns] == ["quantity", "sampled"]


@pytest.mark.parametrize(
    ("moments", "says"),
    [
        ([moment(1.0, 0.1, 1.2)], "One moment was held to a closed form: it differs by 2.0 standard errors."),
        ([moment(1.0, 0.1, 1.2)] * 2, "the largest difference is 2.0 standard errors"),
        ([moment(1.0, 0.0, 1.0)], "One value without chance agrees with its closed form to rounding."),
        ([moment(1.0, 0.0, 1.0), moment(1.0, 0.0, 2.0)], "1 of 2 values without chance DIFFER from their closed form."),
        ([moment(1.0, 0.1, None)], "No moment of this profile has a closed form to compare with."),
    ],
)
def test_the_verdict_says_what_was_compared(moments: list[Moment], says: str) -> None:
    assert says in verdict(made(*moments))


def test_values_and_ranges_are_written_as_people_say_them() -> None:
    assert condition(At("lag", 4.96e-9, "s")) == "lag 4.96 ns"
    assert condition(At("lag", 1.0, "steps")) == "lag 1 steps"
    assert between([-1e-8, 1.9e-5], "S") == "-0.01 … 19 µS"
    assert between([0.0, 12_000.0], "") == "0 … 12,000"


def test_a_sparkline_follows_the_curve_and_not_single_devices() -> None:
    wild = Series("", X, np.array([5.0, -5.0, 5.0, -5.0, 5.0]), "device")
    x, y, shape = spark(Panel("p", CURVE.x, CURVE.y, (wild, *CURVE.series)), 5)
    assert (x[-1], y[-1], shape) == (1e-6, 2e-6, "▁▃▅▇█")


def test_each_panel_is_drawn_with_units_and_a_legend_outside_the_data() -> None:
    field = Map("a map", np.eye(4) * 1e-6, "conductance", "S")
    trace = Panel("a trace", Axis("time", "s"), Axis("noise"), (Series("", X, X, "steps"),))
    decades = np.logspace(-3, 7, 5)
    ages = Panel("ages", Axis("age", "s", log=True), Axis("sd", "S"), (Series("device", decades, decades, "device"),))
    figures = draw(made(panels=(CURVE, field, trace, ages)).measurements[0])
    curve, shades, plain, times = (figure.axes[0] for figure in figures)
    assert (curve.get_xlabel(), curve.get_ylabel()) == ("target (µS)", "sd (µS)")
    assert (plain.get_xlabel(), plain.get_ylabel()) == ("time (ns)" if X.max() < 1e-6 else "time (µs)", "noise")
    assert shades.get_title(loc="left") == "a map"
    assert [label.get_text() for label in times.get_xticklabels()][:2] == ["1 ms", "1 s"]
    for figure in figures:
        figure.draw_without_rendering()
    legend = curve.get_legend()
    assert legend is not None
    # in pixels: the legend ends above the axes, where no data are
    assert legend.get_window_extent().y0 >= curve.get_window_extent().y1 - 1


@pytest.mark.slow
def test_the_page_is_whole_and_the_same_again(tmp_path: Path) -> None:
    found = characterize(load("pcm"), devices=200, only=["programming", "drift"])
    one = render(found, tmp_path / "a.html", "neuroanp characterize pcm").read_bytes()
    assert render(found, tmp_path / "b.html", "neuroanp characterize pcm").read_bytes() == one
    text = one.decode().replace("<wbr>", "")
    assert "Content-Security-Policy" in text
    assert re.findall(r"<script[^>]*>", text) == ["<script>"]  # the one that the policy names by its hash
    assert "script-src 'sha256-" in text
    assert not re.search(r"(?:src|href)=\"(?!data:)", text)
    assert text.count("<img ") == text.count('href="data:text/csv') == 5
    for said in ("Programming error", "Drift", "neuroanp characterize pcm", "programming.c1", found.profile.hash[:12]):
        assert said in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "b.html"]


def test_text_of_a_profile_is_not_markup(tmp_path: Path) -> None:
    profile = load("pcm")
    meta = profile.meta.model_copy(update={"summary": "<b>bold</b> & co"})
    found = Characterization(profile.model_copy(update={"meta": meta}), 0, 100, ())
    text = render(found, tmp_path / "a.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;bold&lt;/b&gt; &amp; co" in text


def test_a_page_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        render(made(), tmp_path / "missing" / "a.html")
    assert not list(tmp_path.iterdir())
