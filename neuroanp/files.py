"""Read a file that anybody may have put there: a pipe does not hang us, and a huge one does not fill the memory."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from neuroanp.errors import InputError
from neuroanp.shipped import how_to_get


@contextmanager
def opening(label: str, directory: str, absent: str = "no such file") -> Iterator[None]:
    """Say what keeps a file from being opened, as an error with its name.

    Args:
        label: the file in messages.
        directory: what is said of a directory; absent: of nothing.

    Raises:
        InputError: instead of the system's own.

    >>> with opening("a.csv", "a folder; name a CSV file"):
    ...     read_regular("/", 10)
    Traceback (most recent call last):
    ...
    neuroanp.errors.InputError: a.csv: a folder; name a CSV file
    """
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{label}: {absent}{how_to_get(label)}") from None
    except IsADirectoryError:
        raise InputError(f"{label}: {directory}") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise InputError(f"{label}: cannot be opened ({getattr(error, 'strerror', None) or error})") from None


def no_directory(path: Path) -> str:
    """Say what stands where a directory is wanted: nothing, or a file.

    >>> no_directory(Path("/dev/null")), no_directory(Path("/nothing"))
    ('a file, not a directory', 'no such directory')
    """
    return "a file, not a directory" if path.exists() else "no such directory"


def not_utf8(raw: bytes, at: int, label: str) -> InputError:
    """Return the error that names the line and the byte at a position, which is no UTF-8.

    >>> print(not_utf8(b"a\\n\\xff", 2, "a.csv"))
    a.csv:2: not UTF-8 (byte 0xff); save the file as UTF-8
    """
    line = raw.count(b"\n", 0, at) + 1
    return InputError(f"{label}:{line}: not UTF-8 (byte 0x{raw[at]:02x}); save the file as UTF-8")


def real(path: str | Path) -> Path:
    """Return a path without links; of links that go round in a circle, as it stands.

    >>> real("/dev/./null")
    PosixPath('/dev/null')
    """
    return Path(os.path.realpath(path))  # Path.resolve raises a RuntimeError for a circle, in Python 3.11 and 3.12


def read_regular(path: str | Path, limit: int, remedy: str = "name a file", label: str | None = None) -> bytes:
    """Return the bytes of a regular file, `limit` + 1 at most: one more than allowed shows that it is too large.

    Args:
        path: the file; links are followed.
        limit: bytes that are allowed.
        remedy: what the message about a pipe, a socket or a device ends with. label: what it calls the file.

    Raises:
        InputError: it is there, and neither a file nor a directory.
        OSError: the system's own, IsADirectoryError for a directory.

    >>> read_regular("/dev/null", 10)
    Traceback (most recent call last):
    ...
    neuroanp.errors.InputError: /dev/null: not a regular file; name a file
    """
    _check_regular(os.stat(path).st_mode, label or path, remedy)  # to open a device may already act on it
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe with no writer would wait for ever
    try:
        _check_regular(os.fstat(handle).st_mode, label or path, remedy)  # it may be another one by now
        with os.fdopen(handle, "rb", closefd=False) as file:
            # no more than there is: a read of `limit` would take that much memory first
            return file.read(min(limit, os.fstat(handle).st_size) + 1)
    finally:
        os.close(handle)


def _check_regular(mode: int, path: str | Path, remedy: str) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise InputError(f"{path}: not a regular file; {remedy}")
