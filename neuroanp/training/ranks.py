"""The processes that `torchrun` started for one run, on any number of machines, and what they tell one another.

What crosses between them are numbers and bytes of known kinds (JSON, safetensors); nothing that is received is code.
Sums go over gloo on CPUs and over NCCL on GPUs. Whoever reaches the port of the group can take part in it: it is for
one machine or a network of one's own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

import torch

from neuroanp.errors import InputError, RunError

if TYPE_CHECKING:
    from torch import Tensor

PATIENCE = timedelta(days=1)
"""How long a process waits for the others, which may be evaluating; one that has died is noticed at once."""
JOINING = timedelta(minutes=10)
"""How long it waits for the others to come at all."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")


_times = count()
"""How often this process has joined a group: once for each run of a script, as the others have."""


class Place(NamedTuple):
    """Where a process stands among those of a run.

    Args:
        index: 0 leads. size: processes. local: number on its machine. attempt: how often they were started again.
    """

    index: int
    size: int
    local: int
    attempt: int

    @classmethod
    def found(cls, said: Mapping[str, str] | None = None) -> Place | None:
        """Return it, as torchrun says it in the environment; None where nobody, or one process alone, was started.

        Raises: InputError: what is said makes no sense.

        >>> Place.found({"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "TORCHELASTIC_RESTART_COUNT": "3"})
        Place(index=1, size=2, local=1, attempt=3)
        >>> Place.found({}), Place.found({"RANK": "0", "WORLD_SIZE": "1"})
        (None, None)
        """
        said = os.environ if said is None else said
        if "RANK" not in said or "WORLD_SIZE" not in said:
            return None
        try:
            size, index = int(said["WORLD_SIZE"]), int(said["RANK"])
            local, attempt = int(said.get("LOCAL_RANK", index)), int(said.get("TORCHELASTIC_RESTART_COUNT", 0))
        except ValueError as error:
            raise InputError(f"RANK and WORLD_SIZE of the environment: {error}; start with torchrun") from None
        if not 0 <= index < size:
            raise InputError(f"RANK {index} is none of WORLD_SIZE {size}; start with torchrun")
        return None if size == 1 else cls(index, size, local, attempt)


def started(said: Mapping[str, str] | None = None) -> bool:
    """Return whether torchrun started this process, be it alone.

    >>> started({"RANK": "0", "WORLD_SIZE": "1"}), started({})
    (True, False)
    """
    said = os.environ if said is None else said
    return "RANK" in said and "WORLD_SIZE" in said


class Group:
    """The processes of a run, joined.

    Args:
        place: of this one.

    Raises:
        RunError: the others do not come.
    """

    def __init__(self, place: Place) -> None:
        import torch.distributed as dist
        from torch.distributed.distributed_c10d import PrefixStore
        from torch.distributed.rendezvous import rendezvous

        self.place, self.told = place, 0
        if os.environ.get("MASTER_ADDR", "") in LOOPBACK:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        cuda = torch.cuda.is_available() and dist.is_nccl_available()
        if cuda:  # a GPU for each process of a machine
            torch.cuda.set_device(place.local % torch.cuda.device_count())
        kind = "cpu:gloo,cuda:nccl" if cuda else "gloo"
        try:
            store, _, _ = next(iter(rendezvous("env://", timeout=JOINING)))
            # a restarted group must not find the addresses of the one that died
            own = PrefixStore(f"neuroanp/attempt{place.attempt}/{next(_times)}", store)
            dist.init_process_group(kind, store=own, rank=place.index, world_size=place.size, timeout=PATIENCE)
        except (RuntimeError, ValueError, OSError) as error:
            raise RunError(
                f"process {place.index} of {place.size} does not reach the others: {_line(error)}"
            ) from error
        self._dist = dist

    @cached_property
    def leads(self) -> bool:
        """Whether this is the first process, which keeps the record."""
        return self.place.index == 0

    def total(self, part: Tensor) -> Tensor:
        """Return the sums over all processes; in place."""
        self.told += part.numel() * part.element_size()
        return self._reduced(part, self._dist.ReduceOp.SUM)

    def largest(self, sizes: Tensor) -> Tensor:
        """Return the largest over all processes; in place."""
        self.told += sizes.numel() * sizes.element_size()
        return self._reduced(sizes, self._dist.ReduceOp.MAX)

    def say(self, kind: int, message: bytes = b"") -> None:
        """Tell all others something; the first process alone does."""
        self._broadcast(torch.tensor([kind, len(message)]))
        if message:
            self._broadcast(torch.frombuffer(bytearray(message), dtype=torch.uint8))

    def hear(self) -> tuple[int, bytes]:
        """Return what the first process says next."""
        kind, length = self._broadcast(torch.zeros(2, dtype=torch.int64)).tolist()
        if not length:
            return kind, b""
        return kind, self._broadcast(torch.empty(length, dtype=torch.uint8)).numpy().tobytes()

    def leave(self) -> None:
        """Part from the others."""
        with suppress(RuntimeError):
            self._dist.destroy_process_group()

    def _broadcast(self, x: Tensor) -> Tensor:
        with _told_of():
            self._dist.broadcast(x, 0)
        return x

    def _reduced(self, x: Tensor, how: object) -> Tensor:
        with _told_of():
            self._dist.all_reduce(x, how)  # pyright: ignore[reportArgumentType]
        return x


@contextmanager
def _told_of() -> Iterator[None]:
    """Tell of a process that is gone as of a run that failed."""
    try:
        yield
    except RuntimeError as error:
        raise RunError(f"a process that shares the run has ended ({_line(error)}); resume the run") from error


def _line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
