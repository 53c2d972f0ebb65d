"""Ridge regression from sums: nothing grows with the number of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from neuroanp.baselines.protocol import Sequences, Source, scored
from neuroanp.noise import Streams

LAMBDAS = tuple(10.0**power for power in range(-10, 1))
"""Ridge strengths tried, relative to the mean square of the features.

The sequences held out to choose by are drawn like those of the fit. Where a task draws windows of
one series (weather, Mackey-Glass), the two overlap: the held-out error then hardly sees
overfitting, and the choice tends to the weakest ridge. With thousands of windows for a hundred
coefficients that costs nothing (weather: 0.1 % between 1e-14 and 1e-6); the floor keeps what
rounding decides out. A floor of 1e-8 would weaken the control: 13 % on Mackey-Glass.
"""
CHUNK = 256
"""Training sequences simulated at once: bounds the memory."""
HELD_OUT = 5
"""One training sequence in this many, drawn like the others, chooses the ridge strength."""


@dataclass
class Moments:
    """Sums over rows that least squares needs: A^T A, A^T Y and the squares of Y.

    Args:
        features: n, columns of A.
        outputs: m, columns of Y.
    """

    features: int
    outputs: int
    gram: np.ndarray = field(init=False)
    cross: np.ndarray = field(init=False)
    rows: int = 0
    squares: float = 0.0

    def __post_init__(self) -> None:
        self.gram = np.zeros((self.features, self.features))
        self.cross = np.zeros((self.features, self.outputs))

    @classmethod
    def of(cls, gram: np.ndarray, cross: np.ndarray, rows: int, squares: float) -> Moments:
        """Return sums that are known: A^T A (n, n), A^T Y (n, m), how many rows, and the squares of Y."""
        found = cls(*cross.shape)
        found._sum(gram, cross, squares, rows)
        return found

    def add(self, a: np.ndarray, y: np.ndarray) -> None:
        """Add rows: features a (rows, n) and targets y (rows, m)."""
        self._sum(a.T @ a, a.T @ y, float(np.sum(y**2)), len(a))

    def _sum(self, gram: np.ndarray, cross: np.ndarray, squares: float, rows: int) -> None:
        self.gram += gram
        self.cross += cross
        self.squares += squares
        self.rows += rows

    def joined(self, other: Moments) -> Moments:
        """Return the moments of both sets of rows."""
        both = Moments(self.features, self.outputs)
        for part in (self, other):
            both._sum(part.gram, part.cross, part.squares, part.rows)
        return both

    def error(self, coefficients: np.ndarray) -> float:
        """Return the mean squared error of A C on these rows."""
        total = self.squares + float(np.sum(coefficients * (self.gram @ coefficients - 2.0 * self.cross)))
        return total / (self.rows * self.outputs)


def solve_ridge(moments: Moments, strength: float) -> np.ndarray:
    """Return C (n, m) that minimises |A C - Y|^2 + strength q rows |C|^2, q the features' mean square.

    >>> moments = Moments(1, 1)
    >>> moments.add(np.array([[1.0], [2.0]]), np.array([[3.0], [6.0]]))
    >>> solve_ridge(moments, 1e-14).round(6)
    array([[3.]])
    """
    return next(ridge_path(moments, (strength,)))


def ridge_path(
    moments: Moments, strengths: tuple[float, ...], limits: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """Yield the ridge solution (n, m) of every strength, all from one eigendecomposition.

    Args:
        moments: of A and Y. strengths: of the penalty. limits: (n,) |C| may not be larger than; None: it may.

    >>> moments = Moments(1, 1)
    >>> moments.add(np.array([[1.0], [2.0]]), np.array([[3.0], [6.0]]))
    >>> [C.round(6).item() for C in ridge_path(moments, (1e-14, 0.5), np.array([2.5]))]
    [2.5, 2.0]
    """
    values, vectors = np.linalg.eigh(moments.gram)
    unit = float(np.trace(moments.gram)) / moments.features  # mean square of a feature, times the rows
    if unit == 0.0:  # features that are all zero predict zero
        yield from (np.zeros_like(moments.cross) for _ in strengths)
        return
    projected = vectors.T @ moments.cross
    for strength in strengths:
        curved = np.maximum(values, 0.0) + strength * unit
        free = vectors @ (projected / curved[:, None])
        beyond = limits is not None and bool((np.abs(free) > limits[:, None]).any())
        yield _within(free, projected, curved, vectors, limits) if limits is not None and beyond else free


def choose_ridge(fit: Moments, held: Moments, strengths: tuple[float, ...] = LAMBDAS) -> tuple[np.ndarray, float]:
    """Fit with the strength that does best on the rows of `held`, then again on all rows.

    Args:
        fit, held: moments of the rows to fit, and to choose the strength, by.
        strengths: the grid.

    Returns: C (n, m) and the strength chosen.
    """
    errors = [held.error(coefficients) for coefficients in ridge_path(fit, strengths)]
    best = strengths[int(np.argmin(errors))]
    return solve_ridge(fit.joined(held), best), best


def fit_sequences(
    task: Source,
    features: Callable[[Sequences], np.ndarray],
    size: int,
    outputs: int,
    streams: Streams,
    stream: str,
    windows: int,
    strengths: tuple[float, ...] = LAMBDAS,
) -> tuple[np.ndarray, float]:
    """Regress the targets of scored steps on features (steps B, size); a fifth of `windows` chooses lambda.

    Returns: coefficients (size, outputs) and the strength chosen.
    """
    fit, held = Moments(size, outputs), Moments(size, outputs)
    for chooses, batch in drawn(task, streams, stream, windows):
        (held if chooses else fit).add(features(batch), scored(batch.targets, batch.mask))
    return choose_ridge(fit, held, strengths)


def drawn(task: Source, streams: Streams, stream: str, windows: int) -> Iterator[tuple[bool, Sequences]]:
    """Draw training sequences in pieces; the last fifth of them, True, is to choose the strength by.

    Raises:
        ValueError: too few for that.
    """
    if windows < HELD_OUT:
        raise ValueError(f"at least {HELD_OUT} windows are needed, not {windows}")
    held_windows = windows // HELD_OUT
    draw = 0
    for chooses, total in ((False, windows - held_windows), (True, held_windows)):
        for start in range(0, total, CHUNK):
            yield chooses, task.sample(streams.generator(stream, draw), min(CHUNK, total - start))
            draw += 1


def _within(
    free: np.ndarray, projected: np.ndarray, curved: np.ndarray, vectors: np.ndarray, limits: np.ndarray
) -> np.ndarray:
    """Return the least of the same sum of squares where |C| <= limits: to cut the free solution off is not the least.

    With eigenvalues d (curved) and eigenvectors V it is |sqrt(d) V^T C - V^T A^T Y / sqrt(d)|^2, output by output.
    """
    from scipy.optimize import lsq_linear

    A, Y, found = np.sqrt(curved)[:, None] * vectors.T, projected / np.sqrt(curved)[:, None], free.copy()
    for output in np.flatnonzero((np.abs(free) > limits[:, None]).any(0)):
        found[:, output] = lsq_linear(A, Y[:, output], (-limits, limits), method="bvls").x
    return found
