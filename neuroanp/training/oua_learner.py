"""The learner of Ornstein-Uhlenbeck adaptation: weights that wander from presentation to presentation, and a reward."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from neuroanp.errors import InputError
from neuroanp.later import number
from neuroanp.learning.oua import OUA, advantages, wandered
from neuroanp.losses import of_steps
from neuroanp.network.rollout import advance, rest
from neuroanp.training.plain_form import exact
from neuroanp.training.realised import Realised, standing
from neuroanp.trajectory import PassPlan, Weights, WeightUpdate

if TYPE_CHECKING:
    from neuroanp.learning.protocol import State
    from neuroanp.network.network import Network
    from neuroanp.training.lab import Lab

STREAM = "wandering/{}"
"""Where the deviations of an array are drawn: by update, presentation and step (0 where weights stand for a pass)."""
AT_ONCE = 1 << 24
"""Numbers of deviations that are drawn at once, unless a single step takes more."""
INEXACT = (
    "rule.draw: 'step' moves weights between two steps, which no array does; it takes exact weights in simulation "
    "(profile ideal); use draw 'pass', or source 'device' where the conductance of the devices wanders by itself"
)


class OUALearner:
    """Runs Ornstein-Uhlenbeck adaptation; see `neuroanp.learning.oua`.

    Its state: rbar and how many rewards were heard; with source 'own' the deviation theta - mu of each array, which the
    next update goes on from. With source 'device' the deviations are the devices' own, told by
    `neuroanp.training.realised`, and the reads that find them are booked. Arrays that do not learn are not moved.
    """

    options: ClassVar[type[OUA]] = OUA
    takes: ClassVar[tuple[str, ...]] = ("data", "worlds")
    noisy: bool = True

    def __init__(self, rule: OUA) -> None:
        self.rule = rule
        self.passes = rule.passes

    def numbers_kept(self, network: Network) -> int:
        """Return 0: no step is kept."""
        return 0

    def init(self, weights: Weights) -> State:
        """Return the state at the start: nothing was heard, and weights stand at their means until they are drawn."""
        state: State = {"reward": torch.zeros((), dtype=torch.float64), "heard": torch.tensor(0, dtype=torch.int64)}
        if self.rule.source == "own":
            state |= {f"deviation {name}": torch.zeros_like(W) for name, W in weights.items()}
        return state

    def learn(self, state: State, lab: Lab) -> tuple[State, WeightUpdate]:
        """Present the batch K times with weights that wander; return where they are, and - sum (r - rbar)(theta - mu).

        Raises:
            InputError: weights are to move at every step that are not exact.
        """
        found = _Sums(self.rule, state, lab)
        if self.rule.source == "own":
            present = self._held if self.rule.draw == "pass" else self._moving
        else:
            present = self._standing if self.rule.draw == "pass" else self._wandering
        for k in range(self.rule.K):
            present(found, lab, k)
        return found.state(), found.update()

    # ---- deviations of its own ----

    def _held(self, found: _Sums, lab: Lab, k: int) -> None:
        """Present the batch with weights that stand for the presentation; their mean loss is the reward's negative."""
        d = found.draw(k, 1)
        reads = {name: replace(read, W=read.W + d[name][0]) if name in d else read for name, read in lab.reads.items()}
        found.add(_mean_losses(replace(lab, reads=reads), k).mean().view(1, 1), [True], d)

    def _moving(self, found: _Sums, lab: Lab, k: int) -> None:
        """Present the batch with weights that move at every step: in simulation, of exact arrays."""
        if not all(map(exact, lab.reads.values())):
            raise InputError(INEXACT)
        if lab.books:  # only the reads are wanted, for the books
            _mean_losses(lab, k)
        at_once = max(1, AT_ONCE // sum(read.W.numel() for read in lab.reads.values()))
        means = {name: read.W for name, read in lab.reads.items()}
        scored, done = (lab.mask != 0).tolist(), _presented(lab)
        next(done)
        for t0 in range(0, lab.steps, at_once):
            d, losses = found.draw(k, min(at_once, lab.steps - t0), t0), list[Tensor]()
            while len(losses) < min(at_once, lab.steps - t0) and goes_on(lab):
                t = len(losses)
                losses.append(done.send({name: W + d[name][t] if name in d else W for name, W in means.items()}))
            d = found.reached(d, len(losses))
            found.add(torch.stack(losses).mean(1, keepdim=True), scored[t0 : t0 + len(losses)], d)
            if not goes_on(lab):
                return

    # ---- deviations of the devices ----

    def _standing(self, found: _Sums, lab: Lab, k: int) -> None:
        """Present the batch to devices whose noise stands still for it, as far as it does."""
        d = {name: W.unsqueeze(0) for name, W in standing(lab).items()}
        found.add(_mean_losses(lab, k).mean().view(1, 1), [True], d)

    def _wandering(self, found: _Sums, lab: Lab, k: int) -> None:
        """Present the batch to devices whose noise is drawn in time, each sequence at its own."""
        plan, scored = PassPlan((1.0,), (k,), "mean"), (lab.mask != 0).tolist()
        realised: Realised | None = None
        for chunk in lab.run(plan, "loss"):
            realised = realised or Realised(lab, plan, chunk.dt)
            losses, done = lab.losses(chunk)[:, 0], 0
            for d in realised.draw(chunk.t0, len(chunk.y), AT_ONCE):
                steps = slice(done, done := done + len(next(iter(d.values()))))
                found.add(losses[steps], scored[chunk.t0 + steps.start : chunk.t0 + steps.stop], d)


class _Sums:
    """What an update adds up: - sum (r - rbar)(theta - mu) of each array, and where rbar and the deviations are.

    Args: rule, state: before the update. lab: of the update.
    """

    def __init__(self, rule: OUA, state: State, lab: Lab) -> None:
        self.rule, self.lab = rule, lab
        self.heard = int(state["heard"])
        self.mean = float(state["reward"]) if self.heard else None
        self.arrays = {name: torch.zeros_like(read.W) for name, read in lab.reads.items()}
        self.deviations = {name: state[f"deviation {name}"] for name in lab.reads if f"deviation {name}" in state}
        self.begun, self.losses, self.scored = self.heard > 0, list[Tensor](), 0

    def draw(self, k: int, steps: int, t0: int = 0) -> dict[str, Tensor]:
        """Return the deviations (steps, n, m) of the arrays that learn in presentation k from step t0 on."""
        found: dict[str, Tensor] = {}
        for name, read in self.lab.reads.items():
            if not self.lab.learns(name):
                continue
            at = [k], t0, steps, tuple(read.W.shape), read.W
            xi = self.lab.streams.tensors("normal", STREAM.format(name), *at)[:, 0]
            start = self.deviations[name] if self.begun else None
            found[name] = wandered(start, xi, self.rule.lam, self.rule.deviation)
        self.begun = True
        return self.reached(found, steps)

    def reached(self, d: Mapping[str, Tensor], steps: int) -> dict[str, Tensor]:
        """Return the first of the steps (T, n, m) that were drawn: weights stand where the last of them left them."""
        self.deviations |= {name: each[steps - 1].clone() for name, each in d.items()}
        return {name: each[:steps] for name, each in d.items()}

    def add(self, losses: Tensor, scored: list[bool], d: Mapping[str, Tensor]) -> None:
        """Add steps up: their losses (T, B or 1), whether they are scored, deviations (T, n, m) or (T, B, n, m)."""
        A, self.mean = advantages(-losses, scored, self.mean, self.rule.rho)
        for name, each in d.items():
            rows = each.flatten(0, -3).flatten(1)  # (T, n m), or (T B, n m)
            self.arrays[name] -= (A.to(rows).flatten() @ rows).view_as(self.arrays[name]) / losses.shape[1]
        self.losses.append(losses.double().mean(1).sum())
        self.scored += sum(scored)

    def update(self) -> WeightUpdate:
        """Return the direction of descent, and the mean loss of what is scored: of a world that is over it is 0."""
        each = 1 if self.rule.draw == "pass" else int(self.lab.mask.count_nonzero())
        return WeightUpdate(self.arrays, {"loss": number(torch.stack(self.losses).sum() / max(self.rule.K * each, 1))})

    def state(self) -> State:
        """Return the state after the update."""
        mean = 0.0 if self.mean is None else self.mean
        return {
            "reward": torch.tensor(mean, dtype=torch.float64),
            "heard": torch.tensor(self.heard + self.scored, dtype=torch.int64),
            **{f"deviation {name}": d for name, d in self.deviations.items()},
        }


def _mean_losses(lab: Lab, k: int) -> Tensor:
    """Present the batch once, with noise stream k; return the mean loss (B,) of each sequence over scored steps."""
    total = [lab.losses(chunk)[:, 0].double().sum(0) for chunk in lab.run(PassPlan((1.0,), (k,), "mean"), "loss")]
    return torch.stack(total).sum(0) / lab.mask.sum().double()


def goes_on(lab: Lab) -> bool:
    """Return whether a presentation goes on: data do, and a world as long as one of its sequences does."""
    live = None if isinstance(lab.source, Tensor) else lab.source.live
    return live is None or bool(live.any())


def _presented(lab: Lab) -> Generator[Tensor, Mapping[str, Tensor], None]:
    """Do one presentation step by step, without noise: take the arrays of a step, yield its losses (B,).

    The first `next` yields nothing; each `send` gives the arrays of the step that it returns the losses of.
    """
    data = lab.source if isinstance(lab.source, Tensor) else None
    u = lab.source.reset(1, lab.mask)[0] if not isinstance(lab.source, Tensor) else lab.source[0]
    where, losses = rest(lab.network, lab.batch, lab.mask), lab.mask[:0]
    for t in range(lab.steps):
        W = yield losses
        where, y = advance(lab.network, W, where, u if data is None else data[t])
        if isinstance(lab.source, Tensor):
            losses = of_steps(lab.loss, y.view(1, 1, *y.shape), lab.targets[t : t + 1], lab.mask[t : t + 1])[0, 0]
        else:
            u, told = lab.source.step(t, y.unsqueeze(0))
            u, losses = u[0], told[0] * lab.mask[t]
    yield losses
