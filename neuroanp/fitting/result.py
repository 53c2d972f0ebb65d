"""What a fit found: parameters with their intervals, how good the fit is, and what it leaves open."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from neuroanp.profiles.provenance import shortest
from neuroanp.units import Dimension, format_quantity

LEVEL = 0.95
"""Coverage of every interval."""


@dataclass(frozen=True)
class Parameter:
    """One number that the data determine.

    Args:
        key: its dotted key in a profile ("stochastic.amplitude"), or a word of its own where it is only shown.
        value: the estimate, in SI units.
        low, high: ends of the 95 % interval, SI units.
        unit: the SI unit's symbol; "" for a plain number.
        fitted: whether it goes into the profile.

    >>> Parameter("stochastic.tau_high", 1.234e-6, 1.1e-6, 1.4e-6, "s").text
    '1.23 us'
    >>> Parameter("read.exponent", 0.651, 0.64, 0.662).interval
    '0.640 to 0.662'
    """

    key: str
    value: float
    low: float
    high: float
    unit: str = ""
    fitted: bool = True

    @property
    def digits(self) -> int:
        """Significant digits that the interval leaves: two of its width."""
        width = (self.high - self.low) / 2
        if not (math.isfinite(width) and width > 0 and self.value):
            return 4
        return min(12, max(2, 2 + math.floor(math.log10(abs(self.value))) - math.floor(math.log10(width))))

    @property
    def text(self) -> str:
        """The estimate with its unit, rounded to two digits of its uncertainty."""
        return self._rounded(self.digits)

    @property
    def stored(self) -> str:
        """The estimate as a profile holds it, with two digits more: parameters that hang together must stay so."""
        return self._rounded(self.digits + 2)

    def _rounded(self, digits: int) -> str:
        if self.unit:
            return format_quantity(self.value, self.unit, digits)
        return shortest(float(f"{self.value:.{digits}g}"))

    @property
    def interval(self) -> str:
        """The 95 % interval, in the estimate's unit and with its decimals."""
        if not self.unit:
            places, factor, unit = self._places(self.value), 1.0, ""
        else:
            unit = self.text.rpartition(" ")[2]
            factor = Dimension("", self.unit, "", signed=True).parse(f"1 {unit}")
            places = self._places(self.value / factor)
        low, high = (
            f"{end / factor:z.{places}f}" if places <= 6 else f"{end / factor:.2g}" for end in (self.low, self.high)
        )
        return f"{low} to {high} {unit}".rstrip()

    def _places(self, shown: float) -> int:
        """Return the decimals that the estimate's last significant digit has."""
        return max(0, self.digits - 1 - math.floor(math.log10(abs(shown)))) if shown else self.digits

    def as_dict(self) -> dict[str, Any]:
        """Return the parameter as plain values."""
        return {
            "parameter": self.key, "value": self.value, "low": self.low, "high": self.high, "unit": self.unit or None,
            "in_profile": self.fitted,
        }  # fmt: skip


@dataclass(frozen=True)
class Choice:
    """A number the section needs and the data do not determine.

    Args:
        key: its dotted key in a profile.
        value: a number, a word, or text with a unit, as a profile holds it.
        source: why this value.
        status: measured, fitted or illustrative.
        fallback: a base profile with the same law keeps its own value, if it states one.
    """

    key: str
    value: float | int | str | bool
    source: str
    status: str = "illustrative"
    fallback: bool = False


@dataclass(frozen=True)
class Goodness:
    """One test of the fitted law against the data.

    Args:
        name: the statistic in words.
        value: the statistic.
        p: probability of a larger one if the law holds; None where there is no such number.
        says: what the data do that the law does not know, if the test fails.
    """

    name: str
    value: float
    p: float | None = None
    says: str = ""

    @property
    def text(self) -> str:
        """The statistic and its p value in words.

        >>> Goodness("Kolmogorov-Smirnov distance", 0.0123, 0.31).text
        'Kolmogorov-Smirnov distance 0.0123 (p = 0.31)'
        """
        p = "" if self.p is None else f" (p {f'= {self.p:.2g}' if self.p >= 1e-4 else '< 0.0001'})"
        return f"{self.name} {self.value:.3g}{p}"

    def fails(self, level: float = 1e-3) -> bool:
        """Whether chance alone makes the statistic this large with less than this probability."""
        return self.p is not None and self.p < level


@dataclass(frozen=True)
class Fit:
    """A device law fitted to measurements.

    Args:
        kind: telegraph, pulse, read_noise, drift or programming.
        section: section of a profile that the law belongs to.
        law: the law's name.
        base: shipped profile that has what the data say nothing of, unless the user names another.
        parameters: what was estimated.
        choices: what the section needs besides.
        goodness: tests of the fit.
        data: what the estimate rests on, in words ("20,000 samples").
        notes: what a reader should know before trusting it; empty where nothing stands out.
        doubts: why the law does not describe these data; a profile is made of such a fit only on demand.
        series: arrays by name that the figure of this kind shows.
        source, digest: name and SHA-256 of the file.
        account: what was taken for what in the file.
    """

    kind: str
    section: str
    law: str
    base: str
    parameters: tuple[Parameter, ...]
    choices: tuple[Choice, ...]
    goodness: tuple[Goodness, ...]
    data: str
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    series: Mapping[str, np.ndarray] = field(default_factory=dict)
    source: str = ""
    digest: str = ""
    account: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Parameter:
        """Return a parameter by its key, or by the part of it after the section."""
        for parameter in self.parameters:
            if name in (parameter.key, parameter.key.partition(".")[2]):
                return parameter
        raise KeyError(f"{name}: not among {', '.join(p.key for p in self.parameters)}")
