"""Estimate power spectra by Welch's method and expect the estimate exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from neuroanp.characterizing.result import At, Axis, Moment, Panel, Series
from neuroanp.characterizing.statistics import mean

SHOWN = 40
"""Points of a sampled spectrum in a figure."""


@dataclass(frozen=True)
class Spectrum:
    """A one-sided power spectral density, sampled and expected.

    Args:
        frequency: hertz, (n,).
        sampled: one estimate for each independent copy, (n, copies), squared units of the signal a hertz.
        expected: mean of the estimate, (n,).
        per: what frequencies are of: "Hz", or "" where time counts in steps.
    """

    frequency: np.ndarray
    sampled: np.ndarray
    expected: np.ndarray
    per: str = "Hz"

    @classmethod
    def of(cls, trace: np.ndarray, dt: float, covariance: np.ndarray, unit: str = "s") -> Spectrum:
        """Estimate the spectrum of stationary signals of known mean 0.

        With a Hann window w over segments of L steps the estimate's mean is, leakage and aliasing included,

            E S(f_i) = 2 dt / (sum_n w_n^2) sum_{|k|<L} R(k dt) A_k cos(2 pi f_i k dt),  A_k = sum_n w_n w_{n+|k|}

        Args:
            trace: (steps, copies).
            dt: seconds a step.
            covariance: R at lags 0 .. L-1, whose length sets that of the segments.
            unit: of the time, "s" or "".

        Source: Welch, IEEE Trans. Audio Electroacoust. 15, 70 (1967).

        >>> white = np.random.default_rng(0).standard_normal((512, 200))
        >>> found = Spectrum.of(white, dt=0.5, covariance=np.eye(64)[0])
        >>> found.expected[1:-1].round(12).tolist() == [1.0] * 31, bool(abs(found.sampled[1:-1].mean() - 1) < 0.01)
        (True, True)
        """
        from scipy.signal import welch
        from scipy.signal.windows import hann

        length = len(covariance)
        how: dict[str, Any] = {"window": "hann", "nperseg": length, "detrend": False, "axis": 0}
        frequency, sampled = welch(trace, fs=1.0 / dt, **how)
        window = hann(length, sym=False)
        overlap = np.fft.irfft(np.abs(np.fft.rfft(window, 2 * length)) ** 2)[:length]
        products = covariance * overlap
        circular = np.concatenate([products, [0.0], products[:0:-1]])  # R(-k) = R(k)
        expected = dt * np.fft.rfft(circular).real[::2] / (window**2).sum()
        expected[1:-1] *= 2.0  # one-sided
        return cls(frequency, sampled, expected, "Hz" if unit else "")

    def moments(self) -> tuple[Moment, ...]:
        """Return the density at a low, a middle and a high frequency."""
        last = len(self.frequency) - 2
        rows = []
        for i in (2, round((2 * last) ** 0.5), last):
            at = (At("frequency", float(self.frequency[i]), self.per or "per step"),)
            unit = "1/Hz" if self.per else ""
            rows.append(Moment("spectral density", at, unit, *mean(self.sampled[i]), float(self.expected[i])))
        return tuple(rows)

    def panel(self) -> Panel:
        """Return both, without frequency 0 and the last one, which are estimated by fewer degrees of freedom."""
        inner = slice(1, -1)
        shown = np.unique(np.logspace(0, np.log10(len(self.frequency) - 2), SHOWN).round().astype(int))
        series = (
            Series("sampled (Welch)", self.frequency[shown], self.sampled[shown].mean(axis=1)),
            Series("closed form", self.frequency[inner], self.expected[inner], "line"),
        )
        frequency = Axis("frequency" if self.per else "frequency (1/step)", self.per, log=True)
        return Panel(
            "power spectrum, one-sided", frequency, Axis("density", "1/Hz" if self.per else "", log=True), series
        )
