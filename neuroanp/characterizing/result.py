"""What a measurement returns: moments held to closed forms, and curves, as plain data."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

ROUNDING = 1e-9
"""Numbers that agree to this share of their size differ by rounding alone."""


class At(NamedTuple):
    """One condition of a measurement: At("target", 12.5e-6, "S")."""

    name: str
    value: float
    unit: str = ""


@dataclass(frozen=True)
class Moment:
    """One number of a device, sampled, beside what theory expects.

    Args:
        quantity: what it is ("sd of the error").
        at: the conditions.
        unit: SI unit of the numbers, or "".
        sampled: estimate from the samples, in units of `unit`.
        error: its standard error, in units of `unit`.
        expected: the closed form, in units of `unit`, or None where there is none.

    >>> Moment("mean", (At("target", 1e-6, "S"),), "S", sampled=1.2e-6, error=1e-7, expected=1e-6).z
    2.0
    """

    quantity: str
    at: tuple[At, ...]
    unit: str
    sampled: float
    error: float
    expected: float | None = None

    @property
    def z(self) -> float | None:
        """Difference from the expected value in standard errors; 0 where they agree to rounding, None without one."""
        if self.expected is None:
            return None
        difference = self.sampled - self.expected
        if abs(difference) <= ROUNDING * max(abs(self.sampled), abs(self.expected)):
            return 0.0
        return round(difference / self.error, 12) if self.error > 0 else math.copysign(math.inf, difference)


@dataclass(frozen=True)
class Axis:
    """An axis of a panel: what it shows, its SI unit, whether it is logarithmic."""

    label: str
    unit: str = ""
    log: bool = False


@dataclass(frozen=True)
class Series:
    """One set of points of a panel.

    Args:
        label: its name; series of one panel with an empty label have no entry in the legend.
        x, y: (n,) in SI units.
        kind: points: sampled values; line: a closed form, or a dense curve; device: a single device; steps: a
            state that jumps.
        low, high: (n,) edges of a band around y, or None.
        group: series of one group share a colour.
    """

    label: str
    x: np.ndarray
    y: np.ndarray
    kind: Literal["points", "line", "device", "steps"] = "points"
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    group: int = 0


@dataclass(frozen=True)
class Panel:
    """Curves over common axes."""

    title: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]


@dataclass(frozen=True)
class Map:
    """A matrix shown as a picture.

    Args:
        title: what it shows.
        values: (rows, columns).
        label, unit: of the values.
        rows, columns: what these are.
    """

    title: str
    values: np.ndarray
    label: str
    unit: str = ""
    rows: str = "row"
    columns: str = "column"


@dataclass(frozen=True)
class Measurement:
    """What one experiment found.

    Args:
        name: how --only names it.
        title: a heading.
        about: how it was measured, in a sentence or two.
        moments: numbers, most with an expected value.
        panels: curves and maps.
        notes: what a reader must know of the result.
    """

    name: str
    title: str
    about: str
    moments: tuple[Moment, ...]
    panels: tuple[Panel | Map, ...] = ()
    notes: tuple[str, ...] = field(default=())


def plain(value: Any) -> Any:
    """Return results as JSON's types: tuples and arrays as lists, records by field, `z` beside its moment.

    >>> plain(Panel("drift", Axis("time", "s", log=True), Axis("G", "S"), ()))["x"]
    {'label': 'time', 'unit': 's', 'log': True}
    >>> plain(np.eye(2)), plain(At("age", 1.0, "s"))
    ([[1.0, 0.0], [0.0, 1.0]], {'name': 'age', 'value': 1.0, 'unit': 's'})
    """
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, At):
        return value._asdict()
    if isinstance(value, tuple | list):
        return [plain(part) for part in value]
    if is_dataclass(value):
        found = {field.name: plain(getattr(value, field.name)) for field in fields(value)}
        return found | {"z": value.z} if isinstance(value, Moment) else found
    return value
