"""A substrate without a device: exact weights, Gaussian nodes. What a rule does is tested apart from hardware."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from neuroanp.backends.rate import RateBackend
from neuroanp.devices.protocol import NodeSource
from neuroanp.losses import SQUARED_ERROR
from neuroanp.network.compose import Stacked, stack
from neuroanp.network.init import xavier
from neuroanp.network.tanh import Tanh
from neuroanp.noise import PassStreams, Streams
from neuroanp.substrates.node_noise import NodeNoise
from neuroanp.substrates.protocol import ReadPlan
from neuroanp.training.lab import Lab as Context
from neuroanp.training.pass_learner import PassLearner
from neuroanp.trajectory import Weights, WeightUpdate


class ExactSubstrate:
    weighs_reads = False

    def __init__(
        self, weights: Weights, sigma: float, output_sigma: float | None = None, source: NodeSource | None = None
    ) -> None:
        self.output_sigma, self.source = output_sigma, source  # None: sigma; only Gaussian noise
        self.weights, self.sigma, self.neurons, self.network = weights, sigma, {}, weights.network

    def prepare(self) -> dict[str, ReadPlan]:
        return {name: ReadPlan(W) for name, W in self.weights.items()}

    def perturbation(self, plan, batch, streams, artificial=True, apart=0.0) -> NodeNoise:
        sigma, output = (self.sigma, self.output_sigma) if artificial else (0.0, 0.0)
        about = plan, self.network.lines, batch, streams, self.weights.like, self.source, sigma
        return NodeNoise(*about, output_sigma=output, dt=1e-6)

    def node_sigmas(self, artificial=True) -> dict[str, float]:
        return dict.fromkeys(self.network.noisy, self.sigma if artificial else 0.0)

    def book_reads(self, name: str, load: Tensor, reads: int, noisy: int, *, events: int | None = None) -> None: ...


class KnownNoise(RateBackend):
    """The rate network with its noise laid beside each chunk, whatever is asked for; it keeps what was."""

    asked: str = ""

    def run(self, request):
        self.asked = request.keep
        return super().run(request._replace(keep="loss" if request.keep == "loss" else "noise"))


class Lab:
    """A small network on a random task, and one update of any rule on it."""

    def __init__(self, T=7, B=4, I=3, N=6, O=2, sigma=1e-2, bias=False, seed=0, network=None, of_y=None):  # noqa: E741
        self.sizes = (T, B, I, N, O)
        self.streams = Streams(seed)
        network = network or stack(I, [Stacked(Tanh(), N)], O, bias)
        self.weights = Weights(xavier(network, self.streams, torch.float64), network)
        rng = self.streams.generator("lab")
        self.inputs = torch.from_numpy(rng.standard_normal((T, B, I)))
        self.targets = torch.from_numpy(rng.standard_normal((T, B, O)))
        self.mask = torch.from_numpy((rng.random(T) < 0.7).astype(float))
        self.mask[-1] = 1.0
        self.loss = SQUARED_ERROR
        self.substrate = ExactSubstrate(self.weights, sigma, of_y)

    def context(self, update=0, chunk=64, memory=1 << 30, backend=KnownNoise, dt=1e-6) -> Context:
        return Context(
            self.inputs,
            self.targets,
            self.mask,
            self.substrate,  # pyright: ignore
            self.substrate.prepare(),
            backend(dt, chunk),
            PassStreams(self.streams, "train", update),
            memory,
            self.loss,
        )

    def update(self, rule, **context) -> WeightUpdate:
        return PassLearner(rule).learn({}, self.context(**context))[1]


@pytest.fixture(scope="session")
def make_lab():
    return Lab
