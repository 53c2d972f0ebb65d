"""Measure what time does to a programmed conductance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from neuroanp.characterizing.bench import Bench
from neuroanp.characterizing.result import At, Axis, Measurement, Moment, Panel, Series
from neuroanp.characterizing.statistics import deviation, expected, mean, normal_nodes
from neuroanp.devices.device import Device
from neuroanp.units import format_quantity

if TYPE_CHECKING:
    from neuroanp.profiles import HardwareProfile

SHARES = (0.1, 0.5, 1.0)
"""Where in the range of conductance devices are placed."""
LOWEST, HIGHEST = -6, 8
COARSE = np.logspace(LOWEST, HIGHEST, 57)
"""Ages, seconds, among which the law's own span of time is found: a microsecond to three years."""
POINTS = 31
ROUND = (*(10.0**power for power in range(LOWEST, 2)), 60.0, 600.0, 3600.0, 36000.0, 86400.0, 864000.0)
"""Ages that are round for people."""
TOLD = (86400.0, 30 * 86400.0)
"""Ages in the table of moments; where a law's drift is over before, ages on its own scale take their place."""


def applies(profile: HardwareProfile) -> bool:
    """Tell whether conductance changes with time."""
    return profile.drift is not None


def measure(bench: Bench) -> Measurement:
    """Place devices on their targets and follow them over the ages in which the law acts.

    Expected moments are integrals of the law over the one normal number that each write draws:
    E f(G(t)) = int f(G(t; xi)) phi(xi) dxi, by the trapezoid rule.
    """
    span = bench.profile.conductance
    targets = torch.tensor([span.g_min + share * (span.g_max - span.g_min) for share in SHARES], dtype=torch.float64)
    device = bench.device("drift")
    ages = _ages(device, targets)
    found = _follow(bench, device, targets, ages)
    return Measurement(
        "drift",
        "Drift",
        f"{bench.devices:,} devices placed on each of {len(targets)} targets without error, then left alone.",
        _moments(bench, device, targets, _told(ages)),
        tuple(_panels(device, targets.tolist(), ages, found)),
    )


def _moments(bench: Bench, device: Device, targets: Tensor, ages: np.ndarray) -> tuple[Moment, ...]:
    found, rows = _follow(bench, device, targets, ages), []
    for i, level in enumerate(targets.tolist()):
        centres, spreads, _ = _theory(device, level, ages)
        for k, age in enumerate(ages.tolist()):
            at = (At("target", level, "S"), At("age", age, "s"))
            rows.append(Moment("mean conductance", at, "S", *mean(found[k, i]), float(centres[k])))
            sd, error = deviation(found[k, i])
            if spreads[k] or sd:  # all devices of a leak are alike
                rows.append(Moment("sd of it", at, "S", sd, error, float(spreads[k])))
    return tuple(rows)


def _ages(device: Device, targets: Tensor) -> np.ndarray:
    """Return ages on a logarithmic scale from before the first change to the end of it, or of the scale."""
    moved = np.zeros(len(COARSE))
    for level in targets.tolist():
        centre, spread, _ = _theory(device, level, COARSE)
        moved = np.maximum(moved, np.maximum(np.abs(centre - level), spread))
    acts = np.flatnonzero(moved > 0.01 * moved.max())
    ends = np.flatnonzero(moved > 0.99 * moved.max())
    first = np.log10(COARSE[acts[0]]) if len(acts) else np.log10(COARSE[0])
    last = np.log10(COARSE[ends[0]]) if len(ends) else np.log10(COARSE[-1])
    return np.logspace(max(np.floor(first) - 1, LOWEST), min(np.ceil(last) + 1, HIGHEST), POINTS)


def _told(ages: np.ndarray) -> np.ndarray:
    """Return the ages of the table of moments."""
    if ages[-1] >= TOLD[-1]:
        return np.array(TOLD)
    middle = math.sqrt(ages[0] * ages[-1])
    return np.array([min(ROUND, key=lambda age: abs(math.log(age / goal))) for goal in (middle, ages[-1])])


def _follow(bench: Bench, device: Device, targets: Tensor, ages: np.ndarray) -> np.ndarray:
    """Return the conductances (ages, targets, devices) after so many seconds."""
    rng = bench.rng("drift")
    new = bench.fresh(device, len(targets), rng)
    wanted = bench.by_row(targets, device.planes).expand_as(new["g"]).contiguous()
    cells = device.place(new, wanted, None, 0.0, rng)
    return np.array([bench.rows(device.conductance(cells, float(age))) for age in ages])


def _theory(device: Device, level: float, ages: np.ndarray) -> np.ndarray:
    """Return mean, standard deviation and median of the conductance expected at some ages, (3, ages)."""
    law, span = device.drift, device.span
    assert law is not None  # `applies` said so
    xi, weights = normal_nodes()
    target = torch.full((len(xi), len(ages)), level, dtype=torch.float64)
    nu = law.draw(target, span.g_max, xi[:, None].expand_as(target).contiguous())
    age = torch.from_numpy(np.asarray(ages, dtype=float)).expand_as(target).contiguous()
    return expected(law.conductance(target, nu, age, target, span).numpy(), weights)


def _panels(device: Device, levels: list[float], ages: np.ndarray, found: np.ndarray) -> list[Panel]:
    time = Axis("time since the write", "s", log=True)
    medians, spreads = [], []
    for i, level in enumerate(levels):
        name = format_quantity(level, "S", 3).replace(" u", " µ")
        low, middle, high = np.quantile(found[:, i], [0.05, 0.5, 0.95], axis=1)
        _, sd, median = _theory(device, level, ages)
        medians.append(Series(f"{name}: median and 5–95 %", ages, middle, "points", low, high, i))
        medians.append(Series("", ages, median, "line", group=i))
        spreads.append(Series(name, ages, np.array([deviation(row)[0] for row in found[:, i]]), group=i))
        spreads.append(Series("", ages, sd, "line", group=i))
    panels = [Panel("conductance", time, Axis("conductance", "S"), tuple(medians))]
    if any(series.y.any() for series in spreads):
        panels.append(Panel("spread from device to device", time, Axis("sd", "S"), tuple(spreads)))
    return panels
