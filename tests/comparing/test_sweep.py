"""A sweep held to what its scheduler and its workers do, with a scheduler that is faked: each case in a second."""

from __future__ import annotations

import threading
import time
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, cast

import pytest

from neuroanp.comparing import cluster
from neuroanp.comparing.cluster import DaskExecutor
from neuroanp.comparing.fleet import Fleet
from neuroanp.comparing.schedulers import Scheduler
from neuroanp.comparing.within import within
from neuroanp.errors import RunError
from tests.comparing.dask_faked import Client, faked, well
from tests.comparing.test_executors import job, silent

A, B = "tcp://a:1", "tcp://b:1"
BOUND_S = 20.0
"""Within which a sweep ends, on a machine that is busy."""


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often which workers there are."""
    monkeypatch.setattr(cluster, "REFRESH_S", 0.05)


def test_a_scheduler_that_says_nothing_is_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "ANSWER_S", 0.2)
    client, end = Client({A: 1}, well), threading.Event()
    monkeypatch.setattr(client, "scheduler_info", lambda n_workers: end.wait(BOUND_S + 5))
    sweep = faked(client, [job(tmp_path)], Fleet("x", False))
    with pytest.raises(RunError, match=r"the scheduler of x is gone \(no answer within 0\.2 s\)"):
        within(BOUND_S, sweep.run)
    end.set()


def test_each_worker_does_what_it_is_given(tmp_path):
    sweep = faked(Client({A: 1, B: 1}, well), [job(tmp_path, seed=k) for k in range(3)], Fleet("x", False))
    assert {said.rpartition(" ")[2] for said in within(BOUND_S, sweep.run)} == {A, B}


def test_leaving_does_not_wait_for_a_worker_that_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "DISMISS_S", 0.2)
    client, end, asked = Client({A: 1}, well), threading.Event(), list[Any]()

    def run(function: Any, *rest: Any, workers: list[str], **words: Any) -> None:
        asked.append(workers)
        end.wait(BOUND_S + 5)

    monkeypatch.setattr(client, "run", run)
    scheduler = SimpleNamespace(
        name="x", elastic=False, script=None, need=lambda *need: None, reached=lambda: nullcontext(client)
    )
    begun = time.monotonic()
    with DaskExecutor(cast("Scheduler", scheduler)) as executor:
        executor.run([job(tmp_path)], silent)
    assert time.monotonic() - begun < BOUND_S
    assert asked == [[A]]
    end.set()
