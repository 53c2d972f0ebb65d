"""Reaching: move to a place that was shown, and hear in the end whether it was the right one."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import BaseModel, Field

from neuroanp.tasks.worlds import WorldOptions, WorldTask


class ReachingConfig(WorldOptions):
    """Options of the reaching task."""

    steps: int = Field(default=20, ge=1, le=100_000, description="steps of an episode (T)")
    axes: int = Field(default=1, ge=1, le=3, description="of the space: 1 a line, 2 a plane, 3 a room")
    stride: float = Field(default=0.1, gt=0, le=2, description="how far a step goes")
    shown: int | None = Field(
        default=None, ge=1, description="steps at the beginning in which the target is shown; unset: in all"
    )
    delayed: bool = Field(
        default=True, description="true: the reward of all steps comes with the last one; false: with each step"
    )


class ReachingEnvironment:
    """Points that step along axes towards targets (`neuroanp.tasks.acting.Environment`).

    Args: options: the task's.
    """

    def __init__(self, options: ReachingConfig) -> None:
        self.options = options

    def start(self, seeds: np.ndarray) -> np.ndarray:
        """Draw where points and targets are, uniform in [-1, 1], each of its own seed."""
        draws = [
            np.random.Generator(np.random.Philox(int(seed))).uniform(-1, 1, (2, self.options.axes)) for seed in seeds
        ]
        self._at, self._target = np.stack(draws, axis=1)
        self._t, self._owed = 0, np.zeros(len(seeds))
        return self._seen()

    def act(self, actions: np.ndarray, live: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Step; action 0 stays, 2 k + 1 and 2 k + 2 go down and up axis k. See `Environment`."""
        axis, up = np.divmod(np.maximum(actions, 1) - 1, 2)
        moves = np.zeros_like(self._at)
        moves[np.arange(len(actions)), axis] = np.where(actions > 0, (2 * up - 1) * self.options.stride, 0.0)
        self._at = np.where(live[:, None], np.clip(self._at + moves, -1, 1), self._at)
        self._t += 1
        self._owed += -np.abs(self._at - self._target).mean(axis=1) / self.options.steps
        last = self._t >= self.options.steps
        rewards = np.zeros(len(actions)) if self.options.delayed and not last else self._owed.copy()
        self._owed -= rewards
        return self._seen(), rewards, np.full(len(actions), last)

    def _seen(self) -> np.ndarray:
        """Return where points are, and the targets while they are shown, (rows, 2 axes)."""
        shown = self.options.shown is None or self._t < self.options.shown
        return np.concatenate([self._at, self._target if shown else np.zeros_like(self._target)], axis=1)


class Reaching(WorldTask):
    """Move to a place that was shown, and hear in the end how far one was from it on the way.

    A point and a target are drawn in [-1, 1] on each axis. Inputs: where the point is, and the target, of which with
    `shown` only the first steps tell: then it must be remembered. Outputs: the logits of staying, and of a step down
    and up each axis. The reward is minus the distance, mean over axes and steps,

        R = -1/T sum_t 1/A sum_a |x_ta - g_a|

    all of it with the last step, or (delayed: false) each step's part with the step. One that stays has -2/3 in the
    mean; one that walks straight there has minus what it must walk: with A = 1, s = stride and d = |x_0 - g|,
    -(1/T) sum_t max(d - s t, 0) up to what the last stride misses.

    Args:
        options: the task's options.

    >>> task = Reaching(ReachingConfig(steps=4))
    >>> world = task.sample(np.random.default_rng(0), 2).world
    >>> import torch
    >>> seen = world.reset(1, torch.zeros(1))
    >>> seen.shape, world.live.tolist()
    (torch.Size([1, 2, 2]), [[True, True]])
    """

    config: ClassVar[type[BaseModel]] = ReachingConfig
    name = "reaching"

    def __init__(self, options: ReachingConfig) -> None:
        super().__init__(options, options.steps)
        self.inputs, self.outputs = 2 * options.axes, 1 + 2 * options.axes

    def environment(self) -> ReachingEnvironment:
        """Make points and targets."""
        return ReachingEnvironment(self.options)
