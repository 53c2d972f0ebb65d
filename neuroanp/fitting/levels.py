"""Whether a trace has three levels rather than two: Gaussian hidden Markov models, compared by likelihood.

All levels share one white noise; every transition is allowed. The parameters are found by expectation
maximisation (Rabiner, Proc. IEEE 77:257, 1989); Schwarz's criterion says which number is the likelier.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from neuroanp.fitting.hmm import densities

MOST_SAMPLES = 20_000
"""From the start of a record, in which three levels are looked for: the search is slow."""
_ROUNDS = 25
_LEAST = 1e-6


class Levels(NamedTuple):
    """A model of some levels.

    Args:
        mean: (n,) the levels.
        sigma: of the white noise.
        matrix: (n, n) transition probabilities a sample.
        start: (n,) of the first sample.
        loglik: at these parameters.
    """

    mean: np.ndarray
    sigma: float
    matrix: np.ndarray
    start: np.ndarray
    loglik: float

    def criterion(self, samples: int) -> float:
        """Return Schwarz's criterion, P ln N - 2 ln L: levels, noise, and the transitions of each level."""
        n = len(self.mean)
        return (n + 1 + n * (n - 1)) * math.log(samples) - 2 * self.loglik


def looked_at(samples: int) -> list[str]:
    """Say in how much of a record three levels are looked for, where that is not all of it.

    >>> looked_at(20_000), looked_at(50_000)[0].partition(';')[0]
    ([], 'three levels were looked for in the first 20,000 of 50,000 samples only')
    """
    if samples <= MOST_SAMPLES:
        return []
    return [
        f"three levels were looked for in the first {MOST_SAMPLES:,} of {samples:,} samples only; the other tests take "
        "all. Fit a later piece by itself to look there"
    ]


def three_against_two(v: np.ndarray, mean: np.ndarray, sigma: float, matrix: np.ndarray) -> tuple[float, Levels]:
    """Return by how much Schwarz's criterion of the best three levels is below that of two, and these levels.

    Args:
        v: (N,) standardised samples; the first `MOST_SAMPLES` are looked at (see `looked_at`).
        mean, sigma, matrix: of the fitted two levels, where the search starts.

    >>> rng = np.random.default_rng(0)
    >>> state = np.cumsum(rng.random(2000) < 0.1) % 3
    >>> v = state + 0.2 * rng.standard_normal(2000)
    >>> better, found = three_against_two(v, np.array([0.0, 1.5]), 0.5, np.array([[0.9, 0.1], [0.1, 0.9]]))
    >>> better > 100, found.mean.round(1).tolist()
    (True, [0.0, 1.0, 2.0])
    """
    v = v[:MOST_SAMPLES]
    two = _climbed(v, Levels(mean, sigma, matrix, np.full(2, 0.5), -math.inf))
    stays = float(np.diagonal(two.matrix).mean())
    matrix = np.full((3, 3), (1 - stays) / 2) + np.eye(3) * (stays - (1 - stays) / 2)
    low, high = two.mean
    gap = high - low
    extremes = np.quantile(v, [0.01, 0.99])
    tries = [
        (low, (low + high) / 2, high), (low, high, max(extremes[1], high + gap / 3)),
        (min(extremes[0], low - gap / 3), low, high), (low - gap / 6, low + gap / 6, high),
        (low, high - gap / 6, high + gap / 6),
    ]  # fmt: skip
    starts = [_climbed(v, Levels(np.array(x), two.sigma, matrix, np.full(3, 1 / 3), -math.inf), 6) for x in tries]
    three = _climbed(v, max(starts, key=lambda x: x.loglik))
    order = np.argsort(three.mean)
    three = three._replace(mean=three.mean[order], matrix=three.matrix[np.ix_(order, order)], start=three.start[order])
    return two.criterion(len(v)) - three.criterion(len(v)), three


def _climbed(v: np.ndarray, model: Levels, rounds: int = _ROUNDS) -> Levels:
    """Return the model after some rounds of expectation maximisation."""
    for _ in range(rounds):
        e, scale = densities(v, model.mean, model.sigma)
        forward, norm = _filtered(e, model.matrix, model.start)
        future = _filtered(e[:, ::-1], model.matrix.T, np.ones(len(e)))[0][:, ::-1]  # ~ P(v_t.. | s_t)
        ahead = np.ones_like(e)
        ahead[:, :-1] = model.matrix @ future[:, 1:]
        posterior = forward * ahead
        posterior /= posterior.sum(0)
        joint = np.einsum("it,ij,jt->ijt", forward[:, :-1], model.matrix, future[:, 1:])
        jumps = (joint / joint.sum((0, 1))).sum(2) + _LEAST
        weight = np.maximum(posterior.sum(1), 1e-9)
        mean = posterior @ v / weight
        sigma = math.sqrt(max(1e-8, float((posterior * (v - mean[:, None]) ** 2).sum()) / len(v)))
        loglik = float(np.log(norm).sum()) + scale
        model = Levels(mean, sigma, jumps / jumps.sum(1, keepdims=True), posterior[:, 0], loglik)
    return model


def _filtered(e: np.ndarray, matrix: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return x_t ~ e_t (matrix^T x_(t-1)) from x_0 = start e_0, each normalised, (n, N), and the norms (N,).

    Blockwise as `hmm.filtered`: what each block makes of the states first, then the blocks one after another.
    """
    states, n = e.shape
    length = max(4, round(n**0.5))
    blocks = -(-n // length)
    padded = np.ones((states, blocks * length))
    padded[:, :n] = e
    steps = np.ascontiguousarray(padded.reshape(states, blocks, length).transpose(2, 1, 0))  # (length, block, state)
    products = np.empty((length, blocks, states, states))  # (time, block, state before the block, state)
    now = _entering(matrix, blocks)
    for t in range(length):
        now = (now @ matrix if t else now) * steps[t, :, None, :]
        now = now / now.sum((1, 2), keepdims=True)
        products[t] = now
    x = np.empty((blocks, states))
    at = start
    for block in range(blocks):
        x[block] = at
        at = at @ products[-1, block]
        at = at / at.sum()
    after = np.einsum("bi,tbij->btj", x, products).reshape(-1, states)[:n].T
    after = after / after.sum(0)
    before = np.empty_like(after)
    before[:, 0] = start / start.sum()
    before[:, 1:] = matrix.T @ after[:, :-1]
    return after, (before * e).sum(0)


def _entering(matrix: np.ndarray, blocks: int) -> np.ndarray:
    """Return the first step into each block: a transition, but for the first block, which begins in `start`."""
    first = np.broadcast_to(matrix, (blocks, *matrix.shape)).copy()
    first[0] = np.eye(len(matrix))
    return first
