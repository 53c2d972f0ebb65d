"""Sequences of a world for an exporter: episodes as a run's network saw them, and what it did in them.

A world answers outputs, and a file in another format cannot be asked for them step by step. What it is shown is what
the run's network saw in its test episodes, without noise; what is compared are the actions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from neuroanp.noise import PassStreams
from neuroanp.tasks.encoded_world import EncodedWorld
from neuroanp.training.evaluate import SILENT, outputs

if TYPE_CHECKING:
    from neuroanp.tasks.protocol import Batch
    from neuroanp.training.trainer import Trainer

NOTE = (
    "the task is a world: formats are shown what the run's network saw in its noise-free test episodes, and the loss "
    "here is -log p of the actions it took, the score the share of actions that are the same; no returns"
)


class Followed(NamedTuple):
    """Episodes as they went.

    Args:
        inputs: (T, B, I) what was seen, and after an episode's end what was seen last; T is the longest one's.
        actions: (K, B) the likeliest action at each step of the world, -1 after the end.
        hold: steps of the simulation that a step of the world takes: T = K hold.
    """

    inputs: np.ndarray
    actions: np.ndarray
    hold: int

    def score(self, y: np.ndarray) -> dict[str, float]:
        """Return `loss`, the mean of -log p of the actions by outputs (T, B, O), and `same_actions`, a share.

        >>> went = Followed(np.zeros((2, 1, 1)), np.array([[1], [-1]]), 1)
        >>> {key: round(x, 4) for key, x in went.score(np.array([[[0.0, 1.0]], [[9.0, 0.0]]])).items()}
        {'loss': 0.3133, 'same_actions': 1.0}
        """
        y = np.asarray(y, dtype=np.float64)[self.hold - 1 :: self.hold]
        live = self.actions >= 0
        top = y.max(-1, keepdims=True)
        log_p = y - top - np.log(np.exp(y - top).sum(-1, keepdims=True))
        of_actions = np.take_along_axis(log_p, np.where(live, self.actions, 0)[..., None], -1)[..., 0]
        same = y.argmax(-1) == self.actions
        return {"loss": float(-of_actions[live].mean()), "same_actions": float(same[live].mean())}


def followed(trainer: Trainer, held: Batch) -> Followed:
    """Let the test episodes of a run go by without noise; return what was seen and done.

    Args:
        trainer: with the network. held: the test episodes, a world.
    """
    world = held.world
    assert world is not None
    noise = PassStreams(trainer.streams, "test", trainer.update)
    went = outputs(world, trainer.substrate, trainer.backend, noise, trainer.dt, SILENT)
    hold = world.encoder.hold if isinstance(world, EncodedWorld) else 1
    episodes = went.episodes(world.steps)
    assert episodes is not None
    longest = int(episodes.lengths.max())
    longest += -longest % hold
    y = episodes.y[:longest][hold - 1 :: hold]
    over = np.isnan(y).any(-1)
    actions = np.where(over, -1, np.where(np.isnan(y), -np.inf, y).argmax(-1))
    last = np.minimum(np.arange(longest)[:, None], episodes.lengths - 1)
    return Followed(np.take_along_axis(episodes.inputs, last[..., None], 0), actions, hold)


def as_sequences(trainer: Trainer, held: Batch) -> tuple[np.ndarray, Callable[[np.ndarray], dict[str, float]]]:
    """Return the inputs (T, B, I) of a world for an exporter, and what scores outputs on them."""
    went = followed(trainer, held)
    return went.inputs, went.score
