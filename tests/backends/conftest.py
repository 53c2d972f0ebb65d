"""One small network on any profile, and its passes put together again."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from neuroanp.backends.protocol import BACKENDS
from neuroanp.devices.device import ALL_EFFECTS
from neuroanp.noise import PassStreams, Streams
from neuroanp.profiles import load
from neuroanp.substrates.chip import Chip
from neuroanp.training.network import xavier
from neuroanp.trajectory import PassPlan

DT = 1e-6
WINDOW = 1e-3


class Bench:
    """A network with bias lines on a chip that has lived for a while, and an input sequence for it."""

    def __init__(
        self, profile="ideal", dtype=torch.float64, sizes=(11, 3, 2, 7, 2), bias=True, sigma=0.02,
        effects: frozenset[str] = ALL_EFFECTS, read="moments", device="cpu", age=1e4,
    ) -> None:  # fmt: skip
        self.T, self.B, I, N, O = sizes  # noqa: E741
        self.streams = Streams(0)
        self.weights = xavier(I, N, O, bias, self.streams, torch.float64)
        rng = self.streams.generator("bench")
        if bias:
            for name in ("w_in", "w_out"):
                self.weights[name][:, -1] = torch.from_numpy(rng.uniform(-0.3, 0.3, len(self.weights[name])))
        self.inputs = torch.from_numpy(rng.uniform(-1, 1, (self.T, self.B, I))).to(device, dtype)
        self.chip = Chip.build(
            load(profile) if isinstance(profile, str) else profile, self.weights, streams=self.streams, dt=DT,
            read=read, effects=effects, artificial_sigma=sigma, dtype=dtype, device=device,
        )  # fmt: skip
        self.chip.elapse(age)
        self.reads = self.chip.prepare(WINDOW, PassStreams(self.streams, "train", 5))

    def chunks(self, plan: PassPlan, backend="rate", chunk=64, update=5, **options):
        return BACKENDS.get(backend)(DT, chunk).passes(
            self.chip, self.reads, self.inputs, plan, PassStreams(self.streams, "train", update), **options
        )

    def passes(self, plan: PassPlan, **options) -> SimpleNamespace:
        """Return h, x (T, M, B, N) and y (T, M, B, O) of the whole presentation."""
        chunks = list(self.chunks(plan, **options))
        assert [c.t0 for c in chunks] == [sum(len(c.y) for c in chunks[:k]) for k in range(len(chunks))]
        whole = {
            part: None if getattr(chunks[0], part) is None else torch.cat([getattr(c, part) for c in chunks])
            for part in ("u", "h", "x", "y")
        }
        return SimpleNamespace(**whole, chunks=chunks)


@pytest.fixture(scope="session")
def make_bench():
    return Bench
