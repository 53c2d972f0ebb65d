"""Fit drift: the exponents of many devices, and how their mean and spread go with the conductance.

    device,time_s,conductance_uS,target_uS        time since the write; the target may be left out
    a,20,5.31,5.0
    a,60,5.02,5.0

First each device's exponent and its error, then the law of the exponents given those errors:

    G(t) = G_p (t / t0)^-nu,  nu = |mu + s xi|,  mu = clip(mu_slope ln r + mu_offset, mu_min, mu_max),  s likewise
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from neuroanp.devices.pcm import PcmDrift
from neuroanp.fitting.exponents import Exponents, best_law
from neuroanp.fitting.goodness import doubts, uniform
from neuroanp.fitting.options import Options
from neuroanp.fitting.result import Choice, Fit
from neuroanp.fitting.scale import MARGIN, full_scale, range_choices
from neuroanp.fitting.table import CONDUCTANCE, TIME, Column, Table
from neuroanp.profiles import HardwareProfile, load
from neuroanp.units import format_quantity

LAWS = ("pcm",)
BASE = "pcm"
LEAST_TIMES = 4
LEAST_DEVICES = 20


def columns(options: Options) -> list[Column]:
    """Return what the file must hold: device, time since the write, conductance, and the target if it is known."""
    return [
        Column("device", label=True),
        Column("time", (TIME,)),
        Column("conductance", (CONDUCTANCE,), header=options.column),
        Column("target", (CONDUCTANCE,), optional=True),
    ]


def fit(table: Table, base: HardwareProfile, options: Options) -> Fit:
    """Fit PcmDrift.

    r is the target over g_max, or the fitted conductance at t0 where the file has no targets. Mean
    and spread are each a constant or a line in ln r, with or without a lower and an upper limit:
    whichever has the smallest Schwarz criterion. No line is carried on beyond the measured r.

    Raises:
        InputError: fewer than 20 devices, fewer than 4 times of one after t0, a target outside 0 to g_max.
    """
    t0, told = _t0(base, options)
    g_max = full_scale(table, "target" if "target" in table else "conductance", base, options, _margin(table))
    curves = _curves(table, t0)
    r = (curves.target if curves.target is not None else curves.level) / g_max
    found = Exponents(np.log(r), curves.nu, curves.error)
    if found.nu.mean() <= 0:
        raise table.failed(f"{table.label}: conductances rise with time on average; this is no drift as law pcm has it")
    law = best_law(found)
    parameters, choices = law.section("drift")
    goodness = (uniform(found.surprises(*law.moments(found.x)), "Kolmogorov-Smirnov distance of the exponents"),)
    x = np.linspace(found.x.min(), found.x.max(), 200)
    mu, s = law.moments(x)
    return Fit(
        kind="drift", section="drift", law="pcm", base=BASE, parameters=tuple(parameters),
        choices=(Choice("drift.t0", format_quantity(t0, "s", None), told), *choices, *range_choices(base, options)),
        goodness=goodness, data=f"{curves.used:,} reads of {len(r):,} devices",
        notes=curves.notes, doubts=tuple(doubts(goodness, "the normal law of the exponents")),
        series={
            "device": curves.device, "t": curves.t / t0, "g": curves.relative, "r": r, "nu": curves.nu,
            "error": curves.error, "grid": np.exp(x), "mu": mu, "s": s,
        },
    )  # fmt: skip


def _margin(table: Table) -> float:
    return 1.0 if "target" in table else MARGIN


def _t0(base: HardwareProfile, options: Options) -> tuple[float, str]:
    """Return t0 and where it is from."""
    if options.t0 is not None:
        return options.t0, "the time the fit was told"
    drift = base.drift if isinstance(base.drift, PcmDrift) else load(BASE).drift
    assert isinstance(drift, PcmDrift)
    return drift.t0, f"as in profile {base.name if isinstance(base.drift, PcmDrift) else BASE}"


class _Curves(NamedTuple):
    """Power laws of the devices.

    Args:
        nu, error: (D,) exponents and their standard errors.
        level: (D,) conductance at t0, siemens.
        target: (D,) targets, siemens, or None.
        device, t, relative: of every read used: device, seconds, conductance over `level`.
        used: reads used.
        notes: what was left out.
    """

    nu: np.ndarray
    error: np.ndarray
    level: np.ndarray
    target: np.ndarray | None
    device: np.ndarray
    t: np.ndarray
    relative: np.ndarray
    used: int
    notes: tuple[str, ...]


def _curves(table: Table, t0: float) -> _Curves:
    """Fit ln G = ln G_p - nu ln(t / t0) + noise to each device, in quasi-likelihood with relative noise.

    A read of mean mu and standard deviation in proportion to mu: the estimating equations are those
    of least squares in (G - mu) / mu, so that the noise does not bend the curve as its logarithm would.
    """
    early = table["time"] < t0 * (1 - 1e-9)
    groups = [rows[~early[rows]] for rows in table.groups("device")]
    _check(table, groups, t0)
    nu, level, error = (np.empty(len(groups)) for _ in range(3))
    relative = []
    for i, rows in enumerate(groups):
        x, g = np.log(table["time"][rows] / t0), table["conductance"][rows]
        level[i], nu[i], error[i] = _power_law(x, g)
        relative.append(g / level[i])
    freedom = np.array([len(rows) - 2 for rows in groups])
    error = _smoothed(error, freedom, np.log(level))
    rows = np.concatenate(groups)
    notes = (f"{int(early.sum()):,} reads before t0 are left out",) if early.any() else ()
    target = np.array([table["target"][rows[0]] for rows in groups]) if "target" in table else None
    device = np.repeat(np.arange(len(groups)), [len(rows) for rows in groups])
    return _Curves(nu, error, level, target, device, table["time"][rows], np.concatenate(relative), len(rows), notes)


def _check(table: Table, groups: list[np.ndarray], t0: float) -> None:
    """Refuse devices without enough reads, without conductance, or whose target changes."""
    if len(groups) < LEAST_DEVICES:
        text = f"{len(groups)} devices; the spread of the exponents needs at least {LEAST_DEVICES}"
        raise table.failed(f"{table.label}: {text}")
    for original, rows in zip(table.groups("device"), groups, strict=True):
        name = table.label_of("device", original[0])
        if len(np.unique(table["time"][rows])) < LEAST_TIMES:
            text = (
                f"device '{name}' was read at {len(np.unique(table['time'][rows]))} times from t0, "
                f"'{format_quantity(t0, 's')}', on; a power law needs {LEAST_TIMES}: leave it out, or state --t0"
            )
            raise table.wrong(original[:1], "time", text)
        if table["conductance"][rows].mean() <= 0:
            raise table.wrong(rows[:1], "conductance", f"device '{name}' conducts nothing; leave it out")
        if "target" in table and (np.ptp(table["target"][rows]) > 0 or table["target"][rows[0]] <= 0):
            raise table.wrong(rows[:1], "target", f"device '{name}' needs one target above 0 S for all its reads")


def _power_law(x: np.ndarray, g: np.ndarray) -> tuple[float, float, float]:
    """Return G_p, nu and the standard error of nu for one device."""
    design = np.column_stack([np.ones_like(x), -x])
    theta = np.array([math.log(g.mean()), 0.0])
    for _ in range(50):
        mean = np.exp(design @ theta)
        step = np.linalg.lstsq(design, (g - mean) / mean, rcond=None)[0]
        step = np.clip(step, -1.0, 1.0)
        theta = theta + step
        if np.abs(step).max() < 1e-10:
            break
    residual = g / np.exp(design @ theta) - 1
    variance = float((residual**2).sum() / (len(x) - 2) / ((x - x.mean()) ** 2).sum())
    return math.exp(theta[0]), float(theta[1]), math.sqrt(variance)


def _smoothed(error: np.ndarray, freedom: np.ndarray, log_level: np.ndarray) -> np.ndarray:
    """Return errors whose logarithm is a line in ln G: few reads a device tell its own noise badly."""
    from scipy.special import digamma

    safe = np.maximum(error, 1e-12 * max(1e-300, float(error.max())))
    bias = digamma(freedom / 2) / 2 - np.log(freedom / 2) / 2  # of the mean logarithm of a standard deviation
    line = np.polyfit(log_level, np.log(safe) - bias, 1 if np.ptp(log_level) > 0.1 else 0, w=np.sqrt(freedom))
    return np.exp(np.polyval(line, log_level))
