"""A two-state Markov process in continuous time: a telegraph signal, exact over any step.

State 1 is left at the rate 1/tau_high, state 0 at the rate 1/tau_low. With

    1/tau_c = 1/tau_high + 1/tau_low,  p = P(1) = tau_high / (tau_high + tau_low),  rho = e^{-dt/tau_c}
    P(0 -> 1) = p (1 - rho),  P(1 -> 1) = p + (1 - p) rho

no step is too long or too short: two steps of dt/2 are one of dt (Chapman-Kolmogorov).

Source: Machlup, Noise in semiconductors: spectrum of a two-parameter random signal, J. Appl. Phys.
25, 341 (1954), for the spectrum; the means of reads follow from the covariance.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from neuroanp.devices.protocol import Place

Value = TypeVar("Value", float, Tensor)
"""A number, or a tensor of one for each source."""

SMALL = 1e-3
"""Below this a difference of nearly equal terms is replaced by its series."""


def correlation_time(tau_high: Value, tau_low: Value) -> Value:
    """Return tau_c, seconds, from the mean dwell times in both states (written so as not to overflow).

    >>> correlation_time(10e-9, 10e-9)
    5e-09
    """
    return tau_high * (tau_low / (tau_high + tau_low))


def occupancy(tau_high: Value, tau_low: Value) -> Value:
    """Return p, the probability of state 1.

    >>> occupancy(3e-9, 1e-9)
    0.75
    """
    return tau_high / (tau_high + tau_low)


def transition(p: Any, tau_c: Any, dt: float) -> tuple[Any, Any]:
    """Return P(0 -> 1) and P(1 -> 1) over a step of dt seconds, exact.

    Args:
        p: probability of state 1.
        tau_c: correlation time, seconds.
        dt: seconds, 0 or more; infinity makes the states independent.

    Raises: ValueError for a negative step.

    >>> [round(x, 6) for x in transition(0.25, 1.0, math.log(2.0))]
    [0.125, 0.625]
    """
    gone = lost(tau_c, dt)
    return p * gone, 1.0 - (1.0 - p) * gone


def lost(tau_c: Any, dt: float) -> Any:
    """Return 1 - rho, the share of a correlation that a step of dt seconds takes; ValueError for a negative step.

    >>> round(lost(1.0, math.log(2.0)), 6), lost(1.0, math.inf)
    (0.5, 1.0)
    """
    if not dt >= 0:
        raise ValueError(f"a step of {dt} s: time runs forward; use 0 s or more")
    return -_expm1(-dt / tau_c)


def start(u: Tensor, p: float | Tensor) -> Tensor:
    """Return stationary states (bool) for uniforms u in [0, 1).

    >>> start(torch.tensor([0.1, 0.3]), 0.25).tolist()
    [True, False]
    """
    return u < p


def run(state: Tensor, u: Tensor, p: float | Tensor, tau_c: float | Tensor, dt: float) -> Tensor:
    """Return the states after each of T steps: a source is in state 1 where u < P(. -> 1).

    u below P(0 -> 1) sets the state, u from P(1 -> 1) on clears it, and in between it stays. float32
    uniforms come in steps of 2^-24: transitions rarer than about 1e-6 a step (dt < 1e-6 tau_c) need float64.

    Args:
        state: bool, any shape, before the first step.
        u: uniforms, (T, *shape).
        p: probability of state 1, a number or broadcast against the shape.
        tau_c: correlation time likewise, seconds.
        dt: seconds a step.

    Returns: bool, (T, *shape).

    >>> run(torch.tensor([True]), torch.tensor([[0.6], [0.7], [0.2], [0.1]]), 0.25, 1.0, math.log(2.0)).T.tolist()
    [[True, False, False, True]]
    """
    low, high = (x.to(u) if isinstance(x, Tensor) else x for x in transition(p, tau_c, dt))
    sets, states = u < low, u < high
    for on, after in zip(sets, states, strict=True):
        state = after.bitwise_and_(state).bitwise_or_(on)
    return states


def count(state: Tensor, u: Tensor, p: float, tau_c: float, dt: float) -> tuple[Tensor, Tensor]:
    """Return how many sources are in state 1 after each of T steps, of u's dtype, and their states after the last.

    Args: state: bool, (n_sources, *shape). u: (T, n_sources, *shape). p, tau_c, dt: as for `run`; numbers.

    >>> high, state = count(torch.tensor([[True], [True]]), torch.tensor([[[0.6], [0.7]]]), 0.25, 1.0, math.log(2.0))
    >>> high.tolist(), state.T.tolist()
    ([[1.0]], [[True, False]])
    """
    if u.device.type != "cpu":
        states = run(state, u, p, tau_c, dt)
        return states.to(u.dtype).sum(1), states[-1].clone()
    from neuroanp.kernels import telegraph_loops

    low, high = (u.numpy().dtype.type(x) for x in transition(p, tau_c, dt))
    s = state.to(u.dtype, copy=True, memory_format=torch.contiguous_format)
    out = u.new_empty((len(u), *u.shape[2:]))
    sources, k = len(s), s[0].numel()
    draws = u.contiguous().view(len(u), sources, k).numpy()
    telegraph_loops.switches(s.view(sources, k).numpy(), draws, low, high, out.view(len(u), k).numpy())
    return out, s > 0


def fill(
    place: Place, state: Tensor, transition: tuple[float, float], mean: float, scale: float
) -> Tensor:  # fmt: skip
    """Put (count - mean) scale of T steps, drawn as they are made, at a place; return the states after them.

    Args: state: bool, (n_sources, B, n). transition: P(. -> 1) from 0 and from 1.

    >>> from neuroanp.devices.protocol import Place
    >>> from neuroanp.noise import PassStreams, Streams
    >>> streams = PassStreams(Streams(0), "train", 0)
    >>> place = Place(torch.zeros(1000, 1, 1, 1), 0, streams.at("u", 0), streams.at("xi", 0))
    >>> after = fill(place, torch.zeros(1, 1, 1, dtype=torch.bool), (0.25, 0.25), mean=0.25, scale=1.0)  # no memory
    >>> place.noise.unique().tolist(), abs(place.noise.mean().item()) < 0.05
    ([-0.25, 0.75], True)
    """
    from neuroanp.kernels import source_loops

    s = state.to(torch.float32, copy=True, memory_format=torch.contiguous_format)
    numbers = (np.float32(x) for x in (*transition, mean, scale))
    of_u = place.u.keys, place.u.update, place.u.stream
    source_loops.switches(place.noise.numpy(), place.m, s.numpy(), of_u, place.u.t, *numbers)
    return s > 0


def autocovariance(p: float, tau_c: float, lag: float) -> float:
    """Return the covariance of the state (0 or 1) with itself `lag` seconds away: p (1-p) e^{-|lag|/tau_c}.

    >>> round(autocovariance(0.5, 1.0, math.log(2.0)), 6)  # p (1 - p) / 2
    0.125
    """
    return p * (1.0 - p) * math.exp(-abs(lag) / tau_c)


def spectrum(p: Any, tau_c: Any, f: Any) -> Any:
    """Return the one-sided power spectral density of the state at f hertz, 1/Hz, without the line at 0 Hz.

    S(f) = 4 p (1-p) tau_c / (1 + (2 pi f tau_c)^2)

    >>> spectrum(0.5, 1.0, 0.0), round(spectrum(0.5, 1.0, 1.0 / (2.0 * math.pi)), 6)  # half at the corner
    (1.0, 0.5)
    >>> f = np.linspace(0.0, 1e4, 10**6)
    >>> round(float(np.trapezoid(spectrum(0.5, 1e-3, f), f)), 2)  # p (1 - p), all but the tail
    0.25
    """
    return 4.0 * p * (1.0 - p) * tau_c / (1.0 + (2.0 * math.pi * f * tau_c) ** 2)


def variance_of_mean(p: Any, tau_c: Any, n: int, spacing: float) -> Any:
    """Return the variance of the mean of n reads of the state, `spacing` seconds apart.

        Var = p (1-p)/n [(1+rho)/(1-rho) - 2 rho (1-rho^n) / (n (1-rho)^2)],  rho = e^{-spacing/tau_c}

    Args:
        p, tau_c: as in `run`.
        n: reads, 1 at least.
        spacing: seconds from one read to the next, 0 or more.

    Raises: ValueError for no reads or a negative spacing.

    >>> round(variance_of_mean(0.5, 1.0, 2, math.log(2.0)), 6)  # (1 + rho) / 8
    0.1875
    """
    if n < 1 or not spacing >= 0:
        raise ValueError(f"a mean of {n} reads {spacing} s apart; take 1 read or more, 0 s or more apart")
    x = spacing / tau_c
    # the differences |i - j| of n reads have the means (n^2-1)/(3n) and (n^2-1)/6 of their first two powers
    series = 1.0 - x * ((n * n - 1) / (3 * n)) + 0.5 * x * x * ((n * n - 1) / 6)
    if isinstance(x, Tensor):
        safe = x.double().clamp_min(1e-4 / n)
        share = torch.where(n * x < 1e-4, series.double(), _share(safe, n)).to(x.dtype)
    else:
        share = series if n * x < 1e-4 else float(_share(x, n))
    return p * (1.0 - p) * share


def _share(x: Any, n: int) -> Any:
    lost = -_expm1(-x)
    rho = 1.0 - lost
    return ((1.0 + rho) / lost + 2.0 * rho * _expm1(-n * x) / (n * lost * lost)) / n


def frozen_share(x: float) -> float:
    """Return the share of an exponentially correlated process that stands still over a window.

        Var(time mean over T) / Var = 2 (x - 1 + e^{-x}) / x^2,  x = T / tau

    The rest is fresh: it is what moves about that mean within the window.

    >>> [round(frozen_share(x), 6) for x in (0.0, 1.0, 1e9)]
    [1.0, 0.735759, 0.0]
    """
    if x < SMALL:
        return 1.0 - x / 3.0 + x * x / 12.0 - x**3 / 60.0
    return 2.0 / x * (1.0 + math.expm1(-x) / x)


def frozen_share_spread(shortest: float, longest: float) -> float:
    """Return the mean of `frozen_share` over ln x, uniform from `shortest` to `longest`.

        [F(longest) - F(shortest)] / ln(longest / shortest)
        F(x) = (1 - e^{-x})/x^2 - (2 - e^{-x})/x - E_1(x)

    Args:
        shortest, longest: window over the longest and the shortest correlation time.

    >>> round(frozen_share_spread(0.999, 1.001), 6) == round(frozen_share(1.0), 6)
    True
    """
    if shortest == longest or longest == 0.0:
        return frozen_share(longest)
    share = (_frozen_integral(longest) - _frozen_integral(shortest)) / math.log(longest / shortest)
    return min(1.0, share)  # rounding must not make it more than all


def _frozen_integral(x: float) -> float:
    """Return F(x), the integral of frozen_share(x) / x."""
    from scipy.special import exp1

    if x < SMALL:
        return math.log(x) + np.euler_gamma - 1.5 - x / 3.0 + x * x / 24.0
    return -math.expm1(-x) / x**2 - (2.0 - math.exp(-x)) / x - float(exp1(x))


def _expm1(x: Any) -> Any:
    return torch.expm1(x) if isinstance(x, Tensor) else math.expm1(x)
