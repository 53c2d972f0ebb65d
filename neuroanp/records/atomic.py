"""Write files so that a crash at any moment leaves the old content or the new, never a mixture."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from neuroanp.errors import InputError, RunError

FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your disk quota is used up",
    errno.EFBIG: "the file would pass the size limit",
}
_REFUSED = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.EEXIST,
    errno.EISDIR,
    errno.ENOTEMPTY,
)


ELSEWHERE, AGAIN = "choose another place for the runs", "resume"
"""What helps where a file of a run cannot be written."""
OTHER_PLACE, REPEAT = "name another place", "repeat the command"
"""What helps where a file cannot be written that a command makes anew: no run is lost with it."""


def write_bytes(path: Path, data: bytes, flush: bool = True, elsewhere: str = ELSEWHERE, again: str = AGAIN) -> None:
    """Replace `path` by `data` in one step.

    The bytes go to a temporary file in the same directory, which is flushed to the disk and then
    renamed; the directory is flushed last, so that the name survives a power cut as well.

    Args:
        path: the file to make or replace.
        data: its whole content.
        flush: False for what may be lost in a power cut, though never be half there otherwise.
        elsewhere, again: what helps if it cannot be written, as of `said`.

    Raises:
        RunError: the disk is full or fails; the old file is intact and the temporary one removed.
        InputError: the place cannot be written to.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_bytes(Path(folder) / "a.txt", b"new")
    ...     [(p.name, p.read_bytes()) for p in Path(folder).iterdir()]
    [('a.txt', b'new')]
    """
    path = Path(path)
    temporary = temporary_beside(path)
    with said(path, elsewhere, again):
        try:
            _write_new(temporary, data, flush)
            os.replace(temporary, path)
            if flush:
                flush_directory(path.parent)
        finally:
            temporary.unlink(missing_ok=True)  # gone already where the rename came through


def write_text(path: Path, text: str, elsewhere: str = ELSEWHERE, again: str = AGAIN) -> None:
    """Replace `path` by `text` in UTF-8; as `write_bytes`."""
    write_bytes(path, text.encode("utf-8"), True, elsewhere, again)


def temporary_beside(path: Path) -> Path:
    """Return a name in the same directory that no other process uses and `sweep` knows.

    >>> temporary_beside(Path("runs/a.json")).name.startswith(".a.json.")
    True
    """
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def sweep(directory: Path) -> None:
    """Remove the temporary files that killed writers left in `directory`; hold its lock."""
    with said(directory):
        for left in directory.glob(".*.tmp"):
            if left.is_file() and not left.is_symlink():
                left.unlink(missing_ok=True)


def flush_directory(directory: Path) -> None:
    """Flush a directory's names to the disk."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_all(handle: int, data: bytes) -> None:
    """Write all of `data` to an open file; the system may take it in parts."""
    left = memoryview(data)
    while left:
        left = left[os.write(handle, left) :]


@contextmanager
def said(path: Path, elsewhere: str = ELSEWHERE, again: str = AGAIN) -> Iterator[None]:
    """Turn the system's errors about `path` into ones that say what to do: something elsewhere, or to begin again.

    >>> with said(Path("out"), "give another place with -o", "repeat the command"):
    ...     raise OSError(errno.EIO, "Input/output error")
    Traceback (most recent call last):
    ...
    neuroanp.errors.RunError: out: the system reports 'Input/output error'; check the disk, then repeat the command
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in FULL:
            raise RunError(
                f"{path}: not written, {FULL[error.errno]} ({reason}); what was there before is intact. "
                f"Free some space, or {elsewhere}, and {again}"
            ) from error
        if error.errno in _REFUSED:
            other = elsewhere.removesuffix(" for the runs")
            if (what := _in_the_way(path, error)) is not None:
                raise InputError(f"{path}: {what}; {other}") from error
            raise InputError(
                f"{path}: not accessible ({reason}); check that {path.parent} exists and is yours, or {other}"
            ) from error
        raise RunError(f"{path}: the system reports '{reason}'; check the disk, then {again}") from error


def _in_the_way(path: Path, error: OSError) -> str | None:
    """Say what stands where a file or a folder is wanted; None where it is something else."""
    if error.errno in (errno.EISDIR, errno.ENOTEMPTY) and path.is_dir():
        return "a folder is there, no file"
    there = next((part for part in (path, *path.parents) if os.path.lexists(part)), path)
    if error.errno in (errno.EEXIST, errno.ENOTDIR) and there.is_file():
        return f"{there} is a file, no folder"
    return None


def _write_new(path: Path, data: bytes, flush: bool) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        write_all(handle, data)
        if flush:
            os.fsync(handle)
    finally:
        os.close(handle)
