"""Who does the runs of a call, and that no other call does runs of the same store meanwhile."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroanp.errors import InputError, all_of, did_you_mean
from neuroanp.records.sweep_lock import OTHERS, REFUSE, held_for_sweep
from neuroanp.training.arguments import switch
from neuroanp.training.plain import plain

if TYPE_CHECKING:
    from neuroanp.comparing.executor import Executor


@dataclass
class Doing:
    """Who does runs, for as long as a call needs them.

    Args:
        executor: who. others: what to do where another command holds the store: "refuse", "wait" or "share".
    """

    executor: Executor
    others: str = REFUSE
    _begun: list[Path] = field(default_factory=list[Path])

    @classmethod
    def of(
        cls, workers: Any = None, cluster: Any = None, time_limit: Any = None, memory_limit: Any = None,
        others: Any = REFUSE, dashboard: Any = False,
    ) -> Doing:  # fmt: skip
        """Read the arguments that `compare` and the others have in common; one InputError tells of all problems."""
        from neuroanp.comparing.choosing import executor_of
        from neuroanp.comparing.limits import Limits

        limits, when, shown = all_of(
            lambda: Limits.of(plain(time_limit, "time_limit"), plain(memory_limit, "memory_limit")),
            lambda: _others(others),
            lambda: switch("dashboard", dashboard),
        )
        return cls(executor_of(plain(workers, "workers"), cluster, limits, shown), when)

    @contextmanager
    def on(self, root: Path, command: Sequence[str]) -> Generator[None]:
        """Hold a store and reach who does its runs, while the block runs; a block inside changes nothing."""
        if self._begun:
            yield
            return
        with held_for_sweep(root, command, self.others), self.executor:
            self._begun.append(root)
            try:
                yield
            finally:
                self._begun.clear()


def _others(given: Any) -> str:
    if given not in OTHERS:
        raise InputError(f"others: {given!r:.80} is none of {', '.join(OTHERS)}{did_you_mean(str(given), OTHERS)}")
    return given
