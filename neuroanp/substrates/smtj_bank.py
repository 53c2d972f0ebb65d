"""Noise on the pre-activations: one junction a unit, or Gaussian noise that no device makes."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from neuroanp.devices.draws import numpy_dtype
from neuroanp.devices.smtj import Koenders
from neuroanp.noise import PassStreams
from neuroanp.trajectory import PassPlan


class NodeNoise:
    """The noise of one presentation of a batch, drawn chunk after chunk in order of time.

    Every pass starts its sources afresh from their stationary state; their states are carried from
    chunk to chunk, and all draws are addressed by time step, so that the noise does not depend on
    how time is cut. Passes that share a stream see the same noise times their gain.

    Args:
        plan: gain and stream of each pass.
        units: number of units by layer ("hidden", "output").
        batch: B sequences, each with noise of its own.
        streams: where the draws come from.
        like: gives dtype and device.
        junctions: the law of the sources, or None.
        sigma: standard deviation of artificial Gaussian noise, 0 for none.
    """

    def __init__(
        self,
        plan: PassPlan,
        units: Mapping[str, int],
        batch: int,
        streams: PassStreams,
        like: Tensor,
        junctions: Koenders | None = None,
        sigma: float = 0.0,
    ) -> None:
        self.plan, self.units, self.batch, self.streams = plan, dict(units), batch, streams
        self.like, self.junctions, self.sigma = like, junctions, sigma
        self._state: dict[tuple[str, int], tuple[int, Tensor]] = {}  # (layer, stream) -> next step, states

    def draw(self, layer: str, t0: int, steps: int) -> Tensor | None:
        """Return the noise of steps t0 .. t0+steps-1.

        Args:
            layer: "hidden" or "output".
            t0: first step; 0 starts the presentation again, else it follows the last chunk.
            steps: how many.

        Returns: (steps, M, B, n), or None where nothing makes noise.
        Raises: ValueError for a chunk out of order (sources with a memory only).
        """
        if self.junctions is None and not self.sigma:
            return None
        shape = (self.batch, self.units[layer])
        make = torch.empty if all(self.plan.gain) else torch.zeros  # silent passes stay at zero
        out = make((steps, self.plan.passes, *shape), dtype=self.like.dtype, device=self.like.device)
        drawn: dict[int, Tensor] = {}
        # Gaussian noise alone takes its sigma along with the gain: one pass over the memory less.
        unit = self.sigma if self.junctions is None else 1.0
        for index, (gain, stream) in enumerate(zip(self.plan.gain, self.plan.stream, strict=True)):
            if gain == 0:
                continue
            if stream not in drawn:
                drawn[stream] = self._one(layer, stream, t0, steps, shape)
            torch.mul(drawn[stream], gain * unit, out=out[:, index])
        return out

    def _one(self, layer: str, stream: int, t0: int, steps: int, shape: tuple[int, int]) -> Tensor:
        """Return the noise of one stream: junctions plus Gaussian, or the Gaussian alone with unit variance."""
        if self.junctions is None:
            return self._normal(f"gaussian/{layer}", stream, t0, steps, shape)
        total = self._telegraph(self.junctions, layer, stream, t0, steps, shape)
        if self.sigma:
            total.add_(self._normal(f"gaussian/{layer}", stream, t0, steps, shape), alpha=self.sigma)
        return total

    def _telegraph(self, law: Koenders, layer: str, stream: int, t0: int, steps: int, shape: tuple[int, int]) -> Tensor:
        full = (law.n_sources, *shape)
        if t0 == 0:
            start = self._uniform(f"junction_start/{layer}", stream, 0, 1, full)[0]
            state = law.start(start)
        else:
            reached, state = self._state.get((layer, stream), (0, self.like))
            if reached != t0:
                raise ValueError(f"chunks must follow in time: {layer} stands at step {reached}, asked for {t0}")
        states = law.states(state, self._uniform(f"junction/{layer}", stream, t0, steps, full))
        self._state[layer, stream] = (t0 + steps, states[-1].clone())
        return law.noise(states, self._normal(f"junction_white/{layer}", stream, t0, steps, shape))

    def _normal(self, name: str, stream: int, t0: int, steps: int, shape: tuple[int, ...]) -> Tensor:
        draw = self.streams.normal(name, stream, t0, steps, shape, numpy_dtype(self.like))
        return torch.from_numpy(draw).to(self.like.device)

    def _uniform(self, name: str, stream: int, t0: int, steps: int, shape: tuple[int, ...]) -> Tensor:
        draw = self.streams.uniform(name, stream, t0, steps, shape, numpy_dtype(self.like))
        return torch.from_numpy(draw).to(self.like.device)
