"""Measure a network on held-out sequences: under the device's noise, and noise-free."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
import torch
from torch import Tensor

from neuroanp.learning.credit import squared_error
from neuroanp.noise import PassStreams, Streams
from neuroanp.trajectory import PassPlan

if TYPE_CHECKING:
    from neuroanp.backends.protocol import Backend
    from neuroanp.substrates.protocol import Substrate
    from neuroanp.tasks.protocol import Batch

NOISY = PassPlan(gain=(1.0,), stream=(0,), pairs="mean")
SILENT = PassPlan(gain=(0.0,), stream=(0,), pairs="mean")


@dataclass(frozen=True)
class Evaluation:
    """Losses on the held-out sequences.

    Args:
        test_loss: mean squared error over scored steps and outputs, under the device's own noise.
        test_loss_noise_free: the same with read noise and node noise off.
        y: (T, B, O) the outputs under the device's noise.
    """

    test_loss: float
    test_loss_noise_free: float
    y: np.ndarray


@dataclass(frozen=True)
class Held:
    """The held-out sequences as tensors: inputs (T, B, I), targets (T, B, O), mask (T,)."""

    batch: Batch
    inputs: Tensor
    targets: Tensor
    mask: Tensor

    @classmethod
    def of(cls, batch: Batch, like: Tensor) -> Held:
        """Convert a task's batch to the dtype and device of `like`."""
        return cls(batch, *(to_tensor(part, like) for part in (batch.inputs, batch.targets, batch.mask)))


def to_tensor(array: np.ndarray, like: Tensor) -> Tensor:
    """Convert an array to the dtype and device of `like`."""
    return torch.from_numpy(np.ascontiguousarray(array)).to(dtype=like.dtype, device=like.device)


def evaluate(
    held: Held, substrate: Substrate, backend: Backend, streams: Streams, update: int, dt: float
) -> Evaluation:
    """Present the held-out sequences twice: under the device's noise, and noise-free.

    Noise that no device makes is left out of both; nothing is booked: a chip is read by its user then.

    Args:
        held: the sequences; update: number of updates done, which names the noise; dt: seconds a step.
    """
    window = held.inputs.shape[0] * held.inputs.shape[1] * dt
    noise = PassStreams(streams, "test", update)
    noisy = _outputs(held, substrate, backend, noise, window, NOISY)
    silent = _outputs(held, substrate, backend, noise, window, SILENT)
    return Evaluation(_loss(noisy, held), _loss(silent, held), noisy[:, 0].double().cpu().numpy())


class Clocked(Protocol):
    """What has a clock: `now`, chip time in seconds, which its devices' laws are asked at."""

    now: float


@contextmanager
def idle(substrate: Substrate, seconds: float) -> Iterator[None]:
    """Let a chip lie idle for what is read inside: conductances relax, drift or leak until then.

    Reading alters no device, so that afterwards the clock alone is set back: chip and books are as before.

    Args:
        substrate: the chip; nothing may be written to it inside.
        seconds: of chip time, at least 0.
    """
    chip = cast("Clocked", substrate)
    before = chip.now
    chip.now = before + seconds
    try:
        yield
    finally:
        chip.now = before


def _outputs(
    held: Held, substrate: Substrate, backend: Backend, noise: PassStreams, window: float, plan: PassPlan
) -> Tensor:
    reads = substrate.prepare(window, noise, noise=plan is NOISY)
    options = {"keep": "loss", "book": False, "artificial": False}
    return torch.cat([chunk.y for chunk in backend.passes(substrate, reads, held.inputs, plan, noise, **options)])


def _loss(y: Tensor, held: Held) -> float:
    total = squared_error(y.double(), held.targets.double(), held.mask.double()).sum()
    return float(total / held.mask.double().sum() / y.shape[2])
