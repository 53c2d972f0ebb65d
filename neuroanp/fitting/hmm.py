"""A telegraph signal seen through white noise: likelihood, posterior and score of a two-state hidden Markov model.

State 0 is the low level, 1 the high one; a = P(low -> high), b = P(high -> low) from one sample to the
next. Samples are taken blockwise, all blocks at once: 2 x 2 matrix products associate, so the forward
recursion of a million samples needs about a thousand steps of numpy.

Source: Rabiner, A tutorial on hidden Markov models, Proc. IEEE 77:257 (1989), equations 19-27;
Fisher's identity for the score: Cappe, Moulines and Ryden, Inference in Hidden Markov Models (2005), 10.1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Moments:
    """What the likelihood and its gradient take from a record, given the states' posterior.

    Args:
        loglik: logarithm of the likelihood.
        weight: (2,) expected number of samples in each state.
        first, second: (2,) expected sums of v and v^2 over the samples in each state.
        jumps: (2, 2) expected number of transitions from state to state.
        start: (2,) posterior of the first sample's state.
        high: (N,) posterior probability of the high level.
    """

    loglik: float
    weight: np.ndarray
    first: np.ndarray
    second: np.ndarray
    jumps: np.ndarray
    start: np.ndarray
    high: np.ndarray


def stationary(a: float, b: float) -> np.ndarray:
    """Return the stationary distribution, (b, a) / (a + b).

    >>> stationary(0.1, 0.3).round(6).tolist()
    [0.75, 0.25]
    """
    return np.array([b, a]) / (a + b)


def densities(v: np.ndarray, levels: np.ndarray, sigma: float) -> tuple[np.ndarray, float]:
    """Return the emission densities (n, N), each sample's largest scaled to 1, and the sum of the logs of the scales.

        e_s = exp(-(v - level_s)^2 / (2 sigma^2)) / (sigma sqrt(2 pi))

    Args:
        v: (N,) samples.
        levels: (n,) any number of them.
        sigma: of the white noise.

    >>> e, log = densities(np.array([0.0, 1.0]), np.array([0.0, 1.0]), 1.0)
    >>> e.round(4).tolist(), round(log, 4)  # e^-1/2 where the other level is; - ln(2 pi)
    ([[1.0, 0.6065], [0.6065, 1.0]], -1.8379)
    """
    log = -0.5 * ((v - levels[:, None]) / sigma) ** 2
    top = log.max(0)
    return np.exp(log - top), float(top.sum() - len(v) * math.log(sigma * math.sqrt(2 * math.pi)))


def filtered(e: np.ndarray, a: float, b: float) -> tuple[np.ndarray, float]:
    """Return P(state_t | v_1..v_t), (2, N), and the log likelihood of the scaled emissions e, (2, N).

    Within a block the products P_t = A E_1 A E_2 ... A E_t are formed for all blocks at once, then the
    blocks are chained: x_t = x_(block start) P_t.
    """
    n = e.shape[1]
    length = max(8, int(math.sqrt(n / 8)))
    blocks = -(-n // length)
    padded = np.ones((2, blocks * length))
    padded[:, :n] = e
    steps = np.ascontiguousarray(padded.reshape(2, blocks, length).transpose(2, 0, 1))  # (length, state, block)
    products = np.empty((length, 2, 2, blocks))  # (time in block, state before, state after, block)
    now = np.broadcast_to(np.eye(2)[:, :, None], (2, 2, blocks))
    for t in range(length):
        low, high = now[:, 0], now[:, 1]
        now = products[t]
        np.multiply((1 - a) * low + b * high, steps[t, 0], out=now[:, 0])
        np.multiply(a * low + (1 - b) * high, steps[t, 1], out=now[:, 1])
        now /= now.sum((0, 1))
    entry = np.empty((2, blocks))
    x0, x1 = stationary(a, b)
    for block, ((p00, p10), (p01, p11)) in enumerate(products[-1].transpose(2, 1, 0).tolist()):
        entry[:, block] = x0, x1
        x0, x1 = x0 * p00 + x1 * p10, x0 * p01 + x1 * p11
        total = x0 + x1
        x0, x1 = x0 / total, x1 / total
    after = np.einsum("ib,tijb->jbt", entry, products).reshape(2, -1)[:, :n]
    after /= after.sum(0)
    before = predicted(after, a, b)
    return after, float(np.log((before * e).sum(0)).sum())


def predicted(after: np.ndarray, a: float, b: float) -> np.ndarray:
    """Return P(state_t | v_1..v_(t-1)), (2, N), from the filtered probabilities."""
    before = np.empty_like(after)
    before[:, 0] = stationary(a, b)
    before[1, 1:] = a * after[0, :-1] + (1 - b) * after[1, :-1]
    before[0, 1:] = 1 - before[1, 1:]
    return before


def moments(v: np.ndarray, levels: np.ndarray, sigma: float, a: float, b: float) -> Moments:
    """Return likelihood and expected sufficient statistics of a record.

    A two-state chain is reversible: filtered backwards it has the same transitions, and

        P(state_t | all) ~ P(s_t | v_1..t) P(s_t | v_t..N) / (pi(s_t) e_t(s_t)).

    Args:
        v: (N,) samples.
        levels: (2,) low and high, in the unit of v.
        sigma: standard deviation of the white noise.
        a, b: probabilities of a rise and of a fall a sample.

    >>> v = np.array([0.0, 0.1, 1.0, 0.9, 0.05])
    >>> found = moments(v, np.array([0.0, 1.0]), 0.1, 0.3, 0.4)
    >>> found.high.round(3).tolist(), found.jumps.round(3).tolist()
    ([0.0, 0.0, 1.0, 1.0, 0.0], [[1.0, 1.0], [1.0, 1.0]])
    """
    e, scale = densities(v, levels, sigma)
    pi = stationary(a, b)[:, None]
    forward, loglik = filtered(e, a, b)
    backward = filtered(e[:, ::-1], a, b)[0][:, ::-1] / pi  # ~ P(v_t..N | s_t)
    future = predicted((backward * pi)[:, ::-1], a, b)[:, ::-1] / pi  # ~ P(v_(t+1)..N | s_t)
    posterior = forward * future
    posterior /= posterior.sum(0)
    matrix = np.array([[1 - a, a], [b, 1 - b]])
    joint = forward[:, None, :-1] * matrix[:, :, None] * backward[None, :, 1:]
    joint /= joint.sum((0, 1))
    return Moments(
        loglik + scale, posterior.sum(1), posterior @ v, posterior @ v**2, joint.sum(2), posterior[:, 0], posterior[1]
    )


def surprises(v: np.ndarray, levels: np.ndarray, sigma: float, a: float, b: float) -> np.ndarray:
    """Return F(v_t | v_1..v_(t-1)): independent and uniform in [0, 1] if the model holds.

    Source: Rosenblatt, Remarks on a multivariate transformation, Ann. Math. Stat. 23:470 (1952).
    """
    from scipy.special import ndtr

    e, _ = densities(v, levels, sigma)
    before = predicted(filtered(e, a, b)[0], a, b)
    return (before * ndtr((v - levels[:, None]) / sigma)).sum(0)


def score(m: Moments, levels: np.ndarray, sigma: float, a: float, b: float) -> np.ndarray:
    """Return the gradient of the log likelihood in (low, high, sigma, a, b), by Fisher's identity."""
    p0, p1 = stationary(a, b)
    of_levels = (m.first - m.weight * levels) / sigma**2
    squares = m.second - 2 * levels * m.first + m.weight * levels**2
    of_sigma = squares.sum() / sigma**3 - m.weight.sum() / sigma
    initial = m.start[1] / p1 - m.start[0] / p0  # d ln pi(first state) / d p1
    of_a = m.jumps[0, 1] / a - m.jumps[0, 0] / (1 - a) + initial * b / (a + b) ** 2
    of_b = m.jumps[1, 0] / b - m.jumps[1, 1] / (1 - b) - initial * a / (a + b) ** 2
    return np.array([*of_levels, of_sigma, of_a, of_b])
