"""What is kept of a presentation until the credit of its steps is known, and where.

A chunk of time leaves small arrays behind that outlive it. Among the large ones that come and go, they keep an
allocator from joining what is freed: a long presentation took several times the memory that was in use. What lasts is
therefore copied into room that is made once, for all steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor

from neuroanp.training.told_outputs import Told
from neuroanp.trajectory import Compared
from neuroanp.units import format_quantity

if TYPE_CHECKING:
    from neuroanp.training.presynaptic import Presynaptic

LEAST = 8
"""Fewer than one step in so many are not stored: to compare the passes of all others in vain costs as much."""


class Plan(NamedTuple):
    """Which steps of a presentation are stored: the last ones, as many as fit.

    Args:
        steps: T. replayed: the first of them, whose passes are run twice. needed: bytes that storing all takes.
    """

    steps: int
    replayed: int
    needed: int

    @classmethod
    def of(cls, steps: int, needed: int, memory: int) -> Plan:
        """Return the fastest plan that takes no more memory.

        >>> [Plan.of(100, 1000, memory).replayed for memory in (1000, 999, 300, 50, 0)]
        [0, 1, 70, 100, 100]
        """
        fit = steps if needed <= memory else memory * steps // needed
        return cls(steps, steps - fit if fit * LEAST >= steps else steps, needed)

    def __str__(self) -> str:
        size = format_quantity(float(self.needed), "B", 3)
        if not self.replayed:
            return f"stored until the credit of their steps is known, {size}"
        which = "all" if self.replayed == self.steps else f"the first {self.replayed:,} of {self.steps:,}"
        return f"run twice in {which} steps, since {size} do not fit in training.memory: up to 1.8 times as slow"


class Kept(NamedTuple):
    """What is kept of one chunk until the credit of its steps is known.

    Args:
        t0, dt: its first step, seconds a step. losses: (T, M, B). compared: how the passes differ.
        presynaptic: what arrays had before them. told: what the outputs knew; None: nobody told them.
    """

    t0: int
    dt: float
    losses: Tensor
    compared: Compared
    presynaptic: Presynaptic
    told: Told | None = None


class Losses:
    """The losses of a presentation, (T, M, B) or of what follows T, chunk after chunk.

    Args:
        steps: T.
    """

    def __init__(self, steps: int) -> None:
        self._rows = Rows(steps)

    def add(self, t0: int, losses: Tensor) -> Tensor:
        """Note those of a chunk, and return them where they lie now."""
        return self._rows.put("losses", t0, losses)

    @property
    def all(self) -> Tensor:
        """Those of all steps."""
        return self._rows.of["losses"]


class Rows:
    """Arrays over time by name, made when the first rows of one come.

    Args:
        steps: rows of each.
    """

    def __init__(self, steps: int) -> None:
        self.steps, self.of = steps, dict[str, Tensor]()

    def put(self, name: str, at: int, rows: Tensor) -> Tensor:
        """Copy rows to their place and return them there; those of all steps are kept as they are."""
        if len(rows) == self.steps:
            return self.of.setdefault(name, rows)
        if name not in self.of:
            self.of[name] = rows.new_zeros(self.steps, *rows.shape[1:])
        return self.of[name][at : at + len(rows)].copy_(rows)


class Room:
    """What is kept of the last steps of a presentation.

    Args:
        steps: T.
    """

    def __init__(self, steps: int) -> None:
        self.first, self._steps, self._rows = steps, steps, Rows(0)
        self._chunks: list[Kept] = []

    def fill(self, chunks: Iterable[Kept]) -> None:
        """Keep chunks that follow one another up to the last step."""
        for kept in chunks:
            if not self._chunks:
                self.first, self._rows = kept.t0, Rows(self._steps - kept.t0)
            self._chunks.append(self._placed(kept, kept.t0 - self.first))

    def kept(self) -> Iterator[Kept]:
        """Yield them."""
        yield from self._chunks

    def _placed(self, kept: Kept, at: int) -> Kept:
        """Return a chunk whose tensors lie in the room."""

        def put(kind: str, of: Mapping[str, Tensor]) -> dict[str, Tensor]:
            return {name: self._rows.put(f"{kind} {name}", at, rows) for name, rows in of.items()}

        owner: dict[int, str] = {}  # groups of one norm share their gain
        gain = {
            name: self._rows.put(f"gain {owner.setdefault(id(each), name)}", at, each)
            if isinstance(each, Tensor)
            else each
            for name, each in kept.compared.gain.items()
        }
        had = kept.presynaptic
        layers = put("x", had.layers)
        before = {name: self._rows.of[f"x {name}"][at - 1] for name in layers} if at else had.before
        u = had.u if is_part(had.u) else self._rows.put("u", at, had.u)
        presynaptic = replace(had, u=u, layers=layers, before=before, arrays=put("sent", had.arrays))
        told = None if kept.told is None else Told(**put("told", kept.told._asdict()))
        return kept._replace(compared=Compared(put("d", kept.compared.d), gain), presynaptic=presynaptic, told=told)


def is_part(t: Tensor) -> bool:
    """Return whether a tensor is part of a larger one, which is there anyway."""
    return t.untyped_storage().nbytes() > t.numel() * t.element_size()


def joined(chunks: Iterable[Kept]) -> Iterator[Kept]:
    """Yield the chunks of a presentation; what one starts from is the last step of the one before, kept once."""
    before: Mapping[str, Tensor] = {}
    for kept in chunks:
        presynaptic = kept.presynaptic.after(before)
        before = presynaptic.last
        yield kept._replace(presynaptic=presynaptic)
