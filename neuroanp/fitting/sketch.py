"""A trace as a fit of its distribution and its spectrum sees it: histogram and periodogram in bins.

An octave of frequency counts as what is in it, at most as WEIGHT frequencies, and all samples as WEIGHT independent
ones: that is about what tells a distribution 0.05 apart by Kolmogorov and Smirnov (1.36 / sqrt(740) at 95 %), and
0.16 dB of an octave. A law is held no closer than that; that traces of slow fluctuators have fewer independent
samples is met by records that the law itself makes (see `fluctuator_intervals`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

WEIGHT = 740.0
BINS = 256
_PER_OCTAVE = 6
FEWEST = 16
"""Frequencies of an octave that is held to the law."""


@dataclass(frozen=True)
class Sketch:
    """What is kept of a trace of N standardised samples.

    Args:
        n: N.
        f: (F,) cycles a sample, middle of each bin of the spectrum. power: (F,) mean periodogram there, so scaled that
            white noise of variance 1 has 1. count: (F,) frequencies in a bin. weight: (F,) what a bin counts.
        octave: (F,) which octave below half the sampling frequency a bin is in: 0 the highest.
        edges: (BINS + 1,) of the histogram. share: (BINS,) of the samples in its bins. samples: what they count.
        levelling: what the largest distances of the distributions count besides, 0 at first.
    """

    n: int
    f: np.ndarray
    power: np.ndarray
    count: np.ndarray
    weight: np.ndarray
    octave: np.ndarray
    edges: np.ndarray
    share: np.ndarray
    samples: float
    levelling: float = 0.0

    @property
    def octaves(self) -> np.ndarray:
        """The octaves that hold frequencies enough to be held to a law, the highest first."""
        return np.array([o for o in np.unique(self.octave) if self.count[self.octave == o].sum() >= FEWEST])

    @property
    def chance(self) -> np.ndarray:
        """How far an octave of `octaves` lies from its law by chance, two standard errors, dB."""
        count = np.array([self.count[self.octave == octave].sum() for octave in self.octaves])
        return 2 * 10 / np.log(10) / np.sqrt(count)

    def decibels(self, law: np.ndarray) -> np.ndarray:
        """Return how far the power of each of `octaves` lies above a law's (F,), dB."""
        ratios = []
        for octave in self.octaves:
            here = self.octave == octave
            count = self.count[here]
            ratios.append((count * self.power[here]).sum() / (count * law[here]).sum())
        return 10 * np.log10(ratios)

    def distance(self, cdf: np.ndarray) -> float:
        """Return the distance of Kolmogorov and Smirnov between the samples and a law's distribution at the edges."""
        return float(np.abs(np.cumsum(self.share) - cdf[1:]).max())

    def drawn(self, octaves: np.ndarray, levelling: float) -> Sketch:
        """Return it with the weight of each of `octaves` times a factor, and another weight of the distribution."""
        factor = np.ones(int(self.octave.max()) + 1)
        factor[self.octaves.astype(int)] = octaves
        return replace(self, weight=self.weight * factor[self.octave], levelling=levelling)


def sketch(v: np.ndarray, edges: np.ndarray | None = None) -> Sketch:
    """Return the sketch of a trace.

    Args:
        v: (N,) standardised samples.
        edges: of the histogram; None: from the lowest to the highest sample. What lies beyond is in the end bins.

    >>> white = sketch(np.random.default_rng(0).standard_normal(20_000))
    >>> bool(np.abs(white.decibels(np.ones_like(white.f))[:4]).max() < 0.3), round(float(white.share.sum()), 6)
    (True, 1.0)
    """
    n = len(v)
    power = np.abs(np.fft.rfft(v - v.mean())[1 : (n + 1) // 2]) ** 2 / n
    f = np.arange(1, len(power) + 1) / n
    octave = np.floor(-np.log2(2 * f) + 1e-9).astype(int)
    octave -= octave.min()
    part = np.floor((-np.log2(2 * f) - octave) * _PER_OCTAVE + 1e-9).astype(int).clip(0, _PER_OCTAVE - 1)
    cell = octave * _PER_OCTAVE + part
    starts = np.flatnonzero(np.diff(cell, prepend=-1))
    count = np.diff(np.append(starts, len(f))).astype(float)
    of_cell = octave[starts]
    total = np.bincount(of_cell, weights=count)
    weight = count * np.minimum(1.0, WEIGHT / np.maximum(total, 1))[of_cell]
    margin = 1e-9 + 1e-3 * float(np.ptp(v))
    at = np.linspace(v.min() - margin, v.max() + margin, BINS + 1) if edges is None else edges
    share = np.histogram(np.clip(v, at[0], at[-1]), at)[0] / n
    middle = np.exp(np.add.reduceat(np.log(f), starts) / count)
    mean = np.add.reduceat(power, starts) / count
    return Sketch(n, middle, mean, count, weight, of_cell, at, share, min(WEIGHT, n / 4))
