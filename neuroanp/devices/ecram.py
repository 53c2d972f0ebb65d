"""Near-linear devices under pulses: electrochemical RAM, capacitors, spintronic memristors.

Sources: Tang et al., ECRAM as scalable synaptic cell for high-speed, low-power neuromorphic
computing, IEDM 2018; Kim et al., Metal-oxide based, CMOS-compatible ECRAM for deep learning
accelerator, IEDM 2019; Li et al., Capacitor-based cross-point array for analog neural network with
record symmetry and linearity, VLSI 2018; all in aihwkit's fits (LinearStepDevice).
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import field_validator
from torch import Tensor

from neuroanp.devices.pulsed import PulsedLaw
from neuroanp.units import Number


class LinearStep(PulsedLaw):
    """Step a device up or down; steps shrink linearly towards the bound ahead.

        f+(w) = 1 - gamma_up w / bound_up,   f-(w) = 1 + gamma_down w / bound_down,   not below 0
        up  w += s+ n+,  down  w -= s- n-,  then clip;   n = f (1 + c2c xi) multiplicative, f + c2c xi additive

    The slope refers to the nominal bounds, as in the fits: a device whose own bound lies further
    out or in keeps the slope. Other parameters, trains of pulses and write-and-verify: PulsedLaw.

    Args:
        gamma_up, gamma_down: fraction of the up (down) step that is lost at the upper (lower) bound, 0 to 1.
        noise: how c2c enters: multiplicative, it shrinks with the step, or additive.
        dw_distribution: of the step from device to device: normal (mean dw) or lognormal (median dw).
        reference: what is subtracted from a device: zero (nothing) or its symmetry_point.

    >>> law = LinearStep(dw=0.002, bound_up=1.1724, bound_down=0.8276, gamma_up=0.1153, gamma_down=0.5085,
    ...                  noise="multiplicative", tolerance=0.01, max_pulses=2000)
    >>> up, down = torch.tensor([True, False]).unsqueeze(1)
    >>> w, *bounds = torch.tensor([[-0.8276, 0.0, 1.1724], [1.1724] * 3, [-0.8276] * 3])
    >>> for rises in (up, down):
    ...     print([round(x, 3) for x in law.remaining(w, *law.coefficients(rises, *bounds)).tolist()])
    [1.081, 1.0, 0.885]
    [0.492, 1.0, 1.72]
    """

    fraction: ClassVar[Literal["bound", "linear", "exponential"] | None] = "linear"
    gamma_up: Number
    gamma_down: Number
    noise: Literal["multiplicative", "additive"]
    dw_distribution: Literal["normal", "lognormal"] = "normal"
    reference: Literal["zero", "symmetry_point"] = "zero"

    @field_validator("gamma_up", "gamma_down")
    @classmethod
    def _step_keeps_its_sign(cls, gamma: float) -> float:
        if gamma > 1.0:
            raise ValueError(
                f"{gamma:g}: the step would change sign at {1.0 / gamma:.3g} of the bound; "
                "give the fraction of the step that is lost at the bound, 0 to 1"
            )
        if gamma < 0.0:
            raise ValueError(f"{gamma:g}: the step would grow towards the bound; give a fraction lost there, 0 to 1")
        return gamma

    @property
    def lognormal(self) -> bool:
        """As dw_distribution says."""
        return self.dw_distribution == "lognormal"

    @property
    def additive(self) -> bool:
        """As noise says."""
        return self.noise == "additive"

    @property
    def balanced(self) -> bool:
        """As reference says."""
        return self.reference == "symmetry_point"

    def coefficients(self, rises: Tensor, w_max: Tensor, w_min: Tensor) -> tuple[Tensor]:
        """Return the fraction lost a unit of w, negative downwards; the devices' own bounds do not enter."""
        rise, fall = w_max.new_tensor([self.gamma_up / self.bound_up, -self.gamma_down / self.bound_down])
        return (torch.where(rises, rise, fall),)

    def remaining(self, w: Tensor, slope: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return max(0, 1 - slope w)."""
        return (1.0 - slope * w).clamp_min_(0.0)

    def symmetry_point(self, up: Tensor, down: Tensor, w_max: Tensor, w_min: Tensor) -> Tensor:
        """Return (s+ - s-) / (s+ gamma+ / w_max + s- gamma- / |w_min|), or the bound on its way."""
        balance = up * (self.gamma_up / self.bound_up) + down * (self.gamma_down / self.bound_down)
        point = (up - down) / balance.clamp_min_(torch.finfo(up.dtype).tiny)
        return torch.minimum(torch.maximum(point, w_min), w_max)
