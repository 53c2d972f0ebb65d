"""The Kalman filter of conductance under single pulses: all reads in one likelihood, all devices at once.

    w_(k+1) = w_k + s+ - k+ w_k    + noise,   after an up pulse
    w_(k+1) = w_k - (s- + k- w_k)  + noise,   after a down pulse
    v_k     = w_k + r xi,                     what is read; xi redrawn by every pulse

Where steps are bent, w in k w becomes h(w) = (e^(gamma w) - 1) / gamma, gamma+ after up and gamma- after
down pulses, common to all devices; 0 is the straight line. The filter takes its tangent at a given way of the state
(an extended Kalman filter, its tangents at the smoothed path).

The noise of a step has standard deviation c s (additive) or c |mean step| (multiplicative), the mean
step taken at a given way of the state. Steps s and slopes k belong to a device; c and r are common
to all. w, v and all parameters in device units.

Where reads scatter, the state is known from all reads before, not from the last one. So no pulse
makes the filter start anew: one that may run into a bound does not count in the likelihood, but the
state goes on through it. Only a read without a pulse before it (direction 0) begins a train.

Pulses are taken blockwise, all blocks at once: what a block makes of the variance is a quotient of
linear functions, and of the mean a linear function, and both can be composed. So a record of ten
thousand pulses needs a few hundred steps of numpy.

Source: Harvey, Forecasting, Structural Time Series Models and the Kalman Filter (1989), 3.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

OWN = 4
"""Parameters of each device: s+, k+, s-, k-."""
SMALL = 1e-12
"""Smallest variance of a step."""

_STRAIGHT = 1e-7
"""Exponent, a unit of w, below which a bent line is one with the straight one to what is computed."""
_LARGEST = 50.0
"""Of gamma w: what a search may try without overflow."""
_MOST_NUMBERS = 2_000_000
"""In one array: devices are taken a few at a time beyond."""


class Form(NamedTuple):
    """How steps and reads scatter.

    Args:
        multiplicative: whether a step's noise shrinks with the step.
        seen: whether reads scatter about the state (r > 0).
        tied: whether up and down steps have one c, as in every law.
        bent: whether steps go with conductance as exponentials do.
    """

    multiplicative: bool
    seen: bool
    tied: bool = True
    bent: bool = False

    @property
    def bends(self) -> slice:
        """Places of gamma+ and gamma- among the shared parameters; empty where steps are straight lines."""
        first = 2 - self.tied
        return slice(first, first + 2 * self.bent)

    def split(self, shared: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return c of up steps, c of down steps and r^2 (None where reads do not scatter) of (..., S) logarithms."""
        scatter = np.exp(2 * shared[..., -1]) if self.seen else None
        return np.exp(shared[..., 0]), np.exp(shared[..., 0 if self.tied else 1]), scatter


@dataclass(frozen=True)
class Trains:
    """Pulses and reads of several devices, one device a column, shorter records padded.

    Args:
        v: (K + 1, D) reads; row k + 1 is the read after pulse k.
        direction: (K, D) +1, -1, or 0 where row k + 1 starts anew: no pulse before that read.
        used: (K, D) whether the likelihood of read k + 1 counts.
        at: (K, D) about where the state is before each pulse, for noise that goes with the step; the
            reads themselves where None.
    """

    v: np.ndarray
    direction: np.ndarray
    used: np.ndarray
    at: np.ndarray | None = None

    def of(self, devices: slice) -> Trains:
        """Return some of the devices."""
        at = None if self.at is None else self.at[:, devices]
        return Trains(self.v[:, devices], self.direction[:, devices], self.used[:, devices], at)


class Walk(NamedTuple):
    """What the filter makes of the pulses, (P, K, D) each: P variants of the parameters.

    Args:
        w, p: mean and variance of the state before the pulse, given all reads before.
        ahead: variance of the state after the pulse, given the same reads.
        e, s: what the read differs from its prediction by, and the variance of that.
    """

    w: np.ndarray
    p: np.ndarray
    ahead: np.ndarray
    e: np.ndarray
    s: np.ndarray


def mean_step(own: np.ndarray, w: np.ndarray, direction: np.ndarray, bends: np.ndarray | None = None) -> np.ndarray:
    """Return the mean step at w; own has its four parameters on the axis before the device's, bends is (2,) or None."""
    rises = direction > 0
    step = np.where(rises, own[..., 0, :], -own[..., 2, :])
    along = w if bends is None else bent(w, np.where(rises, *bends))[0]
    return step - np.where(rises, own[..., 1, :], own[..., 3, :]) * along


def bent(w: np.ndarray, gamma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return h(w) = (e^(gamma w) - 1) / gamma and its slope e^(gamma w); w and 1 where gamma is 0.

    >>> h, slope = bent(np.array([0.5, 0.5]), np.array([0.0, 2.0]))
    >>> h.round(4).tolist(), slope.round(4).tolist()
    ([0.5, 0.8591], [1.0, 2.7183])
    """
    x = np.clip(gamma * w, -_LARGEST, _LARGEST)
    small = np.abs(gamma) < _STRAIGHT
    return np.where(small, w * (1 + x / 2), np.expm1(x) / np.where(small, 1.0, gamma)), np.exp(x)


def tangents(trains: Trains, own: np.ndarray, shared: np.ndarray, form: Form) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean step of each pulse as a line, step - slope w, (P, K, D) each: a straight one, or a tangent.

    Args:
        trains, own, shared, form: as in `walk`.
    """
    rises = trains.direction > 0
    step = np.where(rises, own[:, None, 0], -own[:, None, 2])
    slope = np.where(rises, own[:, None, 1], own[:, None, 3])
    if not form.bent:
        return step, slope
    gamma = shared[..., form.bends]
    at = trains.v[:-1] if trains.at is None or not form.seen else trains.at
    h, along = bent(at, np.where(rises, gamma[:, None, :1], gamma[:, None, 1:]))
    return step - slope * (h - along * at), slope * along


def walk(trains: Trains, own: np.ndarray, shared: np.ndarray, form: Form) -> Walk:
    """Return what the filter makes of the pulses.

    Args:
        trains: the data.
        own: (P, 4, D) parameters, P variants of them.
        shared: (P, S) ln c, or those of up and of down steps; gamma+ and gamma- where steps are bent; ln r where
            reads scatter.
        form: how they scatter.
    """
    c_up, c_down, scatter = form.split(shared)
    rises = trains.direction > 0
    step, slope = tangents(trains, own, shared, form)
    size = step - slope * (trains.v[:-1] if trains.at is None else trains.at) if form.multiplicative else step
    q = (np.where(rises, c_up[:, None, None], c_down[:, None, None]) * size) ** 2 + SMALL
    if scatter is None:  # each read is the state
        w = np.broadcast_to(trains.v[:-1], step.shape)
        return Walk(w, np.zeros(step.shape), q, trains.v[1:] - (w + step - slope * w), q)
    cut = (trains.direction != 0) & ~trains.used
    if cut.any():  # a bound may leave anything of the step: half of it, give or take half
        size = step - slope * (trains.v[:-1] if trains.at is None else trains.at)
        q = np.where(cut, q + size**2 / 4, q)
        step, slope = np.where(cut, step / 2, step), np.where(cut, slope / 2, slope)
    r = np.broadcast_to(scatter[:, None], (len(own), own.shape[2]))
    fresh = trains.direction == 0
    p = _variances(fresh, (1 - slope) ** 2, q, r)
    ahead = (1 - slope) ** 2 * p + q
    s = ahead + r[:, None]
    gain = np.where(fresh, 1.0, ahead / s)
    w = _chained((1 - gain) * (1 - slope), (1 - gain) * step + gain * trains.v[1:], trains.v[0])
    return Walk(w, p, ahead, trains.v[1:] - ((1 - slope) * w + step), s)


def _variances(fresh: np.ndarray, a: np.ndarray, q: np.ndarray, r: np.ndarray) -> np.ndarray:
    """Return the variances p of the state before each pulse, (P, K, D).

        p' = r (a p + q) / (a p + q + r);  at the start and after a fresh read p = r

    Args:
        fresh: (K, D) whether the read after a pulse begins a train.
        a, q: (P, K, D) squared factor of the state, and variance of the step.
        r: (P, D) variance of a read.
    """
    count = a.shape[1]
    fresh, a, q = (_blocks(x, fill) for x, fill in ((fresh[None], True), (a, 1.0), (q, SMALL)))
    r = r[:, None]  # (P, block, D)
    now = [np.ones_like(a[0]), np.zeros_like(a[0]), np.zeros_like(a[0]), np.ones_like(a[0])]
    for k in range(len(a)):  # what each block makes of any p = x / y, as a matrix on (x, y)
        x0, x1, y0, y1 = now
        stays = ~fresh[k]
        z0, z1 = stays * (a[k] * x0 + q[k] * y0), stays * (a[k] * x1 + q[k] * y1)
        y0, y1 = np.where(stays, z0 + r * y0, 0.0), np.where(stays, z1 + r * y1, 1.0)
        x0, x1 = np.where(stays, r * z0, 0.0), np.where(stays, r * z1, r)
        total = np.maximum(x0 + x1, y0 + y1)
        now = [x0 / total, x1 / total, y0 / total, y1 / total]
    p = np.empty((len(a), *np.broadcast_shapes(a[0].shape, r.shape)))
    at = r[:, 0]
    for block in range(a.shape[2]):
        p[0, :, block] = at
        x0, x1, y0, y1 = (m[:, block] for m in now)
        at = (x0 * at + x1) / (y0 * at + y1)
    for k in range(len(a) - 1):
        z = a[k] * p[k] + q[k]
        p[k + 1] = np.where(fresh[k], r, r * z / (z + r))
    return _unblocked(p, count)


def _chained(a: np.ndarray, b: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Return w before each pulse, (P, K, D), of w' = a w + b from w = first, (D,)."""
    count = a.shape[1]
    a, b = _blocks(a, 1.0), _blocks(b, 0.0)
    for k in range(1, len(a)):  # what each block up to k makes of the w it begins with
        b[k] += a[k] * b[k - 1]
        a[k] *= a[k - 1]
    w = np.empty_like(a)
    at = np.broadcast_to(first, a[0, :, 0].shape)
    for block in range(a.shape[2]):
        w[0, :, block] = at
        at = a[-1, :, block] * at + b[-1, :, block]
    w[1:] = a[:-1] * w[0] + b[:-1]
    return _unblocked(w, count)


def _blocks(x: np.ndarray, fill: float) -> np.ndarray:
    """Return (P, K, D) as a copy in blocks of about root K pulses, (length, P, blocks, D), the last one filled."""
    variants, count, devices = x.shape
    length = max(1, round(count**0.5))
    blocks = -(-count // length)
    padded = np.full((variants, blocks * length, devices), fill, dtype=x.dtype)
    padded[:, :count] = x
    return np.ascontiguousarray(padded.reshape(variants, blocks, length, devices).transpose(2, 0, 1, 3))


def _unblocked(x: np.ndarray, count: int) -> np.ndarray:
    """Return blocks as one row of pulses again, (P, K, D)."""
    return x.transpose(1, 2, 0, 3).reshape(x.shape[1], -1, x.shape[3])[:, :count]


def score(trains: Trains, own: np.ndarray, shared: np.ndarray, form: Form) -> tuple[float, np.ndarray, np.ndarray]:
    """Return ln L, its gradient (D, 4 + S) and the expected information (D, 4 + S, 4 + S), device by device.

    Args:
        trains: the data.
        own: (D, 4) s+, k+, s-, k- of each device.
        shared: (S,) as `walk` has it.
        form: how steps and reads scatter.
    """
    most = max(1, _MOST_NUMBERS // ((1 + 2 * (OWN + len(shared))) * len(trains.direction)))
    groups = [slice(first, first + most) for first in range(0, len(own), most)]
    parts = [_score(trains.of(group), own[group], shared, form) for group in groups]
    return sum(x[0] for x in parts), np.concatenate([x[1] for x in parts]), np.concatenate([x[2] for x in parts])


def _score(trains: Trains, own: np.ndarray, shared: np.ndarray, form: Form) -> tuple[float, np.ndarray, np.ndarray]:
    devices, extra = len(own), len(shared)
    total = OWN + extra
    of_own = 1e-4 * np.abs(own.T) + 1e-7
    size = np.concatenate([of_own, np.full((extra, devices), 1e-4)])
    eye = np.eye(total)
    owns = np.concatenate([own.T[None], *(own.T + sign * of_own * eye[:, :OWN, None] for sign in (1, -1))])
    shares = np.concatenate([shared[None], *(shared + sign * 1e-4 * eye[:, OWN:] for sign in (1, -1))])
    found, used = walk(trains, owns, shares, form), trains.used
    (e0, *e), (s0, *s) = found.e, found.s
    de = np.where(used, np.subtract(e[:total], e[total:]) / (2 * size[:, None]), 0.0)
    ds = np.where(used, np.subtract(s[:total], s[total:]) / (2 * size[:, None]) / s0, 0.0)
    loglik = -0.5 * float(np.where(used, np.log(2 * np.pi * s0) + e0**2 / s0, 0.0).sum())
    gradient = (-0.5 * ds * (1 - e0**2 / s0) - de * e0 / s0).sum(1).T
    whitened = de / np.sqrt(s0)
    info = np.einsum("ikd,jkd->dij", whitened, whitened) + 0.5 * np.einsum("ikd,jkd->dij", ds, ds)
    return loglik, gradient, info


def smoothed(trains: Trains, own: np.ndarray, shared: np.ndarray, form: Form) -> np.ndarray:
    """Return the mean of the state at every read given all reads, (K + 1, D).

    Source: Rauch, Tung and Striebel, AIAA J. 3:1445 (1965).
    """
    if not form.seen:
        return trains.v
    w, p, ahead, e, s = (x[0] for x in walk(trains, own.T[None], shared[None], form))
    predicted, fresh = trains.v[1:] - e, trains.direction == 0
    slope = tangents(trains, own.T[None], shared[None], form)[1][0]
    back = np.where(fresh, 0.0, p * (1 - slope) / ahead)
    states = [np.where(fresh[-1], trains.v[-1], predicted[-1] + ahead[-1] / s[-1] * e[-1])]
    for k in range(len(w) - 1, -1, -1):
        states.append(w[k] + back[k] * (states[-1] - predicted[k]))
    return np.array(states[::-1])
