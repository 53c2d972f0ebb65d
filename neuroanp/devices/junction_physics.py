"""What two states over a barrier do under a voltage: dwell times, occupancy, read-out, of one junction or of many.

The equations and their sources are those of `neuroanp.devices.junction.Junction`, which states the numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from neuroanp.devices import telegraph
from neuroanp.units import format_quantity

HIGHEST_BARRIER = 75.0
"""Delta beyond which a junction is a memory: with tau0 = 1 ns it keeps its state for 1e16 years."""
BISECTIONS = 60
"""Halvings that end within the last bit of a double."""


class States(NamedTuple):
    """A quantity of a junction in its two states."""

    parallel: Any
    antiparallel: Any


@dataclass(frozen=True)
class Physics:
    """Numbers of a junction, or tensors with one for each of many; see `Junction` for the equations.

    Args:
        tau0: seconds. v50, critical_voltage: volts. barrier: Delta at `ambient`, kelvin. exponent: m.
        heating: R_th, K/W, 0: none. bias: volts, or None: back-action. r_p, r_load: ohm. tmr: a fraction.
        v_half: volts, or None: the resistance does not depend on the voltage. v_dd: volts.

    >>> one = Physics(tau0=1e-9, v50=0.1, barrier=4.0, critical_voltage=0.2, exponent=1, ambient=300.0, heating=0.0,
    ...               bias=0.1, r_p=1e4, tmr=1.0, v_half=None, r_load=1e4, v_dd=0.2)
    >>> one.occupancy(), round(1e9 * one.correlation_time(), 1)
    (0.5, 27.3)
    """

    tau0: float
    v50: Any
    barrier: Any
    critical_voltage: float
    exponent: int
    ambient: float
    heating: float
    bias: float | None
    r_p: Any
    tmr: Any
    v_half: float | None
    r_load: float
    v_dd: float

    def with_junctions(self, v50: Any, barrier: Any, r_p: Any, tmr: Any) -> Physics:
        """Return the same with these numbers of junctions."""
        return replace(self, v50=v50, barrier=barrier, r_p=r_p, tmr=tmr)

    def voltages(self, v: Any = None) -> States:
        """Return the voltage over the junction in each state, volts; v: see `Junction.voltages`."""
        if self.bias is not None:
            v = self.bias if v is None else v
            return States(v, v)
        v = self.v_dd if v is None else v
        return States(*(v * r / (self.r_load + r) for r in self.divided(v)))

    def temperatures(self, v: Any = None) -> States:
        """Return the temperature of the junction in each state, kelvin: T_amb + R_th V^2/R."""
        v_p, v_ap = self.voltages(v)
        if self.bias is not None:
            g_p = g_ap = 0.5 * (1.0 / self.r_p + 1.0 / (self.r_p * (1.0 + self.tmr_at(v_ap))))
        else:
            g_p, g_ap = (1.0 / r for r in self.divided(self.v_dd if v is None else v))
        return States(self.ambient + self.heating * v_p * v_p * g_p, self.ambient + self.heating * v_ap * v_ap * g_ap)

    def dwells(self, v: Any = None) -> States:
        """Return tau_P and tau_AP, seconds.

        Raises: ValueError where |u| >= 1, or where a dwell is too long for the arithmetic.
        """
        ends = [
            self._dwell(side, volts, kelvin)
            for side, volts, kelvin in zip((-1.0, 1.0), self.voltages(v), self.temperatures(v), strict=True)
        ]
        return States(*ends)

    def _dwell(self, side: float, volts: Any, kelvin: Any) -> Any:
        u = (volts - self.v50) / self.critical_voltage
        if not bool(abs(u).max() < 1 if isinstance(u, Tensor) else abs(u) < 1):
            shown = [format_quantity(_at_worst(x, u), "V", 4) for x in (volts, self.v50, self.critical_voltage)]
            raise ValueError(
                f"{shown[0]} over the junction leaves no barrier: |V - V50| must stay below V_c "
                f"(V50 {shown[1]}, V_c {shown[2]}); drive it less or check v50 and the slope"
            )
        exponent = self.barrier * self.ambient / kelvin * (1.0 + side * u) ** self.exponent
        longest = float(exponent.max() if isinstance(exponent, Tensor) else exponent)
        if longest > 4.0 * HIGHEST_BARRIER:  # what the highest barrier reaches under the largest bias, for m = 2
            raise ValueError(f"a dwell of tau0 e^{longest:.0f}: the junction never switches; warm it up or lower Delta")
        return self.tau0 * (torch.exp(exponent) if isinstance(exponent, Tensor) else math.exp(exponent))

    def occupancy(self, v: Any = None) -> Any:
        """Return p = P(AP) under a drive v, a number or a tensor."""
        tau_p, tau_ap = self.dwells(v)
        return telegraph.occupancy(tau_ap, tau_p)

    def correlation_time(self, v: Any = None) -> Any:
        """Return tau_c under a drive v, seconds."""
        tau_p, tau_ap = self.dwells(v)
        return telegraph.correlation_time(tau_ap, tau_p)

    def tmr_at(self, volts: Any) -> Any:
        """Return TMR/(1 + V^2/V_h^2) at a voltage over the junction."""
        return self.tmr if self.v_half is None else self.tmr / (1.0 + (volts / self.v_half) ** 2)

    @property
    def resistances(self) -> States:
        """R_P and R_AP in the divider, ohm."""
        return self.divided(self.v_dd)

    def divided(self, v: Any) -> States:
        """Return R_P and R_AP where the divider's supply is v.

        V = v R_AP(V)/(R_L + R_AP(V)) has one solution between 0 and v, as R_AP falls with |V|: by bisection.
        """
        if self.v_half is None:
            return States(self.r_p, self.r_p * (1.0 + self.tmr))
        low = 0.0 * v + 0.0 * self.r_p
        high = low + 1.0
        for _ in range(BISECTIONS):
            share = 0.5 * (low + high)
            r = self.r_p * (1.0 + self.tmr_at(share * v))
            above = share > r / (self.r_load + r)
            if isinstance(above, Tensor):
                low, high = torch.where(above, low, share), torch.where(above, share, high)
            else:
                low, high = (low, share) if above else (share, high)
        return States(self.r_p, self.r_p * (1.0 + self.tmr_at(0.5 * (low + high) * v)))

    @property
    def static_power(self) -> Any:
        """Watts that the divider burns on average; see `Junction.static_power`."""
        p, (r_p, r_ap) = self.occupancy(), self.resistances
        return self.v_dd**2 * ((1.0 - p) / (self.r_load + r_p) + p / (self.r_load + r_ap))

    @property
    def swing(self) -> Any:
        """D = V_out(P) - V_out(AP) of the divider, volts."""
        out_p, out_ap = (self.v_dd * self.r_load / (self.r_load + r) for r in self.resistances)
        return out_p - out_ap


def _at_worst(x: Any, u: Any) -> float:
    """Return a quantity of the junction whose |u| is largest."""
    if not isinstance(x, Tensor):
        return float(x)
    return float(x.expand_as(u).flatten()[u.abs().argmax()])
