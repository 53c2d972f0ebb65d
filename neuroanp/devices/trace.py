"""Node noise from a recorded trace: replayed as it was, or its samples drawn anew."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import model_validator
from torch import Tensor

from neuroanp.devices.uneven import refuse_spreads
from neuroanp.profiles.file_law import FileLaw
from neuroanp.profiles.laws import Sources
from neuroanp.profiles.tables import Table
from neuroanp.units import Energy, Number, PositiveTime, PositiveVoltage, format_quantity
from neuroanp.yaml_io import at

FEWEST = 100
"""Samples a trace must have; its variance is known to some 15 % then, if they are independent."""
JITTER = 0.1
"""Largest deviation of a step of the time column from their median, a fraction; more is a gap."""


class MeasuredTrace(FileLaw):
    """Drive a unit by the voltages of a recorded trace.

        n_h = kappa sum over n_sources of (v - mean v) / V_u

    The file has a column `voltage` and may have `time`, with their units: `time_us,voltage_mV`. Modes:

    - replay: each source starts at a random place of the trace and follows it; at a time between two
      samples it shows the earlier one; after the last sample comes the first. The noise is stationary
      with the autocorrelation of the trace closed to a ring, whatever dt is.
    - resample: every step shows a sample drawn at random: the distribution is that of the trace, the
      memory is lost, and dt does not matter.

    Args:
        file: .csv or .npz, relative to the profile that states it.
        sha256: of its content, or None: any.
        sampling_time: seconds from sample to sample, or None: as the time column says.
        mode: replay or resample.
        n_sources: sources summed per unit.
        kappa: gain from source to unit.
        volts_per_unit: V_u, volts that stand for a pre-activation of 1.
        energy_per_bit: joules a sample of one source.

    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "trace.npz"
    ...     np.savez(path, voltage_mV=np.arange(200.0) % 2)
    ...     law = MeasuredTrace(file=str(path), sampling_time="1 us", mode="replay", n_sources=1, kappa=1.0,
    ...                         volts_per_unit="10 mV")
    >>> round(law.node_sigma, 4), [round(law.autocorrelation(lag), 2) for lag in (0.0, 0.5e-6, 1e-6)]
    (0.05, [1.0, 0.0, -1.0])
    >>> noise, _ = law.run(law.start(torch.tensor([[0.0]]), None), torch.zeros(3, 1, 1), None, 1e-6)
    >>> [round(n, 3) for n in noise[:, 0].tolist()]
    [0.05, -0.05, 0.05]
    """

    units: ClassVar[Mapping[str, str]] = {"time": "s", "voltage": "V"}
    samples_are_steps: ClassVar[bool] = False
    at_temperature: ClassVar[None] = None
    fill: ClassVar[None] = None
    optional: ClassVar[tuple[str, ...]] = ("time",)

    sampling_time: PositiveTime | None = None
    mode: Literal["replay", "resample"]
    n_sources: Sources
    kappa: Number
    volts_per_unit: PositiveVoltage
    energy_per_bit: Energy | None = None

    @model_validator(mode="before")
    @classmethod
    def _no_spread(cls, data: Any) -> Any:
        return refuse_spreads(
            data,
            "measured",
            (),
            "replays the trace of one source, which says nothing of others: "
            "leave it out, or fit a law of sources to several traces",
        )

    def check(self, table: Table) -> None:
        """Raise ValueError for a trace that is too short, constant, has gaps, or whose sampling time is unknown."""
        if table.rows < FEWEST:
            raise ValueError(f"{table.label}: {table.rows} samples; a trace needs {FEWEST} or more: record it longer")
        voltage = table.columns["voltage"]
        if not np.ptp(voltage) > 0:
            level = format_quantity(float(voltage[0]), "V")
            raise ValueError(f"{table.label}: all samples are {level}: there is no noise in it; record it again")
        if "time" in table.columns:
            self._check_times(table)
        elif self.sampling_time is None and self.mode == "replay":
            raise at(("sampling_time",), f"required: {table.label} has no time column; state it or add 'time_s'")

    def _check_times(self, table: Table) -> None:
        steps = np.diff(table.columns["time"])
        middle = float(np.median(steps))
        if not middle > 0:
            raise ValueError(f"{table.place(1)}: time does not rise; sort the rows or drop repeated ones")
        bad = np.flatnonzero(np.abs(steps / middle - 1.0) > JITTER)
        if len(bad):
            row = int(bad[0]) + 1
            step, others = (format_quantity(float(t), "s", 4) for t in (steps[row - 1], middle))
            raise ValueError(
                f"{table.place(row)}: {step} after the sample before, others {others}: "
                "a gap; cut the trace there or record it again"
            )
        stated, found = self.sampling_time, self._interval(table)
        if stated is not None and abs(stated / found - 1.0) > 0.01:
            shown = [format_quantity(t, "s", 4) for t in (stated, found)]
            raise at(("sampling_time",), f"'{shown[0]}' differs from the time column of {table.label}, '{shown[1]}'")

    @staticmethod
    def _interval(table: Table) -> float:
        time = table.columns["time"]
        return float(time[-1] - time[0]) / (len(time) - 1)

    @property
    def interval(self) -> float:
        """Seconds from sample to sample."""
        return self.sampling_time if self.sampling_time is not None else self._interval(self._table)

    @property
    def samples(self) -> np.ndarray:
        """The trace without its mean, (N,) volts."""
        return _centred(self._table)

    @property
    def node_sigma(self) -> float:
        """Standard deviation of the noise on a pre-activation, dimensionless."""
        volts = float(self.samples.std()) * math.sqrt(self.n_sources)
        return abs(self.kappa) * volts / self.volts_per_unit

    def autocorrelation(self, lag_s: float) -> float:
        """Return the correlation of the noise with itself lag_s seconds away.

        In replay (1-f) r_k + f r_{k+1} with k + f = lag / interval and r the circular autocorrelation of
        the trace, for a source is between two samples at random; in resample 0 but for lag 0.
        """
        if not lag_s or self.mode == "resample":
            return 0.0 if lag_s else 1.0
        r = _ring(self._table)
        whole, part = divmod(abs(lag_s) / self.interval, 1.0)
        k = int(whole % len(r))
        return float((1.0 - part) * r[k] + part * r[(k + 1) % len(r)])

    def uniforms(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the uniforms one step takes; replay looks at those of its start only."""
        return (self.n_sources, *shape)

    def normals(self, shape: tuple[int, ...]) -> None:
        """Return None: no normals are needed."""

    def start(self, u: Tensor, xi: Tensor | None = None) -> Tensor:
        """Return the places in the trace, float64 in samples, for uniforms u (n_sources, *shape)."""
        return u.double() * len(self.samples)

    def run(self, state: Tensor, u: Tensor, xi: Tensor | None, dt: float) -> tuple[Tensor, Tensor]:
        """Return the noise of T steps, (T, *shape) dimensionless, and the places after them.

        Args:
            state: places in the trace, (n_sources, *shape).
            u: uniforms, (T, n_sources, *shape): resample draws its places by them; replay ignores them.
            xi: not used.
            dt: seconds a step, 0 or more.

        Raises: ValueError for a negative or infinite step.
        """
        if not 0 <= dt < math.inf:
            raise ValueError(f"a step of {dt} s: a trace is followed forward in time; use a finite dt of 0 s or more")
        count = len(self.samples)
        scale = self.kappa / self.volts_per_unit
        values = torch.as_tensor(scale * self.samples, dtype=u.dtype, device=u.device)
        advance = math.fmod(_whole(dt / self.interval), count) if self.mode == "replay" else 0.0
        noise = u.new_empty(u.shape[0], *u.shape[2:])
        for draw, out in zip(u, noise, strict=True):
            state = self.start(draw) if self.mode == "resample" else torch.remainder(state + advance, count)
            out.copy_(values[state.long().clamp_(max=count - 1)].sum(0))
        return noise, state


def _whole(ratio: float) -> float:
    """Round what is a whole number of samples but for the rounding of the division."""
    return round(ratio) if abs(ratio - round(ratio)) < 1e-9 * ratio else ratio


@lru_cache(maxsize=4)
def _centred(table: Table) -> np.ndarray:
    voltage = table.columns["voltage"]
    return voltage - voltage.mean()


@lru_cache(maxsize=4)
def _ring(table: Table) -> np.ndarray:
    """Return the autocorrelation of a trace closed to a ring, (N,)."""
    power = np.abs(np.fft.rfft(_centred(table))) ** 2
    r = np.fft.irfft(power, table.rows)
    return r / r[0]
