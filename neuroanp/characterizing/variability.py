"""Measure how devices differ for good: factors of conductance, stuck devices and broken lines."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from neuroanp.characterizing.bench import Bench
from neuroanp.characterizing.result import Axis, Map, Measurement, Moment, Panel, Series
from neuroanp.characterizing.statistics import deviation, mean, share

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.devices.device import Device
    from neuroanp.devices.protocol import Cells
    from neuroanp.profiles import HardwareProfile

BINS = 40
SHOWN = 64
"""Lines of an array in the map of its faults."""


def differ(profile: HardwareProfile) -> bool:
    """Tell whether devices differ in what they conduct."""
    return profile.variability is not None


def fail(profile: HardwareProfile) -> bool:
    """Tell whether the profile knows faulty devices or lines."""
    return profile.faults is not None


def measure_spread(bench: Bench) -> Measurement:
    """Set all devices to g_max and compare what they conduct; the factor has mean 1.

    Its standard deviation is held to the law's `cv` where it states one.
    """
    device, rng = bench.device("d2d"), bench.rng("variability")
    law = device.variability
    assert law is not None  # `differ` said so
    factor = bench.rows(_at_g_max(device, bench.fresh(device, 1, rng), rng))[0] / device.span.g_max
    density, edges = np.histogram(factor, bins=BINS, density=True)
    shape = Series("sampled", (edges[1:] + edges[:-1]) / 2.0, density, "steps")
    return Measurement(
        "variability",
        "Differences between devices",
        f"{factor.size:,} devices set to g_max: what each conducts, relative to g_max.",
        (
            Moment("mean factor", (), "", *mean(factor), 1.0),
            Moment("sd of the factor", (), "", *deviation(factor), law.cv),
        ),
        (Panel("factor of the conductance", Axis("conductance / g_max"), Axis("density"), (shape,)),),
    )


def measure_faults(bench: Bench) -> Measurement:
    """Draw a square array and count its stuck devices and broken lines against the stated shares."""
    device, faults, rng = bench.device("faults"), bench.profile.faults, bench.rng("faults")
    assert faults is not None  # `fail` said so
    side = max(math.isqrt(bench.devices // device.planes), 1)
    cells = device.sample((side, side), rng, torch.float64)
    moments = []
    stuck = sum(share or 0.0 for share in (faults.corrupt, faults.stuck_low, faults.stuck_high))
    if "stuck" in cells:
        moments.append(Moment("share of stuck devices", (), "", *share(cells["stuck"].numpy().ravel()), stuck))
    if faults.dead_rows is not None:
        lines = cells["dead"].numpy()[0, 0]  # every device of a word line says the same
        moments.append(Moment("share of broken word lines", (), "", *share(lines), faults.dead_rows))
    if faults.dead_columns is not None:
        lines = (cells["scale"] == 0).numpy()[:, :, 0].ravel()
        moments.append(Moment("share of broken bit lines", (), "", *share(lines), faults.dead_columns))
    g = _at_g_max(device, cells, rng, pairs=True)
    held = (g[0] - g[1] if device.planes == 2 else g[0])[:SHOWN, :SHOWN]
    return Measurement(
        "faults",
        "Faults",
        f"An array of {side} × {side} weights, every weight told to take its largest value; the map shows a corner.",
        tuple(moments),
        (Map("what the weights hold", held.numpy(), "conductance", "S", "bit line", "word line"),),
    )


def _at_g_max(device: Device, cells: Cells, rng: np.random.Generator, pairs: bool = False) -> Tensor:
    """Put every device on g_max by decree, of `pairs` only the first (the other on g_min); return what they conduct."""
    target = torch.full_like(cells["g"], device.span.g_max)
    if pairs and device.planes == 2:
        target[1] = device.span.g_min
    return device.conductance(device.place(cells, target, None, 0.0, rng), 0.0)
