"""Likelihood of conductance under single pulses: a linear state-space model, all devices at once.

    w_(k+1) = w_k + s+ - k+ w_k    + noise,   after an up pulse
    w_(k+1) = w_k - (s- + k- w_k)  + noise,   after a down pulse
    v_k     = w_k + r xi,                     what is read; xi redrawn by every pulse

The noise of a step has standard deviation c s (additive) or c |mean step| (multiplicative). Steps s
and slopes k belong to a device; c and r are common to all. w, v and all parameters in device units.
The maximum is found by Fisher scoring on the innovations of the Kalman filter.

Sources: Harvey, Forecasting, Structural Time Series Models and the Kalman Filter (1989), 3.4; the
correction of c and r for the parameters fitted along with them: Cox and Reid, Parameter orthogonality
and approximate conditional inference, J. R. Stat. Soc. B 49:1 (1987).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

OWN = 4
"""Parameters of each device: s+, k+, s-, k-."""

_CHUNK = 256
_SMALL = 1e-12


@dataclass(frozen=True)
class Trains:
    """Pulses and reads of several devices, one device a column, shorter records padded.

    Args:
        v: (K + 1, D) reads; row k + 1 is the read after pulse k.
        direction: (K, D) +1, -1, or 0 where row k + 1 starts anew: no pulse, or none of the law's.
        used: (K, D) whether the likelihood of read k + 1 counts.
    """

    v: np.ndarray
    direction: np.ndarray
    used: np.ndarray


@dataclass(frozen=True)
class Steps:
    """A fitted model of the steps.

    Args:
        own: (D, 4) s+, k+, s-, k- of each device.
        noise: c, the standard deviation of a step in steps.
        seen: r, standard deviation of a read; 0 where the model has none.
        own_covariance: (D, 4, 4).
        shared_covariance: of ln c (and ln r).
        loglik: at the maximum.
        multiplicative: whether a step's noise shrinks with it.
        count: transitions that counted.
    """

    own: np.ndarray
    noise: float
    seen: float
    own_covariance: np.ndarray
    shared_covariance: np.ndarray
    loglik: float
    multiplicative: bool
    count: int

    @property
    def aic(self) -> float:
        """Akaike's criterion."""
        return 2.0 * (self.own.size + len(self.shared_covariance)) - 2.0 * self.loglik


def start_of(trains: Trains) -> np.ndarray:
    """Return (D, 4) least-squares lines of the increments against the read before, up and down."""
    v, rise = trains.v[:-1], np.diff(trains.v, axis=0)
    own = np.empty((v.shape[1], OWN))
    for at, sign in ((0, 1.0), (2, -1.0)):
        weight = ((trains.direction == sign) & trains.used).astype(float)
        total = np.maximum(weight.sum(0), _SMALL)
        x, y = (weight * v).sum(0) / total, (weight * rise).sum(0) / total
        spread = np.maximum((weight * (v - x) ** 2).sum(0), _SMALL)
        slope = (weight * (v - x) * (rise - y)).sum(0) / spread
        own[:, at], own[:, at + 1] = sign * (y - slope * x), -slope
    return own


def fit(trains: Trains, multiplicative: bool, with_seen: bool, correct: bool = True) -> Steps:
    """Return the maximum-likelihood fit.

    Args:
        trains: the data.
        multiplicative: whether a step's noise shrinks with the step.
        with_seen: whether reads scatter about the state (r > 0).
        correct: whether c and r make up for the parameters that were fitted along with them.
    """
    own = start_of(trains)
    shared = _shared_start(trains, own, with_seen)
    loglik, gradient, info = _score(trains, own, shared, multiplicative)
    for _ in range(60):
        step_own, step_shared = _solve(gradient, info)
        step_shared = np.clip(step_shared, -1.0, 1.0)
        shrink = 1.0
        while shrink > 1e-4:
            moved = own + shrink * step_own, np.maximum(shared + shrink * step_shared, np.log(1e-8))
            found = _score(trains, *moved, multiplicative)
            if found[0] >= loglik:
                break
            shrink /= 2
        else:
            break
        gain = found[0] - loglik
        (own, shared), (loglik, gradient, info) = moved, found
        if gain < 1e-9 * max(1.0, abs(loglik)):
            break
    a_inverse, schur = _parts(info)
    covariance = np.linalg.pinv(schur)
    if correct:
        shared = shared + np.clip(covariance @ _correction(trains, own, shared, multiplicative), -0.3, 0.3)
    count = int(trains.used.sum())
    return Steps(
        own, float(np.exp(shared[0])), float(np.exp(shared[1])) if with_seen else 0.0, a_inverse,
        covariance, loglik, multiplicative, count,
    )  # fmt: skip


def innovations(trains: Trains, steps: Steps) -> tuple[np.ndarray, np.ndarray]:
    """Return what each read differs from its prediction by, and the standard deviation of that, (K, D) each."""
    shared = np.log([steps.noise, steps.seen] if steps.seen else [steps.noise])
    chunks = [*_filter(trains, steps.own.T[None], shared[None, :, None], steps.multiplicative)]
    return np.concatenate([e[0] for e, _, _ in chunks]), np.sqrt(np.concatenate([s[0] for _, s, _ in chunks]))


def standardised(trains: Trains, steps: Steps) -> np.ndarray:
    """Return the innovations that counted in standard deviations: one device after the other, each in order of time."""
    e, sd = innovations(trains, steps)
    return (e / sd).T[trains.used.T]


def _shared_start(trains: Trains, own: np.ndarray, with_seen: bool) -> np.ndarray:
    """Return ln c (and ln r) from the residuals of the start: a read's scatter makes neighbours anticorrelated."""
    mean = _mean_step(own.T, trains.v[:-1], trains.direction)
    e = np.where(trains.used, np.diff(trains.v, axis=0) - mean, 0.0)
    scale = max(_SMALL, float(np.abs(own[:, [0, 2]]).mean()))
    total = max(_SMALL, float((e**2).sum() / max(1, trains.used.sum())))
    if not with_seen:
        return np.array([0.5 * np.log(total) - np.log(scale)])
    pairs = trains.used[1:] & trains.used[:-1]
    shared = -float((e[1:] * e[:-1])[pairs].sum() / max(1, pairs.sum()))
    seen = min(0.45 * total, max(0.02 * total, shared))
    return 0.5 * np.log([(total - 2 * seen) / scale**2, seen])


def _mean_step(own: np.ndarray, w: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Return the mean step at w; own has its four parameters on the axis before the device's."""
    rises = direction > 0
    step = np.where(rises, own[..., 0, :], -own[..., 2, :])
    return step - np.where(rises, own[..., 1, :], own[..., 3, :]) * w


def _variance(own: np.ndarray, mean: np.ndarray, direction: np.ndarray, c: np.ndarray, multiplicative: bool):
    size = mean if multiplicative else np.where(direction > 0, own[..., 0, :], own[..., 2, :])
    return (c * size) ** 2 + _SMALL


def _filter(
    trains: Trains, own: np.ndarray, shared: np.ndarray, multiplicative: bool
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield innovations, their variances and `used`, a chunk of pulses at a time.

    Args:
        own: (P, 4, D) parameters, P variants of them.
        shared: (P, 1 or 2, D or 1).
    """
    c = np.exp(shared[:, 0])
    pulses = len(trains.direction)
    if shared.shape[1] == 1:
        for k in range(0, pulses, _CHUNK):
            part = slice(k, min(pulses, k + _CHUNK))
            direction, used, v = trains.direction[part], trains.used[part], trains.v[part]
            mean = _mean_step(own[:, None], v, direction)
            variance = _variance(own[:, None], mean, direction, c[:, None], multiplicative)
            yield trains.v[k + 1 : part.stop + 1] - v - mean, variance, used
        return
    seen = np.exp(2 * shared[:, 1])
    w = np.broadcast_to(trains.v[0], own[:, 0].shape)
    p = np.broadcast_to(seen, w.shape)
    for k in range(pulses):
        direction, used, v = trains.direction[k], trains.used[k], trains.v[k + 1]
        slope = np.where(direction > 0, own[:, 1], own[:, 3])
        mean = _mean_step(own, w, direction)
        ahead = (1 - slope) ** 2 * p + _variance(own, mean, direction, c, multiplicative)
        e, s = v - w - mean, ahead + seen
        yield e[:, None], s[:, None], used[None]
        gain = np.where(used, ahead / s, 1.0)
        w = w + np.where(used, mean, 0.0) + gain * np.where(used, e, v - w)
        p = np.where(used, (1 - gain) * ahead, seen)


def _score(trains: Trains, own: np.ndarray, shared: np.ndarray, multiplicative: bool):
    """Return ln L, its gradient (D, 4 + S) and the expected information (D, 4 + S, 4 + S), device by device."""
    devices, extra = len(own), len(shared)
    total = OWN + extra
    theta = np.concatenate([own.T, np.broadcast_to(shared[:, None], (extra, devices))])
    size = np.concatenate([np.maximum(1e-7, 1e-4 * np.abs(own.T) + 1e-7), np.full((extra, devices), 1e-4)])
    variants = np.concatenate([theta[None], *(theta + sign * size * np.eye(total)[:, :, None] for sign in (1, -1))])
    loglik, gradient, info = 0.0, np.zeros((devices, total)), np.zeros((devices, total, total))
    for e, s, used in _filter(trains, variants[:, :OWN], variants[:, OWN:], multiplicative):
        e0, s0 = e[0], s[0]
        de = np.where(used, (e[1 : total + 1] - e[total + 1 :]) / (2 * size[:, None]), 0.0)
        ds = np.where(used, (s[1 : total + 1] - s[total + 1 :]) / (2 * size[:, None]) / s0, 0.0)
        loglik -= 0.5 * float(np.where(used, np.log(2 * np.pi * s0) + e0**2 / s0, 0.0).sum())
        gradient += (-0.5 * ds * (1 - e0**2 / s0) - de * e0 / s0).sum(1).T
        whitened = de / np.sqrt(s0)
        info += np.einsum("ikd,jkd->dij", whitened, whitened) + 0.5 * np.einsum("ikd,jkd->dij", ds, ds)
    return loglik, gradient, info


def _correction(trains: Trains, own: np.ndarray, shared: np.ndarray, multiplicative: bool) -> np.ndarray:
    """Return d(-1/2 sum ln det A) / d shared, A the information on a device's own parameters."""

    def penalty(at: np.ndarray) -> float:
        info = _score(trains, own, at, multiplicative)[2][:, :OWN, :OWN]
        scale = np.sqrt(np.maximum(np.einsum("dii->di", info), _SMALL))
        known = info / (scale[:, :, None] * scale[:, None, :]) + 1e-10 * np.eye(OWN)
        return float(-0.5 * np.linalg.slogdet(known)[1].sum() - np.log(scale).sum())

    steps = 1e-3 * np.eye(len(shared))
    return np.array([(penalty(shared + h) - penalty(shared - h)) / 2e-3 for h in steps])


def _parts(info: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the inverse of each device's own block, and the shared block less what the devices take of it."""
    a, b = info[:, :OWN, :OWN], info[:, :OWN, OWN:]
    scale = np.sqrt(np.maximum(np.einsum("dii->di", a), _SMALL))
    outer = scale[:, :, None] * scale[:, None, :]
    inverse = np.linalg.inv(a / outer + 1e-10 * np.eye(OWN)) / outer
    return inverse, info[:, OWN:, OWN:].sum(0) - np.einsum("dis,dij,djt->st", b, inverse, b)


def _solve(gradient: np.ndarray, info: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the scoring step of the devices' own and of the shared parameters."""
    inverse, schur = _parts(info)
    b, g = info[:, :OWN, OWN:], gradient[:, :OWN]
    shared = np.linalg.pinv(schur) @ (gradient[:, OWN:].sum(0) - np.einsum("dis,dij,dj->s", b, inverse, g))
    return np.einsum("dij,dj->di", inverse, g - b @ shared), shared
