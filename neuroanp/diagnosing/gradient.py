"""The gradient that updates are held to, of the very weights and batch that they are of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from torch import Tensor

from neuroanp.baselines.methods import exact_gradient
from neuroanp.errors import InputError
from neuroanp.training.gradient_learner import twin
from neuroanp.trajectory import Weights, WeightUpdate

if TYPE_CHECKING:
    from neuroanp.training.lab import Lab
    from neuroanp.training.trainer import Trainer


def gradient_of(trainer: Trainer, lab: Lab) -> WeightUpdate:
    """Return dL/dW of L = 1/B sum_{t,b} m_t L_tb on the batch of a lab, by the backend's differentiable twin.

    At the weights as the chip holds them, with all that writes and time did to them, and without the noise of a read.
    The twin knows no converters and no noise of the units: what they do to the mean of an update is bias.

    Args:
        trainer: the network and its chip. lab: of the update.

    Raises:
        InputError: the backend has no such twin, or a world answers the network.
    """
    backend, network = trainer.backend, trainer.substrate.network
    if not isinstance(lab.source, Tensor):
        raise InputError(
            "task: a world answers the network, so that there is no batch to differentiate the loss of; diagnose a "
            "task of data"
        )
    if backend.differentiable(network) is None:
        cells = ", ".join(dict.fromkeys(type(layer.cell).__name__ for layer in network.layers))
        raise InputError(
            f"backend '{backend.name}' has no twin of its units ({cells}) that can be differentiated, so that there is "
            "no gradient to compare updates with; diagnose cells of rates, or LIF units"
        )
    outputs = twin(backend, network, trainer.substrate.neurons)
    weights = Weights({name: read.W for name, read in trainer.reads().items()}, network)
    return exact_gradient(weights, cast("Any", lab), outputs, None, lab.loss)
