"""SONOS flash (charge trapping, 40 nm): write error, its growth with time, and read noise.

Measured as currents at one fixed read voltage; conductance is G = I / v_read, which holds at that
voltage only: such an array takes binary or pulse-width inputs.

Source: Agrawal et al., Subthreshold operation of SONOS analog memory to enable accurate low-power
neural network inference, IEDM 2022, 21.7.1-21.7.4. The shift of the mean with time, which the paper
shows beside the spread, is not modelled here.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import model_validator
from torch import Tensor

from neuroanp.devices.protocol import Span
from neuroanp.devices.relaxation import check_stages, relaxed, total_sigma
from neuroanp.profiles.laws import Law, Pulses
from neuroanp.units import Conductance, PositiveCurrent, PositiveTime, PositiveVoltage
from neuroanp.yaml_io import Section


def saturating(g: Tensor, a: float, b: float, v_read: float) -> Tensor:
    """Return sigma_I / v_read with sigma_I = A (1 - e^{-I/B}) and I = G v_read.

    Args:
        g: conductance >= 0, siemens.
        a, b: A and B, amperes.
        v_read: volts.

    >>> float(saturating(torch.tensor(16e-6), 19.887e-9, 176.31e-9, 0.1)) * 0.1e9
    19.884...
    """
    return torch.expm1(g.clamp_min(0.0) * (-v_read / b)).mul_(-a / v_read)


class SaturatingError(Section):
    """State the error at one time as a current that saturates with the cell's own.

        sigma = A (1 - e^{-I/B}) / v_read,  I = G_target v_read

    Args:
        time: seconds after the write.
        a: error of large currents A, amperes.
        b: current at which it has reached 63 %, B, amperes.
        v_read: voltage the currents were read at, volts.
    """

    time: PositiveTime
    a: PositiveCurrent
    b: PositiveCurrent
    v_read: PositiveVoltage

    def sigma(self, g_target: Tensor, g_max: float) -> Tensor:
        """Return the standard deviation of the total error, siemens; it does not depend on g_max."""
        return saturating(g_target, self.a, self.b, self.v_read)

    def within(self, later: SaturatingError) -> bool:
        """Return whether the error is at most that of a later time for every target.

        The difference starts at 0 and turns at most once: its first slope and its limit decide.
        """
        a, b = later.a / later.v_read, later.b / later.v_read
        mine, scale = self.a / self.v_read, self.b / self.v_read
        return a >= mine and a / b >= mine / scale


class SonosProgramming(Law):
    """Leave the frozen error of a write to flash.

        G_p = max(0, G_target + sigma xi),  sigma = A (1 - e^{-I/B}) / v_read

    Args:
        error: the error just after the write.
        pulses: erase, program and verify pulses one write stands for in the ledger.
        deadband: a cell is rewritten only when its target moved by more than this, siemens.

    >>> law = SonosProgramming(error=SaturatingError(time="1 s", a="19.887 nA", b="176.31 nA", v_read="0.1 V"))
    >>> [round(s, 4) for s in (1e6 * law.sigma(torch.tensor([0.0, 1e-6, 16e-6]), 16e-6)).tolist()]
    [0.0, 0.0861, 0.1988]
    """

    exact: ClassVar[bool] = False
    g_low: ClassVar[None] = None
    error: SaturatingError
    pulses: Pulses = 1
    deadband: Conductance = 0.0

    def sigma(self, g_target: Tensor, g_max: float) -> Tensor:
        """Return the standard deviation of the error before clipping at 0 S, siemens."""
        return self.error.sigma(g_target, g_max)

    def write(self, g_target: Tensor, g_max: float, xi: Tensor) -> Tensor:
        """Return the programmed conductance for standard normals xi, siemens."""
        return (g_target + self.sigma(g_target, g_max) * xi).clamp_min_(0.0)


class SonosRelaxation(Law):
    """Let the error of a write grow with time, as total errors at two times say.

        G(t) = max(0, G_p + sqrt(sigma(t)^2 - sigma(t_0)^2) nu),  nu a standard normal a write

    The same mechanism as WanRelaxation: see `relaxation.relaxed`.

    Args:
        start: the error that the programming law leaves.
        end: the total error at a later time.
    """

    settles: ClassVar[bool] = False
    at_temperature: ClassVar[None] = None
    start: SaturatingError
    end: SaturatingError

    @model_validator(mode="after")
    def _order(self) -> SonosRelaxation:
        check_stages({"start": self.start, "end": self.end})
        return self

    @property
    def last_s(self) -> float:
        """The last time that is tabulated, seconds after the write."""
        return self.end.time

    def draw(self, g_target: Tensor, g_max: float, xi: Tensor) -> Tensor:
        """Return the standard normals of one write: they scale what comes after it."""
        return xi

    def sigma(self, g_target: Tensor, g_max: float, age: Tensor) -> Tensor:
        """Return the standard deviation of the TOTAL error `age` seconds after the write, siemens."""
        return total_sigma((self.start, self.end), g_target, g_max, age)

    def conductance(self, g: Tensor, nu: Tensor, age: Tensor, target: Tensor, span: Span) -> Tensor:
        """Return the conductance `age` seconds (float64) after the write, siemens."""
        return relaxed((self.start, self.end), g, nu, age, target, span.g_max)


class SonosRead(Law):
    """Read through noise that is new at every read.

        sigma = A (1 - e^{-I/B}) / v_read,  I = G(t) v_read

    Args:
        a, b: A and B, amperes.
        v_read: voltage of the reads, volts.
    """

    t_read: ClassVar[None] = None
    process: ClassVar[None] = None
    a: PositiveCurrent
    b: PositiveCurrent
    v_read: PositiveVoltage

    def split(
        self, g_programmed: Tensor, g_now: Tensor, g_max: float, age: Tensor, window: float
    ) -> tuple[Tensor, Tensor]:
        """Return standard deviations of the fresh and the frozen noise, siemens; nothing is frozen."""
        fresh = saturating(g_now, self.a, self.b, self.v_read)
        return fresh, torch.zeros_like(fresh)
