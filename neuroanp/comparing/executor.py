"""Who does runs: the one thing that comparisons, sweeps and searches ask, wherever the runs are done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

from neuroanp.comparing.worker import Job, Outcome


class Executor(Protocol):
    """Does jobs and tells what became of them; entered before the first, left after the last.

    What it must hold, wherever it does them (`tests/comparing/test_executors.py` holds every one to it):

    - A run is done by a process of its own (`neuroanp.comparing.process.Worker`), which ends with what started it.
    - The store is the truth: what it has is not done again, and what a dead worker leaves goes on from its checkpoint,
      three times at most; a run that is lost with the machine it was on, and has saved a checkpoint since the last
      time, any number of times. A failure is an outcome, and the others go on.
    - A run that another process holds is waited for.
    - What runs say (`event`), and how all stand (`neuroanp.comparing.standing`), goes to `progress`; what they log is
      logged once.
    - Left early, it asks each run to save a checkpoint, and waits for that.

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from neuroanp.comparing.choosing import executor_of
    >>> from neuroanp.comparing.limits import Limits
    >>> from neuroanp.training.configure import configure
    >>> with TemporaryDirectory() as folder, executor_of(2, None, Limits.of(None, None), False) as executor:
    ...     nothing = executor.run([], lambda event: None)
    ...     executor.slots, executor.where, executor.script, nothing
    (2, 'at most 2 at a time', None, [])
    """

    def __enter__(self) -> Self:
        """Reach whatever does the runs.

        Raises: RunError: it cannot be reached, or a part of it cannot be started.
        """
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of it; nothing that was started for it is left."""
        ...

    @property
    def slots(self) -> int:
        """Runs that are done at a time, as far as is known now."""
        ...

    @property
    def where(self) -> str:
        """How many at a time and where, in words: "at most 4 at a time"."""
        ...

    @property
    def script(self) -> str | None:
        """What is handed to a queue of jobs, as text; None: nothing is."""
        ...

    def run(
        self,
        jobs: Sequence[Job],
        progress: Callable[[dict[str, Any]], None],
        logged: set[tuple[Any, ...]] | None = None,
    ) -> list[Outcome]:
        """Do all jobs and return their outcomes in the order of the jobs.

        Args:
            jobs: what to do. progress: told of events. logged: what was logged already, for a caller that does more.

        Raises:
            InputError: a configuration names a profile or data that cannot be used; nothing has run then.
            RunError: nothing can be done any more; the same command goes on.
            KeyboardInterrupt: stopped by the user; every run has saved a checkpoint.
        """
        ...
