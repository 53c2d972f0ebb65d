"""Fit several fluctuators on a 1/f background, or that background alone, and hold them to the trace.

What a trace says of them is in `fluctuator_model`, how many there are in `fluctuator_search`, what is allowed of the
distance between law and trace in `replay`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from neuroanp.devices.one_over_f import END
from neuroanp.fitting import fluctuator_model as model
from neuroanp.fitting import replay
from neuroanp.fitting.estimate import Estimate
from neuroanp.fitting.fluctuator_model import PLAIN
from neuroanp.fitting.fluctuator_search import MOST, Found, search, without_background
from neuroanp.fitting.result import Choice, Goodness, Parameter
from neuroanp.fitting.sketch import sketch
from neuroanp.fitting.trace_record import Record
from neuroanp.units import format_quantity

FEW = 10
"""Switches that tell dwell times to about a third."""


class Fluctuating(NamedTuple):
    """What a trace says of a law of fluctuators.

    Args:
        parameters, choices, goodness, notes, doubts: as in `Fit`. sigma: standard deviation of the law, SI.
        series: what the figure shows. level: one level, and white noise alone.
    """

    parameters: tuple[Parameter, ...]
    choices: tuple[Choice, ...]
    goodness: tuple[Goodness, ...]
    notes: tuple[str, ...]
    doubts: tuple[str, ...]
    sigma: float
    series: dict[str, np.ndarray]
    level: bool


def fitted(record: Record) -> Fluctuating:
    """Fit the law to a trace; see the module."""
    data = sketch(record.v)
    found = search(data, record.v)
    found = found._replace(theta=_ordered(found.theta))
    own = replay.own_records(found)
    estimate = replay.uncertain(found, own)
    goodness, doubts = replay.held(record.v, found.theta, data, own, record.dt)
    section = "stochastic" if record.unit == "V" else "read"
    law = model.law_of(found.theta)
    sigma = record.scale * math.sqrt(law.white**2 + law.slow**2 + float(law.variances.sum()))
    plain = without_background(found.theta)
    return Fluctuating(
        tuple(_parameters(record, estimate, section)),
        () if plain else (Choice(f"{section}.background.per_decade", 2, "a choice: f S(f) constant within 2 %"),),
        goodness, (*_notes(record, found), *_not_told(estimate)), tuple(doubts), sigma, _series(record, found.theta),
        level=not len(law.size) and plain,
    )  # fmt: skip


def _ordered(theta: np.ndarray) -> np.ndarray:
    """Return the law with its fluctuators in order of their sizes, the largest first."""
    parts = theta[PLAIN:].reshape(3, -1)
    return np.concatenate([theta[:PLAIN], parts[:, np.argsort(-parts[0], kind="stable")].ravel()])


def _parameters(record: Record, found: Estimate, section: str) -> list[Parameter]:
    """Return the section's numbers: volts of a source, fractions of the mean of a conductance; times in seconds."""
    dt, k = record.dt, model.count_of(found.theta)
    volts = section == "stochastic"
    unit = "V" if volts else ""

    def size(t: np.ndarray) -> float:
        return record.scale if volts else record.scale / (record.middle + record.scale * t[0])

    def density(t: np.ndarray) -> float:
        return 1 / (t[4] + 2 / END)

    parameters = []
    for i in range(k):
        at = f"{section}.fluctuators[{i}]"
        parameters += [
            found.parameter(f"{at}.tau_high", "s", lambda t, i=i: dt * math.exp(t[PLAIN + k + i]), "log"),
            found.parameter(f"{at}.tau_low", "s", lambda t, i=i: dt * math.exp(t[PLAIN + 2 * k + i]), "log"),
            found.parameter(f"{at}.amplitude", unit, lambda t, i=i: size(t) * math.exp(t[PLAIN + i]), "log"),
        ]
    if not without_background(found.theta):
        at = f"{section}.background"
        parameters += [
            found.parameter(f"{at}.f_low", "Hz", lambda t: math.exp(t[3] - t[4]) / dt, "log"),
            found.parameter(f"{at}.f_high", "Hz", lambda t: math.exp(t[3]) / dt, "log"),
            found.parameter(f"{at}.amplitude", unit, lambda t: size(t) * math.exp(t[2]) * math.sqrt(density(t)), "log"),
        ]
    parameters.append(found.parameter(f"{section}.white", unit, lambda t: size(t) * math.exp(t[1]), "log"))
    mean = found.parameter("mean", record.unit, lambda t: record.middle + record.scale * t[0], shown=True)
    return [*parameters, mean]


def _notes(record: Record, found: Found) -> list[str]:
    """Say how the number of fluctuators was chosen, and what the record does not tell of them."""
    law, n = model.law_of(found.theta), len(record.v)
    k, criteria = len(law.size), found.criteria
    chosen = int(np.argmin(criteria))
    notes = []
    if not k:
        notes.append(
            "one level: no telegraph signal shows in this trace (Schwarz's criterion of one fluctuator is larger by "
            f"{criteria[1] - criteria[0]:.3g}); its noise is " + ("white" if without_background(found.theta) else "1/f")
        )
    else:
        notes.append(
            f"{k} fluctuators: Schwarz's criterion is smaller than that of one level by "
            f"{criteria[0] - criteria[chosen]:.3g}"
            + (f"; {k - chosen} more than it asks for, to hold the law to the trace" if k > chosen else "")
        )
    if k == MOST:
        notes.append(f"{MOST} fluctuators are the most that are looked for; there may be more")
    noise = math.hypot(law.white, law.slow)
    for i in range(k):
        switches = 2 * n / (law.high[i] + law.low[i])
        if switches < FEW:
            needed = format_quantity(record.dt * (law.high[i] + law.low[i]) * FEW / 2, "s", 2)
            notes.append(
                f"fluctuator {i} switches about {max(1, round(switches))} times in this record, so that its dwell "
                f"times are little more than this record's own; {FEW} switches take {needed}"
            )
        if law.size[i] < noise:
            shown = [format_quantity(record.scale * x, record.unit, 2) for x in (law.size[i], noise)]
            notes.append(
                f"fluctuator {i} of {shown[0]} is smaller than the noise about it, {shown[1]}: it shows in the "
                "spectrum alone, where Gaussian noise of its correlation time would look the same"
            )
    return notes


def _not_told(estimate: Estimate) -> list[str]:
    """Say which numbers the record does not tell, so that their intervals mean nothing."""
    k = model.count_of(estimate.theta)
    names = ["mean", "white", "background.amplitude", "background.f_high", "background.f_low"]
    names += [f"fluctuators[{i}].{what}" for what in ("amplitude", "tau_high", "tau_low") for i in range(k)]
    lost = [name for name, unknown in zip(names, replay.unknown_of(estimate), strict=True) if unknown]
    if not lost:
        return []
    return [f"this record does not tell {', '.join(lost)}: other values do as well; record longer, or faster"]


def _series(record: Record, theta: np.ndarray) -> dict[str, np.ndarray]:
    """Return what the figure shows: trace, histogram and spectrum with the law's."""
    data = sketch(record.v)
    every = slice(None, None, max(1, len(record.v) // 20_000))
    x = np.linspace(data.edges[0], data.edges[-1], 800)
    density = np.gradient(model.distribution(theta, x), x) / record.scale
    return {
        "t": record.dt * np.arange(len(record.v))[every],
        "piece": (record.middle + record.scale * record.v)[every],
        "edges": record.middle + record.scale * data.edges,
        "share": data.share,
        "x": record.middle + record.scale * x,
        "density": density,
        "f": data.f / record.dt,
        "power": 2 * record.dt * record.scale**2 * data.power,
        "law": 2 * record.dt * record.scale**2 * model.spectrum(theta, data.f),
    }
