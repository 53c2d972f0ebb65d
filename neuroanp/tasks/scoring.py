"""Score outputs: the squared error, whatever a task's loss is, its normalised root, and the share of right classes."""

from __future__ import annotations

import numpy as np

from neuroanp.losses import SQUARED_ERROR, Loss, mean_loss
from neuroanp.losses.mean import scored_steps
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
    return mean_loss(SQUARED_ERROR, y, batch)


def nrmse(y: np.ndarray, batch: Batch) -> float:
    """Return sqrt(squared error / variance of the scored targets): 1 is as good as their mean.

    Args:
        y: outputs, (T, B, O).
        batch: the sequences; the variance is taken over its scored steps, output by output.

    Raises:
        ValueError: as `squared_error`, or the scored targets do not vary.

    >>> target = np.array([0.0, 2.0]).reshape(2, 1, 1)
    >>> nrmse(np.ones((2, 1, 1)), Batch(target, target, np.ones(2)))  # their mean
    1.0
    """
    _, target = scored_steps(y, batch)
    variance = float(np.mean(np.var(target, axis=(0, 1))))
    if variance == 0.0:
        raise ValueError("the scored targets are constant: an error relative to their spread is undefined")
    return float(np.sqrt(squared_error(y, batch) / variance))


def class_scores(y: np.ndarray, batch: Batch, loss: Loss) -> dict[str, float]:
    """Return `accuracy`, the share of sequences whose output of largest mean over what is scored is right, and `loss`.

    Args:
        y: outputs, one a class, (T, B, O).
        batch: the sequences; their targets are one-hot, the same at all scored steps.
        loss: the task's.

    Raises:
        ValueError: as `squared_error`.

    >>> from neuroanp.losses import SQUARED_ERROR
    >>> one_hot = np.array([[[1.0, 0.0], [0.0, 1.0]]])  # T 1, B 2
    >>> batch = Batch(one_hot, one_hot, np.ones(1))
    >>> class_scores(np.array([[[0.9, 0.1], [0.8, 0.2]]]), batch, SQUARED_ERROR)["accuracy"]
    0.5
    """
    mean = mean_loss(loss, y, batch)
    steps = batch.mask > 0
    got, target = y[steps].mean(axis=0), batch.targets[steps].mean(axis=0)
    return {"accuracy": float(np.mean(got.argmax(axis=-1) == target.argmax(axis=-1))), "loss": mean}
