"""Measure what a verified write leaves: error against target."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from neuroanp.characterizing.bench import Bench
from neuroanp.characterizing.pulsing import Pulser
from neuroanp.characterizing.result import At, Axis, Measurement, Moment, Panel, Series
from neuroanp.characterizing.statistics import deviation, mean, rectified, share
from neuroanp.devices.device import Device
from neuroanp.devices.draws import uniform

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.profiles import HardwareProfile

Moments = tuple[np.ndarray, np.ndarray]

LEVELS, FINE = 21, 201
"""Targets that are sampled, and points of a closed form."""
LEVELS_VERIFIED, BUDGET, FEWEST = 11, 1e7, 100
"""Where a verified write takes single pulses, targets, what all writes may take if each takes the most, and
the fewest devices for a target."""
PULSED = ("d2d", "c2c", "write_noise")
"""What pulses bring along where writes are verified by pulses."""
SHOWN = 5
"""Levels in the table of moments, from g_min to g_max."""


def applies(profile: HardwareProfile) -> bool:
    """Tell whether writes of the profile can be verified."""
    return Device(profile).can_program


def measure(bench: Bench) -> Measurement:
    """Program devices to levels between g_min and g_max and read them back without noise.

        expected: moments of max(0, mu + sigma xi), mu what the law writes for xi = 0, sigma its own of G_target

    A device that is verified by pulses brings its own variability, and has no closed form.
    """
    law = bench.profile.programming
    if law is None:
        affordable = BUDGET / (LEVELS_VERIFIED * Pulser.of(bench.device()).most)
        bench = replace(bench, devices=min(bench.devices, max(int(affordable), FEWEST)))
    targets, fine = bench.levels(LEVELS if law is not None else LEVELS_VERIFIED), bench.levels(FINE)
    device, found, sent, missed = _program(bench, targets)
    moments, theory = _moments(targets.numpy(), found, _theory(device, targets)), _theory(device, fine)
    if law is None:
        moments += _effort(sent, missed)
    exact = device.programming is not None and device.programming.exact
    if exact:
        worst = float(np.abs(found - targets.numpy()[:, None]).max())
        moments = (Moment("largest error, all targets", (), "S", worst, 0.0, 0.0),)
    closed = None if theory is None else (fine.numpy(), *theory)
    return Measurement(
        "programming",
        "Programming error",
        f"{bench.devices:,} new devices for each of {len(targets)} targets, written and verified"
        f"{'' if law is not None else ' by pulses, starting from a random level'}; read without noise or drift.",
        moments,
        () if exact else _panels(targets.numpy(), found, closed, sent),
        ("Every write lands exactly on its target.",) if exact else (),
    )


def _program(bench: Bench, targets: Tensor) -> tuple[Device, np.ndarray, np.ndarray, np.ndarray | None]:
    """Return the device and, (targets, devices) each, conductances, pulses, and where the write failed (or None)."""
    by_law = bench.profile.programming is not None
    device = bench.device("programming_error", *(() if by_law else PULSED))
    rng = bench.rng("programming")
    cells = bench.fresh(device, len(targets), rng)
    wanted = bench.by_row(targets, device.planes).expand_as(cells["g"]).contiguous()
    if not by_law:  # by pulses it matters where a device comes from: here from anywhere in the range
        before = device.span.g_min + device.span.width * uniform(rng, tuple(wanted.shape), wanted)
        cells = device.place(cells, before, None, 0.0, rng)
    cells, pulses, gave_up = device.program(cells, wanted, None, 0.0, rng)
    missed = None if gave_up is None else bench.rows(gave_up)
    return device, bench.rows(device.conductance(cells, 0.0)), bench.rows(pulses), missed


def _theory(device: Device, targets: Tensor) -> Moments | None:
    """Return mean and standard deviation that the law expects, (targets,) siemens each, or None without a law."""
    law, g_max = device.programming, device.span.g_max
    if law is None:
        return None
    return rectified(law.write(targets, g_max, torch.zeros_like(targets)).numpy(), law.sigma(targets, g_max).numpy())


def _moments(levels: np.ndarray, found: np.ndarray, theory: Moments | None) -> tuple[Moment, ...]:
    rows = []
    for i in np.linspace(0, len(levels) - 1, SHOWN).round().astype(int):
        at = (At("target", float(levels[i]), "S"),)
        error = found[i] - levels[i]
        centre, spread = (None, None) if theory is None else (float(theory[0][i] - levels[i]), float(theory[1][i]))
        rows.append(Moment("mean error", at, "S", *mean(error), centre))
        rows.append(Moment("sd of the error", at, "S", *deviation(found[i]), spread))
    return tuple(rows)


def _effort(sent: np.ndarray, missed: np.ndarray | None) -> tuple[Moment, ...]:
    """Return what write-verify took and where it gave up, over all targets."""
    rows = [Moment("pulses a write, all targets", (), "", *mean(sent.ravel().astype(float)))]
    if missed is not None:
        rows.append(Moment("share given up, all targets", (), "", *share(missed.ravel())))
    return tuple(rows)


def _panels(
    levels: np.ndarray, found: np.ndarray, closed: tuple[np.ndarray, np.ndarray, np.ndarray] | None, sent: np.ndarray
) -> tuple[Panel, ...]:
    """Return the curves; `closed` holds targets, means and standard deviations of the closed form.

    Where there is none, what write-verify took is shown in the place of the mean error.
    """
    target = Axis("target", "S")
    low, middle, high = np.quantile(found, [0.05, 0.5, 0.95], axis=1)
    after = (
        Series("median and 5–95 %", levels, middle, "points", low, high),
        Series("target", levels, levels, "line", group=-1),
    )
    spread = [Series("sampled", levels, np.array([deviation(row)[0] for row in found]))]
    if closed is None:
        low, _, high = np.quantile(sent, [0.05, 0.5, 0.95], axis=1)
        effort = Series("mean and 5–95 %", levels, sent.mean(axis=1), "points", low, high)
        third = Panel("pulses a write", target, Axis("pulses"), (effort,))
    else:
        fine, mean_, sd = closed
        spread.append(Series("closed form", fine, sd, "line"))
        off, error = mean_ - fine, 2.0 * sd / found.shape[1] ** 0.5
        offset = (
            Series("sampled", levels, found.mean(axis=1) - levels),
            Series("closed form ± 2 standard errors", fine, off, "line", off - error, off + error),
        )
        third = Panel("mean error", target, Axis("mean error", "S"), offset)
    return (
        Panel("conductance after the write", target, Axis("conductance", "S"), after),
        Panel("sd of the error", target, Axis("sd", "S"), tuple(spread)),
        third,
    )
