"""Measure what reads, and the pulses of neighbours, do to devices that nobody writes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from neuroanp.characterizing.bench import Bench
from neuroanp.characterizing.result import At, Axis, Measurement, Moment, Panel, Series
from neuroanp.characterizing.statistics import mean
from neuroanp.substrates.crossbar import Crossbar

if TYPE_CHECKING:
    from neuroanp.profiles import HardwareProfile

SHARES = (0.1, 0.5, 0.9)
"""Where in the range of conductance devices are placed."""
TOLD = (0.01, 1.0)
"""Exposures in the table of moments."""
EXPOSURES = np.logspace(-4, 1, 26)
PIECES = 7
"""In which reads are counted: the sum is all that matters."""
LINES = 6
WRITES = 4


def applies(profile: HardwareProfile) -> bool:
    """Tell whether reads or the pulses of others move a device."""
    return profile.disturb is not None and bool(profile.disturb.read or profile.disturb.half_select)


def measure(bench: Bench) -> Measurement:
    """Read devices over and over; write one of an array and look at those on its lines.

    Expected are G_end + (G_0 - G_end) e^{-N read} after N reads at full scale, and for devices that share a word or a
    bit line with the written one, a and b pulses up and down: the same with N read = (a + b) half_select and
    G_end = g_min + dG a/(a + b).
    """
    figures, span = bench.profile.disturb, bench.profile.conductance
    assert figures is not None
    width, moments, curves = span.g_max - span.g_min, [], []
    end = span.g_max if figures.towards == "set" else span.g_min
    for i, share in enumerate(SHARES if figures.read else ()):
        start = span.g_min + share * width
        found = [_after(bench, start, exposure) for exposure in EXPOSURES]
        for exposure in TOLD:
            at = (At("start", start, "S"), At("reads", exposure / float(figures.read or 0.0)))
            expected = end + (start - end) * math.exp(-exposure)
            moments.append(Moment("mean conductance", at, "S", *mean(_after(bench, start, exposure)), expected))
        reads = EXPOSURES / float(figures.read or 1.0)
        curves.append(Series("sampled" if not i else "", reads, np.array([x.mean() for x in found]), group=i))
        curves.append(Series("closed form" if not i else "", reads, end + (start - end) * np.exp(-EXPOSURES), "line",
                             group=i))  # fmt: skip
    if figures.half_select:
        moments += _neighbours(bench, figures.half_select)
    panels = (Panel("conductance", Axis("reads at full scale", log=True), Axis("conductance", "S"), tuple(curves)),)
    return Measurement(
        "disturb",
        "Disturb",
        "Devices that are read over and over at full scale, and those on the lines of one that is written.",
        tuple(moments),
        panels if curves else (),
    )


def _array(bench: Bench, start: float, shape: tuple[int, int]) -> Crossbar:
    """Return an array of devices that are put on one conductance, disturb alone switched on."""
    device = bench.device("read_disturb", "write_disturb")
    array = Crossbar(bench.profile, device, shape, bench.rng("disturb"), torch.float64)
    array.place(torch.full_like(array.cells["g"], start), 0.0, bench.rng("disturb"))
    return array


def _after(bench: Bench, start: float, exposure: float) -> np.ndarray:
    """Return what devices conduct after reads at full scale, counted in unequal pieces."""
    figures = bench.profile.disturb
    assert figures is not None
    array = _array(bench, start, (1, 50))
    whole = 1.0 if array.one_level else array.drive(1.0)
    shares = np.arange(1, PIECES + 1) / (PIECES * (PIECES + 1) / 2)
    for share in shares:
        reads = share * exposure / float(figures.read or 1.0)
        array.expose(torch.full((50,), whole * reads, dtype=torch.float64))
    return array.device.conductance(array.cells, 0.0).numpy().ravel()


def _neighbours(bench: Bench, half_select: float) -> list[Moment]:
    """Write a device of a square array up and down, and return what the others conduct then."""
    span = bench.profile.conductance
    width = span.g_max - span.g_min
    array = _array(bench, span.g_min + 0.5 * width, (LINES, LINES))
    sent, rng = [0.0, 0.0], bench.rng("disturb", 1)
    for k in range(WRITES):
        target = torch.where(torch.isnan(array.cells["target"]), array.cells["g"], array.cells["target"])
        target[0, 0, 0] = span.g_min + (0.8 if k % 2 == 0 else 0.3) * width
        before = array.cells["g"][0, 0, 0].item()
        if array.device.can_program:
            pulses, _ = array.program(target, 0.0, rng)
        else:
            pulses = array.pulse(torch.where(target != array.cells["g"], target - array.cells["g"], 0.0), 0.0, rng)
        sent[0 if array.cells["g"][0, 0, 0].item() >= before else 1] += float(pulses[0, 0, 0])
    total = sum(sent)
    end = span.g_min + width * sent[0] / max(total, 1.0)
    expected = end + (span.g_min + 0.5 * width - end) * math.exp(-half_select * total)
    g = array.device.conductance(array.cells, 0.0).numpy()
    on_lines = np.concatenate([g[0, 0, 1:], g[0, 1:, 0]])
    return [
        Moment("mean conductance on the lines of a written device", (At("pulses", total),), "S", *mean(on_lines),
               expected),
        Moment("mean conductance elsewhere", (At("pulses", total),), "S", *mean(g[0, 1:, 1:].ravel()),
               span.g_min + 0.5 * width),
    ]  # fmt: skip
