"""Measure what one factor for all outputs of an array makes up for of the drift of its devices."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from neuroanp.characterizing.bench import Bench
from neuroanp.characterizing.result import At, Axis, Measurement, Moment, Panel, Series
from neuroanp.characterizing.statistics import mean
from neuroanp.devices.draws import normal, uniform
from neuroanp.substrates.compensation import compensation
from neuroanp.substrates.crossbar import Crossbar

if TYPE_CHECKING:
    from neuroanp.profiles import HardwareProfile

AGES = tuple(86400.0 * days for days in (1 / 24, 1.0, 30.0))
TOLD = AGES[1:]
"""Ages of the curve and of the table: an hour, a day, a month."""
LEVELS, NODES, REACH = 101, 121, 6.0
"""Targets and standard normals over which the expected moments are summed, and how far these reach."""
ON = frozenset({"programming_error", "drift", "read_noise", "frozen_noise", "drift_compensation"})


def applies(profile: HardwareProfile) -> bool:
    """Tell whether a profile compensates drift."""
    return profile.periphery is not None and profile.periphery.drift_compensation is not None


def measure(bench: Bench) -> Measurement:
    """Program devices to conductances anywhere in the range, let them drift, and read them raw and compensated.

    Expected are alpha = E G_p / E G(t) and the rms of (alpha G(t) + alpha sigma xi - G_target), integrals of the laws
    over the targets and the two normal numbers of a write; the converters are left out.
    """
    rows, array = [], _programmed(bench)
    for age in AGES:
        rows.append((age, *_found(bench, array, age), *_theory(array, age)))
    moments = []
    for age, factor, (raw, raw_error), (left, left_error), *theory in rows:
        if age in TOLD:
            at = (At("age", age, "s"),)
            # how well alpha is known by sums of so many devices: of a ratio whose parts differ by their drift alone
            moments.append(Moment("factor on outputs", at, "", factor, theory[3] / math.sqrt(bench.devices), theory[0]))
            moments.append(Moment("rms error without it", at, "S", raw, raw_error, theory[1]))
            moments.append(Moment("rms error with it", at, "S", left, left_error, theory[2]))
    every = bench.profile.periphery.drift_compensation.every  # pyright: ignore[reportOptionalMemberAccess]
    return Measurement(
        "compensation",
        "Drift compensation",
        f"{array.cells['g'].numel():,} devices programmed to conductances anywhere in the range, read after some time "
        f"raw and times the factor of the last reading of the reference lines, one every {every:g} s.",
        tuple(moments),
        (_panel(rows),),
    )


def _programmed(bench: Bench) -> Crossbar:
    from neuroanp.devices.device import Device

    device = Device(bench.profile, ON)
    side = max(2, math.isqrt(-(-bench.devices // 2)))
    rng = bench.rng("compensation")
    array = Crossbar(bench.profile, device, (side, side), rng, torch.float64, pulsed=False)
    target = _targets(bench, array)
    if device.programming is not None:
        array.program(target, 0.0, rng)
    else:
        array.place(target, 0.0, rng)
    return array


def _targets(bench: Bench, array: Crossbar) -> Tensor:
    like, span = array.cells["g"], array.device.span
    return span.g_min + span.width * uniform(bench.rng("compensation", 1), tuple(like.shape), like)


def _found(bench: Bench, array: Crossbar, age: float) -> tuple[float, tuple[float, float], tuple[float, float]]:
    """Return the factor, and the rms errors without and with it and their standard errors."""
    g, fresh, frozen = array.device.observed(array.cells, age, array.profile.periphery.t_read)  # pyright: ignore
    for k, part in enumerate((fresh, frozen)):
        if part is not None:
            g = g + part * normal(bench.rng("compensation", 2 + k), tuple(g.shape), g)
    target, factor = _targets(bench, array), _factor(array, age)
    return factor, _rms((g - target).numpy()), _rms((factor * g - target).numpy())


def _factor(array: Crossbar, age: float) -> float:
    one = compensation(array, None)
    assert one is not None  # `applies` said so
    return one.factor(array, age)


def _rms(errors: np.ndarray) -> tuple[float, float]:
    square, error = mean(errors.ravel() ** 2 / (scale := float((errors**2).mean()) or 1.0))
    return math.sqrt(square * scale), 0.5 * error * math.sqrt(scale / square) if square else 0.0


def _theory(array: Crossbar, age: float) -> tuple[float, float, float, float]:
    """Return alpha, rms error without and with it, and the sd of a device's share of alpha.

    alpha is that of the last reading of the reference lines, which may be some time ago.
    """
    every = array.profile.periphery.drift_compensation.every  # pyright: ignore[reportOptionalMemberAccess]
    last = every * math.floor(age / every * (1.0 + 1e-12))
    device = array.device
    law: Any = device.programming
    drift: Any = device.drift
    span = device.span
    xi = torch.linspace(-REACH, REACH, NODES, dtype=torch.float64)
    weight = torch.exp(-0.5 * xi**2)
    weight = weight / weight.sum()
    target = span.g_min + span.width * (torch.arange(LEVELS, dtype=torch.float64) + 0.5) / LEVELS
    target, error, spread = (part.contiguous() for part in torch.broadcast_tensors(
        target[:, None, None], xi[:, None], xi
    ))  # fmt: skip
    written = target if law is None else law.write(target, span.g_max, error)
    nu = drift.draw(target, span.g_max, spread)
    ages = torch.full_like(target, age)
    now = drift.conductance(written, nu, ages, target, span)
    noise = torch.zeros_like(now)
    if device.read is not None:
        for part in device.read.split(written, now, span.g_max, ages, array.profile.periphery.t_read):  # pyright: ignore
            noise = noise + part**2

    def over(values: Tensor) -> float:
        return float((values.mean(0) * weight[:, None] * weight).sum())

    seen = drift.conductance(written, nu, torch.full_like(target, last), target, span)
    start, end = over(written), over(seen)
    alpha = start / end
    raw = over((now - target) ** 2 + noise)
    left = over((alpha * now - target) ** 2 + alpha**2 * noise)
    own = math.sqrt(over((written / start - seen / end) ** 2 + noise / end**2)) * alpha
    return alpha, math.sqrt(raw), math.sqrt(left), own


def _panel(rows: list[tuple[Any, ...]]) -> Panel:
    ages = np.array([row[0] for row in rows])
    series = []
    for i, (name, place) in enumerate((("without", 2), ("with", 3))):
        series.append(Series(f"{name} compensation", ages, np.array([row[place][0] for row in rows]), group=i))
        series.append(Series("", ages, np.array([row[4 + i + 1] for row in rows]), "line", group=i))
    return Panel("rms error", Axis("time since the write", "s", log=True), Axis("rms error", "S"), tuple(series))
