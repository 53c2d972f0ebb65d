"""Baselines one can train with in place of a local rule."""

from __future__ import annotations

from typing import Literal, Protocol

from pydantic import Field

from neuroanp.baselines.bptt import gradient
from neuroanp.baselines.protocol import Sequences
from neuroanp.registry import Registry
from neuroanp.trajectory import Weights, WeightUpdate
from neuroanp.yaml_io import Section


class GradientMethod(Protocol):
    """A frozen model of options that differentiates a digital twin of the network."""

    def gradient(self, weights: Weights, batch: Sequences) -> WeightUpdate:
        """Return dL/dW."""
        ...


class BPTT(Section):
    """Backpropagation through time on a noise-free twin: needs a backward pass and the exact weights."""

    name: Literal["bptt"] = "bptt"
    truncation: int | None = Field(default=None, ge=1, description="steps that a loss reaches back; unset: all of them")

    def gradient(self, weights: Weights, batch: Sequences) -> WeightUpdate:
        """Return the gradient of the loss; see `neuroanp.baselines.bptt.gradient`."""
        return gradient(weights, batch, self.truncation)


class BPTT1(Section):
    """Backpropagation truncated to one step: the hidden state of the step before is a constant."""

    name: Literal["bptt1"] = "bptt1"

    def gradient(self, weights: Weights, batch: Sequences) -> WeightUpdate:
        """Return the truncated gradient; see `neuroanp.baselines.bptt.gradient`."""
        return gradient(weights, batch, 1)


BASELINES: Registry[type[GradientMethod]] = Registry("baseline", "neuroanp.baselines")
