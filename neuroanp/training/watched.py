"""A world that is looked at while it answers: what it showed, as it was, at each step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.source import Shared, World


class Watched:
    """A world (`neuroanp.source.World`) that remembers what it showed.

    Trajectories have traces of input spikes; what follows a network's inputs again needs the spikes themselves.

    Args:
        world: what answers.
    """

    def __init__(self, world: World) -> None:
        self.world, self.steps, self.batch = world, world.steps, world.batch
        self._shown: list[Tensor] = []

    @property
    def live(self) -> Tensor | None:
        """Which worlds go on, (M, B)."""
        return self.world.live

    def shared(self, by: int | None) -> Shared | None:
        """Return the same episodes for all passes at once, which nobody watches; see `World`."""
        return self.world.shared(by)

    def reset(self, passes: int, like: Tensor) -> Tensor:
        """Begin a presentation, and forget the last one."""
        self._shown = [self.world.reset(passes, like)]
        return self._shown[0]

    def step(self, t: int, y: Tensor) -> tuple[Tensor, Tensor]:
        """Let the network act; see `World`."""
        seen, loss = self.world.step(t, y)
        self._shown.append(seen)
        return seen, loss

    def inputs(self, steps: int) -> Tensor:
        """Return what the first pass saw in so many steps, (T, B, I)."""
        return torch.stack([seen[0] for seen in self._shown[:steps]])
