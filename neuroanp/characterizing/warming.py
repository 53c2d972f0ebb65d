"""Measure devices at other temperatures: what they conduct, and how fast they drift."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from neuroanp.characterizing.bench import Bench
from neuroanp.characterizing.result import At, Axis, Measurement, Moment, Panel, Series
from neuroanp.characterizing.statistics import mean
from neuroanp.devices.device import Device
from neuroanp.devices.drift_table import PowerLawDrift
from neuroanp.devices.leak import Leak
from neuroanp.devices.pcm import PcmDrift
from neuroanp.profiles.arrhenius import log_acceleration

if TYPE_CHECKING:
    from neuroanp.profiles import HardwareProfile

STEPS = (-20.0, 25.0, 50.0)
"""Kelvin from the reference temperature."""
AGE = 3600.0
"""Seconds after the write."""
POINTS = 27


def applies(profile: HardwareProfile) -> bool:
    """Tell whether conductance or drift depends on the temperature by a law of Arrhenius, or linearly."""
    return profile.conductance.reference_temperature is not None or _activated(profile) is not None


def measure(bench: Bench) -> Measurement:
    """Put devices on half their range and read them at once, and an hour later, at some temperatures.

    Expected are f(T) = e^{-E_a/k_B (1/T - 1/T_ref)} or 1 / (1 + TCR (T - T_ref)) times what they conduct, and after t s
    what the same devices conduct at T_ref after t e^{E_a/k_B (1/T_ref - 1/T)}.
    """
    conductance, drift = bench.profile.conductance, _activated(bench.profile)
    moments: list[Moment] = []
    panels: list[Panel] = []
    if conductance.reference_temperature is not None:
        kelvins = np.linspace(STEPS[0], STEPS[-1], POINTS) + conductance.reference_temperature
        held = 0.5 * (conductance.g_min + conductance.g_max)
        found = np.array([_conducts(bench, T, 0.0, "conductance_temperature").mean() for T in kelvins])
        for step in STEPS:
            T = conductance.reference_temperature + step
            moments.append(
                Moment("mean conductance", (At("temperature", T, "K"),), "S",
                       *mean(_conducts(bench, T, 0.0, "conductance_temperature")), held * _factor(bench, T))
            )  # fmt: skip
        panels.append(Panel("conductance", Axis("temperature", "K"), Axis("conductance", "S"), (
            Series("sampled", kelvins, found),
            Series("closed form", kelvins, np.array([held * _factor(bench, T) for T in kelvins]), "line"),
        )))  # fmt: skip
    if drift is not None:
        assert drift.reference_temperature is not None
        assert drift.activation_energy is not None
        for step in STEPS:
            T = drift.reference_temperature + step
            faster = math.exp(log_acceleration(drift.activation_energy, drift.reference_temperature, T))
            at_once = _conducts(bench, drift.reference_temperature, AGE * faster, "drift")
            at = (At("temperature", T, "K"), At("age", AGE, "s"))
            moments.append(
                Moment(
                    "mean conductance after drift", at, "S", *mean(_conducts(bench, T, AGE, "drift")), at_once.mean()
                )
            )
    return Measurement(
        "temperature",
        "Temperature",
        f"{bench.devices:,} devices placed on half their range without error, at temperatures around the reference.",
        tuple(moments),
        tuple(panels),
    )


def _activated(profile: HardwareProfile) -> Leak | PcmDrift | PowerLawDrift | None:
    """Return a drift law that an activation energy speeds up, or None."""
    law = profile.drift
    return law if isinstance(law, Leak | PcmDrift | PowerLawDrift) and law.activation_energy is not None else None


def _factor(bench: Bench, kelvin: float) -> float:
    """Return f(T), written out once more."""
    figures = bench.profile.conductance
    reference = figures.reference_temperature
    assert reference is not None
    if figures.tcr is not None:
        return 1.0 / (1.0 + figures.tcr * (kelvin - reference))
    return math.exp(-(figures.activation_energy or 0.0) / 1.380649e-23 * (1.0 / kelvin - 1.0 / reference))


def _conducts(bench: Bench, kelvin: float, age: float, effect: str) -> np.ndarray:
    """Return what devices conduct some seconds after they were placed, (devices,) siemens."""
    device, rng = Device(bench.profile, frozenset({effect}), kelvin), bench.rng("temperature")
    cells = bench.fresh(device, 1, rng)
    target = torch.full_like(cells["g"], 0.5 * (device.span.g_min + device.span.g_max))
    return bench.rows(device.conductance(device.place(cells, target, None, 0.0, rng), age))[0]
