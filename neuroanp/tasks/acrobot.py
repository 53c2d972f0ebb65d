"""Acrobot: swing the free end of two links above a line."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import BaseModel, Field

from neuroanp.tasks.gym import GymEnvironment, require
from neuroanp.tasks.worlds import WorldOptions, WorldTask

SCALE = np.array([1.0, 1.0, 1.0, 1.0, 2.0, 4.0])
"""Sines and cosines are within 1; the speeds, rad/s, are about the root mean square of those of swings that get there.

Their limits, 4 pi and 9 pi, would leave of the speeds of the first swings too little beside sines and cosines: a policy
that does not see them does not swing up, and where no episode ends early no return tells anything."""


class AcrobotConfig(WorldOptions):
    """Options of Acrobot."""

    steps: int = Field(default=500, ge=1, le=100_000, description="most steps of an episode (T)")


class Acrobot(WorldTask):
    """Swing the free end of two links above a line, by a torque at the joint between them.

    Six inputs: cosine and sine of both angles, and their speeds over 2 and 4 rad/s. Three outputs: the logits of a
    torque of -1, 0 and 1. A step gives a reward of -1, but for the one that gets above the line, with which the episode
    is over; it is over after T steps, too. The worst return is -T.

    Args:
        options: the task's options.

    Raises:
        InputError: gymnasium is not installed.

    Source: Sutton, NIPS 8 (1996); Acrobot-v1 of gymnasium.
    """

    config: ClassVar[type[BaseModel]] = AcrobotConfig
    name = "acrobot"
    inputs, outputs = 6, 3

    def __init__(self, options: AcrobotConfig) -> None:
        require("Acrobot-v1")
        super().__init__(options, options.steps)

    def environment(self) -> GymEnvironment:
        """Make copies of Acrobot-v1."""
        return GymEnvironment("Acrobot-v1", SCALE)
