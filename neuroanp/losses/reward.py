"""Minus the reward: the loss of worlds, which tell it themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NoReturn

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

TOLD = "a world tells its rewards, and no output has a loss without it"


class MinusReward:
    """Minus the reward of a step, which a world gives for what the outputs did; its mean is over all T steps.

        L = -1/T sum_t r_t          minus the return, over the steps that an episode can have

    No output has this loss by itself: it is of tasks that are worlds, and no option of others.
    """

    label: ClassVar[str] = "minus the mean reward a step"
    unit: ClassVar[str] = ""

    def of(self, y: Tensor, targets: Tensor) -> NoReturn:
        """Raise ValueError: the world tells it."""
        raise ValueError(TOLD)

    def error(self, y: Tensor, targets: Tensor) -> NoReturn:
        """Raise ValueError: nobody knows how outputs should have been."""
        raise ValueError(TOLD)

    def misfit(self, targets: np.ndarray) -> str | None:
        """Say that targets are none of it; of worlds, whose targets nobody knows (nan), None."""
        return "is minus the reward of a world, which has no targets" if bool((targets == targets).any()) else None

    def constant(self, targets: np.ndarray) -> NoReturn:
        """Raise ValueError: no constant output is known to minimise it."""
        raise ValueError(TOLD)

    def as_targets(self, y: np.ndarray) -> np.ndarray:
        """Return y itself: outputs of a policy."""
        return y


MINUS_REWARD = MinusReward()
