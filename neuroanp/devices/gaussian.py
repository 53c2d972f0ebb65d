"""Programming error and read noise of which no more is known than their size: Gaussian, white."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from pydantic import Field, model_validator
from torch import Tensor

from neuroanp.profiles.laws import Law, Pulses
from neuroanp.units import Conductance, NonNegative
from neuroanp.yaml_io import at


class GaussianProgramming(Law):
    """Round a target to the levels a device has and leave a Gaussian error about it.

        G_p = max(0, Q(G_target) + sigma xi),  sigma^2 = sigma_absolute^2 + (sigma_relative G_target)^2
        Q(G) = g_low + h round((G - g_low) / h),  h = (g_max - g_low) / (levels - 1)

    The rounding belongs to the programming error: with that effect off, devices are continuous.

    Args:
        sigma_absolute: part of the error that does not depend on the target, siemens.
        sigma_relative: part that grows with it, a fraction.
        levels: how many conductances a device can hold, from g_low to g_max, or None: any.
        g_low: the lowest of them, siemens: the g_min of the profile.
        pulses: pulses one write stands for in the ledger.
        deadband: a cell is rewritten only when its target moved by more than this, siemens.

    >>> law = GaussianProgramming(sigma_absolute="0 S", sigma_relative=0.0, levels=5, g_low="0 S")
    >>> target = torch.tensor([0.0, 3.6e-6, 20e-6, 25e-6])
    >>> [round(g, 2) for g in (1e6 * law.write(target, 25e-6, torch.zeros(4))).tolist()]
    [0.0, 6.25, 18.75, 25.0]
    """

    exact: ClassVar[bool] = False
    error: ClassVar[None] = None
    sigma_absolute: Conductance
    sigma_relative: NonNegative
    levels: Annotated[int, Field(ge=2, le=2**24)] | None = None
    g_low: Conductance | None = None
    pulses: Pulses = 1
    deadband: Conductance = 0.0

    @model_validator(mode="after")
    def _levels_start_somewhere(self) -> GaussianProgramming:
        if (self.levels is None) != (self.g_low is None):
            missing = "g_low" if self.g_low is None else "levels"
            raise at((missing,), "levels need both 'levels' and 'g_low', the lowest of them; add it or drop the other")
        return self

    def sigma(self, g_target: Tensor, g_max: float) -> Tensor:
        """Return the standard deviation of the random error before clipping at 0 S, siemens."""
        return (g_target * self.sigma_relative).square_().add_(self.sigma_absolute**2).sqrt_()

    def nearest(self, g_target: Tensor, g_max: float) -> Tensor:
        """Return the level nearest to each target (of two equally near the even one), siemens.

        Raises: ValueError if g_low is not below g_max.
        """
        if self.levels is None or self.g_low is None:
            return g_target
        if self.g_low >= g_max:
            raise ValueError(f"programming.g_low, {self.g_low:g} S, is not below g_max, {g_max:g} S")
        step = (g_max - self.g_low) / (self.levels - 1)
        level = ((g_target - self.g_low) / step).round_().clamp_(0, self.levels - 1)
        return level.mul_(step).add_(self.g_low)

    def write(self, g_target: Tensor, g_max: float, xi: Tensor) -> Tensor:
        """Return the programmed conductance for standard normals xi, siemens."""
        return (self.nearest(g_target, g_max) + self.sigma(g_target, g_max) * xi).clamp_min_(0.0)


class GaussianRead(Law):
    """Read through white noise: new at every read, none of it frozen.

        sigma^2 = sigma_absolute^2 + (sigma_relative G(t))^2

    Args:
        sigma_absolute: part that does not depend on the conductance, siemens.
        sigma_relative: part that grows with it, a fraction.

    >>> law = GaussianRead(sigma_absolute="0.3 uS", sigma_relative=0.04)
    >>> g = torch.tensor([10e-6])
    >>> fresh, frozen = law.split(g, g, 25e-6, torch.tensor(1.0), 1e-6)
    >>> round(1e6 * float(fresh), 3), float(frozen)
    (0.5, 0.0)
    """

    t_read: ClassVar[None] = None
    v_read: ClassVar[None] = None
    process: ClassVar[None] = None
    sigma_absolute: Conductance
    sigma_relative: NonNegative

    def split(
        self, g_programmed: Tensor, g_now: Tensor, g_max: float, age: Tensor, window: float
    ) -> tuple[Tensor, Tensor]:
        """Return standard deviations of the fresh and the frozen noise, siemens."""
        fresh = (g_now * self.sigma_relative).square_().add_(self.sigma_absolute**2).sqrt_()
        return fresh, torch.zeros_like(fresh)
