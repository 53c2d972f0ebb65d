"""The backends of Loihi and Xylo: networks that learn on the chip's own whole numbers.

At every presentation the weights are scaled and rounded as `neuroanp export` does it, by what the weights alone tell
(`loihi_numbers.assumed_peaks`, `xylo_numbers.assumed_peaks`), so that what was learned is what is exported. The rule
writes to weights that are not rounded; see `neuroanp.backends.chips`.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from neuroanp.backends import loihi_numbers, xylo_numbers
from neuroanp.backends.chip_network import ChipNetwork
from neuroanp.backends.chips import IntegerChip
from neuroanp.backends.neuron import LIF
from neuroanp.backends.numeric import Numeric
from neuroanp.errors import InputError

if TYPE_CHECKING:
    from neuroanp.network.network import Network
    from neuroanp.trajectory import Weights


class IntegerBackend(ChipNetwork):
    """Base: scales follow the weights.

    Args:
        dt: seconds a step. chunk: steps of time simulated at once. **options: as in `SpikingNetwork`.

    Raises:
        InputError: input lines are not to carry spikes.

    >>> from neuroanp.network.compose import Stacked, stack
    >>> LoihiBackend.refuses(stack(3, [Stacked(LIF(reset="hard", refractory=0.0), 5)], 2))
    []
    >>> LoihiBackend.refuses(stack(3, [Stacked(LIF(), 5)], 2))
    ["backend 'loihi' cannot do refractory 0.002 (it has 0.0); use backend 'lif'"]
    """

    digital: ClassVar[bool] = True
    recordable: ClassVar[bool] = False
    reset: ClassVar[str]

    def __init__(self, dt: float, chunk: int = 64, **options: Any) -> None:
        if options.get("spikes_in") is False:
            raise InputError(
                f"encoder: backend '{self.name}' takes spikes as inputs; use encoder 'poisson' or 'latency'"
            )
        super().__init__(dt, chunk, **options)

    @classmethod
    def refuses(cls, network: Network) -> list[str]:
        """Return why it cannot simulate such a network; see `neuroanp.backends.protocol.Backend`."""
        if not all(layer.cell.spikes for layer in network.layers):
            return super().refuses(network)
        said: list[str] = []
        for layer in network.layers:
            where = f"{layer.name}: " if len(network.layers) > 1 else ""
            if not isinstance(layer.cell, LIF):
                return [f"{where}backend '{cls.name}' has the chip's integrate-and-fire units only; use cell lif"]
            if wrong := cls._wrong(layer.cell):
                said.append(f"{where}backend '{cls.name}' cannot do {', '.join(wrong)}; use backend 'lif'")
        return said + super().refuses(network)

    @classmethod
    def _wrong(cls, neuron: LIF) -> list[str]:
        """Return what of a neuron the chip cannot do, and what it has instead."""
        wanted = {"reset": cls.reset, "refractory": 0.0, "decoder": "trace", "leak": True}
        stated = {**neuron.model_dump(), "leak": neuron.leak}  # which a dump leaves out where it leaks
        wrong = [f"{key} {stated[key]!r} (it has {value!r})" for key, value in wanted.items() if stated[key] != value]
        return wrong + cls._lasts(neuron)

    @classmethod
    def _lasts(cls, neuron: LIF) -> list[str]:
        """Return what of a neuron's currents the chip cannot do."""
        return []

    def _scaled(self, weights: Weights) -> IntegerChip:
        plain = {name: each.detach().double().cpu().numpy() for name, each in weights.items()}
        made = self._chip(Numeric(self.name, plain, weights.network, self.dt, True))
        return made.to(weights.like.device)

    @abstractmethod
    def _chip(self, model: Numeric) -> IntegerChip:
        """Return the chip for a network, on the CPU."""


class LoihiBackend(IntegerBackend):
    """Loihi's integer neurons in torch: weights of 8 bits, decays in 4096ths, hard reset, layer after layer."""

    name = "loihi"
    reset = "hard"
    skips = False

    def _chip(self, model: Numeric) -> IntegerChip:
        return loihi_numbers.chip_of(model, loihi_numbers.scales(model, loihi_numbers.assumed_peaks(model)))


class XyloBackend(IntegerBackend):
    """Xylo's integer neurons in torch: weights of 8 bits, decays 1 - 2^-k, the threshold is subtracted."""

    name = "xylo"
    reset = "subtract"

    @classmethod
    def _lasts(cls, neuron: LIF) -> list[str]:
        return [] if neuron.tau_s else ["tau_s 0 (its currents last)"]

    def _chip(self, model: Numeric) -> IntegerChip:
        wanted = xylo_numbers.wanted_numbers(model)
        return xylo_numbers.chip_of(model, wanted, xylo_numbers.scales(wanted, xylo_numbers.assumed_peaks(wanted)))
