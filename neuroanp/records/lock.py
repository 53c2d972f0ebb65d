"""Hold a run's directory for one process; the system lets go of it when the process ends, however it ends."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from neuroanp.errors import HeldError
from neuroanp.records.atomic import said
from neuroanp.records.copies import set_aside

NAME = ".lock"


@contextmanager
def held(root: Path, what: str | None = None, note: str = "") -> Iterator[None]:
    """Hold the lock of a directory; the file stays, or two could hold two files of one name.

    Args: what: the message calls it by; None: the directory. note: on who we are, for others' messages.

    Raises:
        HeldError: another process holds it; the message names its pid.
        InputError: the directory cannot be written to.
    """
    with said(root):
        handle = _open(root)
    try:
        _take(handle, root, str(root) if what is None else what, note)
        yield
    finally:
        os.close(handle)  # lets go of the lock


def _open(root: Path) -> int:
    path = root / NAME
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    if not _lockable(path):
        _replace(root, path)
    try:
        return os.open(path, flags, 0o666)
    except PermissionError:  # ours, but its rights were taken away; the lock itself tells whether it is held
        os.chmod(path, 0o600)
        return os.open(path, flags, 0o666)


def _lockable(path: Path) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except FileNotFoundError:
        return True


def _replace(root: Path, path: Path) -> None:
    """Set aside a directory, pipe or link in the place of the lock.

    Of two processes that find one, the second must not set aside the new file that the first has made and holds:
    they do it in turn, and each looks again.
    """
    handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if not _lockable(path):
            set_aside(root, path)
    finally:
        os.close(handle)


def _take(handle: int, path: Path, what: str, note: str) -> None:
    """Lock an open file or say who holds it; note our own pid in it."""
    with said(path):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(handle, 1000, 0).decode("utf-8", "replace").strip() or "another process"
            raise HeldError(f"{what}: in use by {holder}; wait for it to end, or stop it and resume") from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}{note}\n".encode(), 0)
