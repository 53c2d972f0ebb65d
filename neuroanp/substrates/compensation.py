"""Make up for the drift of an array's devices by one factor: global drift compensation.

    y <- alpha y,  alpha = S_0 / S(t_c),  t_c = t_w + k every <= t

S is the sum of all conversions when reference lines are driven, one after the other and each plane of a pair by
itself, with the highest code of their drivers: S(t_c) as the array stands, S_0 of the same devices just after each
was last written. The controller has S_0 as a running sum: what it reads of a device after a write replaces what it
read of it before, times the alpha in force. t_w is the last write of the array, which ends with a reading, too (that
of an ideal write is free, as the write is); k counts those since. Where all devices are as old as that write, it is
one and the same reading, and alpha is 1.
Lines with resistance are taken as they are at low voltage. One factor stands for devices of all ages: what is rewritten
on a chip that is old otherwise is read too large by it.

Source: Joshi et al., Accurate deep neural network inference using computational phase-change memory, Nat. Commun. 11,
2473 (2020), Methods: global drift compensation; Le Gallo et al., IEEE Trans. Electron Devices 65, 4304 (2018).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from neuroanp.devices.draws import normal
from neuroanp.devices.protocol import Cells
from neuroanp.noise import Streams
from neuroanp.substrates.periphery import X_MAX, driver, quantise, sensor
from neuroanp.substrates.protocol import Quantiser, ReadPlan
from neuroanp.substrates.transitions import converted

if TYPE_CHECKING:
    from neuroanp.profiles.sections import DriftCompensation, EnergyFigures, Periphery
    from neuroanp.substrates.crossbar import Crossbar

NANOSECONDS = 1e9
WRITTEN, NOW = 0, 1
"""Which of the two readings: of devices as they were written, or as they stand."""


class Spent(NamedTuple):
    """What one reading of the reference lines takes: vector reads, joules by kind of the books, seconds."""

    reads: int
    energy: Mapping[str, float]
    seconds: float


def compensation(array: Crossbar, seed: int | None) -> Compensation | None:
    """Return the compensation of an array; None where its profile has none, or it or drift is off.

    seed: see `Compensation`.
    """
    periphery = array.profile.periphery
    figures = None if periphery is None else periphery.drift_compensation
    if figures is None or array.device.drift is None or "drift_compensation" not in array.device.effects:
        return None
    return Compensation(figures, array.shape[1], seed)


class Compensation:
    """The compensation of one array.

    Args:
        figures: how often, and by how many lines. m: word lines of the array.
        seed: of the noise of the readings, each of which has its own, whoever looks when; None: it is left out.
    """

    def __init__(self, figures: DriftCompensation, m: int, seed: int | None) -> None:
        self.every, self.seed = figures.every, seed
        count = min(figures.lines or m, m)
        self.lines = torch.linspace(0, m - 1, count, dtype=torch.float64).round().long()
        self._known: tuple[Cells, float, float] | None = None

    def load(self, seed: int) -> None:
        """Take the seed of a checkpoint: readings are those of the chip that it is of."""
        self.seed, self._known = seed, None

    def factor(self, array: Crossbar, now: float) -> float:
        """Return alpha at chip time `now`; 1 where a reading shows nothing at all."""
        written = last_write(array)
        at = written + self._count(array, now) * self.every
        if at == written and bool((array.cells["t"] == written).all()):
            return 1.0
        if self._known is None or self._known[0] is not array.cells or self._known[1] != at:
            young = {**array.cells, "t": torch.full_like(array.cells["t"], at)}
            start, end = self._sum(array, young, at, WRITTEN), self._sum(array, array.cells, at, NOW)
            self._known = array.cells, at, start / end if start > 0 and end > 0 else 1.0
        return self._known[2]

    def due(self, array: Crossbar, start: float, end: float) -> int:
        """Return how many readings fall between two times of the clock."""
        return self._count(array, end) - self._count(array, start)

    def _count(self, array: Crossbar, now: float) -> int:
        """Return how many readings there were since the last write."""
        return max(0, math.floor((now - last_write(array)) / self.every))

    def _sum(self, array: Crossbar, cells: Cells, at: float, which: int) -> float:
        """Return the sum of the conversions of one reading, in units of outputs."""
        periphery = array.profile.periphery
        assert periphery is not None
        g, fresh, frozen = array.device.observed(cells, at, periphery.t_read)
        extra, reach = array.extra_variance(g), None
        if array.wires is not None:
            g, reach = array.wired(g, array.wires)
        lines = self.lines.to(g.device)
        gain = array.slope * array.drive(X_MAX if array.dac is None else array.dac.limit)
        y = gain * g[..., lines]
        if self.seed is not None:
            rng = Streams(self.seed).generator("reference", max(0, round(at * NANOSECONDS)), which)
            for part in (fresh, frozen):
                if part is not None:
                    sigma = part if reach is None else part * reach
                    y = y + gain * sigma[..., lines] * normal(rng, tuple(y.shape), g)
            if array.dac_sigma:
                of_drivers = array.slope * array.dac_sigma * array.steepness(X_MAX)
                y = y + of_drivers * g[..., lines] * normal(rng, (len(g), 1, len(lines)), g)
            y = y + self._of_conversions(array, extra, lines).sqrt() * normal(rng, tuple(y.shape), g)
        if array.gain is not None:
            y = y * self._of_conversions(array, array.gain, lines)
        if array.offset is not None:
            y = y + self._of_conversions(array, array.offset, lines)
        if array.adc is not None and array.transitions is not None:
            tiles = self._tiles(array, lines)
            parts = [(t, y[..., tiles == t]) for t in tiles.unique().tolist()]
            y = torch.cat([converted(p.mT.contiguous(), array.adc, array.transitions[t]) for t, p in parts], -2)
        elif array.adc is not None:
            y = quantise(y, array.adc)
        return float(y.sum(dtype=torch.float64))

    def _tiles(self, array: Crossbar, lines: Tensor) -> Tensor:
        """Return the tile that each line is of."""
        return torch.searchsorted(torch.tensor(array.tiling.widths, device=lines.device).cumsum(0), lines, right=True)

    def _of_conversions(self, array: Crossbar, values: float | Tensor, lines: Tensor) -> Tensor:
        """Return what is known by tile and output, (tiles, n), for the conversions of each line, (n, lines)."""
        if not isinstance(values, Tensor):
            return array.cells["g"].new_full((), values)
        return values[self._tiles(array, lines)].t()

    def spent(self, array: Crossbar, now: float, periphery: Periphery, energy: EnergyFigures | None) -> Spent:
        """Return what one reading takes at chip time `now`.

        Each line is driven once for either plane, alone: one DAC conversion, V^2 t of the devices of that plane (or
        the profile's figure for the read of a weight once a pair), an ADC conversion a bit line, and the additions.
        """
        (n, _), reads = array.shape, array.device.planes * len(self.lines)
        dac, adc = driver(array.profile), sensor(array.profile)
        if energy is not None and energy.read is not None:
            joules = energy.read * n * len(self.lines)
        else:
            level = X_MAX if array.dac is None else array.dac.limit
            load = array.drive(level) * (1.0 if array.pulse_width else level)
            siemens = float(array.columns(now)[self.lines.to(array.cells["g"].device)].sum())
            joules = (periphery.v_read / X_MAX) ** 2 * load * siemens * periphery.t_read
        spent = {
            "array_reads": joules,
            "dac": (0.0 if dac is None else dac.energy or 0.0) * reads,
            "adc": (0.0 if adc is None else adc.energy or 0.0) * reads * n,
            "accumulate": (0.0 if energy is None else energy.accumulate or 0.0) * (reads * n - 1),
        }
        return Spent(reads, spent, reads * periphery.t_read)


def last_write(array: Crossbar) -> float:
    """Return the chip time of the last write to any device of an array, seconds."""
    return float(array.cells["t"].max())


def scaled(plan: ReadPlan, factor: float) -> ReadPlan:
    """Return the plan of reads whose outputs are multiplied by a factor after their conversion.

        factor ADC(W x + noise) = ADC'(factor W x + factor noise),  ADC' with steps and limits times the factor

    >>> plan = scaled(ReadPlan(W=torch.eye(1), sigma2=torch.eye(1), adc=Quantiser(0.5, 1.0)), 2.0)
    >>> plan.W.item(), plan.sigma2.item(), plan.adc
    (2.0, 4.0, Quantiser(step=1.0, limit=2.0, low=None))
    """
    if factor == 1:
        return plan
    adc = plan.adc
    if adc is not None:
        low = None if adc.low is None else adc.low * factor
        adc = Quantiser(adc.step * factor, adc.limit * factor, low)
    return replace(
        plan,
        W=plan.W * factor,
        sigma2=None if plan.sigma2 is None else plan.sigma2 * factor**2,
        extra=plan.extra * factor**2,
        adc=adc,
        offset=None if plan.offset is None else plan.offset * factor,
        process=None if plan.process is None else plan.process * factor,
        circuits=None if plan.circuits is None else plan.circuits.times(factor),
    )
