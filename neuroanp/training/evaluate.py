"""Measure a network on held-out sequences: under the device's noise, and noise-free."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from neuroanp.backends.neuron import LIF
from neuroanp.backends.protocol import Request
from neuroanp.devices.draws import numpy_dtype, sent
from neuroanp.losses import Loss, of_steps
from neuroanp.noise import PassStreams, Streams
from neuroanp.trajectory import PassPlan

if TYPE_CHECKING:
    from neuroanp.backends.protocol import Backend
    from neuroanp.network.network import Network
    from neuroanp.substrates.protocol import Substrate
    from neuroanp.tasks.protocol import Batch, Task

NOISY = PassPlan(noise=(1.0,), stream=(0,), pairs="mean")
SILENT = PassPlan(noise=(0.0,), stream=(0,), pairs="mean")

SHOWN_SEQUENCES, SHOWN_UNITS, SHOWN_MEMBRANES = 4, 100, 4
"""How much of what spiking units did is kept for a figure."""


@dataclass(frozen=True)
class Evaluation:
    """Losses on the held-out sequences.

    Args:
        test_loss: mean of the task's loss over scored steps and sequences, under the device's own noise.
        test_loss_noise_free: the same with read noise and node noise off.
        y: (T, B, O) the outputs under the device's noise.
        rates: (N,) Hz, how often each unit spiked under the device's noise, layer after layer; None where units do not
            spike.
    """

    test_loss: float
    test_loss_noise_free: float
    y: np.ndarray
    rates: np.ndarray | None = None


@dataclass(frozen=True)
class HeldOutBatch:
    """The held-out sequences as tensors: inputs (T, B, I), targets (T, B, O), mask (T,); and the loss of outputs."""

    batch: Batch
    inputs: Tensor
    targets: Tensor
    mask: Tensor
    loss: Loss

    @classmethod
    def of(cls, batch: Batch, like: Tensor, loss: Loss) -> HeldOutBatch:
        """Convert a task's batch to the dtype and device of `like`; `loss` is the task's."""
        return cls(batch, *(to_tensor(part, like) for part in (batch.inputs, batch.targets, batch.mask)), loss=loss)


def to_tensor(array: np.ndarray, like: Tensor) -> Tensor:
    """Convert an array to the dtype and device of `like`; the host does not wait until it is there."""
    return sent(np.ascontiguousarray(array).astype(numpy_dtype(like), copy=False), like)


def evaluate(
    held: HeldOutBatch, substrate: Substrate, backend: Backend, streams: Streams, update: int, dt: float
) -> Evaluation:
    """Present the held-out sequences twice: under the device's noise, and noise-free.

    Noise that no device makes is left out of both; nothing is booked: a chip is read by its user then.

    Args:
        held: the sequences; update: number of updates done, which names the noise; dt: seconds a step.
    """
    noise = PassStreams(streams, "test", update)
    noisy, fired = outputs(held.inputs, substrate, backend, noise, dt, NOISY)
    silent, _ = outputs(held.inputs, substrate, backend, noise, dt, SILENT)
    rates = None if fired is None else fired.double().cpu().numpy() / window_s(held.inputs, dt)
    return Evaluation(loss(noisy, held), loss(silent, held), plain(noisy), rates)


def noisy_loss(
    held: HeldOutBatch, substrate: Substrate, backend: Backend, streams: Streams, update: int, dt: float
) -> float:
    """Return the `test_loss` of `evaluate` alone: the held-out sequences presented once."""
    noisy, _ = outputs(held.inputs, substrate, backend, PassStreams(streams, "test", update), dt, NOISY)
    return loss(noisy, held)


def scores(
    task: Task, found: Evaluation, held: HeldOutBatch, again: Callable[[HeldOutBatch], Evaluation]
) -> dict[str, float]:
    """Return the task's scores, the headline first, and those of sequences that training repeats as "training_...".

    Args:
        task: the run's. found: of its held-out sequences. held: these.
        again: measures the network, as `found` was, on other sequences.
    """
    told = task.score(found.y, held.batch)
    training = held.batch.training
    if training is None:
        return told
    y = again(HeldOutBatch.of(training, held.inputs, held.loss)).y
    return told | {f"training_{name}": score for name, score in task.score(y, training).items()}


def show(
    held: HeldOutBatch, substrate: Substrate, backend: Backend, streams: Streams, update: int, dt: float
) -> dict[str, np.ndarray]:
    """Present the first held-out sequences once under the device's noise and return what the units did, for a figure.

    Of several layers it is the last one, which the outputs read.

    Returns: spikes (T, S, N) uint8 of the first units, v (T, S, U) membrane potentials of a few of them
        before the reset, v_threshold (U,), inputs (T, S, I) input lines, dt_s (1,).
    """
    shown = held.inputs[:, :SHOWN_SEQUENCES]
    noise = PassStreams(streams, "test", update)
    reads = substrate.prepare(window_s(shown, dt), noise)
    last = substrate.network.layers[-1]
    request = Request(substrate, reads, shown, NOISY, noise, keep="states", book=False, artificial=False)
    layers = [chunk.activities[last.name] for chunk in backend.run(request)]
    spikes = torch.cat([layer.spikes[:, 0] for layer in layers if layer.spikes is not None])
    v = torch.cat([layer.v[:, 0] for layer in layers if layer.v is not None])[..., :SHOWN_MEMBRANES]
    # in units of the threshold, as v is; what a threshold is to a user's equations is theirs to say
    least = 1.0 if isinstance(last.cell, LIF) else float("nan")
    factors = substrate.neurons.get(last.name, {})
    threshold = factors.get("threshold", torch.full(v.shape[2:], least))[: v.shape[-1]]
    return {
        "spikes": spikes[..., :SHOWN_UNITS].to(torch.uint8).cpu().numpy(),
        "v": v.float().cpu().numpy(),
        "v_threshold": threshold.float().cpu().numpy(),
        "inputs": shown.float().cpu().numpy(),
        "dt_s": np.array([dt]),
    }


def firing_of(network: Network, rates: np.ndarray) -> dict[str, Any]:
    """Return how units fired, in numbers: mean rate_Hz, silent (the share that never spiked); and by layer.

    Args:
        network: whose units they are. rates: (N,) Hz, layer after layer.

    Returns: of a network of several layers besides `layers`: by name the same two numbers, and units, their count.

    >>> from neuroanp.backends.neuron import LIF
    >>> from neuroanp.network.compose import Stacked, stack
    >>> two = stack(1, [Stacked(LIF(), 2), Stacked(LIF(), 1)], 1)
    >>> firing_of(two, np.array([3.0, 0.0, 0.0]))["layers"]  # doctest: +NORMALIZE_WHITESPACE
    {'hidden_1': {'units': 2, 'rate_Hz': 1.5, 'silent': 0.5},
     'hidden_2': {'units': 1, 'rate_Hz': 0.0, 'silent': 1.0}}
    """
    ends = np.cumsum([layer.units for layer in network.layers])
    parts = zip(network.layers, np.split(rates, ends[:-1]), strict=True)
    layers = {layer.name: {"units": layer.units} | _firing(own) for layer, own in parts}
    return _firing(rates) | ({"layers": layers} if len(layers) > 1 else {})


def _firing(rates: np.ndarray) -> dict[str, float]:
    return {"rate_Hz": float(rates.mean()), "silent": float((rates == 0).mean())}


def learning_loss(
    held: HeldOutBatch, substrate: Substrate, backend: Backend, noise: PassStreams, dt: float, book: bool
) -> float:
    """Return the loss of sequences under the device's noise, presented once, where looking is a part of learning.

    So its reads are booked, unless nobody looks at the books, and the chip's time goes on meanwhile.
    """
    noisy, _ = outputs(held.inputs, substrate, backend, noise, dt, NOISY, book)
    substrate.elapse(window_s(held.inputs, dt))
    return loss(noisy, held)


def outputs(
    inputs: Tensor, substrate: Substrate, backend: Backend, noise: PassStreams, dt: float, plan: PassPlan,
    book: bool = False,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """Present inputs (T, B, I) once: the forward pass of every evaluation and prediction.

    Args:
        inputs: without the bias line.
        substrate, backend: the network. noise: where its noise is drawn from. dt: seconds a step.
        plan: NOISY, under the noise of the device alone, or SILENT.
        book: whether the ledger counts the reads.

    Returns: the outputs (T, 1, B, O), and how often each unit spiked (N,), layer after layer, or None where units do
        not.
    """
    reads = substrate.prepare(window_s(inputs, dt), noise, noise=plan is NOISY)
    request = Request(substrate, reads, inputs, plan, noise, keep="loss", book=book, artificial=False)
    ys, fired = [], None
    for chunk in backend.run(request):
        ys.append(chunk.y)
        if chunk.fired is not None:
            all_layers = torch.cat([*chunk.fired.values()])
            fired = all_layers if fired is None else fired + all_layers
    return torch.cat(ys), fired


def window_s(inputs: Tensor, dt: float) -> float:
    """Return how long the chip takes to be shown inputs (T, B, I), one sequence after the other: T B dt seconds."""
    return inputs.shape[0] * inputs.shape[1] * dt


def plain(y: Tensor) -> np.ndarray:
    """Return outputs (T, 1, B, O) as float64 numbers of numpy, (T, B, O)."""
    return y[:, 0].double().cpu().numpy()


def loss(y: Tensor, held: HeldOutBatch) -> float:
    """Return the mean loss of outputs (T, 1, B, O) over scored steps and sequences."""
    total = of_steps(held.loss, y.double(), held.targets.double(), held.mask.double()).sum()
    return float(total / held.mask.double().sum() / y.shape[2])
