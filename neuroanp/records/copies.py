"""Second copies of the files that a run cannot do without, and what is done with damaged ones.

config.yaml, manifest.json, metrics.csv, result.json and start.safetensors (the weights that it starts from, where they
were given) lie in the run's directory and once more in copies/. Which of the two is whole is told by its seal; a
damaged one is set aside in damaged/, where nothing is ever overwritten.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from neuroanp.errors import InputError
from neuroanp.files import read_regular
from neuroanp.records.atomic import said, write_bytes
from neuroanp.records.seal import Seal

FOLDER, ASIDE = "copies", "damaged"


@dataclass(frozen=True)
class Taken:
    """What was found of a file: its bytes (None: nothing that can be read), where, and what is wrong with it."""

    data: bytes | None
    place: Path
    problem: str | None


def inside(root: Path, path: Path) -> bool:
    """Return whether a path lies in a run's directory, wherever links of it lead."""
    return os.path.realpath(path).startswith(os.path.join(os.path.realpath(root), ""))


def own(root: Path, path: Path) -> Path:
    """Return a path of a run's directory; InputError if a link leads it out of there."""
    if not inside(root, path):
        raise InputError(f"{path}: leads out of the run directory; replace the link by the file itself")
    return path


def peek(root: Path, name: str, limit: int) -> tuple[bytes | None, str]:
    """Return the bytes of root/name, or None and why: missing, no regular file, not readable, too large."""
    path = root / name
    if not inside(root, path):
        return None, "a link that leads out of the run directory"
    try:
        data = read_regular(path, limit)
    except IsADirectoryError:
        return None, "a directory"
    except InputError:  # a pipe, a socket, a device
        return None, "no regular file"
    except FileNotFoundError:
        return None, "a link to nothing" if path.is_symlink() else "missing"
    except OSError as error:
        return None, f"not readable ({error.strerror})"
    return (data, "") if len(data) <= limit else (None, f"larger than the {limit} bytes that neuroanp writes")


def take(root: Path, name: str, seal: Seal, limit: int, grows: bool = False) -> Taken:
    """Return a sealed file, from its copy where it is damaged itself.

    Args:
        root: the run's directory. name: the file's.
        seal: of what was written.
        limit: bytes that are read at most.
        grows: it may go on after what was sealed.
    """
    whole: Callable[[bytes], bool] = seal.begins if grows else seal.holds
    data, why = peek(root, name, limit)
    if data is not None and whole(data):
        return Taken(data, root / name, None)
    what = why or changed(data or b"", seal)
    copy, _ = peek(root, f"{FOLDER}/{name}", limit)
    if copy is not None and whole(copy):
        return Taken(copy, root / FOLDER / name, f"{root / name}: {what}; taken is its copy, which is whole")
    return Taken(data, root / name, f"{root / name}: {what}, and no whole copy is left")


def changed(data: bytes, seal: Seal) -> str:
    """Say how a file that can be read differs from what was sealed."""
    if len(data) != seal.size:
        return f"not as it was written ({len(data)} bytes, written were {seal.size})"
    return "not as it was written (its content has changed)"


def put(root: Path, name: str, data: bytes) -> None:
    """Write a file and its copy, the copy first: once the file itself is new, so is all else.

    The copy is renamed into place as the file is, but not flushed: after a power cut that takes it the file is whole.
    """
    put_one(root, f"{FOLDER}/{name}", data, flush=False)
    put_one(root, name, data)


def put_one(root: Path, name: str, data: bytes, flush: bool = True) -> None:
    """Write one file; a directory that is in its place is set aside."""
    path = root / name
    with said(path):
        make_folder(root, path.parent)
        if path.is_dir() and not path.is_symlink():
            set_aside(root, path)
    write_bytes(path, data, flush)


def make_folder(root: Path, folder: Path) -> None:
    """Make a folder of the run's; what is in its place and is none is set aside."""
    if folder.is_dir() and not (folder.is_symlink() and folder != root):
        return
    if os.path.lexists(folder):
        set_aside(root, folder)
    folder.mkdir(exist_ok=True)


def set_aside(root: Path, path: Path) -> Path:
    """Move what lies at `path`, a file or anything else, into damaged/ under a name that is free; return where."""
    folder = root / ASIDE
    with said(path):
        if os.path.lexists(folder) and (folder.is_symlink() or not folder.is_dir()):
            os.rename(folder, _free(root, folder))  # a link would lead what is set aside out of the directory
        folder.mkdir(exist_ok=True)
        target = _free(folder, path)
        os.rename(path, target)
        return target


def _free(folder: Path, path: Path) -> Path:
    """Return a name in a folder, that of `path` or one like it, under which nothing lies."""
    names = (path.name if n == 1 else f"{path.stem}.{n}{path.suffix}" for n in count(1))
    return next(folder / name for name in names if not os.path.lexists(folder / name))


def told_aside(root: Path, path: Path) -> str:
    """Set aside what lies at `path`, if anything does; return the words that tell where it is."""
    return f"; what was there is now {set_aside(root, path)}" if os.path.lexists(path) else ""


def is_file(path: Path) -> bool:
    """Return whether a regular file lies there, not a link to one."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def signature(path: Path) -> tuple[int, ...] | None:
    """Return what tells that a file was touched: a new file, another length or time."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_mode
