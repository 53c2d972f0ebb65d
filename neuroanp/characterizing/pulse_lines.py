"""Measure what the lines of an array take from its write pulses: voltage, the step that goes with it, and energy."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from neuroanp.characterizing.bench import Bench
from neuroanp.characterizing.result import At, Map, Measurement, Moment
from neuroanp.characterizing.wiring import LARGEST
from neuroanp.devices.arriving import steps
from neuroanp.devices.effects import ALL_EFFECTS
from neuroanp.substrates.tiling import Tiling
from neuroanp.substrates.write_lines import HALF, Pulse, WriteLines, lines_of, pulse_through

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.profiles import HardwareProfile


def applies(profile: HardwareProfile) -> bool:
    """Tell whether write pulses go through lines with resistance."""
    return lines_of(profile, ALL_EFFECTS, "exact") is not None


def measure(bench: Bench) -> Measurement:
    """Send a pulse to each device of a tile in turn, all of them ohmic and at g_max, where the drop is worst.

    A device alone sees V / (1 + G (r_word + r_bit)), and its pulse costs V^2 t G / (1 + G (r_word + r_bit)).
    """
    profile = bench.profile
    found = lines_of(profile, ALL_EFFECTS, "exact")
    assert found is not None  # `applies` said so
    lines, array = replace(found, v_0=None), profile.array
    rows, columns = min(array.max_rows or LARGEST, LARGEST), min(array.max_columns or LARGEST, LARGEST)
    full = torch.full((bench.device().planes, columns, rows), profile.conductance.g_max, dtype=torch.float64)
    worst = _through(full, lines)
    return Measurement(
        "writes",
        "Writes through lines",
        f"A pulse to each device of a tile of {rows} word lines and {columns} bit lines in turn, all at g_max: what of "
        "its voltage is left there, how large a step that makes, and what all drivers spend on it.",
        (*_alone(bench, lines), *_of_tile(bench, lines, full, worst)),
        (Map("voltage of a pulse, all devices at g_max", 100.0 * worst.share[0].numpy(), "v / V (%)", "", "bit line",
             "word line"),),
    )  # fmt: skip


def _through(g: Tensor, lines: WriteLines) -> Pulse:
    return pulse_through(g, lines, Tiling((g.shape[1],), (g.shape[2],)))


def _alone(bench: Bench, lines: WriteLines) -> tuple[Moment, ...]:
    energy, g = bench.profile.energy, bench.profile.conductance.g_max
    assert energy is not None
    assert energy.write_voltage is not None
    assert energy.write_time is not None
    one = _through(torch.full((1, 1, 1), g, dtype=torch.float64), lines)
    at, left = (At("word lines", 1), At("bit lines", 1)), 1.0 / (1.0 + g * (lines.r_word + lines.r_bit))
    whole = energy.write_voltage**2 * energy.write_time
    return (
        Moment("a device at g_max, alone: v / V", at, "", float(one.share), 0.0, left),
        Moment("a device at g_max, alone: energy of a pulse", at, "J", whole * float(one.power), 0.0, whole * g * left),
    )


def _of_tile(bench: Bench, lines: WriteLines, g: Tensor, worst: Pulse) -> tuple[Moment, ...]:
    energy, at = bench.profile.energy, (At("word lines", g.shape[2]), At("bit lines", g.shape[1]))
    assert energy is not None
    assert energy.write_voltage is not None
    found = [
        Moment("all at g_max: smallest v / V", at, "", float(worst.share.min()), 0.0),
        Moment("all at g_max: mean of v / V", at, "", float(worst.share.mean()), 0.0),
    ]
    if energy.write_v_0 is not None:
        step = steps(worst.share, energy.write_voltage, energy.write_v_0)
        found.append(Moment("all at g_max: smallest step over the whole one", at, "", float(step.min()), 0.0))
    ideal = _through(g, replace(lines, r_word=0.0, r_bit=0.0))
    cost = float(worst.power.sum() / ideal.power.sum())
    found.append(Moment("all at g_max: energy of pulses over that on ideal lines", at, "", cost, 0.0))
    if lines.half_select in (None, HALF):
        fast = _through(g, replace(lines, solver="fast"))
        off = float((fast.share - worst.share).abs().max())
        found.append(Moment("all at g_max: largest error of v / V by the fast way", at, "", off, 0.0))
    return tuple(found)
