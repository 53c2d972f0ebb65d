"""An evenly sampled trace, and what makes a trace unfit: gaps, clipping, a baseline that drifts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neuroanp.fitting.table import Table
from neuroanp.units import format_quantity

MOST_SAMPLES = 5_000_000
"""Beyond, the likelihood takes more than about 1 GiB of memory."""
JITTER = 0.1
_BLOCKS = 64
_STEEP = 6.0
"""Growth of the mean squared change of block means from 2 blocks to 16: 8 of a random walk, 64 of a ramp, near 1 of
noise with a short memory."""
_JUMPS = 2.0
"""Excess kurtosis of their changes beyond which the trace jumps: a few switches, and no drift."""
_TREND = 6.0
"""Standard errors of a straight line through block means, by what their neighbours share."""
_STACKED, _PILE = 10, 5
"""Samples at an end of the range, and how many times those at the next value they are, that mean clipping."""


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

    @property
    def length(self) -> float:
        """Seconds from the first sample to the last."""
        return self.dt * (len(self.v) - 1)


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
        ends = np.concatenate([[0], gaps + 1, [len(t)]])
        longest = int(np.argmax(np.diff(ends)))
        first, last = ends[longest], ends[longest + 1] - 1
        size = format_quantity(float(steps[gaps[0]]), "s", 3)
        text = (
            f"a gap of {size} where samples are {format_quantity(usual, 's', 3)} apart; fit one gapless piece: the "
            f"longest is lines {table.lines[first]} to {table.lines[last]}, {last - first + 1:,} samples"
        )
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


def unfit(table: Table, record: Record) -> list[str]:
    """Say what about a trace no stationary law can describe, with its lines: clipping, a drifting baseline."""
    return [*_clipped(table, record), *_drifting(table, record)]


def _clipped(table: Table, record: Record) -> list[str]:
    """Say that samples pile up at an end of their range: many times more than at the value before it."""
    v, said = table["voltage"], []
    values, counts = np.unique(v, return_counts=True)
    if len(values) < 2 * _STACKED:
        return said
    for word, end, beside in (("largest", -1, -2), ("smallest", 0, 1)):
        if counts[end] >= max(_STACKED, _PILE * counts[beside]):
            rows = np.flatnonzero(v == values[end])
            where = f"{table.label}:{table.lines[rows[0]]}: {table.headers['voltage']}"
            said.append(
                f"{where}: {counts[end]:,} samples from here to line {table.lines[rows[-1]]} are all "
                f"{format_quantity(float(values[end]), record.unit, 4)}, the {word} value: the trace is clipped; widen "
                "the instrument's range or shift its offset, and record again"
            )
    return said


def _drifting(table: Table, record: Record) -> list[str]:
    """Say that a baseline wanders without a bound, or goes up or down: it changes gradually, and ever farther."""
    n = len(record.v) // _BLOCKS * _BLOCKS
    if n < 4 * _BLOCKS:
        return []
    means = record.v[:n].reshape(_BLOCKS, -1).mean(1)
    change = np.diff(means)
    square = {lag: float(np.mean((means[lag:] - means[:-lag]) ** 2)) for lag in (2, 16)}
    kurtosis = float(np.mean((change - change.mean()) ** 4) / np.var(change) ** 2) - 3.0
    walks = square[16] > _STEEP * square[2] and kurtosis < _JUMPS
    if not (walks or abs(_trend(means)) > _TREND):
        return []
    shift = format_quantity(record.scale * float(means[-8:].mean() - means[:8].mean()), record.unit, 3)
    lines = f"{table.lines[0]} to {table.lines[-1]}"
    needed = format_quantity(10 * record.length, "s", 2)
    return [
        f"{table.label}:{table.lines[0]}: {table.headers['voltage']}: the baseline drifts over lines {lines}, by "
        f"{shift} from the first eighth of the record to the last, and does not come back: no stationary law says how "
        f"far it goes. Take the drift off first, fit a piece that stands still, or record longer ({needed} or more) if "
        "it is slow noise"
    ]


def _trend(means: np.ndarray) -> float:
    """Return the slope of a straight line through block means over its standard error."""
    x = np.arange(len(means)) - (len(means) - 1) / 2
    slope = float(x @ means / (x @ x))
    rest = means - means.mean() - slope * x
    shared = float(np.clip(rest[1:] @ rest[:-1] / max(1e-300, rest @ rest), 0.0, 0.99))
    variance = float(rest @ rest) / (len(means) - 2) / (x @ x) * (1 + shared) / (1 - shared)
    return float(slope / np.sqrt(max(variance, 1e-300)))
