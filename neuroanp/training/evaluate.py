"""Measure a network on held-out sequences: under the device's noise, and noise-free."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from neuroanp.backends.neuron import LIF
from neuroanp.backends.protocol import Request
from neuroanp.devices.draws import numpy_dtype, sent
from neuroanp.losses import Loss, of_steps
from neuroanp.noise import PassStreams, Streams
from neuroanp.source import Source
from neuroanp.tasks.protocol import Episodes
from neuroanp.training.watched import Watched
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
        episodes: what came of a world under the device's noise, whose loss is minus the mean reward a step of T; None
            of data.
    """

    test_loss: float
    test_loss_noise_free: float
    y: np.ndarray
    rates: np.ndarray | None = None
    episodes: Episodes | None = None


@dataclass(frozen=True)
class HeldOutBatch:
    """The held-out sequences as tensors: inputs (T, B, I), targets (T, B, O), mask (T,); and the loss of outputs.

    Of a world the inputs are the world.
    """

    batch: Batch
    inputs: Source
    targets: Tensor
    mask: Tensor
    loss: Loss

    @classmethod
    def of(cls, batch: Batch, like: Tensor, loss: Loss) -> HeldOutBatch:
        """Convert a task's batch to the dtype and device of `like`; `loss` is the task's."""
        return cls(batch, *of_batch(batch, like), loss=loss)


def of_batch(batch: Batch, like: Tensor) -> tuple[Source, Tensor, Tensor]:
    """Return the inputs of a batch, data or a world, its targets and its mask, in the dtype and device of `like`."""
    source = batch.world or to_tensor(batch.inputs, like)
    return source, to_tensor(batch.targets, like), to_tensor(batch.mask, like)


class Presented(NamedTuple):
    """What came of one presentation.

    Args:
        y: (T, 1, B, O) outputs. fired: (N,) how often each unit spiked, layer after layer; None: none does.
        losses: (T, 1, B) what a world said; None of data. live: (T, B) how far.
        inputs: (T, B, I) what it showed, spikes where it is encoded. shown: what that was before; None: the same.
    """

    y: Tensor
    fired: Tensor | None
    losses: Tensor | None = None
    inputs: Tensor | None = None
    live: Tensor | None = None
    shown: Tensor | None = None

    def loss(self, held: HeldOutBatch) -> float:
        """Return the mean loss over scored steps and sequences; of a world over all T steps, of which some are 0."""
        if self.losses is None:
            return loss(self.y, held)
        return float(self.losses.double().sum() / held.mask.double().sum() / self.y.shape[2])

    def episodes(self, steps: int) -> Episodes | None:
        """Return what came of a world of so many steps at most; None of data."""
        if self.losses is None or self.inputs is None:
            return None
        B = self.y.shape[2]
        live = np.zeros((steps, B), bool)
        live[: len(self.y)] = True if self.live is None else self.live.cpu().numpy()

        def whole(part: Tensor) -> np.ndarray:
            found = np.full((steps, *part.shape[1:]), np.nan)
            found[: len(part)] = part.double().cpu().numpy()
            found[~live] = np.nan
            return found

        seen = whole(self.inputs)
        raw = seen if self.shown is None else whole(self.shown)
        return Episodes(seen, whole(self.y[:, 0]), whole(-self.losses[:, 0]), raw)


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
    noisy = outputs(held.inputs, substrate, backend, noise, dt, NOISY)
    silent = outputs(held.inputs, substrate, backend, noise, dt, SILENT)
    lasted = window_s(held.inputs, dt) if noisy.live is None else float(noisy.live.sum()) * dt
    rates = None if noisy.fired is None else noisy.fired.double().cpu().numpy() / lasted
    episodes = noisy.episodes(len(held.mask))
    y = plain(noisy.y) if episodes is None else episodes.y
    return Evaluation(noisy.loss(held), silent.loss(held), y, rates, episodes)


def noisy_loss(
    held: HeldOutBatch, substrate: Substrate, backend: Backend, streams: Streams, update: int, dt: float
) -> float:
    """Return the `test_loss` of `evaluate` alone: the held-out sequences presented once."""
    return outputs(held.inputs, substrate, backend, PassStreams(streams, "test", update), dt, NOISY).loss(held)


def scores(
    task: Task, found: Evaluation, held: HeldOutBatch, again: Callable[[HeldOutBatch], Evaluation]
) -> dict[str, float]:
    """Return the task's scores, the headline first, and those of sequences that training repeats as "training_...".

    Args:
        task: the run's. found: of its held-out sequences. held: these.
        again: measures the network, as `found` was, on other sequences.
    """
    told = task.score(found.y, replace(held.batch, episodes=found.episodes))
    training = held.batch.training
    if training is None:
        return told
    y = again(HeldOutBatch.of(training, held.targets, held.loss)).y
    return told | {f"training_{name}": score for name, score in task.score(y, training).items()}


def show(
    held: HeldOutBatch, substrate: Substrate, backend: Backend, streams: Streams, update: int, dt: float
) -> dict[str, np.ndarray]:
    """Present the first held-out sequences once under the device's noise and return what the units did, for a figure.

    Of several layers it is the last one, which the outputs read.

    Returns: spikes (T, S, N) uint8 of the first units, v (T, S, U) membrane potentials of a few of them
        before the reset, v_threshold (U,), inputs (T, S, I) input lines, dt_s (1,).
    """
    shown = held.inputs[:, :SHOWN_SEQUENCES] if isinstance(held.inputs, Tensor) else held.inputs
    noise = PassStreams(streams, "test", update)
    reads = substrate.prepare(window_s(shown, dt), noise)
    last = substrate.network.layers[-1]
    source = shown if isinstance(shown, Tensor) else Watched(shown)
    request = Request(substrate, reads, source, NOISY, noise, keep="states", book=False, artificial=False)
    chunks = [*backend.run(request)]
    steps = sum(len(chunk.y) for chunk in chunks)
    seen = source.inputs(steps)[:, :SHOWN_SEQUENCES] if isinstance(source, Watched) else source
    layers = [chunk.activities[last.name] for chunk in chunks]
    first = slice(0, SHOWN_SEQUENCES)
    spikes = torch.cat([layer.spikes[:, 0, first] for layer in layers if layer.spikes is not None])
    v = torch.cat([layer.v[:, 0, first] for layer in layers if layer.v is not None])[..., :SHOWN_MEMBRANES]
    # in units of the threshold, as v is; what a threshold is to a user's equations is theirs to say
    least = 1.0 if isinstance(last.cell, LIF) else float("nan")
    factors = substrate.neurons.get(last.name, {})
    threshold = factors.get("threshold", torch.full(v.shape[2:], least))[: v.shape[-1]]
    return {
        "spikes": spikes[..., :SHOWN_UNITS].to(torch.uint8).cpu().numpy(),
        "v": v.float().cpu().numpy(),
        "v_threshold": threshold.float().cpu().numpy(),
        "inputs": seen.float().cpu().numpy(),
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
    noisy = outputs(held.inputs, substrate, backend, noise, dt, NOISY, book)
    substrate.elapse(window_s(held.inputs, dt) if noisy.live is None else float(noisy.live.sum()) * dt)
    return noisy.loss(held)


def outputs(
    inputs: Source, substrate: Substrate, backend: Backend, noise: PassStreams, dt: float, plan: PassPlan,
    book: bool = False,
) -> Presented:  # fmt: skip
    """Present inputs (T, B, I), or a world, once: the forward pass of every evaluation and prediction.

    Args:
        inputs: without the bias line.
        substrate, backend: the network. noise: where its noise is drawn from. dt: seconds a step.
        plan: NOISY, under the noise of the device alone, or SILENT.
        book: whether the ledger counts the reads.
    """
    reads = substrate.prepare(window_s(inputs, dt), noise, noise=plan is NOISY)
    source = inputs if isinstance(inputs, Tensor) else Watched(inputs)
    request = Request(substrate, reads, source, plan, noise, keep="loss", book=book, artificial=False)
    ys, fired, losses, lives = [], None, list[Tensor](), list[Tensor]()
    for chunk in backend.run(request):
        ys.append(chunk.y)
        if chunk.loss is not None:
            losses.append(chunk.loss)
        if chunk.live is not None:
            lives.append(chunk.live[:, 0])
        if chunk.fired is not None:
            all_layers = torch.cat([*chunk.fired.values()])
            fired = all_layers if fired is None else fired + all_layers
    told, live = (torch.cat(parts) if parts else None for parts in (losses, lives))
    y = torch.cat(ys)
    seen, raw = (None, None) if isinstance(source, Tensor) else (source.inputs(len(y)), source.shown(len(y)))
    return Presented(y, fired, told, seen, live, raw)


def window_s(inputs: Source, dt: float) -> float:
    """Return how long the chip takes to be shown inputs (T, B, I), one sequence after the other: T B dt seconds.

    A world takes that at most.
    """
    steps, batch = inputs.shape[:2] if isinstance(inputs, Tensor) else (inputs.steps, inputs.batch)
    return steps * batch * dt


def plain(y: Tensor) -> np.ndarray:
    """Return outputs (T, 1, B, O) as float64 numbers of numpy, (T, B, O)."""
    return y[:, 0].double().cpu().numpy()


def loss(y: Tensor, held: HeldOutBatch) -> float:
    """Return the mean loss of outputs (T, 1, B, O) over scored steps and sequences."""
    total = of_steps(held.loss, y.double(), held.targets.double(), held.mask.double()).sum()
    return float(total / held.mask.double().sum() / y.shape[2])
