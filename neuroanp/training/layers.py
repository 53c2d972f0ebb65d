"""The section `network`: layers of cells, their sizes, and where their first weights come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_serializer, model_validator

from neuroanp.backends.neuron import NEURONS
from neuroanp.errors import InputError, did_you_mean
from neuroanp.network.cell import CELLS, Unit
from neuroanp.network.compose import Stacked
from neuroanp.yaml_io import Chosen, Section, at

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
            raise InputError(f"unknown cell '{name}'{did_you_mean(name, known)} (known: {', '.join(known)})")
        return CELLS.get(name) if name in CELLS.names() else NEURONS.get(name)


UNITS = Units()


class LayerConfig(Section):
    """One layer of a network."""

    cell: Annotated[Any, Chosen("name", UNITS)] | None = Field(
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
    layers: list[LayerConfig] | None = Field(
        default=None, min_length=1, max_length=MOST_LAYERS,
        description="layers from the input to the output, each `{cell: gru, units: 64}`, in place of hidden",
    )  # fmt: skip
    skip: bool = Field(default=False, description="the input reaches every layer, and every layer the output")
    input_delay: Literal[0, 1] = Field(
        default=1, description="steps from an input spike to the current it makes; inputs that are currents act at once"
    )

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> NetworkConfig:
        stated = self.model_fields_set
        if self.layers is not None and "hidden" in stated:
            raise at(("hidden",), "layers say how many units there are; leave hidden out")
        if self.skip and len(self.layers or ()) < 2:
            raise at(("skip",), "one layer has nothing to skip; give several with network.layers")
        if self.layers is not None and self.layers[0].delay:
            raise at(("layers", 0, "delay"), "the first layer has none below; leave it out")
        return self

    @model_serializer(mode="wrap")
    def _as_it_was_said(self, handler: Any) -> dict[str, Any]:
        """Leave out what is not said: a network of `hidden` units is written as it was before there were layers."""
        plain = handler(self)
        for name in ("layers", "skip") if self.layers is None else ("hidden",):
            plain.pop(name, None)
        if self.input_delay == 1:
            plain.pop("input_delay", None)
        return plain

    def stacked(self, usual: Unit) -> list[Stacked]:
        """Return the layers; `usual`: the units of those that name none."""
        if self.layers is None:
            return [Stacked(usual, self.hidden)]
        return [Stacked(spec.cell or usual, spec.units, spec.recurrent, spec.delay) for spec in self.layers]
