"""Standard deviations of two parts, an absolute and a relative one: sigma^2 = A^2 + (B G)^2."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from neuroanp.fitting.estimate import Estimate, Undetermined, maximise
from neuroanp.fitting.result import Choice, Parameter

Likelihood = Callable[[np.ndarray], float]
"""Log likelihood of the data for standard deviations (N,), siemens."""

ABSENT = "does not show beside the other part (Akaike)"


class White:
    """The best of: both parts, the absolute one alone, the relative one alone.

    Args:
        loglik: of the standard deviations, siemens.
        g: (N,) conductances they belong to, siemens.
        guess: about the size of the absolute and (in units of the mean conductance) the relative part.
    """

    def __init__(self, loglik: Likelihood, g: np.ndarray, guess: float) -> None:
        self._scale = max(float(g.mean()), 1e-300)
        self._guess = guess
        found: list[tuple[Estimate, str]] = []
        for parts in ("both", "absolute", "relative"):
            start = np.zeros(2 if parts == "both" else 1) - (0.35 if parts == "both" else 0.0)
            try:
                estimate = maximise(lambda t, parts=parts: loglik(self._sigma(t, parts, g)), start)
            except Undetermined:
                continue  # that part is zero: one of the others describes the data
            found.append((estimate, parts))
        if not found:
            raise Undetermined("neither part of the noise is determined")
        self.estimate, self.parts = min(found, key=lambda one: one[0].aic)

    def sigma(self, g: np.ndarray) -> np.ndarray:
        """Return the fitted standard deviation at conductances g, siemens."""
        return self._sigma(self.estimate.theta, self.parts, g)

    line = sigma

    def section(self, name: str) -> tuple[list[Parameter], list[Choice]]:
        """Return sigma_absolute and sigma_relative of the profile's section `name`."""
        parameters, choices = [], []
        if self.parts == "relative":
            choices.append(Choice(f"{name}.sigma_absolute", "0 S", ABSENT, "fitted"))
        else:
            key = f"{name}.sigma_absolute"
            parameters.append(self.estimate.parameter(key, "S", lambda t: self._guess * float(np.exp(t[0])), "log"))
        if self.parts == "absolute":
            choices.append(Choice(f"{name}.sigma_relative", 0.0, ABSENT, "fitted"))
        else:
            key = f"{name}.sigma_relative"
            relative = self._guess / self._scale
            parameters.append(self.estimate.parameter(key, "", lambda t: relative * float(np.exp(t[-1])), "log"))
        return parameters, choices

    def _sigma(self, theta: np.ndarray, parts: str, g: np.ndarray) -> np.ndarray:
        absolute = 0.0 if parts == "relative" else np.exp(theta[0])
        relative = 0.0 if parts == "absolute" else np.exp(theta[-1])
        return self._guess * np.sqrt(absolute**2 + (relative * g / self._scale) ** 2)
