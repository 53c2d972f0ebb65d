"""Read noise that grows as a power of the conductance.

Source: an example. Replace this line by your measurement: where, when, on how many devices.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from neuroanp.profiles import Law
from neuroanp.units import Conductance, Positive, PositiveConductance


class PowerRead(Law):
    """Read through white noise whose size is a power of the conductance: new at every read, none of it frozen.

        sigma = a (G / G_ref)^b

    Args:
        a: standard deviation of a read at G_ref, siemens.
        b: exponent; 0.5 is that of counting statistics, 1 that of a fixed fraction.
        g_ref: conductance G_ref at which `a` was measured, siemens.

    >>> law = PowerRead(a="0.3 uS", b=0.5, g_ref="10 uS")
    >>> g = torch.tensor([0.0, 10e-6, 40e-6])
    >>> fresh, frozen = law.split(g, g, 50e-6, torch.tensor(1.0), 1e-3)
    >>> [round(1e6 * sigma, 2) for sigma in fresh.tolist()], frozen.tolist()
    ([0.0, 0.3, 0.6], [0.0, 0.0, 0.0])
    """

    t_read: ClassVar[None] = None  # how long a read lasts, and at how many volts: this law does not know
    v_read: ClassVar[None] = None
    process: ClassVar[None] = None  # no memory

    a: Conductance
    b: Positive
    g_ref: PositiveConductance

    def split(
        self, g_programmed: Tensor, g_now: Tensor, g_max: float, age: Tensor, window: float
    ) -> tuple[Tensor, Tensor]:
        """Return standard deviations of the fresh and the frozen noise, siemens.

        Args:
            g_programmed: conductance just after the write, siemens; this law does not ask for it.
            g_now: conductance at the read, siemens.
            g_max: full scale, siemens; not asked for.
            age: seconds since the write; not asked for.
            window: seconds the passes of one update take; not asked for.
        """
        fresh = self.a * (g_now.clamp_min(0.0) / self.g_ref).pow(self.b)
        return fresh, torch.zeros_like(fresh)
