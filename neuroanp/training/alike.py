"""How the network that a run's weights are of differs from another, a line each with the nearest remedy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel

from neuroanp.network.network import INPUT
from neuroanp.network.tanh import Tanh
from neuroanp.training.layers import UNITS_FIELD
from neuroanp.yaml_io import to_plain

if TYPE_CHECKING:
    from neuroanp.network.cell import Unit
    from neuroanp.network.network import Layer, Network


class Told(NamedTuple):
    """A layer of a network as a configuration has it."""

    cell: str
    units: int
    recurrent: bool
    delay: int

    def __str__(self) -> str:
        more = "" if self.recurrent else ", recurrent: false"
        return f"{{cell: {self.cell}, units: {self.units}{more}{f', delay: {self.delay}' if self.delay else ''}}}"


def told(network: Network) -> list[Told]:
    """Return the layers of a network in the words of a configuration.

    >>> from neuroanp.network.compose import Stacked, stack
    >>> from neuroanp.network.gru import GRU
    >>> print(*told(stack(3, [Stacked(GRU(), 5), Stacked(Tanh(), 4, recurrent=False, delay=1)], 2)))
    {cell: gru, units: 5} {cell: tanh, units: 4, recurrent: false, delay: 1}
    """
    return [
        Told(
            UNITS_FIELD.name_of(layer.cell),  # pyright: ignore[reportArgumentType]
            layer.units,
            network.recurrence(layer.name) is not None,
            max((p.delay for p in network.feed(layer.name) if p.pre != INPUT), default=0),
        )
        for layer in network.layers
    ]


def skips(network: Network) -> list[str]:
    """Return the arrays that pass a layer by."""
    order = network.groups
    return [p.name for p in network.projections if order.index(p.post) - order.index(p.pre) > 1]


def key_of(network: Network, k: int, option: str, by_layers: bool) -> str:
    """Return the key of an option of layer k; of a network given by `hidden` its cell is `neuron`'s."""
    if by_layers or len(network.layers) > 1:
        return f"network.layers[{k}].{option}"
    return {"units": "network.hidden"}.get(option, "network.layers")


def of_networks(there: Network, here: Network, by_layers: bool) -> Iterator[str]:
    """Find how the network that weights are of differs from the configuration's, cells' constants aside.

    Args:
        there: the run's network. here: the configuration's, `by_layers` or by hidden.
    """
    was, now = told(there), told(here)
    whole = f"set network.layers to [{', '.join(map(str, was))}]"
    if there.spikes != here.spikes:
        kinds, backend = ("spike", "are rates"), "'lif' or 'spiking'" if there.spikes else "'rate'"
        kinds = kinds if there.spikes else kinds[::-1]
        yield f"its units {kinds[0]}, the configuration's {kinds[1]}: use backend {backend}"
    if len(was) != len(now):
        plain = len(was) == 1 and was[0].recurrent and (type(there.layers[0].cell) is Tanh or there.spikes)
        remedy = f"set network.hidden to {was[0].units}, without network.layers" if plain else whole
        yield f"it is of {len(was)} layer{'s' * (len(was) > 1)}, the configuration has {len(now)}: {remedy}"
        return
    for k, (old, new) in enumerate(zip(was, now, strict=True)):
        for option, before, after in zip(Told._fields, old, new, strict=True):
            if before == after or (option == "cell" and there.spikes != here.spikes):
                continue
            key = key_of(here, k, option, by_layers)
            remedy = whole if key == "network.layers" else f"set {key} to {str(before).lower()}"
            layers = there.layers[k], here.layers[k]
            yield f"{layers[0].name}: {_differs(option, *layers, before, after)}: {remedy}"
    past, here_past = skips(there), skips(here)
    if past and not here_past:
        yield f"holds {', '.join(past)}, which this network has not: set network.skip to true"
    elif here_past and not past:
        yield f"no {', '.join(here_past)}: set network.skip to false"
    if there.bias != here.bias:
        yield f"its network has {'a' if there.bias else 'no'} bias: set network.bias to {str(there.bias).lower()}"


def _differs(option: str, there: Layer, here: Layer, before: object, after: object) -> str:
    if option == "cell":
        ports = [len(layer.cell.recurrent) for layer in (there, here)]
        lines = f", of {ports[0]} and {ports[1]} pre-activations a unit" if ports[0] != ports[1] else ""
        return f"its units are {before}, the configuration's {after}{lines}"
    return {
        "units": f"it has {before} units, the configuration {after}",
        "recurrent": f"its units {'see' if before else 'do not see'} their own activity",
        "delay": f"what the layer below does arrives {'a step later' if before else 'at once'} there",
    }[option]


def constants(there: Network, here: Network) -> list[str]:
    """Say which constants of cells, and of the input, are others than those that weights were learned with.

    >>> from neuroanp.backends.neuron import LIF
    >>> from neuroanp.network.compose import Stacked, stack
    >>> constants(*(stack(3, [Stacked(LIF(tau_m=tau), 5)], 2) for tau in (20e-3, 10e-3)))
    ["hidden: tau_m was '20 ms', is '10 ms'"]
    """
    said = []
    for old, new in zip(there.layers, here.layers, strict=True):
        before, after = _options(old.cell), _options(new.cell)
        said += [
            f"{new.name}: {name} was {before.get(name)!r}, is {after.get(name)!r}"
            for name in {**before, **after}
            if before.get(name) != after.get(name)
        ]
    if there.input_delay != here.input_delay:
        said.append(f"network.input_delay was {there.input_delay}, is {here.input_delay}")
    return said


def _options(cell: Unit) -> dict[str, object]:
    return to_plain(cell) if isinstance(cell, BaseModel) else {}
