"""What every backend offers: the passes of one update, in chunks of time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

from neuroanp.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.noise import PassStreams
    from neuroanp.substrates.protocol import ReadPlan, Substrate
    from neuroanp.trajectory import PassPlan, Trajectory


class Backend(Protocol):
    """A simulator of the network on a substrate.

    One whose units spike has `spiking = True` and takes three options more: the model of its units,
    whether input lines carry spikes, and how it is run (see `neuroanp.backends.network`). It has
    `activity` (what a readout of the untrained network sees) and, where its units have surrogate
    gradients, `differentiable`.
    """

    name: str

    def __init__(self, dt: float, chunk: int = 64) -> None:
        """Make the simulator: dt seconds a step, `chunk` steps of time at once."""
        ...

    def passes(
        self,
        substrate: Substrate,
        reads: Mapping[str, ReadPlan],
        inputs: Tensor,
        plan: PassPlan,
        streams: PassStreams,
        *,
        keep: str = "all",
        book: bool = True,
        artificial: bool = True,
    ) -> Iterator[Trajectory]:
        """Present `inputs` (T, B, I) once for each pass and yield the trajectory chunk by chunk.

        Args:
            substrate: holds the weights and makes the noise.
            reads: what `substrate.prepare` returned for this update.
            inputs: (T, B, I) without the bias line.
            plan: the passes.
            streams: where noise is drawn from: the same streams give the same passes again.
            keep: "all"; "loss" to leave out h and x; "noise" to have the known noise of the units as well;
                "states" to have the membrane potentials of spiking units as well.
            book: whether the ledger counts these reads (False on a replay).
            artificial: False leaves out noise that no device makes.
        """
        ...


BACKENDS: Registry[type[Backend]] = Registry("backend", "neuroanp.backends")
