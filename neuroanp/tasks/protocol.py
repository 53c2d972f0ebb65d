"""What every task offers: batches, a loss, a score and its controls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import numpy as np

from neuroanp.losses import Loss
from neuroanp.registry import Registry

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import BaseModel

    from neuroanp.source import World


class Episodes(NamedTuple):
    """What came of worlds in one presentation, float64; what comes after the end of an episode is nan.

    Args:
        inputs: (T, B, lines) what the network saw. y: (T, B, O) its outputs. rewards: (T, B) what it got for them.
        raw: (T, B, I) what was shown, before an encoder made lines of it; the same array where none did.
    """

    inputs: np.ndarray
    y: np.ndarray
    rewards: np.ndarray
    raw: np.ndarray

    @property
    def returns(self) -> np.ndarray:
        """The sum of the rewards of each episode, (B,)."""
        return np.nansum(self.rewards, axis=0)

    @property
    def lengths(self) -> np.ndarray:
        """Steps of each episode, (B,)."""
        return (~np.isnan(self.rewards)).sum(axis=0)


@dataclass(frozen=True)
class Batch:
    """Sequences with targets.

    Args:
        inputs: (T, B, I) float64, dimensionless and within [-1, 1] where the task can see to it.
        targets: (T, B, O) float64.
        mask: (T,) float64; 1 where a step is scored, 0 elsewhere.
        raw: the same sequences before an encoder turned them into spikes or currents, step for step
            of the task; None where no encoder did.
        training: of held-out sequences, those that training repeats, where scores are to tell of both; else None.
        world: what answers the outputs, where nobody knows the inputs before: inputs and targets are then nan (see
            `of_world`). None: the inputs are shown as they are.
        episodes: what came of a world, where sequences are scored; None: of data, and before.

    >>> Batch(np.zeros((4, 2, 1)), np.zeros((4, 2, 1)), np.array([0.0, 0.0, 1.0, 1.0]))
    Batch(2 sequences of 4 steps, 1 inputs, 1 outputs, 2 steps scored)
    """

    inputs: np.ndarray
    targets: np.ndarray
    mask: np.ndarray
    raw: Batch | None = None
    training: Batch | None = None
    world: World | None = None
    episodes: Episodes | None = None

    @classmethod
    def of_world(cls, world: World, inputs: int, outputs: int) -> Batch:
        """Return the batch that a world is: its inputs (T, B, I) and targets (T, B, O) are nan, and take no room.

        Args: world: of T steps and B sequences. inputs, outputs: I and O, how many there are.

        >>> from neuroanp.tasks.reaching import Reaching
        >>> task = Reaching(Reaching.config(steps=5))
        >>> Batch.of_world(task.sample(np.random.default_rng(0), 3).world, task.inputs, task.outputs)
        Batch(3 worlds of 5 steps at most, 2 inputs, 3 outputs)
        """
        T, B = world.steps, world.batch
        unknown = [np.broadcast_to(np.nan, (T, B, n)) for n in (inputs, outputs)]
        return cls(unknown[0], unknown[1], np.ones(T), world=world)

    def __repr__(self) -> str:
        T, B, I = self.inputs.shape  # noqa: E741 - the paper's letters
        if self.world is not None:
            return f"Batch({B} worlds of {T} steps at most, {I} inputs, {self.targets.shape[2]} outputs)"
        encoded = "" if self.raw is None else f", encoded from {self.raw.inputs.shape[0]} steps"
        return (
            f"Batch({B} sequences of {T} steps, {I} inputs, {self.targets.shape[2]} outputs, "
            f"{int(self.mask.sum())} steps scored{encoded})"
        )


class Task(Protocol):
    """A task: sequences, how outputs are scored, and the loss that is learned and reported, at the scored steps.

    `config` is the model of the options a user can set; a task is built from it.
    `loss` is one value: `losses.SQUARED_ERROR`, or what its options name (see `tasks.options.TaskOptions`).
    `forecast` tells whether persistence and the lagged linear model make sense as controls.

    Args: options: an instance of its `config`.

    >>> from neuroanp.tasks.xor import TemporalXor
    >>> task, rng = TemporalXor(TemporalXor.config(test_size=8)), np.random.default_rng(0)
    >>> task.sample(rng, 5), task.account(), task.table, repr(task.fingerprint())
    (Batch(5 sequences of 80 steps, 2 inputs, 1 outputs, 20 steps scored), (), None, "''")
    >>> batch = task.test(rng)
    >>> task.score(batch.targets, batch), task.persistence(batch)  # of a network that is always right
    ({'accuracy': 1.0, 'loss': 0.0}, None)
    """

    config: ClassVar[type[BaseModel]]
    name: str
    inputs: int
    outputs: int
    steps: int
    forecast: bool
    loss: Loss

    def __init__(self, options: Any) -> None:
        """Make the task from an instance of its `config`."""
        ...

    def sample(self, rng: np.random.Generator, batch: int) -> Batch:
        """Draw `batch` training sequences with rng."""
        ...

    def test(self, rng: np.random.Generator) -> Batch:
        """Return the held-out sequences (drawn with `rng` where the task is generated)."""
        ...

    def score(self, y: np.ndarray, batch: Batch) -> dict[str, float]:
        """Return the task's own scores of outputs, the first one the headline.

        Args: y: outputs, (T, B, O). batch: the sequences.
        """
        ...

    def persistence(self, batch: Batch) -> np.ndarray | None:
        """Return the forecast "nothing changes" (T, B, O), or None where it makes no sense.

        Args: batch: the sequences.
        """
        ...

    def fingerprint(self) -> str:
        """Return what identifies the data beyond the options (a file's hash), or the empty string."""
        ...

    def account(self) -> Sequence[str]:
        """Return what was taken of a user's data, what was left out and filled, a line each; () where there are none.

        "warning: " leads a doubt.
        """
        ...

    @property
    def table(self) -> InUnits | None:
        """What reads new rows and knows their units, where the inputs are columns of a table; None: they are not."""
        ...


class Held(NamedTuple):
    """What a task whose training data are finite keeps of them for validation.

    Args:
        rest: the task, which trains on what is left; all else of it is the same, its test sequences and its scales too.
        batch: the validation sequences.
        where: what was kept, in words: "the last 1,296 of 7,400 training rows".
    """

    rest: Task
    batch: Batch
    where: str


class HoldsOut(ABC):
    """Base of tasks whose training data are finite, so that training sequences could be those of validation.

    A task that draws fresh sequences whenever it is asked is no such task: its validation sequences are drawn as its
    training sequences are, from a stream of their own.
    """

    @property
    @abstractmethod
    def spare(self) -> int:
        """How many validation sequences there can be, with half of the training data left to learn from."""

    @abstractmethod
    def hold_out(self, size: int) -> Held:
        """Keep `size` sequences for validation, at most `spare`: none of their targets is one of training."""


class Rows(NamedTuple):
    """Rows of a table, ready to be presented.

    Args:
        values: (T, I) float64, in the units of the table; NaN, where rows apart lack a value: in time none does.
        times: T texts, or None where the task's table has no column of times.
        account: what was taken and what was left, a line each; those that begin with "warning: " are warnings.
    """

    values: np.ndarray
    times: list[str] | None
    account: tuple[str, ...]


class InUnits(Protocol):
    r"""What a task knows whose inputs are columns of a table: their names, and the units that the table has.

    Args:
        columns: names of the inputs, in their order. target: what the outputs tell; named: what each of them is called.
        ahead: rows from an input to the value that the output is to tell.
        reach: least and greatest of each input over the training rows, (I,) each, as `scaled` gives them: new rows far
            outside are warned of; None: nobody knows.

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from neuroanp.tasks.any_table import AnyTable
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "load.csv"
    ...     made = path.write_text("load_MW\n" + "\n".join(str(40 + k % 7) for k in range(200)))
    ...     table = AnyTable(AnyTable.config(path=path, target="load_MW", window=8, washout=2)).table
    ...     rows = table.read(path)
    >>> table.columns, table.target, table.ahead, rows.values.shape
    (('load_MW',), 'load_MW', 1, (200, 1))
    >>> u = table.scaled(rows.values)
    >>> u.shape, table.in_units(np.zeros((1, 1, 1))).item()
    ((200, 1), 40.0)
    >>> table.reach
    (array([0.]), array([1.]))
    """

    columns: tuple[str, ...]
    target: str
    named: tuple[str, ...]
    ahead: int

    @property
    def reach(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Return least and greatest of each input over the training rows, scaled, (I,) each; None: nobody knows."""
        ...

    def read(self, path: Path) -> Rows:
        """Read new rows as the task's own table was read: names, missing values, gaps, times.

        Args: path: of the table.

        Raises:
            InputError: all that is wrong with the table; rows of another step are wrong, too.
        """
        ...

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """Return values (R, I) of the table as the network's inputs, (T, I), or (T, B, I) where a row is a sequence."""
        ...

    def in_units(self, outputs: np.ndarray) -> np.ndarray:
        """Return outputs (..., O) of the network in the targets' units."""
        ...


TASKS: Registry[type[Task]] = Registry("task", "neuroanp.tasks", Task)
