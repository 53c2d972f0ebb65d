"""What a learner sees of the processes that share an update; who they are is in `neuroanp.training.crew`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from torch import Tensor

from neuroanp.substrates.ledger import Ledger

Pages = Mapping[int, Ledger]
"""Pages of the books by the number of the presentation that they are of."""


class Crew(Protocol):
    """What a learner sees of the processes that share an update: how many, which one this is, and what they found."""

    @property
    def size(self) -> int:
        """Processes."""
        ...

    @property
    def index(self) -> int:
        """Which one this is; the first one, 0, keeps the books."""
        ...

    def share(self, probes: Sequence[int], losses: Sequence[float], pages: Pages) -> tuple[list[float], Pages]:
        """Return the losses of all presentations, and the pages of the books that this process is to add.

        Args:
            probes: of each presentation of the update; process i has those of which probe mod size is i.
            losses: of those of this process, in order. pages: of them, by number of the presentation.

        Raises:
            RunError: a process has ended, or its copy is not alike.
        """
        ...

    def largest(self, sizes: Tensor) -> Tensor:
        """Return, number by number, the largest that any process has; float64 (n,).

        Raises:
            RunError: a process has ended.
        """
        ...

    def total(self, part: Tensor) -> Tensor:
        """Return, number by number, the sum over all processes of what each found; (n,), of the same type in each.

        Raises:
            RunError: a process has ended.
        """
        ...
