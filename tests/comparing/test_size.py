"""The size of a comparison is known, told and bounded before anything is laid out."""

from __future__ import annotations

import pytest

from neuroanp import api
from neuroanp.comparing import ablate, pool, size
from neuroanp.comparing.grid import expand
from neuroanp.comparing.transfer import plan
from neuroanp.comparing.worker import Outcome
from neuroanp.errors import InputError, RunError

TINY = {"task": {"name": "copy", "length": 1}, "network": {"hidden": 4}, "training": {"updates": 1}}


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """Run nothing; keep what would have run, and with how many workers."""
    monkeypatch.chdir(tmp_path)
    jobs: list[tuple[int, int]] = []

    def run_all(wanted, workers, progress, logged=None):
        jobs.append((len(wanted), workers))
        return [Outcome("", None, "not run")] * len(wanted)

    monkeypatch.setattr(pool, "run_all", run_all)
    return jobs


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: api.compare(TINY, seeds=10**12), "1,000,000,000,000 runs (1,000,000,000,000 seeds)"),
        (lambda: api.compare(TINY, seeds=10_001), "10,001 runs (10,001 seeds)"),
        (lambda: api.compare(TINY, profiles=["ideal", "pcm"], seeds=3, max_runs=5), "6 runs (2 profiles x 3 seeds)"),
        (lambda: api.compare(TINY, profiles="pcm", ablate=True, max_runs=3), "runs (20 ablated runs)"),
        (lambda: api.runs_of_comparison(TINY, None, seeds=10**12, ablate=True), "1,000,000,000,000 seeds"),
        (lambda: api.transfer(TINY, profiles=["pcm"], seeds=10**12), "(1 profile x 1,000,000,000,000 seeds)"),
        (lambda: api.transfer(TINY, profiles=["pcm", "ideal"], seeds=2, max_runs=13), "14 runs (2 seeds x 7 runs)"),
    ],
)
def test_too_many_runs_are_refused_before_any_starts(asked, call, said):
    with pytest.raises(InputError) as caught:
        call()
    assert said in str(caught.value)
    assert "--max-runs" in str(caught.value)
    assert asked == []


def test_as_many_as_are_allowed_are_run_and_told(asked, caplog):
    caplog.set_level("INFO")
    with pytest.raises(RunError, match="not run"):
        api.compare(TINY, profiles=["ideal", "pcm"], seeds=3, max_runs=6, workers=2)
    assert asked == [(6, 2)]
    assert "6 runs (2 profiles x 3 seeds), at most 2 at a time" in caplog.messages


@pytest.mark.parametrize("workers", [0, -1, 10**6, True])
def test_workers_that_cannot_be(asked, workers):
    with pytest.raises(InputError, match="workers: "):
        api.compare(TINY, workers=workers)
    assert asked == []


def test_one_worker_a_core_and_up_to_many(monkeypatch):
    monkeypatch.setattr(size, "usable_cores", lambda: 2)
    assert size.check_workers(None) == 2
    assert size.check_workers(64) == 64


def test_what_an_ablation_counts_is_what_it_makes():
    configs = expand(TINY, profiles=["ideal", "pcm", "rram_hfo2"], seeds=[0, 1])
    configs += expand(TINY, {"hardware.only": ["drift"]}, profiles=["pcm"])
    assert ablate.count(configs) == sum(len(ablate.ablated(config)) for config in configs)


def test_a_transfer_counts_what_it_makes():
    whole = plan(TINY, profiles=["pcm", "ideal"], fine_tune=1, seeds=[0, 1], most=14)
    assert whole.total == 14


@pytest.mark.parametrize("call", [api.train, api.compare])
def test_an_empty_folder_is_refused_in_python_too(asked, tmp_path, call):
    with pytest.raises(InputError, match="runs: is empty"):
        call(TINY, runs="")
    assert not list(tmp_path.iterdir())
