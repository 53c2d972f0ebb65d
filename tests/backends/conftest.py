"""One small network on any profile, and its passes put together again."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import cast

import pytest
import torch

from neuroanp.backends.chip_network import ChipNetwork
from neuroanp.backends.neuron import LIF
from neuroanp.backends.protocol import BACKENDS, Backend
from neuroanp.devices.effects import ALL_EFFECTS
from neuroanp.network.init import xavier
from neuroanp.noise import PassStreams, Streams
from neuroanp.profiles import load
from neuroanp.substrates.chip import Chip
from neuroanp.substrates.node_drive import NodeDrive
from neuroanp.training.config import spikes
from neuroanp.trajectory import PassPlan

DT = {False: 1e-6, True: 1e-3}
"""Seconds a step: of rate networks, and of spiking ones, whose membranes take milliseconds."""
SIZES = {False: (11, 3, 2, 7, 2), True: (70, 3, 2, 7, 2)}
"""T, B, I, N, O: long enough for every unit of a spiking network to spike several times."""
INPUT_SPIKES = 0.05
"""Share of the steps at which an input line that carries spikes has one."""
SIGMA = {False: 0.02, True: 0.5}
WINDOW = 1e3
"""Steps that the passes of an update are taken to last."""
PARTS = ("u", "h", "x", "y", "z", "readout", "spikes", "v")


def digital(name: str) -> bool:
    """Return whether a backend holds its weights itself, as whole numbers, instead of a device that does."""
    return BACKENDS.get(name).digital


@cache
def simulator(name: str, dt: float, chunk: int) -> Backend:
    """Return a backend, the same for every test: what one presentation leaves behind must not reach the next.

    A chip has units of its own, which differ in reset and rest from those of others.
    """
    return BACKENDS.get(name)(dt, chunk, **({"neuron": LIF()} if spikes(name) and not digital(name) else {}))


class Bench:
    """A network with bias lines on a chip that has lived for a while, and an input sequence for it."""

    def __init__(
        self, profile="ideal", dtype=torch.float64, sizes=None, bias=True, sigma="as usual",
        effects: frozenset[str] = ALL_EFFECTS, read="moments", device="cpu", age=1e4, backend="rate",
        drive: NodeDrive | None = None,
    ) -> None:  # fmt: skip
        self.spiking, self.digital = spikes(backend), digital(backend)
        self.backend, self.dt = backend, DT[self.spiking]
        self.scale = LIF().input_gain if self.spiking else 1.0  # how much larger rounding is than that of a read
        self.T, self.B, I, N, O = sizes or SIZES[self.spiking]  # noqa: E741
        self.streams = Streams(0)
        self.weights = xavier(I, N, O, bias, self.streams, torch.float64)
        rng = self.streams.generator("bench")
        if bias:
            for name in ("w_in", "w_out"):
                self.weights[name][:, -1] = torch.from_numpy(rng.uniform(-0.3, 0.3, len(self.weights[name])))
        u = rng.uniform(-1, 1, (self.T, self.B, I))
        if self.digital:  # input lines of a chip carry spikes
            u = u > 1 - 2 * INPUT_SPIKES
        self.inputs = torch.from_numpy(u).to(device, dtype)
        usual = SIGMA[self.spiking]
        self.chip = Chip.build(
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
        chip = self.made.chip
        return (1.0 / (chip.k_e * chip.unit * chip.state)).cpu()

    def chunks(self, plan: PassPlan, backend=None, chunk=64, update=5, **options):
        """Present the inputs; `backend` is a name or a simulator that is made already."""
        made = simulator(backend or self.backend, self.dt, chunk) if isinstance(backend, str | None) else backend
        streams = PassStreams(self.streams, "train", update)
        return made.passes(self.chip, self.reads, self.inputs, plan, streams, **options)

    def passes(self, plan: PassPlan, **options) -> SimpleNamespace:
        """Return h, x (T, M, B, N) and y (T, M, B, O) of the whole presentation, and what else there is."""
        chunks = list(self.chunks(plan, **options))
        assert [c.t0 for c in chunks] == [sum(len(c.y) for c in chunks[:k]) for k in range(len(chunks))]
        whole = {
            part: None if getattr(chunks[0], part) is None else torch.cat([getattr(c, part) for c in chunks])
            for part in PARTS
        }
        return SimpleNamespace(**whole, chunks=chunks)


@pytest.fixture(scope="session")
def make_bench():
    return Bench


@pytest.fixture(scope="session")
def spiking():
    """Return the one module that imports Brian2, which takes seconds."""
    from neuroanp.backends import spiking

    return spiking
