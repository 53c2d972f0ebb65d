"""A chip's numbers and neurons as a network that learns on it meets them: grids of weights, layers, outputs.

What presents batches to them is in `backends.chip_network`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from neuroanp.backends import loihi, xylo
from neuroanp.network.network import OUTPUT

if TYPE_CHECKING:
    from neuroanp.network.network import Network

States = tuple[Tensor, Tensor]
"""Current and potential, int64."""


class Grid(NamedTuple):
    """The numbers that a chip has for some weights: n = round((scale W + zero) / step), cut at low and high.

    >>> grid = Grid(torch.tensor([[100.0]]), step=2, low=-254, high=254)
    >>> grid.held(torch.tensor([[0.034, 9.0]])).tolist()
    [[0.03999999910593033, 2.5399999618530273]]
    """

    scale: Tensor
    step: int
    low: int
    high: int
    zero: float | Tensor = 0.0

    def numbers(self, W: Tensor) -> Tensor:
        """Return the chip's whole numbers for weights (post, pre), as multiples of 1, not of the step."""
        rounded = torch.round((W.to(self.scale) * self.scale + self.zero) / self.step) * self.step
        return rounded.clamp(self.low, self.high).long()

    def held(self, W: Tensor) -> Tensor:
        """Return the weights that the chip has instead, in their own units."""
        return ((self.numbers(W).double() - self.zero) / self.scale).to(W)


@dataclass(frozen=True)
class ChipLayer(ABC):
    """A layer of a chip's neurons, and the scales of its numbers; all tensors float64 unless said otherwise.

    Args:
        bias: of what drives its units at every step, (n,).
        arrival: (n,), a weight's units in a current of 1. unit: (n,), a bias's units in a threshold.
        state: units of a potential in a unit of a bias.
        k_i, k_e, drive: of the network's neurons: how currents move membranes, and the constant one.
        readout, synapse: decays of traces and currents, as the chip has them.
    """

    bias: Grid
    arrival: Tensor
    unit: Tensor
    state: int
    k_i: float
    k_e: float
    drive: float
    readout: float
    synapse: float

    @abstractmethod
    def move(self, states: States, arriving: Tensor, bias: Tensor, noise: Tensor) -> tuple[States, Tensor, Tensor]:
        """Return current and potential after a step, potentials before the reset, and spikes, (rows, n) each."""


@dataclass(frozen=True)
class IntegerChip(ABC):
    """A chip's neurons and the scales of its numbers; all tensors float64 unless said otherwise.

    Args:
        network: layers and projections.
        layers: of hidden units, by name. grids: of the arrays, by name.
        offset: of the bias of outputs, (O,), or None where who reads the outputs adds it.
        rise: decay with which a bias of outputs that who reads them adds comes to its end.
        scale: (O,), units of an output's state in an output of 1.
    """

    network: Network
    layers: Mapping[str, ChipLayer]
    grids: Mapping[str, Grid]
    offset: Grid | None
    rise: float
    scale: Tensor

    @abstractmethod
    def read(self, states: States, arriving: Tensor, offset: Tensor | None) -> tuple[States, Tensor]:
        """Return the two states (..., O) of outputs after a step, and the one that is read."""

    def to(self, device: torch.device) -> IntegerChip:
        """Return the chip with its tensors on a torch device."""
        return self if device.type == "cpu" else moved(self, device)

    def held(self, W: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights that the chip has instead of W, in their own units, biases in the last columns."""
        found = {name: self.grids[name].held(W[name]) for name in W}
        for p in self.network.projections:
            if p.bias:
                grid = self.offset if p.post == OUTPUT else self.layers[p.post].bias
                column = W[p.name][:, -1]
                found[p.name][:, -1] = column if grid is None else grid.held(column)
        return found


def moved(part: Any, device: torch.device) -> Any:
    """Return what is made of tensors, tuples, mappings and dataclasses of chips with its tensors on a device."""
    if isinstance(part, Tensor):
        return part.to(device)
    if isinstance(part, IntegerChip | ChipLayer):
        return replace(part, **{each.name: moved(getattr(part, each.name), device) for each in fields(part)})
    if isinstance(part, tuple):
        return type(part)(*(moved(each, device) for each in part))
    return {key: moved(value, device) for key, value in part.items()} if isinstance(part, Mapping) else part


@dataclass(frozen=True)
class LoihiLayer(ChipLayer):
    """A layer on a Loihi; see `backends.loihi`. The bias of `neurons` is not used."""

    neurons: loihi.Cuba

    def move(self, states: States, arriving: Tensor, bias: Tensor, noise: Tensor) -> tuple[States, Tensor, Tensor]:
        """Do a step of hidden units; see `ChipLayer`."""
        u, before, s, v, _ = loihi.step(self.neurons._replace(bias=bias), *states, arriving, noise)
        return (u, v), before, s


@dataclass(frozen=True)
class LoihiChip(IntegerChip):
    """Loihi's; see `backends.loihi`. The bias of `output` is not used."""

    output: loihi.Cuba

    def read(self, states: States, arriving: Tensor, offset: Tensor | None) -> tuple[States, Tensor]:
        """Do a step of output units, whose membrane adds the offset; see `IntegerChip`."""
        layer = self.output if offset is None else self.output._replace(bias=offset)
        u, before, _, v, _ = loihi.step(layer, *states, arriving)
        return (u, v), u if offset is None else before


@dataclass(frozen=True)
class XyloLayer(ChipLayer):
    """A layer on a Xylo; see `backends.xylo`. Of sums that leave 16 bits only the whole sum is cut.

    Args:
        threshold, dash_mem, dash_syn: (n,) int64, as in `backends.xylo.Network`.
    """

    threshold: Tensor
    dash_mem: Tensor
    dash_syn: Tensor

    def move(self, states: States, arriving: Tensor, bias: Tensor, noise: Tensor) -> tuple[States, Tensor, Tensor]:
        """Do a step of hidden units; see `ChipLayer`."""
        i = xylo.decayed((states[0] + arriving).clamp(xylo.LOW, xylo.HIGH), self.dash_syn)
        before, v, s = xylo.fire(states[1], i + noise, bias, self.dash_mem, self.threshold, xylo.MAX_HIDDEN)
        return (i, v), before, s


@dataclass(frozen=True)
class XyloChip(IntegerChip):
    """Xylo's; see `backends.xylo`. Of sums that leave 16 bits only the whole sum is cut.

    Args:
        dash_out: (O,) int64, as in `backends.xylo.Network`.
    """

    dash_out: Tensor

    def read(self, states: States, arriving: Tensor, offset: Tensor | None) -> tuple[States, Tensor]:
        """Do a step of the outputs' currents; see `IntegerChip`."""
        i = xylo.decayed((states[0] + arriving).clamp(xylo.LOW, xylo.HIGH), self.dash_out)
        return (i, i), i
