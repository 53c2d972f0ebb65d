"""Volatile devices: a stored value leaks away at a rate of its own, per second of chip time."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import model_validator
from torch import Tensor

from neuroanp.devices.protocol import Span
from neuroanp.profiles.arrhenius import slowed, whole
from neuroanp.profiles.laws import Law
from neuroanp.units import Conductance, Energy, PositiveTime, Temperature


class Leak(Law):
    """Let conductance relax exponentially to where a device rests.

        G(t) = rest + (G_0 - rest) e^{-t/tau},  tau(T) = tau e^{E_a/k_B (1/T - 1/T_ref)}

    The state itself relaxes (`settles`): two waits in a row are one wait of their sum, and a write
    starts from what has been left. All devices share one tau; no spread is modelled, for what a
    drift law draws belongs to a write and not to a device.

    Args:
        tau: time constant at the reference temperature, seconds.
        rest: conductance without charge, siemens.
        activation_energy: E_a of an Arrhenius law, joules ("0.6 eV" will do), or None: tau is fixed.
        reference_temperature: T_ref at which tau holds, kelvin; goes with the activation energy.

    >>> law = Leak(tau="10 ms", rest="5 uS")
    >>> g, none = torch.tensor([15e-6], dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    >>> aged = law.conductance(g, none, torch.tensor([10e-3], dtype=torch.float64), g, Span(0.0, 25e-6))
    >>> round(1e6 * float(aged), 4)
    8.6788
    """

    covers: ClassVar[None] = None
    settles: ClassVar[bool] = True
    last_s: ClassVar[None] = None
    start: ClassVar[None] = None
    tau: PositiveTime
    rest: Conductance
    activation_energy: Energy | None = None
    reference_temperature: Temperature | None = None

    @model_validator(mode="after")
    def _arrhenius_is_whole(self) -> Leak:
        whole(self.activation_energy, self.reference_temperature)
        return self

    def at_temperature(self, temperature: float) -> Leak:
        """Return the law at another temperature, kelvin; itself where none is stated to matter.

        Raises: ValueError if it is not above 0 K, or if tau leaves the range of floats.
        """
        tau = slowed(self.tau, self.activation_energy, self.reference_temperature, temperature, "tau")
        return self if tau is None else self.model_copy(update={"tau": tau, "reference_temperature": temperature})

    def draw(self, g_target: Tensor, g_max: float, xi: Tensor) -> Tensor:
        """Return zeros: nothing about a leak is drawn at a write."""
        return torch.zeros_like(xi)

    def conductance(self, g: Tensor, nu: Tensor, age: Tensor, target: Tensor, span: Span) -> Tensor:
        """Return the conductance after a wait of `age` seconds (float64), siemens."""
        kept = torch.exp(age / -self.tau).to(g.dtype)
        return torch.lerp(torch.full_like(g, self.rest), g, kept)
