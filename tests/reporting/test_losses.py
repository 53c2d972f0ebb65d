"""Tables, pages and figures say which loss they show, and keep apart what does not compare."""

from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from neuroanp.cli.results import on_screen
from neuroanp.reporting import ablation, brief, html, plots, retention, transfer
from neuroanp.reporting.method import methods
from neuroanp.reporting.reading import kinds_of_loss, shown

ENTROPY = "mean cross-entropy in nats"
SAID = "copy: losses of several kinds (mean squared error; mean cross-entropy in nats); numbers of one do not compare"


@pytest.fixture
def several(build):
    """Three runs of one task, one of which learned another loss."""
    return [build(task="copy"), build(task="copy", seed=1), build(task="copy", loss=ENTROPY)]


def test_runs_with_other_losses_are_in_tables_of_their_own(several):
    runs = [shown(run) for run in several]
    assert [one.loss for one in runs] == ["mean squared error"] * 2 + [ENTROPY]
    assert len({one.task for one in runs}) == 2
    assert runs[0].task_options == "length 3, delay 3"  # as ever
    assert runs[2].task_options == f"length 3, delay 3, loss {ENTROPY}"
    (said,) = kinds_of_loss(runs)
    assert said.startswith(SAID)
    assert kinds_of_loss(runs[:2]) == kinds_of_loss(runs[2:]) == []


def test_a_page_names_the_loss_of_each_table_and_says_what_does_not_compare(several, tmp_path):
    page = html.render(several, tmp_path / "report.html", None).read_text()
    assert page.count("Loss: mean squared error over what is scored") == 1
    assert page.count(f"Loss: {ENTROPY} over what is scored") == 1
    assert SAID in page
    one = html.render(several[:2], tmp_path / "one.html", None).read_text()
    assert "Loss: mean squared error" in one
    assert "several kinds" not in one


def test_a_terminal_and_a_notebook_say_what_does_not_compare(several):
    out = Console(file=io.StringIO(), width=200)
    for part in on_screen([shown(run) for run in several], out):
        out.print(part)
    said = out.file.getvalue()  # pyright: ignore
    assert said.count(SAID) == 1
    assert f"loss {ENTROPY}" in said
    assert SAID in str(brief.table(several, "three runs"))
    assert brief.of_runs(several, 0) == "3 runs; their losses are of several kinds"
    assert brief.of_runs(several[:2], 0).startswith("2 runs; lowest test loss ")


@pytest.mark.parametrize(("loss", "called"), [({}, "mean squared error"), ({"loss": ENTROPY}, ENTROPY)])
def test_axes_name_the_loss(build, loss, called):
    after = {"after": {time: {"test_loss": 0.01, "test_loss_noise_free": 0.01} for time in ("1 h", "1 d")}}
    runs = [shown(build(rule=rule, seed=seed, **after, **loss)) for rule in ("anp", "np") for seed in (0, 1)]
    group = methods([one.result for one in runs])
    assert group[0].loss == called
    metrics = {str(one.run.path): one.metrics for one in runs}
    for figure in (
        plots.learning_curves(group, metrics, "test_loss"),
        plots.trade_offs(group),
        retention.figure(group),
    ):
        assert figure is not None
        assert figure.axes[0].get_ylabel() == f"test loss ({called})"
    both = plots.learning_curves(group, metrics, "train_loss")  # with marks of the test loss
    assert both is not None
    assert both.axes[0].get_ylabel() == f"loss ({called})"


def test_the_figures_of_ablations_and_transfers_name_it_too(build):
    group = methods([shown(build(loss=ENTROPY)).result])
    brought = transfer.Transferred("pcm", "rate", "anp", "bptt on ideal", {transfer.STAGES[0]: {0: 0.1}})
    figure = transfer.figure([brought], group)
    assert figure is not None
    assert figure.axes[0].get_ylabel() == f"test loss ({ENTROPY})"

    on = {"all": ["drift", "read_noise"], "no drift": ["read_noise"], "no noise": ["drift"], "none": []}
    final = {"all": 0.03, "no drift": 0.01, "no noise": 0.02, "none": 0.005}
    runs = [
        shown(build(loss=ENTROPY, final=final[name], device={"effects_on": effects})) for name, effects in on.items()
    ]
    (one,) = ablation.ablations(runs)
    figure = ablation.figure(one)
    assert figure is not None
    assert figure.axes[0].get_xlabel() == f"change of the test loss ({ENTROPY})"


def test_logits_are_shown_as_what_they_say_of_the_targets(build):
    run = build(task="copy", loss=ENTROPY)
    arrays = run.load_arrays("predictions")
    assert arrays is not None
    run.save_arrays("predictions", {**arrays, "as_targets": np.full_like(arrays["y"], 0.25)})
    found = shown(run).predictions()
    assert found is not None
    assert (found["y"] == 0.25).all()
