"""Measure a network on held-out sequences: under the device's noise, and noise-free."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
import torch
from torch import Tensor

from neuroanp.backends.neuron import LIF
from neuroanp.learning.credit import squared_error
from neuroanp.noise import PassStreams, Streams
from neuroanp.trajectory import PassPlan

if TYPE_CHECKING:
    from neuroanp.backends.protocol import Backend
    from neuroanp.substrates.protocol import Substrate
    from neuroanp.tasks.protocol import Batch

NOISY = PassPlan(gain=(1.0,), stream=(0,), pairs="mean")
SILENT = PassPlan(gain=(0.0,), stream=(0,), pairs="mean")

SHOWN_SEQUENCES, SHOWN_UNITS, SHOWN_MEMBRANES = 4, 100, 4
"""How much of what spiking units did is kept for a figure."""


@dataclass(frozen=True)
class Evaluation:
    """Losses on the held-out sequences.

    Args:
        test_loss: mean squared error over scored steps and outputs, under the device's own noise.
        test_loss_noise_free: the same with read noise and node noise off.
        y: (T, B, O) the outputs under the device's noise.
        rates: (N,) Hz, how often each unit spiked under the device's noise; None where units do not spike.
    """

    test_loss: float
    test_loss_noise_free: float
    y: np.ndarray
    rates: np.ndarray | None = None


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
    noisy, fired = _outputs(held, substrate, backend, noise, window, NOISY)
    silent, _ = _outputs(held, substrate, backend, noise, window, SILENT)
    rates = None if fired is None else fired.double().cpu().numpy() / window
    return Evaluation(_loss(noisy, held), _loss(silent, held), noisy[:, 0].double().cpu().numpy(), rates)


def show(
    held: Held, substrate: Substrate, backend: Backend, streams: Streams, update: int, dt: float
) -> dict[str, np.ndarray]:
    """Present the first held-out sequences once under the device's noise and return what the units did, for a figure.

    Returns: spikes (T, S, N) uint8 of the first units, v (T, S, U) membrane potentials of a few of them
        before the reset, v_threshold (U,), inputs (T, S, I) input lines, dt_s (1,).
    """
    shown = held.inputs[:, :SHOWN_SEQUENCES]
    noise = PassStreams(streams, "test", update)
    window = shown.shape[0] * shown.shape[1] * dt
    reads = substrate.prepare(window, noise)
    options = {"keep": "states", "book": False, "artificial": False}
    chunks = list(backend.passes(substrate, reads, shown, NOISY, noise, **options))
    spikes = torch.cat([chunk.spikes[:, 0] for chunk in chunks if chunk.spikes is not None])
    v = torch.cat([chunk.v[:, 0] for chunk in chunks if chunk.v is not None])[..., :SHOWN_MEMBRANES]
    # in units of the threshold, as v is; what a threshold is to a user's equations is theirs to say
    least = 1.0 if isinstance(getattr(backend, "neuron", None), LIF) else float("nan")
    threshold = substrate.neurons.get("threshold", torch.full(v.shape[2:], least))[: v.shape[-1]]
    return {
        "spikes": spikes[..., :SHOWN_UNITS].to(torch.uint8).cpu().numpy(),
        "v": v.float().cpu().numpy(),
        "v_threshold": threshold.float().cpu().numpy(),
        "inputs": shown.float().cpu().numpy(),
        "dt_s": np.array([dt]),
    }


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
) -> tuple[Tensor, Tensor | None]:
    """Return the outputs (T, 1, B, O), and how often each unit spiked (N,), or None where units do not."""
    reads = substrate.prepare(window, noise, noise=plan is NOISY)
    options = {"keep": "loss", "book": False, "artificial": False}
    ys, fired = [], None
    for chunk in backend.passes(substrate, reads, held.inputs, plan, noise, **options):
        ys.append(chunk.y)
        if chunk.fired is not None:
            fired = chunk.fired if fired is None else fired + chunk.fired
    return torch.cat(ys), fired


def _loss(y: Tensor, held: Held) -> float:
    total = squared_error(y.double(), held.targets.double(), held.mask.double()).sum()
    return float(total / held.mask.double().sum() / y.shape[2])
