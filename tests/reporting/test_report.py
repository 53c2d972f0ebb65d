"""The report says what the runs did, in one file that needs nothing else."""

import base64
import hashlib
import re
import warnings
from html.parser import HTMLParser
from importlib import resources
from itertools import pairwise

import pytest

from neuroanp.errors import InputError
from neuroanp.records import RunDir
from neuroanp.reporting.html import render
from neuroanp.reporting.reading import differing, shown, variants

VOID = {"meta", "link", "img", "br", "source", "wbr"}


class Page(HTMLParser):
    """Text, tags, attributes and table cells; fails on tags that do not nest."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.links, self.rows, self.words = [], [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def scripts(text):
    """Return what a browser would take for scripts: what stands between tags of that name."""
    return re.findall(r"<script[^>]*>(.*?)</script", text, flags=re.S | re.I)


def own_script():
    """Return the one that pages have, as it is in the package."""
    return (resources.files("neuroanp.reporting") / "templates" / "page.js").read_text(encoding="utf-8")


def page(runs, path, **options):
    return Page(
        render(runs, path / "report.html", options.pop("command", "make demo"), **options).read_text(encoding="utf-8")
    )


def test_one_run(build, tmp_path):
    run = build(task="weather", profile="pcm", final=0.0035)
    seen = page([run], run.path, command=None)
    loss = run.result["test_loss"]
    assert f"Test loss: {float(f'{loss:.2e}'):g} by pcm · anp (1 seed)" in seen.text
    assert "neuroanp train weather.yaml --profile pcm --seed 0" in seen.text
    assert seen.tags.count("img") == 2  # curves, prediction; one run shows no trade-off
    assert "Accuracy against" not in seen.text
    assert "Where the energy went" in seen.text


@pytest.mark.slow
def test_many_runs(build, tmp_path):
    runs = [
        build(profile=profile, rule=rule, seed=seed, final=final)
        for profile, final in (("ideal", 0.0037), ("pcm", 0.0048), ("smtj_koenders", 0.0062))
        for rule in ("anp", "bptt")
        for seed in (0, 1, 2)
    ]
    seen = page(runs, tmp_path)
    assert "18 runs (18 finished)" in seen.text
    assert "make demo" in seen.text
    table = [row for row in seen.rows if len(row) == 11]
    head, rows = table[0], table[1:]
    assert head[:4] == ["profile", "rule", "test loss", "noise-free"]  # the headline number is seen first
    assert head[-1] == "seeds"
    assert "energy (µJ)" in head
    assert [[*row[:2], row[-1]] for row in rows[:6]] == [
        [p, r, "3"] for p in ("ideal", "pcm", "smtj_koenders") for r in ("anp", "bptt")
    ]
    assert rows[0][head.index("energy (µJ)")] == "–"
    assert {row[1] for row in rows[6:]} == {
        "constant mean", "ridge readout", "lagged linear", "persistence",
        "frozen recurrence (anp)", "frozen recurrence (bptt)",
    }  # fmt: skip
    assert "Not shown, because the profile states no energy: ideal." in seen.text
    assert "Not shown, because the profile states no endurance: ideal." in seen.text
    assert "smtj_koenders states no energy for DAC, ADC: its energy is a lower bound." in seen.text
    assert "pcm states no energy" not in seen.text
    (went,) = [row for row in seen.rows if row[:2] == ["ideal", "anp"] and "not stated" in row]
    assert went == ["ideal", "anp", *["not stated"] * 7, "400 ms", "not stated", "1.2 %", "21"]
    assert "smtj_koenders · anp has not shown that its recurrence learned" in seen.text
    assert "smtj_koenders · anp has not shown that it forecasts anything" in seen.text
    assert "ideal · anp has not shown" not in seen.text
    assert seen.tags.count("img") == 2 + 3
    assert "sigma weight rms" in seen.text
    assert "perturbation: Gaussian 0.01 on the pre-activations (ideal · anp, ideal · bptt)" in seen.text


def test_nothing_is_fetched_and_nothing_is_executed(build, tmp_path):
    seen = page([build(task="copy")], tmp_path)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert scripts(text) == [own_script()]
    assert all(link.startswith("data:") for link in seen.links)
    assert not re.findall(r"url\(|@import|\son\w+=", text)


def test_the_policy_names_the_one_script_by_its_hash_and_lets_no_other_run(build, tmp_path):
    page([build(task="copy")], tmp_path)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    digest = base64.b64encode(hashlib.sha256(own_script().encode()).digest()).decode()
    allowed = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert allowed == {
        "default-src": "'none'", "img-src": "data:", "style-src": "'unsafe-inline'",
        "script-src": f"'sha256-{digest}'", "base-uri": "'none'", "form-action": "'none'",
    }  # fmt: skip


def test_tasks_get_a_section_each(build, tmp_path):
    seen = page([build(task="copy"), build(task="weather")], tmp_path)
    assert seen.tags.count("section") == 2 + 2
    assert "copy length 3, delay 3" in seen.text
    assert "weather horizon 24" in seen.text


def test_runs_that_differ_in_an_option_are_not_seeds_of_one_method(build, tmp_path):
    runs = [build(lr=lr, seed=seed) for lr in (0.01, 0.1) for seed in (0, 1)]
    assert variants([shown(run) for run in runs]) == ["rule.lr 0.01"] * 2 + ["rule.lr 0.1"] * 2
    seen = page(runs, tmp_path)
    assert [[*row[:3], row[-1]] for row in seen.rows if row[0] == "pcm"][:2] == [
        ["pcm", "anp", "rule.lr 0.01", "2"],
        ["pcm", "anp", "rule.lr 0.1", "2"],
    ]


def test_rows_say_in_which_options_runs_differ(build):
    runs = [shown(build(lr=lr, rule=rule, profile=profile)) for lr, rule, profile in
            ((0.01, "anp", "pcm"), (0.1, "anp", "pcm"), (0.1, "bptt", "ideal"))]  # fmt: skip
    assert differing(runs) == [{"rule.lr": "0.01"}, {"rule.lr": "0.1"}, {"rule.lr": "0.1"}]
    assert differing(runs[1:]) == [{}, {}]  # rule and profile are in the row
    wide = shown(build(lr=0.1, more="network:\n  hidden: 7\n"))
    assert differing([runs[1], wide]) == [{}, {"network.hidden": "7"}]
    other = shown(build(lr=0.1, profile="pcm"))
    other.options["profile.hash"] = "another"
    assert differing([runs[1], other]) == [{"profile.hash": "00000000"}, {"profile.hash": "another"}]


def test_runs_without_a_result_are_counted_and_named(build, tmp_path):
    runs = [build(seed=0), build(seed=1, status="diverged"), build(seed=2, status="running")]
    seen = page(runs, tmp_path)
    assert "pcm · anp: 1 diverged, 1 running, of 3 runs; the numbers are of the 1 finished." in seen.text
    assert next(row for row in seen.rows if row[0] == "pcm")[-1] == "1 of 3"


def test_only_running(build, tmp_path):
    seen = page([build(status="running")], tmp_path)
    assert "No run has a result yet." in seen.text


def test_an_empty_run_directory_still_gives_a_report(tmp_path):
    run = RunDir.create(tmp_path, "bare", "task: {name: copy}\nprofile: ideal\nrule: {name: anp}\nseed: 4\n", {})
    seen = page([run], tmp_path)
    assert "copy on ideal" in seen.text


def test_hostile_names_stay_text(build, tmp_path):
    nasty = "<script>alert(1)</script> $\\frac{$ & \"'"
    run = build(log=[nasty], device={nasty: nasty}, profile="ideal", argv=["neuroanp", nasty])
    result = dict(run.result, profile=nasty, rule="$\\undefined$")
    run.write_result(result)
    seen = page([run], tmp_path, command=None, title=nasty)
    assert scripts((run.path / "../report.html").read_text(encoding="utf-8")) == [own_script()]
    assert "<script>alert(1)</script>" in seen.text


def test_the_same_runs_give_the_same_bytes(build, tmp_path):
    run = build()
    first = render([run], tmp_path / "a.html", None).read_bytes()
    assert render([run], tmp_path / "b.html", None).read_bytes() == first


def test_no_runs_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="no runs"):
        render([], tmp_path / "a.html", None)


@pytest.mark.slow
@pytest.mark.parametrize(
    "across", [*(pytest.param(a, marks=pytest.mark.long) for a in ("options", "profiles")), "both"]
)
def test_dozens_of_methods_leave_figures_whole(build, tmp_path, across):
    """Figures show the ten lowest medians, in words too; tables show all; matplotlib has nothing to warn of."""
    runs = []
    for i in range(36):
        profile = "pcm" if across == "options" else f"chip{i if across == 'profiles' else i % 12}"
        runs.append(build(profile=profile, lr=0.01 if across == "profiles" else 0.01 * 1.1**i, final=0.003 + 0.001 * i,
                          updates=30))  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        seen = page(runs, tmp_path)
    assert "The 10 lowest medians of 36 methods; the table has all." in seen.text
    kept = len({run.result["profile"] for run in sorted(runs, key=lambda run: run.result["test_loss"])[:10]})
    assert seen.tags.count("img") <= 2 + kept
    assert len([row for row in seen.rows if len(row) > 10 and row[1] == "anp" and row[-1] == "1"]) == 36


def test_a_few_methods_are_all_in_the_figures(build, tmp_path):
    assert "best of" not in page([build(rule="anp"), build(rule="bptt")], tmp_path).text


def test_what_the_books_leave_out_is_said(build, tmp_path):
    seen = page([build(rule=rule, seed=seed) for rule in ("anp", "bptt") for seed in (0, 1)], tmp_path)
    update = "the digital arithmetic of the update (outer products, optimizer, weight memory) is not counted"
    assert seen.text.count(update) == 3  # below the results, the trade-off figure and the books
    assert "bptt: what the digital twin computes is not counted, nor its backward pass among the passes." in seen.text
    assert "what the digital twin computes is not counted: bptt." in seen.text
    (went,) = [row for row in seen.rows if row[:2] == ["pcm", "bptt"] and "≥" in " ".join(row) and len(row) == 13]
    assert went[8].startswith("≥ ")


@pytest.mark.parametrize(("low", "high"), [(3.915, 3.933), (27.4, 28.9), (0.03, 0.11), (1e-8, 1e-7), (0.5, 400.0)])
def test_labels_of_a_logarithmic_axis_do_not_touch(low, high):
    """However little it spans: at least two numbers, and room between them."""
    from matplotlib.figure import Figure

    from neuroanp.reporting.plots import decent_log_ticks

    figure = Figure((3.0, 3.6))
    axes = figure.subplots()
    axes.set(xscale="log", xlim=(low, high))
    decent_log_ticks(axes.xaxis, low, high)
    figure.canvas.draw()
    drawn = [label for label in axes.get_xticklabels() if low <= label.get_position()[0] <= high]
    boxes = [label.get_window_extent() for label in drawn]
    assert len(boxes) >= 2
    assert all(left.x1 + 2 < right.x0 for left, right in pairwise(boxes))


def test_lines_to_the_names_of_levels_end_where_these_begin():
    """Of levels that lie close names are far from them, and no line is drawn through another's name."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation, Text

    from neuroanp.reporting.style import name_levels

    figure = Figure((6.0, 3.0))
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set(yscale="log", ylim=(1e-4, 1.0))
    figure.subplots_adjust(right=0.6)
    name_levels(axes, [(f"noisy ridge refit ({k})", 0.1 * (1 + 0.01 * k)) for k in range(12)])
    canvas.draw()
    notes = [text for text in axes.texts if isinstance(text, Annotation)]
    assert len(notes) == 12
    for note in notes:
        begins = Text.get_window_extent(note, canvas.get_renderer()).x0
        line = note.arrow_patch.get_transform().transform(note.arrow_patch.get_path().vertices)  # pyright: ignore
        assert line[:, 0].min() < begins - 5
        assert line[:, 0].max() <= begins + 1


def test_on_a_phone_lines_that_lie_close_share_a_name_above_the_highest_of_them():
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from neuroanp.reporting.style import name_levels, narrowed

    figure = Figure((4.1, 3.0))
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set(ylim=(0.0, 1.0))
    with narrowed():
        name_levels(axes, [("low", 0.2), ("lower", 0.19), ("alone", 0.6), ("top", 1.0)])
    figure.canvas.draw()
    assert {text.get_text() for text in axes.texts} == {"low, lower", "alone", "top"}
    box = axes.get_window_extent()
    for text, level, above in ((axes.texts[2], 0.2, True), (axes.texts[1], 0.6, True), (axes.texts[0], 1.0, False)):
        place = text.get_window_extent()
        line = axes.transData.transform((0, level))[1]
        assert (place.y0 >= line) == above, text.get_text()
        assert box.y0 <= place.y0 < place.y1 <= box.y1 + 1
