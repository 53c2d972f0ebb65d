"""A sweep held to what its scheduler and its workers do, with a scheduler that is faked: each case in a second."""

from __future__ import annotations

import threading

import pytest

from neuroanp.comparing import cluster
from neuroanp.comparing.fleet import Fleet
from neuroanp.comparing.within import within
from neuroanp.errors import RunError
from tests.comparing.dask_faked import Client, faked, well
from tests.comparing.test_executors import job

A, B = "tcp://a:1", "tcp://b:1"
BOUND_S = 30.0
"""Within which a sweep ends, on a machine that is busy."""


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often which workers there are."""
    monkeypatch.setattr(cluster, "REFRESH_S", 0.05)


def test_a_scheduler_that_says_nothing_is_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "ANSWER_S", 0.2)
    client, end = Client({A: 1}, well), threading.Event()
    monkeypatch.setattr(client, "scheduler_info", lambda n_workers: end.wait(60))
    sweep = faked(client, [job(tmp_path)], Fleet("x", False))
    with pytest.raises(RunError, match=r"the scheduler of x is gone \(no answer within 0\.2 s\)"):
        within(BOUND_S, sweep.run)
    end.set()


def test_each_worker_does_what_it_is_given(tmp_path):
    sweep = faked(Client({A: 1, B: 1}, well), [job(tmp_path, seed=k) for k in range(3)], Fleet("x", False))
    assert {said.rpartition(" ")[2] for said in within(BOUND_S, sweep.run)} == {A, B}
