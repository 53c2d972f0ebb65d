"""What happens on a Dask worker: our own process does the run, and a thread of the worker watches over it.

The run is ended in order, with its checkpoint, when the task is released: because the driver asks for it, or because
the scheduler has lost the driver or the worker its scheduler. It ends with the worker's process in any case. Nothing of
a run is loaded into the worker itself.
"""

from __future__ import annotations

import json
import os
import platform
import socket
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from neuroanp.comparing.limits import LOOK_S, Limits
from neuroanp.comparing.needs import Needs
from neuroanp.comparing.process import Worker
from neuroanp.errors import refused_by_machine
from neuroanp.records.identity import code_version

TELL_EVERY_S = 1.0
"""Between two events of one run that are sent through the scheduler."""
SAVE_S = 3.5
"""How long a run that is released may take to save a checkpoint."""
IDLE_S = 10.0
"""How long a process waits for a further run of its sweep."""
SEEN_S = 5.0
"""How long a file that another machine has written may take to be seen."""
COMPARED = ("torch", "numpy", "distributed", "msgpack")
"""Packages whose versions are compared."""


@dataclass(frozen=True)
class Order:
    """A run to do.

    Args:
        session: of the driver; processes are not shared with another. token: of this try. needs, packed, limits: as of
            `Worker.give`. paths: where the driver finds modules.
    """

    session: str
    token: str
    needs: Needs
    packed: bytes
    limits: Limits
    paths: tuple[str, ...]


@dataclass(frozen=True)
class Probe:
    """What a worker is asked before it gets a run: whether it sees the store. `text` is what the driver wrote there."""

    root: str
    name: str
    text: str


@dataclass
class _Hand:
    """A process that does the runs of one thread of the worker, for one driver."""

    session: str
    worker: Worker
    busy: bool = True
    since: float = field(default_factory=time.monotonic)

    def take(self, busy: bool) -> None:
        """Note that it does a run from now on, or waits for one."""
        self.busy, self.since = busy, time.monotonic()


_lock = threading.Lock()
_hands: dict[int, _Hand] = {}
_reaping = False


def do(order: Order) -> tuple[str, Any, str]:
    """Do a run in a process of its own and return (kind, content, what it wrote); kinds as of `Desk.end`.

    Besides: ("refused", why): this worker cannot start a process; ("released", ""): the run was ended in order, since
    nobody waits for it any more.
    """
    from distributed import get_worker

    of_dask = get_worker()
    key = of_dask.get_current_task()

    def tell(kind: str, content: Any = None) -> None:
        of_dask.log_event(order.session, {"token": order.token, "kind": kind, "content": json.dumps(content)})

    hand = _hand(order)
    tell("began")
    try:
        try:
            hand.worker.give(0, order.needs, order.packed, order.limits)
        except OSError as error:
            return "refused", refused_by_machine(error) or f"no process can be started there: {error}", ""
        return _watched(hand.worker, lambda: _released(of_dask, key), tell)
    finally:
        _rest(hand)
        tell("ended")


def _watched(child: Worker, released: Callable[[], bool], tell: Callable[[str, Any], None]) -> tuple[str, Any, str]:
    """Pass on what a run says until it ends, is beyond its limits, or nobody waits for it."""
    told = 0.0
    while not released():
        child.look()
        if not child.pipe.poll(LOOK_S):
            continue
        kind, content = child.hear()
        if kind == "event":
            now = time.monotonic()
            if content["phase"] != "train" or now - told > TELL_EVERY_S:
                told = now
                tell(kind, {name: _plain(value) for name, value in content.items()})
        elif kind == "log":
            tell(kind, content)
        elif kind != "began":
            child.hold(None)
            return kind, content, child.written()
    child.hold(None)
    child.stop(SAVE_S)
    return "released", "", ""


def _plain(value: Any) -> Any:
    """Return what JSON has a form for: numbers may be numpy's."""
    return value if value is None or isinstance(value, str | int | bool) else float(value)


def _released(of_dask: Any, key: Any) -> bool:
    """Tell whether nobody waits for a task any more, or its worker is closing."""
    from distributed.core import Status

    task = of_dask.state.tasks.get(key)
    ending = of_dask.status in (Status.closing, Status.closed, Status.failed)
    return ending or task is None or task.state == "cancelled"


def _hand(order: Order) -> _Hand:
    """Return the process of this thread; one of another driver is ended, for it may know other things by our names."""
    global _reaping
    thread = threading.get_ident()
    with _lock:
        found = _hands.pop(thread, None)
        fits = found is not None and found.session == order.session
        hand = found if found is not None and fits else _Hand(order.session, Worker(order.paths))
        hand.take(True)
        _hands[thread] = hand
        if not _reaping:
            _reaping = True
            threading.Thread(target=_reap, name="neuroanp-idle", daemon=True).start()
    if found is not None and not fits:
        found.worker.end()
    return hand


def _rest(hand: _Hand) -> None:
    with _lock:
        hand.take(False)


def _reap() -> None:
    """End processes that wait too long for a further run: their driver may be gone."""
    while True:
        time.sleep(1.0)
        now = time.monotonic()
        _end(lambda hand, now=now: now - hand.since > IDLE_S)


def dismiss(session: str) -> None:
    """End the idle processes of a driver, without waiting for it: the worker has others to serve."""
    threading.Thread(target=finish, args=(session,), name="neuroanp-end", daemon=True).start()


def finish(session: str) -> None:
    """End the idle processes of a driver that this process has, and wait for it."""
    _end(lambda hand: hand.session == session)


def _end(which: Callable[[_Hand], bool]) -> None:
    with _lock:
        ended = [thread for thread, hand in _hands.items() if not hand.busy and which(hand)]
        hands = [_hands.pop(thread) for thread in ended]
    for hand in hands:
        hand.worker.end()


def report(probe: Probe) -> dict[str, Any]:
    """Say what this worker is: its machine, versions and clock, and what it sees of the store."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "time": time.time(),
        "versions": versions(),
        "store": _sees(probe),
    }


def versions() -> dict[str, str]:
    """Return the versions that decide whether two processes compute the same, and understand each other."""
    found = {"python": platform.python_version(), "neuroanp": code_version()}
    for package in COMPARED:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "none"
    return found


def _sees(probe: Probe) -> str:
    """Say why the store of the driver cannot be used here; "": it can."""
    there, mine = Path(probe.root) / probe.name, Path(probe.root) / f"{probe.name}.{uuid.uuid4().hex}"
    deadline = time.monotonic() + SEEN_S
    while True:
        try:
            text = there.read_text(encoding="utf-8")
            break
        except OSError as error:
            if time.monotonic() > deadline:
                said = error.strerror or str(error)
                return f"it does not see the store {probe.root} ({said}), which must lie where all workers see it"
            time.sleep(0.2)
    if text != probe.text:
        return f"its {probe.root} is another folder than the store, which must lie where all workers see it"
    try:
        mine.write_bytes(b"\0" * 65536)
        mine.unlink()
    except OSError as error:
        return f"it cannot write to the store {probe.root} ({error.strerror or error})"
    return ""
