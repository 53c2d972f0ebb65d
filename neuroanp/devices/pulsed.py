"""What all devices share that pulses step up and down: their spread, trains of pulses, write-and-verify.

A law adds one thing: the fraction of a step that remains where the device is. Equations as in
Gokmen and Vlasov, Acceleration of deep neural network training with resistive cross-point devices,
Front. Neurosci. 10:333 (2016), with the extensions of aihwkit's pulsed devices.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import model_validator
from torch import Tensor

from neuroanp.devices.draws import normal, whole_pulses
from neuroanp.devices.protocol import Pulsed, Span
from neuroanp.devices.verifying import verify
from neuroanp.profiles.laws import Law, Pulses
from neuroanp.units import NonNegative, Number, Positive
from neuroanp.yaml_io import at

SMALLEST_BOUND = 1e-6
"""Spread can bring a device's bound to zero; steps may divide by the bound."""

_DEVICE = ("up", "down", "w_max", "w_min")
"""What a step needs to know of a device beside its state."""


class PulsedLaw(Law):
    """Step a device up or down; what differs between laws is the fraction f+-(w) of a step that remains at w.

        up    w += s+ n+(w),   down  w -= s- n-(w),   then clip to [w_min, w_max]
        n(w) = f(w) (1 + c2c xi) multiplicative, or f(w) + c2c xi additive
        s+- = dw |gd + beta+- +- rho|,  gd = 1 + dw_d2d xi or exp(dw_d2d xi),  rho = up_down_d2d xi
        visible v = w + write_noise dw xi, xi redrawn when pulsed;  G = G_middle + (v - ref) (g_max - g_min) / 2

    Device units: w in [w_min, w_max], about [-1, 1]. Until its first pulse a device may lie beyond
    its bounds: where it is held by decree, or where an error of the reference beyond a narrow bound
    has put its zero.

    Args:
        dw: step at f = 1; dw_d2d: its spread from device to device.
        up_down: how much smaller down steps are (b > 0; beta- = -b) or up steps (b < 0; beta+ = b).
        up_down_d2d: spread of that asymmetry.
        bound_up, bound_down: w_max and -w_min; bound_up_d2d, bound_down_d2d: their relative spread.
        c2c: spread of each step, in steps.
        write_noise: spread of the visible weight, in steps; it does not accumulate.
        reference_sd: error of the subtracted reference device, in device units.
        tolerance: write-verify accepts |v - target| up to this, in device units.
        max_pulses: write-verify gives up after so many; one in-situ update sends at most so many.
        pulses: how a change becomes whole pulses: stochastic (None: this) or deterministic rounding.
            Stochastic outer-product trains are no choice: they are made of the two vectors of an
            update, of which a device is told only the product.

    >>> class ConstantStep(PulsedLaw):
    ...     lognormal = additive = balanced = property(lambda self: False)
    ...     def coefficients(self, rises, w_max, w_min):
    ...         return ()
    ...     def remaining(self, w):
    ...         return torch.ones_like(w)
    >>> law = ConstantStep(dw=0.1, bound_up=1.0, bound_down=1.0, tolerance=0.1, max_pulses=9, pulses="deterministic")
    >>> rng, g = np.random.default_rng(0), torch.full((1, 1, 2), 15e-6)
    >>> cells = {"g": g, **law.sample((1, 1, 2), rng, frozenset(), g)}
    >>> done = law.pulse(cells, torch.tensor([[[3e-6, -2e-6]]]), Span(5e-6, 25e-6), rng, frozenset())
    >>> done.pulses.tolist(), [round(w, 4) for w in done.cells["w"].flatten().tolist()]
    ([[[3, 2]]], [0.3, -0.2])
    """

    one_sided: ClassVar[bool] = False
    reach: ClassVar[None] = None
    driven_by: ClassVar[Literal["voltage", "current"]] = "voltage"
    fraction: ClassVar[Literal["bound", "linear", "exponential"] | None] = None
    """Which of the compiled forms `remaining` is (`kernels.verify_loops.KINDS`); None: one of its own."""
    dw: Positive
    bound_up: Positive
    bound_down: Positive
    tolerance: Positive
    max_pulses: Pulses
    dw_d2d: NonNegative = 0.0
    up_down: Number = 0.0
    up_down_d2d: NonNegative = 0.0
    bound_up_d2d: NonNegative = 0.0
    bound_down_d2d: NonNegative = 0.0
    c2c: NonNegative = 0.0
    write_noise: NonNegative = 0.0
    reference_sd: NonNegative = 0.0
    pulses: Literal["stochastic", "deterministic"] | None = None

    @property
    @abstractmethod
    def lognormal(self) -> bool:
        """Whether the steps of devices spread lognormally (median dw), or normally (mean dw)."""

    @property
    @abstractmethod
    def additive(self) -> bool:
        """Whether a step's noise keeps its size where the step shrinks."""

    @property
    @abstractmethod
    def balanced(self) -> bool:
        """Whether the subtracted reference stands at the device's symmetry point, or at w = 0."""

    @abstractmethod
    def coefficients(self, rises: Tensor, w_max: Tensor, w_min: Tensor) -> tuple[Tensor, ...]:
        """Return what `remaining` needs to know of each device for pulses in one direction.

        Args:
            rises: whether a device is pulsed up, any shape, bool.
            w_max, w_min: bounds of the devices.
        """

    @abstractmethod
    def remaining(self, w: Tensor, *coefficients: Tensor) -> Tensor:
        """Return the fraction f+(w) or f-(w) of a step that remains at w, as a new tensor.

        Args:
            w: state, any shape, device units.
            coefficients: of the same devices.
        """

    @model_validator(mode="after")
    def _possible(self) -> PulsedLaw:
        width = self.bound_up + self.bound_down
        if self.dw >= width:
            raise at(("dw",), f"a step of {self.dw:g} leaps the whole range of {width:g}; lower dw or widen the bounds")
        if abs(self.up_down) >= 1.0:
            side = "down" if self.up_down > 0 else "up"
            raise at(("up_down",), f"{self.up_down:g} turns the {side} step round; give a number between -1 and 1")
        if self.tolerance >= width:
            text = f"{self.tolerance:g} accepts the whole range of {width:g}: nothing would be written; lower it"
            raise at(("tolerance",), text)
        return self

    def sample(
        self, shape: tuple[int, ...], rng: np.random.Generator, effects: frozenset[str], like: Tensor
    ) -> dict[str, Tensor]:
        """Draw the devices: up and down (steps), w_max, w_min, ref and the state w, all in device units.

        Args:
            shape: (1, n, m).
            rng: device-to-device draws, the same whatever effects are on.
            effects: without `d2d` all devices are alike.
            like: gives dtype and torch device.
        """
        spread = 1.0 if "d2d" in effects else 0.0
        xi = [spread * normal(rng, shape, like) for _ in range(5)]
        gain = torch.exp(self.dw_d2d * xi[0]) if self.lognormal else 1.0 + self.dw_d2d * xi[0]
        rho = self.up_down_d2d * xi[1]
        up = self.dw * (gain + min(self.up_down, 0.0) + rho).abs_()
        down = self.dw * (gain - max(self.up_down, 0.0) - rho).abs_()
        w_max = self.bound_up * (1.0 + self.bound_up_d2d * xi[2]).abs_().clamp_min_(SMALLEST_BOUND)
        w_min = -self.bound_down * (1.0 + self.bound_down_d2d * xi[3]).abs_().clamp_min_(SMALLEST_BOUND)
        zero = self.symmetry_point(up, down, w_max, w_min) if self.balanced else torch.zeros_like(up)
        ref = zero + self.reference_sd * xi[4]
        return {"up": up, "down": down, "w_max": w_max, "w_min": w_min, "ref": ref, "w": ref.clone()}

    def symmetry_point(self, up: Tensor, down: Tensor, w_max: Tensor, w_min: Tensor) -> Tensor:
        """Return where an up and a down pulse cancel on average: s+ f+(w) = s- f-(w).

        Where they do nowhere within the bounds, the bound that pulses in turn drive the device to.
        Found by halving the interval until it is no wider than the dtype resolves.

        Args:
            up, down: steps of the devices at f = 1.
            w_max, w_min: their bounds.
        """
        low, high = w_min, w_max
        rises = torch.ones_like(up, dtype=torch.bool)
        above, below = self.coefficients(rises, w_max, w_min), self.coefficients(~rises, w_max, w_min)
        for _ in range(2 + round(-np.log2(torch.finfo(up.dtype).eps))):
            middle = 0.5 * (low + high)
            climbs = up * self.remaining(middle, *above) > down * self.remaining(middle, *below)
            low, high = torch.where(climbs, middle, low), torch.where(climbs, high, middle)
        return 0.5 * (low + high)

    def step(
        self, w: Tensor, direction: Tensor, up: Tensor, down: Tensor, w_max: Tensor, w_min: Tensor, xi: Tensor
    ) -> Tensor:
        """Return w after one pulse.

        Args:
            w: state, any shape, device units.
            direction: > 0 steps up, < 0 down.
            up, down: steps of the devices at f = 1.
            w_max, w_min: bounds of the devices.
            xi: standard normals of the cycle-to-cycle noise.

        Returns: the new state, of the shape that all of them broadcast to.
        """
        w, direction, up, down, w_max, w_min, xi = torch.broadcast_tensors(w, direction, up, down, w_max, w_min, xi)
        return self._advance(w, self._facing(direction > 0, up, down, w_max, w_min), xi)

    def hold(self, cells: Mapping[str, Tensor], g: Tensor, span: Span) -> dict[str, Tensor]:
        """Return the state of devices whose visible conductance is g, (1, n, m) siemens, without write noise."""
        return {"g": g, "w": _visible(g, cells["ref"], span)}

    def weakened(self, cells: Mapping[str, Tensor], share: Tensor) -> Mapping[str, Tensor]:
        """Return devices whose pulses make a share of their steps, noise included; their reference stays."""
        return {**cells, "up": cells["up"] * share, "down": cells["down"] * share}

    def pulse(
        self, cells: Mapping[str, Tensor], dg: Tensor, span: Span, rng: np.random.Generator, effects: frozenset[str]
    ) -> Pulsed:
        """Send the pulses that should change each device by dg, up or down, counted in steps of dw.

        Args:
            cells: the devices, (1, n, m) each.
            dg: siemens, (1, n, m).
            span: range of conductance.
            rng: rounding, cycle-to-cycle and write noise, in this order.
            effects: `c2c`, `write_noise`.

        Returns: g and w, and the pulses of each device.
        """
        wanted = dg * (2.0 / span.width)
        pulses = whole_pulses(wanted.abs(), self.dw, self.max_pulses, rng, self.pulses or "stochastic")
        at = pulses.flatten().nonzero().squeeze(1)
        part = {k: cells[k].flatten()[at] for k in ("w", *_DEVICE, "ref")}
        count = pulses.flatten()[at]
        w = self._train(part, wanted.flatten()[at], count, rng, effects)
        seen = w + self._noise(w, rng, effects)
        return _put_back(cells, at, w, seen - part["ref"], count, span, None)

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
            cells: the devices, (1, n, m) each; those of `stuck`, if there is one, are pulsed without effect.
            g_target: siemens, (1, n, m).
            mask: cells to write.
            span: range of conductance.
            rng: cycle-to-cycle and write noise.
            effects: `programming_error`, `c2c`, `write_noise`.

        Returns: g and w, pulses, and where the loop ended outside the tolerance.
        """
        if "programming_error" in effects:
            return self._verified(cells, g_target, mask, span, int(rng.integers(0, 1 << 64, dtype=np.uint64)), effects)
        at = mask.flatten().nonzero().squeeze(1)
        part = {k: cells[k].flatten()[at] for k in ("g", "w", *_DEVICE, "ref")}
        target = _visible(g_target.flatten()[at], part["ref"], span)
        w = torch.minimum(torch.maximum(target, part["w_min"]), part["w_max"])
        seen = w + self._noise(w, rng, effects)
        return _put_back(cells, at, w, seen - part["ref"], torch.ones_like(at, dtype=torch.int32), span, w != target)

    def _verified(
        self, cells: Mapping[str, Tensor], g_target: Tensor, mask: Tensor, span: Span, key: int, effects: frozenset[str]
    ) -> Pulsed:
        """Write and verify with draws of a key; the arguments are those of `program`."""
        g, ref = cells["g"], cells["ref"]
        seen, target = _visible(g, ref, span), _visible(g_target.to(g), ref, span)
        off = ((seen - target).abs_() > self.tolerance).logical_and_(mask)
        moves = off if "stuck" not in cells else off & ~cells["stuck"]
        w, seen, pulses = verify(self, {k: cells[k] for k in ("w", *_DEVICE)}, moves, seen, target, key, effects)
        if moves is not off:
            pulses = pulses.masked_fill_(off & cells["stuck"], self.max_pulses)
        after = (seen - ref).mul_(span.width / 2.0).add_(span.middle)
        missed = ((seen - target).abs_() > self.tolerance).logical_and_(mask)
        return Pulsed({"g": torch.where(moves, after, g), "w": w}, pulses, missed)

    def _facing(self, rises: Tensor, up: Tensor, down: Tensor, w_max: Tensor, w_min: Tensor) -> tuple[Tensor, ...]:
        """Return what steps up or down need to know of the devices: bounds, signed step, coefficients of f."""
        return (w_min, w_max, torch.where(rises, up, -down), *self.coefficients(rises, w_max, w_min))

    def _advance(self, w: Tensor, facing: Sequence[Tensor], xi: Tensor) -> Tensor:
        """Return w after one pulse to each device: the innermost loop, so in place wherever a tensor is its own."""
        w_min, w_max, size, *coefficients = facing
        fraction, noise = self.remaining(w, *coefficients), self.c2c * xi
        moved = noise.add_(fraction) if self.additive else noise.add_(1.0).mul_(fraction)
        moved.mul_(size).add_(w)
        torch.maximum(moved, w_min, out=moved)
        return torch.minimum(moved, w_max, out=moved)

    def _train(
        self,
        part: Mapping[str, Tensor],
        direction: Tensor,
        count: Tensor,
        rng: np.random.Generator,
        effects: frozenset[str],
    ) -> Tensor:
        """Return w of devices after a train of `count` >= 1 pulses each; those that have theirs drop out."""
        w, final = part["w"], part["w"].clone()
        facing = self._facing(direction > 0, *(part[k] for k in _DEVICE))
        left, sent = torch.arange(len(w), device=w.device), 0
        for stop in count.unique().tolist():
            for _ in range(stop - sent):
                w = self._advance(w, facing, self._xi(w, rng, effects))
            done, goes_on = (count == stop).nonzero().squeeze(1), (count > stop).nonzero().squeeze(1)
            final[left[done]] = w[done]
            left, w, count, *facing = (v.index_select(0, goes_on) for v in (left, w, count, *facing))
            sent = stop
        return final

    @staticmethod
    def _xi(w: Tensor, rng: np.random.Generator, effects: frozenset[str]) -> Tensor:
        """Return the normals of one pulse to each device, drawn even where they are switched off."""
        xi = normal(rng, tuple(w.shape), w)
        return xi if "c2c" in effects else xi.zero_()

    def _noise(self, w: Tensor, rng: np.random.Generator, effects: frozenset[str]) -> Tensor:
        """Return the write noise of just pulsed devices, drawn where the law has any, even if switched off."""
        if not self.write_noise:
            return torch.zeros_like(w)
        xi = normal(rng, tuple(w.shape), w)
        return self.write_noise * self.dw * xi if "write_noise" in effects else torch.zeros_like(w)


def _visible(g: Tensor, ref: Tensor, span: Span) -> Tensor:
    return (g - span.middle) * (2.0 / span.width) + ref


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
