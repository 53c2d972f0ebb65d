"""SONOS flash (charge trapping, 40 nm): write error, its growth with time, and read noise.

Measured as currents at one fixed read voltage; conductance is G = I / v_read, which holds at that
voltage only: such an array takes binary or pulse-width inputs.

Source: Agrawal et al., Subthreshold operation of SONOS analog memory to enable accurate low-power
neural network inference, IEDM 2022, 21.7.1-21.7.4: spread (fig. 10a) and mean (fig. 10b) of the currents of
128,000 cells up to five days after the write, read noise (fig. 11b); the functions and numbers are CrossSim's fits.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import model_validator
from torch import Tensor

from neuroanp.devices.protocol import Span
from neuroanp.devices.relaxation import check_stages, relaxed, total_sigma
from neuroanp.profiles.laws import Law, Pulses
from neuroanp.units import Conductance, Number, PositiveCurrent, PositiveTime, PositiveVoltage
from neuroanp.yaml_io import Section, at

NANO = 1e-9


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


class MeanShift(Section):
    """State how far the mean current of all cells of a target has moved, as a polynomial of the target's current.

        shift = sum_k c_k (I / nA)^k nA,  k = 0 .. 10, for I up to i_max; beyond, that of i_max

    Args:
        i_max: current up to which the polynomial holds, amperes.
        c0 .. c10: the polynomial.

    >>> shift = MeanShift(i_max="1 uA", **{f"c{k}": 0.0 for k in range(11)} | {"c0": 1.0, "c1": -0.01})
    >>> [round(1e9 * x, 3) for x in shift.current(torch.tensor([0.0, 500e-9, 2e-6])).tolist()]
    [1.0, -4.0, -9.0]
    """

    i_max: PositiveCurrent
    c0: Number
    c1: Number
    c2: Number
    c3: Number
    c4: Number
    c5: Number
    c6: Number
    c7: Number
    c8: Number
    c9: Number
    c10: Number

    def current(self, i_target: Tensor) -> Tensor:
        """Return the shift for currents of targets, both in amperes."""
        nA = i_target.double().clamp(0.0, self.i_max) / NANO  # terms of 1e5 nA cancel
        found = torch.full_like(nA, self.c10)
        for c in (self.c9, self.c8, self.c7, self.c6, self.c5, self.c4, self.c3, self.c2, self.c1, self.c0):
            found = found.mul_(nA).add_(c)
        return found.mul_(NANO).to(i_target.dtype)


class SaturatingError(Section):
    """State the error at one time as a current that saturates with the cell's own.

        sigma = A (1 - e^{-I/B}) / v_read,  I = G_target v_read

    Args:
        time: seconds after the write.
        a: error of large currents A, amperes.
        b: current at which it has reached 63 %, B, amperes.
        v_read: voltage the currents were read at, volts.
        moved: how far the mean has moved from the target, or None: not at all.
    """

    time: PositiveTime
    a: PositiveCurrent
    b: PositiveCurrent
    v_read: PositiveVoltage
    moved: MeanShift | None = None

    def shift(self, g_target: Tensor) -> Tensor | None:
        """Return how far the mean has moved from the target, siemens; None: not at all."""
        return None if self.moved is None else self.moved.current(g_target * self.v_read) / self.v_read

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
    """Let cells move from what was written, as means and total errors at up to six times say.

        G(t) = max(0, G_p + shift(t) + sqrt(sigma(t)^2 - sigma(t_0)^2) nu),  nu a standard normal a write

    The same mechanism as WanRelaxation: see `relaxation.relaxed`.

    Args:
        start: the error that the programming law leaves.
        stage_1, stage_2, stage_3, stage_4: means and total errors at later times, in their order, or None.
        end: those at the last time.
    """

    settles: ClassVar[bool] = False
    at_temperature: ClassVar[None] = None
    start: SaturatingError
    stage_1: SaturatingError | None = None
    stage_2: SaturatingError | None = None
    stage_3: SaturatingError | None = None
    stage_4: SaturatingError | None = None
    end: SaturatingError

    @model_validator(mode="after")
    def _order(self) -> SonosRelaxation:
        check_stages(self._stages)
        if self.start.moved is not None:
            raise at(("start", "moved"), "just after the write the mean is at the target; leave it out")
        return self

    @property
    def _stages(self) -> dict[str, SaturatingError]:
        between = {"stage_1": self.stage_1, "stage_2": self.stage_2, "stage_3": self.stage_3, "stage_4": self.stage_4}
        return {"start": self.start, **{name: at for name, at in between.items() if at is not None}, "end": self.end}

    @property
    def last_s(self) -> float:
        """The last time that is tabulated, seconds after the write."""
        return self.end.time

    @property
    def covers(self) -> tuple[float, float] | None:
        """The range of targets that the means are for, siemens; None: no means are stated."""
        ends = [each.moved.i_max / each.v_read for each in self._stages.values() if each.moved is not None]
        return (0.0, min(ends)) if ends else None

    def draw(self, g_target: Tensor, g_max: float, xi: Tensor) -> Tensor:
        """Return the standard normals of one write: they scale what comes after it."""
        return xi

    def sigma(self, g_target: Tensor, g_max: float, age: Tensor) -> Tensor:
        """Return the standard deviation of the TOTAL error `age` seconds after the write, siemens."""
        return total_sigma((*self._stages.values(),), g_target, g_max, age)

    def conductance(self, g: Tensor, nu: Tensor, age: Tensor, target: Tensor, span: Span) -> Tensor:
        """Return the conductance `age` seconds (float64) after the write, siemens."""
        return relaxed((*self._stages.values(),), g, nu, age, target, span.g_max)


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
