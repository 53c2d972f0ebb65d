"""Where run directories are made: the place is checked, and the message names what is in the way."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from neuroanp.errors import InputError
from neuroanp.files import no_directory
from neuroanp.records.atomic import FULL, flush_directory, said

NAME_OF_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""What a run's directory and its files can be called: no name leads out of the store."""


def check_name(name: str, what: str) -> None:
    """Raise InputError for what can be no name of a run or of one of its files; `what` says which it is to be."""
    if not NAME_OF_RUN.fullmatch(name):
        raise InputError(f"'{name}' cannot be {what}; take letters, digits, '.', '_', '-', at most 100")


ELSEWHERE = "choose another --runs DIR"


def check_root(root: Path, remedy: str = ELSEWHERE) -> None:
    """Check that runs can be written below `root`, which is not made yet if it is missing.

    Args: root: the folder. remedy: what a message ends with.

    Raises:
        InputError: part of its path is a file, or may not be written to; the message names that part.

    >>> check_root(Path("/dev/null/runs"))
    Traceback (most recent call last):
    ...
    neuroanp.errors.InputError: /dev/null/runs: cannot be made: /dev/null is no directory; choose another --runs DIR
    """
    there = root
    while not os.path.lexists(there) and there != there.parent:
        there = there.parent
    with said(root):
        if not there.is_dir():
            raise InputError(_in_the_way(root, there, "is no directory", remedy))
        if not os.access(there, os.W_OK | os.X_OK):
            raise InputError(_in_the_way(root, there, "may not be written to", remedy))


def check_file(path: Path) -> None:
    """Check that a file can be written, before what it is to hold is computed; its folder must be there.

    Raises:
        InputError: a folder has its name, or there is no folder to write it into, or that may not be written to.

    >>> check_file(Path("/dev/null/page.html"))
    Traceback (most recent call last):
    ...
    neuroanp.errors.InputError: /dev/null/page.html: /dev/null is a file, not a directory; name another place
    """
    folder = path.parent
    with said(path):
        if path.is_dir():
            raise InputError(f"{path}: a folder is there, no file; name a file, e.g. {path / 'page.html'}")
        if not folder.is_dir():
            there = "make it, or " * (not folder.exists())
            raise InputError(f"{path}: {folder} is {no_directory(folder)}; {there}name another place")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise InputError(f"{path}: {folder} may not be written to; name another place")


def make(root: Path) -> None:
    """Make a directory; InputError names the part of its path that takes none."""
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno in FULL:
            raise
        there = next(parent for parent in (root, *root.absolute().parents) if parent.exists())
        raise InputError(_in_the_way(root, there, f"takes no new directory ({error.strerror})")) from error


def near(path: Path) -> str:
    """Name the newest run that lies in a directory which is none, or beside it."""
    there = path if path.is_dir() else path.parent
    manifests = list(there.glob("*/manifest.json")) if there.is_dir() else []
    if not manifests:
        return ""
    newest = max(manifests, key=lambda manifest: manifest.lstat().st_mtime).parent
    return f", such as {newest}, the newest of {len(manifests)} in {there}"


def remove(path: Path) -> None:
    """Remove a record that the caller holds."""
    with said(path):
        aside = path.with_name(f".{path.name}.{os.getpid()}.old.tmp")
        os.rename(path, aside)
        shutil.rmtree(aside)


def rename(building: Path, final: Path) -> None:
    """Give a record that was built under another name its own."""
    with said(final):
        try:
            os.rename(building, final)
        except OSError as error:
            if final.exists():
                raise InputError(f"{final}: exists already; resume it, or repeat it with --force") from error
            raise
        flush_directory(final.parent)


def _in_the_way(root: Path, there: Path, why: str, remedy: str = ELSEWHERE) -> str:
    what = "cannot be written to" if there == root else "cannot be made"
    name = there if there != Path() else there.resolve()
    return f"{root}: {what}: {name} {why}; {remedy}"
