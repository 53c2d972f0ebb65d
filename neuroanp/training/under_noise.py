"""What units of a chip do under its own noise: features of the ridge controls that are fitted, and read, under it."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from neuroanp.backends.protocol import Request
from neuroanp.network.network import OUTPUT
from neuroanp.noise import PassStreams
from neuroanp.training.evaluate import NOISY, to_tensor, window_s

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.backends.protocol import Backend
    from neuroanp.noise import Streams
    from neuroanp.substrates.protocol import Substrate
    from neuroanp.trajectory import Trajectory, Weights


class UnderNoise:
    """Activities of a network on its chip, under the noise that its devices make, each time another.

    Args:
        substrate: the chip as it stands; it is read. backend: runs it. streams: the run's.
        name: what the noise is drawn for. dt: seconds a step.
        learns: whether that is a part of learning: then the chip's time goes on meanwhile. books: whether what is read
            is booked too.
    """

    def __init__(
        self, substrate: Substrate, backend: Backend, streams: Streams, name: str, dt: float, learns: bool = False,
        books: bool = False,
    ) -> None:  # fmt: skip
        self.substrate, self.backend, self.streams, self.name, self.dt = substrate, backend, streams, name, dt
        self.learns, self.books = learns, books
        self._draws = count()

    def __call__(self, weights: Weights, inputs: Any, neurons: Any = None) -> dict[str, Tensor]:
        """Present inputs (T, B, I) once; return what the outputs read of each layer that reaches them, (T, B, n).

        Args: weights: of a network of the same structure; those that the chip holds count. neurons: the chip's own.
        """
        u = to_tensor(np.asarray(inputs), self.substrate.weights.like)
        noise = PassStreams(self.streams, self.name, next(self._draws))
        reads = self.substrate.prepare(window_s(u, self.dt), noise)
        asked = Request(self.substrate, reads, u, NOISY, noise, keep="all", book=self.books, artificial=False)
        chunks = [self._read(chunk) for chunk in self.backend.run(asked)]
        if self.learns:
            self.substrate.elapse(window_s(u, self.dt))
        return {name: torch.cat([chunk[name] for chunk in chunks]).double() for name in chunks[0]}

    def at_outputs(self, steps: int, batch: int) -> np.ndarray | float:
        """Return the noise of the outputs' own in one presentation, (T, B, O); 0 where there is none."""
        noise = PassStreams(self.streams, self.name, next(self._draws))
        drawn = self.substrate.perturbation(NOISY, batch, noise, artificial=False, apart=steps * self.dt)
        found = drawn.draw(OUTPUT, 0, steps)
        return 0.0 if found is None else found[:, 0].double().cpu().numpy()

    def _read(self, chunk: Trajectory) -> dict[str, Tensor]:
        """Return what arrays to the outputs carry of each layer, without a line that a constant drives.

        Where a matrix decorrelates activity, what it makes of it: that is digital, and lies behind what is read here.
        """
        network, did = self.substrate.network, chunk.activities
        return {
            p.pre: chunk.pre.get(p.name, did[p.pre].x)[:, 0, :, : network.units[p.pre]] for p in network.feed(OUTPUT)
        }
