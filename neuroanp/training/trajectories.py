"""What every unit of the network that was scored does when it is presented inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from neuroanp.backends.protocol import Request
from neuroanp.errors import InputError
from neuroanp.noise import PassStreams
from neuroanp.training.evaluate import NOISY, SILENT, plain, window_s
from neuroanp.training.forward import as_switch, presented_by
from neuroanp.training.memory import available_memory
from neuroanp.training.revisit import looked_at, note_noise

if TYPE_CHECKING:
    from torch import Tensor

    from neuroanp.records.run_dir import RunDir
    from neuroanp.training.trainer import Trainer

COPIES = 4
"""Of all numbers: as the simulator has them, joined, and as they are returned."""


@dataclass(frozen=True)
class Units:
    """What the units of a layer did, of B sequences at each of T steps of the simulation.

    Args:
        h: (T, B, ports n) pre-activations, port after port; of spiking units the current that drives the membrane.
        x: (T, B, n) activities; of spiking units the filtered spike trace.
        spikes: (T, B, n) bool, whether a unit spiked; None where units do not.
        v: (T, B, n) membrane potentials; None where units have none.
    """

    h: np.ndarray
    x: np.ndarray
    spikes: np.ndarray | None = None
    v: np.ndarray | None = None


@dataclass(frozen=True, repr=False)
class Trajectories:
    """What a network did when it was presented inputs: T steps of the simulation, B sequences.

    Args:
        u: (T, B, lines) what the input lines carried: the inputs, or what the encoder made of them.
        y: (T, B, O) outputs. layers: what the units of each layer did, by its name.
        dt: chip time of a step, seconds. hold: steps of the simulation for each of the task's.

    >>> x = np.zeros((3, 2, 4))  # T, B, n
    >>> found = Trajectories(np.zeros((3, 2, 1)), np.zeros((3, 2, 1)), {"hidden": Units(x, x)}, dt=1e-3, hold=1)
    >>> found, found.hidden.x.shape, found.t.tolist()
    (Trajectories(3 steps, 2 sequences, 1 outputs; hidden 4 units), (3, 2, 4), [0.001, 0.002, 0.003])
    """

    u: np.ndarray
    y: np.ndarray
    layers: Mapping[str, Units]
    dt: float
    hold: int

    @property
    def hidden(self) -> Units:
        """What the units of the only layer did; InputError where there are several."""
        if len(self.layers) > 1:
            raise InputError(f"hidden: the network has {len(self.layers)} layers: layers[{', '.join(self.layers)}]")
        return next(iter(self.layers.values()))

    @property
    def t(self) -> np.ndarray:
        """(T,) chip time of each step's end since the presentation began, seconds."""
        return self.dt * np.arange(1, len(self.y) + 1)

    def __repr__(self) -> str:
        T, B, O = self.y.shape  # noqa: E741 - the paper's letters
        sizes = ", ".join(f"{name} {units.x.shape[2]} units" for name, units in self.layers.items())
        return f"Trajectories({T} steps, {B} sequences, {O} outputs; {sizes})"


def forward(record: RunDir, inputs: Any, noise: bool = True) -> Trajectories:
    """Present inputs to the network that was scored, and return what all its units did; the run is left as it is.

    Args: record, inputs, noise: as of `neuroanp.training.forward.predict`, whose outputs these are, to the last bit.

    Raises:
        InputError: as `predict`, or all the numbers do not fit into memory.
    """
    noise = as_switch(noise, "noise")
    with looked_at(record) as found:
        trainer = found.trainer
        lines, _, hold = presented_by(found.experiment, trainer, inputs)
        if noise:
            note_noise(record, trainer)
        _check_memory(trainer, lines)
        return _presented(trainer, lines, noise, hold)


def _presented(trainer: Trainer, lines: Tensor, noise: bool, hold: int) -> Trajectories:
    streams, plan = PassStreams(trainer.streams, "test", trainer.update), NOISY if noise else SILENT
    reads = trainer.substrate.prepare(window_s(lines, trainer.dt), streams, noise=noise)
    request = Request(
        trainer.substrate, reads, lines, plan, streams, keep="states", book=False, artificial=False
    )  # the same presentation as `evaluate.outputs`, which keeps outputs alone
    chunks = list(trainer.backend.run(request))
    layers = {name: _units([chunk.activities[name] for chunk in chunks]) for name in chunks[0].layers}
    y = torch.cat([chunk.y for chunk in chunks])
    return Trajectories(lines.double().cpu().numpy(), plain(y), layers, trainer.dt, hold)


def _units(parts: list[Any]) -> Units:
    """Join what a layer did chunk by chunk, of the one pass."""

    def joined(of: list[Tensor | None]) -> np.ndarray | None:
        there = [part[:, 0] for part in of if part is not None]
        return torch.cat(there).cpu().numpy() if there else None

    h, x = joined([part.h for part in parts]), joined([part.x for part in parts])
    assert h is not None  # every layer has them
    assert x is not None
    spikes = joined([part.spikes for part in parts])
    return Units(
        h.astype(np.float64), x.astype(np.float64), None if spikes is None else spikes.astype(bool),
        None if (v := joined([part.v for part in parts])) is None else v.astype(np.float64),
    )  # fmt: skip


def _check_memory(trainer: Trainer, lines: Tensor) -> None:
    network, there = trainer.substrate.network, available_memory()
    each = 8 * COPIES * (sum(network.lines.values()) + 3 * network.hidden)
    needed = lines.shape[0] * lines.shape[1] * each
    if there is not None and needed > there:
        raise InputError(
            f"inputs: trajectories of {lines.shape[0]:,} steps of {lines.shape[1]:,} sequences take about "
            f"{needed >> 20:,} MiB, and {there >> 20:,} are left; present fewer sequences at a time"
        )
