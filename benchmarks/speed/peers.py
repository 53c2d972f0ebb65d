"""Recurrent leaky integrate-and-fire units of other simulators, fed with stated currents step by step."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

Present = Callable[[], object]


def spikingjelly(current: Tensor, wt: Tensor) -> Present:
    """Return a presentation by LIFNode, whose spikes return by a matrix; current: (T, rows, N), wt: (N, N)."""
    module = import_module("spikingjelly.activation_based.neuron")
    node = module.LIFNode(tau=20.0, decay_input=False, v_reset=0.0)

    def present() -> None:
        node.reset()
        spikes = torch.zeros_like(current[0])
        for now in current:
            spikes = node(torch.addmm(now, spikes, wt))

    return present


def norse(current: Tensor, wt: Tensor) -> Present:
    """Return a presentation by LIF units whose spikes return by a matrix; see `spikingjelly`."""
    module = import_module("norse.torch.functional.lif")
    parameters = module.LIFParameters()

    def present() -> None:
        state: Any = module.LIFFeedForwardState(v=torch.zeros_like(current[0]), i=torch.zeros_like(current[0]))
        spikes = torch.zeros_like(current[0])
        for now in current:
            spikes, state = module.lif_feed_forward_step(torch.addmm(now, spikes, wt), state, parameters)

    return present


def snntorch(current: Tensor, wt: Tensor) -> Present:
    """Return a presentation by RLeaky, all to all; see `spikingjelly`."""
    node = import_module("snntorch").RLeaky(beta=0.95, linear_features=current.shape[-1], reset_mechanism="zero")
    node.recurrent.weight.data.copy_(wt.T)

    def present() -> None:
        spikes, v = torch.zeros_like(current[0]), torch.zeros_like(current[0])
        for now in current:
            spikes, v = node(now, spikes, v)

    return present


PEERS: dict[str, Callable[[Tensor, Tensor], Present]] = {
    "spikingjelly": spikingjelly,
    "norse": norse,
    "snntorch": snntorch,
}
"""By the name of the package."""
