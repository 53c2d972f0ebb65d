"""Searches that draw their points, with real runs: as many for each, done once, on record, and the same anywhere."""

from __future__ import annotations

import json
from math import inf
from statistics import median

import pytest

from neuroanp import api
from neuroanp.comparing import pool, record, tune
from neuroanp.comparing.search import START, drawn
from neuroanp.comparing.settings import Axis, axes_over
from neuroanp.comparing.tune import Ended, at_edge, none_matters
from neuroanp.comparing.worker import work
from neuroanp.errors import InputError
from neuroanp.records.json_io import finite
from tests.close import close

TINY = {
    "task": {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 8},
    "network": {"hidden": 5},
    "rule": "anp",
    "optimizer": {"schedule": "constant"},
    "training": {"updates": 3, "batch": 2, "controls": False, "validation": 8},
}
TUNE = {"optimizer.lr": "1e-4..1e-1:log", "network.hidden": {"low": 4, "high": 9}}
SEARCH = {"tune": TUNE, "tune_seeds": [100, 101], "search": "random", "trials": 3}


@pytest.fixture
def in_process(monkeypatch, tmp_path):
    """Do the jobs one after the other; return the lists of them that came, a list a call."""
    calls = []

    def run_all(jobs, workers, progress, logged=None):
        calls.append(list(jobs))
        return [work(job, lambda kind, content: None) for job in jobs]

    monkeypatch.setattr(pool, "run_all", run_all)
    monkeypatch.chdir(tmp_path)
    return calls


def stamps(folder):
    return {path.name: (path / "manifest.json").stat().st_mtime_ns for path in folder.iterdir()}


@pytest.mark.long
def test_all_get_the_same_points_and_the_best_is_reported_with_its_place(in_process, tmp_path):
    found = api.compare(TINY, rules=["anp", "bptt"], seeds=[0], **SEARCH)
    points = drawn(axes_over(TUNE, "--tune"), 3, 0)
    assert [one.rule for one in found.tuning] == ["anp", "bptt"]
    for one in found.tuning:
        assert [trial.values for trial in one.trials[::2]] == points
        assert [trial.seed for trial in one.trials] == [100, 101] * 3
        assert list(one.medians) == [median(t.loss for t in one.trials[k : k + 2]) for k in (0, 2, 4)]
        assert one.chosen == points[one.medians.index(min(one.medians))]
        (run,) = [run for run in found.runs if run.result["rule"] == one.rule]
        plain = run.config.to_plain()
        assert plain["optimizer"]["lr"] == one.chosen["optimizer.lr"]
        assert plain["network"]["hidden"] == one.chosen["network.hidden"]
        assert one.place["network.hidden"] == close((one.chosen["network.hidden"] - 4) / 5, abs=1e-9)
    kept = record.read(found.report.parent)
    assert list(kept.tuning) == [finite(one.to_dict()) for one in found.tuning]
    for one in kept.tuning:
        assert one["search"] == {"kind": "random", "trials": 3, "seed": 0}
        assert one["grid"]["optimizer.lr"] == {"low": 1e-4, "high": 1e-1, "log": True}
        assert (one["runs"], len(one["trials"])) == (6, 6)
    page = found.report.read_text()
    said = "3 points, drawn at random (seed 0), 6 trials for each of 2: the same number for all"
    assert said in page
    assert said in api.report(found.report.parent, tmp_path / "again.html").read_text()
    assert "optimizer.lr from 0.0001 to 0.1 (log); network.hidden from 4 to 9" in page


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["random", pytest.param("optuna", marks=pytest.mark.long)])
def test_a_repeat_runs_nothing_and_a_longer_search_runs_what_is_new(kind, in_process, tmp_path):
    if kind == "optuna":
        pytest.importorskip("optuna", reason="pip install neuroanp[search]")
    words = {"seeds": [0], "tune": TUNE, "tune_seeds": [100], "search": kind}
    first = api.compare(TINY, trials=12, **words)
    assert [len(jobs) for jobs in in_process] == ([12, 1] if kind == "random" else [START, 2, 1])
    before = stamps(tmp_path / "runs" / "tuning")
    again = api.compare(TINY, trials=12, **words)
    assert stamps(tmp_path / "runs" / "tuning") == before
    assert again.report == first.report
    assert [one.to_dict() for one in again.tuning] == [one.to_dict() for one in first.tuning]
    longer = api.compare(TINY, trials=14, report=False, **words)
    assert [t.values for t in longer.tuning[0].trials[:12]] == [t.values for t in first.tuning[0].trials]
    after = stamps(tmp_path / "runs" / "tuning")
    assert {name: after[name] for name in before} == before
    assert len({repr(t.values) for t in longer.tuning[0].trials}) == len(after)


@pytest.mark.slow
def test_each_rule_has_a_search_of_its_own_by_optuna_with_as_many_trials(in_process):
    """The second batch follows from the rule's own losses: what is proposed after it differs, its size does not."""
    pytest.importorskip("optuna", reason="pip install neuroanp[search]")
    words = {"tune": TUNE, "tune_seeds": [100], "search": "optuna", "report": False, "seeds": [0]}
    both = api.compare(TINY, rules=["anp", "bptt"], trials=16, **words)
    assert [len(jobs) for jobs in in_process] == [2 * START, 2 * 5, 2 * 1, 2]
    anp, bptt = ([trial.values for trial in one.trials] for one in both.tuning)
    assert len(anp) == len(bptt) == 16
    assert anp[:START] == bptt[:START]
    assert anp[START:] != bptt[START:]
    (alone,) = api.compare(TINY, rules=["bptt"], trials=16, **words).tuning
    assert [trial.values for trial in alone.trials] == bptt


def test_a_trial_that_diverged_is_told_as_the_worst(monkeypatch):
    """Medians over the seeds, in the order of the points, infinite where half of the seeds diverged."""
    seen = {}

    class Spy:
        trials = 9

        def next(self, axes, told):
            seen["told"] = told
            return []

    ended = [
        Ended({"a": k}, seed, loss, "finished", 1, "x")
        for k, row in enumerate([(1.0, 3.0), (inf, 1.0), (5.0, 5.0)])
        for seed, loss in enumerate(row)
    ]
    tuning = tune.Tuning((Axis("a", (0, 1, 2)),), (0, 1), Spy())
    monkeypatch.setattr(tune.Tuning, "trials", 18)
    assert tune.following(None, tuning, ended) == []
    assert seen["told"] == [({"a": 0}, 2.0), ({"a": 1}, inf), ({"a": 2}, 5.0)]


def test_what_a_configuration_does_not_take_of_what_is_proposed_is_told_with_the_key(monkeypatch):
    """Between ends that it takes there may be numbers that it does not."""

    class Refusing:
        def resolved(self, problems, seed, settings):
            problems.append(f"{settings['a'].origin}: must be even")
            return []

    (axis,) = axes_over({"a": "0..100"}, "--tune")
    tuning = tune.Tuning((axis,), (7,), tune.Search("random", 5, 0))
    ended = [Ended(point, 7, 1.0, "finished", 1, "x") for point in drawn([axis], 4, 0)]
    with pytest.raises(InputError) as caught:
        tune.following(Refusing(), tuning, ended)
    (last,) = drawn([axis], 5, 0)[4:]
    assert f"--tune a={last['a']}: must be even" in str(caught.value)
    assert "what was tried is kept" in str(caught.value)


def test_a_point_that_is_proposed_twice_is_run_once_and_counts_twice(in_process, monkeypatch):
    """Three whole numbers and twelve points cannot all differ: Optuna may ask again, and the budget is still twelve."""
    pytest.importorskip("optuna", reason="pip install neuroanp[search]")
    monkeypatch.setattr("neuroanp.comparing.search.check_room", lambda axes, search: None)
    monkeypatch.setattr("neuroanp.comparing.search.START", 2)
    words = {"tune": {"network.hidden": "4..6"}, "tune_seeds": [100], "search": "optuna", "report": False}
    (one,) = api.compare(TINY, seeds=[0], trials=12, **words).tuning
    assert len(one.trials) == 12
    for jobs in in_process:
        assert len({repr(job.config) for job in jobs}) == len(jobs)
    by_point = {}
    for trial in one.trials:
        by_point.setdefault(trial.values["network.hidden"], set()).add((trial.loss, trial.run))
    assert {len(each) for each in by_point.values()} == {1}


@pytest.mark.long
def test_results_do_not_depend_on_the_number_of_workers(tmp_path, monkeypatch):
    pytest.importorskip("optuna", reason="pip install neuroanp[search]")
    monkeypatch.chdir(tmp_path)
    words = {
        "rules": ["anp"],
        "seeds": [0],
        "tune": TUNE,
        "tune_seeds": [100],
        "search": "optuna",
        "trials": 13,
    }
    one, two, dask = (
        api.compare(TINY, runs=f"of-{k}", report=False, progress=False, **how, **words)
        for k, how in enumerate([{"workers": 1}, {"workers": 2}, {"workers": 2, "cluster": "local"}])
    )
    assert [s.to_dict() for s in one.tuning] == [s.to_dict() for s in two.tuning] == [s.to_dict() for s in dask.tuning]
    assert [run.path.name for run in one.runs] == [run.path.name for run in two.runs]


def test_an_edge_is_a_twentieth_of_a_range_on_its_own_scale():
    (log_axis,) = axes_over({"a": "1e-4..1e0:log"}, "--tune")
    (linear,) = axes_over({"a": "0.0..1.0"}, "--tune")
    assert [at_edge([log_axis], {"a": v}) for v in (1.1e-4, 1.55e-4, 1.65e-4, 0.5, 0.62, 0.64, 1.0)] == [
        ["a"], ["a"], [], [], [], ["a"], ["a"]
    ]  # fmt: skip
    assert [at_edge([linear], {"a": v}) for v in (0.0, 0.049, 0.051, 0.949, 0.951)] == [["a"], ["a"], [], [], ["a"]]


def test_that_no_key_matters_is_said_where_no_loss_differs():
    axes = axes_over({"a": "1..9", "b": ["x"]}, "--tune")

    def trials(*losses):
        return [Ended({"a": k, "b": "x"}, seed, y, "finished", 1, "x") for k, seed, y in losses]

    assert none_matters(axes, trials((1, 0, 2.0), (2, 0, 2.0), (1, 1, 3.0), (2, 1, 3.0))) == ["a"]
    assert none_matters(axes, trials((1, 0, 2.0), (2, 0, 2.1))) == []
    assert none_matters(axes, trials((1, 0, inf), (2, 0, inf))) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"search": None, "trials": None}, "is a range to draw from, and a grid tries values"),
        ({"search": None}, "is a range to draw from, and a grid tries values"),
        ({"search": "grid", "trials": None}, "--tune network.hidden: 4..9 is a range to draw from"),
        ({"tune": {"optimizer.lrr": "1e-4..1e-1"}}, "--tune optimizer.lrr=0.0001: optimizer.lrr: unknown key; did you"),
        ({"tune": {"network.hidden": "0..4"}}, "--tune network.hidden=0: network.hidden: 0 must be at least 1"),
        ({"tune": {"network.hidden": "4.0..9"}}, "--tune network.hidden=4: network.hidden: 4.0 is not a whole"),
        ({"tune": {"network.hidden": "4.0..9"}, "rules": ["anp", "np"]}, "=4: network.hidden: 4.0 is not a whole"),
        ({"tune": {"task.delay": "1..9"}}, "--tune task.delay: is of the task"),
        ({"tune": {"optimizer.lr": "1..1"}}, "is empty: it begins where it ends"),
        ({"tune": None, "tune_seeds": None}, "--search: nothing is tuned"),
        ({"tune": None, "tune_seeds": None, "search": None}, "--trials: nothing is tuned"),
        ({"tune_seeds": [0]}, "--tune-seeds: 0 is reported too"),
        ({"trials": None}, "--trials: missing"),
        ({"max_runs": 6}, "the comparison has 7 runs (1 combination x 7 runs of each)"),
        ({"axes": {"optimizer.lr": [1, 2]}}, "--tune optimizer.lr: is set by --axis too"),
        ({"axes": {"network.hidden": "4..9"}}, "--axis network.hidden: '4..9' is no range"),
    ],
)  # fmt: skip
def test_what_cannot_be_searched_is_told_and_nothing_is_run(words, said, in_process, tmp_path):
    with pytest.raises(InputError) as caught:
        api.compare(TINY, **{"seeds": [0], **SEARCH, **words})
    assert said in str(caught.value)
    assert str(caught.value).count("\n") <= 2
    assert not in_process
    assert not list(tmp_path.iterdir())


def test_how_many_runs_there_will_be_is_known(in_process):
    words = {"rules": ["anp", "bptt"], "axes": {"training.batch": [2, 3]}, "seeds": 3, **SEARCH}
    assert api.runs_of_comparison(TINY, {}, **words) == 2 * 2 * (3 + 3 * 2)
    assert not in_process


def test_a_grid_is_on_record_as_it_was(in_process):
    """Neither fields nor the name of the directory change: what a search has more is left out."""
    (one,) = api.compare(
        TINY, seeds=[0], tune={"optimizer.lr": [0.1, 0.01]}, tune_seeds=[7], report=False, search="grid"
    ).tuning
    plain = one.to_dict()
    assert {"search", "place"}.isdisjoint(plain)
    assert plain["grid"] == {"optimizer.lr": [0.1, 0.01]}
    assert json.loads(json.dumps(finite(plain)))["runs"] == 2


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """The record of a search, which was done once."""
    folder = tmp_path_factory.mktemp("search")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "run_all", lambda jobs, *_: [work(job, lambda kind, content: None) for job in jobs])
        found = api.compare(TINY, rules=["anp", "bptt"], seeds=[0], runs=folder, **SEARCH)
    return (found.report.parent / record.NAME).read_text()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda one: one["grid"].update({"optimizer.lr": {"low": 1.0, "high": 0.1, "log": True}}),
        lambda one: one["grid"].update({"optimizer.lr": {"low": "x", "high": 0.1, "log": True}}),
        lambda one: one["place"].update({"no.key": 0.5}),
        lambda one: one.pop("place"),
        lambda one: one["search"].update(trials="many"),
        lambda one: one.pop("search"),
    ],
)
def test_a_strangers_record_of_a_search_is_sound_or_refused(recorded, tmp_path, spoil):
    fields = json.loads(recorded)
    spoil(fields["tuning"][0])
    del fields["seal"]
    (tmp_path / record.NAME).write_text(json.dumps({**fields, "seal": record.of_fields(fields)}))
    with pytest.raises(InputError, match="no tuning"):
        record.read(tmp_path)
