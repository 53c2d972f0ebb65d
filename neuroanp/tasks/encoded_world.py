"""A world behind an encoder: what it shows becomes currents or spikes, and it reads outputs once a step of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from neuroanp.source import Shared, World
    from neuroanp.tasks.encoders import Encoder


class EncodedWorld:
    """A world whose inputs are encoded, and held for some steps of the simulation (`neuroanp.source.World`).

    The world acts on the outputs of the last of them, and its loss comes with that step. Random spikes are a function
    of the key and the step: the same for the same input in all passes.

    Args:
        world: what answers. encoder: what makes its inputs lines. key: (2,) uint64, of random spikes.
        dt: seconds a step of the simulation.

    `shown` is what the world shows at present, before the encoder, (M, B, I).
    """

    shown: Tensor

    def __init__(self, world: World, encoder: Encoder, key: np.ndarray, dt: float) -> None:
        self.world, self.encoder, self.key, self.dt = world, encoder, key, dt
        self.steps, self.batch = world.steps * encoder.hold, world.batch

    def reset(self, passes: int, like: Tensor) -> Tensor:
        """Begin a presentation; the lines at its first step, (M, B, lines)."""
        self._show(self.world.reset(passes, like), 0)
        return self._lines[0]

    @property
    def live(self) -> Tensor | None:
        """Which worlds go on, (M, B)."""
        return self.world.live

    def shared(self, by: int | None) -> EncodedShared | None:
        """Return the same episodes for all passes at once; None: outputs choose no actions; see `World`."""
        found = self.world.shared(by)
        return None if found is None else EncodedShared(found, self.encoder, self.key, self.dt)

    def step(self, t: int, y: Tensor) -> tuple[Tensor, Tensor]:
        """Let the network act, where that is due; see `World`."""
        own, part = divmod(t, self.encoder.hold)
        if part < self.encoder.hold - 1:
            return self._lines[part + 1], y.new_zeros(y.shape[:2])
        seen, loss = self.world.step(own, y)
        self._show(seen, own + 1)
        return self._lines[0], loss

    def _show(self, seen: Tensor, own: int) -> None:
        """Encode what is seen at a step of the world, (M, B, I)."""
        passes, self.shown = [], seen
        for of_pass in seen.double().cpu().numpy():
            rng = np.random.Generator(np.random.Philox(key=self.key, counter=[0, 0, own, 0]))
            passes.append(self.encoder.encode(of_pass[None], rng, self.dt))
        self._lines = torch.from_numpy(np.stack(passes, axis=1)).to(seen)  # (hold, M, B, lines)


class EncodedShared(EncodedWorld):
    """Episodes that all passes share, behind an encoder (`neuroanp.source.Shared`)."""

    world: Shared

    @property
    def actions(self) -> np.ndarray:
        """The actions taken so far at each step of the simulation: -1 where none was due, (t, B)."""
        taken = self.world.actions
        found = np.full((len(taken) * self.encoder.hold, self.batch), -1)
        found[self.encoder.hold - 1 :: self.encoder.hold] = taken
        return found

    @property
    def rewards(self) -> np.ndarray:
        """The rewards so far, at the steps of the world, (t, B)."""
        return self.world.rewards
