"""Fit a linear readout to any loss, with a ridge penalty: of the cross-entropy, multinomial logistic regression."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from neuroanp.baselines.protocol import Sequences, Source, scored
from neuroanp.baselines.regression import HELD_OUT, LAMBDAS, drawn
from neuroanp.losses import Loss
from neuroanp.noise import Streams

ROWS = 100_000
"""Rows (scored steps of sequences) that are kept at most: they do not fit into sums, as those of least squares do."""
ITERATIONS = 2_000
FLAT = 1e-7
"""Largest partial derivative of the penalised loss, in the scaled coefficients, at what counts as its minimum."""
WORSE = 2
"""Where the held-out loss rose for so many strengths in a row, weaker ones are not tried."""


class NotFittedError(ValueError):
    """No minimum was found."""


@dataclass(frozen=True)
class Rows:
    """Features a (rows, n) with targets y (rows, m), float64."""

    a: np.ndarray
    y: np.ndarray

    def joined(self, other: Rows) -> Rows:
        """Return both sets of rows."""
        return Rows(np.concatenate([self.a, other.a]), np.concatenate([self.y, other.y]))

    def mean(self, loss: Loss, coefficients: np.ndarray) -> float:
        """Return the mean loss of outputs A C."""
        return float(loss.of(torch.from_numpy(self.a @ coefficients), torch.from_numpy(self.y)).mean())


def minimise(loss: Loss, rows: Rows, strength: float, start: np.ndarray | None = None) -> np.ndarray:
    """Return C (n, m) that minimises mean_rows loss(a C, y) + strength q |C|^2, q the features' mean square.

    By L-BFGS in coordinates in which the features, penalty included, are uncorrelated and of one size: weak penalties
    on activities that are nearly collinear converge as strong ones do. Where the loss is convex the minimum is the
    only one.

    Args:
        loss: of outputs (rows, m). rows: features and targets. strength: of the penalty. start: C to begin with.

    Raises:
        NotFittedError: no minimum within 2000 iterations, or none where the loss is smooth.

    >>> from neuroanp.losses import LOSSES
    >>> rows = Rows(np.ones((4, 1)), np.array([[1.0], [1.0], [1.0], [-1.0]]))
    >>> minimise(LOSSES.get("cross_entropy")(), rows, 1e-12).round(4)  # ln 3
    array([[1.0986]])
    """
    from scipy.optimize import minimize

    outputs = rows.y.shape[1]
    values, vectors = np.linalg.eigh(rows.a.T @ rows.a / len(rows.a))
    penalty = strength * float(np.mean(rows.a**2))
    if penalty == 0.0:  # features that are all zero predict zero
        return np.zeros((rows.a.shape[1], outputs))
    scale = np.sqrt(np.maximum(values, 0.0) + penalty)
    features, targets = torch.from_numpy(rows.a @ (vectors / scale)), torch.from_numpy(rows.y)
    costs = torch.from_numpy(penalty / scale[:, None] ** 2)

    def value(flat: np.ndarray) -> tuple[float, np.ndarray]:
        C = torch.from_numpy(flat.reshape(-1, outputs)).requires_grad_()
        L = loss.of(features @ C, targets).mean() + (costs * C.square()).sum()
        (slope,) = torch.autograd.grad(L, C)
        return float(L.detach()), slope.numpy().ravel()

    first = np.zeros((len(values), outputs)) if start is None else scale[:, None] * (vectors.T @ start)
    limits = {"maxiter": ITERATIONS, "maxfun": 2 * ITERATIONS, "gtol": FLAT, "ftol": 0.0, "maxcor": 20}
    with torch.enable_grad():
        found = minimize(value, first.ravel(), jac=True, method="L-BFGS-B", options=limits)
    steepest = float(np.abs(found.jac).max())
    if not steepest <= FLAT:
        raise NotFittedError(
            f"no minimum of the {loss.label} with a ridge of {strength:g} after {found.nit} iterations: steepest "
            f"{steepest:.2g}, flat is {FLAT:g}"
        )
    return vectors @ (found.x.reshape(-1, outputs) / scale[:, None])


def choose(loss: Loss, fit: Rows, held: Rows, strengths: tuple[float, ...] = LAMBDAS) -> tuple[np.ndarray, float]:
    """Fit with the strength whose loss on the rows of `held` is least, then again on all rows.

    From the strongest on, each begins where the one before ended; where the held-out loss rose twice in a row, or no
    minimum is found any more (classes that a plane separates have none without a penalty), weaker ones are left out.

    Returns: C (n, m) and the strength chosen.

    Raises:
        NotFittedError: there is no minimum even with the strongest.
    """
    tried: list[tuple[float, float, np.ndarray]] = []
    for strength in sorted(strengths, reverse=True):
        try:
            found = minimise(loss, fit, strength, tried[-1][2] if tried else None)
        except NotFittedError:
            if not tried:
                raise
            break
        tried.append((held.mean(loss, found), strength, found))
        errors = [error for error, *_ in tried]
        if len(errors) > WORSE and min(errors[-WORSE:]) > errors[-WORSE - 1]:
            break
    _, best, start = min(tried, key=lambda one: one[0])
    return minimise(loss, fit.joined(held), best, start), best


def fit_sequences_to(
    loss: Loss,
    task: Source,
    features: Callable[[Sequences], np.ndarray],
    streams: Streams,
    stream: str,
    windows: int,
    strengths: tuple[float, ...] = LAMBDAS,
) -> tuple[np.ndarray, float]:
    """Fit the targets of scored steps to features (steps B, n); a fifth of the sequences chooses the strength.

    Of sequences with many scored steps fewer than `windows` are drawn: as many as ROWS holds.

    Returns: coefficients (n, O) and the strength chosen.

    Raises:
        ValueError: fewer than 5 windows. NotFittedError: see `choose`.
    """
    steps = int((task.sample(streams.generator(stream), 1).mask > 0).sum())
    kept = min(windows, max(HELD_OUT, ROWS // max(steps, 1)))
    parts: dict[bool, list[Rows]] = {False: [], True: []}
    for chooses, batch in drawn(task, streams, stream, kept):
        parts[chooses].append(Rows(features(batch), scored(batch.targets, batch.mask)))
    fit, held = (
        Rows(np.concatenate([part.a for part in some]), np.concatenate([part.y for part in some]))
        for some in parts.values()
    )
    return choose(loss, fit, held, strengths)
