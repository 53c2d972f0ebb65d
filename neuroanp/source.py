"""Where the inputs of a presentation come from: data that are what they are, or a world that answers the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor


class World(Protocol):
    """Something that reads the outputs at each step, and makes the next input and the loss of them.

    Every pass and sequence has a world of its own, all the same at the start: passes then differ by what their noise
    did. The same presentation can be asked for again, so that a world has no state beyond the presentation.
    """

    steps: int
    """T, steps of a presentation."""
    batch: int
    """B, sequences."""

    def reset(self, passes: int, like: Tensor) -> Tensor:
        """Begin a presentation.

        Args:
            passes: M. like: gives dtype and device.

        Returns: the first input, (M, B, I) without the bias line.
        """
        ...

    def step(self, t: int, y: Tensor) -> tuple[Tensor, Tensor]:
        """Let the network act.

        Args:
            t: the step. y: (M, B, O) outputs of it.

        Returns: the next input (M, B, I), and the loss (M, B) of step t; of a reward its negative.
        """
        ...


Source: TypeAlias = "Tensor | World"
"""Data (T, B, I), the same for all passes, or a world."""
