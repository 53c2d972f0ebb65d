"""Transistors below threshold: their currents differ from device to device by a lognormal factor."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from neuroanp.devices.draws import normal
from neuroanp.profiles.laws import Law
from neuroanp.units import NonNegative


class LognormalMismatch(Law):
    """Multiply each device by a fixed lognormal factor of mean 1.

        f = e^{s xi - s^2/2},  s^2 = ln(1 + CV^2):  E f = 1,  sd f = CV

    Below threshold I ~ e^{-V_T/(n U_T)}, so that a Gaussian spread of threshold voltages V_T is a
    lognormal one of currents: s = sd(V_T) / (n U_T).

    Args:
        cv: coefficient of variation, a fraction; 0 makes all devices alike.

    >>> f = LognormalMismatch(cv=0.2).sample((2, 500, 500), np.random.default_rng(0), torch.empty(0))
    >>> round(float(f.mean()), 2), round(float(f.std()), 2)
    (1.0, 0.2)
    """

    cv: NonNegative

    def sample(self, shape: tuple[int, ...], rng: np.random.Generator, like: Tensor) -> Tensor:
        """Draw the factors of an array of devices.

        Args:
            shape: (planes, n, m).
            rng: device-to-device draws.
            like: gives dtype and device.
        """
        s2 = math.log1p(self.cv**2)
        return torch.exp(normal(rng, shape, like).mul_(math.sqrt(s2)).sub_(0.5 * s2))
