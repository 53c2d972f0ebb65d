"""Remove runs from a store: never one that a process writes, never anything that a link leads to."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from neuroanp.errors import HeldError, InputError, NeuroanpError, RunError
from neuroanp.records import labels, lock
from neuroanp.records.atomic import said
from neuroanp.records.manifest import is_there
from neuroanp.records.places import remove
from neuroanp.records.sweep_lock import held_for_sweep

LOG = logging.getLogger("neuroanp")


@dataclass(frozen=True)
class Removal:
    """Runs that can be removed: their directories, and the bytes that each takes."""

    runs: dict[Path, int]

    @property
    def bytes(self) -> int:
        """All that is freed."""
        return sum(self.runs.values())


def planned(runs: Sequence[Path]) -> Removal:
    """Look at runs that are to be removed.

    Raises:
        InputError: one is no run, or a link, which is not followed; all of them are told.
        RunError: one is written by another process.
    """
    problems = [problem for problem in map(_problem, runs) if problem is not None]
    if problems:
        raise InputError("not removed, nor anything else:", problems)
    in_use = [problem for problem in map(_in_use, runs) if problem is not None]
    if in_use:
        raise RunError("\n  ".join(["not removed, nor anything else:", *in_use]))
    return Removal({run: size_of(run) for run in dict.fromkeys(runs)})


def carry_out(removal: Removal, command: Sequence[str]) -> list[Path]:
    """Remove the runs, with their labels; return what was removed.

    Args: command: who others are told holds the store meanwhile.

    Each is held while it goes, and is renamed before its files go: one that is begun meanwhile is left, and a kill
    leaves no half of a run under its name.

    Raises:
        HeldError: a process has begun to write one since; those before it are gone.
        InputError: another command does runs of the store.
    """
    gone = []
    try:
        with ExitStack() as stores:
            for store in {run.parent for run in removal.runs}:
                stores.enter_context(held_for_sweep(store, command, remedy="wait for it to end"))
            for run in removal.runs:
                with lock.held(run):
                    remove(run)
                gone.append(run)
    finally:
        for store in {run.parent for run in gone}:
            try:
                labels.take(store, {run.name for run in gone if run.parent == store})
            except NeuroanpError as error:  # runs are gone all the same: what is wrong with them is not hidden by this
                LOG.warning(f"labels of what was removed stay: {error}")
    return gone


def size_of(folder: Path) -> int:
    """Return the bytes of all files below a folder; what links lead to is not counted."""
    total = 0
    with said(folder):
        for entry in os.scandir(folder):
            found = entry.stat(follow_symlinks=False)
            total += size_of(Path(entry.path)) if stat.S_ISDIR(found.st_mode) else found.st_size
    return total


def _problem(run: Path) -> str | None:
    if run.is_symlink():
        return f"{run}: a link, which is not followed; name {os.path.realpath(run)}, or remove the link"
    if run.name in ("", ".."):
        return f"{run}: write the name of the run's directory"
    return None if is_there(run) else f"{run}: no run directory (neuroanp runs list shows those of a store)"


def _in_use(run: Path) -> str | None:
    try:
        with lock.held(run):
            return None
    except HeldError as error:
        return str(error)
