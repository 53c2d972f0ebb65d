"""Several backends in one table, and in one figure: told apart everywhere, and named nowhere else."""

from __future__ import annotations

import pytest

from neuroanp.records import RESULT_KEYS
from neuroanp.records.metrics import Metrics
from neuroanp.reporting import ablation
from neuroanp.reporting.books import spent
from neuroanp.reporting.html import _devices
from neuroanp.reporting.method import methods
from neuroanp.reporting.plots import learning_curves, trade_offs
from neuroanp.reporting.reading import shown
from neuroanp.reporting.tables import controls, headline, results_table


def result(backend="rate", seed=0, loss: float | None = 0.004, **fields):
    names = {"task": "xor", "profile": "pcm", "backend": backend, "rule": "anp", "status": "finished", "seed": seed}
    base = {"test_loss": loss, "controls": {"ridge": 0.005}, "run": f"{backend}-{seed}"}
    return {**dict.fromkeys(RESULT_KEYS), **names, **base, **fields}


def heads(table):
    return [column.header for column in table.columns]


def test_the_column_is_there_where_there_are_several():
    assert "backend" not in heads(results_table(methods([result("lif")])))
    table = results_table(methods([result("rate"), result("lif")]))
    assert heads(table)[:3] == ["backend", "profile", "rule"]
    assert [row.cells[0].text for row in table.rows] == ["rate", "lif", "any"]


def test_rows_are_grouped_by_backend_in_the_order_they_came():
    mixed = [result("spiking"), result("rate"), result("spiking", profile="ideal"), result("rate", profile="ideal")]
    group = methods(mixed)
    assert [(m.backend, m.profile) for m in group] == [
        ("spiking", "pcm"), ("spiking", "ideal"), ("rate", "pcm"), ("rate", "ideal"),
    ]  # fmt: skip


def test_seeds_of_two_backends_are_two_methods():
    group = methods([result("rate", 0, 1.0), result("lif", 0, 3.0), result("rate", 1, 2.0)])
    assert [m.values("test_loss") for m in group] == [[1.0, 2.0], [3.0]]
    assert [m.label for m in group] == ["pcm · anp · rate", "pcm · anp · lif"]
    assert methods([result()])[0].label == "pcm · anp"


def test_controls_are_told_apart_by_backend_where_they_differ():
    rows = [
        result(backend, seed, profile=profile, controls={"ridge": ridge, "constant_mean": 1.0})
        for backend, ridge in (("rate", 0.1), ("spiking", 0.2))
        for profile in ("ideal", "pcm")
        for seed in (0, 1)
    ]
    group = methods(rows)
    found = [(c.backend, c.profile, c.rule, c.name, c.losses) for c in controls(group)]
    assert found == [
        ("rate", "any", "any", "ridge readout", [0.1, 0.1]),
        ("spiking", "any", "any", "ridge readout", [0.2, 0.2]),
        ("any", "any", "any", "constant mean", [1.0, 1.0]),
    ]
    shown_ = [[cell.text for cell in row.cells[:5]] for row in results_table(group).rows if row.kind == "control"]
    assert shown_[1] == ["spiking", "any", "ridge readout", "2", "0.200"]
    assert headline(group).endswith("Controls: constant mean 1.")


@pytest.mark.parametrize("profiles", [("pcm",), ("ideal", "pcm"), ("ideal", "pcm", "rram")])
def test_curves_and_trade_offs_name_the_backends(profiles):
    rows = [
        result(backend, profile=profile, chip_time_s=1.0 + i, run=f"{backend}-{profile}")
        for backend in ("rate", "spiking")
        for i, profile in enumerate(profiles)
    ]
    group = methods(rows)
    metrics = {row["run"]: Metrics({"update": [1.0, 2.0, 3.0], "test_loss": [0.3, 0.2, 0.1]}) for row in rows}
    figure = learning_curves(group, metrics, "test_loss")
    assert figure is not None
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    if len(profiles) == 3:  # a panel each
        assert (titles, named) == (["rate", "spiking"], list(profiles))
        assert [len([line for line in axes.lines if len(line.get_xdata()) == 3]) for axes in figure.axes] == [3, 3]
    else:
        assert set(named) == {m.label for m in group}
        assert all("rate" in label or "spiking" in label for label in named)
    marks = trade_offs(group)
    assert marks is not None
    assert {text.get_text() for text in marks.legends[0].get_texts()} == {m.label for m in group}


def test_an_ablation_of_each_backend_is_its_own(build):
    on = [("drift",), ()]
    runs = [
        shown(build(backend=backend, device={"effects_on": list(some)})) for backend in ("rate", "lif") for some in on
    ]
    found = ablation.ablations(runs)
    assert [one.label for one in found] == ["pcm · anp", "pcm · anp · lif"]
    assert {row["backend"] for row in ablation.rows(found)} == {"rate", "lif"}


def test_a_profile_has_a_card_for_each_backend_only_where_they_differ(build):
    same = [shown(build(backend=backend)) for backend in ("rate", "lif")]
    assert [card["name"] for card in _devices(same)] == ["pcm"]
    other = shown(build(backend="spiking", device={"profile": "pcm", "write": "ideal"}))
    assert [card["name"] for card in _devices([*same, other])] == ["pcm · rate", "pcm · lif", "pcm · spiking"]


def test_what_a_backend_has_no_part_for_is_nothing_and_not_unstated():
    group = methods([result("rate", run="a"), result("lif", run="b")])
    found = spent(group, {"a": {"energy": {"adc": 1e-9}}, "b": {"energy": {"adc": 1e-9, "spikes": None}}})
    assert found is not None
    at = heads(found).index("spikes")
    assert [row.cells[at].text for row in found.rows] == ["0 J", "not stated"]
