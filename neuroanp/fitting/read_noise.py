"""Fit the noise of reads from repeated reads of devices that hold different conductances.

    device,time_s,conductance_uS        time since the device was programmed
    a,100.0,5.31
    a,100.1,5.28

The law of phase-change memory needs the times: of its 1/f noise, reads within a window T show the
fresh part, L_w = ln(pi T / t_r) - 0.923. Without times only white noise can be fitted.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from neuroanp.devices.pcm import PcmRead
from neuroanp.fitting.estimate import Estimate, maximise
from neuroanp.fitting.goodness import chi_squared, doubts
from neuroanp.fitting.options import Options
from neuroanp.fitting.result import Choice, Fit, Goodness, Parameter
from neuroanp.fitting.scale import MARGIN, full_scale, range_choices
from neuroanp.fitting.table import CONDUCTANCE, TIME, Column, Table
from neuroanp.fitting.white import White
from neuroanp.profiles import HardwareProfile, load
from neuroanp.units import format_quantity

LAWS = ("pcm", "gaussian")
BASE = "pcm"
LEAST_READS = 5
LEAST_DEVICES = 3


def columns(options: Options) -> list[Column]:
    """Return what the file must hold: which device, when (for law pcm), and what was read."""
    return [
        Column("device", label=True),
        Column("time", (TIME,), optional=options.law != "pcm"),
        Column("conductance", (CONDUCTANCE,), header=options.column),
    ]


def fit(table: Table, base: HardwareProfile, options: Options) -> Fit:
    """Fit PcmRead or GaussianRead, whichever has the smaller Akaike criterion.

    The variance s^2 of n reads of one device is sigma^2 chi^2 / (n - 1) with n - 1 degrees of freedom.
    Where devices scatter more than that, not least because noise that stands still moves their mean,
    intervals are widened by the root of the reduced chi-squared (Birge, Phys. Rev. 40:207, 1932).

    Raises:
        InputError: fewer than 3 devices or 5 reads of one, reads that never differ, times that do not rise.
    """
    g_max = full_scale(table, "conductance", base, options, MARGIN)
    states = _States(table)
    guess = float(np.exp(np.mean(np.log(states.variance)) / 2))
    found: list[_Pcm | White] = []
    if options.law != "gaussian" and states.window is not None:
        found.append(_Pcm(states, g_max, _law(base), options))
    if options.law != "pcm":
        found.append(White(states.loglik, states.g, guess))
    best = min(found, key=lambda one: one.estimate.aic)
    law = "gaussian" if isinstance(best, White) else "pcm"
    parameters, choices = best.section("read")
    residuals = states.residuals(best.sigma(states.g))
    goodness = (
        chi_squared(
            residuals**2, len(best.estimate.theta), says="devices of like conductance scatter more unlike than reads do"
        ),
        _correlation(table, states),
    )
    doubtful = doubts(goodness if law == "gaussian" else goodness[:1], f"law {law}")
    notes: list[str] = []
    widened = math.sqrt(max(1.0, goodness[0].value))
    parameters = [_wider(parameter, widened) for parameter in parameters]
    if goodness[0].fails(0.05):
        notes.append(f"devices scatter more than chance allows: intervals are widened by {widened:.3g}")
    if goodness[1].fails() and law == "pcm":
        notes.append("successive reads are correlated; the intervals take them as independent and are too narrow")
    if states.window is None and options.law is None:
        notes.append("no column of times: law pcm, whose noise depends on them, was not tried")
    grid = np.geomspace(states.g.min() / 1.2, states.g.max() * 1.1, 100)
    return Fit(
        kind="read_noise", section="read", law=law, base=BASE, parameters=tuple(parameters),
        choices=(*choices, *range_choices(base, options)), goodness=goodness,
        data=f"{len(table):,} reads of {len(states.g):,} devices", notes=tuple(notes),
        doubts=tuple(doubtful),
        series={
            "g": states.g, "sd": np.sqrt(states.variance), "error": np.sqrt(states.variance / (4 * states.half)),
            "fitted": best.sigma(states.g), "grid": grid, "sigma": best.line(grid),
        },
    )  # fmt: skip


class _States:
    """Mean and variance of the reads of each device, with the degrees of freedom and the window of time."""

    def __init__(self, table: Table) -> None:
        groups = table.groups("device")
        for rows in groups:
            if len(rows) < LEAST_READS:
                name = table.label_of("device", rows[0])
                text = (
                    f"'{name}' was read {len(rows)} times; a variance needs at least {LEAST_READS} reads of each device"
                )
                raise table.wrong(rows[:1], "device", text)
        if len(groups) < LEAST_DEVICES:
            text = f"{len(groups)} devices; the noise against the conductance needs at least {LEAST_DEVICES}"
            raise table.failed(f"{table.label}: {text}")
        reads = [table["conductance"][rows] for rows in groups]
        self.rows = groups
        self.g = np.array([g.mean() for g in reads])
        self.variance = np.array([g.var(ddof=1) for g in reads])
        self.half = np.array([(len(g) - 1) / 2 for g in reads])
        still = np.flatnonzero(~(self.variance > 0))
        if len(still):
            rows = groups[still[0]]
            text = f"all reads of device '{table.label_of('device', rows[0])}' are the same; record with more digits"
            raise table.wrong(rows, "conductance", text)
        if np.any(self.g <= 0):
            raise table.wrong(groups[int(np.argmin(self.g))], "conductance", "a mean conductance of 0 S; leave it out")
        self.window = self.age = None
        if "time" in table:
            self.window, self.age = self._times(table, groups)

    @staticmethod
    def _times(table: Table, groups: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return the window each device's reads cover, one spacing for each read, and the age at its end."""
        for rows in groups:
            t = table["time"][rows]
            if t[0] < 0:
                raise table.wrong(rows[:1], "time", "a time before programming; count from the write")
            back = np.flatnonzero(np.diff(t) <= 0)
            if len(back):
                raise table.wrong(
                    rows[back + 1], "time", "time does not rise from read to read of a device; sort the rows"
                )
        first, last = (np.array([table["time"][rows[at]] for rows in groups]) for at in (0, -1))
        count = np.array([len(rows) for rows in groups])
        return (last - first) * count / (count - 1), last

    def loglik(self, sigma: np.ndarray) -> float:
        """Return the log likelihood of the variances for standard deviations sigma: s^2 ~ sigma^2 chi^2 / (n - 1)."""
        from scipy.special import gammaln

        if not np.all(sigma > 0):
            return -np.inf
        k, rate = self.half, self.half / sigma**2
        return float((k * np.log(rate) - gammaln(k) + (k - 1) * np.log(self.variance) - rate * self.variance).sum())

    def residuals(self, sigma: np.ndarray) -> np.ndarray:
        """Return standard normals made of the variances, if the reads of device i scatter by sigma_i."""
        from scipy.special import gammainc, ndtri

        return ndtri(np.clip(gammainc(self.half, self.half * self.variance / sigma**2), 1e-15, 1 - 1e-15))


class _Pcm:
    """sigma = Q G sqrt(L_w), Q = min(q / max(r^exponent, floor), q_max), r = G / g_max; floor and q_max are given."""

    def __init__(self, states: _States, g_max: float, law: PcmRead, options: Options) -> None:
        t_read = law.t_read if options.t_read is None else options.t_read
        self._law, self._given = law.model_copy(update={"t_read": t_read}), options.t_read is not None
        self._g_max, self._middle = g_max, float(np.exp(np.mean(np.log(states.g / g_max))))
        self._fresh = self._fresh_part(states)
        size = np.sqrt(states.variance / self._fresh) / states.g
        slope, level = np.polyfit(np.log(states.g / g_max / self._middle), np.log(size), 1)
        self._states = states
        self.estimate: Estimate = maximise(
            lambda theta: states.loglik(self._amplitude(theta, states.g) * states.g * np.sqrt(self._fresh)),
            np.array([level, -slope]),
        )

    def _fresh_part(self, states: _States) -> np.ndarray:
        """Return L_w of each device's window."""
        import torch

        if states.window is None or states.age is None:
            raise ValueError("law pcm needs times")
        pairs = zip(states.age.tolist(), states.window.tolist(), strict=True)
        logs = [float(self._law.split_log(torch.tensor(age, dtype=torch.float64), window)[0]) for age, window in pairs]
        return np.maximum(np.array(logs), 1e-12)

    def _amplitude(self, theta: np.ndarray, g: np.ndarray) -> np.ndarray:
        r = g / self._g_max
        power = np.maximum(r ** theta[1], self._law.floor)
        return np.minimum(self._q(theta) / power, self._law.q_max)

    def _q(self, theta: np.ndarray) -> float:
        return float(np.exp(theta[0]) * self._middle ** theta[1])

    def sigma(self, g: np.ndarray) -> np.ndarray:
        """Return the fitted standard deviation of each device's reads, siemens."""
        return self._amplitude(self.estimate.theta, g) * g * np.sqrt(self._fresh)

    def line(self, g: np.ndarray) -> np.ndarray:
        """Return the standard deviation at any conductances for the median window, siemens."""
        return self._amplitude(self.estimate.theta, g) * g * float(np.sqrt(np.median(self._fresh)))

    def section(self, name: str) -> tuple[list[Parameter], list[Choice]]:
        """Return q and exponent, and what of the law the reads do not show."""
        parameters = [
            self.estimate.parameter(f"{name}.q", "", self._q, "log"),
            self.estimate.parameter(f"{name}.exponent", "", lambda t: float(t[1])),
        ]
        kept = "not fitted: as in profile pcm"
        choices = [
            Choice(f"{name}.floor", self._law.floor, kept, fallback=True),
            Choice(f"{name}.q_max", self._law.q_max, kept, fallback=True),
        ]
        t_read, told = format_quantity(self._law.t_read, "s", None), "the read time the fit was told"
        choices.append(Choice(f"{name}.t_read", t_read, told if self._given else kept, fallback=not self._given))
        if self._given:
            choices.append(Choice("periphery.t_read", t_read, told))
        return parameters, choices


def _law(base: HardwareProfile) -> PcmRead:
    """Return the base's own law of phase-change memory, or that of profile pcm."""
    read = base.read if isinstance(base.read, PcmRead) else load(BASE).read
    assert isinstance(read, PcmRead)
    return read


def _correlation(table: Table, states: _States) -> Goodness:
    """Test that successive reads of a device are independent of each other."""
    from scipy.special import ndtr

    z = [
        (table["conductance"][rows] - g) / math.sqrt(v)
        for rows, g, v in zip(states.rows, states.g, states.variance, strict=True)
    ]
    pairs = sum(len(one) - 1 for one in z)
    total = sum(float((one[1:] * one[:-1]).sum()) for one in z)
    r = total / pairs + sum((len(one) - 1) / len(one) for one in z) / pairs  # the mean was taken off: -1 / n each
    says = "reads are no independent draws, as white noise is: they have a memory, or the devices drift"
    return Goodness("correlation of successive reads", r, float(2 * ndtr(-abs(r) * math.sqrt(pairs))), says)


def _wider(parameter: Parameter, factor: float) -> Parameter:
    """Return the parameter with an interval `factor` times as wide, on a logarithmic scale where it is positive."""
    if parameter.low > 0:
        return replace(
            parameter, low=parameter.value * (parameter.low / parameter.value) ** factor,
            high=parameter.value * (parameter.high / parameter.value) ** factor,
        )  # fmt: skip
    low, high = (parameter.value + factor * (end - parameter.value) for end in (parameter.low, parameter.high))
    return replace(parameter, low=low, high=high)
