"""One array of devices that holds one matrix: weights to conductances and back, and what reads see.

Differential pairs:  G+- = g_min + dG max(+-W, 0) / w_s,     W = (w_s / dG) (G+ - G-)
Offset coding:       G = G_middle + dG W / (2 w_s),          W = (2 w_s / dG) (G - G_middle)

with dG = g_max - g_min. An output in weight units is y = k I, k = (w_s / dG) x_m / v_read (twice
that in offset coding, and so is the noise).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from neuroanp.devices.arriving import Arrived, steps
from neuroanp.devices.device import Device
from neuroanp.devices.disturb import exposed, of_reads
from neuroanp.devices.draws import normal
from neuroanp.devices.protocol import Cells, remembers
from neuroanp.devices.writing import undisturbed
from neuroanp.later import number
from neuroanp.substrates.pairs import paired, single_pairs
from neuroanp.substrates.periphery import (
    X_MAX,
    adc,
    amplifier_variance,
    dac,
    dac_sigma,
    driver,
    quantiser,
    sensor,
    serial_bits,
    thermal_factor,
)
from neuroanp.substrates.protocol import ReadPlan
from neuroanp.substrates.tiling import Tiling, through_wires
from neuroanp.substrates.transitions import drawn
from neuroanp.substrates.write_energy import half_selected
from neuroanp.substrates.write_lines import currents, lines_of, pulse_through

if TYPE_CHECKING:
    from neuroanp.profiles import HardwareProfile
    from neuroanp.profiles.sections import Wires
    from neuroanp.substrates.circuits import Circuits


class Crossbar:
    """One array.

    Args:
        profile: the hardware.
        device: its device, with the effects that are on.
        shape: (n, m) of the matrix: n outputs (bit lines), m inputs (word lines).
        rng: device-to-device draws.
        dtype: float32 or float64.
        where: the torch device.
        wires: how the resistance of lines is solved: "fast" (approximate) or "exact".
        pulsed: whether it will be written by pulses in place.
    """

    def __init__(
        self,
        profile: HardwareProfile,
        device: Device,
        shape: tuple[int, int],
        rng: np.random.Generator,
        dtype: torch.dtype = torch.float32,
        where: torch.device | str = "cpu",
        wires: str = "fast",
        pulsed: bool = True,
    ) -> None:
        self.profile, self.device, self.shape = profile, device, shape
        n, m = shape
        self.w_s = profile.array.weight_range * math.sqrt(2.0 / (n + m))
        self.differential = device.planes == 2
        self.slope = (1.0 if self.differential else 2.0) * self.w_s / device.span.width  # weight per siemens
        periphery = profile.periphery
        self.k = self.slope * X_MAX / periphery.v_read if periphery is not None else math.nan
        effects = device.effects
        self.dac, self.adc = dac(profile, effects), adc(profile, self.k, effects)
        self.dac_sigma, self.bits = dac_sigma(profile, effects), serial_bits(profile, effects)
        self.extra = amplifier_variance(profile, self.k, effects)
        self.thermal = thermal_factor(profile, self.k, device.temperature, effects)
        v_0 = profile.conductance.v_0 if "nonlinear_iv" in effects else None
        self.v_0 = None if v_0 is None or periphery is None else X_MAX * v_0 / periphery.v_read
        self.tiling = Tiling.of(shape, profile.array.max_rows, profile.array.max_columns)
        self.wires = profile.array.wires if "wires" in effects else None
        self.solver, self.write_lines = wires, lines_of(profile, effects, wires)
        self.cells: Cells = device.sample(shape, rng, dtype, where, pulsed)
        self.gain, self.offset = self._mismatch(rng)
        self.transitions = self._transitions(rng)

    def _mismatch(self, rng: np.random.Generator) -> tuple[Tensor | None, Tensor | None]:
        """Draw gain and offset of the ADC of each tile and output, (tiles, n); None where the profile states none."""
        figures, shape = sensor(self.profile), (len(self.tiling.widths), self.shape[0])
        gain = offset = None
        like = self.cells["g"]
        if figures is not None and figures.gain_sd is not None:
            gain = 1.0 + figures.gain_sd * normal(rng, shape, like)
        if figures is not None and figures.offset_sd is not None:
            offset = self.k * figures.offset_sd * normal(rng, shape, like)
        return (gain, offset) if "adc_mismatch" in self.device.effects else (None, None)

    def _transitions(self, rng: np.random.Generator) -> Tensor | None:
        """Draw where the codes of the ADC of each tile and output change, (tiles, n, codes - 1); None: halfway."""
        figures, shape = sensor(self.profile), (len(self.tiling.widths), self.shape[0])
        if figures is None or not (figures.dnl_sd or figures.inl_sd):
            return None
        q = quantiser(figures.bits, figures.coding, 1.0)
        found = drawn(rng, shape, q, figures.dnl_sd or 0.0, figures.inl_sd or 0.0, self.cells["g"])
        return found if self.adc is not None and "adc_nonlinearity" in self.device.effects else None

    def place(self, g_target: Tensor, now: float, rng: np.random.Generator) -> None:
        """Put the devices on conductances (planes, n, m) in siemens, without error, at chip time `now`."""
        self.cells = self.device.place(self.cells, g_target, None, now, rng)

    def program(self, g_target: Tensor, now: float, rng: np.random.Generator) -> tuple[Tensor, Tensor | None]:
        """Program and verify conductances; return pulses and given-up cells as `Device.program` does."""
        before = self.cells
        self.cells, pulses, gave_up = self.device.program(before, g_target, None, now, rng, self.arrived(now))
        self._half_select(before, pulses)
        return pulses, gave_up

    def pulse(self, dg: Tensor, now: float, rng: np.random.Generator) -> Tensor:
        """Change conductances by dg (planes, n, m) in siemens with single pulses; return the pulses of each cell."""
        before = self.cells
        self.cells, pulses = self.device.pulse(before, dg, now, rng, self.arrived(now))
        self._half_select(before, pulses)
        return pulses

    def share(self, now: float) -> Tensor | None:
        """Return v / V of a write pulse to each device, as all conduct at chip time `now`; None: it arrives in full."""
        if self.write_lines is None:
            return None
        g, silent = self.device.conductance(self.cells, now).clamp_min(0.0), self.cells.get("dead")
        g = g if silent is None else g.masked_fill(silent, 0.0)
        return pulse_through(g, self.write_lines, self.tiling).share

    def arrived(self, now: float) -> Arrived | None:
        """Return what the lines leave of a pulse at each device at chip time `now`; None: all of it."""
        share, energy = self.share(now), self.profile.energy
        if share is None or self.write_lines is None:
            return None
        assert energy is not None  # the profile has checked that there is a voltage
        assert energy.write_voltage is not None
        step = None if energy.write_v_0 is None else steps(share, energy.write_voltage, energy.write_v_0)
        return Arrived(step, currents(share, self.write_lines.v_0))

    def expose(self, load: Tensor) -> None:
        """Let devices feel reads: (V / v_read)^2 t / t_read of each word line, (m,), summed over them.

        Of devices that are not ohmic that is V I(V) over what ohmic ones take, and a read at full scale is as much.
        """
        figures = self.device.disturb
        if figures is None or not figures.read or "read_disturb" not in self.device.effects:
            return
        whole = 1.0 if self.one_level else self.drive(X_MAX) / X_MAX
        self.cells = exposed(self.cells, *of_reads(figures, load / whole))

    def _half_select(self, before: Cells, pulses: Tensor) -> None:
        """Let devices feel the pulses to others on their lines: of those that rose towards set, of others reset."""
        figures = self.device.disturb
        if figures is None or not figures.half_select or "write_disturb" not in self.device.effects:
            return
        rose = self.cells["g"] >= undisturbed(self.device, before)["g"]
        sent = pulses.to(torch.float64)
        up, down = (half_selected(torch.where(way, sent, 0.0), self.tiling) for way in (rose, ~rose))
        self.cells = exposed(self.cells, figures.half_select * up, figures.half_select * down)

    def load(self, cells: Cells) -> None:
        """Take the state of all devices from a checkpoint."""
        self.cells = cells

    def clip(self, weights: Tensor) -> tuple[Tensor, float | Tensor]:
        """Return the weights within +-w_s and how many lay beyond, which a GPU knows first."""
        clipped = weights.clamp(-self.w_s, self.w_s)
        return clipped, number(torch.count_nonzero(clipped != weights))

    def to_conductance(self, weights: Tensor) -> Tensor:
        """Return target conductances (planes, n, m) in siemens for weights (n, m) within +-w_s."""
        span = self.device.span
        if self.differential:
            return self._pair(weights).add_(span.g_min)
        # rounding must not carry the ends beyond the range, below 0 S least of all
        return (weights / self.slope).add_(span.middle).clamp_(span.g_min, span.g_max).unsqueeze(0)

    def to_change(self, change: Tensor) -> Tensor:
        """Return the conductance changes (planes, n, m) in siemens for changes of the weights (n, m)."""
        return self._pair(change) if self.differential else (change / self.slope).unsqueeze(0)

    def _pair(self, weights: Tensor) -> Tensor:
        """Return max(+-W, 0) in siemens, (2, n, m)."""
        pair = weights.new_empty((2, *weights.shape))
        torch.mul(weights, 1.0 / self.slope, out=pair[0])
        torch.neg(pair[0], out=pair[1])
        return pair.clamp_min_(0.0)

    def to_weights(self, g: Tensor) -> Tensor:
        """Return the weights (n, m) that conductances (planes, n, m) stand for."""
        if self.differential:
            return (g[0] - g[1]) * self.slope
        return (g[0] - self.device.span.middle) * self.slope

    def mean_weights(self, now: float) -> Tensor:
        """Return the weights the array holds at chip time `now`, without read noise."""
        return self.to_weights(self.device.conductance(self.cells, now))

    def prepare(
        self, now: float, window: float, xi: Callable[[], Tensor], noise: bool = True, sampled: bool = False
    ) -> ReadPlan:
        """Read the state of the array once for the passes of one update.

        Args:
            now: chip seconds at the start of the window.
            window: seconds the passes take.
            xi: draws standard normals (planes, n, m) for the frozen noise, called only if there is any.
            noise: False leaves out read noise and the amplifiers'.
            sampled: the plan is for reads that draw every device.

        Returns: the plan; sigma2 = (w_s / dG)^2 (sigma+^2 + sigma-^2).
        """
        if noise:
            g, fresh, frozen = self.device.observed(self.cells, now, window)
        else:
            g, fresh, frozen = self.device.conductance(self.cells, now), None, None
        process = age = None
        if sampled and self.has_process and fresh is not None and frozen is not None:
            process, fresh, frozen = torch.hypot(fresh, frozen), None, None
            age = self.ages(now + window)
        still = None
        if frozen is not None and (frozen.device.type != "cpu" or bool(frozen.amax() > 0)):  # to look makes a GPU wait
            still = xi()
        if (still is not None or fresh is not None) and single_pairs(g) and self.wires is None and not self.thermal:
            W, sigma2 = paired(g, frozen, still, fresh, self.slope)
            return self._plan(W, sigma2, self.extra if noise else 0.0, process, age, noise, sampled)
        if frozen is not None and still is not None:
            g = torch.addcmul(g, frozen, still)
        extra = self.extra_variance(g) if noise else 0.0
        circuits = None
        if self.wires is not None:
            circuits = None if self.v_0 is None else self._circuits(g, fresh, self.wires, self.v_0)
            g, reach = self.wired(g, self.wires)
            fresh = None if fresh is None else fresh * reach
            process = None if process is None else process * reach
        sigma2 = None if fresh is None else fresh.square().sum(0).mul_(self.slope**2)
        plan = self._plan(self.to_weights(g), sigma2, extra, process, age, noise, sampled)
        return plan if circuits is None else replace(plan, circuits=circuits, v_0=None)

    def _plan(
        self, W: Tensor, sigma2: Tensor | None, extra: float | Tensor, process: Tensor | None, age: Tensor | None,
        noise: bool, sampled: bool,
    ) -> ReadPlan:  # fmt: skip
        """Return the plan of reads of such weights; process: in siemens. The others: see `prepare` and `ReadPlan`."""
        if self.one_level and self.v_0 is not None and self.wires is None:  # all devices by the same factor
            by = self.drive(X_MAX) / X_MAX
            W, sigma2 = W * by, None if sigma2 is None else sigma2 * by**2
            process = None if process is None else process * by
        return ReadPlan(
            W=W,
            sigma2=sigma2,
            extra=extra,
            dac=self.dac,
            adc=self.adc,
            sampled=sampled,
            widths=self.tiling.widths if len(self.tiling.widths) > 1 else (),
            bits=self.bits,
            pulse_width=self.pulse_width,
            dac_sigma=self.dac_sigma if noise else 0.0,
            gain=self.gain,
            offset=self.offset,
            process=None if process is None else self._signed(process),
            age=age,
            v_0=None if self.one_level else self.v_0,
            transitions=self.transitions,
        )

    def drive(self, x: float) -> float:
        """Return what ohmic devices would have to be driven with, in units of x, to conduct what these do at x."""
        if self.v_0 is None:
            return x
        return x * self.drive(X_MAX) / X_MAX if self.one_level and x != X_MAX else self.v_0 * math.sinh(x / self.v_0)

    def steepness(self, x: float) -> float:
        """Return the slope of the devices' current at x over the one at low voltage."""
        return 1.0 if self.v_0 is None else math.cosh(x / self.v_0)

    @property
    def one_level(self) -> bool:
        """Whether word lines are at 0 V or at one voltage, whatever the input."""
        return self.pulse_width or self.bits > 0

    def _circuits(self, g: Tensor, fresh: Tensor | None, wires: Wires, v_0: float) -> Circuits:
        """Return the network of each tile; g, fresh: siemens, (planes, n, m). v_0: in units of x."""
        from neuroanp.substrates.circuits import Circuits

        if not self.differential:
            g = self._with_reference(g)
            fresh = None if fresh is None else torch.cat([fresh, torch.zeros_like(fresh)])
        return Circuits.of(g, fresh, (wires.r_word, wires.r_bit), self.tiling, v_0, self.slope)

    def bent_loss(self, g: Tensor, wires: Wires) -> float:
        """Return the share of the current of all inputs together that lines cost devices that are not ohmic.

        Args: g: siemens, (planes, n, m), 0 or more.
        """
        assert self.v_0 is not None
        both = g if self.differential else self._with_reference(g)
        total = self.drive(X_MAX) * float(both.sum())
        circuits = self._circuits(g, None, wires, self.v_0)
        found = sum(
            float(plane.currents([[X_MAX]] * plane.shape[1]).sum())
            for column in circuits.networks for tile in column for plane in tile
        )  # fmt: skip
        return 1.0 - found / total if total else 0.0  # 0 where every line is broken: there is nothing to lose

    def wired(self, g: Tensor, wires: Wires) -> tuple[Tensor, Tensor]:
        """Return what the conductances look like through the lines, and the factors of `through_wires`.

        In offset coding the reference devices, all at G_middle, are an array with the same lines: a
        weight of 0 stays 0.
        """
        if self.differential:
            return through_wires(g, wires.r_word, wires.r_bit, self.tiling, self.solver)
        both = self._with_reference(g)
        seen, reach = through_wires(both, wires.r_word, wires.r_bit, self.tiling, self.solver)
        return seen[:1] - seen[1:] + self.device.span.middle, reach[:1]

    def _with_reference(self, g: Tensor) -> Tensor:
        """Return the devices of offset coding, (1, n, m), and the reference device of each, (2, n, m) siemens.

        A device on a broken word line is G_middle to its reader, but carries no current; nor does its reference.
        """
        silent = self.cells.get("dead")
        both = torch.cat([g, torch.full_like(g, self.device.span.middle)])
        return both if silent is None else both.masked_fill(silent, 0.0)

    def ages(self, now: float) -> Tensor | None:
        """Return seconds since the write of each device, where their noise depends on that; else None."""
        law = self.device.read
        if law is None or law.process is None or law.process().of_ages is None:
            return None
        return now - self.cells["t"]

    @property
    def has_process(self) -> bool:
        """Whether the devices' read noise has a memory that can be drawn device by device."""
        return remembers(self.device.read)

    @property
    def pulse_width(self) -> bool:
        """Whether an input is the time that one voltage stays on."""
        figures = driver(self.profile)
        return figures is not None and figures.inputs == "pulse_width"

    def _signed(self, sigma: Tensor) -> Tensor:
        """Return standard deviations in siemens as weights, those of G- negative."""
        sigma = sigma * self.slope
        return torch.stack([sigma[0], -sigma[1]]) if self.differential else sigma

    def extra_variance(self, g: Tensor) -> float | Tensor:
        """Return the variance of a conversion's own noise: amplifier and, by tile and output, thermal."""
        if not self.thermal:
            return self.extra
        on_line = g.clamp_min(0.0).sum(0)
        if not self.differential:
            on_line = on_line + self.device.span.middle  # the reference device of each weight
        siemens = torch.stack([part.sum(-1) for part in on_line.split(list(self.tiling.widths), -1)])
        return self.thermal * siemens + self.extra

    def own_variance(self, now: float) -> float:
        """Return the mean variance of an output that conversions and drivers cause, for inputs of +-0.5.

        The drivers' part is W^2 dac_sigma^2, summed over the word lines: times the slope of the current there, over the
        one at low voltage, of devices that are not ohmic; where inputs are times, what a whole pulse drives is scaled.
        """
        extra = self.extra_variance(self.device.conductance(self.cells, now))
        conversions = float(extra.sum(0).mean()) if isinstance(extra, Tensor) else extra * len(self.tiling.widths)
        slope = self.drive(X_MAX) / X_MAX if self.one_level else self.steepness(0.5 * X_MAX)
        drivers = float(self.mean_weights(now).double().square().sum(1).mean()) * (slope * self.dac_sigma) ** 2
        return conversions + drivers

    def columns(self, now: float) -> Tensor:
        """Return the conductance on each word line, (m,) siemens in float64: both devices of every pair.

        In offset coding the reference device, at G_middle, counts as the second one.
        """
        g = self.device.conductance(self.cells, now).clamp_min(0.0).sum((0, 1), dtype=torch.float64)
        return g if self.differential else g + self.shape[0] * self.device.span.middle

    def count(self, pulses: Tensor) -> tuple[float | Tensor, float | Tensor]:
        """Return how many pulses there are, and how many of them follow one another in time.

        Written serially all do; written by row, the longest train of each word line.

        Args:
            pulses: pulses of each cell, (planes, n, m).
        """
        total = number(pulses.sum())
        return total, number(pulses.amax((0, 1)).sum()) if self.profile.array.write == "row" else total
