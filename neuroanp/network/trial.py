"""Try a cell before a network is made of it: what its author got wrong is said by its name, before anything begins."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from neuroanp.errors import InputError
from neuroanp.network.cell import CELLS

if TYPE_CHECKING:
    from neuroanp.network.cell import Cell

ROWS, N = 3, 2
HOME = "neuroanp.network.cell.Cell says what each of them is"


def faults(cell: Cell) -> list[str]:
    """Return what of a cell is not as `Cell` says, a sentence each; [] of one that can do its steps.

    Two steps from rest without input, since the state of the first must do for the second.

    >>> from neuroanp.network.cell import RateCell
    >>> class Square(RateCell):
    ...     "x = h^2"
    ...     def step(self, state, h):
    ...         return h**2
    >>> from neuroanp.network.tanh import Tanh
    >>> faults(Tanh()), *faults(Square())
    ([], "cell 'Square': step returns a Tensor (3, 2) in torch.float64, not the new state and the activity; \
neuroanp.network.cell.Cell says what each of them is")
    """
    lines = [*_lines(cell)]
    return [f"cell '{_name(cell)}': {said}; {HOME}" for said in (lines or _steps(cell))]


def _lines(cell: Cell) -> list[str]:
    """Find that currents reach pre-activations that a unit has not, or that do not lie side by side."""
    ports, found = tuple(cell.ports), []
    if not ports or len(set(ports)) < len(ports):
        return [f"ports {ports} are no names of pre-activations, each its own"]
    for name, reached in (("feed", tuple(cell.feed)), ("recurrent", tuple(cell.recurrent))):
        start = ports.index(reached[0]) if reached and reached[0] in ports else 0
        if not reached or ports[start : start + len(reached)] != reached:
            found.append(f"{name} {reached} are no neighbours among the ports {ports}")
    return found


def _steps(cell: Cell) -> list[str]:
    """Find that a step fails, or leaves what is no state and no activity."""
    like = torch.zeros((), dtype=torch.float64)
    h = torch.zeros(ROWS, len(cell.ports) * N, dtype=torch.float64)
    doing = "start"
    try:
        state = cell.start(ROWS, N, like)
        for _ in range(2):
            if not (isinstance(state, tuple) and all(isinstance(part, Tensor) for part in state)):
                return [f"{doing} returns {_kind(state)} as the state, not a tuple of tensors"]
            doing = "step"
            done: Any = cell.step(state, h)
            if not (isinstance(done, tuple) and len(done) == 2):
                return [f"step returns {_kind(done)}, not the new state and the activity"]
            state, x = done
            if not isinstance(x, Tensor) or x.shape != (ROWS, N) or x.dtype != like.dtype:
                return [f"step returns {_kind(x)} as the activity of {ROWS} rows of {N} units in {like.dtype}"]
    except Exception as error:  # whatever another's code may raise
        return [f"{doing} cannot be done: {type(error).__name__}: {error}"]
    return []


def _kind(thing: Any) -> str:
    if isinstance(thing, Tensor) and thing.ndim:
        return f"a Tensor {tuple(thing.shape)} in {thing.dtype}"
    return f"a {type(thing).__name__}"


def _name(cell: Cell) -> str:
    for name in CELLS.names():
        with suppress(InputError):  # another package's cell that cannot be loaded is not this one
            if CELLS.get(name) is type(cell):
                return name
    return type(cell).__name__
