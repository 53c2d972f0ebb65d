"""The cross-entropy of classes: outputs are logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

SUMS_TO_1 = 1e-6
"""How far the probabilities of a target's classes may be off 1 in sum."""


class CrossEntropy:
    """Cross-entropy of classes, in nats: outputs are logits.

        L = - sum_o target_o ln softmax(y)_o       several outputs, a class each
        L = ln(1 + exp(-target y))                 one output, target +1 or -1

    Targets are one-hot or class probabilities. The gradient with respect to y is softmax(y) - target, of one output
    that of P(+1) = 1 / (1 + exp(-y)) less 1 or 0. A constant added to all of several logits changes nothing.

    Source: Bishop, Pattern Recognition and Machine Learning (Springer, 2006), equations 4.90 and 4.108.

    >>> import torch
    >>> CrossEntropy().of(torch.zeros(1, 4), torch.eye(4)[:1])  # ln 4
    tensor([1.3863])
    >>> CrossEntropy().of(torch.tensor([[1000.0], [-1000.0]]), torch.ones(2, 1))
    tensor([   0., 1000.])
    """

    label: ClassVar[str] = "mean cross-entropy"
    unit: ClassVar[str] = "nats"

    def of(self, y: Tensor, targets: Tensor) -> Tensor:
        """Return the loss (...) of logits (..., O)."""
        if y.shape[-1] == 1:
            against = -(targets * y)[..., 0]
            return against.logaddexp(against.new_zeros(()))
        return -(targets * y.log_softmax(-1)).sum(-1)

    def error(self, y: Tensor, targets: Tensor) -> Tensor:
        """Return dL/dy (..., O): what a logit says too much of its class; of one output 1 / (1 + exp(target y)) less.

        >>> import torch
        >>> CrossEntropy().error(torch.zeros(1, 1), torch.ones(1, 1))
        tensor([[-0.5000]])
        """
        if y.shape[-1] == 1:
            return -targets * (-targets * y).sigmoid()
        return targets.sum(-1, keepdim=True) * y.softmax(-1) - targets

    def misfit(self, targets: np.ndarray) -> str | None:
        """Say why targets (rows, O) are no classes, or None."""
        if targets.shape[-1] == 1:
            fits = bool((np.abs(targets) == 1.0).all())
        else:
            fits = bool((targets >= 0.0).all() and (np.abs(targets.sum(axis=-1) - 1.0) <= SUMS_TO_1).all())
        return None if fits else "takes classes: one output of +1 or -1, or one for each class that add up to 1"

    def constant(self, targets: np.ndarray) -> np.ndarray:
        """Return the logits of how often each class occurs; one that never does counts as half a row.

        >>> CrossEntropy().constant(np.array([[1.0], [1.0], [-1.0], [1.0]])).round(4)  # ln 3
        array([1.0986])
        """
        least = 0.5 / len(targets)
        if targets.shape[-1] == 1:
            share = np.clip((1.0 + targets.mean(axis=0)) / 2.0, least, 1.0 - least)
            return np.log(share / (1.0 - share))
        return np.log(np.maximum(targets.mean(axis=0), least))

    def as_targets(self, y: np.ndarray) -> np.ndarray:
        """Return the probabilities of logits (..., O); of one output P(+1) - P(-1), between -1 and 1."""
        if y.shape[-1] == 1:
            return np.tanh(y / 2.0)
        odds = np.exp(y - y.max(axis=-1, keepdims=True))
        return odds / odds.sum(axis=-1, keepdims=True)
