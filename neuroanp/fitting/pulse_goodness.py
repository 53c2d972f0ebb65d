"""Does a law of steps describe its record: one pulse ahead, over many pulses, and as a whole curve.

Residuals that look like chance from one read to the next say little where reads scatter more than a
step moves: a step twice too large hides in them. What it cannot hide in are their sums over many
pulses, their means against conductance and against the pulses since a turn, and the way of the
law's own mean curve through the record.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from neuroanp.fitting import steps
from neuroanp.fitting.goodness import chi_squared, of_residuals, sums
from neuroanp.fitting.kalman import Trains, mean_step
from neuroanp.fitting.result import Goodness
from neuroanp.noise import Streams

_WINDOWS = (8, 64)
_BINS = 6
"""Of conductance, for each direction."""
_FEWEST = 8
"""Residuals that a bin must hold."""
_TURN = (0, 1, 3, 7)
"""Pulses since a turn: the first; the second and third; the fourth to seventh."""
_PATHS = 400


class Residuals(NamedTuple):
    """Standardised innovations, (K, D), with what they belong to.

    Args:
        z: innovations over their standard deviations.
        w: state before the pulse, given the reads before, device units.
        since: how many pulses went the same way just before this one.
        direction, used: of the trains.
    """

    z: np.ndarray
    w: np.ndarray
    since: np.ndarray
    direction: np.ndarray
    used: np.ndarray


def tests_of(trains: Trains, model: steps.Steps, curve: np.ndarray) -> tuple[Goodness, ...]:
    """Return all tests of a fitted model.

    Args:
        trains: the data, with the pulses that count.
        model: fitted to them.
        curve: (K + 1, D) the law's own mean curve; see `mean_curve`.
    """
    e, sd = steps.innovations(trains, model)
    found = Residuals(e / sd, steps.states(trains, model)[0], _since(trains.direction), trains.direction, trains.used)
    in_order = [z[used] for z, used in zip(found.z.T, trains.used.T, strict=True)]
    return (
        *of_residuals(steps.standardised(trains, model)), *sums(in_order, _WINDOWS, "pulses"),
        _against_conductance(found, model), _at_turns(found),
        _distance(trains, model, curve),
    )  # fmt: skip


def mean_curve(trains: Trains, model: steps.Steps) -> np.ndarray:
    """Return where the mean steps lead from the first state of every train, (K + 1, D), device units."""
    start = steps.path(trains, model)
    low, high = start.min(0), start.max(0)
    w, curve = start[0], [start[0]]
    for direction, state in zip(trains.direction, start[1:], strict=True):
        w = np.clip(w + mean_step(model.own.T, w, direction, model.bends), low, high)
        w = np.where(direction == 0, state, w)
        curve.append(w)
    return np.array(curve)


def _since(direction: np.ndarray) -> np.ndarray:
    since = np.zeros(direction.shape, dtype=int)
    for k in range(1, len(direction)):
        since[k] = np.where(direction[k] == direction[k - 1], since[k - 1] + 1, 0)
    return since


def _against_conductance(found: Residuals, model: steps.Steps) -> Goodness:
    """Test that the residuals of up and of down pulses are zero on average at every conductance."""
    cells = []
    for sign in (1, -1):
        chosen = found.used & (found.direction == sign)
        z, w = found.z[chosen], found.w[chosen]
        parts = np.array_split(np.argsort(w, kind="stable"), max(1, min(_BINS, len(w) // _FEWEST)))
        cells += [z[part] for part in parts if len(part)]
    says = f"the steps do not go with conductance as {'exponentials' if model.form.bent else 'straight lines'} do"
    return _means(cells, 6 if model.form.bent else 4, "residuals against conductance, reduced chi-squared", says)


def _at_turns(found: Residuals) -> Goodness:
    """Test that the residuals of the first pulses after a change of direction are zero on average."""
    cells = []
    for sign in (1, -1):
        for first, end in pairwise(_TURN):
            cells.append(found.z[found.used & (found.direction == sign) & (found.since >= first) & (found.since < end)])
    says = "the first pulses after a change of direction step otherwise than later ones do"
    return _means(cells, 0, "residuals after a turn, reduced chi-squared", says)


def _means(cells: list[np.ndarray], parameters: int, name: str, says: str) -> Goodness:
    """Test that the means of standard normals are zero, of those cells that hold any."""
    squares = np.array([cell.sum() ** 2 / len(cell) for cell in cells if len(cell)])
    return chi_squared(squares, parameters, name, says)


def _distance(trains: Trains, model: steps.Steps, curve: np.ndarray) -> Goodness:
    """Test the distance of the reads from the law's mean curve against that of records the law itself makes.

    The noise of steps adds up, so that a record leaves the curve: how far, `_PATHS` records drawn
    from the law say. Their mean squares are nearly gamma distributed.
    """
    from scipy.special import gammaincc

    real = np.vstack([np.ones(trains.v.shape[1], bool), trains.direction != 0])
    count = real.sum()
    found = float(((trains.v - curve)[real] ** 2).sum() / count)
    drawn = np.zeros(_PATHS)
    rng = Streams(0).generator("fitting/pulse")
    low, high = curve.min(0), curve.max(0)
    low, high = low - (high - low) / 2, high + (high - low) / 2
    shape = (_PATHS, trains.v.shape[1])
    w = np.broadcast_to(curve[0], shape)
    up, down, scatter = model.form.split(model.shared)
    for direction, here, on in zip(trains.direction, curve[1:], real[1:], strict=True):
        mean = mean_step(model.own.T, w, direction, model.bends)
        size = mean if model.multiplicative else np.where(direction > 0, model.own[:, 0], model.own[:, 2])
        noise = np.where(direction > 0, up, down) * size * rng.standard_normal(shape)
        w = np.where(direction == 0, here, np.clip(w + mean + noise, low, high))
        drawn += np.where(on, (w - here) ** 2 + (0.0 if scatter is None else scatter), 0.0).sum(1)
    drawn /= count
    rate = drawn.mean() / max(drawn.var(), 1e-300)
    span = float(np.ptp(trains.v))
    p = float(gammaincc(drawn.mean() * rate, found * rate))
    says = "the record goes another way than the mean steps, by more than their scatter explains"
    return Goodness("distance of the reads from the mean curve, of their range", float(np.sqrt(found)) / span, p, says)
