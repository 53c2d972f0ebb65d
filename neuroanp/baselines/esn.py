"""Echo state networks: random hidden weights with a given spectral radius, outputs by least squares.

    x_t = (1 - a) x_{t-1} + a tanh(W_in (u_t, 1) + W x_{t-1}),   y_t = W_out x_t           a: leak of the cell; tanh: 1

W is drawn once, a share `density` of it other than 0 and uniform there, and scaled to the spectral radius rho; W_in is
uniform within `input_scale`, the column of a bias line too. A reservoir of tanh units forgets where it started if its
largest singular value is below 1; a spectral radius below 1 is the usual rule, which is neither needed nor enough.

Source: Jaeger, GMD Report 148 (2001); Lukosevicius, Neural Networks: Tricks of the Trade, LNCS 7700, 659 (2012).
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from neuroanp.baselines.solved import Solved
from neuroanp.errors import InputError


class ESN(Solved):
    """Echo state network: random hidden weights of a given spectral radius, outputs by least squares."""

    learner: ClassVar[str] = "esn"
    cells: ClassVar[tuple[str, ...]] = ("tanh", "leaky_tanh")
    needs_bias: ClassVar[bool] = False

    name: Literal["esn"] = "esn"  # pyright: ignore[reportIncompatibleVariableOverride] - frozen
    radius: float = Field(default=0.9, ge=0, le=10, description="spectral radius of the recurrence")
    input_scale: float = Field(default=0.5, gt=0, le=100, description="largest weight of the inputs, and of a bias")
    density: float = Field(default=1.0, gt=0, le=1, description="share of the recurrent weights that are not 0")


def reservoir(rule: ESN, units: int, rng: np.random.Generator) -> np.ndarray:
    """Draw W (n, n), of spectral radius rho.

    Args:
        rule: its options. units: n. rng: draws.

    Raises: InputError: a radius is asked for, and no unit of a draw this sparse reaches itself.

    >>> W = reservoir(ESN(radius=0.5, density=0.3), 50, np.random.default_rng(0))
    >>> round(float(np.abs(np.linalg.eigvals(W)).max()), 6), round(float((W != 0).mean()), 1)
    (0.5, 0.3)
    """
    from scipy.sparse.csgraph import connected_components

    W = rng.uniform(-1.0, 1.0, (units, units)) * (rng.random((units, units)) < rule.density)
    loops = connected_components(W != 0, connection="strong")[0] < units or bool(np.diag(W).any())
    if not loops and rule.radius:  # its eigenvalues are 0, which rounding hides
        raise InputError(
            f"rule.density: {rule.density:g} of the weights of {units} units make no loop, so that no spectral radius "
            f"can be {rule.radius:g}; raise it, use more units, or set rule.radius to 0"
        )
    return W * (rule.radius / float(np.abs(np.linalg.eigvals(W)).max())) if rule.radius else np.zeros_like(W)


def inputs(rule: ESN, units: int, lines: int, rng: np.random.Generator) -> np.ndarray:
    """Draw W_in (n, lines), the bias line among them where there is one."""
    return rng.uniform(-rule.input_scale, rule.input_scale, (units, lines))
