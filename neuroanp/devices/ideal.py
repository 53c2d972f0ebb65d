"""A device that holds exactly what it was told to."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from neuroanp.profiles.laws import Law


class IdealProgramming(Law):
    """Leave exactly the target: G = G_target, one pulse a write.

    >>> import torch
    >>> law = IdealProgramming()
    >>> law.write(torch.tensor([1e-6]), 25e-6, torch.ones(1)).item() == torch.tensor(1e-6).item()
    True
    """

    pulses: ClassVar[int] = 1
    deadband: ClassVar[float] = 0.0
    exact: ClassVar[bool] = True
    error: ClassVar[None] = None
    g_low: ClassVar[None] = None

    def sigma(self, g_target: Tensor, g_max: float) -> Tensor:
        """Return the standard deviation of the programming error: 0 S everywhere."""
        return g_target.new_zeros(g_target.shape)

    def write(self, g_target: Tensor, g_max: float, xi: Tensor) -> Tensor:
        """Return the programmed conductance, in siemens, of the shape of `g_target`."""
        return g_target.clone()
