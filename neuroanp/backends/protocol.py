"""What every backend offers: the passes of one update, in chunks of time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Protocol

from neuroanp.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.backends.neuron import Interface
    from neuroanp.baselines.protocol import Simulated
    from neuroanp.noise import PassStreams
    from neuroanp.substrates.protocol import ReadPlan, Substrate
    from neuroanp.trajectory import PassPlan, Trajectory


class Backend(Protocol):
    """A simulator of the network on a substrate.

    One whose units spike takes three options more: the model of its units, whether input lines carry spikes, and how
    it is run (see `neuroanp.backends.network`, whose base class answers all of the below). Every member is there, and
    None is an answer where it is allowed: nothing takes a simulator that says nothing for one of tanh units.
    """

    name: ClassVar[str]
    spiking: ClassVar[bool]
    """Whether its units spike."""
    digital: ClassVar[bool]
    """Whether the weights are its own digital ones, and no device's."""
    units: ClassVar[type[Interface] | None]
    """Models of units that it can simulate; None: it has units of its own that no config chooses."""
    neuron: Interface | None
    """The model of its units, or None likewise."""
    highest_rate_Hz: float | None
    """The most spikes a second that a unit can have, or None: they do not spike, or nothing says it."""

    def __init__(self, dt: float, chunk: int = 64) -> None:
        """Make the simulator: dt seconds a step, `chunk` steps of time at once."""
        ...

    @property
    def differentiable(self) -> Simulated | None:
        """The noise-free network as a function through which autograd can differentiate: what BPTT learns with.

        None: there is none, and BPTT is refused. Where it is `neuroanp.baselines.network.tanh_outputs` itself, the
        units are x = tanh(h): BPTT takes the gradient by hand, and the network can be exported.
        """
        ...

    @property
    def activity(self) -> Simulated | None:
        """What a readout of the noise-free network sees: the features of the ridge control; None: it is refused."""
        ...

    def rehearse(self, neurons: Mapping[str, Tensor]) -> None:
        """Raise InputError where such units cannot be simulated here, before anything begins; else do nothing.

        Args:
            neurons: relative factors (N,) of the units' parameters.
        """
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


BACKENDS: Registry[type[Backend]] = Registry("backend", "neuroanp.backends", Backend)
