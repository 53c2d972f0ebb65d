"""Keep sequences for validation that nothing is learned from, and that are no test sequences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from neuroanp.errors import InputError
from neuroanp.tasks.encoding import encoded, own_task
from neuroanp.tasks.protocol import Batch, Held, HoldsOut, Task

if TYPE_CHECKING:
    import numpy as np

PART = 5
"""One part in so many of the training data is for validation, where nothing is said."""


@dataclass(frozen=True)
class Validation:
    """Validation sequences of a task.

    Args:
        task: the task as the network sees it. size: how many sequences.
        held: what was kept of finite training data; None: they are drawn.
    """

    task: Task
    size: int
    held: Held | None

    def batch(self, rng: np.random.Generator) -> Batch:
        """Return the sequences: those that were kept, or drawn from `rng`, as their spikes are where there are any."""
        if self.held is None:
            return self.task.sample(rng, self.size)
        encodes = own_task(self.task)[1]
        return self.held.batch if encodes is None else encodes.encode(self.held.batch, rng)

    @property
    def where(self) -> str:
        """Where they come from, in words."""
        return "drawn as training sequences are, from a stream of their own" if self.held is None else self.held.where


def split(task: Task, size: int) -> tuple[Task, Validation]:
    """Return the task that trains on what is left, and the validation sequences.

    Args:
        task: as the network sees it. size: how many sequences are for validation.

    Raises:
        InputError: the training data are finite and too few.

    >>> import numpy as np
    >>> from neuroanp.tasks.mackey_glass import MackeyGlass, MackeyGlassConfig
    >>> whole = MackeyGlass(MackeyGlassConfig(train_length=1_000))
    >>> rest, validation = split(whole, 8)
    >>> validation.where, validation.batch(np.random.default_rng(0))
    ('the last 288 of 1,000 time units', Batch(8 sequences of 60 steps, 1 inputs, 1 outputs, 36 steps scored))
    """
    own, encodes = own_task(task)
    if not isinstance(own, HoldsOut):
        return task, Validation(task, size, None)
    if size > own.spare:
        raise InputError(
            f"training.validation: {size:,} sequences are too many: task '{own.name}' has training data for "
            f"{own.spare:,}, which leaves half of them to learn from; take fewer"
        )
    held = own.hold_out(size)
    rest = held.rest if encodes is None else encoded(held.rest, encodes.encoder, encodes.dt)
    return rest, Validation(task, size, held)


def usual_size(task: Task, rng: np.random.Generator) -> int:
    """Return how many validation sequences there are where nothing is said.

    As many as there are test sequences, and at most a fifth of training data that are finite.

    Args:
        task: as the network sees it. rng: of the test sequences.

    >>> import numpy as np
    >>> from neuroanp.tasks.xor import TemporalXor
    >>> usual_size(TemporalXor(TemporalXor.config(test_size=12)), np.random.default_rng(0))
    12
    """
    own = own_task(task)[0]
    tested = own.test(rng).inputs.shape[1]
    return min(tested, max(1, 2 * own.spare // PART)) if isinstance(own, HoldsOut) else tested
