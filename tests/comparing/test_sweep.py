"""A sweep held to what its scheduler and its workers do, with a scheduler that is faked: each case in a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, cast

import pytest

from neuroanp.comparing import cluster, fleet
from neuroanp.comparing.cluster import DaskExecutor
from neuroanp.comparing.fleet import Fleet
from neuroanp.comparing.remote import Order
from neuroanp.comparing.schedulers import Scheduler
from neuroanp.comparing.within import within
from neuroanp.errors import RunError
from tests.comparing.dask_faked import Client, Faked, Future, faked, report, well
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
    sweep = faked(client, [job(tmp_path)], Fleet("x", 0))
    with pytest.raises(RunError, match=r"the scheduler of x is gone \(no answer within 0\.2 s\)"):
        within(BOUND_S, sweep.run)
    end.set()


def test_each_worker_does_what_it_is_given(tmp_path):
    sweep = faked(Client({A: 1, B: 1}, well), [job(tmp_path, seed=k) for k in range(3)], Fleet("x", 0))
    assert {said.rpartition(" ")[2] for said in within(BOUND_S, sweep.run)} == {A, B}


def test_leaving_does_not_wait_for_a_worker_that_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "DISMISS_S", 0.2)
    client, end, asked = Client({A: 1}, well), threading.Event(), list[Any]()

    def run(function: Any, *rest: Any, workers: list[str], **words: Any) -> None:
        asked.append(workers)
        end.wait(BOUND_S + 5)

    monkeypatch.setattr(client, "run", run)
    scheduler = SimpleNamespace(
        name="x", most=0, script=None, need=lambda *need: None, reached=lambda: nullcontext(client)
    )
    begun = time.monotonic()
    with DaskExecutor(cast("Scheduler", scheduler)) as executor:
        executor.run([job(tmp_path)], silent)
    assert time.monotonic() - begun < BOUND_S
    assert asked == [[A]]
    end.set()


BLIND = report(store="it does not see the store /s")


def coming(sweep: Faked, address: str, when: Callable[[int, int, int], bool]) -> Faked:
    """Let a queue start a worker once it is asked for what `when` admits."""

    def need(runs: int, refused: int, stuck: int) -> None:
        if when(runs, refused, stuck):
            sweep.client.workers[address] = 1

    sweep.need = need
    return sweep


def test_one_bad_node_of_a_queue_is_said_and_others_are_waited_for(tmp_path, caplog):
    sweep = faked(Client({A: 1}, well, {A: BLIND}), [job(tmp_path)], Fleet("x", 2))
    coming(sweep, B, lambda runs, refused, stuck: refused == 1)
    assert within(BOUND_S, sweep.run) == [f"done by {B}"]
    assert sweep.client.given == [(B, 0)]
    told = "x: the job that it has started so far can do no run; waiting for others, up to 2 in all, for 30 min"
    assert caplog.messages.count(told) == 1


@pytest.mark.parametrize(("most", "patience"), [(0, 99.0), (1, 99.0), (2, 99.0), (9, 0.3)])
def test_bad_nodes_are_given_up_when_no_other_comes(tmp_path, monkeypatch, most, patience):
    monkeypatch.setattr(fleet, "QUEUE_S", patience)
    sweep = faked(Client({A: 1}, well, {A: BLIND, B: BLIND}), [job(tmp_path)], Fleet("x", most))
    coming(sweep, B, lambda runs, refused, stuck: most == 2 and refused == 1)
    with pytest.raises(
        RunError, match=r"no worker of x can do these runs:\n  worker tcp://a:1 on node: it does not see"
    ):
        within(BOUND_S, sweep.run)


def lacking(*addresses: str) -> Callable[[str, Order], Any]:
    """Return the answers of workers of which some lack something for every run."""
    return lambda address, order: ("lacking", "no gymnasium", "") if address in addresses else well(address, order)


def test_a_run_that_those_who_are_there_lack_something_for_waits_for_others_of_a_queue(tmp_path):
    sweep = faked(Client({A: 1}, lacking(A)), [job(tmp_path)], Fleet("x", 2))
    coming(sweep, B, lambda runs, refused, stuck: stuck == 1)
    assert within(BOUND_S, sweep.run) == [f"done by {B}"]


@pytest.mark.parametrize(("most", "patience"), [(0, 99.0), (1, 99.0), (9, 0.3)])
def test_a_run_that_nobody_can_do_fails_by_name_when_no_other_comes(tmp_path, monkeypatch, most, patience):
    monkeypatch.setattr(fleet, "QUEUE_S", patience)
    sweep = faked(Client({A: 1}, lacking(A)), [job(tmp_path)], Fleet("x", most))
    assert within(BOUND_S, sweep.run) == ["no worker of x can do it: no gymnasium (node)"]


@pytest.mark.parametrize("answers", [True, False])
def test_a_run_waits_for_a_worker_that_has_not_said_what_it_is(tmp_path, monkeypatch, answers):
    """And no longer than a minute for one that does not."""
    monkeypatch.setattr(fleet, "PATIENCE_S", 99.0 if answers else 0.3)
    late = Future(report(), "pending")

    def answer(address: str, order: Order) -> Any:
        if answers and address == A:
            threading.Timer(0.5, late.finish).start()
        return lacking(A)(address, order)

    sweep = faked(Client({A: 1, B: 1}, answer, {B: late}), [job(tmp_path)], Fleet("x", 0))
    assert within(BOUND_S, sweep.run) == [
        f"done by {B}" if answers else "no worker of x can do it: no gymnasium (node)"
    ]
