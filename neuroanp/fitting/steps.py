"""Steps of conductance under single pulses: their maximum-likelihood fit, all devices at once.

The model is that of `kalman`; the maximum is found by Fisher scoring on the innovations of its
filter. Where reads scatter more than a step moves, the likelihood may have several maxima: the
search starts from the trend over one pulse, over some and over many, and the highest one counts.

Sources: Harvey, Forecasting, Structural Time Series Models and the Kalman Filter (1989), 3.4; the
correction of c and r for the parameters fitted along with them: Cox and Reid, Parameter orthogonality
and approximate conditional inference, J. R. Stat. Soc. B 49:1 (1987).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from neuroanp.fitting.estimate import normal_quantile
from neuroanp.fitting.kalman import OWN, SMALL, Form, Trains, Walk, mean_step, score, smoothed, walk

_LAGS = (1, 4, 16, 64)
"""Pulses over which a start takes the trend."""
_TRIALS, _TRIAL = 2, 5
"""So many starts, the likeliest ones, go so many scoring steps before the best of them goes on alone."""
_MOST = 60
_GAIN = 1e-5
"""Gain in ln L below which a search ends: 0.005 standard errors from the maximum."""
_FALL = 5.0
"""How far below its highest value the logarithm of the likelihood is where the grid of the noise ends."""
_NOTHING = 1e-3
"""c below which steps do not scatter."""
_NEAREST = 0.2
"""Smallest part of a step s that one scoring step leaves: s stays positive, as in every law."""


@dataclass(frozen=True)
class Steps:
    """A fitted model of the steps.

    Args:
        own: (D, 4) s+, k+, s-, k- of each device.
        shared: (S,) ln c, or those of up and of down steps; gamma+ and gamma- of bent steps; ln r where reads scatter.
        form: how steps and reads scatter.
        own_covariance: (D, 4, 4) given the shared parameters.
        pull: (D, 4, S) what a change of the shared parameters makes of the own ones.
        shared_covariance: (S, S).
        loglik: at the maximum.
        count: transitions that counted.
    """

    own: np.ndarray
    shared: np.ndarray
    form: Form
    own_covariance: np.ndarray
    pull: np.ndarray
    shared_covariance: np.ndarray
    loglik: float
    count: int

    @property
    def aic(self) -> float:
        """Akaike's criterion."""
        return 2.0 * (self.own.size + len(self.shared_covariance)) - 2.0 * self.loglik

    @property
    def multiplicative(self) -> bool:
        """Whether a step's noise shrinks with it."""
        return self.form.multiplicative

    @property
    def noise(self) -> float:
        """c, the standard deviation of a step in steps."""
        return float(np.exp(self.shared[0]))

    @property
    def seen(self) -> float:
        """r, the standard deviation of a read; 0 where the model has none."""
        return float(np.exp(self.shared[-1])) if self.form.seen else 0.0

    @property
    def bends(self) -> np.ndarray | None:
        """gamma+ and gamma-, (2,), a unit of w; None where steps are straight lines."""
        return self.shared[self.form.bends] if self.form.bent else None

    def held(self, a: np.ndarray, devices: np.ndarray | None = None) -> Steps:
        """Return the estimate on the condition that a . theta = 0 for each device, or for those named.

            theta' = theta - C a (a^T C a)^-1 a^T theta

        Args:
            a: (4,) or (D, 4).
            devices: (D,) bool.
        """
        a = np.broadcast_to(a, self.own.shape)
        ca = np.einsum("dij,dj->di", self.own_covariance, a)
        size = np.einsum("di,di->d", a, ca)
        on = np.ones(len(a), bool) if devices is None else devices
        factor = np.where(on & (size > 0), 1.0 / np.where(size > 0, size, 1.0), 0.0)
        pull = self.pull - ca[:, :, None] * (factor[:, None] * np.einsum("di,dis->ds", a, self.pull))[:, None]
        own = self.own - ca * (factor * np.einsum("di,di->d", a, self.own))[:, None]
        return replace(
            self, own=own, pull=pull, own_covariance=self.own_covariance - np.einsum("d,di,dj->dij", factor, ca, ca)
        )


class _Found(NamedTuple):
    """Where a search stands: parameters, ln L, its gradient and the expected information."""

    own: np.ndarray
    shared: np.ndarray
    loglik: float
    gradient: np.ndarray
    info: np.ndarray


def fit(
    trains: Trains, form: Form, correct: bool = True, near: Steps | None = None, zero: tuple[int, ...] = (),
    held: tuple[int, ...] = (),
) -> Steps:  # fmt: skip
    """Return the maximum-likelihood fit.

    Args:
        trains: the data.
        form: how steps and reads scatter.
        correct: whether c and r make up for the parameters that were fitted along with them.
        near: a fit of the same model to nearly the same data, from which the search goes on.
        zero: those of s+, k+, s-, k- that are zero in every device, by their places.
        held: those of the shared parameters that stay as in `near`, by their places.
    """
    fixed = (*zero, *(OWN + i for i in held))
    found = _search(trains, form, near, fixed)
    own = [i for i in range(OWN) if i not in zero]
    free = [i for i in range(len(found.shared)) if i not in held]
    shared, (inverse, schur) = found.shared, _parts(_without(found.info, fixed), len(own))
    covariance = np.zeros((len(shared), len(shared)))
    covariance[np.array(free)[:, None], free] = np.linalg.pinv(schur)
    if correct:
        penalty = _correction(trains, found.own, shared, form, own)
        penalty[form.bends] = 0.0  # it makes up for variances that are too small
        shared = shared + np.clip(covariance @ penalty, -0.3, 0.3)
    own_covariance = np.zeros((len(found.own), OWN, OWN))
    own_covariance[:, np.array(own)[:, None], own] = inverse
    pull = -np.einsum("dij,djs->dis", own_covariance, found.info[:, :OWN, OWN:])
    return Steps(found.own, shared, form, own_covariance, pull, covariance, found.loglik, int(trains.used.sum()))


def innovations(trains: Trains, steps: Steps) -> tuple[np.ndarray, np.ndarray]:
    """Return what each read differs from its prediction by, and the standard deviation of that, (K, D) each."""
    found = _walked(trains, steps)
    return found.e[0], np.sqrt(found.s[0])


def states(trains: Trains, steps: Steps) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance of the state before each pulse, given the reads before it, (K, D) each."""
    found = _walked(trains, steps)
    return found.w[0], found.p[0]


def path(trains: Trains, steps: Steps) -> np.ndarray:
    """Return the mean of the state at each read, given all reads, (K + 1, D)."""
    return smoothed(trains, steps.own, steps.shared, steps.form)


def standardised(trains: Trains, steps: Steps) -> np.ndarray:
    """Return the innovations that counted in standard deviations: one device after the other, each in order of time."""
    e, sd = innovations(trains, steps)
    return (e / sd).T[trains.used.T]


class Integrated(NamedTuple):
    """A fit with the noise of steps integrated over, and what is known of that noise.

    Args:
        steps: with c at its median; own parameters are means over c, and their pull is that of ln c.
        low, high: 95 % interval of c; low is 0 where steps without noise are as likely as not.
    """

    steps: Steps
    low: float
    high: float


def integrated(trains: Trains, steps: Steps, which: int, zero: tuple[int, ...] = ()) -> Integrated:
    """Return the fit with one c integrated over, for where its maximum tells little of it, and an interval of c.

    Where reads scatter much more than steps do, c shows in the slow wandering of a record only, of
    which there is little: the likelihood is lopsided, its maximum often at c = 0, and all else seems
    better known there than it is. So ln c gets a grid; at each point all else is fitted, and counts
    with weight L |A|^(-1/2) dq: the likelihood of c, corrected for the own parameters with information
    A (Cox and Reid 1987), with all q = c s equally likely beforehand (c itself has no end where s may
    be nothing).

    Args:
        trains: the data.
        steps: fitted to them.
        which: index of ln c among the shared parameters: 0, or 1 for that of down steps where they have their own.
        zero: as in `fit`.
    """
    error = float(np.sqrt(steps.shared_covariance[which, which]))
    spacing = min(0.35, max(0.08, error / 1.5)) if error else 0.35
    found: dict[float, tuple[float, _Found]] = {}

    def look(at: float, near: _Found) -> float:
        shared = near.shared.copy()
        shared[which] = at
        held = _Found(near.own, shared, *score(trains, near.own, shared, steps.form))
        held = _climbed(trains, held, steps.form, _TRIAL, (*zero, OWN + which))
        own = _without(held.info[:, :OWN, :OWN], zero)
        found[at] = held.loglik - 0.5 * float(np.linalg.slogdet(own)[1].sum()), held
        return found[at][0]

    def size(at: float) -> float:
        steps_of = found[at][1].own[:, [0, 2]]
        return float(np.exp(at) * (steps_of if steps.form.tied else steps_of[:, which]).mean())

    first = _Found(steps.own, steps.shared, *score(trains, steps.own, steps.shared, steps.form))
    middle = max(float(steps.shared[which]), float(np.log(_NOTHING)))
    best = look(middle, first)
    for way in (1, -1):
        at = middle
        for _ in range(_MOST):
            now, before = look(at + way * spacing, found[at][1]), size(at)
            at, best = at + way * spacing, max(best, now)
            if now < best - _FALL or abs(size(at) - before) < 1e-3 * size(middle):
                break
    t = np.array(sorted(found))
    weight = np.exp([found[x][0] - best for x in t]) * np.maximum(np.gradient([size(x) for x in t]), 0.0)
    weight /= weight.sum()
    states = [found[x][1] for x in t]
    mean = float(weight @ t)
    variance = float(weight @ (t - mean) ** 2)
    own = sum(w * x.own for w, x in zip(weight, states, strict=True))
    pull = sum(w * (x_t - mean) * x.own for w, x_t, x in zip(weight, t, states, strict=True)) / variance
    low, median, high = np.exp(np.interp([0.025, 0.5, 0.975], np.cumsum(weight) - weight / 2, t))
    near = states[int(np.argmin(np.abs(t - np.log(median))))]
    shared = near.shared.copy()
    shared[which] = np.log(median)
    rest = fit(trains, steps.form, False, replace(steps, own=near.own, shared=shared), zero, (which,))
    covariance, pulls = rest.shared_covariance.copy(), rest.pull.copy()
    covariance[which, :], covariance[:, which] = 0.0, 0.0
    covariance[which, which], pulls[:, :, which] = variance, pull
    none = look(float(np.log(_NOTHING)) - 1, states[0])
    low = 0.0 if best - none < normal_quantile() ** 2 / 2 else float(low)
    done = replace(rest, own=own, shared=shared, pull=pulls, shared_covariance=covariance)
    return Integrated(done, low, float(high))


def _walked(trains: Trains, steps: Steps) -> Walk:
    return walk(trains, steps.own.T[None], steps.shared[None], steps.form)


def _search(trains: Trains, form: Form, near: Steps | None, held: tuple[int, ...]) -> _Found:
    """Return the highest maximum that the starts lead to."""
    if near is not None:
        starts = [(near.own.copy(), near.shared)]
    elif form.seen:
        starts = [_start(trains, lag, form) for lag in _LAGS if lag == 1 or _enough(trains, lag)]
    else:
        starts = [_start(trains, 1, form)]
    for own, _ in starts:
        own[:, [i for i in held if i < OWN]] = 0.0
    trials = [_Found(own, shared, *score(trains, own, shared, form)) for own, shared in starts]
    if len(trials) > 1:
        likeliest = sorted(trials, key=lambda trial: -trial.loglik)[:_TRIALS]
        trials = [_climbed(trains, trial, form, _TRIAL, held) for trial in likeliest]
    return _climbed(trains, max(trials, key=lambda trial: trial.loglik), form, _MOST, held)


def _climbed(trains: Trains, found: _Found, form: Form, most: int, held: tuple[int, ...] = ()) -> _Found:
    """Return the search after so many scoring steps, fewer where none makes the likelihood higher.

    Args:
        trains: the data.
        found: where it starts.
        form: how steps and reads scatter.
        most: scoring steps.
        held: places of the parameters that stay as they are, own ones first.
    """
    for _ in range(most):
        step_own, step_shared = _solve(found.gradient, found.info, held)
        room = _room(found.own, step_own)
        if form.bent:  # exponents hang together with all the rest: the whole step is shortened, or none of it
            most_of = min(float(room.min()), 1.0 / max(1.0, float(np.abs(step_shared).max())))
            step_own, step_shared = most_of * step_own, most_of * step_shared
        step_own = step_own * room[:, None] if not form.bent else step_own
        step_shared = np.clip(step_shared, -1.0, 1.0)
        shrink = 1.0
        while shrink > 1e-4:
            own, shared = found.own + shrink * step_own, np.maximum(found.shared + shrink * step_shared, np.log(1e-8))
            moved = _Found(own, shared, *score(trains, own, shared, form))
            if moved.loglik >= found.loglik:
                break
            shrink /= 2
        else:
            break
        gain, found = moved.loglik - found.loglik, moved
        if gain < _GAIN:
            break
    return found


def _room(own: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Return the part of each device's scoring step that keeps its steps s+ and s- positive, (D,)."""
    size, change = own[:, [0, 2]], step[:, [0, 2]]
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(change < 0, (1 - _NEAREST) * size / -change, np.inf)
    return np.minimum(1.0, part.min(1))


def _same_way(trains: Trains, lag: int) -> np.ndarray:
    """Return whether the `lag` pulses from k on go the same way and count, (K - lag + 1, D)."""
    runs = np.cumsum(np.vstack([np.zeros(trains.v.shape[1]), trains.direction * trains.used]), axis=0)
    return np.abs(runs[lag:] - runs[:-lag]) == lag if len(runs) > lag else np.zeros((0, trains.v.shape[1]), bool)


def _enough(trains: Trains, lag: int) -> bool:
    """Whether pulses go the same way for longer than `lag` in both directions, in every device."""
    same = _same_way(trains, lag)
    ways = trains.direction[: len(same)]
    return all(((same & (ways == sign)).sum(0) >= 2).all() for sign in (1, -1))


def _start(trains: Trains, lag: int, form: Form) -> tuple[np.ndarray, np.ndarray]:
    """Return a start: lines of the rise over `lag` pulses against where the reads are, and the noise about them.

    Over one pulse the line is that against the read before; over more against the mean of the reads
    at both ends, whose scatter the rise does not share.
    """
    v, total = trains.v, len(trains.v)
    same = _same_way(trains, lag)
    rise = (v[lag:] - v[:-lag]) / lag
    at = v[:-1] if lag == 1 else (v[lag:] + v[:-lag]) / 2
    own = np.empty((v.shape[1], OWN))
    for place, sign in ((0, 1.0), (2, -1.0)):
        weight = (same & (trains.direction[: total - lag] == sign)).astype(float)
        count = np.maximum(weight.sum(0), SMALL)
        x, y = (weight * at).sum(0) / count, (weight * rise).sum(0) / count
        spread = np.maximum((weight * (at - x) ** 2).sum(0), SMALL)
        slope = (weight * (at - x) * (rise - y)).sum(0) / spread
        own[:, place], own[:, place + 1] = sign * (y - slope * x), -slope
    own[:, [0, 2]] = np.maximum(own[:, [0, 2]], max(1e-5, 0.05 * float(np.abs(own[:, [0, 2]]).mean())))
    return own, _shared_start(trains, own, lag, form)


def _shared_start(trains: Trains, own: np.ndarray, lag: int, form: Form) -> np.ndarray:
    """Return ln c (and ln r) from residuals: the noise of steps adds up from pulse to pulse, that of reads does not."""
    v, scale = trains.v, max(SMALL, float(np.abs(own[:, [0, 2]]).mean()))
    e = np.where(trains.used, np.diff(v, axis=0) - mean_step(own.T, v[:-1], trains.direction), 0.0)
    one = max(SMALL, float((e**2).sum() / max(1, trains.used.sum())))
    if not form.seen:
        return np.append(np.full(2 - form.tied, 0.5 * np.log(one) - np.log(scale)), np.zeros(2 * form.bent))
    if lag == 1:
        pairs = trains.used[1:] & trains.used[:-1]
        seen = -float((e[1:] * e[:-1])[pairs].sum() / max(1, pairs.sum()))
        rest = one - 2 * seen
    else:
        same = _same_way(trains, lag)
        sums = np.cumsum(np.vstack([np.zeros(v.shape[1]), e]), axis=0)
        many = float(((sums[lag:] - sums[:-lag])[same] ** 2).mean())
        rest = (many - one) / (lag - 1)
        seen = (one - rest) / 2
    seen, rest = max(0.02 * one, min(0.48 * one, seen)), max(0.003 * one, rest)
    scatter = 0.5 * np.log([rest / scale**2] * (2 - form.tied) + [seen])
    return np.insert(scatter, 2 - form.tied, np.zeros(2 * form.bent))


def _correction(trains: Trains, own: np.ndarray, shared: np.ndarray, form: Form, fitted: list[int]) -> np.ndarray:
    """Return d(-1/2 sum ln det A) / d shared, A the information on the parameters of a device that were fitted."""

    def penalty(at: np.ndarray) -> float:
        info = score(trains, own, at, form)[2][:, np.array(fitted)[:, None], fitted]
        scale = np.sqrt(np.maximum(np.einsum("dii->di", info), SMALL))
        known = info / (scale[:, :, None] * scale[:, None, :]) + 1e-10 * np.eye(len(fitted))
        return float(-0.5 * np.linalg.slogdet(known)[1].sum() - np.log(scale).sum())

    steps = 1e-3 * np.eye(len(shared))
    return np.array([(penalty(shared + h) - penalty(shared - h)) / 2e-3 for h in steps])


def _without(info: np.ndarray, held: tuple[int, ...]) -> np.ndarray:
    """Return the information on the parameters that are not held."""
    free = [i for i in range(info.shape[1]) if i not in held]
    return info[:, np.array(free)[:, None], free]


def _parts(info: np.ndarray, own: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the inverse of each device's own block, and the shared block less what the devices take of it."""
    a, b = info[:, :own, :own], info[:, :own, own:]
    scale = np.sqrt(np.maximum(np.einsum("dii->di", a), SMALL))
    outer = scale[:, :, None] * scale[:, None, :]
    inverse = np.linalg.inv(a / outer + 1e-10 * np.eye(own)) / outer
    return inverse, info[:, own:, own:].sum(0) - np.einsum("dis,dij,djt->st", b, inverse, b)


def _solve(gradient: np.ndarray, info: np.ndarray, held: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return the scoring step of the devices' own and of the shared parameters, zero for those that are held."""
    free = [i for i in range(info.shape[1]) if i not in held]
    own = sum(i < OWN for i in free)
    inside = _without(info, held)
    inverse, schur = _parts(inside, own)
    b, g = inside[:, :own, own:], gradient[:, free[:own]]
    shared = np.linalg.pinv(schur) @ (gradient[:, free[own:]].sum(0) - np.einsum("dis,dij,dj->s", b, inverse, g))
    step = np.zeros((len(info), info.shape[1]))
    step[:, free[:own]] = np.einsum("dij,dj->di", inverse, g - b @ shared)
    step[:, free[own:]] = shared
    return step[:, :OWN], step[0, OWN:]
