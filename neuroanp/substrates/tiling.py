"""How a matrix lies on tiles of limited size, and what the resistance of their lines does to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Solver = Callable[[Tensor, float, float], tuple[Tensor, Tensor]]


class Tiling(NamedTuple):
    """Sizes of the tiles along both sides of a matrix.

    Args:
        heights: outputs (bit lines) of each tile; they sum to n.
        widths: inputs (word lines) of each tile; they sum to m. The outputs of the tiles beside each
            other are converted one by one and added digitally.

    >>> Tiling.of((100, 300), max_rows=128, max_columns=None)
    Tiling(heights=(100,), widths=(128, 128, 44))
    """

    heights: tuple[int, ...]
    widths: tuple[int, ...]

    @classmethod
    def of(cls, shape: tuple[int, int], max_rows: int | None, max_columns: int | None) -> Tiling:
        """Cut a matrix (n, m) into tiles of at most `max_rows` word lines and `max_columns` bit lines."""
        return cls(_cut(shape[0], max_columns), _cut(shape[1], max_rows))

    @property
    def tiles(self) -> int:
        """How many tiles there are."""
        return len(self.heights) * len(self.widths)


def _cut(size: int, most: int | None) -> tuple[int, ...]:
    most = size if most is None else min(most, size)
    return tuple(min(most, size - start) for start in range(0, size, most))


def through_wires(g: Tensor, r_word: float, r_bit: float, tiling: Tiling, solver: str) -> tuple[Tensor, Tensor]:
    """Return what the conductances of an array look like through its lines.

    Each plane of each tile has lines of its own. What noise has pushed below 0 S is no network of
    resistors: so much of the negative part is left as of any small change there.

    Args:
        g: (planes, n, m) siemens.
        r_word, r_bit: ohms a segment.
        tiling: sizes of the tiles.
        solver: "fast" or "exact".

    Returns: effective conductances, I = G_eff V, in siemens, and the factor by which the change of
        one device reaches its output (of a voltage on its own word line alone), both (planes, n, m).
    Raises: RunError if the network is singular, or the approximation is not finite.

    >>> g = torch.full((1, 1, 1), 1e-3, dtype=torch.float64)
    >>> effective, factor = through_wires(g, 100.0, 0.0, Tiling((1,), (1,)), "exact")
    >>> round(1e3 * effective.item(), 4), round(factor.item(), 4)  # G / (1 + r G), and its square
    (0.9091, 0.8264)
    """
    passive = g.clamp_min(0.0)
    if solver == "exact":
        seen, reach = _by_tiles(passive, r_word, r_bit, tiling, _exact)
    else:
        seen, reach = _fast(passive, r_word, r_bit, tiling)
    return torch.addcmul(seen, g - passive, reach), reach


def _by_tiles(g: Tensor, r_word: float, r_bit: float, tiling: Tiling, solve: Solver) -> tuple[Tensor, Tensor]:
    """Solve all tiles, those of one shape together, and put them back in their places."""
    rows = [block.split(list(tiling.widths), 2) for block in g.split(list(tiling.heights), 1)]
    places: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for i, row in enumerate(rows):
        for j, tile in enumerate(row):
            places.setdefault((tile.shape[1], tile.shape[2]), []).append((i, j))
    solved: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
    for group in places.values():
        together = torch.stack([rows[i][j] for i, j in group])
        for place, seen, reach in zip(group, *solve(together, r_word, r_bit), strict=True):
            solved[place] = (seen, reach)
    parts = [
        torch.cat([torch.cat([solved[i, j][part] for j in range(len(row))], 2) for i, row in enumerate(rows)], 1)
        for part in (0, 1)
    ]
    return parts[0], parts[1]


def _fast(g: Tensor, r_word: float, r_bit: float, tiling: Tiling) -> tuple[Tensor, Tensor]:
    from neuroanp.substrates.wires_fast import looped, solve_fast, solve_tiles

    if looped(g):
        return solve_tiles(g, r_word, r_bit, *tiling)
    return _by_tiles(g, r_word, r_bit, tiling, solve_fast)


def _exact(g: Tensor, r_word: float, r_bit: float) -> tuple[Tensor, Tensor]:
    from neuroanp.substrates.wires import WireNetwork

    networks = [WireNetwork(plane.double().cpu().numpy(), r_word, r_bit) for plane in g.flatten(0, -3)]
    seen = torch.stack([torch.from_numpy(network.transfer()) for network in networks])
    reach = torch.stack([torch.from_numpy(network.diagonal_gain()) for network in networks])
    return seen.view_as(g).to(g), reach.view_as(g).to(g)
