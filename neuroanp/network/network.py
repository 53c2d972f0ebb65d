"""Layers and projections: which units there are, and which array carries the activity of which to which.

Everything that depends on the structure of a network is derived here: shapes of arrays, what drives their word lines,
what their bit lines feed. The names of a network of one layer are w_in, w and w_out; of several see `compose`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from neuroanp.network.cell import Unit

INPUT, OUTPUT = "input", "output"
"""Names of the two groups that are no layers: input lines, and outputs y, which sum what reaches them."""


class Layer(NamedTuple):
    """Some units that are alike.

    Args:
        name: of the layer. units: how many, n. cell: what each of them is.
    """

    name: str
    units: int
    cell: Unit


class Projection(NamedTuple):
    """One array of weights, (post lines, pre lines).

    Args:
        name: of the array. pre, post: names of groups of units.
        delay: steps from the activity to the current it makes, 0 or 1; 1 within a layer. Simulators have 0 from the
            input, and of lines that carry spikes what `Network.input_delay` says.
        bias: whether it has one more word line, which a constant 1 drives.
    """

    name: str
    pre: str
    post: str
    delay: int
    bias: bool = False


@dataclass(frozen=True)
class Network:
    """The structure of a network, in the order in which a step is computed.

    Args:
        inputs: I, lines u without bias. layers: from the input to the output. outputs: O.
        projections: from an earlier group to a later one, or from a layer to itself (delay 1); at most one for each
            pair.
        input_delay: steps from a spike of the input to the current it makes, 0 or 1; currents act at once.

    Raises:
        ValueError: names that are not there or not their own, or a projection backwards.

    >>> from neuroanp.network.tanh import Tanh
    >>> one = Network(3, (Layer("hidden", 5, Tanh()),), 2, (
    ...     Projection("w_in", INPUT, "hidden", 0), Projection("w", "hidden", "hidden", 1),
    ...     Projection("w_out", "hidden", OUTPUT, 0)))
    >>> one.shapes
    {'w_in': (5, 3), 'w': (5, 5), 'w_out': (2, 5)}

    >>> one.groups, one.noisy, one.units["hidden"], one.lines, one.hidden, one.bias, one.spikes
    (('input', 'hidden', 'output'), ('hidden', 'output'), 5, {'hidden': 5, 'output': 2}, 5, False, False)
    >>> one.layer("hidden").name, one.projection("w").delay, one.recurrence("hidden").name, one.readout
    ('hidden', 1, 'w', ('w_out',))
    >>> [p.name for p in one.feed("hidden")], one.last("hidden").name, one.ports(one.projection("w")), one.late_inputs
    (['w_in'], 'w', slice(0, 5, None), [])
    """

    inputs: int
    layers: tuple[Layer, ...]
    outputs: int
    projections: tuple[Projection, ...]
    input_delay: int = 1

    def __post_init__(self) -> None:
        if self.input_delay not in (0, 1):
            raise ValueError(f"input_delay: {self.input_delay} is neither 0 nor 1")
        order = self.groups
        names = [p.name for p in self.projections]
        if len(set(order)) < len(order) or len(set(names)) < len(names):
            raise ValueError(f"names of layers and projections must differ, not {[*order, *names]}")
        for p in self.projections:
            if p.pre not in order[:-1] or p.post not in order[1:]:
                raise ValueError(f"{p.name}: from '{p.pre}' to '{p.post}' is not within {', '.join(order)}")
            if p.delay not in (0, 1) or order.index(p.pre) > order.index(p.post) or (p.pre == p.post and not p.delay):
                raise ValueError(f"{p.name}: '{p.pre}' to '{p.post}' with a delay of {p.delay} is not in order of time")

    # ---- groups of units ----

    @property
    def groups(self) -> tuple[str, ...]:
        """Names: the input, the layers, the output."""
        return (INPUT, *(layer.name for layer in self.layers), OUTPUT)

    @property
    def noisy(self) -> tuple[str, ...]:
        """Names of the groups that have pre-activations: the layers, and the output."""
        return self.groups[1:]

    @cached_property
    def units(self) -> dict[str, int]:
        """How many units a group has: inputs, units of a layer, outputs."""
        return {INPUT: self.inputs, **{layer.name: layer.units for layer in self.layers}, OUTPUT: self.outputs}

    @cached_property
    def lines(self) -> dict[str, int]:
        """How many pre-activations a group has: ports times units, outputs."""
        return {**{layer.name: len(layer.cell.ports) * layer.units for layer in self.layers}, OUTPUT: self.outputs}

    @property
    def hidden(self) -> int:
        """N, all units of all layers."""
        return sum(layer.units for layer in self.layers)

    def layer(self, name: str) -> Layer | None:
        """Return a layer by its name; None for the output and the input."""
        return next((layer for layer in self.layers if layer.name == name), None)

    # ---- projections ----

    @property
    def bias(self) -> bool:
        """Whether any array has the line that a constant drives."""
        return any(p.bias for p in self.projections)

    @property
    def spikes(self) -> bool:
        """Whether there are units that spike."""
        return any(layer.cell.spikes for layer in self.layers)

    def projection(self, name: str) -> Projection:
        """Return a projection by its name; KeyError if there is none."""
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Projection]:
        return {p.name: p for p in self.projections}

    def feed(self, post: str) -> tuple[Projection, ...]:
        """Return what reaches a group of units, `post`, from those below it."""
        return tuple(p for p in self.projections if p.post == post != p.pre)

    def recurrence(self, name: str) -> Projection | None:
        """Return the projection of a layer, by its `name`, to itself, or None."""
        return next((p for p in self.projections if p.post == name == p.pre), None)

    def last(self, post: str) -> Projection:
        """Return the last projection into a group, `post`: when it is read, the units have all they wait for."""
        return [p for p in self.projections if p.post == post][-1]

    @property
    def late_inputs(self) -> list[str]:
        """What simulators say of arrays from the input with a delay: they know none."""
        late = [p.name for p in self.projections if p.pre == INPUT and p.delay]
        return [f"{name}: inputs act at once, and spikes of them as input_delay says; give it delay 0" for name in late]

    @property
    def readout(self) -> tuple[str, ...]:
        """Names of the arrays that reach the output."""
        return tuple(p.name for p in self.feed(OUTPUT))

    @cached_property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """(lines, columns) of each array: ports it reaches times units; units before it, and a bias line."""
        return {p.name: (self._rows(p), self.units[p.pre] + p.bias) for p in self.projections}

    def ports(self, p: Projection) -> slice:
        """Return which pre-activations of its group a projection p reaches, as a slice of their last dimension."""
        layer = self.layer(p.post)
        if layer is None:
            return slice(0, self.outputs)
        reached = layer.cell.recurrent if p.pre == p.post else layer.cell.feed
        start = layer.cell.ports.index(reached[0]) * layer.units
        return slice(start, start + len(reached) * layer.units)

    def _rows(self, p: Projection) -> int:
        there = self.ports(p)
        return there.stop - there.start
