"""Magnetic tunnel junctions that keep their state, written by spin-transfer torque: two levels, and a pulse of chance.

Source: Koch, Katine and Sun, Time-resolved reversal of spin-transfer switching in a nanomagnet, Phys. Rev. Lett. 92,
088302 (2004), and Li and Zhang, Phys. Rev. B 69, 134416 (2004), for the thermally activated regime; Vincent et al.,
Spin-transfer torque magnetic memory as a stochastic memristive synapse for neuromorphic systems, IEEE Trans. Biomed.
Circuits Syst. 9, 166 (2015), for synapses of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import model_validator
from torch import Tensor

from neuroanp.devices.draws import normal, uniform, whole_pulses
from neuroanp.devices.protocol import Pulsed, Span
from neuroanp.profiles.laws import Law, Pulses
from neuroanp.units import Fraction, Positive, PositiveCurrent, PositiveTime, format_quantity
from neuroanp.yaml_io import at

APART = 0.25
"""A device is in a state where it conducts what that does, to this share of the range: a disturb is no switch."""


class SttMram(Law):
    """Switch a device between g_min and g_max by pulses that do it with a probability.

        P(N pulses) = 1 - e^{-N t / tau},  tau = tau_0 e^{Delta (1 - I/I_c0)},  0 < I < I_c0, t > tau_0

    up pulses set a device to g_max (parallel), down pulses to g_min (antiparallel); one that is there already stays.
    The law is of thermally activated switching: at I_c0 and above magnets precess, and short pulses are ballistic,
    which is refused. Devices differ by lognormal factors of mean 1 of I_c0 and Delta; one whose I_c0 falls below I
    switches as at its I_c0, with tau_0.

    A controller that wants a change dg sends |dg| / (P (g_max - g_min)) pulses, P the mean of both ways: of devices in
    the other state the mean change is dg where that is small. A verified write sends pulses, one after the other, until
    the device is in the state that is nearer to the target. In place weights need `coding: offset`: of a pair pulses in
    place are rises only, and both devices would end at g_max. An ideal write puts a device on any conductance.

    Args:
        tau0: attempt time, seconds. delta: Delta.
        duration: t of a pulse, seconds.
        current_up, current_down: I of a pulse either way, amperes. i_c0_up, i_c0_down: I_c0, amperes.
        max_pulses: write-verify gives up after so many; one in-situ update sends at most so many.
        delta_cv, i_c0_cv: spread from device to device, a fraction (one factor for both ways).
        pulses: how a change becomes whole pulses: stochastic (None: this) or deterministic rounding.

    >>> law = SttMram(tau0="1 ns", delta=60.0, duration="10 ns", current_up="38 uA", current_down="57 uA",
    ...               i_c0_up="40 uA", i_c0_down="60 uA", max_pulses=20)
    >>> [round(p, 4) for p in law.probabilities]
    [0.3922, 0.3922]
    """

    one_sided: ClassVar[bool] = False
    write_noise: ClassVar[float] = 0.0
    reach: ClassVar[None] = None
    hold: ClassVar[None] = None
    driven_by: ClassVar[Literal["voltage", "current"]] = "current"
    tau0: PositiveTime
    delta: Positive
    duration: PositiveTime
    current_up: PositiveCurrent
    current_down: PositiveCurrent
    i_c0_up: PositiveCurrent
    i_c0_down: PositiveCurrent
    max_pulses: Pulses
    delta_cv: Fraction = 0.0
    i_c0_cv: Fraction = 0.0
    pulses: Literal["stochastic", "deterministic"] | None = None

    @model_validator(mode="after")
    def _thermally_activated(self) -> SttMram:
        for way, current, critical in (
            ("up", self.current_up, self.i_c0_up), ("down", self.current_down, self.i_c0_down),
        ):  # fmt: skip
            if current >= critical:
                shown = [format_quantity(i, "A") for i in (current, critical)]
                text = f"'{shown[0]}' is not below i_c0_{way}, '{shown[1]}': the law is of thermal activation"
                raise at((f"current_{way}",), f"{text}; lower the current")
        if self.duration <= self.tau0:
            shown = [format_quantity(t, "s") for t in (self.duration, self.tau0)]
            text = f"'{shown[0]}' is not longer than tau0, '{shown[1]}': such a pulse is over before chance decides"
            raise at(("duration",), f"{text}; use longer ones")
        if not min(self.probabilities) > 0:
            raise at(("delta",), f"pulses never switch over {self.delta:g} k_B T at these currents; raise the currents")
        return self

    def rate(self, rises: Tensor, delta: Tensor, i_c0: Tensor) -> Tensor:
        """Return t/tau of one pulse, -ln(1 - P), of devices.

        Args: rises: whether it is an up pulse. delta: Delta of each. i_c0: factor of each on I_c0.
        """
        share = torch.where(rises, self.current_up / self.i_c0_up, self.current_down / self.i_c0_down) / i_c0
        return self.duration / self.tau0 * torch.exp(-delta * (1.0 - share).clamp_min(0.0))

    @property
    def probabilities(self) -> tuple[float, float]:
        """P of one pulse up and one down, of the device at the mean."""
        shares = self.current_up / self.i_c0_up, self.current_down / self.i_c0_down
        up, down = (-math.expm1(-self.duration / self.tau0 * math.exp(-self.delta * (1.0 - s))) for s in shares)
        return up, down

    def nominal(self, span: Span) -> float:
        """Return the mean change by a pulse that a controller counts with, siemens."""
        return span.width * sum(self.probabilities) / 2.0

    def sample(
        self, shape: tuple[int, ...], rng: np.random.Generator, effects: frozenset[str], like: Tensor
    ) -> dict[str, Tensor]:
        """Draw Delta and the factor on I_c0 of each device; without `d2d` all are alike."""
        drawn = {}
        for name, mean, cv in (("delta", self.delta, self.delta_cv), ("i_c0", 1.0, self.i_c0_cv)):
            xi, s2 = normal(rng, shape, like), math.log1p(cv * cv) if "d2d" in effects else 0.0
            drawn[name] = mean * torch.exp(math.sqrt(s2) * xi - 0.5 * s2)
        return drawn

    def weakened(self, cells: Mapping[str, Tensor], share: Tensor) -> Mapping[str, Tensor]:
        """Return devices through which a share of I flows: as many times as far from their I_c0."""
        return {**cells, "i_c0": cells["i_c0"] / share.clamp_min(torch.finfo(share.dtype).tiny)}

    def pulse(
        self, cells: Mapping[str, Tensor], dg: Tensor, span: Span, rng: np.random.Generator, effects: frozenset[str]
    ) -> Pulsed:
        """Send the pulses that should change each device by dg, up or down.

        Args:
            cells: g (siemens), delta and i_c0 of the devices.
            dg: siemens, of their shape.
            span: range of conductance, of the two states.
            rng: rounding, then a uniform a device.
            effects: without `c2c` a device switches where P of its pulses is a half or more.

        Returns: new g and the pulses of each device.
        """
        rises = dg > 0
        sent = whole_pulses(dg.abs(), self.nominal(span), self.max_pulses, rng, self.pulses or "stochastic")
        u = self._chances(rng, dg, effects)
        exposure = self.rate(rises, cells["delta"], cells["i_c0"]) * sent
        switches = (u < -torch.expm1(-exposure)) & (sent > 0)
        return Pulsed({"g": torch.where(switches, _of_states(rises, span, dg), _before(rises, cells["g"], span))}, sent)

    def program(
        self, cells: Mapping[str, Tensor], g_target: Tensor, mask: Tensor, span: Span, rng: np.random.Generator,
        effects: frozenset[str],
    ) -> Pulsed:  # fmt: skip
        """Write and verify: pulse until the device is in the state nearer to the target.

        The number of pulses is geometric. Without the effect `programming_error` one pulse always does it.

        Args:
            cells: g, delta and i_c0; those of `stuck`, if there is one, are pulsed without effect.
            g_target: siemens. mask: cells to write. span: of the two states.
            rng: a uniform a device. effects: `programming_error`, `c2c`.

        Returns: g, pulses, and where max_pulses did not do.
        """
        rises = g_target > span.middle
        wanted = _of_states(rises, span, cells["g"])
        off = ((cells["g"] - wanted).abs() > APART * span.width) & mask
        u = self._chances(rng, cells["g"], effects)
        rate = self.rate(rises, cells["delta"], cells["i_c0"])
        # P(N <= n) = 1 - e^{-n rate}: the first n at which that passes u
        needed = torch.ceil(-torch.log1p(-u) / rate).clamp(1.0, self.max_pulses + 1.0)
        needed = needed if "programming_error" in effects else torch.ones_like(needed)
        moves = off if "stuck" not in cells else off & ~cells["stuck"]
        done = moves & (needed <= self.max_pulses)
        sent = needed.clamp_max(self.max_pulses).masked_fill(off & ~moves, self.max_pulses)
        pulses = torch.where(off, sent, 0.0).to(torch.int32)
        return Pulsed({"g": torch.where(done, wanted, _before(rises, cells["g"], span))}, pulses, off & ~done)

    @staticmethod
    def _chances(rng: np.random.Generator, like: Tensor, effects: frozenset[str]) -> Tensor:
        """Draw a uniform a device, even where chance is switched off."""
        u = uniform(rng, tuple(like.shape), like)
        return u if "c2c" in effects else torch.full_like(u, 0.5)


def _before(rises: Tensor, g: Tensor, span: Span) -> Tensor:
    """Return what devices conduct that did not switch: one halfway, which is new, is in the state pulses lead from."""
    new = (g - span.middle).abs() < APART * span.width
    return torch.where(new, _of_states(~rises, span, g), g)


def _of_states(high: Tensor, span: Span, like: Tensor) -> Tensor:
    """Return what devices conduct in the one state or the other, siemens."""
    return torch.where(high, like.new_tensor(span.g_max), like.new_tensor(span.g_min))
