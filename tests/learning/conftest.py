"""A substrate without a device: exact weights, Gaussian nodes. What a rule does is tested apart from hardware."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from neuroanp.backends.rate import RateBackend
from neuroanp.noise import PassStreams, Streams
from neuroanp.substrates.node_noise import NodeNoise
from neuroanp.substrates.protocol import ReadPlan
from neuroanp.training.learner import RuleLearner, StepContext
from neuroanp.training.network import xavier
from neuroanp.trajectory import Weights, WeightUpdate


class ExactSubstrate:
    def __init__(self, weights: Weights, sigma: float) -> None:
        self.targets, self.sigma, self.neurons = weights, sigma, {}

    def prepare(self) -> dict[str, ReadPlan]:
        return {name: ReadPlan(W) for name, W in self.targets.items()}

    def perturbation(self, plan, batch, streams, artificial=True, apart=0.0) -> NodeNoise:
        units = {"hidden": self.targets.hidden, "output": self.targets.outputs}
        return NodeNoise(
            plan, units, batch, streams, self.targets["w"], None, self.sigma if artificial else 0.0, dt=1e-6
        )

    def node_sigmas(self, artificial=True) -> dict[str, float]:
        return dict.fromkeys(("hidden", "output"), self.sigma if artificial else 0.0)

    def book_reads(self, name: str, load: Tensor, reads: int, noisy: int, *, events: int | None = None) -> None: ...


class KnownNoise(RateBackend):
    """The rate network with its noise laid beside each chunk, whatever is asked for; it keeps what was."""

    asked: str = ""

    def passes(self, substrate, reads, inputs, plan, streams, *, keep="all", book=True, artificial=True):
        self.asked = keep
        kept = "loss" if keep == "loss" else "noise"
        return super().passes(substrate, reads, inputs, plan, streams, keep=kept)


class Lab:
    """A small network on a random task, and one update of any rule on it."""

    def __init__(self, T=7, B=4, I=3, N=6, O=2, sigma=1e-2, bias=False, seed=0) -> None:  # noqa: E741
        self.sizes = (T, B, I, N, O)
        self.streams = Streams(seed)
        self.weights = xavier(I, N, O, bias, self.streams, torch.float64)
        rng = self.streams.generator("lab")
        self.inputs = torch.from_numpy(rng.standard_normal((T, B, I)))
        self.targets = torch.from_numpy(rng.standard_normal((T, B, O)))
        self.mask = torch.from_numpy((rng.random(T) < 0.7).astype(float))
        self.mask[-1] = 1.0
        self.substrate = ExactSubstrate(self.weights, sigma)

    def context(self, update=0, chunk=64, memory=1 << 30, backend=KnownNoise, dt=1e-6) -> StepContext:
        return StepContext(
            self.inputs,
            self.targets,
            self.mask,
            self.substrate,  # pyright: ignore
            self.substrate.prepare(),
            backend(dt, chunk),
            PassStreams(self.streams, "train", update),
            memory,
        )

    def update(self, rule, **context) -> WeightUpdate:
        return RuleLearner(rule).step(self.context(**context))


@pytest.fixture(scope="session")
def make_lab():
    return Lab
