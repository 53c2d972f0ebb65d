"""Tables of what a pulse does: the cumulative distribution of a change of conductance at each conductance.

A row of a table belongs to one conductance G and holds points (p, dG) of the distribution there, both rising.
Between its points a distribution is a straight line; below its first and above its last point lies what probability
they leave, at these very changes. Between two rows the distributions are interpolated linearly in G,

    F(dG | G) = (1 - s) F_i(dG) + s F_(i+1)(dG),   s = (G - G_i) / (G_(i+1) - G_i)

so that every moment about zero is, too; beyond the first and the last row they stay what they are there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


class StepTable:
    """Distributions of dG against G for pulses in one direction.

    Args:
        g: (R,) rising conductances, siemens, two at least.
        points: R pairs of probabilities and changes (siemens), (K,) each, both rising, two points at least.

    >>> table = StepTable(np.array([1e-6, 3e-6]), [(np.array([0.0, 1.0]), np.array([0.0, 2e-7])),
    ...                                            (np.array([0.0, 1.0]), np.array([0.0, 4e-7]))])
    >>> g = torch.tensor([1e-6, 2e-6, 9e-6], dtype=torch.float64)
    >>> [round(1e9 * x) for x in table.mean(g).tolist()]
    [100, 150, 200]
    >>> half, row = torch.full((3,), 0.5, dtype=torch.float64), torch.tensor([0.0, 0.4, 0.0], dtype=torch.float64)
    >>> [round(1e9 * x) for x in table.draw(g, row, half).tolist()]
    [100, 200, 200]
    """

    def __init__(self, g: np.ndarray, points: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
        rows = [_whole(p, dg) for p, dg in points]
        most = max(len(p) for p, _ in rows)
        self.g = np.asarray(g, dtype=np.float64)
        self._p = np.stack([np.pad(p, (0, most - len(p)), mode="edge") for p, _ in rows])
        self._dg = np.stack([np.pad(dg, (0, most - len(dg)), mode="edge") for _, dg in rows])
        # one search serves all rows: probabilities of row r are looked for at r + p; that rounds the last bits of p
        # away, which do not count, for the line between two points is continuous
        self._shifted = (self._p + np.arange(len(rows))[:, None]).ravel()
        part, low, high = np.diff(self._p), self._dg[:, :-1], self._dg[:, 1:]
        self.means = (part * (low + high)).sum(1) / 2
        """(R,) mean change at each row, siemens."""
        self.squares = (part * (low**2 + low * high + high**2)).sum(1) / 3
        """(R,) mean square of the change at each row, siemens squared."""

    def mean(self, g: Tensor) -> Tensor:
        """Return the mean change at conductances g, siemens, of the shape and type of g."""
        return self._between(g, self.means)

    def variance(self, g: Tensor) -> Tensor:
        """Return the variance of the change at conductances g, siemens squared, of the shape and type of g."""
        return (self._between(g, self.squares) - self._between(g, self.means).square()).clamp_min(0.0)

    def draw(self, g: Tensor, row: Tensor, u: Tensor) -> Tensor:
        """Return changes drawn at conductances g.

        Args:
            g: (n,) siemens.
            row: (n,) uniforms in [0, 1) that choose between the rows below and above g.
            u: (n,) uniforms in [0, 1): probabilities whose quantiles are taken.

        Returns: (n,) siemens, of the type of g.
        """
        below, share = self._rows(g)
        chosen = below + (row.double() < share).long()
        p, dg, shifted = (self._on(values.ravel(), g) for values in (self._p, self._dg, self._shifted))
        count = self._p.shape[1]
        first = chosen * count
        right = torch.searchsorted(shifted, chosen + u.double(), right=True)
        right = torch.minimum(torch.maximum(right, first + 1), first + count - 1)
        width = p[right] - p[right - 1]
        along = ((u.double() - p[right - 1]) / torch.where(width > 0, width, 1.0)).clamp(0.0, 1.0)
        return torch.lerp(dg[right - 1], dg[right], along).to(g.dtype)

    def _rows(self, g: Tensor) -> tuple[Tensor, Tensor]:
        """Return the row below each conductance, and the way from it to the next one, 0 to 1."""
        at, g = self._on(self.g, g), g.double()
        below = torch.searchsorted(at, g.contiguous(), right=True).sub_(1).clamp_(0, len(at) - 2)
        return below, ((g - at[below]) / (at[below + 1] - at[below])).clamp_(0.0, 1.0)

    def _between(self, g: Tensor, values: np.ndarray) -> Tensor:
        below, share = self._rows(g)
        values_there = self._on(values, g)
        return torch.lerp(values_there[below], values_there[below + 1], share).to(g.dtype)

    @staticmethod
    def _on(values: np.ndarray, like: Tensor) -> Tensor:
        return torch.from_numpy(values).to(like.device)


def _whole(p: np.ndarray, dg: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the points with those of probability 0 and 1."""
    low, high = int(p[0] > 0), int(p[-1] < 1)
    return (
        np.concatenate([[0.0] * low, p, [1.0] * high]),
        np.concatenate([dg[:1].repeat(low), dg, dg[-1:].repeat(high)]),
    )
