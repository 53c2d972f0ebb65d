"""Tuning: what is chosen is the argmin of the records, the same trials for all, on seeds that are never reported."""

from __future__ import annotations

import json
from collections import Counter
from math import inf, isfinite
from statistics import median

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroanp import api
from neuroanp.comparing import pool, record
from neuroanp.comparing.grid import lay_out
from neuroanp.comparing.settings import Axis
from neuroanp.comparing.tune import Ended, at_edge, choose, idle, searches, tuning_of
from neuroanp.comparing.worker import Outcome, work
from neuroanp.errors import InputError, RunError
from neuroanp.records.json_io import finite
from neuroanp.records.run_dir import RunDir
from neuroanp.training.build import Experiment
from neuroanp.training.configure import load_config

TINY = {
    "task": {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 16},
    "network": {"hidden": 6},
    "rule": "anp",
    "optimizer": {"schedule": "constant"},
    "training": {"updates": 6, "batch": 4, "evaluate_every": 3, "checkpoint_every": 3, "evaluate_after": ["1 h"]},
}
RATES, SEEDS = [1e-3, 3e-2, 0.3], [100, 101]
TUNE = {"tune": {"optimizer.lr": RATES}, "tune_seeds": SEEDS}


@pytest.fixture
def in_process(monkeypatch, tmp_path):
    """Do the jobs one after the other, in the order that they come; return their list."""
    done = []

    def run_all(jobs, workers, progress, logged=None):
        done.extend(jobs)
        return [work(job, lambda kind, content: None) for job in jobs]

    monkeypatch.setattr(pool, "run_all", run_all)
    monkeypatch.chdir(tmp_path)
    return done


def by_hand(folder, **named):
    """The losses of the trials of a rule, by rate and seed, from their directories alone."""
    losses = {}
    for path in folder.iterdir():
        manifest = json.loads((path / "manifest.json").read_text())
        result, config = json.loads((path / "result.json").read_text()), load_config(path / "config.yaml")
        if all(result[key] == value for key, value in named.items()):
            diverged = result["status"] == "diverged"
            losses[config.optimizer.lr, config.seed] = inf if diverged else manifest["validation"]["loss"]
    return losses


@pytest.mark.slow
def test_what_is_chosen_is_the_lowest_median_of_the_records(in_process, tmp_path):
    found = api.compare(TINY, rules=["anp", "bptt"], seeds=[0, 1], **TUNE)
    assert [one.rule for one in found.tuning] == ["anp", "bptt"]
    for one in found.tuning:
        losses = by_hand(tmp_path / "runs" / "tuning", rule=one.rule)
        assert losses.keys() == {(lr, seed) for lr in RATES for seed in SEEDS}
        medians = [float(np.median([losses[lr, seed] for seed in SEEDS])) for lr in RATES]
        assert list(one.medians) == medians
        best = RATES[int(np.argmin(medians))]
        assert one.chosen == {"optimizer.lr": best}
        assert one.loss == min(medians)
        assert [(t.values["optimizer.lr"], t.seed, t.loss) for t in one.trials] == [
            (lr, seed, losses[lr, seed]) for lr in RATES for seed in SEEDS
        ]
        reported = [run for run in found.runs if run.result["rule"] == one.rule]
        assert {(run.config.optimizer.lr, run.config.seed) for run in reported} == {(best, 0), (best, 1)}
    assert {run.path.parent.name for run in found.runs} == {"runs"}
    assert len(found.runs) == 4
    # what is reported is as it would be without a search: nothing is held out, and there are controls
    for run in found.runs:
        assert run.config.training.validation is None
        assert run.result["controls"]
        plain = Experiment.of(api.configure(TINY, {"optimizer.lr": run.config.optimizer.lr}, rule=run.result["rule"],
                                            seed=run.config.seed))  # fmt: skip
        assert plain.directory == run.path.name


@pytest.mark.slow
def test_all_have_the_same_trials_and_trials_are_ordinary_runs(in_process, tmp_path):
    """Trials of rules differ in the rule alone: the same grid, seeds, updates and validation sequences."""
    tune, rules = {"optimizer.lr": RATES[:2]}, ["anp", "np", "bptt"]
    found = api.compare(TINY, rules=rules, axes={"network.hidden": [5, 6]}, seeds=[0], tune=tune, tune_seeds=SEEDS)
    trials = [job for job in in_process if job.root.name == "tuning"]
    assert len(trials) == 3 * 2 * 2 * len(SEEDS)
    assert [len(one.trials) for one in found.tuning] == [4] * 6
    assert [dict(one.options) for one in found.tuning] == [{"network.hidden": 5}, {"network.hidden": 6}] * 3
    of_rules = Counter(job.config.rule_name for job in trials)
    assert set(of_rules.values()) == {8}
    without_rule = [repr(job.config.model_copy(update={"rule": None})) for job in trials]
    assert set(Counter(without_rule).values()) == {3}
    for job in trials:
        training = job.config.training
        assert (training.validation, training.controls, training.evaluate_after) == (16, False, [])
        path = job.root / Experiment.of(job.config).directory
        own = RunDir.open(path)
        assert own.manifest["identity"] == Experiment.of(load_config(own.config_path)).identity
        assert own.manifest["validation"]["sequences"] == 16
    for one in found.tuning:
        plain = one.to_dict()
        passes = [RunDir.open(tmp_path / "runs" / t["run"]).result["passes"] for t in plain["trials"]]
        assert (plain["runs"], plain["passes"]) == (4, sum(passes))
        assert sum(passes) == 4 * 6 * (1 if one.rule == "bptt" else 2)


def test_test_sequences_are_not_looked_at(in_process, tmp_path):
    """A trial's loss is that of its validation sequences: the test loss is another number, and decides nothing."""
    (one,) = api.compare(TINY, seeds=[0], report=False, **TUNE).tuning
    for trial in one.trials:
        own = RunDir.open(tmp_path / "runs" / trial.run)
        assert trial.loss == own.metrics()["validation_loss"][-1] != own.result["test_loss"]


@pytest.mark.slow
def test_an_interrupted_search_goes_on_and_nothing_is_done_twice(in_process, tmp_path, monkeypatch):
    whole = api.compare(TINY, seeds=[0], runs="whole", **TUNE)
    run_all, begun = pool.run_all, []

    def stop_after_three(jobs, workers, progress, logged=None):
        begun.extend(run_all(jobs[:3], workers, progress, logged))
        raise KeyboardInterrupt

    monkeypatch.setattr(pool, "run_all", stop_after_three)
    with pytest.raises(KeyboardInterrupt):
        api.compare(TINY, seeds=[0], **TUNE)
    monkeypatch.setattr(pool, "run_all", run_all)
    before = {outcome.path: (outcome.path / "manifest.json").stat().st_mtime_ns for outcome in begun}
    assert len(before) == 3
    found = api.compare(TINY, seeds=[0], **TUNE)
    assert {path: (path / "manifest.json").stat().st_mtime_ns for path in before} == before
    assert [one.to_dict() for one in found.tuning] == [one.to_dict() for one in whole.tuning]
    again = api.compare(TINY, seeds=[0], **TUNE)
    assert (again.report, again.results) == (found.report, found.results)
    assert found.report.parent.name == whole.report.parent.name


DIVERGES = {**TINY, "optimizer": {"name": "sgd", "schedule": "constant"}}


@pytest.mark.slow
def test_a_trial_that_diverges_is_infinitely_bad(in_process, tmp_path):
    tune = {"optimizer.lr": [1e3, 1e-2, 900.0]}
    found = api.compare(DIVERGES, overrides={"training.updates": 60}, seeds=[0], tune=tune, tune_seeds=SEEDS)
    (one,) = found.tuning
    assert [t.status for t in one.trials] == ["diverged"] * 2 + ["finished"] * 2 + ["diverged"] * 2
    assert [isfinite(m) for m in one.medians] == [False, True, False]
    assert one.chosen == {"optimizer.lr": 1e-2}
    assert list(by_hand(tmp_path / "runs" / "tuning").values()).count(inf) == 4
    assert not found.failed
    plain = finite(one.to_dict())
    assert [t["loss"] is None for t in plain["trials"]] == [True, True, False, False, True, True]


@pytest.mark.slow
def test_where_all_diverge_nothing_is_reported_and_the_others_go_on(in_process):
    """One rule has no usable setting: it is a failure beside the others; of none that has one it is an error."""
    tune = {"tune": {"optimizer.lr": [900.0, 1000.0]}, "tune_seeds": SEEDS}
    overrides = {"training.updates": 60}
    found = api.compare(
        DIVERGES, overrides=overrides, rules=["anp", "bptt"], seeds=[0], report=False,
        for_rule={"bptt": {"optimizer.clip": 1e-6}}, **tune,
    )  # fmt: skip
    assert [one.chosen is None for one in found.tuning] == [True, False]
    assert [run.result["rule"] for run in found.runs] == ["bptt"]
    ((label, why),) = found.failed
    assert label == "copy ideal anp"
    assert "widen --tune" in why
    with pytest.raises(RunError, match="no run has a result:\n  copy ideal anp: no setting that was tried is usable"):
        api.compare(DIVERGES, overrides=overrides, seeds=[0], **tune)


def test_a_trial_that_fails_stops_the_comparison_before_anything_is_chosen(monkeypatch, tmp_path):
    """It is no bad setting: the disk was full, or a worker died."""
    monkeypatch.chdir(tmp_path)

    def run_all(jobs, workers, progress, logged=None):
        done = [work(job, lambda kind, content: None) for job in jobs[1:]]
        return [Outcome("copy ideal anp seed 100", None, "its worker process died"), *done]

    monkeypatch.setattr(pool, "run_all", run_all)
    with pytest.raises(
        RunError, match=r"trials failed.*the same command goes on:\n  copy .* seed 100: its worker process"
    ):
        api.compare(TINY, seeds=[0], **TUNE)
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["tuning"]


@pytest.mark.slow
def test_the_record_says_all_of_it_and_the_report_is_made_of_it_again(in_process, tmp_path):
    found = api.compare(TINY, rules=["anp", "bptt"], seeds=[0], for_rule={"anp": {"rule.K": 2}}, argv=["mine"], **TUNE)
    folder = found.report.parent
    kept = record.read(folder)
    assert (kept.kind, list(kept.argv), kept.axes) == ("compare", ["mine"], {})
    assert kept.for_rule == {"anp": {"rule.K": 2}}
    assert list(kept.runs) == [run.path.name for run in found.runs]
    assert list(kept.tuning) == [finite(one.to_dict()) for one in found.tuning]
    plain = found.to_dict()
    assert plain["tuning"] == [one.to_dict() for one in found.tuning]
    assert json.loads(json.dumps(finite(plain)))["results"][0]["rule"] == "anp"
    page = found.report.read_text()
    for text in (
        page,
        api.report(folder, tmp_path / "a.html").read_text(),
        api.report(found, tmp_path / "b.html").read_text(),
    ):
        assert "<h3>Tuning</h3>" in text
        assert "Tuned on seeds 100, 101, which are not reported: optimizer.lr of 0.001, 0.03, 0.3." in text
    store = api.report("runs", tmp_path / "store.html").read_text()
    assert "2 runs (2 finished)" in store  # trials are none of what is reported
    whole = (folder / "comparison.json").read_text()
    (folder / "comparison.json").write_text(whole.replace('"optimizer.lr": 0.03', '"optimizer.lr": 0.04'))
    with pytest.raises(
        InputError, match=r"comparison.json: damaged \(its content has changed\); repeat the comparison"
    ):
        api.report(folder)


def test_the_record_is_there_without_a_report_and_the_notebook_says_it(in_process, tmp_path):
    found = api.compare(TINY, seeds=[0], report=False, **TUNE)
    assert found.report is None
    (folder,) = (tmp_path / "runs").glob("compare-*")
    assert [path.name for path in folder.iterdir()] == ["comparison.json"]
    assert record.read(folder).tuning
    assert "Tuned on seeds 100, 101" in str(found._repr_html_())
    assert "tuned ideal · anp: optimizer.lr" in str(found._repr_html_())


@pytest.mark.long
def test_searches_that_chose_the_same_have_records_of_their_own(in_process, tmp_path):
    """The reported runs are the same, how their setting was come by is not."""
    tunes = [{"optimizer.lr": [3e-2, 1e-9]}, {"optimizer.lr": [3e-2, 1e-8]}]
    both = [api.compare(TINY, seeds=[0], tune=tune, tune_seeds=SEEDS) for tune in tunes]
    assert [one.tuning[0].chosen for one in both] == [{"optimizer.lr": 3e-2}] * 2
    assert both[0].runs[0].path == both[1].runs[0].path
    assert both[0].report.parent != both[1].report.parent
    assert [record.read(one.report.parent).tuning[0]["grid"] for one in both] == tunes


def test_several_keys_are_a_grid_and_validation_sequences_may_be_said(in_process):
    tune = {"optimizer.lr": "1e-3..1e-1:log,2", "training.batch": [2, 3], "optimizer.name": "adam,sgd"}
    (one,) = api.compare(
        TINY, seeds=[0], overrides={"training.validation": 5, "training.patience": 9}, tune=tune, tune_seeds=[7],
        report=False,
    ).tuning  # fmt: skip
    assert len(one.trials) == 8
    assert [tuple(t.values.values()) for t in one.trials[:3]] == [
        (1e-3, 2, "adam"),
        (1e-3, 2, "sgd"),
        (1e-3, 3, "adam"),
    ]
    assert {job.config.training.validation for job in in_process} == {5}
    assert one.chosen in [t.values for t in one.trials]
    assert set(one.at_edge) == {"optimizer.lr", "training.batch"}  # two values: each is an end; names have none


# ---- choosing ----

losses = st.one_of(st.floats(0, 1e3), st.just(inf), st.just(float("nan")))


def ended(points, table):
    return [
        Ended(point, seed, loss, "finished", 1, "x")
        for point, row in zip(points, table, strict=True)
        for seed, loss in enumerate(row)
    ]


@given(st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(losses, min_size=n, max_size=n), min_size=1, max_size=6)))
def test_the_first_of_the_lowest_medians_wins(table):
    points = [{"k": k} for k in range(len(table))]
    medians, best = choose(points, ended(points, table))
    expected = [median(loss if isfinite(loss) else inf for loss in row) for row in table]
    assert medians == expected
    usable = [k for k, m in enumerate(expected) if isfinite(m)]
    assert best == (min(usable, key=lambda k: (expected[k], k)) if usable else None)


def test_ties_and_medians_of_an_even_number_of_seeds():
    points = [{"k": k} for k in range(3)]
    assert choose(points, ended(points, [[2.0, 2.0], [1.0, 3.0], [3.0, 1.0]])) == ([2.0, 2.0, 2.0], 0)
    assert choose(points, ended(points, [[1.0, inf], [1.0, 3.0], [9.0, 9.0]])) == ([inf, 2.0, 9.0], 1)
    assert choose(points, ended(points, [[0.1, 0.1, inf], [0.2] * 3, [0.3] * 3]))[1] == 0
    assert choose(points[:1], ended(points[:1], [[inf, inf]])) == ([inf], None)


@given(values=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=6, unique=True), data=st.data())
def test_an_edge_is_the_lowest_or_the_highest_of_several_numbers(values, data):
    chosen = data.draw(st.sampled_from(values))
    ordered = sorted(values)
    inside = chosen in ordered[1:-1]
    said = at_edge(
        [Axis("a", tuple(values)), Axis("b", ("x", "y")), Axis("c", (True, False))], {"a": chosen, "b": "x", "c": True}
    )
    assert said == ([] if inside or len(values) == 1 else ["a"])


def test_a_key_is_idle_where_its_values_make_no_difference_whatever_the_others_are():
    axes = [Axis("a", (1, 2)), Axis("b", (3, 4)), Axis("c", (5,))]
    points = [{"a": a, "b": b, "c": 5} for a in (1, 2) for b in (3, 4)]
    assert idle(axes, ended(points, [[1.0, 2.0], [3.0, 4.0], [1.0, 2.0], [3.0, 4.0]])) == ["a"]
    assert idle(axes, ended(points, [[1.0, 2.0], [3.0, 4.0], [1.0, 2.0], [3.0, 4.5]])) == []  # of one seed and one b
    assert idle(axes, ended(points, [[inf, inf]] * 4)) == []  # what diverges tells nothing


def test_what_a_rule_does_not_use_is_named_and_is_at_no_edge(in_process):
    """Echo without a share of ANP has no discount of later errors."""
    tune = {"rule.gamma": [0.2, 0.5], "rule.lags": [1, 2]}
    (one,) = api.compare(
        TINY, seeds=[0], rules=["echo"], overrides={"training.validation": 5}, tune=tune, tune_seeds=[7], report=False
    ).tuning
    assert list(one.idle) == ["rule.gamma"]
    assert "rule.gamma" not in one.at_edge


# ---- what cannot be tuned ----


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"tune_seeds": [0, 5]}, "--tune-seeds: 0 is reported too"),
        ({"tune_seeds": []}, "--tune-seeds: no seeds to tune on"),
        ({"tune_seeds": None}, "--tune-seeds: no seeds to tune on"),
        ({"tune_seeds": [5, 5]}, "--tune-seeds: 5 is named twice"),
        ({"tune_seeds": 5}, "tune_seeds: 5 (int): pass a list of seeds"),
        ({"tune_seeds": [-1]}, "tune_seeds: -1"),
        ({"tune": None}, "--tune-seeds: nothing is tuned"),
        ({"tune": {"optimizer.lr": [0.1]}}, "--tune: a grid of one point leaves nothing to choose"),
        ({"tune": {}}, "--tune: a grid of one point leaves nothing to choose"),
        ({"tune": {"optimizer.lr": [0.1, 0.0]}}, "--tune optimizer.lr=0: optimizer.lr: 0.0 must be above 0"),
        ({"tune": {"optimizer.l": [0.1, 0.2]}}, "--tune optimizer.l=0.1: optimizer.l: unknown key; did you mean"),
        ({"tune": {"optimizer.lr": "1e-2..1e-3:log,4"}}, "runs backwards"),
        ({"tune": {"optimizer.lr": "0..1e-3:log,4"}}, "has no logarithm at 0"),
        ({"tune": {"rule.K": [1, 2]}, "rules": ["anp", "bptt"]}, "--tune rule.K=1: rule.K: unknown key"),
        ({"tune": {"task.delay": [1, 2]}}, "--tune task.delay: is of the task"),
        ({"tune": {"training.controls": [True, False]}}, "--tune training.controls: a trial sets it itself"),
        ({"tune": {"seed": [1, 2]}}, "--tune seed: has an option of its own, --seeds"),
        ({"axes": {"optimizer.lr": [1, 2]}}, "--tune optimizer.lr: is set by --axis too"),
        ({"overrides": {"optimizer.lr": 1}}, "--tune optimizer.lr: is set by --set"),
        ({"ablate": True}, "--tune: an ablation is of one setting"),
        ({"max_runs": 6}, "the comparison has 7 runs (1 combination x 7 runs of each)"),
    ],
)  # fmt: skip
def test_what_cannot_be_tuned_is_told_and_nothing_is_run(words, said, in_process, tmp_path):
    with pytest.raises(InputError) as caught:
        api.compare(TINY, **{"seeds": [0], **TUNE, **words})
    assert said in str(caught.value)
    assert str(caught.value).count("\n") <= 1
    assert not in_process
    assert not list(tmp_path.iterdir())


def test_the_source_s_own_seed_is_a_reported_one():
    grid, tuning = lay_out({**TINY, "seed": 100}), tuning_of({"optimizer.lr": RATES}, SEEDS)
    assert tuning is not None
    with pytest.raises(InputError, match="--tune-seeds: 100 is reported too"):
        searches(grid, tuning)


def test_how_many_runs_there_will_be_is_known(in_process):
    words = {"rules": ["anp", "bptt"], "axes": {"network.hidden": [4, 5]}, "seeds": 3, **TUNE}
    assert api.runs_of_comparison(TINY, {}, **words) == 2 * 2 * (3 + 3 * 2)
    assert api.runs_of_comparison(TINY, {}, rules=["anp", "bptt"], axes={"network.hidden": [4, 5]}, seeds=3) == 12
    assert not in_process
