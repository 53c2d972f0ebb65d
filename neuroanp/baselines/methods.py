"""Baselines one can train with in place of a local rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Protocol

from pydantic import Field

from neuroanp.baselines.autograd import autograd_gradient
from neuroanp.baselines.bptt import gradient
from neuroanp.baselines.network import is_one_layer_of_tanh, rate_outputs
from neuroanp.baselines.protocol import Outputs, Sequences
from neuroanp.baselines.truncated import truncated_gradient
from neuroanp.errors import InputError
from neuroanp.losses import SQUARED_ERROR, Loss
from neuroanp.method import Method
from neuroanp.registry import Registry
from neuroanp.trajectory import Weights, WeightUpdate
from neuroanp.yaml_io import Section


class GradientMethod(Method, Protocol):
    """A frozen model of options that differentiates a digital twin of the network.

    >>> from math import tanh
    >>> import numpy as np
    >>> import torch
    >>> from neuroanp.tasks.protocol import Batch
    >>> one = torch.ones(1, 1, dtype=torch.float64)
    >>> weights = Weights.one_layer({"w_in": one, "w": 0 * one, "w_out": one})
    >>> batch = Batch(np.ones((1, 1, 1)), np.zeros((1, 1, 1)), np.ones(1))
    >>> dW = BPTT().gradient(weights, batch, rate_outputs).arrays["w_out"].item()
    >>> abs(dW - 2 * tanh(1.0) ** 2) < 1e-9  # d(y^2)/dw of y = w tanh(1)
    True
    """

    def gradient(
        self, weights: Weights, batch: Sequences, outputs: Outputs, loss: Loss = SQUARED_ERROR
    ) -> WeightUpdate:
        """Return dL/dW.

        Args:
            weights: the matrices, and the network that they are of. batch: sequences of T steps.
            outputs: the noise-free network of the simulator, through which autograd can differentiate.
            loss: the task's.
        """
        ...


class BPTT(Section):
    """Backpropagation through time on a noise-free twin: needs a backward pass and the exact weights."""

    learner: ClassVar[str] = "gradient"
    local: ClassVar[bool] = False
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    preset_optimizers: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    feedback: ClassVar[str] = "BP"
    needs: ClassVar[tuple[str, ...]] = ()  # a host learns by it, on a digital twin

    name: Literal["bptt"] = "bptt"
    truncation: int | None = Field(default=None, ge=1, description="steps that a loss reaches back; unset: all of them")

    def check(self, spiking: bool) -> None:
        """Raise InputError for a truncation with spiking units."""
        if spiking and self.truncation is not None:
            raise InputError(
                f"rule.truncation: {self.truncation} steps are defined for rate networks alone; "
                "leave it out with spiking units"
            )

    def gradient(
        self, weights: Weights, batch: Sequences, outputs: Outputs, loss: Loss = SQUARED_ERROR
    ) -> WeightUpdate:
        """Return the gradient of the loss; see `exact_gradient`.

        Raises:
            InputError: a truncation with units that are no cells of rates.
        """
        self.check(spiking=outputs is not rate_outputs)
        return exact_gradient(weights, batch, outputs, self.truncation, loss)


class BPTT1(Section):
    """Backpropagation truncated to one step: the hidden state of the step before is a constant."""

    learner: ClassVar[str] = "gradient"
    local: ClassVar[bool] = False
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    preset_optimizers: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    feedback: ClassVar[str] = "BP"
    needs: ClassVar[tuple[str, ...]] = ()  # a host learns by it, on a digital twin

    name: Literal["bptt1"] = "bptt1"

    def check(self, spiking: bool) -> None:
        """Raise InputError for spiking units."""
        if spiking:
            raise InputError("rule: 'bptt1' is defined for rate networks alone; use 'bptt' with spiking units")

    def gradient(
        self, weights: Weights, batch: Sequences, outputs: Outputs, loss: Loss = SQUARED_ERROR
    ) -> WeightUpdate:
        """Return the truncated gradient; see `exact_gradient`.

        Raises:
            InputError: units that are no cells of rates.
        """
        self.check(spiking=outputs is not rate_outputs)
        return exact_gradient(weights, batch, outputs, 1, loss)


def exact_gradient(
    weights: Weights, batch: Sequences, outputs: Outputs, truncation: int | None, loss: Loss = SQUARED_ERROR
) -> WeightUpdate:
    """Return the gradient by what is fastest for the network: by hand for one layer of tanh units, else by autograd.

    Args:
        weights, batch, outputs, loss: as in `GradientMethod.gradient`.
        truncation: steps that a loss reaches back; None: all.
    """
    if outputs is rate_outputs and is_one_layer_of_tanh(weights):
        return gradient(weights, batch, truncation, loss)
    if truncation is None:
        return autograd_gradient(outputs, weights, batch, loss)
    return truncated_gradient(weights, batch, truncation, loss)


BASELINES: Registry[type[GradientMethod]] = Registry("baseline", "neuroanp.baselines", GradientMethod)
