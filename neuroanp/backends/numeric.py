"""A network as plain numbers: what chips are told, and what an exporter gets more of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import exp
from typing import TYPE_CHECKING, cast

import numpy as np

from neuroanp.network.compose import ONE_LAYER

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from neuroanp.backends.neuron import LIF, Coefficients
    from neuroanp.network.network import Layer, Network


@dataclass(frozen=True)
class Numeric:
    """Weights and units of a network.

    Args:
        name: what it is called.
        weights: by the name of their projection, (post lines, pre lines), float64.
        network: layers of units, and the projections between them.
        dt: seconds a step.
        spikes_in: whether input lines carry spikes, 0 or 1.
        factors: how spiking units differ: (n,) of "threshold", "tau_m", "tau_s" by layer; what is missing is 1.
        keys: what the configuration calls the units of a layer, by layer, where it is not what `key` takes it for.

    >>> from neuroanp.backends.neuron import LIF
    >>> from neuroanp.network.compose import one_layer
    >>> one = np.ones((1, 1))
    >>> W = {"w_in": one, "w": 0 * one, "w_out": one}
    >>> network = one_layer({name: w.shape for name, w in W.items()}, cell=LIF(tau_s="5 ms", tau_r="20 ms"))
    >>> net = Numeric("one", W, network, 1e-3, True)
    >>> net.spiking, net.bias, net.one_layer, net.sizes, net.layer.name, net.neuron == net.lif(net.layer)
    (True, False, True, (1, 1, 1), 'hidden', True)
    >>> net.key(net.layer, "tau_s"), net.columns("w_in")[1], net.step.hold == net.steps["hidden"].hold
    ('neuron.tau_s', array([0.]), True)
    >>> round(net.readout_decay, 4), round(net.synapse_line(net.layer), 4)  # exp(-1/20), 1 - exp(-1/5)
    (0.9512, 0.1813)
    """

    name: str
    weights: Mapping[str, NDArray[np.float64]]
    network: Network
    dt: float
    spikes_in: bool
    factors: Mapping[str, Mapping[str, NDArray[np.float64]]] = field(default_factory=dict, kw_only=True)
    keys: Mapping[str, str] = field(default_factory=dict, kw_only=True, compare=False)

    @property
    def spiking(self) -> bool:
        """Whether units spike."""
        return self.network.spikes

    @property
    def bias(self) -> bool:
        """Whether any array has a column more, which a constant drives."""
        return self.network.bias

    @property
    def one_layer(self) -> bool:
        """Whether it is one layer whose units reach each other."""
        return tuple(self.network.shapes) == ONE_LAYER

    @property
    def layer(self) -> Layer:
        """The layer of a network of one."""
        (only,) = self.network.layers
        return only

    @property
    def neuron(self) -> LIF | None:
        """The units' parameters in a network of one layer; None: they do not spike."""
        cell = self.layer.cell
        return cast("LIF", cell) if cell.spikes else None

    @property
    def sizes(self) -> tuple[int, int, int]:
        """(I, N, O), lines of a bias left out."""
        return self.network.inputs, self.network.hidden, self.network.outputs

    def key(self, layer: Layer, option: str = "") -> str:
        """Return the key of an option of a layer's units in the configuration, or of all of them.

        "neuron" of a network of one layer, "network.layers[k].cell" of several, where `keys` says nothing else.
        """
        layers = self.network.layers
        usual = "neuron" if len(layers) == 1 else f"network.layers[{layers.index(layer)}].cell"
        key = self.keys.get(layer.name, usual)
        return f"{key}.{option}" if option else key

    def lif(self, layer: Layer) -> LIF:
        """Return the parameters of a layer of spiking units; ValueError for units of another kind."""
        from neuroanp.backends.neuron import LIF

        if not isinstance(layer.cell, LIF):
            raise ValueError(f"the units of {layer.name} are no leaky integrate-and-fire units")
        return layer.cell

    @cached_property
    def steps(self) -> dict[str, Coefficients]:
        """Coefficients of one step by layer, arrays (n,) of torch float64; see `backends.neuron.coefficients`."""
        import torch

        from neuroanp.backends.neuron import coefficients

        def of(layer: Layer) -> Coefficients:
            like = torch.zeros(layer.units, dtype=torch.float64)
            factors = {name: torch.as_tensor(f) for name, f in self.factors.get(layer.name, {}).items()}
            return coefficients(self.lif(layer), self.dt, like, factors)

        return {layer.name: of(layer) for layer in self.network.layers}

    @property
    def step(self) -> Coefficients:
        """Those of a network of one layer."""
        return self.steps[self.layer.name]

    def synapse_line(self, layer: Layer) -> float:
        """Return what drives a bias column whose current adds to I of a layer: 1 - a_s of its units, all alike."""
        import torch

        from neuroanp.backends.neuron import coefficients

        return 1.0 - float(coefficients(self.lif(layer), self.dt, torch.zeros(1, dtype=torch.float64)).a_s[0])

    @property
    def readout_decay(self) -> float:
        """The factor a of the outputs of spiking units."""
        neuron = self.lif(self.network.layers[-1])
        if neuron.decoder == "count":
            return 1.0
        euler = neuron.integration == "euler"
        return 1.0 - self.dt / neuron.tau_r if euler else exp(-self.dt / neuron.tau_r)

    def columns(self, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the weights of an array, by its name, and its bias (post,), zeros without one."""
        W = self.weights[name]
        return (W[:, :-1], W[:, -1]) if self.network.projection(name).bias else (W, np.zeros(len(W)))
