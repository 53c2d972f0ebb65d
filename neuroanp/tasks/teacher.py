"""Teacher: do what a small recurrent network does, from its inputs and outputs alone."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np
from pydantic import BaseModel, Field, model_validator

from neuroanp.losses import mean_loss
from neuroanp.tasks.options import TaskOptions
from neuroanp.tasks.protocol import Batch
from neuroanp.tasks.scoring import nrmse

PAPER = (0.3, 0.7, 1.0)
"""theta_1 (recurrent), theta_2 (input), theta_3 (output) of the authors' code."""
SINES = 3


class TeacherConfig(TaskOptions):
    """Options of the teacher task."""

    units: int = Field(default=1, ge=1, le=1_000, description="units of the teacher")
    leak: float = Field(default=0.1, gt=0, le=1, description="a, the share of an activity that a step renews")
    steps: int = Field(default=100, ge=3, le=1_000_000, description="steps of a sequence")
    washout: int = Field(default=20, ge=0, description="first steps, which are not scored")
    drawn: int = Field(default=0, ge=0, description="several units: which of the teachers that are drawn")
    test_size: int = Field(default=64, ge=1, le=1_000_000, description="test sequences")

    @model_validator(mode="after")
    def _scores_two_steps(self) -> TeacherConfig:
        if self.steps - self.washout < 2:
            raise ValueError(f"washout {self.washout} leaves fewer than 2 of the {self.steps} steps; lower washout")
        return self


class Arrays(NamedTuple):
    """What the teacher is made of: w_in (n, 1), w (n, n), w_out (1, n)."""

    w_in: np.ndarray
    w: np.ndarray
    w_out: np.ndarray


class Teacher:
    """Imitate a recurrent network of a few leaky units.

        z_t = (1 - a) z_{t-1} + a tanh(W z_{t-1} + W_in u_t),   target_t = W_out z_t

    One unit has the parameters of arXiv 2410.13563, W .3, W_in .7, W_out 1: Euler steps of a of its equation
    dz/dt = tanh(theta_1 z + theta_2 u) - z. Those of several are drawn. A network of as many units of cell leaky_tanh,
    with the same leak, can do it without error. u is the mean of three sines, of periods of 20 to 100 steps.

    Args:
        options: the task's options.

    >>> task = Teacher(TeacherConfig(leak=1.0, steps=3, washout=0, test_size=1))
    >>> batch = task.test(np.random.default_rng(0))
    >>> u, z = batch.inputs[:, 0, 0], batch.targets[:, 0, 0]
    >>> bool(np.allclose(z[1:], np.tanh(0.3 * z[:-1] + 0.7 * u[1:]), rtol=1e-12, atol=0))
    True
    """

    config: ClassVar[type[BaseModel]] = TeacherConfig
    table: ClassVar[None] = None
    name = "teacher"
    forecast = False
    inputs, outputs = 1, 1

    def __init__(self, options: TeacherConfig) -> None:
        self.options, self.loss, self.steps = options, options.made_loss(), options.steps
        self.arrays = _drawn(options.units, options.drawn)

    def sample(self, rng: np.random.Generator, batch: int) -> Batch:
        """Draw `batch` sequences, and show them to the teacher."""
        period, phase = rng.uniform(20.0, 100.0, (batch, SINES)), rng.uniform(0.0, 2.0 * np.pi, (batch, SINES))
        t = np.arange(self.steps)[:, None, None]
        u = np.sin(2.0 * np.pi * t / period + phase).mean(2, keepdims=True)
        mask = (np.arange(self.steps) >= self.options.washout).astype(float)
        return Batch(u, self.taught(u), mask)

    def test(self, rng: np.random.Generator) -> Batch:
        """Draw `test_size` sequences."""
        return self.sample(rng, self.options.test_size)

    def taught(self, u: np.ndarray) -> np.ndarray:
        """Return what the teacher makes of inputs (T, B, 1), from rest: (T, B, 1)."""
        a, (w_in, w, w_out) = self.options.leak, self.arrays
        z, out = np.zeros((u.shape[1], len(w))), []
        for now in u:
            z = (1.0 - a) * z + a * np.tanh(now @ w_in.T + z @ w.T)
            out.append(z @ w_out.T)
        return np.stack(out)

    def score(self, y: np.ndarray, batch: Batch) -> dict[str, float]:
        """Return `nrmse`, the root of the squared error relative to the targets' variance, and `loss`, the task's."""
        return {"nrmse": nrmse(y, batch), "loss": mean_loss(self.loss, y, batch)}

    def persistence(self, batch: Batch) -> None:
        """Return None: the inputs do not hold the present value."""

    def fingerprint(self) -> str:
        """Return the empty string: the options say everything."""
        return ""

    def account(self) -> tuple[str, ...]:
        """Return (): the data are no file of a user's."""
        return ()


def _drawn(n: int, which: int) -> Arrays:
    """Return the paper's unit, or a teacher of n units: inputs of sd 1, recurrence of radius about 1, output mean."""
    if n == 1:
        back, into, out = PAPER
        return Arrays(np.array([[into]]), np.array([[back]]), np.array([[out]]))
    rng = np.random.default_rng([n, which])
    return Arrays(rng.normal(size=(n, 1)), rng.normal(size=(n, n)) / np.sqrt(n), np.full((1, n), 1.0 / n))
