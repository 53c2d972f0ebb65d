"""Drift by tables of one's own measurements: exponents against the target, or means and errors against time and target.

Many groups keep drift so: an exponent nu(G) of a power law with its spread, or the mean and the standard deviation of
devices of each target at some times after the write.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from pydantic import model_validator
from torch import Tensor

from neuroanp.devices.measured import MAX_ROWS, check_rows, interpolate
from neuroanp.devices.protocol import Span
from neuroanp.devices.relaxation import relaxed, total_sigma
from neuroanp.profiles.arrhenius import slowed, whole
from neuroanp.profiles.file_law import FileLaw
from neuroanp.profiles.tables import Table
from neuroanp.units import Energy, PositiveTime, Temperature

MOST_TIMES = 64
"""Times of one table: each of them is interpolated for every device."""


class PowerLawDrift(FileLaw):
    """Let conductance fall as a power of the time, with exponents of a measured table.

        G(t) = G_p (t / t0)^-nu  for t >= t0,  nu = |nu(G_target) + sd(G_target) xi|, drawn once a write

    The file's columns are `target` with its unit, `nu` and its standard deviation `sd`: `target_uS,nu,sd`; without `sd`
    all devices of a target drift alike. Between rows both are interpolated linearly; beyond the first and last target
    they stay what they are there.

    Args:
        file: .csv or .npz, relative to the profile that states it.
        sha256: of its content, or None: any.
        t0: when the programmed conductance was measured after the write, seconds.
        activation_energy: E_a, joules, by which it goes faster when warm, t -> t e^{E_a/k_B (1/T_ref - 1/T)}; None:
            the temperature does not matter. reference_temperature: T_ref, kelvin, at which t0 holds.
    """

    units: ClassVar[Mapping[str, str]] = {"target": "S", "nu": "", "sd": ""}
    optional: ClassVar[tuple[str, ...]] = ("sd",)
    max_bytes: ClassVar[int] = 2**20
    settles: ClassVar[bool] = False
    last_s: ClassVar[None] = None
    start: ClassVar[None] = None
    t0: PositiveTime
    activation_energy: Energy | None = None
    reference_temperature: Temperature | None = None

    @model_validator(mode="after")
    def _arrhenius_is_whole(self) -> PowerLawDrift:
        whole(self.activation_energy, self.reference_temperature)
        return self

    def at_temperature(self, temperature: float) -> PowerLawDrift:
        """Return the law at another temperature, kelvin: t0 is shorter where it is warmer; itself where none matters.

        Raises: ValueError if it is not above 0 K, or if t0 leaves the range of floats.
        """
        t0 = slowed(self.t0, self.activation_energy, self.reference_temperature, temperature, "t0")
        return self if t0 is None else self.model_copy(update={"t0": t0, "reference_temperature": temperature})

    def check(self, table: Table) -> None:
        """Raise ValueError for targets that do not rise, too few or too many rows, and negative numbers."""
        alone = {"target": table.columns["target"]}
        check_rows(Table(table.label, table.sha256, alone, table.lines), "target")
        for name in ("nu", "sd"):
            low = np.flatnonzero(table.columns[name] < 0) if name in table.columns else []
            if len(low):
                value = table.columns[name][low[0]]
                raise ValueError(f"{table.place(int(low[0]))}: {name}: {value:g} is negative; correct it")

    @property
    def covers(self) -> tuple[float, float]:
        """The range of targets that is tabulated, siemens."""
        return float(self.data["target"][0]), float(self.data["target"][-1])

    def spread(self, g_target: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of the exponent before the absolute value."""
        mean = interpolate(g_target, self.data["target"], self.data["nu"])
        if "sd" not in self.data:
            return mean, torch.zeros_like(mean)
        return mean, interpolate(g_target, self.data["target"], self.data["sd"])

    def draw(self, g_target: Tensor, g_max: float, xi: Tensor) -> Tensor:
        """Return the drift exponents of one write for standard normals xi."""
        mean, sd = self.spread(g_target)
        return (mean + sd * xi).abs_()

    def conductance(self, g: Tensor, nu: Tensor, age: Tensor, target: Tensor, span: Span) -> Tensor:
        """Return the conductance `age` seconds (float64) after the write of devices programmed to `g`, siemens."""
        return g * torch.pow((age / self.t0).clamp_min(1.0).to(nu.dtype), -nu)


class _Rows(NamedTuple):
    """What a table says of one time: targets, means and standard deviations, (targets,) in siemens (an `ErrorAt`)."""

    time: float
    target: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    v_read: None = None

    def sigma(self, g_target: Tensor, g_max: float) -> Tensor:
        """Return the standard deviation about the mean, siemens."""
        return interpolate(g_target, self.target, self.sd)

    def shift(self, g_target: Tensor) -> Tensor:
        """Return how far the mean is from the target, siemens."""
        return interpolate(g_target, self.target, self.mean - self.target)

    def within(self, later: _Rows) -> bool:
        """Return whether the error is at most that of a later time for every target."""
        return bool((self.sd <= later.sd).all())


class MeasuredDrift(FileLaw):
    """Let devices move as a measured table of means and errors says.

        G(t) = max(0, G_p + m(t) - m(t_0) + sqrt(sd(t)^2 - sd(t_0)^2) nu),  nu a standard normal a write

    m is the mean and sd the standard deviation of devices of one target; where sd falls below that of the write, they
    draw together (see `relaxation.relaxed`). The first time is that of the write: what devices are like then is the
    programming law's matter, and only what changes is taken from here.

    The file has columns `time`, `target`, `mean` and `sd` with their units, `time_s,target_uS,mean_uS,sd_uS`: a row for
    each target at each time, the same targets at all of them. Between times numbers are joined by straight lines in ln
    t, between targets by straight lines; beyond the first and the last of either they stay what they are there (a mean
    keeps its distance from the target), and a run that gets there says so.

    Args:
        file: .csv or .npz, relative to the profile that states it.
        sha256: of its content, or None: any.
    """

    units: ClassVar[Mapping[str, str]] = {"time": "s", "target": "S", "mean": "S", "sd": "S"}
    max_bytes: ClassVar[int] = 2**22
    settles: ClassVar[bool] = False
    start: ClassVar[None] = None
    at_temperature: ClassVar[None] = None

    def check(self, table: Table) -> None:
        """Raise ValueError for a table that is no grid of rising times and targets, and for negative numbers."""
        time = table.columns["time"]
        falling = np.flatnonzero(np.diff(time) < 0)
        if len(falling):
            raise ValueError(f"{table.place(int(falling[0]) + 1)}: time: falls; sort the rows by time, then by target")
        if time[0] <= 0:
            raise ValueError(f"{table.place(0)}: time: {time[0]:g} s; times count from the write: write one above 0 s")
        times, counts = np.unique(time, return_counts=True)
        if not 2 <= len(times) <= MOST_TIMES:
            raise ValueError(f"{table.label}: {len(times)} times; a table of drift has 2 to {MOST_TIMES}")
        if counts[0] > MAX_ROWS:
            raise ValueError(f"{table.label}: {counts[0]} targets; a table to interpolate has 2 to {MAX_ROWS}: thin it")
        same = "state the same targets at all times"
        odd = np.flatnonzero(counts != counts[0])
        if len(odd):
            found = f"{counts[odd[0]]} targets at {times[odd[0]]:g} s, {counts[0]} at {times[0]:g} s"
            raise ValueError(f"{table.label}: {found}; {same}")
        grid = table.columns["target"].reshape(len(times), -1)
        other = np.flatnonzero(np.any(grid != grid[0], axis=1))
        if len(other):
            raise ValueError(f"{table.label}: other targets at {times[other[0]]:g} s than at {times[0]:g} s; {same}")
        first = {name: column[: counts[0]] for name, column in table.columns.items() if name != "time"}
        check_rows(Table(table.label, table.sha256, first, table.lines), "target")
        for name in ("mean", "sd"):
            low = np.flatnonzero(table.columns[name] < 0)
            if len(low):
                value = table.columns[name][low[0]]
                raise ValueError(f"{table.place(int(low[0]))}: {name}: {value:g} S is negative; correct it")

    @cached_property
    def _stages(self) -> tuple[_Rows, ...]:
        times = np.unique(self.data["time"])
        grid = {name: self.data[name].reshape(len(times), -1) for name in ("target", "mean", "sd")}
        return tuple(
            _Rows(float(t), *(grid[name][k] for name in ("target", "mean", "sd"))) for k, t in enumerate(times)
        )

    @property
    def last_s(self) -> float:
        """The last time that is tabulated, seconds after the write."""
        return float(self.data["time"][-1])

    @property
    def covers(self) -> tuple[float, float]:
        """The range of targets that is tabulated, siemens."""
        return float(self.data["target"][0]), float(self.data["target"][-1])

    def draw(self, g_target: Tensor, g_max: float, xi: Tensor) -> Tensor:
        """Return the standard normals of one write: they scale what comes after it."""
        return xi

    def sigma(self, g_target: Tensor, g_max: float, age: Tensor) -> Tensor:
        """Return the standard deviation of devices `age` seconds after the write, siemens."""
        return total_sigma(self._stages, g_target, g_max, age)

    def conductance(self, g: Tensor, nu: Tensor, age: Tensor, target: Tensor, span: Span) -> Tensor:
        """Return the conductance `age` seconds (float64) after the write, siemens."""
        return relaxed(self._stages, g, nu, age, target, span.g_max, shrinks=True)
