"""Fit a telegraph signal: two levels, exponential dwell times, white noise on top.

    v_t = mean + amplitude s_t + sigma_white xi_t,  s = +-1
    P(s_(t+dt) = +1 | s_t) = p + (1[s_t = +1] - p) exp(-dt / tau_c)
    p = tau_high / (tau_high + tau_low),  1 / tau_c = 1 / tau_high + 1 / tau_low

Dwell times come from the likelihood of the samples, not from thresholds: a dwell shorter than the
sampling interval dt, or hidden in the noise, biases nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from neuroanp.fitting import hmm
from neuroanp.fitting.estimate import Estimate, Undetermined
from neuroanp.fitting.goodness import doubts
from neuroanp.fitting.levels import looked_at
from neuroanp.fitting.options import Options
from neuroanp.fitting.result import Choice, Fit, Parameter
from neuroanp.fitting.table import CONDUCTANCE, TIME, VOLTAGE, Column, Table
from neuroanp.fitting.telegraph_goodness import more_levels, tests_of
from neuroanp.fitting.two_level import SAME_DWELL, estimate, flips
from neuroanp.profiles import HardwareProfile
from neuroanp.units import format_quantity

LAWS = ("rtn", "koenders")
BASE = "smtj_koenders"
LEAST_SAMPLES = 200
MOST_SAMPLES = 5_000_000
"""Beyond, the likelihood takes more than about 1 GiB of memory."""
LEAST_SWITCHES = 10
CORRELATED = 4
"""Standard errors by which the correlation of neighbouring samples must exceed zero."""
JITTER = 0.1
SIGMA = 0.02
"""Perturbation of a pre-activation by one source that the gain is chosen for."""

ONE_LEVEL = (
    "the trace has one level only, or two that the noise hides; record longer or at a bias where both states occur"
)


@dataclass(frozen=True)
class Record:
    """An evenly sampled trace.

    Args:
        v: (N,) standardised samples: mean 0, standard deviation 1.
        dt: seconds between samples.
        middle, scale: what was subtracted from the samples and what they were divided by.
        unit: SI unit of the samples.
    """

    v: np.ndarray
    dt: float
    middle: float
    scale: float
    unit: str


def columns(options: Options) -> list[Column]:
    """Return what the file must hold: time and the signal."""
    signal = Column("voltage", (VOLTAGE, CONDUCTANCE), header=options.column, also=("conductance",))
    return [Column("time", (TIME,)), signal]


def fit(table: Table, base: HardwareProfile, options: Options) -> Fit:
    """Fit a voltage as RtnSource or Koenders, a conductance as RtnRead.

    Koenders is fitted with one dwell time for both levels, as it has it; a likelihood ratio says
    whether they differ. The law is the one asked for, else that of a base the user named, else rtn.
    Intervals are from the curvature of the likelihood. Of 103 simulated records 94 held the true amplitude,
    where 98 are expected: chance has so few about once in 15 times, and slightly narrow intervals have too.

    Raises:
        InputError: uneven samples, gaps, one level only, too few switches, samples too far apart.
    """
    record = record_of(table)
    law = options.law or (_law_of(base) if options.extends else "rtn")
    if law == "koenders" and record.unit != "V":
        raise table.failed(f"{table.label}: law koenders takes volts, not {table.headers['voltage']}; fit --law rtn")
    try:
        free = estimate(record.v, same_dwell=False)
        found = estimate(record.v, True, free.theta) if law == "koenders" else free
    except Undetermined:
        raise table.failed(f"{table.label}: either {ONE_LEVEL}; or {_too_short(record)}") from None
    _check_two_levels(table, record, free)
    theta = SAME_DWELL @ found.theta if law == "koenders" else found.theta
    goodness = tests_of(record.v, theta)
    doubtful = more_levels(record.v, theta, record.middle, record.scale, lambda x: format_quantity(x, record.unit, 4))
    doubtful += doubts(goodness, "a telegraph signal in white noise")
    notes = looked_at(len(record.v))
    if law == "koenders":
        parameters, choices = _koenders(record, found)
        doubtful += _unequal(free, found)
    elif record.unit == "V":
        parameters, choices = _rtn_source(record, found)
        notes += _white_share(theta)
    else:
        parameters, choices = _rtn_read(record, found)
    notes += _gain(choices)
    section = "stochastic" if record.unit == "V" else "read"
    return Fit(
        kind="telegraph", section=section, law=law, base=BASE if record.unit == "V" else "rram_rtn",
        parameters=tuple(parameters), choices=tuple(choices), goodness=goodness,
        data=f"{len(record.v):,} samples, {format_quantity(record.dt, 's', 4)} apart",
        notes=tuple(notes), doubts=tuple(doubtful),
        series=_series(table, record, theta),
    )  # fmt: skip


def record_of(table: Table) -> Record:
    """Check that samples are evenly spaced and not constant; InputError with the line otherwise."""
    t, v = table["time"], table["voltage"]
    if len(t) > MOST_SAMPLES:
        text = f"{len(t):,} samples; a fit takes {MOST_SAMPLES:,} at most: cut a piece out"
        raise table.failed(f"{table.label}: {text}")
    dt = (t[-1] - t[0]) / (len(t) - 1)
    usual = float(np.median(np.diff(t)))
    steps = np.diff(t)
    back = np.flatnonzero(steps <= 0)
    if len(back):
        text = "time does not rise here; sort the rows, and write times with enough digits to tell samples apart"
        raise table.wrong(back + 1, "time", text)
    gaps = np.flatnonzero(steps > 1.5 * usual)
    if len(gaps):
        size = format_quantity(float(steps[gaps[0]]), "s", 3)
        text = f"a gap of {size} where samples are {format_quantity(usual, 's', 3)} apart; fit one gapless piece"
        raise table.wrong(gaps + 1, "time", text)
    uneven = np.flatnonzero(np.abs(steps - dt) > JITTER * dt)
    if len(uneven):
        text = f"samples are not evenly spaced (more than 10 % off {format_quantity(dt, 's', 3)}); resample the record"
        raise table.wrong(uneven + 1, "time", text)
    scale = float(v.std())
    if not scale > 1e-12 * float(np.abs(v).max()):
        raise table.failed(f"{table.label}: {table.headers['voltage']}: the trace is constant; there is nothing to fit")
    if len(np.unique(v)) == 2:
        text = "two values only, so that no white noise can be fitted; record the voltage before the comparator"
        raise table.failed(f"{table.label}: {table.headers['voltage']}: {text}")
    return Record((v - v.mean()) / scale, float(dt), float(v.mean()), scale, table.units["voltage"])


def _law_of(base: HardwareProfile) -> str:
    from neuroanp.devices.smtj import Koenders

    return "koenders" if isinstance(base.stochastic, Koenders) else "rtn"


def _check_two_levels(table: Table, record: Record, free: Estimate) -> None:
    """Refuse what two levels do not describe much better than one, or whose dwell the data do not fix."""
    n = len(record.v)
    one_level = -0.5 * n * (math.log(2 * math.pi) + 1)  # standardised samples
    if 2 * (free.loglik - one_level) < 3 * math.log(n) + 10:  # Schwarz's criterion: five parameters against two
        raise table.failed(f"{table.label}: {ONE_LEVEL}")
    a, b = flips(free.theta)
    switches = hmm.moments(record.v, free.theta[:2], math.exp(free.theta[2]), a, b).jumps
    count = float(switches[0, 1] + switches[1, 0])
    if count < LEAST_SWITCHES:
        text = f"{count:.0f} switches between the levels; a fit needs at least {LEAST_SWITCHES}: record longer"
        raise table.failed(f"{table.label}: {text}")
    rates = np.array([0, 0, 0, *np.exp(-free.theta[3:])])  # of dt / tau_c = -ln rho, by theta, up to the sign
    if math.sqrt(rates @ free.covariance @ rates) > 1 / CORRELATED:
        raise table.failed(f"{table.label}: {_too_short(record)}")


def _too_short(record: Record) -> str:
    dt = format_quantity(record.dt, "s", 3)
    return f"the dwell is too short to be seen by samples {dt} apart; sample several times a dwell"


def _unequal(free: Estimate, same: Estimate) -> list[str]:
    """Say whether the dwell times differ, by a likelihood ratio."""
    from scipy.special import chdtrc

    p = float(chdtrc(1, max(0.0, 2 * (free.loglik - same.loglik))))
    if p > 0.001:
        return []
    ratio = math.exp(free.theta[4] - free.theta[3])
    return [
        f"the high level lasts {ratio:.3g} times as long as the low one (likelihood ratio, p = {p:.1g}): "
        "koenders has one dwell for both: fit --law rtn"
    ]


def _white_share(theta: np.ndarray) -> list[str]:
    """Say what becomes of white noise that law rtn does not have."""
    share = math.exp(theta[2]) / (theta[1] - theta[0])
    if share < 0.1:
        return []
    return [f"white noise of {share:.2g} of the amplitude is taken for the instrument's; --law koenders keeps it"]


def _levels(record: Record, found: Estimate) -> list[Parameter]:
    """Return what every law shows beside its own parameters."""
    scale, middle, unit = record.scale, record.middle, record.unit
    return [
        found.parameter("level_low", unit, lambda t: middle + scale * t[0], shown=True),
        found.parameter("level_high", unit, lambda t: middle + scale * t[1], shown=True),
    ]


def _times(record: Record, found: Estimate, section: str) -> list[Parameter]:
    dt = record.dt
    return [
        found.parameter(f"{section}.tau_high", "s", lambda t: dt * math.exp(t[4]), "log"),
        found.parameter(f"{section}.tau_low", "s", lambda t: dt * math.exp(t[3]), "log"),
        found.parameter("tau_c", "s", lambda t: dt / (math.exp(-t[3]) + math.exp(-t[4])), "log", shown=True),
        found.parameter("occupancy", "", lambda t: 1 / (1 + math.exp(t[3] - t[4])), "logit", shown=True),
    ]


def _white(record: Record, found: Estimate, key: str, shown: bool) -> Parameter:
    return found.parameter(key, record.unit, lambda t: record.scale * math.exp(t[2]), "log", shown)


def _rtn_source(record: Record, found: Estimate) -> tuple[list[Parameter], list[Choice]]:
    """Return the section of RtnSource: amplitude = high - low, volts."""
    swing = found.parameter("stochastic.amplitude", "V", lambda t: record.scale * (t[1] - t[0]), "log")
    times = _times(record, found, "stochastic")
    parameters = [
        *times[:2], swing, *_levels(record, found), _white(record, found, "sigma_white", True), *times[2:],
    ]  # fmt: skip
    p = times[3].value
    return parameters, _of_a_source(swing.value * math.sqrt(p * (1 - p)))


def _rtn_read(record: Record, found: Estimate) -> tuple[list[Parameter], list[Choice]]:
    """Return the section of RtnRead: amplitude = (high - low) / mean conductance."""

    def relative(t: np.ndarray) -> float:
        mean = t[0] + (t[1] - t[0]) / (1 + math.exp(t[3] - t[4]))
        return record.scale * (t[1] - t[0]) / (record.middle + record.scale * mean)

    times = _times(record, found, "read")
    parameters = [
        *times[:2], found.parameter("read.amplitude", "", relative, "log"),
        *_levels(record, found), _white(record, found, "sigma_white", True), *times[2:],
    ]  # fmt: skip
    alone = "one device was measured; the spread between devices is not known"
    return parameters, [Choice("read.tau_decades", 0.0, alone, fallback=True)]


def _koenders(record: Record, found: Estimate) -> tuple[list[Parameter], list[Choice]]:
    """Return the section of Koenders: amplitude = (high - low) / 2, flip = (1 - exp(-2 dt / tau)) / 2."""
    scale, middle, dt = record.scale, record.middle, record.dt
    parameters = [
        found.parameter("stochastic.mean", "V", lambda t: middle + scale * (t[0] + t[1]) / 2),
        _white(record, found, "stochastic.sigma_white", False),
        found.parameter("stochastic.amplitude", "V", lambda t: scale * (t[1] - t[0]) / 2, "log"),
        found.parameter("stochastic.flip", "", lambda t: -math.expm1(-2 * math.exp(-t[3])) / 2, "logit"),
        *_levels(record, found),
        found.parameter("dwell", "s", lambda t: dt * math.exp(t[3]), "log", shown=True),
    ]
    return parameters, _of_a_source(math.hypot(parameters[1].value, parameters[2].value))


def _of_a_source(sigma: float) -> list[Choice]:
    """Return how a measured source drives a unit."""
    return [
        Choice("stochastic.n_sources", 1, "a choice; one source a unit", fallback=True),
        Choice("stochastic.kappa", 1.0, "a choice; the gain is in volts_per_unit", fallback=True),
        Choice(
            "stochastic.volts_per_unit", format_quantity(sigma / SIGMA, "V", 3),
            f"a choice; one source then perturbs a pre-activation by {SIGMA:g} (standard deviation)", fallback=True,
        ),
    ]  # fmt: skip


def _gain(choices: list[Choice]) -> list[str]:
    """Say that the strength of the perturbation is a choice: it hides how large the measured signal is."""
    return [
        f"the gain is no measurement: volts_per_unit is set to {choice.value}, so that one source perturbs a "
        f"pre-activation by {SIGMA:g} (standard deviation) however large the signal is; set it to what your circuit has"
        for choice in choices if choice.key == "stochastic.volts_per_unit"
    ]  # fmt: skip


def _series(table: Table, record: Record, theta: np.ndarray) -> dict[str, np.ndarray]:
    """Return what the figure shows: a piece of the trace with its likeliest levels, all samples, correlations."""
    a, b = flips(theta)
    dwell = math.exp(theta[3]) + math.exp(theta[4])
    n = min(len(record.v), max(100, min(4000, int(20 * dwell))))
    m = hmm.moments(record.v[:n], theta[:2], math.exp(theta[2]), a, b)
    levels = record.middle + record.scale * theta[:2]
    most = max(5, min(len(record.v) // 4, int(6 / -math.log1p(-min(a + b, 0.999)))))
    lags = np.unique(np.linspace(1, most, 40).astype(int))
    v = record.v
    return {
        "t": record.dt * np.arange(n),
        "piece": table["voltage"][:n],
        "decoded": np.where(m.high > 0.5, levels[1], levels[0]),
        "samples": table["voltage"],
        "levels": levels,
        "sigma": np.array([record.scale * math.exp(theta[2])]),
        "occupancy": np.array([a / (a + b)]),
        "lags": lags * record.dt,
        "correlation": np.array([float(np.mean(v[lag:] * v[:-lag])) for lag in lags]),
        "model": a * b / (a + b) ** 2 * (theta[1] - theta[0]) ** 2 * (1 - a - b) ** lags,
    }
