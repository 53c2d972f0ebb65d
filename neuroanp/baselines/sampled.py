"""Sampled recurrent networks: hidden weights from pairs of data points, linear maps by least squares, no gradient.

The house's network x_t = tanh(W_in u_t + W x_{t-1} + b), y_t = W_out x_t is a sampled one where its recurrence goes
through a state h of few numbers, and where its hidden weights are made of data:

    x_t = tanh(W_s h_{t-1} + W_c u_t + b),   h_t = K x_t,   y_t = W_out x_t          W = W_s K,  W_in = (W_c, b)

u_t is what drives the state: inputs that are seen and controls alike. The state is the last d inputs, which the data
tell: h_t = (u_t, ..., u_{t-d+1}), 0 before the start, where the network rests. So every unit sees a stretch of d + 1
inputs v_t = (u_t, h_{t-1}), a delay embedding of whatever system made them.

Hidden weights (SWIM), for each unit a pair of points v1, v2 of the data and what they are mapped to, f(v):

    (W_c, W_s) = s1 (v2 - v1) / |v2 - v1|^2,   b = -(W_c, W_s) . v1 - s2,   s1 = 2 s,  s2 = s,  s = ln(3) / 2
    p(v1, v2) ~ |f(v2) - f(v1)|_max / |v2 - v1|                                          (or all pairs alike)

so that the pre-activation is -s at v1 and s at v2, and the unit -1/2 and 1/2: it is steep between the two, across the
line that joins them, and pairs between which the target changes fast are likely. Many pairs are drawn, `candidates` a
unit, and of these each unit's by the probabilities. With `scale` a, s1 and s2 are a times as large (near 0 units are
linear). A unit of which an array cannot hold a weight is scaled down as a whole, W_s and b with it: it stays where it
is and is less steep.

The Koopman part: over the features x_t = tanh(W_s h_{t-1} + W_c u_t + b) of states as the data tell them, extended
dynamic mode decomposition with the state as the observable is

    K = argmin sum_t |K x_t - h_t|^2 + lambda |K|^2

Ridge regression is linear in its targets, so that W = W_s K is the ridge regression of the pre-activations W_s h_t on
x_t. That is how it is found here. Whatever lambda gives, errors of h return in the next step; the lambda is taken with
which the whole network, run by itself with W and outputs fitted to what it then does, has the least error on sequences
that were not fitted, of those whose W the array can hold. (Least squares within the box |W| <= w_s would be n problems
of n unknowns with bounds for every lambda: a minute for 100 units, where all of this takes a second.)

The paper's autonomous network h_t = K tanh(W_s h_{t-1} + b) is this one closed over its outputs: with outputs that are
the next inputs, u_{t+1} = y_t makes W + W_c W_out of the recurrence. `free_run` does that.

What the paper leaves open and is chosen here: the state (delays), f (the targets), how lambda is chosen, and the box.

Sources: Bolager, Cukarska, Burak, Monfared, Dietrich, arXiv 2410.23467; the pairs: Bolager, Burak, Datar, Sun,
Dietrich, NeurIPS 36 (2023), arXiv 2306.16830, definition 1; least squares over a dictionary of observables: Williams,
Kevrekidis, Rowley, J. Nonlinear Sci. 25, 1307 (2015); with inputs: Korda and Mezic, Automatica 93, 149 (2018).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf, log
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from neuroanp.baselines.regression import LAMBDAS, Moments, ridge_path, solve_ridge
from neuroanp.baselines.solved import Solved
from neuroanp.errors import InputError

S = log(3.0) / 2.0
"""atanh(1/2): the pre-activation at the second point of a pair."""
STATE_LAMBDAS = (1e-12, *LAMBDAS[::2])
"""Strengths tried for the state's map: it is run through at every step, and small errors add up."""
DECADES = 30
"""How often the ridge is raised by a factor of ten where an array cannot hold the recurrence; 1e-14 gets to 1e15."""
APART = 1e-12
"""Points of a pair that are nearer than this, over the spread of the data, are one."""


class Sampled(Solved):
    """Sampled recurrent network: hidden weights from pairs of data, linear maps by least squares.

    >>> Sampled().feedback, Sampled().learner
    ('LS', 'sampled')
    """

    learner: ClassVar[str] = "sampled"
    cells: ClassVar[tuple[str, ...]] = ("tanh",)
    needs_bias: ClassVar[bool] = True

    name: Literal["sampled"] = "sampled"  # pyright: ignore[reportIncompatibleVariableOverride] - frozen
    pairs: Literal["gradient", "uniform"] = Field(
        default="gradient",
        description="gradient: pairs are as likely as the target changes fast between them; uniform: all alike",
    )
    candidates: int = Field(default=20, ge=1, le=10_000, description="pairs that are drawn for each unit to choose of")
    delays: int = Field(default=4, ge=1, le=10_000, description="d, the last inputs that the recurrence carries on")
    scale: float = Field(default=1.0, gt=0, le=100, description="factor on s1 and s2; 1: units are -+1/2 at their pair")


class Hidden(NamedTuple):
    """Hidden weights of n units before there is a recurrence.

    Args:
        w_c: (n, I) of the inputs. w_s: (n, d I) of the state. b: (n,). slope: (n,) the factor by which each unit is
            scaled down, so that arrays hold it; 1: not at all.
    """

    w_c: np.ndarray
    w_s: np.ndarray
    b: np.ndarray
    slope: np.ndarray

    def preactivations(self, u: np.ndarray, h: np.ndarray) -> np.ndarray:
        """Return W_s h + W_c u + b, (..., n), of inputs u (..., I) and states h (..., d I) of the step before."""
        return u @ self.w_c.T + h @ self.w_s.T + self.b


def swim(v1: np.ndarray, v2: np.ndarray, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return weights (n, D) and biases (n,) of n units from a pair of points each.

        w = 2 s (v2 - v1) / |v2 - v1|^2,   b = -w . v1 - s,   s = scale ln(3) / 2

    Args:
        v1, v2: (n, D) the points, which differ. scale: factor on s.

    Source: arXiv 2306.16830, definition 1, with the constants of tanh.

    >>> w, b = swim(np.array([[0.0, 1.0]]), np.array([[2.0, 1.0]]))
    >>> np.tanh(np.array([[0.0, 1.0], [1.0, 5.0], [2.0, 1.0]]) @ w.T + b).round(6).ravel().tolist()
    [-0.5, 0.0, 0.5]
    """
    way = v2 - v1
    w = 2.0 * scale * S * way / np.sum(way**2, axis=1, keepdims=True)
    return w, -np.sum(w * v1, axis=1) - scale * S


def chances(v: np.ndarray, f: np.ndarray, first: np.ndarray, second: np.ndarray, how: str) -> np.ndarray:
    """Return the probabilities of pairs, proportional to the finite difference of f between their points.

        p ~ |f(v2) - f(v1)|_max / |v2 - v1|

    Args:
        v: (rows, D) points. f: (rows, O) what they are mapped to. first, second: (M,) rows of each pair.
        how: "gradient", or "uniform": all alike. Two points in one place are no pair: 0.

    Raises: InputError: no two points differ, or f differs between none of them.

    >>> v, f = np.array([[0.0], [1.0], [3.0]]), np.array([[0.0], [1.0], [2.0]])
    >>> chances(v, f, np.array([0, 1, 2]), np.array([1, 2, 2]), "gradient").round(4).tolist()
    [0.6667, 0.3333, 0.0]
    """
    apart = np.linalg.norm(v[second] - v[first], axis=1)
    there = apart > APART * max(float(np.abs(v).max()), np.finfo(float).tiny)
    if not there.any():
        raise InputError("rule: 'sampled' needs inputs that differ from step to step, and these are all alike")
    if how == "uniform":
        return there / there.sum()
    change = np.abs(f[second] - f[first]).max(axis=1)
    slopes = np.divide(change, apart, out=np.zeros_like(apart), where=there)
    if not slopes.any():
        raise InputError("rule.pairs: 'gradient' asks for targets that differ, and these are all alike; use uniform")
    return slopes / slopes.sum()


def delayed(u: np.ndarray, d: int) -> np.ndarray:
    """Return the states h_t = (u_t, ..., u_{t-d+1}) of inputs u (T, B, I), (T, B, d I); 0 before the start.

    >>> delayed(np.array([[[1.0]], [[2.0]], [[3.0]]]), 2)[:, 0].tolist()
    [[1.0, 0.0], [2.0, 1.0], [3.0, 2.0]]
    """
    T, B, width = u.shape
    h = np.zeros((T, B, d, width))
    for lag in range(min(d, T)):
        h[lag:, :, lag] = u[: T - lag]
    return h.reshape(T, B, d * width)


def before(h: np.ndarray) -> np.ndarray:
    """Return h_{t-1} for h_t (T, ...), from rest."""
    return np.concatenate([np.zeros_like(h[:1]), h[:-1]])


def sample(
    rule: Sampled, u: np.ndarray, targets: np.ndarray, mask: np.ndarray, units: int, limit: float,
    rng: np.random.Generator,
) -> Hidden:  # fmt: skip
    """Choose the hidden weights of units from data.

    Args:
        rule: its options. u, targets: (T, B, I), (T, B, O). mask: (T,) steps whose targets count; points are of these.
        units: n. limit: the largest weight of the array from the inputs. rng: draws the pairs.

    Raises: InputError: see `chances`.
    """
    h = before(delayed(u, rule.delays))
    v, f = (each[mask > 0].reshape(-1, each.shape[-1]) for each in (np.concatenate([u, h], axis=-1), targets))
    first, second = rng.integers(len(v), size=(2, rule.candidates * units))
    chosen = rng.choice(len(first), size=units, p=chances(v, f, first, second, rule.pairs))
    w, b = swim(v[first[chosen]], v[second[chosen]], rule.scale)
    inputs = u.shape[-1]
    largest = np.maximum(np.abs(w[:, :inputs]).max(axis=1), np.abs(b))
    slope = np.divide(limit, largest, out=np.ones_like(largest), where=largest > limit)
    w, b = w * slope[:, None], b * slope
    return Hidden(w[:, :inputs], w[:, inputs:], b, slope)


def koopman(x: np.ndarray, h: np.ndarray, strength: float) -> np.ndarray:
    """Return the map K (D, n) from features to what they are to tell: extended dynamic mode decomposition, with ridge.

        K = argmin sum_t |K x_t - h_t|^2 + strength q rows |K|^2,   q the features' mean square

    Args:
        x: (rows, n) features of states, and inputs, at a step. h: (rows, D) the states after it, or other observables.
        strength: of the ridge.

    >>> turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    >>> states = np.array([[1.0, 0.0], [0.5, 2.0], [-1.0, 1.0]])
    >>> koopman(states, states @ turn.T, 1e-14).round(6) + 0.0
    array([[ 0., -1.],
           [ 1.,  0.]])
    """
    moments = Moments(x.shape[1], h.shape[1])
    moments.add(x, h)
    return solve_ridge(moments, strength).T


def recurrences(
    hidden: Hidden, u: np.ndarray, d: int, strengths: tuple[float, ...] = STATE_LAMBDAS, limit: float = inf
) -> Iterator[np.ndarray]:
    """Yield W = W_s K (n, n) of each ridge strength with which its array can hold it.

    Where it can hold none, the strongest is raised by decades until it can: W goes to 0.

    Args:
        hidden: of n units. u: (T, B, I) inputs. d: how many of them are the state. strengths: of the ridge of K.
        limit: the largest |W|.
    """
    h = delayed(u, d)
    x = np.tanh(hidden.preactivations(u, before(h)))
    n = len(hidden.b)
    moments = Moments(n, n)
    moments.add(x.reshape(-1, n), h.reshape(-1, h.shape[-1]) @ hidden.w_s.T)
    raised = tuple(max(strengths) * 10.0**k for k in range(1, DECADES))
    found = False
    for k, C in enumerate(ridge_path(moments, (*strengths, *raised))):
        if k >= len(strengths) and found:
            break
        if np.abs(C).max() <= limit:
            found = True
            yield C.T.copy()


def free_run(
    w_in: np.ndarray, w: np.ndarray, w_out: np.ndarray, u: np.ndarray, steps: int, controls: np.ndarray | None = None
) -> np.ndarray:
    """Return the outputs (steps, B, O) of a network that goes on from its own outputs, once it has seen inputs.

        x_t = tanh(W_in (u_t, 1) + W x_{t-1}),   y_t = W_out (x_t, 1),   u_{t+1} = (y_t, c_{t+1})

    Args:
        w_in, w, w_out: (n, I + 1), (n, n), (O, n + 1). u: (T, B, I) what it is shown first; its outputs are the first O
            of the inputs, a step later.
        steps: how many outputs, the first of them of the last step of u.
        controls: (steps - 1, B, I - O) inputs beyond the outputs; None: there are none.

    >>> one = np.ones((1, 1))
    >>> free_run(np.array([[1.0, 0.0]]), 0 * one, np.array([[1.0, 0.0]]), one[None], 2).ravel().round(4).tolist()
    [0.7616, 0.642]
    """
    B = u.shape[1]
    x, y, found = np.zeros((B, len(w))), np.zeros((B, len(w_out))), []

    def step(now: np.ndarray) -> None:
        nonlocal x, y
        x = np.tanh(now @ w_in[:, :-1].T + w_in[:, -1] + x @ w.T)
        y = x @ w_out[:, :-1].T + w_out[:, -1]

    for now in u:
        step(now)
    for t in range(steps):
        found.append(y)
        if t < steps - 1:
            step(y if controls is None else np.concatenate([y, controls[t]], axis=1))
    return np.array(found)
