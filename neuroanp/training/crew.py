"""Share what an update presents among processes of this machine that each hold the whole network and do every update.

The processes are copies of one trainer: they take the same weights, draw the same noise from the same addresses and
write the same updates, so that nothing of the network ever travels. Of an update only losses do, 8 bytes each: from
each copy those of what it presented, and to each copy all of them. Beside them go 16 bytes that say which update it is
and what the clock of the chip shows, and 8 that sum up the weights of a copy: one that is not alike ends the run.

The books are kept by the first process alone. Where what a chip spends in a presentation depends on what its lines
carried, the page of each presentation goes with its loss, and is added in the order of the presentations: the same
books to the bit, however many processes there are.
"""

from __future__ import annotations

import json
import struct
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from neuroanp.errors import RunError, refused_by_machine
from neuroanp.records.tensors import pack_tensors
from neuroanp.substrates.ledger import Ledger
from neuroanp.training.processes import WITH_PARENT, Child
from neuroanp.training.sharing import Crew, Pages

if TYPE_CHECKING:
    from neuroanp.training.build import Experiment
    from neuroanp.training.trainer import Trainer

START = f"{WITH_PARENT}; from neuroanp.training.crew_member import serve; serve(int(sys.argv[1]), int(sys.argv[2]))"
REMEDY = "lower compute.workers or the units of network if that is so"
TURN = struct.Struct("<qd")
"""What begins an update: its number, and the chip's clock in seconds."""
READY = b"ready"


@dataclass
class Hands:
    """The first process of a crew: it starts the others when they are first needed, and ends them.

    Args:
        experiment: of the trainer. size: processes, this one included.
        trained: the arrays that the trainer trains; None: all.
    """

    experiment: Experiment
    size: int
    trained: frozenset[str] | None = None
    index: int = field(default=0, init=False)
    sent: int = field(default=0, init=False)
    """Bytes that went to and fro in all updates so far."""
    _children: list[Child] = field(default_factory=list, init=False)
    _weights: float = field(default=0.0, init=False)
    _dependent: bool = field(default=False, init=False)

    def begin(self, trainer: Trainer) -> Crew:
        """Tell the others to do the next update of a trainer, which they become copies of if they are new.

        Raises: RunError: the system starts no process, or one cannot build its copy.
        """
        if not self._children:
            self._start(trainer)
        self._weights = checksum(trainer.substrate.weights)
        turn = TURN.pack(trainer.update, trainer.substrate.now)
        for child in self._children:
            self._send(child, turn)
        return self

    def share(self, probes: Sequence[int], losses: Sequence[float], pages: Pages) -> tuple[list[float], Pages]:
        """Gather what all presented, tell all of it; see `Crew.share`."""
        every, found = np.empty(len(probes)), dict(pages)
        every[own(probes, self.size, 0)] = losses
        for index, child in enumerate(self._children, 1):
            weights, *told = np.frombuffer(self._receive(child))
            if weights != self._weights:
                self.release()
                raise RunError(f"worker {index} of {self.size} no longer holds the same weights; resume the run")
            for n, row in zip(
                own(probes, self.size, index), np.reshape(told, (-1, width(self._dependent))), strict=True
            ):
                every[n] = row[0]
                if pages:
                    found[n] = written(row[1:], pages[0]) if self._dependent else pages[0]
        for child in self._children:
            self._send(child, every.tobytes())
        return every.tolist(), found

    def largest(self, sizes: Tensor) -> Tensor:
        """Gather what all have, tell the largest of each number; see `Crew.largest`."""
        return self._together(sizes, torch.maximum)

    def total(self, part: Tensor) -> Tensor:
        """Gather what all found, tell the sums; see `Crew.total`."""
        return self._together(part, torch.add)

    def _together(self, own: Tensor, join: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """Join what all have, in the order of the processes, and tell them."""
        found = own
        for child in self._children:
            found = join(found, unpacked(self._receive(child), own))
        for child in self._children:
            self._send(child, packed(found))
        return found

    def release(self) -> None:
        """End the other processes; the next update starts new ones."""
        for child in self._children:
            child.process.terminate()  # they have nothing to save
            child.end()
        self._children.clear()

    def _start(self, trainer: Trainer) -> None:
        self._dependent = by_page(trainer)
        order, tensors = orders(self.experiment, self.trained, self.size, trainer)
        content = pack_tensors(tensors, {})
        for index in range(1, self.size):
            try:
                child = Child(START, REMEDY)
            except OSError as error:
                said = refused_by_machine(error) or str(error)
                self.release()
                raise RunError(f"no worker process can be started: {said}") from error
            self._children.append(child)
            weakref.finalize(self, _ended, child)  # whoever forgets to release them
            self._send(child, json.dumps({**order, "index": index}).encode())
            self._send(child, content)
        for child in self._children:
            if (said := self._receive(child)) != READY:
                self.release()
                raise RunError(f"compute.workers: a worker cannot build its copy: {said.decode('utf-8', 'replace')}")
        self.sent = 0

    def _send(self, child: Child, message: bytes) -> None:
        try:
            child.pipe.send_bytes(message)
        except OSError:
            self._lost(child)
        self.sent += len(message)

    def _receive(self, child: Child) -> bytes:
        try:
            message: bytes = child.pipe.recv_bytes()
        except (EOFError, OSError):
            self._lost(child)
        self.sent += len(message)
        return message

    def _lost(self, child: Child) -> NoReturn:
        self._children.remove(child)
        said = child.end()
        self.release()
        raise RunError(f"a worker process of the run {said}")


@dataclass
class Member:
    """Another process of a crew, as its own learner sees it.

    Args: connection: to the first one. size, index: processes, and which one this is.
    """

    connection: Connection
    size: int
    index: int
    _weights: float = field(default=0.0, init=False)
    _dependent: bool | None = field(default=None, init=False)

    def begin(self, trainer: Trainer) -> Crew:
        """Note whose update begins."""
        if self._dependent is None:
            self._dependent = by_page(trainer)
        self._weights = checksum(trainer.substrate.weights)
        return self

    def share(self, probes: Sequence[int], losses: Sequence[float], pages: Pages) -> tuple[list[float], Pages]:
        """Tell the first process what was presented here, and hear all losses; books are kept there alone."""
        told = [self._weights]
        for n, loss in zip(own(probes, self.size, self.index), losses, strict=True):
            told += [loss, *(numbers(pages.get(n)) if self._dependent else ())]
        self.connection.send_bytes(np.array(told, np.float64).tobytes())
        return np.frombuffer(self.connection.recv_bytes()).tolist(), {}

    def largest(self, sizes: Tensor) -> Tensor:
        """Tell the first process what this one has, and hear the largest of all."""
        return self._together(sizes)

    def total(self, part: Tensor) -> Tensor:
        """Tell the first process what this one found, and hear the sums."""
        return self._together(part)

    def _together(self, own: Tensor) -> Tensor:
        self.connection.send_bytes(packed(own))
        return unpacked(self.connection.recv_bytes(), own)

    def release(self) -> None:
        """Do nothing: it ends when the connection does."""


def packed(x: Tensor) -> bytes:
    """Return numbers as they go to another process of this machine."""
    return x.numpy().tobytes()


def unpacked(message: bytes, like: Tensor) -> Tensor:
    """Return numbers that another process sent, of the type of some here."""
    return torch.frombuffer(bytearray(message), dtype=like.dtype)


def own(probes: Sequence[int], size: int, index: int) -> list[int]:
    """Return the numbers of the presentations that a process does.

    >>> own([0, 0, 1, 1, 2, 2, 3], 2, 1)
    [2, 3, 6]
    """
    return [n for n, probe in enumerate(probes) if probe % size == index]


def checksum(weights: Mapping[str, Tensor]) -> float:
    """Return the sum of all weights in double precision: copies that are alike have the same, to the bit."""
    return float(torch.stack([W.sum(dtype=torch.float64) for W in weights.values()]).sum())


def by_page(trainer: Trainer) -> bool:
    """Return whether what a presentation adds to the books depends on what was presented; without books it does not."""
    substrate = trainer.substrate
    if not trainer.books:
        return False
    return substrate.weighs_reads or substrate.network.spikes or any(read.adc for read in trainer.reads().values())


STATIC = "static"
"""What a page holds of power that flows all the time; chips that state none have no such number."""


def width(dependent: bool) -> int:
    """Return how many numbers a process tells of a presentation: the loss, and a page of the books where it must."""
    return 1 + dependent * len(numbers(None))


def numbers(page: Ledger | None) -> list[float]:
    """Return a page of the books as numbers, as many for every chip; zeros where there is none."""
    book = Ledger({}, False, None) if page is None else page
    state = {STATIC: torch.zeros(1), **book.state_dict()}
    return torch.cat([part.double() for part in _in_order(state)]).tolist()


def written(row: np.ndarray, like: Ledger) -> Ledger:
    """Return the page that `numbers` was told of, of the chip of another page."""
    page = like.page()
    state = {STATIC: torch.zeros(1, dtype=torch.float64), **page.state_dict()}
    parts = torch.from_numpy(row.copy()).split([len(part) for part in _in_order(state)])
    named = zip(sorted(state), parts, _in_order(state), strict=True)
    page.load_state_dict({name: part.to(old.dtype) for name, part, old in named})
    return page


def _in_order(state: Mapping[str, Tensor]) -> list[Tensor]:
    return [state[name] for name in sorted(state)]


def orders(
    experiment: Experiment, trained: frozenset[str] | None, size: int, trainer: Trainer
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return what another process must know to become a copy of a trainer: words, and tensors by name.

    Args:
        experiment: of the trainer. trained: the arrays that it trains; None: all. size: processes.
    """
    start = experiment.start
    words = {
        "config": experiment.config.to_plain(),
        "profile": experiment.profile.text,
        "start": None if start is None else {"path": start.path, "origin": start.origin, "update": start.update},
        "size": size,
        "trained": None if trained is None else sorted(trained),
        "updates": trainer.updates,
        "books": trainer.books,
    }
    first = {} if start is None else {f"start/{name}": W for name, W in start.named.items()}
    return words, {**{f"run/{name}": value for name, value in trainer.state_dict().items()}, **first}


def _ended(child: Child) -> None:
    """End a process that may have been ended before."""
    if child.process.returncode is None:
        child.process.terminate()
        child.end()
