"""Faults of an array: devices that are stuck, and lines that carry nothing.

Which devices and lines are faulty is drawn once an array. A word line is shared by both devices of
a pair, and broken it carries no input at all; a broken bit line carries no current of its devices.
Tiles have lines of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from neuroanp.devices.draws import uniform
from neuroanp.devices.protocol import Span

if TYPE_CHECKING:
    from neuroanp.profiles.sections import Array, Faults


class StuckDevices:
    """Stuck devices of one array: where they are, and at what conductance.

    The draws are made at once, so that they do not depend on what else is drawn afterwards.

    Args:
        faults: fractions of the devices by kind.
        shape: (planes, n, m).
        rng: one uniform a device for each group of kinds that the profile states.
        like: gives dtype and device.
    """

    def __init__(self, faults: Faults, shape: tuple[int, ...], rng: np.random.Generator, like: Tensor) -> None:
        self.faults = faults
        self.corrupt = None if faults.corrupt is None else (uniform(rng, shape, like), uniform(rng, shape, like))
        self.ends = faults.stuck_low is not None or faults.stuck_high is not None
        self.u = uniform(rng, shape, like) if self.ends else None

    def settle(self, g: Tensor, span: Span, ref: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the conductances with the stuck devices in place (siemens), and where those are (None: nowhere).

        Args:
            g: conductances before, (planes, n, m) siemens.
            span: range of conductance.
            ref: reference of each device in device units, which g has subtracted, or None.
        """
        stuck: Tensor | None = None
        if self.corrupt is not None:
            assert self.faults.corrupt is not None
            assert self.faults.corrupt_range is not None
            stuck = self.corrupt[0] < self.faults.corrupt
            at = self.faults.corrupt_range * (2.0 * self.corrupt[1] - 1.0)  # device units: -1 to 1 spans the range
            if g.shape[0] == 2:
                value = span.g_min + span.width * at.abs()
            else:
                value = span.middle + 0.5 * span.width * (at - (torch.zeros_like(at) if ref is None else ref))
            g = torch.where(stuck, value, g)
        if self.u is not None:
            low, high = self.faults.stuck_low or 0.0, self.faults.stuck_high or 0.0
            free = torch.ones_like(self.u, dtype=torch.bool) if stuck is None else ~stuck
            # shares are of all devices; those that are corrupt already are not drawn again
            room = 1.0 - (self.faults.corrupt or 0.0)
            at_low = free & (self.u * room < low)
            at_high = free & ~at_low & (self.u * room < low + high)
            g = torch.where(at_low, span.g_min, torch.where(at_high, span.g_max, g))
            stuck = at_low | at_high if stuck is None else stuck | at_low | at_high
        return g, stuck


def dead_lines(
    faults: Faults, array: Array, shape: tuple[int, int, int], rng: np.random.Generator, like: Tensor
) -> tuple[Tensor | None, Tensor | None]:
    """Draw the broken word and bit lines of an array.

    Args:
        faults: fractions of the lines.
        array: gives the size of a tile.
        shape: (planes, n, m).
        rng: one uniform a line.
        like: gives dtype and device.

    Returns: where word lines (1, n, m) and bit lines (planes, n, m) are broken, as masks; None where
        the profile states no such fault.
    """
    planes, n, m = shape
    rows = columns = None
    if faults.dead_rows is not None:
        height = min(array.max_columns or n, n)  # a word line is as long as a tile has bit lines
        u = uniform(rng, (1, -(-n // height), m), like)
        rows = (u < faults.dead_rows).repeat_interleave(height, 1)[:, :n]
    if faults.dead_columns is not None:
        width = min(array.max_rows or m, m)
        u = uniform(rng, (planes, n, -(-m // width)), like)
        columns = (u < faults.dead_columns).repeat_interleave(width, 2)[:, :, :m]
    return rows, columns
