"""CartPole: push a cart left or right so that the pole on it stays up."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import BaseModel, Field

from neuroanp.tasks.gym import GymEnvironment, require
from neuroanp.tasks.worlds import WorldOptions, WorldTask

SCALE = np.array([2.4, 3.0, 12 * np.pi / 180, 3.5])
"""The position and the angle at which an episode ends, and speeds that are rarely surpassed (ours)."""


class CartPoleConfig(WorldOptions):
    """Options of CartPole."""

    steps: int = Field(default=500, ge=1, le=100_000, description="most steps of an episode (T)")


class CartPole(WorldTask):
    """Push a cart left or right so that the pole on it stays up.

    Four inputs: position, speed, angle and its speed, over 2.4, 3, 12 degrees and 3.5. Two outputs: the logits of a
    push to the left and to the right. A step gives a reward of 1, the one with which it falls too; an episode is over
    when the pole leans by more than 12 degrees or the cart is more than 2.4 from the middle, or after T steps.
    The best return is T.

    Args:
        options: the task's options.

    Raises:
        InputError: gymnasium is not installed.

    Source: Barto, Sutton and Anderson, IEEE Trans. Syst. Man Cybern. 13, 834 (1983); CartPole-v1 of gymnasium.
    """

    config: ClassVar[type[BaseModel]] = CartPoleConfig
    name = "cartpole"
    inputs, outputs = 4, 2

    def __init__(self, options: CartPoleConfig) -> None:
        require("CartPole-v1")
        super().__init__(options, options.steps)

    def environment(self) -> GymEnvironment:
        """Make copies of CartPole-v1."""
        return GymEnvironment("CartPole-v1", SCALE)
