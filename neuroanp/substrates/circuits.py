"""The tiles of an array whose devices are not ohmic and whose lines have resistance, solved at every read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from neuroanp.profiles.sections import MOST_BENT
from neuroanp.substrates.wires_nonlinear import NonlinearNetwork

if TYPE_CHECKING:
    import numpy as np

    from neuroanp.substrates.tiling import Tiling


@dataclass(frozen=True)
class Circuits:
    """The networks of both planes of every tile.

    Potentials are in units of inputs, so that currents are siemens times inputs: an output is slope (I+ - I-).

    Args:
        networks: by tile along the inputs, then along the outputs, then by plane.
        sigma: standard deviation of the devices' fresh noise, laid out alike, siemens; None: none.
        slope: outputs a siemens.
        v_0: of the devices, in units of inputs.
    """

    networks: tuple[tuple[tuple[NonlinearNetwork, NonlinearNetwork], ...], ...]
    sigma: tuple[tuple[tuple[np.ndarray, np.ndarray], ...], ...] | None
    slope: float
    v_0: float

    @classmethod
    def of(
        cls, g: Tensor, sigma: Tensor | None, ohms: tuple[float, float], tiling: Tiling, v_0: float, slope: float
    ) -> Circuits:
        """Lay devices on tiles.

        Args:
            g: (2, n, m) siemens; what noise has pushed below 0 S is open. sigma: likewise, or None.
            ohms: a segment of a word and of a bit line. tiling: sizes of the tiles. v_0: in units of inputs.
            slope: outputs a siemens.
        """
        tiles = _blocks(g.clamp_min(0.0), tiling)
        networks = tuple(
            tuple((NonlinearNetwork(one, *ohms, v_0), NonlinearNetwork(other, *ohms, v_0)) for one, other in column)
            for column in tiles
        )
        return cls(networks, None if sigma is None else _blocks(sigma, tiling), slope, v_0)

    def times(self, factor: float) -> Circuits:
        """Return circuits whose outputs are multiplied by a factor."""
        return replace(self, slope=self.slope * factor)

    def outputs(self, x: Tensor, tile: int) -> Tensor:
        """Return the outputs (..., n) of one tile along the inputs for its lines at x (..., width)."""
        V = self._driven(x)
        found = [one.currents(V) - other.currents(V) for one, other in self.networks[tile]]
        y = torch.cat([torch.from_numpy(part) for part in found]) * self.slope
        return y.T.to(x).reshape(*x.shape[:-1], -1).contiguous()

    def _driven(self, x: Tensor) -> np.ndarray:
        """Return what the drivers give of inputs (..., width), (width, reads)."""
        limit = MOST_BENT * self.v_0
        return x.reshape(-1, x.shape[-1]).double().clamp(-limit, limit).cpu().numpy().T

    def variance(self, x: Tensor, tile: int) -> Tensor:
        """Return the variance (..., n) that the devices' noise makes of these outputs, to first order in it."""
        V, parts = self._driven(x), []
        for k, planes in enumerate(self.networks[tile]):
            of = [0.0, 0.0] if self.sigma is None else self.sigma[tile][k]
            parts.append(torch.from_numpy(sum(net.noise_variance(V, s) for net, s in zip(planes, of, strict=True))))  # pyright: ignore
        found = torch.cat(parts) * self.slope**2
        return found.T.to(x).reshape(*x.shape[:-1], -1).contiguous()


def _blocks(g: Tensor, tiling: Tiling) -> tuple[tuple[tuple[np.ndarray, np.ndarray], ...], ...]:
    """Return (2, n, m) by tile along the inputs, then along the outputs, then by plane."""
    columns = [block.split(list(tiling.heights), 1) for block in g.split(list(tiling.widths), 2)]
    return tuple(
        tuple((part[0].double().cpu().numpy(), part[1].double().cpu().numpy()) for part in column) for column in columns
    )
