"""What every loss offers: its value at each step, what it is called, and what suits it as targets and as a constant."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

from neuroanp.registry import Registry

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


class Loss(Protocol):
    """A loss of outputs against targets, step by step: no options, no state.

    A local rule sees the values, and the outputs' errors where it says so; gradient methods differentiate `of` by
    autograd. A loss of values in the targets' own units may derive from `losses.squared_error.OfValues`, and say
    `label`, `of` and `constant`.

    >>> import numpy as np
    >>> import torch
    >>> loss, targets = LOSSES.get("squared_error")(), torch.tensor([[1.0, 0.0]])
    >>> y = torch.tensor([[0.5, 0.0]])
    >>> loss.of(y, targets), loss.error(y, targets), loss.label
    (tensor([0.1250]), tensor([[-0.5000,  0.0000]]), 'mean squared error')
    >>> rows = np.array([[0.0], [1.0], [5.0]])
    >>> loss.constant(rows), loss.misfit(rows), loss.as_targets(rows[0])  # the mean
    (array([2.]), None, array([0.]))
    """

    label: ClassVar[str]
    """What tables and axes call its mean: "mean squared error"."""
    unit: ClassVar[str]
    """Its unit, "nats"; empty: the square of the outputs' own, or none."""

    def of(self, y: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of each output vector, differentiable by autograd.

        Args:
            y: outputs, (..., O). targets: (..., O), of a shape that broadcasts to that of y; all 0 where nothing is
                scored, of which the loss must be finite.

        Returns: (...).
        """
        ...

    def error(self, y: Tensor, targets: Tensor) -> Tensor:
        """Return the signed error dL/dy of each output, which output units that know their target can tell.

        Args:
            y, targets: as in `of`.

        Returns: (..., O).
        """
        ...

    def misfit(self, targets: np.ndarray) -> str | None:
        """Say why scored targets, (rows, O), are none that it is defined for: a clause after "it"; None: they are."""
        ...

    def constant(self, targets: np.ndarray) -> np.ndarray:
        """Return the constant outputs (O,) that minimise its mean over targets (rows, O)."""
        ...

    def as_targets(self, y: np.ndarray) -> np.ndarray:
        """Return what outputs (..., O) say of the targets, in the targets' own units: y itself, or probabilities."""
        ...


LOSSES: Registry[type[Loss]] = Registry("loss", "neuroanp.losses", Loss)
