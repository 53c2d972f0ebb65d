"""A substrate that is only read, and whose books are noted: they are told later, with the numbers of then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.network.network import Network
    from neuroanp.noise import PassStreams
    from neuroanp.substrates.device_noise import DeviceNoise
    from neuroanp.substrates.protocol import Neurons, Perturbation, ReadPlan, Substrate
    from neuroanp.trajectory import PassPlan, Weights

Note = Callable[["Substrate"], None]


class NotedLedger:
    """Books of which only entries are taken. Args: notes: what is noted."""

    def __init__(self, notes: list[Note]) -> None:
        self._notes = notes

    def book_conversions(self, clipped: float | Tensor, conversions: int) -> None:
        """Note conversions; see `Ledger`."""
        self._notes.append(lambda substrate: substrate.ledger.book_conversions(clipped, conversions))


class Noted:
    """What simulators and rules ask of a substrate while they are recorded.

    Args:
        substrate: whose noise it makes. weights: what the digital side believes in.
    """

    def __init__(self, substrate: Substrate, weights: Weights) -> None:
        self._substrate, self.weights = substrate, weights
        self._notes: list[Note] = []
        self.ledger = NotedLedger(self._notes)

    @property
    def network(self) -> Network:
        """The layers and projections."""
        return self._substrate.network

    @property
    def neurons(self) -> Neurons:
        """How spiking neurons differ."""
        return self._substrate.neurons

    @property
    def weighs_reads(self) -> bool:
        """Whether loads go into the books."""
        return self._substrate.weighs_reads

    def node_sigmas(self, artificial: bool = True) -> Mapping[str, float]:
        """Return the standard deviation of the noise of each group of units."""
        return self._substrate.node_sigmas(artificial)

    def perturbation(
        self, plan: PassPlan, batch: int, streams: PassStreams, artificial: bool = True, apart: float = inf
    ) -> Perturbation:
        """Start the node noise of one presentation."""
        return self._substrate.perturbation(plan, batch, streams, artificial, apart)

    def device_noise(
        self, name: str, reads: ReadPlan, plan: PassPlan, batch: int, streams: PassStreams, apart: float = inf
    ) -> DeviceNoise:
        """Start the noise with a memory of the devices of an array."""
        return self._substrate.device_noise(name, reads, plan, batch, streams, apart)

    def book_reads(
        self, name: str, load: Tensor, reads: int, noisy: int, *, events: float | Tensor | None = None
    ) -> None:
        """Note vector reads."""
        self._notes.append(lambda substrate: substrate.book_reads(name, load, reads, noisy, events=events))

    def book_spikes(self, spikes: float | Tensor, events: float | Tensor) -> None:
        """Note spikes and synaptic events."""
        self._notes.append(lambda substrate: substrate.book_spikes(spikes, events))

    def forget(self) -> None:
        """Forget what was noted."""
        self._notes.clear()

    def book(self, substrate: Substrate) -> None:
        """Book in a substrate what was noted, in order, with the numbers that are there now."""
        for note in self._notes:
            note(substrate)
