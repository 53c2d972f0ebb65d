"""Many runs under one directory: the truth a comparison, however it was scheduled, starts from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from neuroanp.errors import InputError
from neuroanp.records import labels
from neuroanp.records.listing import listing
from neuroanp.records.manifest import is_there
from neuroanp.records.run_dir import RunDir

LINK = "a link to a run; runs lie in their store themselves: move it here, or name it where it is"
SHOWN = 12
"""Runs that a message names before it counts the others."""


class Store:
    """The runs that lie directly under `root`.

    Args:
        root: a directory; one that does not exist yet holds no runs.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as root:
    ...     made = RunDir.create(Path(root), "0123456789abcdef", "seed: 0\\n", {"identity": "0123456789abcdef"})
    ...     [run.path.name for run in Store(Path(root)).runs()]
    ['0123456789abcdef']
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def runs(self) -> Iterator[RunDir]:
        """Iterate over the valid run directories, by name; `broken` tells of the others."""
        for path in self.directories():
            try:
                run = RunDir.open(path, check_code=False)
            except InputError:  # not lost: `broken` reports it
                continue
            yield run

    def broken(self) -> list[str]:
        """Return one message for each directory that has a manifest but is no valid run, and for links to runs."""
        messages = [f"{path}: {LINK}" for path in self._there() if path.is_symlink() and is_there(path)]
        for path in self.directories():
            try:
                RunDir.open(path, check_code=False, quiet=True)  # `runs` tells of what is damaged
            except InputError as error:
                messages.append(str(error))
        return messages

    def directories(self) -> list[Path]:
        """List what has a manifest, by name; links are left out, which may lead anywhere."""
        return [path for path in self._there() if not path.is_symlink() and is_there(path)]

    def _there(self) -> list[Path]:
        if not self.root.is_dir():
            return []
        return sorted(path for path in self.root.iterdir() if not path.name.startswith("."))


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
