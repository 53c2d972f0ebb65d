"""Fit a linear readout to any loss, with a ridge penalty: of the cross-entropy, multinomial logistic regression."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from neuroanp.baselines.protocol import Sequences, Source, scored
from neuroanp.baselines.regression import HELD_OUT, LAMBDAS, drawn
from neuroanp.losses import Loss
from neuroanp.noise import Streams

ROWS = 100_000
"""Rows (scored steps of sequences) that are kept at most: they do not fit into sums, as those of least squares do."""
ROUNDS, STEPS = 20, 500
"""Rounds of L-BFGS at most, and steps of each."""
FLAT, ROUGHLY = 1e-10, 1e-6
"""How far above its minimum a penalised loss may be, in its own unit: fitted, and to choose the strength by."""
LEAST_CURVED = 1e-6
"""The least curvature of a row, relative to the mean."""
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


def minimise(
    loss: Loss, rows: Rows, strength: float, start: np.ndarray | None = None, flat: float = FLAT
) -> np.ndarray:
    """Return C (n, m) that minimises F = mean_rows loss(a C, y) + strength q |C|^2, q the features' mean square.

    By rounds of L-BFGS, each in coordinates in which the curvature of F, mean over outputs, was 1 where the round
    began: activities are nearly collinear, and logits far from 0 hardly curved. Where the loss is convex the minimum is
    the only one.

    Args:
        loss: of outputs (rows, m). rows: features and targets. strength: of the penalty. start: C to begin with.
        flat: how far above its minimum F may be, as its slope and curvature tell.

    Raises:
        NotFittedError: no minimum was reached, as of a loss that is not smooth where it is least.

    >>> from neuroanp.losses import LOSSES
    >>> rows = Rows(np.ones((4, 1)), np.array([[1.0], [1.0], [1.0], [-1.0]]))
    >>> minimise(LOSSES.get("cross_entropy")(), rows, 1e-12).round(4)  # ln 3
    array([[1.0986]])
    """
    from scipy.optimize import minimize

    a, y = torch.from_numpy(rows.a), torch.from_numpy(rows.y)
    penalty = strength * float(np.mean(rows.a**2))
    C = torch.zeros(a.shape[1], y.shape[1], dtype=a.dtype) if start is None else torch.from_numpy(start)
    if penalty == 0.0:  # features that are all zero predict zero
        return torch.zeros_like(C).numpy()

    def value(z: np.ndarray, at: Tensor, scale: Tensor) -> tuple[float, np.ndarray]:
        there = (at + scale @ torch.from_numpy(z).reshape(at.shape)).requires_grad_()
        with torch.enable_grad():
            F = loss.of(a @ there, y).mean() + penalty * there.square().sum()
        (slope,) = torch.autograd.grad(F, there)
        return float(F.detach()), (scale.T @ slope).numpy().ravel()

    still = np.zeros(C.numel())
    limits = {"maxiter": STEPS, "maxfun": 2 * STEPS, "gtol": (flat / C.numel()) ** 0.5, "ftol": 0.0, "maxcor": 20}
    for _ in range(ROUNDS):
        scale = _scale(loss, a, y, C, penalty)
        slope = value(still, C, scale)[1]
        above = float(slope @ slope) / 2.0  # the minimum, of a quadratic of this slope and curvature
        if above <= flat:
            return C.numpy()
        found = minimize(value, still, (C, scale), "L-BFGS-B", jac=True, options=limits)
        C = C + scale @ torch.from_numpy(found.x).reshape(C.shape)
    raise NotFittedError(f"the {loss.label} with a ridge of {strength:g} has no minimum that was found")


def _scale(loss: Loss, a: Tensor, y: Tensor, C: Tensor, penalty: float) -> Tensor:
    """Return S (n, n) with S^T H S = 1, H the curvature of F with respect to the coefficients, mean over outputs."""
    h = _curvature(loss, a @ C, y)
    values, vectors = torch.linalg.eigh(a.T @ (h[:, None] * a) / len(a))
    return vectors / (values.clamp(min=0.0) + 2.0 * penalty).sqrt()


def _curvature(loss: Loss, out: Tensor, y: Tensor) -> Tensor:
    """Return the mean over outputs of d^2 loss / d out_o^2, (rows,), above 0; 1 where autograd finds none."""
    with torch.enable_grad():
        out = out.detach().requires_grad_()
        (slope,) = torch.autograd.grad(loss.of(out, y).sum(), out, create_graph=True)
        if not slope.requires_grad:
            return torch.ones_like(out[:, 0])
        each = [torch.autograd.grad(one.sum(), out, retain_graph=True)[0][:, o] for o, one in enumerate(slope.T)]
    found = torch.stack(each).mean(0).detach().clamp(min=0.0)
    mean = float(found.mean())
    return found.clamp(min=mean * LEAST_CURVED) if mean > 0.0 else torch.ones_like(found)


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
            found = minimise(loss, fit, strength, tried[-1][2] if tried else None, ROUGHLY)
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
