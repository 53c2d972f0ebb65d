"""Devices whose steps change exponentially with their state, such as single filamentary RRAM cells.

Source: Gong et al., Signal and noise extraction from analog memory elements for neuromorphic
computing, Nat. Commun. 9:2102 (2018), in aihwkit's fit (ExpStepDevice).
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from pydantic import model_validator
from torch import Tensor

from neuroanp.devices.pulsed import PulsedLaw
from neuroanp.units import NonNegative, Number
from neuroanp.yaml_io import at

_LARGEST_EXPONENT = 80.0
"""Beyond it the exponential leaves the range of float32."""


class ExponentialStep(PulsedLaw):
    """Step a device up or down; steps change exponentially along the range.

        f+(w) = max(0, 1 - A_up e^{gamma_up z}),   f-(w) = max(0, 1 - A_down e^{-gamma_down z})
        z = 2 a w / (w_max - w_min) + b;   up  w += s+ f+ (1 + c2c xi),  down  w -= s- f- (1 + c2c xi),  then clip

    w_max and w_min are the device's own bounds. At w = 0 a step is s f(0), not dw: the pulses of an
    update are counted in dw all the same. Other parameters, trains of pulses and write-and-verify:
    PulsedLaw.

    Args:
        A_up, A_down: sizes of the exponentials; negative ones make steps larger than s.
        gamma_up, gamma_down: how steep they are.
        a, b: slope and offset of z.
        dw_distribution: of the step from device to device: normal (mean dw) or lognormal (median dw).
        reference: what is subtracted from a device: zero (nothing) or its symmetry_point.

    >>> law = ExponentialStep(dw=0.00135, up_down=0.259359, bound_up=1.0, bound_down=1.0, A_up=-1.18445,
    ...     A_down=-0.081404, gamma_up=5.0, gamma_down=5.0, a=-0.5, b=-0.5, tolerance=0.05, max_pulses=2000)
    >>> w, *bounds = torch.tensor([[0.0] * 2, [1.0] * 2, [-1.0] * 2])
    >>> rise, fall = law.remaining(w, *law.coefficients(torch.tensor([True, False]), *bounds))
    >>> round(rise.item(), 5), round(fall.item(), 5)
    (1.09723, 1.9917)
    """

    fraction: ClassVar[Literal["bound", "linear", "exponential"] | None] = "exponential"
    A_up: Number
    A_down: Number
    gamma_up: NonNegative
    gamma_down: NonNegative
    a: Number
    b: Number
    dw_distribution: Literal["normal", "lognormal"] = "normal"
    reference: Literal["zero", "symmetry_point"] = "zero"

    @model_validator(mode="after")
    def _moves(self) -> ExponentialStep:
        largest = 2.0 * abs(self.a) + abs(self.b)  # |w| is at most w_max - w_min
        for side, gamma, amplitude, sign in (
            ("up", self.gamma_up, self.A_up, 1.0),
            ("down", self.gamma_down, self.A_down, -1.0),
        ):
            if gamma * largest > _LARGEST_EXPONENT:
                text = f"{gamma:g}: the exponent reaches {gamma * largest:.3g}; keep it within {_LARGEST_EXPONENT:g}"
                raise at((f"gamma_{side}",), text)
            if 1.0 - amplitude * math.exp(sign * gamma * self.b) <= 0.0:
                text = f"{amplitude:g}: at w = 0 no {side} step is left (A e^(gamma z) is 1 or more); lower it"
                raise at((f"A_{side}",), text)
        return self

    @property
    def lognormal(self) -> bool:
        """As dw_distribution says."""
        return self.dw_distribution == "lognormal"

    @property
    def additive(self) -> bool:
        """False: the noise scales with the step."""
        return False

    @property
    def balanced(self) -> bool:
        """As reference says."""
        return self.reference == "symmetry_point"

    def coefficients(self, rises: Tensor, w_max: Tensor, w_min: Tensor) -> tuple[Tensor, Tensor]:
        """Return A e^{+-gamma b} and +-gamma 2 a / (w_max - w_min), so that f = 1 - first e^{second w}."""
        gamma, amplitude = w_max.new_tensor([[self.gamma_up, -self.gamma_down], [self.A_up, self.A_down]])
        gamma = torch.where(rises, *gamma)
        return torch.where(rises, *amplitude) * torch.exp(gamma * self.b), gamma * (2.0 * self.a) / (w_max - w_min)

    def remaining(self, w: Tensor, amplitude: Tensor, rate: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return max(0, 1 - amplitude e^{rate w})."""
        return (1.0 - amplitude * torch.exp(rate * w)).clamp_min_(0.0)
