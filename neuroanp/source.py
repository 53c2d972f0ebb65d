"""Where the inputs of a presentation come from: data that are what they are, or a world that answers the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


class World(Protocol):
    """Something that reads the outputs at each step, and makes the next input and the loss of them.

    Every pass and sequence has a world of its own, all the same at the start: passes then differ by what their noise
    did. The same presentation can be asked for again, so that a world has no state beyond the presentation.

    >>> import torch
    >>> class Echo:  # shows what the output was, and costs how far that is from 1
    ...     steps, batch, live = 3, 1, None
    ...     def shared(self, by):
    ...         return None
    ...     def reset(self, passes, like):
    ...         return torch.zeros(passes, self.batch, 1).to(like)
    ...     def step(self, t, y):
    ...         return y, (1.0 - y[..., 0]).square()
    >>> from neuroanp.registry import missing
    >>> world = Echo()
    >>> u = world.reset(2, torch.zeros(1))
    >>> u, loss = world.step(0, u + 0.5)
    >>> missing(Echo, World), world.live, world.shared(None), u.shape, loss.flatten()
    ([], None, None, torch.Size([2, 1, 1]), tensor([0.2500, 0.2500]))
    """

    steps: int
    """T, steps of a presentation, at most: it is over once no world goes on."""
    batch: int
    """B, sequences."""

    @property
    def live(self) -> Tensor | None:
        """Which worlds go on at the step that comes, (M, B) of bool; None: all do, to the last step.

        What a network does in one that is over costs nothing, takes no time and is not heard: its losses are 0.
        """
        ...

    def shared(self, by: int | None) -> Shared | None:
        """Return the same episodes for all passes at once, with -log p of the action that is taken as their losses.

        Args:
            by: the pass whose policy acts; None: the mean of the policies of all passes.

        Returns: None where outputs are no policy that chooses among actions.
        """
        ...

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


class Shared(World, Protocol):
    """A world that all passes share: what is done in it is one, and the loss of a pass is what it thinks of that."""

    @property
    def actions(self) -> np.ndarray:
        """The actions taken so far, (t, B) int."""
        ...

    @property
    def rewards(self) -> np.ndarray:
        """The rewards so far, (t, B) float64, 0 once an episode is over."""
        ...


Source: TypeAlias = "Tensor | World"
"""Data (T, B, I), the same for all passes, or a world."""
