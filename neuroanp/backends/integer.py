"""The backends of Loihi and Xylo: networks that learn on the chip's own whole numbers.

At every presentation the weights are scaled and rounded as `neuroanp export` does it, by what the weights alone tell
(`loihi_numbers.assumed_peaks`, `xylo_numbers.assumed_peaks`), so that what was learned is what is exported. The rule
writes to weights that are not rounded; see `neuroanp.backends.chips`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from neuroanp.backends import loihi_numbers, xylo_numbers
from neuroanp.backends.chips import Chip, ChipNetwork
from neuroanp.backends.neuron import LIF, Interface
from neuroanp.backends.numeric import Numeric
from neuroanp.errors import InputError


class IntegerBackend(ChipNetwork):
    """Base: scales follow the weights.

    Args:
        dt: seconds a step. chunk: steps of time simulated at once.
        neuron: its units; only what the chip's can do.

    Raises:
        InputError: the chip's units are others.
    """

    digital: ClassVar[bool] = True
    reset: ClassVar[str]

    def __init__(self, dt: float, chunk: int = 64, neuron: Interface | None = None, **options: Any) -> None:
        if neuron is None:
            neuron = LIF(reset=self.reset, refractory=0.0)  # pyright: ignore[reportArgumentType]
        if options.get("spikes_in") is False:
            raise InputError(
                f"encoder: backend '{self.name}' takes spikes as inputs; use encoder 'poisson' or 'latency'"
            )
        super().__init__(dt, chunk, neuron, **options)
        if not isinstance(self.neuron, LIF):
            raise InputError(f"neuron: backend '{self.name}' has the chip's integrate-and-fire units only; use 'lif'")
        wanted = {"reset": self.reset, "refractory": 0.0, "decoder": "trace"}
        wrong = [
            f"{key} {getattr(self.neuron, key)!r} (it has {value!r})"
            for key, value in wanted.items()
            if getattr(self.neuron, key) != value
        ]
        if not self.neuron.tau_s and self.name == "xylo":
            wrong.append("tau_s 0 (its currents last)")
        if wrong:
            raise InputError(f"neuron: backend '{self.name}' cannot do {', '.join(wrong)}; use backend 'lif'")

    def _scaled(self, W: Mapping[str, Tensor], bias: bool) -> Chip:
        assert isinstance(self.neuron, LIF)
        plain = {name: each.detach().double().cpu().numpy() for name, each in W.items()}
        return self._chip(Numeric(self.name, plain, bias, self.neuron, self.dt, True)).to(W["w"].device)

    @abstractmethod
    def _chip(self, model: Numeric) -> Chip:
        """Return the chip for a network, on the CPU."""


class LoihiBackend(IntegerBackend):
    """Loihi's integer neurons in torch: weights of 8 bits, decays in 4096ths, hard reset."""

    name = "loihi"
    reset = "hard"

    def _chip(self, model: Numeric) -> Chip:
        return loihi_numbers.chip_of(model, loihi_numbers.scales(model, loihi_numbers.assumed_peaks(model)))


class XyloBackend(IntegerBackend):
    """Xylo's integer neurons in torch: weights of 8 bits, decays 1 - 2^-k, the threshold is subtracted."""

    name = "xylo"
    reset = "subtract"

    def _chip(self, model: Numeric) -> Chip:
        wanted = xylo_numbers.wanted_numbers(model)
        return xylo_numbers.chip_of(model, wanted, xylo_numbers.scales(wanted, xylo_numbers.assumed_peaks(wanted)))
