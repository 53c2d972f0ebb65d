"""Fit a telegraph signal: two levels, exponential dwell times, white noise on top.

    v_t = mean + amplitude s_t + sigma_white xi_t,  s = +-1
    P(s_(t+dt) = +1 | s_t) = p + (1[s_t = +1] - p) exp(-dt / tau_c)
    p = tau_high / (tau_high + tau_low),  1 / tau_c = 1 / tau_high + 1 / tau_low

Dwell times come from the likelihood of the samples, not from thresholds: a dwell shorter than the
sampling interval dt, or hidden in the noise, biases nothing.
"""

from __future__ import annotations

import math

import numpy as np

from neuroanp.errors import InputError
from neuroanp.fitting import fluctuators, hmm
from neuroanp.fitting.estimate import Estimate, Undetermined
from neuroanp.fitting.goodness import doubts
from neuroanp.fitting.levels import looked_at
from neuroanp.fitting.node_circuit import node_circuit
from neuroanp.fitting.options import Options
from neuroanp.fitting.result import Choice, Fit, Parameter
from neuroanp.fitting.table import CONDUCTANCE, TIME, VOLTAGE, Column, Table
from neuroanp.fitting.telegraph_goodness import more_levels, tests_of
from neuroanp.fitting.trace_record import Record, record_of, unfit
from neuroanp.fitting.two_level import SAME_DWELL, estimate, flips
from neuroanp.profiles import HardwareProfile
from neuroanp.units import format_quantity

LAWS = ("rtn", "koenders", "fluctuators")
BASE = "smtj_koenders"
LEAST_SAMPLES = 200
LEAST_SWITCHES = 10
CORRELATED = 4
"""Standard errors by which the correlation of neighbouring samples must exceed zero."""

ONE_LEVEL = (
    "the trace has one level only, or two that the noise hides; record longer or at a bias where both states occur"
)


def columns(options: Options) -> list[Column]:
    """Return what the file must hold: time and the signal."""
    signal = Column("voltage", (VOLTAGE, CONDUCTANCE), header=options.column, also=("conductance",))
    return [Column("time", (TIME,)), signal]


def fit(table: Table, base: HardwareProfile, options: Options) -> Fit:
    """Fit a trace by the simplest law that describes it.

    Two levels in white noise come first: a voltage as RtnSource or Koenders, a conductance as RtnRead. Where they do
    not describe it, and no law was asked for, several fluctuators on a 1/f background do, of which one level without
    any is the first hypothesis. A law that was asked for, or that of a base the user named, is the only one tried.

    Raises:
        InputError: uneven samples, gaps, one level in white noise, too few switches, samples too far apart.
    """
    record = record_of(table)
    law = options.law or (_law_of(base) if options.extends else None)
    if law == "koenders" and record.unit != "V":
        raise table.failed(f"{table.label}: law koenders takes volts, not {table.headers['voltage']}; fit --law rtn")
    bad = unfit(table, record)
    if law == "fluctuators":
        return _several(table, record, base, options, bad, "")
    try:
        two = _two_levels(table, record, base, options, law or "rtn", bad)
    except InputError as error:
        if law is not None:
            raise
        refused = error.problems[0] if error.problems else error.message
        if _too_short(record) in refused and ONE_LEVEL not in refused:
            raise
        return _several(table, record, base, options, bad, refused.removeprefix(f"{table.label}: "), error)
    if law is not None or not two.doubts or bad:
        return two
    return _several(table, record, base, options, bad, two.doubts[0])


def _several(
    table: Table, record: Record, base: HardwareProfile, options: Options, bad: list[str], why: str,
    refusal: InputError | None = None,
) -> Fit:  # fmt: skip
    """Fit fluctuators on a 1/f background; `why` two levels do not do, in words, or "" where they were not tried."""
    found = fluctuators.fitted(record)
    if found.level:  # white noise and nothing else
        raise refusal or table.failed(f"{table.label}: {ONE_LEVEL}")
    fluctuating = sum(parameter.key.endswith("tau_high") for parameter in found.parameters)
    if refusal is not None and "switch" in why and fluctuating == 1 and not bad:  # the same signal, as few switches
        raise refusal
    source = record.unit == "V"
    choices, notes = node_circuit(base, options, found.sigma) if source else ([], _read_sigma(record, found.sigma))
    said = [f"one telegraph signal in white noise is not enough: {why}"] if why else []
    return Fit(
        kind="telegraph", section="stochastic" if source else "read", law="fluctuators",
        base=BASE if source else "rram_rtn", parameters=found.parameters, choices=(*choices, *found.choices),
        goodness=found.goodness, data=_data(record), notes=(*notes, *found.notes, *said),
        doubts=(*bad, *found.doubts, *(said if found.doubts else ())), series=found.series,
    )  # fmt: skip


def _data(record: Record) -> str:
    return f"{len(record.v):,} samples, {format_quantity(record.dt, 's', 4)} apart"


def _read_sigma(record: Record, sigma: float) -> list[str]:
    """Say how large the noise of a read is, and what of."""
    shown = [format_quantity(x, "S", 3) for x in (sigma, record.middle)]
    return [f"sigma of a read: {shown[0]}, {sigma / record.middle:.2%} of the mean conductance {shown[1]}"]


def _two_levels(
    table: Table, record: Record, base: HardwareProfile, options: Options, law: str, bad: list[str]
) -> Fit:  # fmt: skip
    """Fit one telegraph signal in white noise.

    Koenders is fitted with one dwell time for both levels, as it has it; a likelihood ratio says whether they differ.
    Intervals are from the curvature of the likelihood. Of 103 simulated records 94 held the true amplitude,
    where 98 are expected: chance has so few about once in 15 times, and slightly narrow intervals have too.
    """
    try:
        free = estimate(record.v, same_dwell=False)
        found = estimate(record.v, True, free.theta) if law == "koenders" else free
    except Undetermined:
        raise table.failed(f"{table.label}: either {ONE_LEVEL}; or {_too_short(record)}") from None
    _check_two_levels(table, record, free)
    theta = SAME_DWELL @ found.theta if law == "koenders" else found.theta
    goodness = tests_of(record.v, theta)
    doubtful = bad + more_levels(
        record.v, theta, record.middle, record.scale, lambda x: format_quantity(x, record.unit, 4)
    )
    doubtful += doubts(goodness, "a telegraph signal in white noise")
    notes = looked_at(len(record.v))
    choices: list[Choice] = []
    if law == "koenders":
        parameters, sigma = _koenders(record, found)
        doubtful += _unequal(free, found)
    elif record.unit == "V":
        parameters, sigma = _rtn_source(record, found)
        notes += _white_share(theta)
    else:
        parameters, choices = _rtn_read(record, found)
        sigma = 0.0
    if record.unit == "V":
        choices, gain = node_circuit(base, options, sigma)
        notes += gain
    return Fit(
        kind="telegraph", section="stochastic" if record.unit == "V" else "read", law=law,
        base=BASE if record.unit == "V" else "rram_rtn", parameters=tuple(parameters), choices=tuple(choices),
        goodness=goodness, data=_data(record), notes=tuple(notes), doubts=tuple(doubtful),
        series=_series(table, record, theta),
    )  # fmt: skip


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
        needed = format_quantity(record.length * LEAST_SWITCHES / max(count, 1.0), "s", 2)
        text = f"{count:.0f} switches between the levels; a fit needs at least {LEAST_SWITCHES}: record longer"
        text += f", about {needed}"
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


def _rtn_source(record: Record, found: Estimate) -> tuple[list[Parameter], float]:
    """Return the section of RtnSource, amplitude = high - low in volts, and the signal's standard deviation."""
    swing = found.parameter("stochastic.amplitude", "V", lambda t: record.scale * (t[1] - t[0]), "log")
    times = _times(record, found, "stochastic")
    parameters = [
        *times[:2], swing, *_levels(record, found), _white(record, found, "sigma_white", True), *times[2:],
    ]  # fmt: skip
    p = times[3].value
    return parameters, swing.value * math.sqrt(p * (1 - p))


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


def _koenders(record: Record, found: Estimate) -> tuple[list[Parameter], float]:
    """Return the section of Koenders, amplitude = (high - low) / 2, flip = (1 - exp(-2 dt / tau)) / 2, and its sd."""
    scale, middle, dt = record.scale, record.middle, record.dt
    parameters = [
        found.parameter("stochastic.mean", "V", lambda t: middle + scale * (t[0] + t[1]) / 2),
        _white(record, found, "stochastic.sigma_white", False),
        found.parameter("stochastic.amplitude", "V", lambda t: scale * (t[1] - t[0]) / 2, "log"),
        found.parameter("stochastic.flip", "", lambda t: -math.expm1(-2 * math.exp(-t[3])) / 2, "logit"),
        *_levels(record, found),
        found.parameter("dwell", "s", lambda t: dt * math.exp(t[3]), "log", shown=True),
    ]
    return parameters, math.hypot(parameters[1].value, parameters[2].value)


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
