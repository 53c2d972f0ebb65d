"""Double integrator: hold a particle that is pushed about at a place, by the force of the output."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from neuroanp.tasks.protocol import Batch
from neuroanp.tasks.worlds import WorldTask


class DoubleIntegratorConfig(BaseModel):
    """Options of the double integrator."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(default=100, ge=1, le=100_000, description="steps of an episode (T)")
    interval: float = Field(default=0.1, gt=0, le=10, description="dt, how much time goes by in a step")
    damping: float = Field(default=0.5, ge=0, le=100, description="zeta, the share of its speed lost in a unit of time")
    noise: float = Field(default=0.05, ge=0, le=10, description="sigma, noise on the speed, a root of a unit of time")
    start: float = Field(default=1.0, ge=0, le=100, description="it begins at rest, within +-start of the place")
    limit: float = Field(default=2.0, gt=0, le=100, description="largest force of either sign")
    effort: float = Field(default=0.1, ge=0, le=1, description="R, share of the squared force in the cost; Q = 1 - R")
    test_size: int = Field(default=100, ge=1, le=100_000, description="test episodes")


class Motion(NamedTuple):
    """One step of a linear system with noise, exactly: z' = A z + b u + N xi, xi two standard normals.

    Args: A: (2, 2). b: (2,). N: (2, 2), N N^T the covariance of what the noise adds.
    """

    A: np.ndarray
    b: np.ndarray
    N: np.ndarray

    @classmethod
    def of(cls, options: DoubleIntegratorConfig) -> Motion:
        """Return that of a step with a constant force.

        Source: Van Loan, IEEE Trans. Autom. Control 23, 395 (1978), for the covariance.
        """
        from scipy.linalg import expm

        drift, dt = np.array([[0.0, 1.0], [0.0, -options.damping]]), options.interval
        joint = np.zeros((3, 3))
        joint[:2, :2], joint[1, 2] = drift, 1.0
        held = expm(joint * dt)
        A, b = held[:2, :2], held[:2, 2]
        if options.noise == 0:
            return cls(A, b, np.zeros((2, 2)))
        spread = np.zeros((4, 4))
        spread[:2, :2], spread[2:, 2:], spread[1, 3] = -drift, drift.T, 1.0  # of sigma = 1, which is never too small
        return cls(A, b, options.noise * np.linalg.cholesky(A @ expm(spread * dt)[:2, 2:]))


class Particle:
    """Particles on a line, one for each pass and sequence (`neuroanp.source.World`).

    Args:
        options: the task's. motion: a step of theirs. start: (B,) where they begin.
        key: (2,) uint64, of the noise: the same for all passes.
    """

    def __init__(self, options: DoubleIntegratorConfig, motion: Motion, start: np.ndarray, key: np.ndarray) -> None:
        self.options, self.motion, self.start, self.key = options, motion, start, key
        self.steps, self.batch = options.steps, len(start)

    @property
    def live(self) -> None:
        """None: all episodes go on to the last step."""

    def reset(self, passes: int, like: Tensor) -> Tensor:
        """Begin all episodes anew; place and speed, (M, B, 2)."""
        self._draws = np.random.Generator(np.random.Philox(key=self.key))
        at_rest = np.stack([self.start, np.zeros(self.batch)], axis=-1)
        self._z = np.repeat(at_rest[None], passes, axis=0)
        return torch.from_numpy(self._z).to(like)

    def step(self, t: int, y: Tensor) -> tuple[Tensor, Tensor]:
        """Push; y: (M, B, 1). Returns place and speed then (M, B, 2), and the cost (M, B)."""
        limit, R = self.options.limit, self.options.effort
        u = np.clip(y[..., 0].double().cpu().numpy(), -limit, limit)
        A, b, N = self.motion
        self._z = self._z @ A.T + u[..., None] * b + self._draws.standard_normal((self.batch, 2)) @ N.T
        cost = (1.0 - R) * self._z[..., 0] ** 2 + R * u**2
        return torch.from_numpy(self._z).to(y), torch.from_numpy(cost).to(y)

    def shared(self, by: int | None) -> None:
        """Return None: outputs are a force, and choose no actions."""


class DoubleIntegrator(WorldTask):
    """Hold a particle that is pushed about at a place, by a force.

        dp = v dt        dv = (u - zeta v) dt + sigma dW        reward of a step  -(Q p^2 + R u^2)

    Two inputs: the place p, as seen from where the particle should be, and the speed v; one output: the force u, held
    for a step of dt, and no larger than `limit`. A step is exact, of any length; its cost is that of the place it ends
    at. The particle begins at rest, drawn within +-start. The best linear controller is that of Riccati's equation,
    with u = -(k_p p + k_v v).

    Args:
        options: the task's options.

    Source: the control example of Garcia Fernandez, Ahmad, van Gerven, arXiv 2410.13563; zeta .5 and Q, R of .9 and
    .1 as in the environment of that name in their group's kozax, which begins at p = 0. Other numbers are choices.

    >>> task = DoubleIntegrator(DoubleIntegratorConfig(noise=0, damping=0, interval=1.0))
    >>> world = task.test(np.random.default_rng(0)).world
    >>> seen = world.reset(1, torch.zeros(1, dtype=torch.float64))[0, 0]
    >>> after, cost = world.step(0, torch.full((1, 100, 1), 2.0, dtype=torch.float64))
    >>> (after[0, 0] - seen).tolist()  # u / 2 and u
    [1.0, 2.0]
    """

    config: ClassVar[type[BaseModel]] = DoubleIntegratorConfig
    name = "double_integrator"
    inputs, outputs = 2, 1

    def __init__(self, options: DoubleIntegratorConfig) -> None:
        super().__init__(options, options.steps)
        self.motion = Motion.of(options)

    def test(self, rng: np.random.Generator) -> Batch:
        """Draw the test episodes."""
        return self._episodes(rng, self.options.test_size)

    def particles(self, rng: np.random.Generator, batch: int) -> Particle:
        """Draw where particles begin, and their noise."""
        start = rng.uniform(-self.options.start, self.options.start, batch)
        return Particle(self.options, self.motion, start, rng.integers(2**64, size=2, dtype=np.uint64))

    def _episodes(self, rng: np.random.Generator, batch: int, greedy: bool = True) -> Batch:
        return Batch.of_world(self.particles(rng, batch), self.inputs, self.outputs)
