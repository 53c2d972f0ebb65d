"""Several telegraph signals, 1/f noise and white noise in one process, exact in continuous time but for what is white.

Source: Kogan, Electronic Noise and Fluctuations in Solids (1996), 8.2, for two-level fluctuators as what 1/f noise is
made of, a few of which stand out of the rest where a device is small.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from neuroanp.devices import telegraph
from neuroanp.devices.dwells import Dwells
from neuroanp.devices.one_over_f import Band, OneOverF


@dataclass(frozen=True)
class Fluctuators:
    """The sum of telegraph signals, 1/f noise and white noise, of mean 0 and variance 1.

        z = sum_k sqrt(share_k) (s_k - p_k) / sqrt(p_k (1 - p_k)) + sqrt(share_b) b + sqrt(share_w) xi

    Args:
        p: probability of the high state of each fluctuator. tau_c: correlation times, seconds.
        shares: of the variance, one a fluctuator.
        background: of unit variance, or None. background_share, white_share: of the variance; all shares sum to 1.

    >>> process = Fluctuators((0.5,), (1e-3,), (0.5,), None, 0.0, 0.5)
    >>> process.autocorrelation(0.0), round(process.autocorrelation(1e-3), 4), process.normals((7,))
    (1.0, 0.1839, (1, 7))
    """

    p: tuple[float, ...]
    tau_c: tuple[float, ...]
    shares: tuple[float, ...]
    background: OneOverF | None
    background_share: float
    white_share: float
    n_sources: ClassVar[int] = 1
    node_sigma: ClassVar[float] = 1.0
    samples_are_steps: ClassVar[bool] = False
    of_devices: ClassVar[None] = None
    of_ages: ClassVar[None] = None

    @property
    def _rungs(self) -> int:
        """Processes that the background is made of."""
        return 0 if self.background is None else len(self.background.ladder[0])

    def autocorrelation(self, lag_s: float) -> float:
        """Return the correlation with itself lag_s seconds away; two reads share nothing of what is white."""
        if not lag_s:
            return 1.0
        found = sum(share * math.exp(-abs(lag_s) / tau) for share, tau in zip(self.shares, self.tau_c, strict=True))
        slow = 0.0 if self.background is None else self.background_share * self.background.autocorrelation(lag_s)
        return found + slow

    def spectrum(self, f: Any) -> Any:
        """Return the one-sided power spectral density at f > 0 hertz, 1/Hz, of all but the white part, which has none.

        sum_k share_k 4 tau_k / (1 + (2 pi f tau_k)^2) + share_b S_b(f)
        """
        parts = zip(self.shares, self.tau_c, strict=True)
        lorentzians = (4.0 * share * telegraph.spectrum(0.5, tau, f) for share, tau in parts)
        slow = 0.0 if self.background is None else self.background_share * self.background.spectrum(f)
        return sum(lorentzians) + slow

    def frozen(self, window: float) -> float:
        """Return the share of the variance that stands still over a window of `window` seconds: of the time mean."""
        parts = [
            share * telegraph.frozen_share(window / tau) for share, tau in zip(self.shares, self.tau_c, strict=True)
        ]
        slow = 0.0 if self.background is None else self.background_share * self.background.frozen(window)
        return min(1.0, sum(parts) + slow)

    def uniforms(self, shape: tuple[int, ...]) -> tuple[int, ...] | None:
        """Return the shape of the uniforms one step takes, one a fluctuator; None without any."""
        return (len(self.p), *shape) if self.p else None

    def normals(self, shape: tuple[int, ...]) -> tuple[int, ...] | None:
        """Return the shape of the standard normals one step takes: the background's and, last, the white part's."""
        count = self._rungs + (self.white_share > 0)
        return (count, *shape) if count else None

    def start(self, u: Tensor | None, xi: Tensor | None) -> Tensor:
        """Return the stationary state, (K + rungs, *shape): s_k as 0 or 1, then the background's processes."""
        parts = [] if u is None else [(u < self._column(self.p, u)).to(u.dtype)]
        parts += [] if xi is None else [xi[: self._rungs]]
        return torch.cat(parts)

    def run(self, state: Tensor, u: Tensor | None, xi: Tensor | None, dt: float) -> tuple[Tensor, Tensor]:
        """Return the noise of T steps, (T, *shape), and the state after them.

        Args:
            state: what `start` or the last `run` returned.
            u: uniforms, (T, K, *shape), or None without fluctuators.
            xi: standard normals, (T, rungs + 1, *shape), or None where nothing takes any.
            dt: seconds a step, 0 or more; infinity makes the steps independent but for their devices.

        Raises: ValueError for a negative step.
        """
        draws = u if u is not None else xi
        assert draws is not None
        noise = draws.new_zeros(draws.shape[0], *draws.shape[2:])
        after, count = [], len(self.p)
        if u is not None:
            p, tau = (self._column(x, u[0]) for x in (self.p, self.tau_c))
            states = telegraph.run(state[:count] > 0, u, p, tau, dt)
            sizes = [math.sqrt(share / (p * (1.0 - p))) for share, p in zip(self.shares, self.p, strict=True)]
            noise += torch.einsum("k,tk...->t...", u.new_tensor(sizes), states.to(u.dtype))
            noise -= sum(size * p for size, p in zip(sizes, self.p, strict=True))
            after.append(states[-1].to(u.dtype))
        if xi is not None:
            if self.background is not None:
                slow, rungs = self.background.run(state[count:], None, xi[:, : self._rungs], dt)
                noise.add_(slow, alpha=math.sqrt(self.background_share))
                after.append(rungs)
            else:
                telegraph.lost(1.0, dt)  # time runs forward
            if self.white_share:
                noise.add_(xi[:, -1], alpha=math.sqrt(self.white_share))
        return noise, torch.cat(after) if after else state

    def _column(self, values: Sequence[float], like: Tensor) -> Tensor:
        return like.new_tensor(values).view(-1, *[1] * (like.dim() - 1))


def combined(
    fluctuators: Sequence[Dwells], sizes: Sequence[float], background: Band | None, size: float, white: float,
    copies: int = 1,
) -> tuple[Fluctuators, float]:  # fmt: skip
    """Return the process of unit variance, and its standard deviation in the unit of the sizes.

    Args: sizes: amplitudes a_k. size: sqrt(f S) of the background. white: sd of a read. copies: of all of it, summed.
    """
    variances = [a**2 * one.p * (1.0 - one.p) for a, one in zip(sizes, fluctuators, strict=True)]
    slow = None if background is None else background.process()
    of_slow = 0.0 if slow is None else size**2 / slow.density
    total = sum(variances) + of_slow + white**2
    shares = tuple(v / total / copies for v in variances) * copies
    p, tau = (tuple(values) * copies for values in ([f.p for f in fluctuators], [f.tau_c for f in fluctuators]))
    return Fluctuators(p, tau, shares, slow, of_slow / total, white**2 / total), math.sqrt(copies * total)
