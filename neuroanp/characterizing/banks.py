"""Measure a bank of junctions that are not alike: what each one's numbers are, against how they are drawn."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from neuroanp.characterizing.bench import Bench
from neuroanp.characterizing.result import Axis, Measurement, Moment, Panel, Series
from neuroanp.characterizing.statistics import deviation, mean
from neuroanp.devices.junction import Junction
from neuroanp.devices.one_over_f import OneOverFSource
from neuroanp.devices.ornstein_uhlenbeck import OrnsteinUhlenbeck
from neuroanp.devices.rtn import RtnSource
from neuroanp.devices.smtj import Koenders
from neuroanp.devices.switched import at_temperature

if TYPE_CHECKING:
    from neuroanp.profiles import HardwareProfile

BINS = 40
SIZED = (Koenders, RtnSource, OneOverFSource, OrnsteinUhlenbeck)
"""Laws whose sources differ in size and pace, by `bank_variance`."""


def applies(profile: HardwareProfile) -> bool:
    """Tell whether the sources of node noise differ."""
    law = profile.stochastic
    return isinstance(law, (Junction, *SIZED)) and law.bank is not None


def measure(bench: Bench) -> Measurement:
    """Draw the bank of as many units, and compare what its junctions do with the law of their numbers.

    With a bias and no self-heating ln(p/(1-p)) = 2 m Delta u, of independent Delta and u = (V - V50)/V_c:

        E = 2 m Delta u,  Var = (2 m Delta)^2 [(1 + delta_cv^2)(u^2 + (v50_sd/V_c)^2) - u^2]

    and for m = 1 Delta is ln(tau_c / tau0) + ln(2 cosh(Delta u)). sigma and tau_c have no closed form: their means and
    deviations are shown.
    """
    law: Any = at_temperature(bench.profile.stochastic, bench.profile.temperature)
    if isinstance(law, SIZED):
        return _of_sizes(bench, law)
    bank = law.bank(bench.rng("junctions"), bench.devices, torch.empty(0, dtype=torch.float64))
    p, tau_c = (x.flatten().numpy() for x in (bank.p, bank.tau_c))
    sigma = bank.sigmas.numpy()
    odds = np.log(p) - np.log1p(-p)
    expected, sd = _odds(law)
    quantities = (("ln of the odds AP : P", "", odds, expected, sd), ("correlation time", "s", tau_c, None, None),
                  ("sd of a unit's noise", "", sigma, None, None))  # fmt: skip
    moments = []
    for name, unit, samples, of_mean, of_sd in quantities:
        moments += [
            Moment(f"mean {name}", (), unit, *mean(samples), of_mean),
            Moment(f"sd of {name}", (), unit, *deviation(samples), of_sd),
        ]
    if law.exponent == 1 and law.bias is not None and not law.thermal_resistance:
        barrier = np.log(tau_c / law.tau0) + np.logaddexp(0.5 * odds, -0.5 * odds)
        moments += [
            Moment("mean barrier", (), "", *mean(barrier), law.barrier),
            Moment("sd of barrier", (), "", *deviation(barrier), law.barrier * (law.delta_cv or 0.0)),
        ]
    return Measurement(
        "junctions",
        "Differences between junctions",
        f"The junctions of {bench.devices:,} units, {law.n_sources} each, as they are drawn once for a chip.",
        tuple(moments),
        (
            Panel("occupancy of AP", Axis("p"), Axis("density"), (_density(p),)),
            Panel("correlation time", Axis("correlation time", "s"), Axis("density"), (_density(tau_c),)),
            Panel("noise of a unit", Axis("sd of a unit's noise"), Axis("density"), (_density(sigma),)),
        ),
    )


def _of_sizes(bench: Bench, law: Any) -> Measurement:
    """Draw sources that differ in size: E sigma_h^2 = sigma_h^2 (1 + c^2) where all of it spreads by c."""
    bank = law.bank(bench.rng("junctions"), bench.devices, torch.empty(0, dtype=torch.float64))
    sigma = bank.sigmas.numpy()
    moments = (
        Moment("mean variance of a unit's noise", (), "", *mean(sigma**2), law.bank_variance),
        Moment("mean sd of a unit's noise", (), "", *mean(sigma), None),
        Moment("sd of sd of a unit's noise", (), "", *deviation(sigma), None),
    )
    return Measurement(
        "junctions",
        "Differences between sources",
        f"The sources of {bench.devices:,} units, {law.n_sources} each, as they are drawn once for a chip.",
        moments,
        (Panel("noise of a unit", Axis("sd of a unit's noise"), Axis("density"), (_density(sigma),)),),
    )


def _odds(law: Junction) -> tuple[float | None, float | None]:
    """Return mean and standard deviation of ln(p/(1-p)) over junctions, or None where there is no closed form."""
    if law.bias is None or law.thermal_resistance:
        return None, None
    slope, u = 2.0 * law.exponent * law.barrier, (law.bias - law.v50) / law.critical_voltage
    of_u, of_barrier = (law.v50_sd or 0.0) / law.critical_voltage, law.delta_cv or 0.0
    return slope * u, slope * math.sqrt((1.0 + of_barrier**2) * (u * u + of_u**2) - u * u)


def _density(samples: np.ndarray) -> Series:
    density, edges = np.histogram(samples, bins=BINS, density=True)
    return Series("sampled", (edges[1:] + edges[:-1]) / 2.0, density, "steps")
