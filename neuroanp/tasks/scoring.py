"""Score outputs: the squared error that every loss in neuroanp means, and its normalised root."""

from __future__ import annotations

import numpy as np

from neuroanp.tasks.protocol import Batch


def squared_error(y: np.ndarray, batch: Batch) -> float:
    """Return the mean squared error over the scored steps, the sequences and the outputs.

        L = sum_t m_t sum_{b,o} (y_tbo - target_tbo)^2 / (B O sum_t m_t)

    Args:
        y: outputs, (T, B, O).
        batch: the sequences; its mask m (T,) says which steps are scored.

    Raises:
        ValueError: y has another shape than the targets, or no step is scored.

    >>> batch = Batch(np.zeros((3, 1, 1)), np.ones((3, 1, 2)), np.array([0.0, 1.0, 1.0]))
    >>> squared_error(np.full((3, 1, 2), 0.5), batch)
    0.25
    """
    got, target = _scored(y, batch)
    return float(np.mean((got - target) ** 2))


def nrmse(y: np.ndarray, batch: Batch) -> float:
    """Return sqrt(L / variance of the scored targets): 1 is as good as their mean.

    Args:
        y: outputs, (T, B, O).
        batch: the sequences; the variance is taken over its scored steps, output by output.

    Raises:
        ValueError: as `squared_error`, or the scored targets do not vary.
    """
    _, target = _scored(y, batch)
    variance = float(np.mean(np.var(target, axis=(0, 1))))
    if variance == 0.0:
        raise ValueError("the scored targets are constant: an error relative to their spread is undefined")
    return float(np.sqrt(squared_error(y, batch) / variance))


def _scored(y: np.ndarray, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Return outputs and targets of the scored steps, (steps, B, O) each."""
    if y.shape != batch.targets.shape:
        raise ValueError(f"outputs {y.shape} do not match the targets {batch.targets.shape}")
    steps = batch.mask > 0
    if not steps.any():
        raise ValueError("the batch's mask scores no step")
    return y[steps], batch.targets[steps]
