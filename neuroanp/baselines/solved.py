"""Methods whose weights a host computes instead of learning them: what their options share, and the outputs' fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
from pydantic import Field

from neuroanp.baselines.regression import LAMBDAS, Moments, ridge_path
from neuroanp.errors import InputError
from neuroanp.yaml_io import Section


class Solved(Section):
    """Base of the options of methods that choose all weights at once, the outputs by least squares."""

    local: ClassVar[bool] = False
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    preset_optimizers: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    feedback: ClassVar[str] = "LS"
    needs: ClassVar[tuple[str, ...]] = ()  # a host computes, on a twin of the network; the chip is shown and written
    cells: ClassVar[tuple[str, ...]]
    """The cells that its hidden weights are meant for."""
    needs_bias: ClassVar[bool]
    """Whether it makes no sense without lines that a constant drives."""

    name: str
    ridge: float | None = Field(
        default=None,
        ge=1e-14,
        le=1e6,
        description="lambda of all least squares, over the mean square of the activities; unset: the best of a grid on "
        "a fifth of the sequences",
    )

    def check(self, spiking: bool) -> None:
        """Raise InputError for units that spike."""
        if spiking:
            raise InputError(
                f"rule: '{self.name}' computes weights of rate networks (cell {' or '.join(self.cells)}); use rule "
                "'anp' with spiking units"
            )

    def strengths(self, grid: tuple[float, ...] = LAMBDAS) -> tuple[float, ...]:
        """Return the ridge strengths to try: the one that is said, or a grid."""
        return grid if self.ridge is None else (self.ridge,)


class Outputs(NamedTuple):
    """What least squares found for the outputs.

    Args:
        w_out: (O, m). strength: the ridge strength, over the mean square of the lines. error: mean squared error of
            exact weights on the sequences that chose the strength, fitted to the others alone.
    """

    w_out: np.ndarray
    strength: float
    error: float


def exact_error(fit: Moments, held: Moments, strengths: tuple[float, ...], limits: np.ndarray) -> float:
    """Return the least error on `held` of outputs fitted to `fit` that arrays hold as they are; see `outputs`.

    Without those at the bounds it takes no time, which tells networks apart before the outputs of one are fitted.
    """
    path = ridge_path(fit, strengths)
    return min((held.error(C) for C in path if (np.abs(C) <= limits[:, None]).all()), default=np.inf)


def outputs(fit: Moments, held: Moments, strengths: tuple[float, ...], limits: np.ndarray) -> Outputs:
    """Fit the arrays to the outputs within their largest weights; the strength that does best on `held` is taken.

        W_out = argmin sum_{scored t, b} |W_out x_tb - target_tb|^2 + lambda |W_out|^2,   |W_out| <= w_s

    Args:
        fit, held: sums over sequences to fit by, and to choose by; the final fit has both.
        strengths: lambda over the mean square of the lines. limits: (m,) the largest weight of each line.

    >>> fit = Moments(1, 1)
    >>> fit.add(np.array([[1.0], [2.0]]), np.array([[3.0], [6.0]]))
    >>> outputs(fit, fit, (1e-14,), np.array([np.inf])).w_out.round(6).item()
    3.0
    >>> outputs(fit, fit, (1e-14,), np.array([2.5])).w_out.item()
    2.5
    """
    errors = [held.error(C) for C in ridge_path(fit, strengths, limits)]
    best = int(np.argmin(errors))
    C = next(ridge_path(fit.joined(held), (strengths[best],), limits))
    return Outputs(C.T.copy(), strengths[best], errors[best])
