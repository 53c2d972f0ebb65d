"""What every simulator offers: the passes of one update, in chunks of time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

from torch import Tensor

from neuroanp.errors import InputError
from neuroanp.registry import Registry

if TYPE_CHECKING:
    from neuroanp.baselines.protocol import Activities, Outputs
    from neuroanp.network.network import Network
    from neuroanp.noise import PassStreams
    from neuroanp.source import Source
    from neuroanp.substrates.protocol import Neurons, ReadPlan, Substrate
    from neuroanp.trajectory import PassPlan, Trajectory


class Request(NamedTuple):
    """All that a presentation needs: the argument of `Backend.run`.

    Args:
        substrate: holds the weights and makes the noise; its network is the one that is simulated.
        reads: what `substrate.prepare` returned for this update.
        source: of the inputs, without the bias line: data (T, B, I), or a world that answers the outputs.
        plan: the passes.
        streams: where noise is drawn from: the same streams give the same passes again.
        keep: "all"; "loss" to leave out what layers did; "changes" where it is enough how their passes differ, or all;
            "noise" to have the known noise of the units as well; "states" to have the membrane potentials of spiking
            units as well.
        book: whether the ledger counts these reads (False on a replay).
        artificial: False leaves out noise that no device makes.

    >>> from neuroanp.training.build import Experiment, build_trainer
    >>> from neuroanp.training.configure import configure
    >>> from neuroanp.noise import PassStreams
    >>> from neuroanp.trajectory import PassPlan
    >>> trainer = build_trainer(Experiment.of(configure(task="copy", network={"hidden": 4}, training={"batch": 2})))
    >>> chip, streams, source = trainer.substrate, PassStreams(trainer.streams, "train", 0), trainer.lab().source
    >>> request = Request(chip, chip.prepare(1e-3, streams), source, PassPlan((1.0, 1.0), (0, 1), ((0, 1),)), streams)
    >>> request.steps, request.batch, request.rows, request.inputs.shape, request.network.hidden, request.like.dtype
    (9, 2, 4, torch.Size([9, 2, 5]), 4, torch.float32)
    >>> [*request.present(4, lambda u, t0, live: (t0, len(u)))], sorted(request.weights)  # four steps a chunk
    ([(0, 4), (4, 4), (8, 1)], ['w', 'w_in', 'w_out'])
    """

    substrate: Substrate
    reads: Mapping[str, ReadPlan]
    source: Source
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
    def inputs(self) -> Tensor:
        """The data (T, B, I), for a simulator that knows no worlds.

        Raises: InputError: a world answers the network.
        """
        if isinstance(self.source, Tensor):
            return self.source
        raise InputError("this backend presents data, and here a world answers the network; use backend 'rate'")

    @property
    def steps(self) -> int:
        """T, steps of the presentation."""
        return len(self.source) if isinstance(self.source, Tensor) else self.source.steps

    @property
    def batch(self) -> int:
        """B, sequences."""
        return self.source.shape[1] if isinstance(self.source, Tensor) else self.source.batch

    @property
    def rows(self) -> int:
        """M B: copies of the network."""
        return self.plan.passes * self.batch

    @property
    def like(self) -> Tensor:
        """A tensor that gives dtype and device."""
        return next(iter(self.reads.values())).W

    def present(self, chunk: int, run: Callable[[Tensor, int, Tensor | None], Trajectory]) -> Iterator[Trajectory]:
        """Yield what `run` makes of the inputs, chunk by chunk of data, step by step of a world until all are over.

        Args:
            chunk: steps of data at once.
            run: takes inputs, (T, B, I) of data or (1, M, B, I) of a world, their first step, and which worlds go on,
                (M, B), or None: all.
        """
        if isinstance(self.source, Tensor):
            for t0 in range(0, self.steps, chunk):
                yield run(self.source[t0 : t0 + chunk], t0, None)
            return
        u = self.source.reset(self.plan.passes, self.like)
        for t in range(self.steps):
            live = self.source.live
            if live is not None and not bool(live.any()):
                return
            did = run(u.unsqueeze(0), t, live)
            u, loss = self.source.step(t, did.y[0])
            yield replace(did, loss=loss.unsqueeze(0), live=None if live is None else live.unsqueeze(0))

    @property
    def weights(self) -> dict[str, Tensor]:
        """The mean weights of the arrays as activity meets them, by name."""
        return {name: read.effective for name, read in self.reads.items()}


class Backend(Protocol):
    """A simulator of networks on a substrate.

    One whose units spike takes two options more: whether input lines carry spikes, and how it is run (see
    `neuroanp.backends.network`, whose base class answers all of the below). Every member is there, and None is an
    answer where it is allowed: nothing takes a simulator that says nothing for one of tanh units.

    Args: dt: seconds a step. chunk: steps of time at once.

    >>> from neuroanp.training.build import Experiment, build_trainer
    >>> from neuroanp.training.configure import configure
    >>> from neuroanp.noise import PassStreams
    >>> from neuroanp.trajectory import PassPlan
    >>> trainer = build_trainer(Experiment.of(configure(task="copy", network={"hidden": 4}, training={"batch": 2})))
    >>> chip, streams, source = trainer.substrate, PassStreams(trainer.streams, "train", 0), trainer.lab().source
    >>> silent, backend = PassPlan((0.0,), (0,), "mean"), BACKENDS.get("rate")(dt=1e-3, chunk=4)
    >>> network = chip.network
    >>> backend.refuses(network), backend.highest_rate_Hz(network), backend.rehearse(network, chip.neurons)
    ([], None, None)
    >>> chunks = [*backend.run(Request(chip, chip.prepare(1e-3, streams), source, silent, streams))]
    >>> [len(chunk.y) for chunk in chunks]
    [4, 4, 1]
    >>> y = backend.differentiable(network)(chip.weights, source)  # the twin that BPTT differentiates
    >>> x = backend.activity(network)(chip.weights, source)["hidden"]
    >>> h = chunks[0].layers["hidden"]
    >>> bool((chunks[0].y[:, 0] - y[:4]).abs().max() < 1e-6), bool((h.x[:, 0] - x[:4]).abs().max() < 1e-6)
    (True, True)
    """

    name: ClassVar[str]
    spiking: ClassVar[bool]
    """Whether its units spike."""
    digital: ClassVar[bool]
    """Whether the weights are its own digital ones, and no device's."""
    recordable: ClassVar[bool]
    """Whether a presentation of data on a GPU is kernels alone, the same for each update but for the numbers they find.

    Nothing in it may depend on numbers that the host would have to wait for, nor on what the host draws or counts; its
    substrate is then a `neuroanp.training.noted.Noted`. See `neuroanp.training.recorded`.
    """
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
        """Return the most spikes a second of a unit of such a network; None: none spikes, or nothing says it."""
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
        """Present the inputs once for each pass and yield the trajectory chunk by chunk.

        Args: request: substrate, reads, inputs, passes and streams.
        """
        ...


KINDS = "a network is all of rates or all spiking"


def of_both_kinds(network: Network) -> list[str]:
    """Return that some layers of a network spike and others do not, which no simulator here has; [] if they are alike.

    >>> from neuroanp.backends.neuron import LIF
    >>> from neuroanp.network.compose import Stacked, stack
    >>> from neuroanp.network.gru import GRU
    >>> of_both_kinds(stack(3, [Stacked(LIF(), 5), Stacked(GRU(), 4)], 2))
    ['a network is all of rates or all spiking; here hidden_1 spikes, not hidden_2: give all layers cells of one kind']
    """
    kinds = {True: [], False: []}
    for layer in network.layers:
        kinds[layer.cell.spikes].append(layer.name)
    if not (kinds[True] and kinds[False]):
        return []
    spike, others = ", ".join(kinds[True]), ", ".join(kinds[False])
    does = "spikes" if len(kinds[True]) == 1 else "spike"
    return [f"{KINDS}; here {spike} {does}, not {others}: give all layers cells of one kind"]


BACKENDS: Registry[type[Backend]] = Registry("backend", "neuroanp.backends", Backend)
