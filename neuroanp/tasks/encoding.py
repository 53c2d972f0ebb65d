"""A task seen through an encoder: the same sequences, in steps of the simulation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np
from pydantic import BaseModel

from neuroanp.tasks.encoded_world import EncodedWorld
from neuroanp.tasks.encoders import Current, Encoder
from neuroanp.tasks.protocol import Batch, Episodes, InUnits, Task


def encoded(task: Task, encoder: Encoder, dt: float) -> Task:
    """Return the task as the network sees it: itself where values go in as they are, else an `Encoded`.

    Args:
        task: what to encode.
        encoder: how.
        dt: seconds a step of the simulation.

    Raises:
        ValueError: the encoder's options make no sense at this dt.
    """
    if type(encoder) is Current and encoder.hold == 1:
        return task
    # the protocol asks for a class variable `config`, which here depends on the wrapped task
    return cast("Task", Encoded(task, encoder, dt))


class Encoded:
    """Wrap a task so that its inputs come out encoded; itself a task.

    A step of the task lasts `hold` steps of the simulation, at each of which the target stands. Only
    the last of them is scored: before it the network has not seen all of what encodes the step, and
    one scored step of simulation for each of the task keeps losses, summed or averaged, comparable
    between encoders.

    The task draws first, so that its sequences are the same under every encoder; spikes come from a
    generator of their own, seeded by what is drawn next.

    Args:
        task: the task; encoder: how its inputs are encoded; dt: seconds a step of the simulation.

    Raises:
        ValueError: the encoder's options make no sense at this dt.

    >>> from neuroanp.tasks.copy import Copy, CopyConfig
    >>> from neuroanp.tasks.encoders import Population
    >>> task = Encoded(Copy(CopyConfig()), Population(n=6, hold=5), 1e-3)
    >>> batch = task.sample(np.random.default_rng(0), 2)
    >>> batch.inputs.shape, batch.raw.inputs.shape  # 5 x 9 steps, 6 x 5 lines
    ((45, 2, 30), (9, 2, 5))
    >>> np.flatnonzero(batch.mask).tolist()
    [34, 39, 44]
    """

    def __init__(self, task: Task, encoder: Encoder, dt: float) -> None:
        encoder.check(dt)
        self.task, self.encoder, self.dt = task, encoder, dt
        self.config: type[BaseModel] = task.config
        self.name, self.forecast, self.loss = task.name, task.forecast, task.loss
        self.inputs, self.outputs = encoder.lines(task.inputs), task.outputs
        self.steps = task.steps * encoder.hold

    def sample(self, rng: np.random.Generator, batch: int) -> Batch:
        """Draw `batch` training sequences of the task, then their spikes."""
        return self.encode(self.task.sample(rng, batch), rng)

    def test(self, rng: np.random.Generator) -> Batch:
        """Return the task's held-out sequences with spikes drawn from `rng`."""
        return self.encode(self.task.test(rng), rng)

    def lines(self, inputs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return what the input lines carry for values (T, B, I) of one's own: (T hold, B, lines).

        Args:
            inputs: the task's own numbers.
            rng: as for `test`, whose spikes are drawn: of its own values these lines are those of its batch.
        """
        self.task.test(rng)  # draws what comes before the spikes
        return self.encoder.encode(inputs, self._spikes(rng), self.dt)

    def score(self, y: np.ndarray, batch: Batch) -> dict[str, float]:
        """Return the task's scores of the outputs (T hold, B, O) at the last simulation step of each of its own.

        Raises:
            ValueError: the batch was not encoded.
        """
        hold = self.encoder.hold
        raw = _raw(batch)
        if batch.episodes is not None:
            raw = replace(raw, episodes=Episodes(*(part[hold - 1 :: hold] for part in batch.episodes)))
        return self.task.score(y[hold - 1 :: hold], raw)

    def persistence(self, batch: Batch) -> np.ndarray | None:
        """Return the task's forecast "nothing changes", held (T hold, B, O), or None where it makes no sense.

        Raises:
            ValueError: the batch was not encoded.
        """
        still = self.task.persistence(_raw(batch))
        return None if still is None else np.repeat(still, self.encoder.hold, axis=0)

    def fingerprint(self) -> str:
        """Return what identifies the task's data."""
        return self.task.fingerprint()

    def account(self) -> Sequence[str]:
        """Return what the task took of its data."""
        return self.task.account()

    @property
    def table(self) -> InUnits | None:
        """What reads new rows for the task, before the encoder."""
        return self.task.table

    def encode(self, raw: Batch, rng: np.random.Generator) -> Batch:
        """Return sequences of the task as the network sees them, with spikes drawn from `rng`."""
        hold = self.encoder.hold
        own = self._spikes(rng)
        if raw.world is not None:
            key = own.integers(2**64, size=2, dtype=np.uint64)
            world = EncodedWorld(raw.world, self.encoder, key, self.dt)
            batch = Batch.of_world(world, self.inputs, self.outputs)
            return replace(batch, mask=np.tile(np.eye(hold)[-1], len(raw.mask)), raw=raw)
        mask = np.zeros(len(raw.mask) * hold)
        mask[hold - 1 :: hold] = raw.mask
        inputs = self.encoder.encode(raw.inputs, own, self.dt)
        training = None if raw.training is None else self.encode(raw.training, rng)
        return Batch(inputs, np.repeat(raw.targets, hold, axis=0), mask, raw, training)

    @staticmethod
    def _spikes(rng: np.random.Generator) -> np.random.Generator:
        """Return the generator that spikes are drawn from, seeded by what is drawn next."""
        return np.random.Generator(np.random.Philox(key=rng.integers(2**64, size=2, dtype=np.uint64)))


def own_task(task: Task) -> tuple[Task, Encoded | None]:
    """Return a task as its user knows it, and what encodes it for the network; None where values go in as they are.

    >>> from neuroanp.tasks.xor import TemporalXor
    >>> own_task(TemporalXor(TemporalXor.config()))[1] is None
    True
    """
    found = cast("object", task)  # to the protocol no Encoded is a Task: see `encoded`
    return (found.task, found) if isinstance(found, Encoded) else (task, None)


def _raw(batch: Batch) -> Batch:
    if batch.raw is None:
        raise ValueError("the batch holds no sequences from before an encoder; take one from `sample` or `test`")
    return batch.raw
