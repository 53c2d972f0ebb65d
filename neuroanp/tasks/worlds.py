"""What tasks share that are worlds: episodes instead of sequences, returns instead of losses."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from neuroanp.losses.protocol import Loss
from neuroanp.losses.reward import MINUS_REWARD
from neuroanp.tasks.acting import ActingWorld, Environment
from neuroanp.tasks.protocol import Batch


class WorldOptions(BaseModel):
    """Base of the options of tasks that are worlds; they have one loss, minus the reward."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    test_size: int = Field(default=100, ge=1, le=100_000, description="test episodes")
    tested: Literal["greedy", "drawn"] = Field(
        default="greedy",
        description="greedy: in test episodes the action of the largest output is taken; drawn: actions are drawn from "
        "the policy, as they are when it learns",
    )


class WorldTask:
    """Base of tasks that are worlds: outputs are the logits of a policy, one an action.

    A subclass says `name`, `config`, `inputs`, `outputs`, and `environment`; one whose outputs choose no actions, and
    that has no environment, makes its episodes itself, by `_episodes`. An episode is over after `steps`.

    Args:
        options: a `WorldOptions`. steps: T, the most steps of an episode.

    >>> from neuroanp.tasks.protocol import Episodes
    >>> from neuroanp.tasks.reaching import Reaching
    >>> task, rng = Reaching(Reaching.config(steps=5, test_size=2)), np.random.default_rng(0)
    >>> task.sample(rng, 3), type(task.environment()).__name__, task.account(), repr(task.fingerprint())
    (Batch(3 worlds of 5 steps at most, 2 inputs, 3 outputs), 'ReachingEnvironment', (), "''")
    >>> batch = task.test(rng)
    >>> rewards = np.array([[0.0, 0.0], [-0.5, -0.3]])  # T 2, of two episodes
    >>> done = Batch(batch.inputs, batch.targets, batch.mask, episodes=Episodes(rewards, rewards, rewards, rewards))
    >>> task.score(batch.targets, done), task.persistence(batch)
    ({'return': -0.4, 'least': -0.5, 'most': -0.3, 'length': 2.0}, None)
    """

    config: ClassVar[type[BaseModel]]
    table: ClassVar[None] = None
    name: str
    inputs: int
    outputs: int
    forecast = False
    loss: Loss = MINUS_REWARD

    def __init__(self, options: Any, steps: int) -> None:
        self.options: Any = options
        self.steps: int = steps

    def environment(self) -> Environment:
        """Make what is acted in."""
        raise NotImplementedError

    def sample(self, rng: np.random.Generator, batch: int) -> Batch:
        """Draw `batch` episodes with rng, in which actions are drawn."""
        return self._episodes(rng, batch, greedy=False)

    def test(self, rng: np.random.Generator) -> Batch:
        """Draw the test episodes with rng."""
        return self._episodes(rng, self.options.test_size, greedy=self.options.tested == "greedy")

    def _episodes(self, rng: np.random.Generator, batch: int, greedy: bool) -> Batch:
        seeds = rng.integers(2**31, size=batch)
        key = rng.integers(2**64, size=2, dtype=np.uint64)
        world = ActingWorld(self.environment, self.outputs, seeds, key, self.steps, greedy)
        return Batch.of_world(world, self.inputs, self.outputs)

    def score(self, y: np.ndarray, batch: Batch) -> dict[str, float]:
        """Return `return`, the mean sum of rewards of an episode, its least and most, and the mean `length`.

        Args: y: outputs, (T, B, O), which tell nothing here. batch: with the episodes that came of them.

        Raises:
            ValueError: the batch has no episodes: outputs alone do not tell what a world gave for them.
        """
        if batch.episodes is None:
            raise ValueError(f"task '{self.name}' is a world, which scores episodes; outputs alone have no score")
        returns = batch.episodes.returns
        told = {"return": returns.mean(), "least": returns.min(), "most": returns.max()}
        return {name: float(x) for name, x in {**told, "length": batch.episodes.lengths.mean()}.items()}

    def persistence(self, batch: Batch) -> None:
        """Return None, of any batch: a world is no forecast."""

    def fingerprint(self) -> str:
        """Return the empty string: the options say everything."""
        return ""

    def account(self) -> tuple[str, ...]:
        """Return (): the data are no file of a user's."""
        return ()
