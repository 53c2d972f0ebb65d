"""Measure a two-state junction against its drive: occupancy, and how fast it forgets."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from neuroanp.characterizing.bench import Bench
from neuroanp.characterizing.result import At, Axis, Measurement, Moment, Panel, Series
from neuroanp.characterizing.statistics import deviation, mean, share
from neuroanp.devices.junction import Junction
from neuroanp.devices.switched import at_temperature

if TYPE_CHECKING:
    from neuroanp.profiles import HardwareProfile

RARE = 0.02
"""Drives are taken from where the upper state is this rare to where the lower one is."""
DRIVES, FINE = 17, 161
TOLD = (0, 8, 12)
"""Indices of the drives in the table of moments."""
READS = 16
"""Reads that a stochastic neuron averages."""


def applies(profile: HardwareProfile) -> bool:
    """Tell whether the source is a junction that a drive biases."""
    return isinstance(profile.stochastic, Junction)


def measure(bench: Bench) -> Measurement:
    """Drive many junctions as stochastic neurons and average their reads, half a correlation time apart.

    E = p(v),  Var of n reads as the law states it,  P(two reads differ) = 2 p (1-p) (1 - e^{-spacing/tau_c})
    """
    law: Any = at_temperature(bench.profile.stochastic, bench.profile.temperature)
    low, high = (_drive(law, p) for p in (RARE, 1.0 - RARE))
    drives = np.linspace(low, high, DRIVES)
    found = [_reads(bench, law, float(v), index) for index, v in enumerate(drives)]
    moments = [row for i in TOLD for row in _rows(law, float(drives[i]), *found[i])]
    moments.append(_power(bench, law))
    what = "bias" if law.bias is not None else "supply of the divider"
    return Measurement(
        "bias",
        "Occupancy and speed against bias",
        f"{bench.devices:,} junctions at each of {DRIVES} drives ({what}), read {READS} times half a correlation time "
        "apart, as a stochastic neuron that averages its reads.",
        tuple(moments),
        _panels(law, drives, np.linspace(low, high, FINE), found, Axis(what, "V")),
    )


def _power(bench: Bench, law: Any) -> Moment:
    """Return what the dividers of junctions burn at the profile's own drive, by the states that they are found in."""
    v = float(law.bias if law.bias is not None else law.v_dd)
    in_ap = _reads(bench, law, v, DRIVES)[0]
    r_p, r_ap = law.resistances
    power = law.v_dd**2 * ((1.0 - in_ap) / (law.r_load + r_p) + in_ap / (law.r_load + r_ap))
    return Moment("power of a divider", (At("drive", v, "V"),), "W", *mean(power), law.static_power)


def _drive(law: Any, wanted: float) -> float:
    """Return the drive at which the occupancy is `wanted`, or where the law ends before; by bisection."""
    start = float(law.bias if law.bias is not None else law.v_dd)

    def above(v: float) -> bool:
        return law.occupancy(v) > wanted

    sign = -1.0 if above(start) else 1.0
    return _bisect(above, start, sign, 1e-3 * max(abs(start), 1e-3))


def _bisect(above: Callable[[float], bool], start: float, sign: float, step: float) -> float:
    """Go from `start` in growing steps until `above` changes, then halve; stop short of where it is undefined."""
    first, inside, size = above(start), start, step
    while size > 1e-9 * max(abs(start), 1e-3):
        try:
            crossed = above(inside + sign * size) != first
        except ValueError:
            crossed = True
        if crossed:
            size /= 4.0
        else:
            inside += sign * size
            size *= 2.0
    return inside


def _reads(bench: Bench, law: Any, v: float, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Return of every junction the mean of READS reads, and whether its first two reads differ."""
    u = torch.from_numpy(bench.rng("bias", index).random((READS, bench.devices)))
    drive, spacing = torch.full((bench.devices,), v, dtype=torch.float64), 0.5 * law.correlation_time(v)
    pair = law.neuron(drive, u[:2], spacing)
    return law.neuron(drive, u, spacing).numpy(), (pair == 0.5).numpy()


def _rows(law: Any, v: float, averaged: np.ndarray, differ: np.ndarray) -> tuple[Moment, ...]:
    p, spacing = law.occupancy(v), 0.5 * law.correlation_time(v)
    at = (At("drive", v, "V"),)
    reads = (*at, At("reads", READS))
    return (
        Moment("occupancy", at, "", *mean(averaged), p),
        Moment(
            "sd of averaged reads", reads, "", *deviation(averaged), math.sqrt(law.neuron_variance(v, READS, spacing))
        ),
        Moment("share of pairs that differ", at, "", *share(differ), 2.0 * p * (1.0 - p) * -math.expm1(-0.5)),
    )


def _panels(
    law: Any, drives: np.ndarray, fine: np.ndarray, found: list[tuple[np.ndarray, np.ndarray]], axis: Axis
) -> tuple[Panel, ...]:
    p = np.array([law.occupancy(v) for v in fine])
    sd = np.sqrt([law.neuron_variance(v, READS, 0.5 * law.correlation_time(v)) for v in fine])
    dwells = np.array([[*law.dwells(v), law.correlation_time(v)] for v in fine]).T
    occupancy = (
        Series("sampled", drives, np.array([one.mean() for one, _ in found])),
        Series("closed form", fine, p, "line"),
    )
    resistance: tuple[Panel, ...] = ()
    if law.v_half is not None:
        over = np.linspace(0.0, 2.0 * law.v_half, FINE)
        curve = Series("closed form", over, law.r_p * (1.0 + law.tmr_at(over)), "line")
        resistance = (Panel("resistance of AP", Axis("voltage over the junction", "V"), Axis("R_AP", "ohm"), (curve,)),)
    spread = (
        Series(f"mean of {READS} reads, sampled", drives, np.array([one.std(ddof=1) for one, _ in found])),
        Series("closed form", fine, sd, "line"),
        Series("one read", fine, np.sqrt(p * (1.0 - p)), "line", group=-1),
    )
    times = (
        Series("correlation time, sampled", drives, _correlation_times(law, drives, found)),
        Series("", fine, dwells[2], "line"),
        Series("dwell time in P", fine, dwells[0], "line", group=1),
        Series("dwell time in AP", fine, dwells[1], "line", group=2),
    )
    return (
        Panel("occupancy of AP", axis, Axis("P(AP)"), occupancy),
        Panel("sd of a stochastic neuron", axis, Axis("sd"), spread),
        Panel("times", axis, Axis("time", "s", log=True), times),
        *resistance,
    )


def _correlation_times(law: Any, drives: np.ndarray, found: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Return tau_c from how often two reads differ: rho = 1 - P(differ) / (2 p (1-p)), tau_c = -spacing / ln rho."""
    taus = []
    for v, (_, differ) in zip(drives, found, strict=True):
        p, spacing = law.occupancy(v), 0.5 * law.correlation_time(v)
        rho = 1.0 - float(differ.mean()) / (2.0 * p * (1.0 - p))
        taus.append(-spacing / math.log(rho) if 0.0 < rho < 1.0 else math.nan)
    return np.array(taus)
