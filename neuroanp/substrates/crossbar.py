"""One array of devices that holds one matrix: weights to conductances and back, and what reads see.

Differential pairs:  G+- = g_min + dG max(+-W, 0) / w_s,     W = (w_s / dG) (G+ - G-)
Offset coding:       G = G_middle + dG W / (2 w_s),          W = (2 w_s / dG) (G - G_middle)

with dG = g_max - g_min. An output in weight units is y = k I, k = (w_s / dG) x_m / v_read (twice
that in offset coding, and so is the noise).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from neuroanp.devices.device import Device
from neuroanp.devices.protocol import Cells
from neuroanp.substrates.periphery import X_MAX, adc, amplifier_variance, dac
from neuroanp.substrates.protocol import ReadPlan

if TYPE_CHECKING:
    from neuroanp.profiles import HardwareProfile


class Crossbar:
    """One array.

    Args:
        profile: the hardware.
        device: its device, with the effects that are on.
        shape: (n, m) of the matrix: n outputs (bit lines), m inputs (word lines).
        rng: device-to-device draws.
        dtype: float32 or float64.
        where: the torch device.
    """

    def __init__(
        self,
        profile: HardwareProfile,
        device: Device,
        shape: tuple[int, int],
        rng: np.random.Generator,
        dtype: torch.dtype = torch.float32,
        where: torch.device | str = "cpu",
    ) -> None:
        self.profile, self.device, self.shape = profile, device, shape
        n, m = shape
        self.w_s = profile.array.weight_range * math.sqrt(2.0 / (n + m))
        self.differential = device.planes == 2
        self.slope = (1.0 if self.differential else 2.0) * self.w_s / device.span.width  # weight per siemens
        periphery = profile.periphery
        self.k = self.slope * X_MAX / periphery.v_read if periphery is not None else math.nan
        self.dac, self.adc = dac(profile, device.effects), adc(profile, self.k, device.effects)
        self.extra = amplifier_variance(profile, self.k, device.effects)
        self.cells: Cells = device.sample(shape, rng, dtype, where)

    def clip(self, weights: Tensor) -> tuple[Tensor, int]:
        """Return the weights within +-w_s and how many lay beyond."""
        clipped = weights.clamp(-self.w_s, self.w_s)
        return clipped, int(torch.count_nonzero(clipped != weights))

    def to_conductance(self, weights: Tensor) -> Tensor:
        """Return target conductances (planes, n, m) in siemens for weights (n, m) within +-w_s."""
        span = self.device.span
        if self.differential:
            return self._pair(weights).add_(span.g_min)
        return (weights / self.slope).add_(span.middle).unsqueeze(0)

    def to_change(self, change: Tensor) -> Tensor:
        """Return the conductance changes (planes, n, m) in siemens for changes of the weights (n, m)."""
        return self._pair(change) if self.differential else (change / self.slope).unsqueeze(0)

    def _pair(self, weights: Tensor) -> Tensor:
        """Return max(+-W, 0) in siemens, (2, n, m)."""
        pair = weights.new_empty((2, *weights.shape))
        torch.mul(weights, 1.0 / self.slope, out=pair[0])
        torch.neg(pair[0], out=pair[1])
        return pair.clamp_min_(0.0)

    def to_weights(self, g: Tensor) -> Tensor:
        """Return the weights (n, m) that conductances (planes, n, m) stand for."""
        if self.differential:
            return (g[0] - g[1]) * self.slope
        return (g[0] - self.device.span.middle) * self.slope

    def mean_weights(self, now: float, cells: Cells | None = None) -> Tensor:
        """Return the weights the array holds at chip time `now`, without read noise."""
        return self.to_weights(self.device.conductance(self.cells if cells is None else cells, now))

    def prepare(
        self, now: float, window: float, xi: Callable[[], Tensor], noise: bool = True, sampled: bool = False
    ) -> ReadPlan:
        """Read the state of the array once for the passes of one update.

        Args:
            now: chip seconds at the start of the window.
            window: seconds the passes take.
            xi: draws standard normals (planes, n, m) for the frozen noise, called only if there is any.
            noise: False leaves out read noise and the amplifiers'.
            sampled: the plan is for reads that draw every device.

        Returns: the plan; sigma2 = (w_s / dG)^2 (sigma+^2 + sigma-^2).
        """
        g = self.device.conductance(self.cells, now)
        fresh, frozen = self.device.read_sigma(self.cells, now, window, g) if noise else (None, None)
        if frozen is not None and bool(frozen.any()):
            g = g + frozen * xi()
        sigma2 = None if fresh is None else fresh.square().sum(0).mul_(self.slope**2)
        extra = self.extra if noise else 0.0
        return ReadPlan(self.to_weights(g), sigma2, extra, self.dac, self.adc, sampled)

    def columns(self, now: float) -> Tensor:
        """Return the conductance on each word line, (m,) siemens in float64: both devices of every pair.

        In offset coding the reference device, at G_middle, counts as the second one.
        """
        g = self.device.conductance(self.cells, now).clamp_min(0.0).sum((0, 1), dtype=torch.float64)
        return g if self.differential else g + self.shape[0] * self.device.span.middle

    def count(self, pulses: Tensor) -> tuple[int, int]:
        """Return how many pulses there are, and how many of them follow one another in time.

        Written serially all do; written by row, the longest train of each word line.

        Args:
            pulses: pulses of each cell, (planes, n, m).
        """
        total = int(pulses.sum())
        return total, int(pulses.amax((0, 1)).sum()) if self.profile.array.write == "row" else total
