"""Measure how the current of a device bends with its voltage, and what that does to half-selected lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from neuroanp.characterizing.bench import Bench
from neuroanp.characterizing.result import At, Axis, Measurement, Moment, Panel, Series
from neuroanp.characterizing.statistics import mean
from neuroanp.devices.device import Device
from neuroanp.substrates.crossbar import Crossbar
from neuroanp.substrates.read import Reader
from neuroanp.substrates.wires_nonlinear import Unselected, read_one

if TYPE_CHECKING:
    from neuroanp.profiles import HardwareProfile

SHARES = (0.25, 0.5, 1.0)
"""Of the read voltage."""
SIZES = (2, 4, 8, 16)
"""Lines each way of the tiles whose sneak paths are solved."""
POINTS = 33


def applies(profile: HardwareProfile) -> bool:
    """Tell whether a profile's devices are not ohmic."""
    return profile.conductance.v_0 is not None


def measure(bench: Bench) -> Measurement:
    """Read devices at parts of the read voltage; read one at g_min among others at g_max, whose lines float.

    Expected are I / (G V) = sinh(V/V_0) / (V/V_0) of reads, and of n x n equal devices in floating lines the current
    of three groups in series, (n-1), (n-1)^2 and (n-1) devices, beside the one that is read: solved by bisection.
    """
    from neuroanp.units import format_quantity

    periphery, v_0 = bench.profile.periphery, bench.profile.conductance.v_0
    assert periphery is not None
    assert v_0 is not None
    volts = np.linspace(0.0, periphery.v_read, POINTS)
    moments = [_read(bench, share * periphery.v_read, v_0) for share in SHARES]
    moments += [_sneak(bench, n, periphery.v_read, v_0) for n in SIZES]
    span = bench.profile.conductance
    curves = tuple(
        Series(name, volts, current, "line", group=i)
        for i, (name, current) in enumerate(
            (("g_max", span.g_max * v_0 * np.sinh(volts / v_0)), ("the same, ohmic", span.g_max * volts))
        )
    )
    shares: list[Series] = []
    for i, how in enumerate(("floating", "grounded")):
        found = np.array([_hidden(bench, n, how, periphery.v_read, v_0) for n in SIZES])  # pyright: ignore
        shares.append(Series(f"unselected lines {how}", np.array(SIZES, dtype=float), found, group=i))
    shares.append(Series("floating, ohmic devices", np.array(SIZES, dtype=float), np.array(
        [_hidden(bench, n, "floating", periphery.v_read, None) for n in SIZES]
    ), group=2))  # fmt: skip
    return Measurement(
        "conduction",
        "Current and voltage",
        f"Devices at g_max read at parts of the read voltage, and one at g_min read among others at g_max, on ideal "
        f"lines; V_0 {format_quantity(v_0, 'V', 3)}.",
        tuple(moments),
        (
            Panel("current of a device", Axis("voltage", "V"), Axis("current", "A"), curves),
            Panel(
                "a device at g_min among others at g_max", Axis("lines each way"),
                Axis("current over that of the device alone"), tuple(shares),
            ),
        ),
    )  # fmt: skip


def _read(bench: Bench, volts: float, v_0: float) -> Moment:
    """Read devices at g_max through the array's own arithmetic, converters and noise off."""
    periphery, span = bench.profile.periphery, bench.profile.conductance
    assert periphery is not None
    device = Device(bench.profile, frozenset({"nonlinear_iv"}))
    array = Crossbar(bench.profile, device, (4, 1), bench.rng("conduction"), torch.float64)
    g = torch.full_like(array.cells["g"], span.g_max)
    g[1:] = span.g_min
    array.place(g, 0.0, bench.rng("conduction"))
    x = torch.full((1, 1), volts / periphery.v_read, dtype=torch.float64)
    y = Reader(array.prepare(0.0, 1e-3, lambda: g * 0, noise=False))(x)[0]
    held = array.to_weights(g)[:, 0] * x[0]
    expected = np.sinh(volts / v_0) / (volts / v_0) if not array.one_level else np.sinh(w := periphery.v_read / v_0) / w
    return Moment("I / (G V)", (At("voltage", volts, "V"),), "", *mean((y / held).numpy()), float(expected))


def _sneak(bench: Bench, n: int, volts: float, v_0: float) -> Moment:
    """Solve equal devices on floating lines, over the current of the device that is read."""
    g = bench.profile.conductance.g_max
    alone = g * v_0 * np.sinh(volts / v_0)
    found = read_one(np.full((n, n), g), 0, 0, volts, unselected="floating", v_0=v_0) / alone
    groups = np.array([n - 1, (n - 1) ** 2, n - 1], dtype=float)
    low, high = 0.0, float(alone * n * n)
    for _ in range(200):
        middle = 0.5 * (low + high)
        over = float((v_0 * np.arcsinh(middle / (groups * g * v_0))).sum()) > volts
        low, high = (low, middle) if over else (middle, high)
    return Moment("current with sneak paths", (At("lines each way", n),), "", found, 0.0, 1.0 + low / alone)


def _hidden(bench: Bench, n: int, how: Unselected, volts: float, v_0: float | None) -> float:
    """Return the current of the read of a device at g_min among others at g_max, over that of the device alone."""
    span = bench.profile.conductance
    G = np.full((n, n), span.g_max)
    G[0, 0] = span.g_min or 1e-3 * span.g_max
    alone = G[0, 0] * (volts if v_0 is None else v_0 * np.sinh(volts / v_0))
    return read_one(G, 0, 0, volts, unselected=how, v_0=v_0) / float(alone)
