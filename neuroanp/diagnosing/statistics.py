"""Estimate how independent random updates stand to a known gradient: direction, size, bias and variance.

u_1 .. u_n are independent updates of one distribution, g is the gradient. What they have along it, and beside it:

    a_i = <u_i, g> / <g, g>         p_i = u_i - a_i g
    scale     a  = E a_i            b  = E p_i = E u - a g
    cosine of one update                  <u_i, g> / (|u_i| |g|)
    cosine of the mean update             <E u, g> / (|E u| |g|) = sign(a) / sqrt(1 + |b|^2 / (a |g|)^2)
    bias      |b| / |g|
    variance  V  = tr Cov(u) / |g|^2
    signal to noise                       |E u|^2 / tr Cov(u) = (a^2 + (|b| / |g|)^2) / V

so that E |u - g|^2 / |g|^2 = (a - 1)^2 + bias^2 + variance. The square of a mean of n updates is too large by a part of
their variance; cross products of different updates are not (a U-statistic, Hoeffding):

    |b|^2 ~ 1/(n (n-1)) sum_{i != j} <p_i, p_j> = |mean p|^2 - 1/(n (n-1)) sum_i |p_i - mean p|^2

and a^2 likewise. It may come out below 0, where the truth is small. Intervals of 95 % are by the jackknife over at most
GROUPS groups of updates, with Student's quantile. Where b is 0 the U-statistic is degenerate, and the jackknife takes
its variance for up to twice what it is (in the mean never for less, Efron and Stein): an interval is then too wide, and
what has no bias is said to have one in fewer cases than the stated ones.

Sources: Hoeffding, Ann. Math. Stat. 19, 293 (1948); Arvesen, Ann. Math. Stat. 40, 2076 (1969), the jackknife of
U-statistics; Efron and Stein, Ann. Stat. 9, 586 (1981); Busing, Meijer, van der Leeden, Stat. Comput. 9, 3 (1999), the
jackknife of groups that differ in size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, sqrt
from typing import NamedTuple

import numpy as np

GROUPS = 32
"""Groups of updates whose sums are kept: what memory holds of the updates, however many there are."""
FEWEST = 4
"""Updates without which no variance of a variance can be told."""
COVERAGE = 0.95
"""Share of intervals that hold the true value."""


class Estimate(NamedTuple):
    """A number with its interval; value None where the interval holds what would make it nothing (see `Alignment`)."""

    value: float | None
    low: float
    high: float


@dataclass(frozen=True)
class Alignment:
    """How the updates of some weights stand to their gradient.

    Args:
        weights: how many there are. draws: n.
        cosines: (n,) of each update; NaN of one that is zero.
        cosine: of the mean update; not resolved where the interval of the scale holds 0.
        scale: a. bias: |b| / |g|; not resolved where the interval of its square holds 0. variance: V.
        signal: signal to noise; infinite where nothing varies.
        why: why there is none of this, instead: the gradient or all updates are zero; None.
    """

    weights: int
    draws: int
    cosines: np.ndarray
    cosine: Estimate
    scale: Estimate
    bias: Estimate
    variance: Estimate
    signal: float
    why: str | None = None

    @property
    def settled(self) -> float:
        """Half of the interval of the angle between mean update and gradient, in cosine or sine, whichever is wider.

        The sine is the bias as a share of the mean update. 0 where there is no angle.
        """
        if self.why is not None:
            return 0.0
        ends = np.clip(self.cosine[1:], -1.0, 1.0)
        sines = np.sqrt(1 - ends**2)
        wide = (1.0 if ends.prod() < 0 else sines.max()) - sines.min()  # of a right angle it is 1
        return float(max(ends[1] - ends[0], wide)) / 2


def incomparable(weights: int, cosines: np.ndarray, why: str) -> Alignment:
    """Return what is found of weights whose updates cannot be held to a gradient: why."""
    none = Estimate(None, 0.0, 0.0)
    return Alignment(weights, len(cosines), cosines, none, none, none, none, 0.0, why)


class Tally:
    """Takes independent updates one by one; keeps numbers of each, and sums of GROUPS groups.

    Args:
        gradient: (d,) g.
        parts: the slices of the weights that are looked at by themselves, by name.
        rounding: a bias is no more than rounding where it is below this share of the mean update.

    >>> tally = Tally(np.array([1.0, 0.0]), {"w": slice(0, 2)})
    >>> for side in (1.0, -1.0, 1.0, -1.0):
    ...     tally.add(np.array([0.5, side]))
    >>> found = tally.found()["w"]
    >>> found.scale.value, found.bias.value, round(found.variance.value, 4)  # 4/3 of the other direction
    (0.5, None, 1.3333)
    """

    def __init__(self, gradient: np.ndarray, parts: Mapping[str, slice], rounding: float = 0.0) -> None:
        self.gradient, self.parts, self.rounding = np.asarray(gradient, np.float64), dict(parts), rounding
        self._first: np.ndarray | None = None
        self._sums = np.zeros((0, len(self.gradient)))  # of updates less the first one: the same update again is 0
        self._along: dict[str, list[float]] = {name: [] for name in parts}
        self._across: dict[str, list[float]] = {name: [] for name in parts}
        self._cosines: dict[str, list[float]] = {name: [] for name in parts}

    @property
    def draws(self) -> int:
        """n."""
        return len(next(iter(self._cosines.values())))

    def add(self, update: np.ndarray) -> None:
        """Take the next update, (d,)."""
        u = np.asarray(update, np.float64)
        if self._first is None:
            self._first = u
        v, group = u - self._first, self.draws % GROUPS
        if group == len(self._sums):
            self._sums = np.concatenate([self._sums, v[None]])
        else:
            self._sums[group] += v
        for name, part in self.parts.items():
            g = self.gradient[part]
            square, size = float(g @ g), float(np.linalg.norm(u[part]))
            along = float(v[part] @ g) / square if square else 0.0
            beside = v[part] - along * g
            self._along[name].append(along)
            self._across[name].append(float(beside @ beside))
            known = square > 0 and size > 0
            self._cosines[name].append(float(u[part] @ g) / (size * sqrt(square)) if known else np.nan)

    def found(self) -> dict[str, Alignment]:
        """Return the estimates of each part; ValueError with fewer than FEWEST updates."""
        if self.draws < FEWEST:
            raise ValueError(f"{self.draws} updates: at least {FEWEST} are needed")
        return {name: self._of(name) for name in self.parts}

    def _of(self, name: str) -> Alignment:
        assert self._first is not None
        part, cosines = self.parts[name], np.array(self._cosines[name])
        g, first = self.gradient[part], self._first[part]
        square, weights = float(g @ g), len(g)
        moving = bool(first.any()) or any(self._across[name]) or any(self._along[name])
        if not square or not moving:
            return incomparable(weights, cosines, "the updates are all zero" if square else "the gradient is zero")
        sums = _Sums.of(first, self._sums[:, part], g, np.array(self._along[name]), np.array(self._across[name]))
        a, a2, b2, variance = sums.moments(np.ones((1, sums.groups)))[:, 0]
        spread = sums.jackknife()
        scale = Estimate(float(a), *_between(a, spread[0]))
        least = self.rounding**2 * (a * a + max(b2, 0.0))
        bias = _root(b2, _between(b2, spread[2]), least)
        tan2 = _between(b2 / a2, spread[4]) if a2 > 0 else (-inf, inf)
        return Alignment(
            weights, self.draws, cosines, _cosine(scale, max(b2, 0.0) / (a * a), tan2), scale, bias,
            Estimate(float(variance), *(max(end, 0.0) for end in _between(variance, spread[3]))),
            float((max(a2, 0.0) + max(b2, 0.0)) / variance) if variance > 0 else inf,
        )  # fmt: skip


class _Sums(NamedTuple):
    """Sums over groups of updates less the first one, in units of the gradient.

    Args:
        gram: (G+1, G+1) products of the first update's p and of the groups' sums. a: the first update's.
        count: (G,) updates. along: (G,) sums of a_i - a. along2: of their squares. across2: of |p_i - p|^2.
    """

    gram: np.ndarray
    a: float
    count: np.ndarray
    along: np.ndarray
    along2: np.ndarray
    across2: np.ndarray

    @classmethod
    def of(cls, first: np.ndarray, sums: np.ndarray, g: np.ndarray, along: np.ndarray, across: np.ndarray) -> _Sums:
        square = float(g @ g)
        rows = np.concatenate([first[None], sums])
        beside = rows - np.outer(rows @ g / square, g)

        def grouped(values: np.ndarray) -> np.ndarray:
            return np.bincount(np.arange(len(values)) % GROUPS, weights=values)

        return cls(
            beside @ beside.T / square, float(first @ g) / square, grouped(np.ones(len(along))), grouped(along),
            grouped(along**2), grouped(across) / square,
        )  # fmt: skip

    @property
    def groups(self) -> int:
        return len(self.count)

    def moments(self, keep: np.ndarray) -> np.ndarray:
        """Return a, a^2, |b|^2 and V, the latter three without bias, from some of the groups.

        Args: keep: (R, G) of ones and zeros.

        Returns: (4, R).
        """
        n = keep @ self.count
        along, means = keep @ self.along / n, keep / n[:, None]
        a = self.a + along
        along_variance = (keep @ self.along2 - n * along**2) / (n - 1)
        mean2 = np.einsum("rk,kl,rl->r", means, self.gram[1:, 1:], means)
        across_variance = (keep @ self.across2 - n * mean2) / (n - 1)
        p2 = self.gram[0, 0] + 2 * means @ self.gram[0, 1:] + mean2
        variances = np.maximum(along_variance, 0.0), np.maximum(across_variance, 0.0)  # they round below it
        return np.stack([a, a**2 - variances[0] / n, p2 - variances[1] / n, sum(variances)])

    def jackknife(self) -> np.ndarray:
        """Return the standard errors of a, a^2, |b|^2, V and |b|^2 / a^2, times Student's quantile, (5,)."""
        from scipy.special import stdtrit

        whole, part = (
            np.concatenate([m, m[2:3] / np.where(m[1:2] > 0, m[1:2], np.nan)])
            for m in map(self.moments, (np.ones((1, self.groups)), 1.0 - np.eye(self.groups)))
        )
        h = self.count.sum() / self.count
        pseudo = h * whole - (h - 1) * part
        mean = (pseudo / h).sum(1, keepdims=True)
        variance = ((pseudo - mean) ** 2 / (h - 1)).mean(1)
        return float(stdtrit(self.groups - 1, (1 + COVERAGE) / 2)) * np.sqrt(variance)


def _between(value: float, spread: float) -> tuple[float, float]:
    """Return the ends of an interval; the whole line where its width cannot be told."""
    return (float(value - spread), float(value + spread)) if np.isfinite(spread) else (-inf, inf)


def _root(square: float, ends: tuple[float, float], least: float) -> Estimate:
    """Return the root of a square with its interval; no value where that holds 0, or all is below `least`."""
    low, high = sqrt(max(ends[0], 0.0)), sqrt(max(ends[1], least, 0.0))
    if ends[0] <= 0 or square <= least:
        return Estimate(None, 0.0, high)
    return Estimate(sqrt(square), low, high)


def _cosine(scale: Estimate, tan2: float, ends: tuple[float, float]) -> Estimate:
    """Return the cosine of the mean from the square of the tangent; no value where the sign is not known."""
    if scale.low <= 0 <= scale.high:
        return Estimate(None, -1.0, 1.0)
    near, far = (1 / sqrt(1 + max(end, 0.0)) for end in ends)
    value = 1 / sqrt(1 + tan2)
    assert scale.value is not None
    return Estimate(value, far, near) if scale.value > 0 else Estimate(-value, -near, -far)
