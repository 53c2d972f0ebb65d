"""Runs of different networks are told apart by a few words wherever a report names them, and never by a Python dict."""

from __future__ import annotations

import re

import pytest

from neuroanp.cli.results import on_screen
from neuroanp.cli.screen import console, show
from neuroanp.reporting import ablation, transfer
from neuroanp.reporting.html import render
from neuroanp.reporting.method import methods
from neuroanp.reporting.networks import names, section_of, sizes
from neuroanp.reporting.reading import differing, shown, variants
from neuroanp.reporting.tables import controls


def layer(cell, units, recurrent="true", delay=0, **options):
    own = ", ".join([f"name: {cell}", *(f"{name}: {value}" for name, value in options.items())])
    return f"    - {{cell: {{{own}}}, units: {units}, recurrent: {recurrent}, delay: {delay}}}\n"


def network(*layers, skip="false", more=""):
    return f"network:\n  layers:\n{''.join(layers)}  skip: {skip}\n{more}"


T = layer("tanh", 4)
HIDDEN = "network:\n  hidden: 8\n"
TWO = network(layer("tanh", 4), layer("tanh", 4))
GRU = network(layer("gru", 4, r_bias=0.0, z_bias=0.0))


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([HIDDEN, TWO, GRU], ["hidden 8", "tanh 4 + tanh 4", "gru 4"]),
        ([TWO, network(layer("tanh", 4), layer("tanh", 4), skip="true")], ["tanh 4 + tanh 4", "tanh 4 + tanh 4, skip"]),
        # options of one cell are said where networks of that cell and size differ in them, and not beside another's
        (
            [GRU, network(layer("gru", 4, r_bias=4.0, z_bias=0.0)), network(layer("gru", 5, r_bias=2.0, z_bias=0.0))],
            ["gru 4 (r_bias 0.0)", "gru 4 (r_bias 4.0)", "gru 5"],
        ),
        (
            [TWO, network(T, layer("tanh", 4, recurrent="false")), network(T, layer("tanh", 4, delay=1))],
            ["tanh 4 + tanh 4 (recurrent, delay 0)", "tanh 4 + tanh 4 (feed-forward, delay 0)",
             "tanh 4 + tanh 4 (recurrent, delay 1)"],
        ),
        # 200 characters of the layers are alike: these are no seeds of one method
        (
            [network(*(layer("gru", units, r_bias=0.0, z_bias=0.0) for units in (4, 4, 4, 4, 4, n))) for n in (4, 3)],
            ["6 × gru 4", "5 × gru 4 + gru 3"],
        ),
        ([GRU, GRU], ["", ""]),
        ([HIDDEN + "  bias: true\n", GRU], ["hidden 8, network.bias True", "gru 4, network.bias unset"]),
    ],
    ids=["cells", "skip", "options", "wiring", "deep", "the same", "beside"],
)  # fmt: skip
def test_networks_have_short_names_in_which_they_differ(build, texts, expected):
    runs = [shown(build(task="copy", more=text)) for text in texts]
    assert variants(runs) == expected
    assert len(methods([one.result for one in runs], variants(runs))) == len(set(expected))


def test_a_layer_that_names_no_cell_has_that_of_the_neuron_or_tanh(build):
    bare = "network:\n  layers:\n    - {cell: null, units: 4}\n"
    spiking = shown(build(task="copy", backend="lif", more=f"{bare}neuron: {{name: lif}}\n"))
    assert names([spiking.network, shown(build(task="copy", more=bare)).network]) == ["lif 4", "tanh 4"]


def test_a_section_that_is_none_has_no_name():
    assert names([{}, None, {"layers": "x"}]) == ["", "", ""]
    assert section_of({"network": 3}) == {}
    assert sizes(None) == {}


def test_rows_of_python_have_the_name_of_the_network_once(build):
    runs = [shown(build(task="copy", more=text, seed=seed)) for text in (TWO, GRU) for seed in (0, 1)]
    assert differing(runs) == [{"network": "tanh 4 + tanh 4"}] * 2 + [{"network": "gru 4"}] * 2
    assert differing(runs[:2]) == [{}, {}]
    one, other = (shown(build(task="copy", more=f"network:\n  hidden: {n}\n")) for n in (7, 8))
    assert differing([one, other]) == [{"network.hidden": "7"}, {"network.hidden": "8"}]


def test_page_terminal_and_legends_say_it_alike(build, tmp_path, capsys, monkeypatch):
    from neuroanp.reporting import plots

    drawn = []
    legend = plots.legend
    monkeypatch.setattr(plots, "legend", lambda figure, entries: (drawn.append(entries), legend(figure, entries)))
    runs = [build(task="copy", more=text, seed=seed, final=0.02) for text in (TWO, GRU) for seed in (0, 1)]
    page = render(runs, tmp_path / "r.html", None).read_text(encoding="utf-8")
    show(*on_screen([shown(run) for run in runs], console()))
    said = " ".join(capsys.readouterr().out.split())
    for text in (re.sub(r"<pre>.*?</pre>", "", page, flags=re.DOTALL), said):
        assert "2 methods, each: has not shown" in text
        assert "(pcm · anp (tanh 4 + tanh 4), pcm · anp (gru 4))" in text
        assert "{'" not in text
        assert "&#39;cell" not in text
        assert "network.layers" not in text
    assert {label for entries in drawn for label, _ in entries} == {"pcm · anp (tanh 4 + tanh 4)", "pcm · anp (gru 4)"}


def test_a_control_of_all_layers_is_not_of_any_network(build):
    runs = [build(task="copy", more=text) for text in (TWO, GRU)]
    row = {**runs[0].result, "controls": {**runs[0].result["controls"], "ridge_all": 0.01}}
    results = [row, shown(runs[1]).result]
    group = methods(results, variants([shown(run) for run in runs]))
    assert [(c.profile, c.variant) for c in controls(group) if c.name == "ridge all"] == [("pcm", "tanh 4 + tanh 4")]
    assert [(c.profile, c.rule) for c in controls(group[:1]) if c.name == "ridge all"] == [("any", "any")]


def test_ablations_and_transfers_of_two_networks_are_two(build):
    switched = {text: [] for text in (TWO, GRU)}
    for text, runs in switched.items():
        for on in (["drift"], []):
            device = {"effects_on": on}
            more = text + f"hardware: {{without: [{'' if on else 'drift'}], only: []}}\n"
            runs.append(shown(build(task="copy", more=more, device=device)))
    found = ablation.ablations([one for runs in switched.values() for one in runs])
    assert [one.label for one in found] == ["pcm · anp (tanh 4 + tanh 4)", "pcm · anp (gru 4)"]
    assert [row["options"] for row in ablation.rows(found)] == ["tanh 4 + tanh 4", "gru 4"]
    assert [one.label for one in ablation.ablations(switched[GRU])] == ["pcm · anp"]

    start = {"path": "runs/x", "origin": "bptt on ideal", "clipped": {"all": 0.0}}
    brought = [shown(build(task="copy", more=text, start=start)) for text in (TWO, GRU)]
    moved = transfer.transfers(brought)
    assert [one.label for one in moved] == ["pcm · anp (tanh 4 + tanh 4)", "pcm · anp (gru 4)"]
    assert "network" in [column.header for column in transfer.table(moved).columns]
    assert [one.label for one in transfer.transfers(brought[:1])] == ["pcm · anp"]


def test_what_is_said_of_two_layers_is_two_lines(build, tmp_path):
    lines = [f"warning: the hidden_{k} units' read noise is {k / 7:.2g} ADC steps" for k in (1, 2)]
    page = render([build(log=lines), build(seed=1, log=["clipped 1 %"])], tmp_path / "r.html", None)
    text = page.read_text(encoding="utf-8")
    assert all(line.replace("'", "&#39;") in text for line in lines)


def test_networks_that_differ_in_the_last_of_many_layers_are_two_in_an_ablation(build):
    deep = [network(*(layer("gru", n, r_bias=0.0, z_bias=0.0) for n in (4, 4, 4, 4, 4, last))) for last in (4, 3)]
    runs = [
        shown(build(task="copy", more=f"{text}hardware: {{without: [{off}], only: []}}\n", device={"effects_on": on}))
        for text in deep
        for off, on in (("", ["drift"]), ("drift", []))
    ]
    assert [one.variant for one in ablation.ablations(runs)] == ["6 × gru 4", "5 × gru 4 + gru 3"]
