"""Measure where the codes of many converters change, against where they would without errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from neuroanp.characterizing.bench import Bench
from neuroanp.characterizing.result import At, Axis, Measurement, Moment, Panel, Series
from neuroanp.characterizing.statistics import deviation
from neuroanp.substrates.periphery import quantiser, sensor
from neuroanp.substrates.transitions import codes_of, drawn

if TYPE_CHECKING:
    from neuroanp.profiles import HardwareProfile

SHARES = (0.25, 0.5)
"""Of the range, where the integral nonlinearity is told."""
SHOWN = 5
"""Converters whose nonlinearity is drawn."""


def applies(profile: HardwareProfile) -> bool:
    """Tell whether the profile states the nonlinearity of its ADCs."""
    adc = sensor(profile)
    return adc is not None and bool(adc.dnl_sd or adc.inl_sd)


def measure(bench: Bench) -> Measurement:
    """Draw converters as arrays do.

    Expected are sd L = sqrt(dnl_sd^2 K s (1 - s) + inl_sd^2 (4 s (1 - s))^2) at the share s of the range.
    """
    adc = sensor(bench.profile)
    assert adc is not None
    q = quantiser(adc.bits, adc.coding, 1.0)
    low, high = codes_of(q)
    K, dnl, inl = high - low + 1, adc.dnl_sd or 0.0, adc.inl_sd or 0.0
    count = max(100, min(bench.devices, 4_000_000 // K))
    like = torch.empty(0, dtype=torch.float64)
    ideal = low + 0.5 + np.arange(K - 1)
    off = drawn(bench.rng("converters"), (1, count), q, dnl, inl, like)[0].numpy() - ideal
    s = np.arange(1, K) / K
    wanted = np.sqrt(dnl**2 * K * s * (1 - s) + inl**2 * (4 * s * (1 - s)) ** 2)
    places = sorted({max(0, round(share * K) - 1) for share in SHARES})
    moments = [
        Moment("sd of the INL", (At("code", float(ideal[k] + 0.5)),), "", *deviation(off[:, k]), float(wanted[k]))
        for k in places
    ]
    curves = [Series("", ideal, off[i], "device") for i in range(min(SHOWN, count))]
    curves += [Series("sd over converters", ideal, off.std(0), group=1), Series("", ideal, wanted, "line", group=1)]
    return Measurement(
        "converters",
        "Converters",
        f"{count:,} converters of {adc.bits} bits: how far the transitions between codes lie from where they would, in "
        "codes.",
        tuple(moments),
        (Panel("integral nonlinearity", Axis("code"), Axis("INL, codes"), tuple(curves)),),
    )
