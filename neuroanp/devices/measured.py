"""Laws that are tables of one's own measurements: programming error and read noise against conductance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from neuroanp.profiles.file_law import FileLaw
from neuroanp.profiles.laws import Pulses
from neuroanp.profiles.tables import Table
from neuroanp.units import Conductance

MAX_ROWS = 4096


class MeasuredProgramming(FileLaw):
    """Leave the error of a measured table.

        G_p = max(0, mean(G_target) + sd(G_target) xi)

    The file's columns carry units, e.g. `target_uS,mean_uS,sd_uS`; without `mean` writes are
    unbiased. Between rows both are interpolated linearly; beyond the first and last target the sd
    stays what it is there and the mean keeps its distance from the target, for the table says no more.

    Args:
        file: .csv or .npz, relative to the profile that states it.
        sha256: of its content, or None: any.
        pulses: pulses one write stands for in the ledger.
        deadband: a cell is rewritten only when its target moved by more than this, siemens.
    """

    units: ClassVar[Mapping[str, str]] = {"target": "S", "mean": "S", "sd": "S"}
    optional: ClassVar[tuple[str, ...]] = ("mean",)
    max_bytes: ClassVar[int] = 2**20
    exact: ClassVar[bool] = False
    error: ClassVar[None] = None
    g_low: ClassVar[None] = None
    pulses: Pulses = 1
    deadband: Conductance = 0.0

    def check(self, table: Table) -> None:
        """Raise ValueError for targets that do not rise, too few or too many rows, and negative numbers."""
        check_rows(table, "target")

    def sigma(self, g_target: Tensor, g_max: float) -> Tensor:
        """Return the standard deviation of the error before clipping at 0 S, siemens."""
        return interpolate(g_target, self.data["target"], self.data["sd"])

    def write(self, g_target: Tensor, g_max: float, xi: Tensor) -> Tensor:
        """Return the programmed conductance for standard normals xi, siemens."""
        g = g_target
        if "mean" in self.data:
            g = g + interpolate(g, self.data["target"], self.data["mean"] - self.data["target"])
        return (g + self.sigma(g_target, g_max) * xi).clamp_min(0.0)


class MeasuredRead(FileLaw):
    """Read through the noise of a measured table: white, new at every read.

        sigma = sd(G(t))

    The file's columns are `g` and `sd` with their units, e.g. `g_uS,sd_nS`. Between rows the sd is
    interpolated linearly; beyond the first and last it stays what it is there.

    Args:
        file: .csv or .npz, relative to the profile that states it.
        sha256: of its content, or None: any.
    """

    units: ClassVar[Mapping[str, str]] = {"g": "S", "sd": "S"}
    max_bytes: ClassVar[int] = 2**20
    t_read: ClassVar[None] = None
    v_read: ClassVar[None] = None
    process: ClassVar[None] = None

    def check(self, table: Table) -> None:
        """Raise ValueError for conductances that do not rise, too few or too many rows, and negative numbers."""
        check_rows(table, "g")

    def split(
        self, g_programmed: Tensor, g_now: Tensor, g_max: float, age: Tensor, window: float
    ) -> tuple[Tensor, Tensor]:
        """Return standard deviations of the fresh and the frozen noise, siemens; nothing is frozen."""
        fresh = interpolate(g_now, self.data["g"], self.data["sd"])
        return fresh, torch.zeros_like(fresh)


def interpolate(x: Tensor, at: np.ndarray, values: np.ndarray) -> Tensor:
    """Return a table's value at x: straight lines between its rows, constant beyond its ends.

    Args:
        x: any shape.
        at: rising abscissae, (rows,), two at least.
        values: (rows,).

    >>> interpolate(torch.tensor([-1.0, 0.5, 9.0]), np.array([0.0, 1.0, 2.0]), np.array([4.0, 6.0, 2.0])).tolist()
    [4.0, 5.0, 2.0]
    """
    knots, heights = (torch.from_numpy(a).to(x.device, x.dtype) for a in (at, values))
    right = torch.searchsorted(knots, x.contiguous()).clamp_(1, len(knots) - 1)
    low, high = knots[right - 1], knots[right]
    share = ((x - low) / (high - low)).clamp_(0.0, 1.0)
    return torch.lerp(heights[right - 1], heights[right], share)


def check_rows(table: Table, axis: str) -> None:
    """Raise ValueError for a table that is no function of its axis or holds a negative conductance."""
    if not 2 <= table.rows <= MAX_ROWS:
        raise ValueError(f"{table.label}: {table.rows} rows; a table to interpolate has 2 to {MAX_ROWS}")
    for name, column in table.columns.items():
        low = np.flatnonzero(column < 0)
        if len(low):
            raise ValueError(f"{table.place(int(low[0]))}: {name}: {column[low[0]]:g} S is negative; correct it")
    # in float32 too: two conductances that the coarser type cannot tell apart are no interval
    flat = np.flatnonzero(np.diff(table.columns[axis].astype(np.float32)) <= 0)
    if len(flat):
        row = int(flat[0]) + 1
        what = "the same as" if table.columns[axis][row] == table.columns[axis][row - 1] else "not well above"
        raise ValueError(f"{table.place(row)}: {axis}: {what} the row before; sort the rows and merge duplicates")
