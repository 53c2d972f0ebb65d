"""Sequences of a world for an exporter: episodes as a run's network saw them, and what it did in them.

A world answers outputs, and a file in another format cannot be asked for them step by step. What it is shown is what
the run's network saw in its test episodes, without noise; what is compared are the actions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from neuroanp.noise import PassStreams
from neuroanp.tasks.encoded_world import EncodedWorld
from neuroanp.training.evaluate import SILENT, outputs

if TYPE_CHECKING:
    from neuroanp.tasks.protocol import Batch
    from neuroanp.training.trainer import Trainer

SHOWN = "the task is a world: formats are shown what the run's network saw in its noise-free test episodes, and "
NOTE = SHOWN + (
    "the loss here is -log p of the actions it took, the score the share of actions that are the same; no returns"
)
OUTPUTS = SHOWN + "the loss here is the mean square of what outputs are off from its own; no returns"


class Followed(NamedTuple):
    """Episodes as they went.

    Args:
        inputs: (T, B, I) what was seen, and after an episode's end what was seen last; T is the longest one's.
        y: (K, B, O) the outputs at each step of the world, nan after the end.
        hold: steps of the simulation that a step of the world takes: T = K hold.
        acts: whether outputs choose among actions.
    """

    inputs: np.ndarray
    y: np.ndarray
    hold: int
    acts: bool

    @property
    def live(self) -> np.ndarray:
        """Which episodes went on, (K, B)."""
        return np.logical_not(np.isnan(self.y).any(-1))

    @property
    def actions(self) -> np.ndarray:
        """The likeliest action at each step of the world, -1 after the end, (K, B)."""
        return np.where(self.live, np.where(np.isnan(self.y), -np.inf, self.y).argmax(-1), -1)

    @property
    def note(self) -> str:
        """What is compared, a sentence."""
        return NOTE if self.acts else OUTPUTS

    def score(self, y: np.ndarray) -> dict[str, float]:
        """Return `loss`, the mean of -log p of the actions by outputs (T, B, O), and `same_actions`, a share.

        Of outputs that choose no actions the loss is the mean square of what they are off, and there is nothing else.

        >>> own = np.array([[[0.2, 0.7]], [[np.nan, np.nan]]])
        >>> went = Followed(np.zeros((2, 1, 1)), own, 1, True)
        >>> {key: round(x, 4) for key, x in went.score(np.array([[[0.0, 1.0]], [[9.0, 0.0]]])).items()}
        {'loss': 0.3133, 'same_actions': 1.0}
        """
        y, live = np.asarray(y, dtype=np.float64)[self.hold - 1 :: self.hold], self.live
        if not self.acts:
            return {"loss": float(np.mean((y - self.y)[live] ** 2))}
        top = y.max(-1, keepdims=True)
        log_p = y - top - np.log(np.exp(y - top).sum(-1, keepdims=True))
        actions = self.actions
        of_actions = np.take_along_axis(log_p, np.where(live, actions, 0)[..., None], -1)[..., 0]
        same = y.argmax(-1) == actions
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
    longest = int(episodes.lengths.max())  # a world goes on or ends at a step of its own: a multiple of hold
    last = np.minimum(np.arange(longest)[:, None], episodes.lengths - 1)
    seen = np.take_along_axis(episodes.inputs, last[..., None], 0)
    return Followed(seen, episodes.y[:longest][hold - 1 :: hold], hold, world.shared(None) is not None)
