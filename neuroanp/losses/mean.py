"""Apply a loss: to the steps of passes, and to the outputs of a whole network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from neuroanp.losses.squared_error import is_squared_error

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.losses.protocol import Loss


class Scored(Protocol):
    """Targets (T, B, O), and the mask (T,) of the steps that are scored: every batch of a task."""

    @property
    def targets(self) -> np.ndarray: ...

    @property
    def mask(self) -> np.ndarray: ...


def of_steps(loss: Loss, y: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """Return the loss of each step: L_t = mask_t loss(y_t, target_t).

    Args:
        loss: the task's.
        y: (T, M, B, O) outputs.
        targets: (T, B, O).
        mask: (T,) 1 where a step is scored, else 0.

    Returns: (T, M, B).

    >>> import torch
    >>> from neuroanp.losses.squared_error import SQUARED_ERROR
    >>> of_steps(SQUARED_ERROR, torch.zeros(1, 1, 1, 2), torch.ones(1, 1, 2), torch.ones(1))
    tensor([[[1.]]])
    """
    return loss.of(y, targets.unsqueeze(1)) * mask[:, None, None]


def errors_of_steps(loss: Loss, y: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """Return the signed error of each output at each step: e_t = mask_t dL/dy_t.

    Args:
        loss, targets, mask: as in `of_steps`.
        y: (T, M, B, O) outputs.

    Returns: (T, M, B, O).

    >>> import torch
    >>> from neuroanp.losses.squared_error import SQUARED_ERROR
    >>> errors_of_steps(SQUARED_ERROR, torch.zeros(1, 1, 1, 2), torch.ones(1, 1, 2), torch.ones(1))
    tensor([[[[-1., -1.]]]])
    """
    return loss.error(y, targets.unsqueeze(1)) * mask[:, None, None, None]


def mean_loss(loss: Loss, y: np.ndarray, batch: Scored) -> float:
    """Return the mean loss over the scored steps and the sequences.

        L = sum_t m_t sum_b loss(y_tb, target_tb) / (B sum_t m_t)

    Args:
        loss: the task's.
        y: outputs, (T, B, O).
        batch: the sequences; its mask m (T,) says which steps are scored.

    Raises:
        ValueError: y has another shape than the targets, or no step is scored.

    >>> from neuroanp.losses.squared_error import SQUARED_ERROR
    >>> from neuroanp.tasks.protocol import Batch
    >>> batch = Batch(np.zeros((2, 1, 1)), np.ones((2, 1, 1)), np.array([0.0, 1.0]))
    >>> mean_loss(SQUARED_ERROR, np.array([9.0, 0.5]).reshape(2, 1, 1), batch)  # the first step is not scored
    0.25
    """
    got, targets = scored_steps(y, batch)
    if is_squared_error(loss):  # one mean over all numbers: the sums of every earlier run, to the last bit
        return float(np.mean((got - targets) ** 2))
    import torch

    each = loss.of(*(torch.from_numpy(np.ascontiguousarray(part, dtype=np.float64)) for part in (got, targets)))
    return float(each.mean())


def scored_steps(y: np.ndarray, batch: Scored) -> tuple[np.ndarray, np.ndarray]:
    """Return outputs and targets of the scored steps, (steps, B, O) each; ValueError as `mean_loss`.

    >>> from neuroanp.tasks.protocol import Batch
    >>> batch = Batch(np.zeros((3, 1, 1)), np.ones((3, 1, 1)), np.array([0.0, 1.0, 1.0]))
    >>> scored_steps(np.arange(3.0).reshape(3, 1, 1), batch)[0].ravel().tolist()
    [1.0, 2.0]
    """
    if y.shape != batch.targets.shape:
        raise ValueError(f"outputs {y.shape} do not match the targets {batch.targets.shape}")
    steps = batch.mask > 0
    if not steps.any():
        raise ValueError("the batch's mask scores no step")
    return y[steps], batch.targets[steps]


def named(loss: Loss) -> str:
    """Return what tables and axes call the mean of a loss, with its unit.

    >>> from neuroanp.losses.protocol import LOSSES
    >>> [named(LOSSES.get(name)()) for name in ("squared_error", "cross_entropy")]
    ['mean squared error', 'mean cross-entropy in nats']
    """
    return f"{loss.label} in {loss.unit}" if loss.unit else loss.label
