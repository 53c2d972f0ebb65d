"""How far noise with a memory moves a membrane: what its coupling is set by."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from neuroanp.devices.protocol import NodeSource

FORGOTTEN = 1e-9
"""Weight a^k below which the past of the noise no longer counts."""


def membrane_rms(source: NodeSource, a: float, dt: float) -> float:
    """Return the rms of a membrane that node noise alone drives, in thresholds.

        v <- a v + (1 - a) n,   a = exp(-dt / tau_m), or 1 - dt / tau_m by Euler's method
        <v^2> = sigma^2 (1 - a) / (1 + a) [1 + 2 sum_{k>0} a^k rho(k dt)]

    with rho the autocorrelation of n; for white noise sigma sqrt((1 - a) / (1 + a)).

    Args:
        source: the noise. a: what is left of v after a step. dt: seconds a step.

    Raises:
        ValueError: a membrane that takes more than a million steps to forget, or never does.

    >>> from math import exp
    >>> from neuroanp.devices.ornstein_uhlenbeck import OrnsteinUhlenbeck
    >>> round(membrane_rms(OrnsteinUhlenbeck(sigma=0.5, n_sources=1), exp(-1 / 20), 1e-3), 4)
    0.079
    >>> slow = OrnsteinUhlenbeck(sigma=0.5, tau=1e3, n_sources=1)  # stands still: the membrane follows
    >>> round(membrane_rms(slow, exp(-1 / 20), 1e-3), 4)
    0.5
    """
    if a >= 1:
        raise ValueError("a membrane without a leak sums noise up for ever, however little; use leak: true")
    if 1 - a < 1e-6:
        raise ValueError(
            "the membrane's time constant is more than a million steps; use a longer dt or a shorter tau_m"
        )
    # a source that is known sample by sample counts its lags in samples, one a step
    unit = 1.0 if source.samples_are_steps else dt
    total, weight, k = 1.0, a, 1
    while weight > FORGOTTEN:
        total += 2.0 * weight * source.autocorrelation(k * unit)
        weight, k = weight * a, k + 1
    return source.node_sigma * sqrt((1 - a) / (1 + a) * total)
