"""Filamentary RRAM arrays under pulses: soft bounds, write noise and a subtracted reference.

Source: Gong, Rasch et al., Deep learning acceleration in 14 nm CMOS compatible ReRAM array: device,
material and algorithm co-optimization, IEDM 2022, in aihwkit's fit (SoftBoundsReferenceDevice).
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from neuroanp.devices.pulsed import PulsedLaw


class SoftBounds(PulsedLaw):
    """Step a device up or down; steps shrink to nothing at its own bounds.

        up    w += s+ (1 - w / w_max + c2c xi),   down  w -= s- (1 - w / w_min + c2c xi),  then clip
        s+- = dw |gd + beta+- +- rho|,  gd = exp(dw_d2d xi),  rho = up_down_d2d xi
        ref = symmetry point + reference_sd xi,  symmetry point = (s+ - s-) / (s+ / w_max + s- / |w_min|)

    Parameters, trains of pulses and write-and-verify are those of PulsedLaw; dw_d2d is the spread
    of the step's logarithm (median dw), and what is read is the device minus its reference.

    >>> law = SoftBounds(dw=0.0949, bound_up=1.0, bound_down=1.0, tolerance=0.05, max_pulses=20)
    >>> w, one = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    >>> for _ in range(2):
    ...     w = law.step(w, one, 0.0949 * one, 0.0949 * one, one, -one, 0 * one)
    >>> round(w.item(), 8)
    0.18079399
    """

    fraction: ClassVar[Literal["bound", "linear", "exponential"] | None] = "bound"

    @property
    def lognormal(self) -> bool:
        """True: a lognormal gain fits the measured arrays."""
        return True

    @property
    def additive(self) -> bool:
        """True: pulses still scatter a device that stands at its bound."""
        return True

    @property
    def balanced(self) -> bool:
        """True: the reference device is tuned to the symmetry point."""
        return True

    def coefficients(self, rises: Tensor, w_max: Tensor, w_min: Tensor) -> tuple[Tensor]:
        """Return the bound ahead; see PulsedLaw."""
        return (torch.where(rises, w_max, w_min),)

    def remaining(self, w: Tensor, bound: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return 1 - w / bound."""
        return 1.0 - w / bound

    def symmetry_point(self, up: Tensor, down: Tensor, w_max: Tensor, w_min: Tensor) -> Tensor:
        """Return (s+ - s-) / (s+ / w_max + s- / |w_min|): where the steps of the devices cancel."""
        balance = up / w_max - down / w_min
        return (up - down) / balance.clamp_min_(torch.finfo(up.dtype).tiny)
