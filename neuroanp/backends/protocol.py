"""What every simulator offers: the passes of one update, in chunks of time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

from neuroanp.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.baselines.protocol import Activities, Outputs
    from neuroanp.network.network import Network
    from neuroanp.noise import PassStreams
    from neuroanp.substrates.protocol import Neurons, ReadPlan, Substrate
    from neuroanp.trajectory import PassPlan, Trajectory


class Request(NamedTuple):
    """All that a presentation needs: the argument of `Backend.run`.

    Args:
        substrate: holds the weights and makes the noise; its network is the one that is simulated.
        reads: what `substrate.prepare` returned for this update.
        inputs: (T, B, I) without the bias line.
        plan: the passes.
        streams: where noise is drawn from: the same streams give the same passes again.
        keep: "all"; "loss" to leave out what layers did; "noise" to have the known noise of the units as well;
            "states" to have the membrane potentials of spiking units as well.
        book: whether the ledger counts these reads (False on a replay).
        artificial: False leaves out noise that no device makes.
    """

    substrate: Substrate
    reads: Mapping[str, ReadPlan]
    inputs: Tensor
    plan: PassPlan
    streams: PassStreams
    keep: str = "all"
    book: bool = True
    artificial: bool = True

    @property
    def network(self) -> Network:
        """The network that is simulated."""
        return self.substrate.network

    @property
    def rows(self) -> int:
        """M B: copies of the network."""
        return self.plan.passes * self.inputs.shape[1]

    @property
    def weights(self) -> dict[str, Tensor]:
        """The mean weights of the arrays as they are read, by name."""
        return {name: read.W for name, read in self.reads.items()}


class Backend(Protocol):
    """A simulator of networks on a substrate.

    One whose units spike takes two options more: whether input lines carry spikes, and how it is run (see
    `neuroanp.backends.network`, whose base class answers all of the below). Every member is there, and None is an
    answer where it is allowed: nothing takes a simulator that says nothing for one of tanh units.
    """

    name: ClassVar[str]
    spiking: ClassVar[bool]
    """Whether its units spike."""
    digital: ClassVar[bool]
    """Whether the weights are its own digital ones, and no device's."""
    cells: ClassVar[Registry[Any]]
    """Models of units that a layer can be of, by name; those of them that it cannot simulate `refuses` tells."""

    def __init__(self, dt: float, chunk: int = 64) -> None:
        """Make the simulator: dt seconds a step, `chunk` steps of time at once."""
        ...

    @classmethod
    def refuses(cls, network: Network) -> list[str]:
        """Return why it cannot simulate such a network, a sentence for each reason with its remedy; []: it can."""
        ...

    def highest_rate_Hz(self, network: Network) -> float | None:
        """Return the most spikes a second that a unit can have; None: none spikes, or nothing says it."""
        ...

    def differentiable(self, network: Network) -> Outputs | None:
        """Return the noise-free network as a function that autograd can differentiate: what BPTT learns with.

        None: there is none, and BPTT is refused. Where it is `neuroanp.baselines.network.rate_outputs` itself, the
        units do what their cells say: the gradient may be taken by hand, and the network can be exported.
        """
        ...

    def activity(self, network: Network) -> Activities | None:
        """Return what says how active the layers of the noise-free network are: features of the ridge control.

        None: nothing does, and the control is refused.
        """
        ...

    def rehearse(self, network: Network, neurons: Neurons) -> None:
        """Raise InputError where such units cannot be simulated here, before anything begins; else do nothing.

        Args:
            network: layers and projections. neurons: relative factors of the units' parameters, by layer.
        """
        ...

    def run(self, request: Request) -> Iterator[Trajectory]:
        """Present the inputs once for each pass and yield the trajectory chunk by chunk."""
        ...


BACKENDS: Registry[type[Backend]] = Registry("backend", "neuroanp.backends", Backend)
