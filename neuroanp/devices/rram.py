"""Filamentary RRAM arrays under pulses: soft bounds, write noise and a subtracted reference.

Source: Gong, Rasch et al., Deep learning acceleration in 14 nm CMOS compatible ReRAM array: device,
material and algorithm co-optimization, IEDM 2022, in aihwkit's fit (SoftBoundsReferenceDevice).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from pydantic import PositiveInt
from torch import Tensor

from neuroanp.devices.draws import normal, whole_pulses
from neuroanp.devices.protocol import Pulsed, Span
from neuroanp.profiles.laws import Law
from neuroanp.units import NonNegative, Number, Positive

SMALLEST_BOUND = 1e-6
"""Spread can bring a device's bound to zero; its step divides by the bound."""


class SoftBounds(Law):
    """Step a device up or down; steps shrink to nothing at its own bounds.

        up    w += s+ (1 - w / w_max + c2c xi),   down  w -= s- (1 - w / w_min + c2c xi),  then clip
        s+- = dw (gd + beta+- +- rho),  gd = exp(dw_d2d xi),  rho = up_down_d2d xi
        visible v = w + write_noise dw xi, xi redrawn when pulsed;  G = G_middle + (v - ref) (g_max - g_min) / 2
        ref = symmetry point + reference_sd xi,  symmetry point = (s+ - s-) / (s+ / w_max + s- / |w_min|)

    Device units: w in [w_min, w_max], about [-1, 1].

    Args:
        dw: step at w = 0; dw_d2d: its spread from device to device (of the logarithm: median dw).
        up_down: how much smaller down steps are (b > 0; beta- = -b) or up steps (b < 0; beta+ = b).
        up_down_d2d: spread of that asymmetry.
        bound_up, bound_down: w_max and -w_min; bound_up_d2d, bound_down_d2d: their relative spread.
        c2c: spread of each step, in steps.
        write_noise: spread of the visible weight, in steps; it does not accumulate.
        reference_sd: error of the subtracted reference device, in device units.
        tolerance: write-verify accepts |v - target| up to this, in device units.
        max_pulses: write-verify gives up after so many; one in-situ update sends at most so many.

    >>> law = SoftBounds(dw=0.0949, bound_up=1.0, bound_down=1.0, tolerance=0.05, max_pulses=20)
    >>> w, one = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    >>> for _ in range(2):
    ...     w = law.step(w, one, 0.0949 * one, 0.0949 * one, one, -one, 0 * one)
    >>> round(w.item(), 8)
    0.18079399
    """

    dw: Positive
    bound_up: Positive
    bound_down: Positive
    tolerance: Positive
    max_pulses: PositiveInt
    dw_d2d: NonNegative = 0.0
    up_down: Number = 0.0
    up_down_d2d: NonNegative = 0.0
    bound_up_d2d: NonNegative = 0.0
    bound_down_d2d: NonNegative = 0.0
    c2c: NonNegative = 0.0
    write_noise: NonNegative = 0.0
    reference_sd: NonNegative = 0.0

    def sample(self, shape: tuple[int, ...], rng: np.random.Generator, effects: frozenset[str], like: Tensor):
        """Draw the devices: up and down (steps), w_max, w_min, ref and the state w, all in device units."""
        spread = 1.0 if "d2d" in effects else 0.0
        xi = [spread * normal(rng, shape, like) for _ in range(5)]
        gain, rho = torch.exp(self.dw_d2d * xi[0]), self.up_down_d2d * xi[1]
        up = self.dw * (gain + min(self.up_down, 0.0) + rho).abs_()
        down = self.dw * (gain - max(self.up_down, 0.0) - rho).abs_()
        w_max = self.bound_up * (1.0 + self.bound_up_d2d * xi[2]).abs_().clamp_min_(SMALLEST_BOUND)
        w_min = -self.bound_down * (1.0 + self.bound_down_d2d * xi[3]).abs_().clamp_min_(SMALLEST_BOUND)
        balance = up / w_max - down / w_min
        ref = (up - down) / balance.clamp_min_(torch.finfo(like.dtype).tiny) + self.reference_sd * xi[4]
        return {"up": up, "down": down, "w_max": w_max, "w_min": w_min, "ref": ref, "w": ref.clone()}

    def step(
        self, w: Tensor, direction: Tensor, up: Tensor, down: Tensor, w_max: Tensor, w_min: Tensor, xi: Tensor
    ) -> Tensor:
        """Return w after one pulse.

        Args:
            w: state, any shape, device units.
            direction: > 0 steps up, < 0 down.
            up, down: steps of the devices at w = 0.
            w_max, w_min: bounds of the devices.
            xi: standard normals of the cycle-to-cycle noise.
        """
        rise = up * (1.0 - w / w_max + self.c2c * xi)
        fall = down * (1.0 - w / w_min + self.c2c * xi)
        moved = torch.where(direction > 0, w + rise, w - fall)
        return torch.minimum(torch.maximum(moved, w_min), w_max)

    def hold(self, cells: Mapping[str, Tensor], g: Tensor, span: Span) -> dict[str, Tensor]:
        """Return the state of devices whose visible conductance is g, (1, n, m) siemens."""
        return {"g": g, "w": self._visible(g, cells["ref"], span)}

    def program(
        self,
        cells: Mapping[str, Tensor],
        g_target: Tensor,
        mask: Tensor,
        span: Span,
        rng: np.random.Generator,
        effects: frozenset[str],
    ) -> Pulsed:
        """Write and verify: pulse towards the target until the visible weight is within the tolerance.

        Without the effect `programming_error` a device lands on its target, or on the bound that is in the way.

        Args:
            cells: the devices, (1, n, m) each.
            g_target: siemens, (1, n, m).
            mask: cells to write.
            span: range of conductance.
            rng: cycle-to-cycle and write noise.
            effects: `programming_error`, `c2c`, `write_noise`.

        Returns: g and w, pulses, and where the loop ended outside the tolerance.
        """
        at = mask.flatten().nonzero().squeeze(1)
        part = {k: v.flatten()[at] for k, v in cells.items() if k in ("g", "w", "up", "down", "w_max", "w_min", "ref")}
        target = self._visible(g_target.flatten()[at], part["ref"], span)
        seen = self._visible(part["g"], part["ref"], span)
        if "programming_error" in effects:
            stuck = cells["stuck"].flatten()[at] if "stuck" in cells else torch.zeros_like(at, dtype=torch.bool)
            pulses = self._verify(part, seen, target, stuck, rng, effects)
            missed = (seen - target).abs() > self.tolerance
        else:
            part["w"] = torch.minimum(torch.maximum(target, part["w_min"]), part["w_max"])
            seen = part["w"] + self._noise(part["w"], rng, effects)
            pulses = torch.ones_like(at, dtype=torch.int32)
            missed = part["w"] != target
        return self._put_back(cells, at, part["w"], seen - part["ref"], pulses, span, missed)

    def pulse(
        self, cells: Mapping[str, Tensor], dg: Tensor, span: Span, rng: np.random.Generator, effects: frozenset[str]
    ) -> Pulsed:
        """Send the pulses that should change each device by dg, (1, n, m) siemens, up or down."""
        wanted = dg * (2.0 / span.width)
        pulses = whole_pulses(wanted.abs(), self.dw, self.max_pulses, rng)
        at = pulses.flatten().nonzero().squeeze(1)
        part = {k: cells[k].flatten()[at] for k in ("w", "up", "down", "w_max", "w_min", "ref")}
        count, direction = pulses.flatten()[at], wanted.flatten()[at]
        for sent in range(int(count.max()) if len(at) else 0):
            active = (count > sent).nonzero().squeeze(1)
            self._send(part, active, direction[active], rng, effects)
        seen = part["w"] + self._noise(part["w"], rng, effects)
        return self._put_back(cells, at, part["w"], seen - part["ref"], count, span, None)

    def _verify(
        self,
        part: dict[str, Tensor],
        seen: Tensor,
        target: Tensor,
        stuck: Tensor,
        rng: np.random.Generator,
        effects: frozenset[str],
    ) -> Tensor:
        """Run the loop in place on the written devices; return their pulses."""
        pulses = torch.zeros(seen.shape, dtype=torch.int32, device=seen.device)
        for _ in range(self.max_pulses):
            active = ((seen - target).abs() > self.tolerance).nonzero().squeeze(1)
            if not len(active):
                break
            pulses[active] += 1
            active = active[~stuck[active]]  # a stuck device is pulsed all the same, without effect
            self._send(part, active, target[active] - seen[active], rng, effects)
            seen[active] = part["w"][active] + self._noise(part["w"][active], rng, effects)
        return pulses

    def _send(
        self,
        part: dict[str, Tensor],
        active: Tensor,
        direction: Tensor,
        rng: np.random.Generator,
        effects: frozenset[str],
    ) -> None:
        """Send one pulse to the devices `active`, in place."""
        w, up, down, w_max, w_min = (part[k][active] for k in ("w", "up", "down", "w_max", "w_min"))
        xi = normal(rng, tuple(w.shape), w) if "c2c" in effects else torch.zeros_like(w)
        part["w"][active] = self.step(w, direction, up, down, w_max, w_min, xi)

    def _noise(self, w: Tensor, rng: np.random.Generator, effects: frozenset[str]) -> Tensor:
        if "write_noise" not in effects or not self.write_noise:
            return torch.zeros_like(w)
        return self.write_noise * self.dw * normal(rng, tuple(w.shape), w)

    @staticmethod
    def _visible(g: Tensor, ref: Tensor, span: Span) -> Tensor:
        return (g - span.middle) * (2.0 / span.width) + ref

    @staticmethod
    def _put_back(
        cells: Mapping[str, Tensor],
        at: Tensor,
        w: Tensor,
        above_ref: Tensor,
        pulses: Tensor,
        span: Span,
        missed: Tensor | None,
    ) -> Pulsed:
        """Scatter the written devices into copies of the whole array; untouched ones keep every bit."""
        shape = cells["g"].shape
        new_w, new_g = cells["w"].flatten().clone(), cells["g"].flatten().clone()
        sent = torch.zeros(new_g.shape, dtype=torch.int32, device=new_g.device)
        sent[at] = pulses
        touched = pulses > 0
        new_w[at[touched]] = w[touched]
        new_g[at[touched]] = span.middle + above_ref[touched] * (span.width / 2.0)
        gave_up = None
        if missed is not None:
            gave_up = torch.zeros(new_g.shape, dtype=torch.bool, device=new_g.device)
            gave_up[at] = missed
            gave_up = gave_up.view(shape)
        return Pulsed({"g": new_g.view(shape), "w": new_w.view(shape)}, sent.view(shape), gave_up)
