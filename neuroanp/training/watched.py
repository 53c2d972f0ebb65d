"""A world that is watched: what it shows is noted, as it goes to the input lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from neuroanp.tasks.encoded_world import EncodedWorld

if TYPE_CHECKING:
    from neuroanp.source import Shared, World


class Watched:
    """A world (`neuroanp.source.World`), and what it showed in its latest presentation.

    A trajectory tells what arrays had before them: of spikes on input lines their trace, not the spikes.

    Args:
        world: what is watched.

    >>> import numpy as np
    >>> from neuroanp.tasks.reaching import Reaching, ReachingConfig
    >>> world = Watched(Reaching(ReachingConfig(steps=2)).sample(np.random.default_rng(0), 3).world)
    >>> seen = world.reset(1, torch.zeros(1))
    >>> _ = world.step(0, torch.zeros(1, 3, 3))
    >>> world.inputs(1).shape, torch.equal(world.inputs(1)[0], seen[0])
    (torch.Size([1, 3, 2]), True)
    """

    def __init__(self, world: World) -> None:
        self._world, self._seen, self._shown = world, list[Tensor](), list[Tensor]()
        self.steps, self.batch = world.steps, world.batch

    @property
    def live(self) -> Tensor | None:
        """Which worlds go on, (M, B); None: all do."""
        return self._world.live

    def shared(self, by: int | None) -> Shared | None:
        """Return the same episodes for all passes at once, which are not watched."""
        return self._world.shared(by)

    def reset(self, passes: int, like: Tensor) -> Tensor:
        """Begin a presentation, and forget the one before; see `World`."""
        self._seen, self._shown = [], []
        return self._noted(self._world.reset(passes, like))

    def step(self, t: int, y: Tensor) -> tuple[Tensor, Tensor]:
        """Let the network act; see `World`."""
        u, loss = self._world.step(t, y)
        return self._noted(u), loss

    def inputs(self, steps: int) -> Tensor:
        """Return what the first pass was shown in so many steps, (T, B, I)."""
        return torch.stack(self._seen[:steps])

    def shown(self, steps: int) -> Tensor | None:
        """Return what it was before an encoder, (T, B, I) at each step of the simulation; None: there is none."""
        return torch.stack(self._shown[:steps]) if self._shown else None

    def _noted(self, u: Tensor) -> Tensor:
        """Return inputs (M, B, I), and note those of the first pass."""
        self._seen.append(u[0])
        if isinstance(self._world, EncodedWorld):
            self._shown.append(self._world.shown[0])
        return u
