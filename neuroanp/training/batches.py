"""Batches of a run, kept for its control: both see the same sequences, drawn and encoded once."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from neuroanp.source import Source

ROOM = 64 << 20
"""Bytes of the batches that a run keeps for its control."""


class Tensors(NamedTuple):
    """A batch: source, data (T, B, I) or a world; targets (T, B, O), mask (T,)."""

    source: Source
    targets: Tensor
    mask: Tensor

    @property
    def size(self) -> int:
        """Bytes of it; a world's state is its own."""
        return sum(part.numel() * part.element_size() for part in self if isinstance(part, Tensor))


class Batches:
    """Batches by update: the first ones that there is room for; the others are drawn anew, the same.

    Args:
        room: bytes of what is kept; 0: nothing is.

    >>> import torch
    >>> batches, one = Batches(4 * 12), torch.zeros(1, 1, 4)
    >>> drawn = [batches.at(update, lambda: Tensors(one, one, one)) for update in (0, 1, 0, 1)]
    >>> drawn[2] is drawn[0], drawn[3] is drawn[1]
    (True, False)
    """

    def __init__(self, room: int = 0) -> None:
        self.room = room
        self._kept: dict[int, Tensors] = {}

    def at(self, update: int, draw: Callable[[], Tensors]) -> Tensors:
        """Return the batch of an update; `draw` makes it. Nobody may change it."""
        found = self._kept.get(update)
        if found is None:
            found = draw()
            if found.size <= self.room:
                self.room -= found.size
                self._kept[update] = found
        return found
