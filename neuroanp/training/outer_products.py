"""The outer products of a local rule, summed in blocks of time that no cut of time moves.

    sum_{t,b} A_tb pre_tb^T

A product over more steps at once rounds otherwise. Steps are therefore taken in blocks that begin at multiples of the
same number, whatever chunks they come in, and an update has the same bits for every chunk.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.learning.protocol import State

ROWS = 4096
"""Rows of a block, T B: enough for a product to be worth its call."""


def block_steps(batch: int) -> int:
    """Return how many steps of time a block has."""
    return max(1, ROWS // batch)


class OuterProducts:
    """Sums of outer products by array, fed chunk by chunk: the one place where a local rule's matrices are formed.

    Args:
        sums: of the arrays, which are added to. batch: B, sequences.

    >>> sums = {"w": torch.zeros(1, 1)}
    >>> products = OuterProducts(sums, batch=1)
    >>> for A in (1.0, 2.0):
    ...     products.add({"w": torch.full((3, 1, 1), A)}, {"w": torch.ones(3, 1, 1)})
    >>> products.done()["w"]
    tensor([[9.]])
    """

    def __init__(self, sums: State, batch: int) -> None:
        self.sums, self.block = sums, block_steps(batch)
        self.waiting: list[tuple[Mapping[str, Tensor], Mapping[str, Tensor]]] = []
        self.steps = 0  # of those that wait

    def add(self, factors: Mapping[str, Tensor], pre: Mapping[str, Tensor]) -> None:
        """Add a chunk: factors A (T, B, lines) and presynaptic activity (T, B, m) of the arrays that learn."""
        factors = {name: factors[name] for name in pre if name in factors}  # of no other is a factor formed
        if not factors:
            return
        at, steps = 0, len(next(iter(factors.values())))
        while steps - at >= self.block - self.steps:
            end = at + self.block - self.steps
            self._wait(factors, pre, at, end)
            self._form()
            at = end
        if at < steps:
            self._wait(factors, pre, at, steps)

    def done(self) -> State:
        """Add what is left of the last block and return the sums."""
        if self.waiting:
            self._form()
        return self.sums

    def _wait(self, factors: Mapping[str, Tensor], pre: Mapping[str, Tensor], at: int, end: int) -> None:
        part = slice(at, end)
        self.waiting.append(({k: A[part] for k, A in factors.items()}, {k: pre[k][part] for k in factors}))
        self.steps += end - at

    def _form(self) -> None:
        for name, total in self.sums.items():
            parts = [(A[name], pre[name]) for A, pre in self.waiting if name in A]
            if parts:
                A, pre = (each[0] if len(each) == 1 else torch.cat(each) for each in zip(*parts, strict=True))
                total.addmm_(A.flatten(0, 1).T, pre.flatten(0, 1))
        self.waiting, self.steps = [], 0
