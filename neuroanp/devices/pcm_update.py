"""Phase-change memory under single SET pulses: one-sided steps, reset and refresh of a pair.

Source: Nandakumar et al., Mixed-precision deep learning based on computational memory, Front.
Neurosci. 14:406 (2020), in the fit of aihwkit's PCM preset (exponential step with its complex
noise); refresh as in aihwkit's one-sided unit cell.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import model_validator
from torch import Tensor

from neuroanp.devices.draws import normal, whole_pulses
from neuroanp.devices.protocol import Pulsed, Span
from neuroanp.profiles.laws import Law, Pulses
from neuroanp.units import Fraction, NonNegative, Positive
from neuroanp.yaml_io import at


class PcmUpdate(Law):
    """Raise a device by SET pulses; a negative change of the weight raises the other device of the pair.

        dw(w) = dw (1 + boost exp(-decay w)),  noise of a pulse: sd = noise (|dw(w)| + noise_add + noise_slope w)

    The law is of one amplitude: how far a SET pulse crystallises rises with its current and falls again where that
    melts, so that it says nothing of a pulse that lines weaken (`array.wires.writes: resistive` is refused).

    w in [0, w_max] maps onto [g_min, g_max]. A pair is refreshed (both devices reset to `reset`,
    the difference written back to one of them by a counted, unverified train) when its larger
    device exceeds refresh_upper w_max and its smaller one refresh_lower w_max: only then does the
    refresh gain room. One reset pulse a device is counted.

    Args:
        dw, boost, decay: the mean step in device units.
        noise, noise_add, noise_slope: its cycle-to-cycle spread.
        w_max: device units of g_max.
        reset, reset_sd: where a reset leaves a device, in device units.
        refresh_upper, refresh_lower: when a pair is refreshed, fractions of w_max.
        dw_d2d, w_max_d2d: device-to-device spread of step and upper bound, fractions.
        max_pulses: most pulses one update or one write-back sends to a device.

    >>> law = PcmUpdate(dw=0.01, boost=27.235, decay=2.5, noise=0.6, noise_add=0.042, noise_slope=0.108,
    ...                 w_max=2.0, reset=0.01, reset_sd=0.02, refresh_upper=0.75, refresh_lower=0.25)
    >>> [round(x, 4) for x in law.step(torch.tensor([0.0, 1.0, 2.0])).tolist()]
    [0.2824, 0.0324, 0.0118]
    >>> round(law.nominal, 4)
    0.0426
    """

    one_sided: ClassVar[bool] = True
    reach: ClassVar[None] = None
    write_noise: ClassVar[float] = 0.0
    program: ClassVar[None] = None
    hold: ClassVar[None] = None
    driven_by: ClassVar[Literal["voltage", "current"]] = "current"
    weakened: ClassVar[None] = None
    dw: Positive
    boost: NonNegative
    decay: NonNegative
    noise: NonNegative
    noise_add: NonNegative
    noise_slope: NonNegative
    w_max: Positive
    reset: NonNegative
    reset_sd: NonNegative
    refresh_upper: Fraction
    refresh_lower: Fraction
    dw_d2d: NonNegative = 0.0
    w_max_d2d: NonNegative = 0.0
    max_pulses: Pulses = 100

    @model_validator(mode="after")
    def _refresh_gains_room(self) -> PcmUpdate:
        top = self.refresh_upper * self.w_max
        if self.reset >= top:
            text = f"{self.reset:g} is not below refresh_upper w_max, {top:g}: a refresh would gain no room; lower it"
            raise at(("reset",), text)
        return self

    def step(self, w: Tensor) -> Tensor:
        """Return the mean step of a pulse at w, both in device units."""
        return self.dw * (1.0 + self.boost * torch.exp(-self.decay * w))

    @property
    def nominal(self) -> float:
        """The step a controller counts with: the mean one between reset and the refresh threshold."""
        curve = self._curve()
        top = self.refresh_upper * self.w_max
        used = sum(1 for w in curve if w < top)
        return (top - self.reset) / max(used, 1)

    def _curve(self) -> list[float]:
        """Return mean w after 0, 1, 2, ... pulses from reset, at most `max_pulses` of them."""
        curve = [self.reset]
        while curve[-1] < self.w_max and len(curve) <= self.max_pulses:
            curve.append(curve[-1] + self.dw * (1.0 + self.boost * math.exp(-self.decay * curve[-1])))
        return curve

    def sample(self, shape: tuple[int, ...], rng: np.random.Generator, effects: frozenset[str], like: Tensor):
        """Draw what differs from device to device: relative step `gain` and bound `top` (device units)."""
        spread = 1.0 if "d2d" in effects else 0.0
        gain = (1.0 + spread * self.dw_d2d * normal(rng, shape, like)).clamp_min_(0.0)
        top = self.w_max * (1.0 + spread * self.w_max_d2d * normal(rng, shape, like)).clamp_min_(0.0)
        return {"gain": gain, "top": top}

    def pulse(
        self,
        cells: Mapping[str, Tensor],
        dg: Tensor,
        span: Span,
        rng: np.random.Generator,
        effects: frozenset[str],
    ) -> Pulsed:
        """Send the pulses that should raise each device by dg.

        Args:
            cells: g (2, n, m) siemens, gain and top (2, n, m).
            dg: wanted rise, (2, n, m) siemens; what is negative is left alone.
            span: range of conductance.
            rng: cycle-to-cycle noise and rounding.
            effects: `c2c` adds the noise of a pulse and of a reset.

        Returns: new g and the pulses of each device.
        """
        unit = self.w_max / span.width
        w = ((cells["g"] - span.g_min) * unit).flatten().clamp_(0.0)
        pulses = whole_pulses((dg * unit).flatten().clamp_min(0.0), self.nominal, self.max_pulses, rng)
        gain, top = cells["gain"].flatten(), cells["top"].flatten()
        w = self._raise(w, pulses, gain, top, rng, effects)
        w, extra = self._refresh(w, gain, top, rng, effects)
        sent = (pulses + extra).view_as(dg)
        g = torch.where(sent > 0, span.g_min + w.view_as(dg) / unit, cells["g"])
        return Pulsed({"g": g}, sent)

    def _raise(
        self, w: Tensor, pulses: Tensor, gain: Tensor, top: Tensor, rng: np.random.Generator, effects: frozenset[str]
    ) -> Tensor:
        w = w.clone()
        for sent in range(int(pulses.max()) if pulses.numel() else 0):
            active = (pulses > sent).nonzero().squeeze(1)
            before = w[active]
            rise = gain[active] * self.step(before)
            xi = normal(rng, tuple(before.shape), w)  # drawn even where it is off: what drift draws comes after it
            if "c2c" in effects:
                rise = rise + self.noise * (rise + self.noise_add + self.noise_slope * before) * xi
            w[active] = torch.minimum(before + rise, top[active]).clamp_(0.0)
        return w

    def _refresh(
        self, w: Tensor, gain: Tensor, top: Tensor, rng: np.random.Generator, effects: frozenset[str]
    ) -> tuple[Tensor, Tensor]:
        plus, minus = w.view(2, -1)
        larger, smaller = torch.maximum(plus, minus), torch.minimum(plus, minus)
        full = (larger > self.refresh_upper * self.w_max) & (smaller > self.refresh_lower * self.w_max)
        pair = full.nonzero().squeeze(1)
        extra = torch.zeros(w.shape, dtype=torch.int32, device=w.device)
        if not len(pair):
            return w, extra
        both = torch.cat([pair, pair + plus.numel()])
        difference = (plus - minus)[pair]
        wanted = torch.cat([difference, -difference]).clamp_min_(0.0)
        curve = torch.tensor(self._curve(), dtype=w.dtype, device=w.device)
        train = torch.searchsorted(curve, wanted).clamp_max_(self.max_pulses).to(torch.int32)
        spread = self.reset_sd if "c2c" in effects else 0.0
        start = (self.reset + spread * normal(rng, tuple(both.shape), w)).clamp_min_(0.0)
        w = w.clone()
        w[both] = self._raise(start, train, gain[both], top[both], rng, effects)
        extra[both] = train + 1  # the reset pulse
        return w, extra
