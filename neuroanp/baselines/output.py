"""The loss of a whole presentation, and its gradient at the outputs: what both gradient methods descend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from neuroanp.losses import is_squared_error, of_steps

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.losses import Loss


def total(loss: Loss, y: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """Return L = 1/B sum_{t,b} m_t L_tb, through which autograd can differentiate.

    Args:
        loss: L_tb of an output vector. y: outputs (T, B, O). targets: (T, B, O). mask: (T,).

    >>> from neuroanp.losses import SQUARED_ERROR
    >>> total(SQUARED_ERROR, torch.ones(3, 2, 4), torch.zeros(3, 2, 4), torch.ones(3))
    tensor(3.)
    """
    if is_squared_error(loss):  # one sum over all numbers: the bits of earlier runs
        return (mask[:, None, None] * (y - targets).square()).sum() / (y.shape[1] * y.shape[2])
    return of_steps(loss, y.unsqueeze(1), targets, mask).sum() / y.shape[1]


def at_output(loss: Loss, y: Tensor, targets: Tensor, mask: Tensor) -> tuple[Tensor, float]:
    """Return dL/dy (T, B, O) of `total`, and the mean loss over scored steps and sequences.

    That of the squared error is written out, that of any other loss found by autograd.

    >>> from neuroanp.losses import SQUARED_ERROR
    >>> slope, mean = at_output(SQUARED_ERROR, torch.ones(3, 2, 4), torch.zeros(3, 2, 4), torch.ones(3))
    >>> float(slope[0, 0, 0]), mean  # 2 / (B O), 1
    (0.25, 1.0)
    """
    if is_squared_error(loss):
        miss = (y - targets) * mask[:, None, None]
        numbers = y.shape[1] * y.shape[2]
        return miss * (2.0 / numbers), float((miss**2).sum() / (mask.sum() * y.shape[1] * y.shape[2]))
    with torch.enable_grad():
        leaf = y.detach().requires_grad_()
        L = total(loss, leaf, targets, mask)
        (slope,) = torch.autograd.grad(L, leaf)
    return slope, float(L.detach() / mask.sum())
