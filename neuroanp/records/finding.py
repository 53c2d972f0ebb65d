"""Find the run that somebody names: by its path, a label, "last", or how its name or hash begins."""

from __future__ import annotations

import os
from pathlib import Path

from neuroanp.errors import InputError
from neuroanp.records import labels
from neuroanp.records.listing import listing
from neuroanp.records.manifest import is_there
from neuroanp.records.store import Store

SHOWN = 12
"""Runs that a message names before it counts the others."""


def found(path: Path, root: Path = Path("runs")) -> Path:
    """Return the directory of the run that is named: by its path, a label, "last", or how its name or hash begins.

    Args:
        path: a directory that is there; or STORE/NAME; or a name alone, of a run in `root`. NAME is a label (`runs
            label`), "last" for the run that was begun last, or a beginning that no other run has, with or without the
            dots by which pages shorten it.

    Returns: the path itself where it names nothing.

    Raises:
        InputError: several begin so, which the message names; or a label is of a run that is gone.

    >>> found(Path("/tmp"))
    PosixPath('/tmp')
    """
    if os.path.lexists(path) or not path.name:
        return path
    store = Store(root if path.parent == Path() else path.parent)
    if not store.root.is_dir():
        return path
    labelled = labels.read(store.root).get(path.name)
    if labelled is not None:
        if not is_there(store.root / labelled):
            raise InputError(f"{path}: the label of {labelled}, which is not there any more; give it to another run")
        return store.root / labelled
    if path.name == labels.LAST:
        return _newest(store.root) or path
    beginning = path.name.removesuffix("...") or path.name
    runs = [run for run in store.directories() if _begins(run.name, beginning)]
    if len(runs) > 1:
        shown = [str(run) for run in runs[:SHOWN]] + ([f"and {len(runs) - SHOWN} more"] if len(runs) > SHOWN else [])
        raise InputError(f"{path}: {len(runs)} runs begin so; write more of the name, or of its hash", shown)
    return runs[0] if runs else path


def _newest(root: Path) -> Path | None:
    """Return the run of a store that was begun last; None: there is none."""
    rows = listing(root).rows
    if not rows:
        return None
    return root / max(rows, key=lambda row: (row["started"] or "", row["name"]))["name"]


def _begins(name: str, text: str) -> bool:
    return name.startswith(text) or name.rpartition("-")[2].startswith(text)
