"""How many fluctuators a trace shows, and which: by Schwarz's criterion of the composite likelihood.

    C(K) = 2 cost + P ln WEIGHT,  P = 5 + 3 K

One level, K = 0, comes first: noise on a 1/f background has to do without any. A fluctuator is added while C falls; two
in vain end the search. What the replay finds too far from the trace then counts for more, a few times over.

Source: Schwarz, Estimating the dimension of a model, Ann. Stat. 6:461 (1978).
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import NamedTuple

import numpy as np

from neuroanp.fitting import fluctuator_model as model
from neuroanp.fitting.fluctuator_model import PLAIN, count_of
from neuroanp.fitting.sketch import WEIGHT, Sketch

MOST = 8
"""Fluctuators that are looked for: their levels number 2^K."""
DECIBEL = 1.0
"""An octave's power may be so far from the law's."""
DISTANCE = 0.05
"""And the distribution, by Kolmogorov and Smirnov."""
ABSENT = -9.0
"""Logarithm of the standard deviation of a part that is not there; that of the trace is 0."""
_KEPT, _SWAPS = 3, 2
_AS_GOOD = 20.0
"""Of the cost, by which laws may differ that the changes of the trace then tell apart."""
_ROUNDS = 10
_LEVELLING = 100.0
_CLOSE = 0.8
"""Of what is allowed: nearer need not be pulled."""


class Found(NamedTuple):
    """A law that was fitted.

    Args:
        theta: as in `fluctuator_model`. criteria: C(0), C(1), ... of what was tried; NaN beyond.
        weighted: the sketch with the weights it was fitted by in the end.
    """

    theta: np.ndarray
    criteria: tuple[float, ...]
    weighted: Sketch


def search(data: Sketch, v: np.ndarray) -> Found:
    """Return the law of the likeliest number of fluctuators, held to the trace.

    Args: data: the sketch of the trace. v: (N,) the trace itself, whose changes tell fast fluctuators from slow ones.
    """
    theta = _best(data, _first(data))
    tried = [theta]
    criteria = [_criterion(theta, data)]
    vain = 0
    while len(tried) <= MOST and vain < 2:
        tried.append(_one_more(tried[-1], data))
        criteria.append(_criterion(tried[-1], data))
        vain = 0 if criteria[-1] < min(criteria[:-1]) else vain + 1
    chosen = _told_apart(_needed(tried[int(np.argmin(criteria))], data), data, v)
    theta, weighted = _held(chosen, data)
    return Found(theta, tuple(criteria), weighted)


def _told_apart(theta: np.ndarray, data: Sketch, v: np.ndarray) -> np.ndarray:
    """Return the law, or one of times exchanged between its fluctuators that is as good: as changes say."""
    starts = sorted(_exchanged(theta), key=lambda at: model.cost(at, data)[0])[: 2 * _KEPT]
    laws = [theta, *(_best(data, at) for at in starts)]
    costs = [model.cost(at, data)[0] for at in laws]
    lags = tuple(lag for lag in (1, 4, 16, 64, 256) if lag < data.n // 8)
    scores = [
        cost + model.cost_of_changes(at, v, lags, data.samples) if cost < min(costs) + _AS_GOOD else math.inf
        for at, cost in zip(laws, costs, strict=True)
    ]
    return laws[int(np.argmin(scores))]


def without_background(theta: np.ndarray) -> bool:
    """Return whether a law does without 1/f noise."""
    return bool(theta[2] <= ABSENT)


def _needed(theta: np.ndarray, data: Sketch) -> np.ndarray:
    """Return the law without its background where that is the likelier one: three numbers fewer."""
    bare = theta.copy()
    bare[1:3] = 0.5 * math.log(math.exp(2 * theta[1]) + math.exp(2 * theta[2])), ABSENT
    bare = _best(data, bare)
    fewer = 3 * math.log(WEIGHT)
    return bare if _criterion(bare, data) - fewer < _criterion(theta, data) else theta


def too_far(theta: np.ndarray, data: Sketch) -> tuple[np.ndarray, float]:
    """Return how far octaves and distribution are from the law, each over what is allowed: (octaves,) and a number."""
    off = np.abs(data.decibels(model.spectrum(theta, data.f))) / DECIBEL
    return off, data.distance(model.distribution(theta, data.edges)) / DISTANCE


def _held(theta: np.ndarray, data: Sketch) -> tuple[np.ndarray, Sketch]:
    """Return the law drawn to what it is too far from, by a fluctuator more where weights do not do it."""
    best, worst, kept = theta, math.inf, data
    for more in (False, True):
        if more and not (0 < count_of(best) < MOST and _needs_more(best, data)):  # one level stays one level
            break
        weighted = data if not more else kept
        at = _one_more(best, weighted) if more else best
        for _ in range(_ROUNDS):
            octaves, samples = too_far(at, data)
            now = max(float(octaves.max(initial=0.0)), samples)
            if now < worst:
                best, worst, kept = at, now, weighted
            if now <= _CLOSE:
                return best, kept
            levelling = max(_LEVELLING, 4 * weighted.levelling) if samples > _CLOSE else weighted.levelling
            weighted = weighted.drawn(np.where(octaves > _CLOSE, 2.0, 1.0), levelling)
            at = _best(weighted, at)
    return best, kept


def _needs_more(theta: np.ndarray, data: Sketch) -> bool:
    """Return whether a law is farther from the trace than is allowed, by more than chance."""
    octaves, samples = too_far(theta, data)
    return bool(samples > 1 or np.any(DECIBEL * octaves > DECIBEL + data.chance))


def _criterion(theta: np.ndarray, data: Sketch) -> float:
    return 2 * model.cost(theta, data)[0] + len(theta) * math.log(WEIGHT)


def _first(data: Sketch) -> np.ndarray:
    """Return where the search of one level starts."""
    return np.array([0.0, -1.0, -1.0, math.log(0.25), math.log(data.n / 4)])


def bounds(data: Sketch, k: int) -> np.ndarray:
    """Return the least and the largest theta of k fluctuators, (P, 2)."""
    sizes, times = (math.log(1e-3), math.log(20)), (math.log(0.2), math.log(5 * data.n))
    band = [(math.log(3 / data.n), math.log(0.5)), (math.log(3), math.log(2 * data.n))]
    return np.array([(-5, 5), (ABSENT, 2), (ABSENT, 2), *band, *[sizes] * k, *[times] * (2 * k)])


def _best(data: Sketch, start: np.ndarray) -> np.ndarray:
    from scipy.optimize import minimize

    limits = bounds(data, count_of(start))
    if without_background(start):
        limits[2] = ABSENT
    begin = np.clip(start, limits[:, 0], limits[:, 1])
    options = {"maxiter": 250, "ftol": 1e-9}
    return minimize(model.cost, begin, args=(data,), jac=True, method="L-BFGS-B", bounds=limits, options=options).x


def _one_more(theta: np.ndarray, data: Sketch) -> np.ndarray:
    """Return the best law of one fluctuator more: from the most promising of many starts."""
    plain, parts = theta[:PLAIN], theta[PLAIN:].reshape(3, -1)
    starts = []
    for tau in np.geomspace(3, data.n / 3, 6):
        for size in (0.3, 1.2):
            for skew in (0.2, 1.0, 5.0):
                new = np.log([[size], [tau * skew], [tau / skew]])
                for background in (plain, np.append(plain[:3], _first(data)[3:])):
                    starts.append(np.concatenate([background, np.hstack([parts, new]).ravel()]))
    found = _best_of(starts, data, _KEPT)
    exchanged = _exchanged(found)
    return _best_of([found, *exchanged], data, 1 + _SWAPS) if exchanged else found


def _best_of(starts: list[np.ndarray], data: Sketch, kept: int) -> np.ndarray:
    """Return the best law that the most promising of some starts lead to."""
    promising = sorted(starts, key=lambda at: model.cost(at, data)[0])[:kept]
    return min((_best(data, at) for at in promising), key=lambda at: model.cost(at, data)[0])


def _exchanged(theta: np.ndarray) -> list[np.ndarray]:
    """Return the law with the times of two fluctuators exchanged: which size is the fast one is a local question.

    Either the dwell times themselves, or the correlation times alone, each keeping its share of the time.
    """
    parts = theta[PLAIN:].reshape(3, -1)
    made = []
    for i, j in combinations(range(parts.shape[1]), 2):
        dwells, times = parts.copy(), parts.copy()
        dwells[1:, [i, j]] = parts[1:, [j, i]]
        shift = math.log(model.law_of(theta).tau[j] / model.law_of(theta).tau[i])
        times[1:, i] += shift
        times[1:, j] -= shift
        made += [np.concatenate([theta[:PLAIN], one.ravel()]) for one in (dwells, times)]
    return made
