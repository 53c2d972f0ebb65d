"""A sweep held to what its scheduler and its workers do, with a scheduler that is faked: each case in a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from multiprocessing.reduction import ForkingPickler
from types import SimpleNamespace
from typing import Any, cast

import pytest

from neuroanp.comparing import cluster, fleet
from neuroanp.comparing.cluster import DaskExecutor
from neuroanp.comparing.desk import Desk, planned
from neuroanp.comparing.fleet import Fleet
from neuroanp.comparing.remote import Order
from neuroanp.comparing.schedulers import Scheduler
from neuroanp.comparing.within import within
from neuroanp.comparing.worker import Outcome
from neuroanp.errors import RunError
from neuroanp.records.run_dir import RunDir
from tests.comparing.dask_faked import NEVER, Client, Faked, Future, faked, report, well
from tests.comparing.test_executors import job, silent

A, B = "tcp://a:1", "tcp://b:1"
BOUND_S = 60.0
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


def test_who_keeps_a_sweep_waiting_is_said_once_and_shown(tmp_path, monkeypatch, caplog):
    """A worker that others keep busy answers when it is free: its question, and a run, wait in its queue."""
    caplog.set_level("INFO")
    monkeypatch.setattr(cluster, "SLOW_S", 0.3)
    monkeypatch.setattr(fleet, "SLOW_S", 0.3)
    monkeypatch.setattr("neuroanp.comparing.standing.EVERY_S", 0.0)
    asked, given, events = Future(report(), "pending"), Future(None, "pending"), list[dict[str, Any]]()

    def answer(address: str, order: Order) -> Future:
        given.value = well(address, order)
        return given

    def heard(event: dict[str, Any]) -> None:
        if event["phase"] == "sweep":
            events.append(event)
            (asked if asked.status == "pending" else given).finish() if len(events) != 2 else None

    sweep = faked(Client({A: 1}, answer, {A: asked}), [job(tmp_path)], Fleet("x", 0), heard)
    within(BOUND_S, sweep.run)
    assert [event["running"] for event in events[:3]] == [0, 1, 1]
    for what in ("workers that have not answered yet", "runs that their workers have not begun yet"):
        assert caplog.messages.count(f"x: {what}: 1 (busy with what others gave them?)") == 1


def test_a_run_that_one_worker_cannot_import_goes_to_another(tmp_path):
    for kind in ("absent", "unable"):
        said = (kind, "'mine' cannot be imported from mine", "")
        client = Client({A: 2, B: 1}, lambda at, order, said=said: said if at == A else well(at, order))
        assert within(BOUND_S, faked(client, [job(tmp_path)], Fleet("x", 0)).run) == [f"done by {B}"]


def test_a_run_that_no_worker_can_import_fails_by_name(tmp_path, monkeypatch):
    """It is not done on the machine that asks, where no limits hold."""
    monkeypatch.setattr(Desk, "_do_here", lambda *rest: pytest.fail("it is done here"))
    answers = {A: ("unable", "has other data", ""), B: ("absent", "'mine' cannot be imported from mine", "")}
    sweep = faked(Client({A: 1, B: 1}, lambda at, order: answers[at]), [job(tmp_path)], Fleet("x", 0))
    assert within(BOUND_S, sweep.run) == ["no worker of x can do it: 'mine' cannot be imported from mine (node)"]


def test_a_run_with_other_data_in_every_process_is_done_here_by_name(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("neuroanp.comparing.desk.work", lambda plan, say: Outcome("", None))
    said = ("unable", "task 'mine' has other data in another process", "")
    sweep = faked(Client({A: 1, B: 1}, lambda *rest: said), [job(tmp_path)], Fleet("x", 0))
    assert within(BOUND_S, sweep.run) == ["None"]
    assert {at for at, _ in sweep.client.given} == {A, B}
    assert sum("in this process: task 'mine' has other data" in message for message in caplog.messages) == 1


@pytest.mark.parametrize("how", ["released", "stopped", "broken", "gone"])
@pytest.mark.parametrize("saves", [True, False])
def test_a_run_that_gets_on_may_lose_any_number_of_workers(tmp_path, how, saves):
    """As jobs whose walltime ends; one that saves nothing new between two is given up the third time."""
    wanted, tries = job(tmp_path, force=True), list[str]()
    (plan,) = planned([wanted])
    record = RunDir.create(tmp_path, plan.path.name, wanted.config.to_yaml(), {"identity": plan.path.name[-16:]})
    folder = record.path / "checkpoints"
    (folder / "00000900.safetensors").touch()  # of the record that `force` begins anew

    def answer(address: str, order: Order) -> Any:
        tries.append(address)
        if len(tries) == 6:
            return well(address, order)
        for old in folder.iterdir():
            old.unlink()
        (folder / f"{len(tries) if saves else 0:08d}.safetensors").touch()
        if how == "gone":
            del client.workers[address]
            client.workers[f"tcp://a:{len(tries) + 1}"] = 1
            return NEVER
        return Future(None, "error") if how == "broken" else (how, "", "")

    client = Client({"tcp://a:1": 1}, answer)
    (said,) = within(BOUND_S, faked(client, [wanted], Fleet("x", 0)).run)
    assert said.startswith("done by") if saves else "(3 times)" in said
    assert len(tries) == (6 if saves else 4)


def test_a_process_that_dies_is_tried_three_times_whatever_it_has_saved(tmp_path):
    (plan,) = planned([job(tmp_path)])
    desk = Desk([plan], silent, set(), 1)
    for update in range(3):
        assert desk.next() == 0
        desk.begin(0)
        (plan.path / "checkpoints").mkdir(parents=True, exist_ok=True)
        (plan.path / "checkpoints" / f"{update:08d}.safetensors").touch()
        desk.end(0, "died", "was killed")
    assert desk.outcomes[0].error == "its worker process was killed (3 times)"


def test_a_run_that_had_ended_on_a_lost_worker_is_not_done_twice(tmp_path):
    """With --force: what was begun since the sweep began is what was asked for."""
    wanted = job(tmp_path, force=True)
    old = RunDir.create(tmp_path, planned([wanted])[0].path.name, wanted.config.to_yaml(), {"started": "a day ago"})
    old.end("finished")
    forced = list[bool]()

    def answer(address: str, order: Order) -> Any:
        forced.append(ForkingPickler.loads(order.packed).force)
        if len(forced) == 2:
            return well(address, order)
        old.update(started="2026-11-29T16:20:04+00:00")
        return Future(None, "error")

    within(BOUND_S, faked(Client({A: 1}, answer), [wanted], Fleet("x", 0)).run)
    assert forced == [True, False]
