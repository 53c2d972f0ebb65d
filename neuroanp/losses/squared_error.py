"""The squared error, mean over the outputs: what tasks have unless they say another."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from neuroanp.losses.protocol import Loss


class OfValues:
    """Base of losses whose outputs are in the targets' own units: any finite targets suit them."""

    unit: ClassVar[str] = ""

    def of(self, y: Tensor, targets: Tensor) -> Tensor:
        """Return the loss (...) of outputs (..., O)."""
        raise NotImplementedError

    def error(self, y: Tensor, targets: Tensor) -> Tensor:
        """Return dL/dy (..., O), which autograd finds where a loss does not say it."""
        import torch

        with torch.enable_grad():
            leaf = y.detach().requires_grad_()
            return torch.autograd.grad(self.of(leaf, targets).sum(), leaf)[0]

    def misfit(self, targets: np.ndarray) -> None:
        """Return None: any values will do."""

    def as_targets(self, y: np.ndarray) -> np.ndarray:
        """Return y itself."""
        return y


class SquaredError(OfValues):
    """Squared error, mean over the outputs.

        L = mean_o (y_o - target_o)^2

    What has a closed form for it (least squares, the gradient by hand) asks `is_squared_error`.

    >>> import torch
    >>> SquaredError().of(torch.tensor([[1.0, 3.0]]), torch.tensor([[1.0, 1.0]]))
    tensor([2.])
    """

    label: ClassVar[str] = "mean squared error"

    def of(self, y: Tensor, targets: Tensor) -> Tensor:
        """Return the loss (...) of outputs (..., O)."""
        return (y - targets).square().mean(-1)

    def error(self, y: Tensor, targets: Tensor) -> Tensor:
        """Return 2 (y - target) / O, (..., O)."""
        return (y - targets) * (2.0 / y.shape[-1])

    def constant(self, targets: np.ndarray) -> np.ndarray:
        """Return the mean of targets (rows, O), output by output."""
        return targets.mean(axis=0)


SQUARED_ERROR = SquaredError()


def is_squared_error(loss: Loss) -> bool:
    """Tell whether a loss is the squared error itself; a class derived from it is another loss.

    >>> class Halved(SquaredError):
    ...     "Half of it."
    >>> is_squared_error(SquaredError()), is_squared_error(Halved())
    (True, False)
    """
    return type(loss) is SquaredError
