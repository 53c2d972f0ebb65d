"""Measure read noise against conductance, age and window, through the array's own reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from neuroanp.characterizing.bench import Bench
from neuroanp.characterizing.result import At, Axis, Measurement, Moment, Panel, Series
from neuroanp.characterizing.statistics import deviation
from neuroanp.devices.draws import normal
from neuroanp.substrates.crossbar import Crossbar
from neuroanp.substrates.read import Reader

if TYPE_CHECKING:
    from neuroanp.profiles import HardwareProfile

LEVELS, FINE = 11, 201
"""Conductances that are sampled, and points of a closed form."""
SHOWN = (1, 5, 10)
"""Of these, indices in the table of moments."""
DAY, WINDOW = 86400.0, 1e-3
AGES = np.logspace(-3, 7, 21)
TOLD = (6, 20)
"""Of these, indices in the table of moments: 1 s and 116 days."""
WINDOWS = np.logspace(-6, 0, 13)


def applies(profile: HardwareProfile) -> bool:
    """Tell whether the profile has read noise."""
    return profile.read is not None


@dataclass(frozen=True)
class Memory:
    """What read noise of a profile depends on besides conductance.

    Args:
        frozen: part of it stands still within a window.
        aged: it changes with the time since the write.
        windowed: how much is fresh depends on the window.
    """

    frozen: bool
    aged: bool
    windowed: bool

    def at(self, level: float, age: float) -> tuple[At, ...]:
        """Return the conditions that matter."""
        every = [At("conductance", level, "S")]
        every += [At("age", age, "s")] if self.aged else []
        return (*every, At("window", WINDOW, "s")) if self.windowed else tuple(every)


def measure(bench: Bench) -> Measurement:
    """Read single devices twice within one window, after placing them without error.

        fresh^2 = Var(y_a - y_b) / 2,  total^2 = Var(y_a);  expected: the law's closed forms

    y is what the array returns for one driven word line: the difference of a differential pair, whose
    second device stands at g_min and adds its own noise.
    """
    levels = bench.levels(LEVELS)
    half = levels[LEVELS // 2 : LEVELS // 2 + 1]
    memory = _memory(bench, half)
    array = _array(bench, levels)
    found = _reads(array, DAY, WINDOW, bench.rng("read_noise/reads"))
    panels, moments = [_against_conductance(bench, levels, found, memory)], []
    for i in SHOWN:
        at = memory.at(float(levels[i]), DAY)
        moments += _rows(at, found, i, _theory(bench, levels, DAY, WINDOW), memory)
    if memory.aged:
        panel, rows = _against_age(bench, half, memory)
        panels.append(panel)
        moments += rows
    if memory.windowed:
        panels.append(_against_window(bench, half, memory))
    pair = " (the difference of a pair, whose other device is at g_min)" if array.differential else ""
    parts = " Fresh noise is new at every read; total noise includes what stands still for the window."
    return Measurement(
        "read_noise",
        "Read noise",
        f"{bench.devices:,} devices a level, each read twice by the array{pair}."
        f"{parts if memory.frozen else ' All of it is new at every read.'}",
        tuple(moments),
        tuple(panels),
    )


def _memory(bench: Bench, level: Tensor) -> Memory:
    """Ask the closed forms what the noise at one conductance depends on."""
    ages = np.array([_theory(bench, level, float(age), WINDOW) for age in AGES])[..., 0]
    windows = np.array([_theory(bench, level, DAY, float(window)) for window in WINDOWS])[..., 0]
    size = 1e-9 * max(float(ages.max()), float(windows.max()))
    still = float((windows[:, 1] - windows[:, 0]).max()) > size
    return Memory(still, bool(np.ptp(ages, axis=0).max() > size), bool(np.ptp(windows, axis=0).max() > size))


def _array(bench: Bench, levels: Tensor) -> Crossbar:
    """Return an array with a word line for each level and a bit line for each device, all on their levels."""
    device = bench.device("read_noise", "frozen_noise")
    array = Crossbar(
        bench.profile, device, (bench.devices, len(levels)), bench.rng("read_noise/devices"), torch.float64
    )
    target = torch.full_like(array.cells["g"], device.span.g_min)
    target[0] = levels
    array.place(target, 0.0, bench.rng("read_noise/place"))
    return array


def _reads(array: Crossbar, age: float, window: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return two reads (levels, devices) within one window, `age` seconds after the write, in siemens."""
    like = array.cells["g"]
    plan = array.prepare(age, window, lambda: normal(rng, tuple(like.shape), like))
    read, one_line = Reader(plan), torch.eye(like.shape[2], dtype=like.dtype)
    reads = [read(one_line, normal(rng, (like.shape[2], read.normals), like)) / array.slope for _ in range(2)]
    return reads[0].numpy(), reads[1].numpy()


def _theory(bench: Bench, levels: Tensor, age: float, window: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the closed forms of the fresh and the total standard deviation, (levels,) siemens each."""
    device = bench.device("read_noise")
    law, span = device.read, device.span
    assert law is not None  # `applies` said so
    both = torch.stack([levels, torch.full_like(levels, span.g_min)]) if device.planes == 2 else levels[None]
    ages = torch.full(both.shape, age + window, dtype=torch.float64)  # as of the window's end
    fresh, frozen = law.split(both, both, span.g_max, ages, window)
    fresh, frozen = torch.broadcast_to(fresh, both.shape), torch.broadcast_to(frozen, both.shape)
    fresh2, frozen2 = fresh.square().sum(0), frozen.square().sum(0)
    return fresh2.sqrt().numpy(), (fresh2 + frozen2).sqrt().numpy()


def _rows(
    at: tuple[At, ...],
    found: tuple[np.ndarray, np.ndarray],
    i: int,
    theory: tuple[np.ndarray, np.ndarray],
    memory: Memory,
) -> list[Moment]:
    first, second = found[0][i], found[1][i]
    fresh, error = deviation(first - second)
    rows = [Moment("fresh sd" if memory.frozen else "sd", at, "S", fresh / 2**0.5, error / 2**0.5, float(theory[0][i]))]
    return [*rows, Moment("total sd", at, "S", *deviation(first), float(theory[1][i]))] if memory.frozen else rows


def _sd(found: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the sampled fresh and total standard deviation of every level."""
    return (found[0] - found[1]).std(axis=1, ddof=1) / 2**0.5, found[0].std(axis=1, ddof=1)


def _series(
    x: np.ndarray, sampled: np.ndarray, fine: np.ndarray, theory: np.ndarray, memory: Memory
) -> tuple[Series, ...]:
    """Return total noise, where it is more than the fresh one, and that: sampled (n, 2) at x, expected (k, 2)."""
    kinds = ((1, "total"), (0, "fresh")) if memory.frozen else ((0, "sampled"),)
    points = [Series(name, x, sampled[:, i], group=i) for i, name in kinds]
    closed = "" if memory.frozen else "closed form"
    return (*points, *(Series(closed, fine, theory[:, i], "line", group=i) for i, _ in kinds))


def _against_conductance(bench: Bench, levels: Tensor, found: tuple[np.ndarray, np.ndarray], memory: Memory) -> Panel:
    fine = bench.levels(FINE)
    theory, sampled = np.array(_theory(bench, fine, DAY, WINDOW)), np.array(_sd(found))
    series = _series(levels.numpy(), sampled.T, fine.numpy(), theory.T, memory)
    title = "against conductance" + (", 1 day old" if memory.aged else "")
    return Panel(title, Axis("conductance", "S"), Axis("sd", "S"), series)


def _against_age(bench: Bench, level: Tensor, memory: Memory) -> tuple[Panel, list[Moment]]:
    array, sampled, theory, moments = _array(bench, level), [], [], []
    for index, age in enumerate(AGES.tolist()):
        found = _reads(array, age, WINDOW, bench.rng("read_noise/ages", index))
        expected = _theory(bench, level, age, WINDOW)
        sampled.append([sd[0] for sd in _sd(found)])
        theory.append([sd[0] for sd in expected])
        if index in TOLD:
            moments += _rows(memory.at(float(level), age), found, 0, expected, memory)
    series = _series(AGES, np.array(sampled), AGES, np.array(theory), memory)
    axis = Axis("time since the write", "s", log=True)
    return Panel("against age, half of the range", axis, Axis("sd", "S"), series), moments


def _against_window(bench: Bench, level: Tensor, memory: Memory) -> Panel:
    array, sampled, theory = _array(bench, level), [], []
    for index, window in enumerate(WINDOWS.tolist()):
        found = _reads(array, DAY, window, bench.rng("read_noise/windows", index))
        sampled.append([sd[0] for sd in _sd(found)])
        theory.append([sd[0] for sd in _theory(bench, level, DAY, window)])
    series = _series(WINDOWS, np.array(sampled), WINDOWS, np.array(theory), memory)
    title = "against the window" + (", 1 day old" if memory.aged else "")
    return Panel(title, Axis("window of the passes", "s", log=True), Axis("sd", "S"), series)
