"""Draw independent updates of one network on one batch, and hold them to the gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from neuroanp.diagnosing.gradient import gradient_of
from neuroanp.diagnosing.statistics import Alignment, Tally, incomparable
from neuroanp.errors import RunError
from neuroanp.noise import PassStreams
from neuroanp.training.sections import MOST_UPDATES

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.diagnosing.asked import Draws
    from neuroanp.training.lab import Lab
    from neuroanp.training.trainer import Trainer
    from neuroanp.trajectory import WeightUpdate

ALL = "all"
"""What all arrays together are called."""
PHASE = "diagnose/{}"
"""Prefix of the streams that the noise of draws is taken from, by the update that is looked at: training has others."""
LEAST_SQUARES = "it learns by whole steps of least squares, which are no estimates of a gradient"
"""Why weights that no optimiser moves are not held to it."""
ROUNDING = 64
"""A bias below so many units of the last place is rounding."""


def held_to_gradient(
    trainer: Trainer, draws: Draws, tell: Callable[[int], None] = lambda drawn: None
) -> dict[str, Alignment]:
    """Draw updates of the trainer's next batch, and return how they stand to its gradient: all arrays, and each.

    Batch, weights and the learner's state are the same for each draw, its noise is its own: draw i of an update has the
    same streams whatever the passes and the noise level, so that settings differ by less chance. The trainer is left as
    it was, whatever the learner wrote in between; nothing is booked.

    Args:
        trainer: the network, its chip and its learner. draws: how many. tell: takes the number of draws so far.

    Raises:
        InputError: see `gradient_of`. RunError: an update is not finite.
    """
    lab, held = trainer.lab(), {name: x.clone() for name, x in trainer.substrate.state_dict().items()}
    exact = gradient_of(trainer, lab).arrays
    stepped = drawn(trainer, lab, 0).steps.keys()  # no estimates of a gradient
    trainer.substrate.load_state_dict(held)
    names = [name for name in trainer.substrate.weights if name not in stepped]
    sizes = np.cumsum([0, *(exact[name].numel() for name in names)])
    parts = {ALL: slice(0, int(sizes[-1]))}
    parts |= {name: slice(int(a), int(b)) for name, a, b in zip(names, sizes, sizes[1:], strict=False)}
    if len(names) == 1:
        del parts[ALL]
    unit = float(torch.finfo(trainer.substrate.weights.like.dtype).eps)
    tally, found = Tally(flat(exact, names, exact), parts, ROUNDING * unit), {}
    for look in draws.looks():
        while tally.draws < look:
            update = flat(drawn(trainer, lab, tally.draws).arrays, names, exact)
            trainer.substrate.load_state_dict(held)
            if not np.isfinite(update).all():
                raise RunError(
                    f"at update {trainer.update} a weight's update is not finite (draw {tally.draws + 1}): the network "
                    "or its credit leaves the range of numbers; try a smaller rule.gamma, or look earlier"
                )
            tally.add(update)
            tell(tally.draws)
        found = tally.found()
        if all(one.settled <= draws.within for one in found.values()):
            break
    nothing = np.full(tally.draws, np.nan)
    return found | {name: incomparable(exact[name].numel(), nothing, LEAST_SQUARES) for name in sorted(stepped)}


def drawn(trainer: Trainer, lab: Lab, draw: int) -> WeightUpdate:
    """Return an update of a lab's batch with noise of its own; draws are counted from 0."""
    streams = PassStreams(trainer.streams, PHASE.format(trainer.update), draw)
    reads = trainer.substrate.prepare(lab.window_s, streams)
    writes = trainer.streams, MOST_UPDATES + 1 + draw  # beyond any update of a training
    own = replace(lab, streams=streams, reads=reads, writes=writes, books=False)
    state = {name: x.clone() for name, x in trainer.learned.items()}
    return trainer.learner.learn(state, own)[1]


def flat(arrays: Mapping[str, Tensor], names: Sequence[str], like: Mapping[str, Tensor]) -> np.ndarray:
    """Return arrays as one vector (d,) of float64 in the order of names; what an update leaves out is 0."""
    there = {name: arrays[name] if name in arrays else torch.zeros_like(like[name]) for name in names}
    return np.concatenate([x.detach().double().cpu().numpy().ravel() for x in there.values()])
