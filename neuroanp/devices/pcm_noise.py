"""The read noise of phase-change memory in time: 1/f noise from the read back to the write.

The law's total, Q^2 G^2 ln((t_s + t_r) / (2 t_r)), is that of S_G(f) = Q^2 G^2 / f from 1/(t_s + t_r) to 1/(2 t_r): as
a device gets older, slower noise comes in. Two reads tau >> t_r apart differ by

    Var[dG(tau) - dG(0)] = 2 Q^2 G^2 [ln(pi tau / t_r) + 0.577]

whatever the age, as long as tau << t_s.

Source: Nandakumar et al., Phase-change memory models for deep learning training and inference, ICECS 2019, for the
spectrum and its limits; the sum of processes is this module's own (see one_over_f.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from neuroanp.devices.one_over_f import END, of_a_step

DAY = 86_400.0
PER_DECADE = 2
SPACING = math.log(10.0) / PER_DECADE
"""h, between neighbours in ln f."""
BELOW = 3
"""Processes below the limit of the oldest device: what is missing has 1e-3 of an e-fold's variance."""
ENDS = math.exp(-1.0 / END)
"""The upper limit over that of the ladder: its end process adds 1/c to the logarithm."""


@dataclass(frozen=True)
class PcmNoise:
    """A Gaussian process of unit variance for each device, whose spectrum falls as 1/f down to one over its age.

        x_k <- rho_k x_k + sqrt(1 - rho_k^2) xi,  rho_k = e^{-2 pi f_k dt},  noise = sum_k sqrt(w_k) x_k
        w_k ~ h / (1 + (f_c / f_k)^2),  f_c = 1 / (t_s + t_r),  f_k evenly spaced in ln f by h up to 1 / (2 t_r)

    In a presentation ages stand still, as they do in the law's moments: each is that at the window's end.

    Args:
        t_read: t_r, seconds of one read.
        age: t_s of the devices, seconds, float64; None: one device that was written a day ago.

    >>> law = PcmNoise(250e-9)
    >>> L = math.log(DAY / 500e-9)
    >>> round(2 * L * (1 - law.autocorrelation(1e-6)), 1), round(2 * (math.log(math.pi * 4) + 0.5772), 1)
    (6.2, 6.2)
    """

    t_read: float
    age: Tensor | None = None
    n_sources: ClassVar[int] = 1
    node_sigma: ClassVar[float] = 1.0
    samples_are_steps: ClassVar[bool] = False
    of_devices: ClassVar[None] = None

    def of_ages(self, age: Tensor) -> PcmNoise:
        """Return the process of devices that were written `age` seconds ago, (planes, n, m)."""
        return PcmNoise(self.t_read, age.double())

    @property
    def _age(self) -> Tensor:
        return torch.tensor(DAY, dtype=torch.float64) if self.age is None else self.age

    @cached_property
    def corners(self) -> np.ndarray:
        """f_k, hertz, falling: the end process above the limit, then the ladder to below the oldest device's limit."""
        top = ENDS / (2.0 * self.t_read)
        oldest = float(self._age.amax()) + self.t_read
        count = max(1, math.ceil(math.log(top * oldest) / SPACING)) + BELOW
        return np.array([top / END, *top * np.exp(-(np.arange(count) + 0.5) * SPACING)])

    @cached_property
    def weights(self) -> Tensor:
        """w_k, the share that each process has of a device's variance, (K, *ages), float64; they add up to 1."""
        age = self._age
        column = (-1, *[1] * age.dim())
        corners, heights = (
            torch.as_tensor(a, dtype=torch.float64, device=age.device).view(column)
            for a in (self.corners, np.array([1.0 / END, *[SPACING] * (len(self.corners) - 1)]))
        )
        share = heights / (1.0 + (corners * (age.clamp_min(0.0) + self.t_read)).reciprocal().square())
        return share / share.sum(0)

    def autocorrelation(self, lag_s: float) -> float:
        """Return the correlation of a device's noise with itself lag_s seconds away, on average over the devices."""
        rho = torch.as_tensor(np.exp(-2.0 * math.pi * abs(lag_s) * self.corners), device=self.weights.device)
        return float(torch.tensordot(rho, self.weights, 1).mean())

    def uniforms(self, shape: tuple[int, ...]) -> None:
        """Return None: no uniforms are needed."""

    def normals(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the standard normals one step takes."""
        return (len(self.corners), *shape)

    def start(self, u: Tensor | None, xi: Any) -> Tensor:
        """Return the stationary state for normals xi (K, *shape): each process by its own standard deviation."""
        return xi.clone()

    def run(self, state: Tensor, u: Tensor | None, xi: Any, dt: float) -> tuple[Tensor, Tensor]:
        """Return the noise of T steps, (T, *shape), and the state after them.

        Args:
            state: (K, *shape), the last dimensions those of the devices.
            u: not used.
            xi: standard normals, (T, K, *shape).
            dt: seconds a step, 0 or more; infinity makes the steps independent.

        Raises: ValueError for a negative step.
        """
        rho, fresh = of_a_step(self.corners, dt, xi)
        root = self.weights.sqrt().to(xi)
        root = root.view(len(root), *[1] * (state.dim() - root.dim()), *root.shape[1:])
        state, noise = state.clone(), xi.new_empty(xi.shape[0], *xi.shape[2:])
        for step, out in zip(xi, noise, strict=True):
            state.mul_(rho).addcmul_(fresh, step)
            torch.sum(root * state, 0, out=out)
        return noise, state
