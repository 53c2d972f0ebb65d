"""Measure noise with a memory: a trace, its autocorrelation and its spectrum against closed forms."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from neuroanp.characterizing.bench import Bench
from neuroanp.characterizing.result import At, Axis, Measurement, Moment, Panel, Series
from neuroanp.characterizing.spectrum import Spectrum
from neuroanp.characterizing.statistics import mean
from neuroanp.devices.protocol import remembers
from neuroanp.devices.switched import at_temperature
from neuroanp.units import format_quantity

if TYPE_CHECKING:
    from neuroanp.profiles import HardwareProfile

COPIES = 256
"""Independent sources: their scatter gives the standard errors, whatever correlation there is in time."""
STEPS = 4096
CHUNK = 256
SEGMENT = 1024
"""Steps of one segment of Welch's estimate."""
RESOLVED = 16
"""Steps per correlation time."""
SHOWN = 240
"""Steps in the figure of a trace."""
LAGS = 64
SHORTEST, LONGEST = 1e-15, 1e9
"""Correlation times are looked for between these, seconds."""


def applies_to_source(profile: HardwareProfile) -> bool:
    """Tell whether a bank of stochastic devices drives the units."""
    return profile.stochastic is not None and profile.stochastic.node_sigma > 0  # pyright: ignore


def applies_to_reads(profile: HardwareProfile) -> bool:
    """Tell whether the read noise has a memory."""
    return remembers(profile.read)  # pyright: ignore[reportArgumentType]


def measure_source(bench: Bench) -> Measurement:
    """Follow the noise that one unit gets, dimensionless: in units of its pre-activation."""
    source = at_temperature(bench.profile.stochastic, bench.profile.temperature)
    return _measure(bench, source, "source", "Node noise", "the noise on a unit's pre-activation", Axis("noise"))


def measure_reads(bench: Bench) -> Measurement:
    """Follow the process behind the read noise of one device, in standard deviations."""
    process = bench.profile.read.process()  # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue]
    old = "" if process.of_ages is None else ", of one that was written a day ago"
    what = f"the process behind a device's read noise, in its standard deviations{old}"
    return _measure(bench, process, "read_process", "Read noise in time", what, Axis("noise / sd"))


def _measure(bench: Bench, source: Any, name: str, title: str, what: str, axis: Axis) -> Measurement:
    dt, unit = clock(source)
    rho = np.array([source.autocorrelation(k * dt) for k in range(SEGMENT)])
    variance = source.node_sigma**2
    trace = _run(source, dt, bench.rng(name))
    spectrum = Spectrum.of(trace, dt, variance * rho, unit)
    step = "steps of " + format_quantity(dt, unit).replace(" u", " µ") if unit else "steps"
    return Measurement(
        name,
        title,
        f"{COPIES} independent copies of {what}, started in the stationary state: {STEPS:,} {step}.",
        (*_of_time(trace, dt, unit, rho, variance), *spectrum.moments()),
        (_trace(trace, dt, unit, axis), _autocorrelation(trace, dt, unit, rho, variance), spectrum.panel()),
    )


def clock(source: Any) -> tuple[float, str]:
    """Return a step that resolves the source's memory, and its unit: s, or none where only steps count.

    The correlation time is where the autocorrelation has fallen to 1/e of what it is just after lag 0
    (white noise on top of a slow process is no memory); a step is that over RESOLVED, to two digits.
    """
    lags = np.logspace(math.log10(SHORTEST), math.log10(LONGEST), 24 * 20 + 1)
    if source.samples_are_steps or not source.autocorrelation(SHORTEST):
        return 1.0, ""
    rho = np.array([source.autocorrelation(lag) for lag in lags])
    gone = np.flatnonzero(rho < rho[0] / math.e)
    return float(f"{lags[gone[0] if len(gone) else -1] / RESOLVED:.1e}"), "s"


def _run(source: Any, dt: float, rng: np.random.Generator) -> np.ndarray:
    """Return STEPS steps of COPIES independent sources, (STEPS, COPIES)."""
    shape = (COPIES, 1)
    taken = [source.uniforms(shape), source.normals(shape)]

    def draws(*lead: int) -> list[torch.Tensor | None]:
        made = (rng.random, rng.standard_normal)
        return [None if s is None else torch.from_numpy(draw((*lead, *s))) for draw, s in zip(made, taken, strict=True)]

    state, parts = source.start(*draws()), []
    for _ in range(STEPS // CHUNK):
        noise, state = source.run(state, *draws(CHUNK), dt)
        parts.append(noise.squeeze(-1))
    return torch.cat(parts).numpy()


def _covariance(trace: np.ndarray, lag: int) -> np.ndarray:
    """Return each copy's mean of x(t) x(t + lag), (COPIES,); the mean of x is known to be 0."""
    return (trace[: len(trace) - lag] * trace[lag:]).mean(axis=0)


def _of_time(trace: np.ndarray, dt: float, unit: str, rho: np.ndarray, variance: float) -> tuple[Moment, ...]:
    rows = [
        Moment("mean", (), "", *mean(trace.mean(axis=0)), 0.0),
        Moment("variance", (), "", *mean(_covariance(trace, 0)), variance),
    ]
    for lag in (1, RESOLVED, 2 * RESOLVED):
        found, error = mean(_covariance(trace, lag) / variance)
        rows.append(
            Moment("autocorrelation", (At("lag", lag * dt, unit or "steps"),), "", found, error, float(rho[lag]))
        )
    return tuple(rows)


def _trace(trace: np.ndarray, dt: float, unit: str, axis: Axis) -> Panel:
    times = dt * np.arange(SHOWN)
    return Panel(
        "one copy", Axis("time" if unit else "step", unit), axis, (Series("", times, trace[:SHOWN, 0], "steps"),)
    )


def _autocorrelation(trace: np.ndarray, dt: float, unit: str, rho: np.ndarray, variance: float) -> Panel:
    lags = np.unique(np.linspace(0, LAGS, 33).round().astype(int))
    found = np.array([_covariance(trace, int(lag)).mean() / variance for lag in lags])
    series = (
        Series("sampled", lags * dt, found),
        Series("closed form", dt * np.arange(LAGS + 1), rho[: LAGS + 1], "line"),
    )
    return Panel("autocorrelation", Axis("lag" if unit else "lag (steps)", unit), Axis("autocorrelation"), series)
