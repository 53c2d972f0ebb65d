"""One run over processes that `torchrun` started, on any number of machines: the first keeps the record, all compute.

Each process is a copy of one trainer, as those of `neuroanp.training.crew` are: it takes the same weights, draws the
same noise from the same addresses and writes the same updates. The first process does all that a run does by itself;
the others do an update when it does one, and nothing else. What they tell one another of an update are losses, pages of
the books where these depend on what was presented, and the sums of `neuroanp.training.sums`, by all-reduce.

A process that dies ends the others; torchrun starts all of them again (`--max-restarts`), and the first goes on from
the last checkpoint. The record is held by the first process as by any other run, so that two groups never write it.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from neuroanp.errors import DivergedError, InputError, RunError
from neuroanp.records.tensors import pack_tensors
from neuroanp.training.crew import TURN, by_page, checksum, numbers, orders, own, width, written
from neuroanp.training.processes import ENDS_S, end_with, ends_with
from neuroanp.training.ranks import Group, Place
from neuroanp.training.sharding import shared
from neuroanp.training.sharing import Crew, Pages
from neuroanp.training.stopping import SIGNALS

if TYPE_CHECKING:
    from neuroanp.training.build import Experiment
    from neuroanp.training.trainer import Trainer

COPY, DO, END = 1, 2, 3
"""What the first process says: become a copy, do an update, it is over."""
SIZE = struct.Struct("<q")

_joined: list[Group] = []
"""The group that this process is in; it is in one at most."""


def follows() -> bool:
    """Return whether torchrun started this process beside one that leads."""
    place = Place.found()
    return place is not None and place.index > 0


@contextmanager
def leading() -> Iterator[None]:
    """Share the updates of the runs in the body with the processes that torchrun started, where it did.

    Raises: RunError: they do not come.
    """
    place = Place.found()
    if place is None or _joined:
        yield
        return
    parent = os.getppid()
    ends_with(parent)  # a request to end in order, and if that takes too long an end
    end_with(parent, ENDS_S)
    _joined.append(Group(place))
    said = b""
    try:
        yield
    except Exception as error:
        said = (str(error) or type(error).__name__).encode()
        raise
    finally:
        group = _joined.pop()
        with suppress(RunError):
            group.say(END, said)
        group.leave()


def follow() -> str:
    """Join the process that leads, and do an update whenever it does one, until it says that it is over.

    Returns: the error that ended it there; nothing where it ended well.

    Raises: RunError: it has ended, or this process cannot do what it does.
    """
    place = Place.found()
    assert place is not None
    end_with(os.getppid(), ENDS_S)
    group = Group(place)
    with _deaf():  # the first process decides when it is over
        try:
            return serve(group)
        finally:
            group.leave()


@contextmanager
def _deaf() -> Iterator[None]:
    """Hear no request to end meanwhile."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def group_of(experiment: Experiment) -> Group | None:
    """Return the group that shares a run's updates; None: this process is alone.

    Raises: InputError: the rule has nothing that they could share, or less than they are.
    """
    if not _joined:
        return None
    group, config = _joined[0], experiment.config
    if config.compute.sums == "float":
        raise InputError(
            "compute.sums: with 'float' a run depends on the number of processes, and torchrun may start it again with "
            "another; use exact"
        )
    if config.compute.device not in ("cpu", "cuda"):
        raise InputError(
            f"compute.device: '{config.compute.device}' is one GPU, and each process of torchrun has its own; use cuda"
        )
    what = shared(config.rule, config.compute.shards)
    if what is None or what[1] < group.place.size:
        there = "nothing that processes share" if what is None else f"{what[1]} {what[0]}"
        remedy = "start one process" if what is None else "start fewer, or raise rule.K and compute.shards"
        raise InputError(
            f"torchrun: {group.place.size} processes, and an update of rule '{config.rule_name}' has {there}; {remedy}"
        )
    return group


@dataclass
class Sharing:
    """A process of a group as its own learner sees it.

    Args: group: joined. experiment, trained: of the trainer, where this process leads; see `Hands`.
    """

    group: Group
    experiment: Experiment | None = None
    trained: frozenset[str] | None = None
    _weights: float = field(default=0.0, init=False)
    _dependent: bool | None = field(default=None, init=False)

    @property
    def size(self) -> int:
        """Processes."""
        return self.group.place.size

    @property
    def index(self) -> int:
        """Which one this is."""
        return self.group.place.index

    def begin(self, trainer: Trainer) -> Crew:
        """Begin an update: the first process tells the others, which become copies of its trainer if they are new.

        Raises: RunError: one cannot build its copy, or has ended.
        """
        new = self._dependent is None
        if new:
            self._dependent = by_page(trainer)
        if self.experiment is not None:
            if new:
                self._copy(trainer, self.experiment)
            self.group.say(DO, TURN.pack(trainer.update, trainer.substrate.now))
        self._weights = checksum(trainer.substrate.weights)
        return self

    def share(self, probes: Sequence[int], losses: Sequence[float], pages: Pages) -> tuple[list[float], Pages]:
        """Tell what was presented here and hear what was elsewhere; see `Crew.share`."""
        dependent = bool(self._dependent)
        mine, each = own(probes, self.size, self.index), width(dependent)
        rows, sums = np.zeros((len(probes), each)), np.zeros(self.size)
        sums[self.index] = self._weights
        for n, loss in zip(mine, losses, strict=True):
            rows[n] = [loss, *(numbers(pages.get(n)) if dependent else ())]
        told = self.group.total(torch.from_numpy(np.concatenate([sums, rows.ravel()]))).numpy()
        if any(told[: self.size] != told[0]):
            raise RunError("the processes of the run no longer hold the same weights; resume the run")
        rows = told[self.size :].reshape(rows.shape)
        if self.index or not pages:
            return rows[:, 0].tolist(), {}
        like = pages[0]
        every = {n: written(row[1:], like) if dependent else like for n, row in enumerate(rows)}
        return rows[:, 0].tolist(), {**every, **pages}

    def largest(self, sizes: Tensor) -> Tensor:
        """Return the largest that any process has; see `Crew.largest`."""
        return self.group.largest(sizes)

    def total(self, part: Tensor) -> Tensor:
        """Return the sum of what all found; see `Crew.total`."""
        return self.group.total(part)

    def release(self) -> None:
        """Let the next update make new copies."""
        self._dependent = None

    def _copy(self, trainer: Trainer, experiment: Experiment) -> None:
        words, tensors = orders(experiment, self.trained, self.size, trainer)
        order, content = json.dumps(words).encode(), pack_tensors(tensors, {})
        self.group.say(COPY, SIZE.pack(len(order)) + order + content)
        failed = int(self.group.largest(torch.zeros(1, dtype=torch.float64)))
        if failed:
            raise RunError(f"process {failed} of {self.size} cannot build its copy of the run; see what it wrote")


def serve(group: Group) -> str:
    """Do an update whenever the first process of a group does one; see `follow`."""
    from neuroanp.training.crew_member import do

    trainer: Trainer | None = None
    while True:
        kind, message = group.hear()
        if kind == END:
            return message.decode("utf-8", "replace")
        if kind == COPY:
            trainer = _copied(group, message)
            continue
        if trainer is None:
            raise RunError("asked for an update before a copy")
        with suppress(DivergedError):  # the first process finds the same, and says it
            do(trainer, message)


def _copied(group: Group, message: bytes) -> Trainer:
    """Return the copy that the first process orders; it is told where that cannot be made."""
    from safetensors.torch import load

    from neuroanp.training.crew_member import copy_of

    (length,) = SIZE.unpack_from(message)
    order: dict[str, Any] = json.loads(message[SIZE.size : SIZE.size + length])
    tensors = load(message[SIZE.size + length :])
    failed = torch.zeros(1, dtype=torch.float64)
    try:
        return copy_of(order, tensors, Sharing(group))
    except Exception as error:
        failed[0] = group.place.index
        raise RunError(f"process {group.place.index}: {error}") from error
    finally:
        group.largest(failed)
