"""One small network on any profile, and its passes put together again."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from neuroanp.backends.chip_network import ChipNetwork
from neuroanp.backends.execution import Execution
from neuroanp.backends.neuron import LIF
from neuroanp.backends.protocol import BACKENDS, Backend, Request
from neuroanp.devices.effects import ALL_EFFECTS
from neuroanp.network.cell import Unit
from neuroanp.network.compose import Stacked, stack
from neuroanp.network.init import xavier
from neuroanp.network.tanh import Tanh
from neuroanp.noise import PassStreams, Streams
from neuroanp.profiles import load
from neuroanp.substrates.chip import DeviceChip
from neuroanp.substrates.node_drive import NodeDrive
from neuroanp.training.configure import configure
from neuroanp.training.filling import spikes
from neuroanp.trajectory import PassPlan, Weights

DT = {False: 1e-6, True: 1e-3}
"""Seconds a step: of rate networks, and of spiking ones, whose membranes take milliseconds."""
SIZES = {False: (11, 3, 2, 7, 2), True: (70, 3, 2, 7, 2)}
"""T, B, I, N, O: long enough for every unit of a spiking network to spike several times."""
INPUT_SPIKES = 0.05
"""Share of the steps at which an input line that carries spikes has one."""
SIGMA = {False: 0.02, True: 0.5}
WINDOW = 1e3
"""Steps that the passes of an update are taken to last."""
OF_LAYERS = ("h", "x", "z", "spikes", "v")


def registered(name: str) -> str:
    """Return the backend of "lif/simulator", say: what stands behind it simulates its units (compute.execution)."""
    return name.partition("/")[0]


def digital(name: str) -> bool:
    """Return whether a backend holds its weights itself, as whole numbers, instead of a device that does."""
    return BACKENDS.get(registered(name)).digital


@cache
def simulator(name: str, dt: float, chunk: int) -> Backend:
    """Return a backend, the same for every test: what one presentation leaves behind must not reach the next."""
    plain, _, execution = name.partition("/")
    options = {"execution": Execution(execution=cast("Any", execution))} if execution else {}
    return BACKENDS.get(plain)(dt, chunk, **options)


@cache
def units(backend: str) -> Unit:
    """Return the units of a network that says nothing of them: a chip's differ in reset and rest from others."""
    if digital(backend):
        return configure({"task": "xor"}, backend=backend).neuron
    return LIF() if spikes(registered(backend)) else Tanh()


class Bench:
    """A network with bias lines on a chip that has lived for a while, and an input sequence for it.

    It has one layer, "hidden", of `cell` (None: the backend's usual units), or `layers`, with `skip` between them.
    """

    def __init__(
        self, profile="ideal", dtype=torch.float64, sizes=None, bias=True, sigma="as usual",
        effects: frozenset[str] = ALL_EFFECTS, read="moments", device="cpu", age=1e4, backend="rate",
        drive: NodeDrive | None = None, cell: Unit | None = None, layers: Sequence[Stacked] | None = None, skip=False,
    ) -> None:  # fmt: skip
        self.spiking, self.digital = spikes(registered(backend)), digital(backend)
        self.backend, self.dt = backend, DT[self.spiking]
        self.scale = LIF().input_gain if self.spiking else 1.0  # how much larger rounding is than that of a read
        self.T, self.B, I, N, O = sizes or SIZES[self.spiking]  # noqa: E741
        self.streams = Streams(0)
        self.network = stack(I, layers or [Stacked(cell or units(backend), N)], O, bias, skip)
        self.weights = Weights(xavier(self.network, self.streams, torch.float64), self.network)
        rng = self.streams.generator("bench")
        for p in self.network.projections:
            if p.bias:
                column = rng.uniform(-0.3, 0.3, len(self.weights[p.name]))
                self.weights[p.name][:, -1] = torch.from_numpy(column)
        u = rng.uniform(-1, 1, (self.T, self.B, I))
        if self.digital:  # input lines of a chip carry spikes
            u = u > 1 - 2 * INPUT_SPIKES
        self.inputs = torch.from_numpy(u).to(device, dtype)
        usual = SIGMA[self.spiking]
        self.chip = DeviceChip.build(
            load(profile) if isinstance(profile, str) else profile, self.weights, streams=self.streams, dt=self.dt,
            read=read, effects=effects, drive=drive or NodeDrive(usual if sigma == "as usual" else sigma or 0.0),
            dtype=dtype, device=device,
        )  # fmt: skip
        self.chip.elapse(age)
        self.reads = self.chip.prepare(WINDOW * self.dt, PassStreams(self.streams, "train", 5))

    @property
    def made(self) -> ChipNetwork:
        """The simulator of a chip, as the latest presentation left it."""
        return cast("ChipNetwork", simulator(self.backend, self.dt, 64))

    @property
    def noise_unit(self) -> torch.Tensor:
        """(N,) what a unit of state is of the current that noise is, on a chip of whole numbers."""
        (layer,) = self.made.chip.layers.values()
        return (1.0 / (layer.k_e * layer.unit * layer.state)).cpu()

    def chunks(self, plan: PassPlan, backend=None, chunk=64, update=5, **options):
        """Present the inputs; `backend` is a name or a simulator that is made already."""
        made = simulator(backend or self.backend, self.dt, chunk) if isinstance(backend, str | None) else backend
        streams = PassStreams(self.streams, "train", update)
        return made.run(Request(self.chip, self.reads, self.inputs, plan, streams, **options))

    def passes(self, plan: PassPlan, **options) -> SimpleNamespace:
        """Return the whole presentation: u, y, what each layer did, and the presynaptic activity of arrays (`pre`).

        What the layer of a network of one did stands beside them: h, x, z, spikes and v (T, M, B, n), and the `readout`
        that w_out reads where it is not x.
        """
        chunks = list(self.chunks(plan, **options))
        assert [c.t0 for c in chunks] == [sum(len(c.y) for c in chunks[:k]) for k in range(len(chunks))]
        first = chunks[0]
        assert all(set(c.layers) == set(first.layers) and set(c.pre) == set(first.pre) for c in chunks)
        layers = {name: _whole([c.layers[name] for c in chunks], OF_LAYERS) for name in first.layers}
        pre = {name: torch.cat([c.pre[name] for c in chunks]) for name in first.pre}
        one = vars(layers["hidden"]) if "hidden" in layers else dict.fromkeys(OF_LAYERS)
        return SimpleNamespace(
            **vars(_whole(chunks, ("u", "y"))), **one, layers=layers, pre=pre, readout=pre.get("w_out"), chunks=chunks
        )


def _whole(chunks, parts) -> SimpleNamespace:
    """Put parts of chunks together again; None where there is nothing."""
    return SimpleNamespace(
        **{
            part: None if getattr(chunks[0], part) is None else torch.cat([getattr(c, part) for c in chunks])
            for part in parts
        }
    )


@pytest.fixture(scope="session")
def make_bench():
    return Bench


@pytest.fixture(scope="session")
def spiking():
    """Return the one module that imports Brian2, which takes seconds."""
    from neuroanp.backends import spiking

    return spiking
