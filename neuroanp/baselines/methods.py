"""Baselines one can train with in place of a local rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Protocol

from pydantic import Field

from neuroanp.baselines.bptt import gradient
from neuroanp.baselines.protocol import Network, Sequences
from neuroanp.baselines.surrogate import surrogate_gradient
from neuroanp.errors import InputError
from neuroanp.losses import SQUARED_ERROR, Loss
from neuroanp.registry import Registry
from neuroanp.trajectory import Weights, WeightUpdate
from neuroanp.yaml_io import Section


class GradientMethod(Protocol):
    """A frozen model of options that differentiates a digital twin of the network."""

    local: ClassVar[bool]
    """False: it differentiates, and is run by a GradientLearner; see `learning.protocol.LearningRule`."""
    presets: ClassVar[Mapping[str, Mapping[str, Any]]]
    """Options by the name of a preset (key `preset`); one called "spiking" is taken with units that spike. {}: none."""
    preset_optimizers: ClassVar[Mapping[str, Mapping[str, Any]]]
    """Keys of the optimizer that a preset sets, by its name; {}: none."""

    def check(self, spiking: bool) -> None:
        """Raise InputError where the options do not go with networks whose units do (not) spike."""
        ...

    def gradient(
        self, weights: Weights, batch: Sequences, network: Network | None = None, loss: Loss = SQUARED_ERROR
    ) -> WeightUpdate:
        """Return dL/dW of a network of tanh units, or of `network` where one is given; `loss` is the task's."""
        ...


class BPTT(Section):
    """Backpropagation through time on a noise-free twin: needs a backward pass and the exact weights."""

    local: ClassVar[bool] = False
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    preset_optimizers: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

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
        self, weights: Weights, batch: Sequences, network: Network | None = None, loss: Loss = SQUARED_ERROR
    ) -> WeightUpdate:
        """Return the gradient of the loss; see `baselines.bptt.gradient` and, of a network, `baselines.surrogate`.

        Raises:
            InputError: a truncation with a network of its own.
        """
        self.check(spiking=network is not None)
        if network is not None:
            return surrogate_gradient(network, weights, batch, loss)
        return gradient(weights, batch, self.truncation, loss)


class BPTT1(Section):
    """Backpropagation truncated to one step: the hidden state of the step before is a constant."""

    local: ClassVar[bool] = False
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    preset_optimizers: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    name: Literal["bptt1"] = "bptt1"

    def check(self, spiking: bool) -> None:
        """Raise InputError for spiking units."""
        if spiking:
            raise InputError("rule: 'bptt1' is defined for rate networks alone; use 'bptt' with spiking units")

    def gradient(
        self, weights: Weights, batch: Sequences, network: Network | None = None, loss: Loss = SQUARED_ERROR
    ) -> WeightUpdate:
        """Return the truncated gradient; see `neuroanp.baselines.bptt.gradient`.

        Raises:
            InputError: a network of its own is given.
        """
        self.check(spiking=network is not None)
        return gradient(weights, batch, 1, loss)


BASELINES: Registry[type[GradientMethod]] = Registry("baseline", "neuroanp.baselines", GradientMethod)
