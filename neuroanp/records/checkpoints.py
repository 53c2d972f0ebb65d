"""The checkpoints of one run: the two newest are kept, and only whole ones of this run are taken."""

from __future__ import annotations

import errno
import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroanp.errors import InputError, RunError
from neuroanp.records import tensors as files
from neuroanp.records.atomic import said
from neuroanp.records.copies import own, put_one, set_aside

if TYPE_CHECKING:
    from torch import Tensor

LOG = logging.getLogger("neuroanp")
FOLDER = "checkpoints"
INSTEAD = "; resume from an older checkpoint, or repeat the run"
KEPT = 2
_FILE = re.compile(r"\d{8}\.safetensors")
_WITHHELD = (errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE)
"""Errors of a file that may well be whole: to go on without it would repeat, or lose, what it holds."""


class Checkpoints:
    """The files of `root`/checkpoints.

    Args:
        root: the run's directory. identity: the run's, which every checkpoint carries.
    """

    def __init__(self, root: Path, identity: str) -> None:
        self.root, self.identity = root, identity
        self.folder = root / FOLDER

    def list(self) -> list[Path]:
        """List the files, oldest first, valid or not."""
        with said(self.folder):
            inside = os.path.realpath(self.folder) == os.path.join(os.path.realpath(self.root), FOLDER)
            found = sorted(self.folder.iterdir()) if self.folder.is_dir() and inside else []
        return [path for path in found if _FILE.fullmatch(path.name)]

    def save(self, update: int, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> Path:
        """Write the state after `update` updates; keep the two newest, drop what lies past it."""
        path = self.folder / f"{update:08d}.safetensors"
        data = files.pack_tensors(tensors, {**meta, "update": update, "identity": self.identity})
        put_one(self.root, f"{FOLDER}/{path.name}", data)
        there = self.list()
        at = there.index(path)
        # A later file belongs to a line that was given up when the run resumed from before it.
        for old in [*there[: max(at + 1 - KEPT, 0)], *there[at + 1 :]]:
            self._drop(old)
        return path

    def load(self, path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return (tensors, meta) of a checkpoint; InputError if it is damaged, or of another run or update."""
        return unpacked(files.unpack_tensors, self._inside(path), self._foreign)

    def check(self, path: Path) -> dict[str, Any]:
        """Return the meta of a checkpoint that is whole and this run's; InputError otherwise."""
        return unpacked(files.read_sealed, self._inside(path), self._foreign)[1]

    def latest(self, skipped: list[str]) -> Path | None:
        """Return the newest that is whole, or None; the damaged ones are named in `skipped`.

        Raises:
            InputError: none is whole, and the system keeps one from us that may be.
        """
        withheld = []
        for path in reversed(self.list()):
            try:
                self.check(path)
            except (InputError, RunError) as error:
                said = str(error).removeprefix(f"{path}: ").removesuffix(INSTEAD)
                skipped.append(f"{path}: skipped, {said}")
                cause = error.__cause__
                if isinstance(cause, OSError) and cause.errno in _WITHHELD:
                    withheld.append(str(error))
            else:
                return path
        if withheld:
            raise InputError(f"{self.root}: no checkpoint can be read; make them readable, then repeat this", withheld)
        return None

    def whole(self, skipped: list[str], again: str) -> Path:
        """Return the newest that is whole, for reading; a warning tells of damaged ones that are newer.

        Args:
            skipped: takes the damaged ones. again: the command that makes a new one, of a run that has ended or not.

        Raises:
            InputError: there is none, or all are damaged; the message says which, and what to do.
        """
        told = len(skipped)
        path = self.latest(skipped)
        damaged = skipped[told:]
        if path is not None:
            for line in damaged:
                LOG.warning("%s; taken is %s, which is older", line, path.name)
            return path
        if not damaged:
            raise InputError(f"{self.root}: no checkpoint is there; make one with: {again}")
        raise InputError(
            f"{self.root}: no checkpoint can be read; restore one from a copy, or repeat the training: {again}",
            [line.replace("skipped, ", "") for line in damaged],
        )

    def _inside(self, path: Path) -> Path:
        return own(self.root, self.folder / Path(path).name)

    def _foreign(self, path: Path, meta: Mapping[str, Any]) -> str | None:
        """Say why a whole file is not the checkpoint that its place and name promise, or None."""
        if meta.get("identity", self.identity) != self.identity:
            return f"it is of another run, {meta['identity']!s:.40}"
        if meta.get("update") != int(path.stem):
            return f"it holds update {meta.get('update')!r:.20}"
        return None

    def _drop(self, path: Path) -> None:
        with said(path):
            if path.is_dir() and not path.is_symlink():
                set_aside(self.root, path)
            else:
                path.unlink(missing_ok=True)


def numbers_of(path: Path, meta: Mapping[str, Any], *names: str) -> list[Any]:
    """Return numbers that the meta of a checkpoint holds, at least 0; InputError where one is none."""
    found = [meta.get(name) for name in names]
    if not all(isinstance(one, int | float) and not isinstance(one, bool) and 0 <= one < 2**63 for one in found):
        raise InputError(f"{path}: damaged (its meta holds no {' and '.join(names)}){INSTEAD}")
    return found


def unpacked(unpack: Any, path: Path, foreign: Any, remedy: str = INSTEAD) -> Any:
    """Return what `unpack` makes of a file; InputError if it is damaged or `foreign` objects to its meta.

    Args:
        unpack: of the path, returns content and meta. path: the file.
        foreign: of path and meta, says why it is another run's file, or None.
        remedy: what the message of a damaged one ends with.
    """
    try:
        found = unpack(path)
    except ValueError as error:
        raise InputError(f"{path}: damaged ({error}){remedy}") from error
    why = foreign(path, found[1])
    if why is not None:
        raise InputError(f"{path}: not this run's file ({why}); put back its own, or repeat the run")
    return found
