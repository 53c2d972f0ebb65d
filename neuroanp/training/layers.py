"""The section `network`: layers of cells, their sizes, and where their first weights come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_serializer, model_validator

from neuroanp.backends.neuron import NEURONS
from neuroanp.errors import InputError, did_you_mean
from neuroanp.network.cell import CELLS, Unit
from neuroanp.network.compose import Stacked, stack
from neuroanp.network.network import Network
from neuroanp.yaml_io import Chosen, Problem, Section

MOST_UNITS = 100_000
MOST_LAYERS = 100


class Units:
    """All that a layer can be made of: cells of rates, and neurons that spike, by name."""

    kind = "cell"

    def names(self) -> list[str]:
        """List cells of rates, then neurons."""
        return [*CELLS.names(), *NEURONS.names()]

    def get(self, name: str) -> Any:
        """Return the model of a cell's options; InputError names the known ones."""
        known = self.names()
        if name not in known:
            raise InputError(f"unknown cell '{name}'{self.hint(name)} (known: {', '.join(known)})")
        return CELLS.get(name) if name in CELLS.names() else NEURONS.get(name)

    def hint(self, name: str) -> str:
        """Return "; did you mean 'x'?" for the nearest known name, or the empty string."""
        return did_you_mean(name, self.names())


UNITS = Units()
UNITS_FIELD = Chosen("name", UNITS)


class LayerConfig(Section):
    """One layer of a network."""

    cell: Annotated[Any, UNITS_FIELD] | None = Field(
        default=None, description="what its units are, by name or with options; unset: tanh, or those of `neuron`"
    )
    units: int = Field(ge=1, le=MOST_UNITS, description="how many, n")
    recurrent: bool = Field(default=True, description="whether it sees its own activity of the step before")
    delay: Literal[0, 1] = Field(
        default=0, description="steps from the activity of the layer below to the current it makes here"
    )

    @model_validator(mode="before")
    @classmethod
    def _named(cls, section: Any) -> Any:
        if isinstance(section, Mapping) and isinstance(section.get("cell"), str):
            return {**section, "cell": {"name": section["cell"]}}
        return section


class NetworkConfig(Section):
    """The network's size, and where its first weights come from."""

    hidden: int = Field(default=100, ge=1, le=MOST_UNITS, description="hidden units N of a network of one layer")
    bias: bool = Field(default=False, description="one more input line, held at 1")
    weights: str | None = Field(
        default=None, min_length=1, description="start from a run's weights (its directory) or a safetensors file's"
    )
    output_gain: float = Field(
        default=1.0, ge=0, le=100,
        description="first weights of the outputs, in Xavier standard deviations; 0.1: a policy that begins with all "
        "actions about as probable",
    )  # fmt: skip
    layers: list[LayerConfig] | None = Field(
        default=None,
        description="layers from the input to the output, each `{cell: gru, units: 64}`, in place of hidden",
    )
    skip: bool = Field(default=False, description="the input reaches every layer, and every layer the output")
    input_delay: Literal[0, 1] = Field(
        default=1, description="steps from an input spike to the current it makes; inputs that are currents act at once"
    )

    @field_validator("layers")
    @classmethod
    def _some(cls, layers: list[LayerConfig] | None) -> list[LayerConfig] | None:
        if layers is not None and not layers:
            raise ValueError("there is no layer; give one, such as [{cell: gru, units: 64}], or leave layers out")
        if layers is not None and len(layers) > MOST_LAYERS:
            raise ValueError(f"{len(layers)} layers are more than {MOST_LAYERS}; leave some out")
        return layers

    def misfits(self) -> list[Problem]:
        """Find what the section says twice, or of layers that are not there; keys are those of a configuration."""
        layers, found = self.layers or [], []
        if layers and "hidden" in self.model_fields_set:
            found.append(Problem(("network", "hidden"), "layers say how many units there are; leave hidden out"))
        if self.weights is not None and self.output_gain != 1:
            said = "network.weights are taken as they are; set output_gain to 1, or leave one of the two out"
            found.append(Problem(("network", "output_gain"), said))
        if self.skip and len(layers) < 2:
            said = "one layer has nothing to skip; give several with network.layers, or leave skip out"
            found.append(Problem(("network", "skip"), said))
        if layers and layers[0].delay:
            key = ("network", "layers", 0, "delay")
            found.append(Problem(key, "the first layer has none below; leave it out"))
        return found

    @model_serializer(mode="wrap")
    def _as_it_was_said(self, handler: Any) -> dict[str, Any]:
        """Leave out what is not said: a network of `hidden` units is written as it was before there were layers."""
        plain = handler(self)
        for name in ("layers", "skip") if self.layers is None else ("hidden",):
            plain.pop(name, None)
        if self.input_delay == 1:
            plain.pop("input_delay", None)
        if self.output_gain == 1:
            plain.pop("output_gain", None)
        return plain

    def stacked(self, usual: Unit) -> list[Stacked]:
        """Return the layers; `usual`: the units of those that name none."""
        if self.layers is None:
            return [Stacked(usual, self.hidden)]
        return [Stacked(spec.cell or usual, spec.units, spec.recurrent, spec.delay) for spec in self.layers]

    def key_of_units(self, k: int) -> str:
        """Return the key under which layer k has its units: its own, or those of `neuron`.

        >>> layers = NetworkConfig.model_validate({"layers": [{"cell": "lif", "units": 3}, {"units": 2}]})
        >>> layers.key_of_units(0), layers.key_of_units(1), NetworkConfig().key_of_units(0)
        ('network.layers[0].cell', 'neuron', 'neuron')
        """
        own = self.layers is not None and self.layers[k].cell is not None
        return f"network.layers[{k}].cell" if own else "neuron"

    def stack(self, inputs: int, outputs: int, usual: Unit) -> Network:
        """Return the network for so many inputs and outputs; `usual`: the units of layers that name none."""
        return stack(inputs, self.stacked(usual), outputs, self.bias, self.skip, self.input_delay)
