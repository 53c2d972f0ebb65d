"""Measure pulses that switch a binary device by chance: how many do, and how many pulses a verified write takes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from neuroanp.characterizing.bench import Bench
from neuroanp.characterizing.result import At, Axis, Measurement, Moment, Panel, Series
from neuroanp.characterizing.statistics import mean, share
from neuroanp.devices.stt_mram import SttMram

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.profiles import HardwareProfile

COUNTS = (1, 2, 5, 10, 20, 50)
"""Pulses of a train."""


def applies(profile: HardwareProfile) -> bool:
    """Tell whether pulses switch by chance."""
    return isinstance(profile.update, SttMram)


def measure(bench: Bench) -> Measurement:
    """Send trains of pulses to devices that are all alike, and write them with verification.

    Expected are P(N) = 1 - (1 - P)^N, and of a write that gives up after M pulses (1 - (1 - P)^M)/P pulses and the
    share (1 - P)^M that is given up.
    """
    law = bench.profile.update
    assert isinstance(law, SttMram)
    counts = [n for n in COUNTS if n <= law.max_pulses]
    moments, curves = [], []
    for k, (way, p) in enumerate(zip(("up", "down"), law.probabilities, strict=True)):
        found = [_switched(bench, law, way, n) for n in counts]
        for n, hits in zip(counts, found, strict=True):
            moments.append(Moment(f"share switched {way}", (At("pulses", n),), "", *share(hits), 1 - (1 - p) ** n))
        pulses, missed = _written(bench, law, way)
        left = math.exp(law.max_pulses * math.log1p(-p)) if p < 1 else 0.0
        moments.append(Moment(f"pulses of a verified write {way}", (), "", *mean(pulses), (1 - left) / p))
        moments.append(Moment(f"share given up {way}", (), "", *share(missed), left))
        x = np.array(counts, dtype=float)
        curves += [
            Series(f"sampled, {way}", x, np.array([hits.mean() for hits in found]), group=k),
            Series(f"closed form, {way}", x, 1 - (1 - p) ** x, "line", group=k),
        ]
    return Measurement(
        "switching",
        "Switching by chance",
        f"{bench.devices:,} devices that are alike, in the other state, at each number of pulses.",
        tuple(moments),
        (Panel("share that has switched", Axis("pulses", log=True), Axis("share"), tuple(curves)),),
    )


def _start(bench: Bench, law: SttMram, way: str, rng: np.random.Generator) -> tuple[dict[str, Tensor], Tensor]:
    """Return devices in the state that pulses lead out of, and whether these are up pulses, (1, 1, n)."""
    span = bench.device().span
    shape = (1, 1, bench.devices)
    g = torch.full(shape, span.g_min if way == "up" else span.g_max, dtype=torch.float64)
    rises = torch.full(shape, way == "up")
    return {"g": g, **law.sample(shape, rng, frozenset(), g)}, rises


def _switched(bench: Bench, law: SttMram, way: str, count: int) -> np.ndarray:
    """Return which devices are in the other state after so many pulses."""
    span, rng = bench.device().span, bench.rng("switching", count, int(way == "up"))
    cells, rises = _start(bench, law, way, rng)
    exact = law.model_copy(update={"pulses": "deterministic"})
    size = count * law.nominal(span)
    done = exact.pulse(cells, torch.where(rises, size, -size), span, rng, frozenset({"c2c"}))
    return (done.cells["g"] != cells["g"]).numpy().ravel()


def _written(bench: Bench, law: SttMram, way: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the pulses that verified writes take, and which give up."""
    span, rng = bench.device().span, bench.rng("switching", 0, int(way == "up"))
    cells, rises = _start(bench, law, way, rng)
    target = torch.where(rises, span.g_max, span.g_min).to(torch.float64)
    done = law.program(cells, target, torch.ones_like(rises), span, rng, frozenset({"c2c", "programming_error"}))
    assert done.gave_up is not None
    return done.pulses.double().numpy().ravel(), done.gave_up.numpy().ravel()
