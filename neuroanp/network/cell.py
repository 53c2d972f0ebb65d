"""What a unit is: the pre-activations it has, and one step of its equations.

A cell knows nothing of time loops, arrays or rules. A unit has one pre-activation or several, its ports; those of n
units lie side by side, port after port, (..., ports n). Currents from below reach some of the ports, those of the
recurrence some; what simulates a network adds them up, with the noise of every pre-activation, and asks for the step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

from neuroanp.registry import Registry
from neuroanp.yaml_io import Section

if TYPE_CHECKING:
    from torch import Tensor

State = tuple["Tensor", ...]
"""What a layer keeps from step to step, each (rows, n); the activity that the recurrence reads is not among them
unless the equations need it."""


class Unit(Protocol):
    """What the structure of a network needs to know of its units."""

    ports: ClassVar[tuple[str, ...]]
    """Names of a unit's pre-activations, in their order."""
    feed: ClassVar[tuple[str, ...]]
    """Those that currents from below reach: neighbours in `ports`, the lines of a feed-forward array."""
    recurrent: ClassVar[tuple[str, ...]]
    """Those that the layer's own activity of the step before reaches, likewise."""
    spikes: ClassVar[bool]
    """Whether its activity is spikes."""


class Cell(Unit, Protocol):
    """A unit of a rate network; options are the fields of a `yaml_io.Section`.

    >>> import torch
    >>> from neuroanp.network.tanh import LeakyTanh
    >>> leaky = LeakyTanh(leak=0.25)
    >>> state = leaky.start(1, 2, torch.zeros(1, dtype=torch.float64))
    >>> state, x = leaky.step(state, torch.tensor([[100.0, -100.0]]))
    >>> x, leaky.derivative(torch.zeros(1, 2))  # dx/dh = a (1 - tanh^2 h)
    (tensor([[ 0.2500, -0.2500]], dtype=torch.float64), tensor([[0.2500, 0.2500]]))
    """

    def start(self, rows: int, n: int, like: Tensor) -> State:
        """Return the state of rows x n units at rest.

        Args: rows: sequences times passes. n: units. like: gives dtype and device.

        Returns: what a step needs of the one before, (rows, n) each; (): nothing.
        """
        ...

    def step(self, state: State, h: Tensor) -> tuple[State, Tensor]:
        """Do one step: pure torch that autograd can differentiate.

        Args:
            state: as the last step left it. h: (rows, ports n) pre-activations.

        Returns: the new state, and the activity x (rows, n).
        """
        ...

    def derivative(self, h: Tensor) -> Tensor | None:
        """Return dx/dh, a unit's own gain, where its pre-activations alone say it; None: they do not.

        Args:
            h: (..., ports n) pre-activations.

        Returns: (..., ports n) how much each of them moves the activity of its unit in the same step.
        """
        ...


class RateCell(Section):
    """Base of cells with one pre-activation h and no state; a cell of one's own gives `step` and what differs.

    >>> import torch
    >>> class Softsign(RateCell):
    ...     "x = h / (1 + |h|)"
    ...     def step(self, state, h):
    ...         return state, h / (1 + h.abs())
    >>> Softsign().start(1, 2, torch.zeros(1)), Softsign().derivative(torch.tensor([1.0]))  # 1 / (1 + |h|)^2
    ((), tensor([0.2500]))
    >>> Softsign().step((), torch.tensor([[1.0, -3.0]]))
    ((), tensor([[ 0.5000, -0.7500]]))
    """

    ports: ClassVar[tuple[str, ...]] = ("h",)
    feed: ClassVar[tuple[str, ...]] = ("h",)
    recurrent: ClassVar[tuple[str, ...]] = ("h",)
    spikes: ClassVar[bool] = False

    def start(self, rows: int, n: int, like: Tensor) -> State:
        """Return no state, whatever rows, n and like (it gives dtype and device) are."""
        return ()

    def derivative(self, h: Tensor) -> Tensor | None:
        """Return dx/dh (..., n) of units without a state, as autograd finds it; None of those that have one.

        Args: h: (..., n) pre-activations.
        """
        if self.start(1, 1, h):
            return None
        import torch

        with torch.enable_grad():
            leaf = h.detach().requires_grad_()
            x = self.step((), leaf)[1]  # pyright: ignore[reportAttributeAccessIssue] - a cell gives it
            return torch.autograd.grad(x.sum(), leaf)[0]


CELLS: Registry[type[Cell]] = Registry("cell", "neuroanp.cells", Cell)
