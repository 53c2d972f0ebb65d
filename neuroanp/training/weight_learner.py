"""The learner of weight perturbation: presentations with moved weights, and the sum of moves times what they did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import sqrt
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from neuroanp.errors import InputError
from neuroanp.later import number
from neuroanp.learning.credit import return_to_go
from neuroanp.learning.weight_perturbation import WP, Move
from neuroanp.losses import of_steps
from neuroanp.network.rollout import advance, rest
from neuroanp.training.decorrelating import Decorrelating
from neuroanp.training.plain_form import exact
from neuroanp.training.presynaptic import Presynaptic
from neuroanp.trajectory import PassPlan, Weights, WeightUpdate

if TYPE_CHECKING:
    from neuroanp.learning.protocol import State
    from neuroanp.network.network import Network
    from neuroanp.substrates.ledger import Ledger
    from neuroanp.substrates.protocol import ReadPlan
    from neuroanp.training.lab import Lab

STREAM = "weights/{}"
"""Where the perturbations of an array are drawn: by update, perturbation and step (0 of those that hold for a pass)."""
INEXACT = (
    "rule.draw: 'step' moves weights between two steps, which no array does; it takes exact weights in simulation "
    "(profile ideal); use draw 'pass', which is rule 'wp' without preset 'paper', or rule 'anp'"
)
NO_WORLD = "rule: wp with credit 'sample' or draw 'step' presents data, and here a world answers; use credit 'batch'"


class WeightLearner:
    """Perturbs weights, digitally and on top of what the arrays hold; see `neuroanp.learning.weight_perturbation`.

    Nothing is kept of a presentation but its loss: a perturbation is drawn again where it is added up. Arrays that do
    not learn are not perturbed. Where a crew shares the presentations all hear all losses; books are then the same to
    rounding.
    """

    options: ClassVar[type[WP]] = WP
    takes: ClassVar[tuple[str, ...]] = ("data", "worlds")
    noisy: bool = True

    def __init__(self, rule: WP) -> None:
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
            InputError: steps or sequences have perturbations of their own, and arrays are not exact, or no data.
        """
        sums, total = {name: torch.zeros_like(read.W) for name, read in lab.reads.items()}, list[Tensor]()
        decorrelating = Decorrelating.of(self.rule, lab)
        rows = None
        if decorrelating is not None and decorrelating.moves:
            rows = self._look(lab, decorrelating)
        for k, dL, xi in self._moved(lab, total):
            for name, x in xi.items():
                sums[name] += (k * dL).to(x) * x
        arrays = {name: W * (self.scale / lab.batch) for name, W in sums.items()}
        scored = lab.mask.sum().double() * (lab.batch * self.rule.compared)
        D = {} if decorrelating is None else decorrelating.next(rows)
        return state, WeightUpdate(arrays, {"loss": number(torch.stack(total).sum() / scored)}, D)

    @property
    def scale(self) -> float:
        """What the sum of dL xi is multiplied with: sigma / (K var) of a difference of perturbations, or its sd."""
        variance = self.rule.share * self.rule.sigma**2
        return self.rule.sigma / (self.rule.K * (variance if self.rule.scale == "variance" else sqrt(variance)))

    def _moved(self, lab: Lab, total: list[Tensor]) -> Iterator[tuple[float, Tensor, dict[str, Tensor]]]:
        """Yield the factor, the difference of the loss and the normals of each move; add losses to `total`."""
        if self.rule.draw == "step":
            yield from self._at_every_step(lab, total)
            return
        for part, alone in enumerate(self._parts(lab)):
            lost = self._lost(alone, part, len(total))
            total += lost.values()
            for pair in self.rule.pairs:
                dL = lost[pair[0]] - lost[pair[1]]
                for (k, factor), sign in zip(pair, (1.0, -1.0), strict=True):
                    if factor:
                        yield sign * factor, dL, self._normals(lab, part * self._draws + k)

    def _lost(self, lab: Lab, part: int, first: int) -> dict[Move, Tensor]:
        """Return the sum of the losses of the presentation of each move: where a crew shares them, of all its members.

        Args: part: number of what is presented with perturbations of its own. first: of its presentations.
        """
        moves = [*dict.fromkeys(move for pair in self.rule.pairs for move in pair)]  # unmoved weights once
        if lab.crew is None:
            return {move: self._presented(lab, part, move, first + n) for n, move in enumerate(moves)}
        size, index, pages, found = lab.crew.size, lab.crew.index, dict[int, "Ledger"](), list[float]()
        for n in range(len(moves))[index::size]:
            with lab.page() as page:
                found.append(float(self._presented(lab, part, moves[n], first + n)))
            pages |= {} if page is None else {n: page}
        losses, pages = lab.crew.share(range(len(moves)), found, pages)
        for n in sorted(pages):
            lab.substrate.ledger.add(pages[n])
        return {move: lab.mask.new_tensor(loss, dtype=torch.float64) for move, loss in zip(moves, losses, strict=True)}

    @property
    def _draws(self) -> int:
        """How many perturbations a part of the batch has."""
        return 2 * self.rule.K if self.rule.reference == "two" else self.rule.K

    def _parts(self, lab: Lab) -> Iterator[Lab]:
        """Yield what is presented with perturbations of its own: the batch, or each sequence."""
        if self.rule.credit == "batch":
            yield lab
            return
        if not isinstance(lab.source, Tensor):
            raise InputError(NO_WORLD)
        for b in range(lab.batch):
            one = slice(b, b + 1)
            yield replace(lab, source=lab.source[:, one], targets=lab.targets[:, one])

    def _presented(self, lab: Lab, part: int, move: Move, stream: int) -> Tensor:
        """Return the sum of the losses of one presentation; stream: of the noise of the devices."""
        k, factor = move
        xi = self._normals(lab, part * self._draws + k) if factor else {}
        reads = {
            name: _moved(read, factor * self.rule.sigma * xi[name]) if name in xi else read
            for name, read in lab.reads.items()
        }
        moved = replace(lab, reads=reads)
        losses = [moved.losses(chunk) for chunk in moved.run(PassPlan((1.0,), (stream,), "mean"), "loss")]
        return torch.cat(losses).double().sum()

    def _normals(self, lab: Lab, k: int, t: int = 0) -> dict[str, Tensor]:
        """Return the standard normals of perturbation k, at a step, of the arrays that learn."""
        return {
            name: lab.streams.tensors("normal", STREAM.format(name), [k], t, 1, tuple(read.W.shape), read.W)[0, 0]
            for name, read in lab.reads.items()
            if lab.learns(name)
        }

    def _look(self, lab: Lab, decorrelating: Decorrelating) -> int:
        """Note the activity of the unmoved network, in the presentation that is compared with or one beside them.

        Returns: how many steps of sequences that was.
        """
        plan, rows = PassPlan((1.0,), (self.passes * lab.batch,), "mean"), 0
        for chunk in lab.run(plan, "all", book=self.rule.reference != "silent"):
            decorrelating.add(Presynaptic.of(chunk, plan).of_groups(lab.network))
            rows += chunk.y.shape[0] * chunk.y.shape[2] if chunk.live is None else int(chunk.live.sum())
        return rows

    # ---- weights that are moved at every step: in simulation, of exact arrays ----

    def _at_every_step(self, lab: Lab, total: list[Tensor]) -> Iterator[tuple[float, Tensor, dict[str, Tensor]]]:
        if not all(map(all_but_decorrelation, lab.reads.values())):
            raise InputError(INEXACT)
        if not isinstance(lab.source, Tensor):
            raise InputError(NO_WORLD)
        plan = PassPlan((1.0,) * self.rule.compared, tuple(range(self.rule.compared)), "mean")
        for _ in lab.run(plan, "loss") if lab.books else ():
            pass  # only the reads are wanted, for the books
        kept: dict[Move, Tensor] = {}
        for pair in self.rule.pairs:
            for move in pair:
                if move not in kept:
                    kept[move] = self._losses(lab, move)
                    total.append(kept[move].sum())
            c = return_to_go(kept[pair[0]] - kept[pair[1]], self.rule.gamma)
            for t in range(lab.steps):
                for (k, factor), sign in zip(pair, (1.0, -1.0), strict=True):
                    if factor:
                        yield sign * factor, c[t], self._normals(lab, k, t)

    def _losses(self, lab: Lab, move: Move) -> Tensor:
        """Return the losses (T,) of a presentation, summed over the batch, whose weights are moved at every step."""
        k, factor = move
        network, standing = lab.network, rest(lab.network, lab.batch, lab.mask)
        ys = list[Tensor]()
        for t, u in enumerate(lab.inputs):
            xi: Mapping[str, Tensor] = self._normals(lab, k, t) if factor else {}
            now = {
                name: (_moved(read, factor * self.rule.sigma * xi[name]) if name in xi else read).effective
                for name, read in lab.reads.items()
            }
            standing, y = advance(network, now, standing, u)
            ys.append(y)
        y = torch.stack(ys).unsqueeze(1)
        return of_steps(lab.loss, y, lab.targets, lab.mask).double().sum((1, 2))


def _moved(read: ReadPlan, move: Tensor) -> ReadPlan:
    return replace(read, W=read.W + move)


def all_but_decorrelation(read: ReadPlan) -> bool:
    """Return whether an array is exact, the digital matrix before it aside."""
    return exact(replace(read, decorrelation=None))
