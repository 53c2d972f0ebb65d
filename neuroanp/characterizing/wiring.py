"""Measure what the resistance of an array's lines takes from its devices: exactly, and as the fast way has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from neuroanp.characterizing.bench import Bench
from neuroanp.characterizing.result import At, Axis, Map, Measurement, Moment, Panel, Series
from neuroanp.devices.draws import uniform
from neuroanp.substrates.settling import slowest
from neuroanp.substrates.tiling import Tiling, through_wires

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.profiles import HardwareProfile

LARGEST = 64
"""Lines each way of the array that is solved exactly; a tile that is smaller is taken whole."""
SIZES = (4, 8, 16, 32)


def applies(profile: HardwareProfile) -> bool:
    """Tell whether the profile states the resistance of its lines."""
    return profile.array.wires is not None


def measure(bench: Bench) -> Measurement:
    """Solve tiles of devices at g_max, where the drop is worst, and of devices at random conductances.

    What a device seems to conduct, G_eff, is its share of the current on its bit line for a voltage on
    its word line: I = G_eff V. A device alone has G / (1 + G (r_word + r_bit)).
    """
    span, array = bench.profile.conductance, bench.profile.array
    rows, columns = min(array.max_rows or LARGEST, LARGEST), min(array.max_columns or LARGEST, LARGEST)
    full = torch.full((1, columns, rows), span.g_max, dtype=torch.float64)
    mixed = span.g_min + (span.g_max - span.g_min) * uniform(bench.rng("wires"), tuple(full.shape), full)
    worst, typical = (_both(bench, g) for g in (full, mixed))
    size = (At("word lines", rows), At("bit lines", columns))
    moments = (
        _alone(bench),
        *_rows("all at g_max", full, worst, size),
        *_rows("random", mixed, typical, size),
        *_settling(bench, columns, rows),
    )
    lost = 100.0 * (1.0 - worst[0] / full)[0].numpy()
    return Measurement(
        "wires",
        "Wire resistance",
        f"A tile of {rows} word lines and {columns} bit lines solved exactly, and by the fast approximation that "
        "training uses: what each device seems to conduct, compared with what it does.",
        moments,
        (
            Map("lost to the lines, all devices at g_max", lost, "lost (%)", "", "bit line", "word line"),
            _growth(bench, max(rows, columns)),
        ),
    )


def _settling(bench: Bench, columns: int, rows: int) -> tuple[Moment, ...]:
    """Return the slowest time constant of each line with a capacitance, by the poles of its own nodal matrix."""
    wires = bench.profile.array.wires
    assert wires is not None  # `applies` said so
    found = []
    for name, ohms, farads, crossed in (
        ("word lines", wires.r_word, wires.c_word, columns), ("bit lines", wires.r_bit, wires.c_bit, rows),
    ):  # fmt: skip
        if ohms and farads:
            chain = np.diag([*([2.0] * (crossed - 1)), 1.0]) - np.eye(crossed, k=1) - np.eye(crossed, k=-1)
            tau = ohms * farads / float(np.linalg.eigvalsh(chain).min())
            at = (At("lines crossed", crossed),)
            found.append(Moment(f"settling of {name}", at, "s", tau, 0.0, slowest(ohms, farads, crossed)))
    return tuple(found)


def _both(bench: Bench, g: Tensor) -> tuple[Tensor, Tensor]:
    """Return the effective conductances of one tile, exact and fast."""
    wires = bench.profile.array.wires
    assert wires is not None  # `applies` said so
    whole = Tiling.of((g.shape[1], g.shape[2]), None, None)
    exact, fast = (through_wires(g, wires.r_word, wires.r_bit, whole, solver)[0] for solver in ("exact", "fast"))
    return exact, fast


def _alone(bench: Bench) -> Moment:
    wires, g = bench.profile.array.wires, bench.profile.conductance.g_max
    assert wires is not None
    one = torch.full((1, 1, 1), g, dtype=torch.float64)
    at = (At("word lines", 1), At("bit lines", 1))
    series = g / (1.0 + g * (wires.r_word + wires.r_bit))
    return Moment("a device at g_max, alone: G_eff", at, "S", float(_both(bench, one)[0]), 0.0, series)


def _rows(name: str, g: Tensor, found: tuple[Tensor, Tensor], at: tuple[At, ...]) -> tuple[Moment, ...]:
    kept, wrong = found[0] / g, (found[1] - found[0]).abs() / found[0].abs()
    return (
        Moment(f"{name}: mean of G_eff / G", at, "", float(kept.mean()), 0.0),
        Moment(f"{name}: smallest G_eff / G", at, "", float(kept.min()), 0.0),
        Moment(f"{name}: largest relative error of the fast way", at, "", float(wrong.max()), 0.0),
        Moment(f"{name}: rms relative error of the fast way", at, "", float(wrong.square().mean().sqrt()), 0.0),
    )


def _growth(bench: Bench, largest: int) -> Panel:
    """Return how the loss of the worst-placed device grows with the size of a square tile."""
    sizes = [size for size in SIZES if size < largest] + [largest]
    g = bench.profile.conductance.g_max
    tiles = [torch.full((1, size, size), g, dtype=torch.float64) for size in sizes]
    found = np.array([[100.0 * (1.0 - float(side.min()) / g) for side in _both(bench, tile)] for tile in tiles])
    return Panel(
        "worst device of a square tile, all at g_max",
        Axis("lines each way", log=True),
        Axis("lost (%)", log=bool((found > 0).all())),
        (Series("exact", np.array(sizes), found[:, 0]), Series("fast", np.array(sizes), found[:, 1], "line", group=1)),
    )
