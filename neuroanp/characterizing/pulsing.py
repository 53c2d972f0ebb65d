"""Measure what single pulses do: trains up, then down."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from neuroanp.characterizing.bench import Bench
from neuroanp.characterizing.result import At, Axis, Measurement, Moment, Panel, Series
from neuroanp.characterizing.statistics import deviation, mean
from neuroanp.devices.device import Device

if TYPE_CHECKING:
    from neuroanp.devices.protocol import Cells
    from neuroanp.profiles import HardwareProfile

VARIES = ("d2d", "c2c", "write_noise")
MOST_DEVICES = 500
DRAWN = 5
"""Single devices in the figure."""
POINTS = 60
"""Where a train is watched, each way; pulses between go out in one call."""
LENGTHS = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
BEYOND = 1e6
"""A change of so many ranges asks for as many pulses as a law ever sends at once."""
FLAT = 0.05
"""A train is as long as it takes the nominal step to fall to this share of the largest one, or the longest there is."""


def applies(profile: HardwareProfile) -> bool:
    """Tell whether the profile says what single pulses do."""
    return profile.update is not None


@dataclass(frozen=True)
class Train:
    """Conductance of every device along a train up and one down.

    Args:
        pulses: pulses asked for so far, (points,): up to the middle, down from there.
        g: conductance above the start (of a pair G+ - G-), (points, devices) siemens.
    """

    pulses: np.ndarray
    g: np.ndarray


def measure(bench: Bench) -> Measurement:
    """Send trains of pulses up and then down to new devices, with and without their variability."""
    nominal, varied = Pulser.of(bench.device()), Pulser.of(bench.device(*VARIES))
    length, count = _length(nominal), min(bench.devices, MOST_DEVICES)
    ideal, exact = (_train(nominal, n, 1, bench.rng("pulses", n)) for n in (length, 1))
    real, first = (_train(varied, n, count, bench.rng("pulses", n)) for n in (length, 1))
    planes = varied.device.planes
    pair = "G+ − G−; a fall is a rise of G−" if planes == 2 else "against the middle of the range"
    return Measurement(
        "pulses",
        "Pulse curves",
        f"{count:,} new devices, {length:,} pulses up and {length:,} down ({pair}). "
        "Without variability: no spread from device to device or from pulse to pulse.",
        (*_steps(first, exact), *_reached(real, ideal, length)),
        (_panel(real, ideal, planes),),
    )


@dataclass(frozen=True)
class Pulser:
    """A device and what its law makes of a change it is asked for.

    Args:
        device: the device.
        step: the change of conductance that is carried out by exactly one pulse, siemens.
        most: pulses that one call sends at most.
    """

    device: Device
    step: float
    most: int

    @classmethod
    def of(cls, device: Device) -> Pulser:
        """Find out what one pulse is.

        Asked for a change x, a law rounds x / step to whole pulses, at every trial here with the same
        random number: the smallest changes that get one pulse and two pulses lie one step apart.

        >>> from neuroanp.profiles import load
        >>> device = Device(load("rram_hfo2"), frozenset())
        >>> round(Pulser.of(device).step / (0.5 * device.span.width), 12), Pulser.of(device).most
        (0.4622, 100)
        """
        cells = device.sample((1, 1), np.random.default_rng(0), torch.float64)

        def pulses(size: float) -> int:
            _, sent = device.pulse(cells, _change(device, size, cells["g"]), 0.0, np.random.default_rng(0))
            return int(sent[0].sum())

        width = device.span.width
        most = pulses(BEYOND * width)
        if most < 2:  # any change beyond the range is one pulse
            return cls(device, BEYOND * width, max(most, 1))
        return cls(device, _threshold(pulses, 2, width) - _threshold(pulses, 1, width), most)

    def send(self, cells: Cells, count: int, rng: np.random.Generator) -> tuple[Cells, Tensor]:
        """Send `count` pulses up, or down where it is negative; return the cells and the pulses sent to each."""
        sent, left = torch.zeros_like(cells["wear"]), abs(count)
        while left:
            part = min(left, self.most)
            change = _change(self.device, part * math.copysign(self.step, count), cells["g"])
            cells, took = self.device.pulse(cells, change, 0.0, rng)
            sent, left = sent + took, left - part
        return cells, sent

    def seen(self, cells: Cells) -> Tensor:
        """Return G+ - G- of pairs, G of single devices, siemens."""
        g = self.device.conductance(cells, 0.0)
        return g[0] - g[1] if len(g) == 2 else g[0]


def _threshold(pulses: Callable[[float], int], count: int, width: float) -> float:
    """Return the smallest change for which at least `count` pulses are sent, by bisection."""
    low, high = 0.0, width * 1e-9
    while pulses(high) < count:
        low, high = high, 2.0 * high
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if pulses(middle) >= count else (middle, high)
    return high


def _train(pulser: Pulser, length: int, count: int, rng: np.random.Generator) -> Train:
    """Send `length` pulses up and `length` down; watch at most POINTS times each way."""
    cells = pulser.device.sample((1, count), rng, torch.float64)
    start = pulser.seen(cells)
    stops = np.unique(np.linspace(0, length, min(length, POINTS) + 1).round().astype(int))
    pulses, g = [0], [torch.zeros_like(start)]
    for direction in (1, -1):
        for part in np.diff(stops).tolist():
            cells, _ = pulser.send(cells, direction * part, rng)
            pulses.append(pulses[-1] + part)
            g.append(pulser.seen(cells) - start)
    return Train(np.array(pulses), torch.stack(g).squeeze(1).numpy())


def _change(device: Device, step: float, like: Tensor) -> Tensor:
    """Return the change asked of every device: of a pair the one that has to rise."""
    change = torch.full_like(like, step)
    if device.planes == 2:
        change[1] = -step
        change.clamp_min_(0.0)
    return change


def _length(pulser: Pulser) -> int:
    """Return after how many pulses up the nominal device hardly moves any more."""
    rng, reached, largest = np.random.default_rng(0), 0, 0.0
    cells = pulser.device.sample((1, 1), rng, torch.float64)
    for length in LENGTHS:
        cells, _ = pulser.send(cells, length - reached - 1, rng)
        after, _ = pulser.send(cells, 1, rng)
        step = float(pulser.seen(after) - pulser.seen(cells))
        largest, reached, cells = max(largest, step), length, after
        if step < FLAT * largest:
            return length
    return LENGTHS[-1]


def _steps(first: Train, exact: Train) -> tuple[Moment, ...]:
    """Return what the first pulse up does, and one down after it."""
    rows = []
    for name, found, nominal in (
        ("first step up", first.g[1], exact.g[1]),
        ("step down after it", first.g[2] - first.g[1], exact.g[2] - exact.g[1]),
    ):
        rows.append(Moment(f"{name}: mean", (), "S", *mean(found)))
        rows.append(Moment(f"{name}: sd", (), "S", *deviation(found)))
        rows.append(Moment(f"{name}: without variability", (), "S", float(nominal[0]), 0.0))
    return tuple(rows)


def _reached(real: Train, ideal: Train, length: int) -> tuple[Moment, ...]:
    """Return what is reached at the top and at the end of the train down."""
    top = int(np.flatnonzero(real.pulses == length)[0])
    rows = []
    for name, k in (("after the train up", top), ("after the train down", -1)):
        at = (At("pulses", float(real.pulses[k])),)
        rows.append(Moment(f"{name}: mean", at, "S", *mean(real.g[k])))
        rows.append(Moment(f"{name}: sd", at, "S", *deviation(real.g[k])))
        rows.append(Moment(f"{name}: without variability", at, "S", float(ideal.g[k, 0]), 0.0))
    return tuple(rows)


def _panel(real: Train, ideal: Train, planes: int) -> Panel:
    low, high = np.quantile(real.g, [0.05, 0.95], axis=1)
    series = [
        Series("" if i else "single devices", real.pulses, real.g[:, i], "device", group=1)
        for i in range(min(DRAWN, real.g.shape[1]))
    ]
    series += [
        Series("mean and 5–95 %", real.pulses, real.g.mean(axis=1), "line", low, high),
        Series("without variability", ideal.pulses, ideal.g[:, 0], "line", group=-1),
    ]
    label = "G+ − G−" if planes == 2 else "change of conductance"
    return Panel("trains up, then down", Axis("pulses"), Axis(label, "S"), tuple(series))
