"""The learner of CD-RGE: presentations with weights that signs move, and the sum of signs times what they did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import fsum
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import torch
from torch import Tensor

from neuroanp.learning.cdrge import CDRGE, Presentation
from neuroanp.trajectory import PassPlan, Weights, WeightUpdate

if TYPE_CHECKING:
    from neuroanp.learning.protocol import State
    from neuroanp.network.network import Network
    from neuroanp.substrates.ledger import Ledger
    from neuroanp.training.lab import Lab

STREAM = "signs/{}"
"""Where the signs of an array are drawn: by update and probe."""


class Presented(NamedTuple):
    """What a presentation left: the sum of its losses, and its page of the books (None: nobody looks at them)."""

    loss: Tensor
    page: Ledger | None


class CDRGELearner:
    """Moves weights by signs, digitally and on top of what the arrays hold; see `neuroanp.learning.cdrge`.

    Nothing is kept of a presentation but its loss: signs are drawn again where they are added up. Arrays that do not
    learn are not moved. Where a crew shares the probes each member presents some, and all hear all losses; books are
    kept page by page, so that they are the same to the bit whoever presented what.
    """

    options: ClassVar[type[CDRGE]] = CDRGE
    takes: ClassVar[tuple[str, ...]] = ("data", "worlds")
    noisy: bool = True

    def __init__(self, rule: CDRGE) -> None:
        self.rule = rule
        self.passes = rule.passes

    def numbers_kept(self, network: Network) -> int:
        """Return 0: no step is kept."""
        return 0

    def init(self, weights: Weights) -> State:
        """Return the state at the start of a run: none."""
        return {}

    def learn(self, state: State, lab: Lab) -> tuple[State, WeightUpdate]:
        """Present the batch with weights that are moved, and return the rule's update.

        Raises:
            RunError: a process that shares the probes has ended.
        """
        every = self.rule.presentations
        size, index = (1, 0) if lab.crew is None else (lab.crew.size, lab.crew.index)
        mine = [n for n, each in enumerate(every) if each.probe % size == index]
        done = self._present(lab, {n: every[n] for n in mine})
        losses = torch.stack([each.loss for each in done.values()]).tolist()
        pages = {n: each.page for n, each in done.items() if each.page is not None}
        if lab.crew is not None:
            losses, pages = lab.crew.share([each.probe for each in every], losses, pages)
        for n in sorted(pages):
            lab.substrate.ledger.add(pages[n])
        told = [loss / lab.batch for loss in losses]
        scored = float(lab.mask.sum()) * self.passes
        return state, WeightUpdate(self._update(lab, self.rule.coefficients(told)), {"loss": fsum(told) / scored})

    def _present(self, lab: Lab, todo: Mapping[int, Presentation]) -> dict[int, Presented]:
        """Present the batch once for each of some presentations; n: of which the devices have noise of their own."""
        room = {name: torch.empty_like(read.W) for name, read in lab.reads.items() if lab.learns(name)}
        return {n: self._presented(lab, n, each, room) for n, each in todo.items()}

    def _presented(self, lab: Lab, n: int, how: Presentation, room: Mapping[str, Tensor]) -> Presented:
        """Do one presentation; room: where moved weights lie, the same memory for all of them."""
        reads = dict(lab.reads)
        if how.factor:
            for name, out in room.items():
                W, by = reads[name].W, how.factor * self.rule.eps
                reads[name] = replace(reads[name], W=lab.streams.moved(W, by, STREAM.format(name), how.probe, out))
        moved, total = replace(lab, reads=reads), lab.mask.new_zeros((), dtype=torch.float64)
        with lab.page() as page:
            for chunk in moved.run(PassPlan((1.0,), (n,), "mean"), "loss"):
                total += moved.losses(chunk).sum(dtype=torch.float64)
        return Presented(total, page)

    def _update(self, lab: Lab, coefficients: list[float]) -> dict[str, Tensor]:
        """Return sum_j coefficient_j z_j of each array; 0 of those that do not learn."""
        sums = {name: read.W.new_zeros(read.W.shape) for name, read in lab.reads.items()}
        for name, total in sums.items():
            if lab.learns(name):
                lab.streams.add_signs(total, coefficients, STREAM.format(name), range(self.rule.K))
        return sums
