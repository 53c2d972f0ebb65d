"""A directory that appears under its name when all is in it, or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from neuroanp.errors import InputError, RunError
from neuroanp.records.atomic import flush_directory, said
from neuroanp.records.json_io import read_object, write_object

MARK = ".neuroanp-export"
"""A file that lists what neuroanp wrote beside it: that alone may be replaced."""
_NEW, _OLD = "new", "old"
"""In the temporary directory of an export: what is being made, and what it replaces."""
_ELSEWHERE, _AGAIN = "give another place with -o", "repeat the command"


def path_of(what: str, given: Any) -> Path:
    """Return a path from text or a path object; InputError, which names `what` it is of, for anything else.

    >>> path_of("path", "")
    Traceback (most recent call last):
    ...
    neuroanp.errors.InputError: path: is empty; name a directory, or leave it out
    """
    text = given
    if isinstance(given, os.PathLike):
        text = os.fspath(given)
    if not isinstance(text, str):
        raise InputError(f"{what}: {given!r:.80} is no path; give one as text or a pathlib.Path")
    if not text.strip():
        raise InputError(f"{what}: is empty; name a directory, or leave it out")
    if "\0" in text:
        raise InputError(f"{what}: {text!r:.80} holds a zero byte, which no path can")
    return Path(text)


def check_free(folder: Path, force: bool) -> None:
    """Refuse a place that holds something, or that no directory can be made in.

    Args:
        folder: the place.
        force: whether what neuroanp wrote there may be replaced.

    Raises:
        InputError: there is something, or something that neuroanp did not write, or its parent takes no directory.
    """
    with said(folder, _ELSEWHERE, _AGAIN):
        _check_place(folder)
        _check_content(folder, folder, force)


def _check_content(folder: Path, there: Path, force: bool) -> None:
    """Refuse to replace `folder`, which lies at `there`, for what is in it."""
    if not os.path.lexists(there):
        return
    if there.is_symlink() or not there.is_dir():
        raise InputError(f"{folder}: is there already, and is no directory; give another place with -o")
    others = _others(there)
    if others:
        what = f"holds {', '.join(others[:3])}, which neuroanp did not write"
        raise InputError(
            f"{folder}: is there already and {what}; --force replaces exports alone: give another place with -o"
        )
    if not force and any(there.iterdir()):
        raise InputError(f"{folder}: is there already; give another place with -o, or replace it with --force")


def _check_place(folder: Path) -> None:
    """Refuse what can never be a directory that appears whole: it is put into its parent under its name."""
    whole_path = Path(os.path.abspath(folder))
    if whole_path in Path.cwd().parents or whole_path == Path.cwd():
        raise InputError(
            f"{folder}: you are in or below this directory, which cannot be replaced; name a new one, e.g. -o out"
        )
    if folder.is_dir() and (folder / "manifest.json").exists():
        raise InputError(
            f"{folder}: is a run's directory; leave -o out for its own place in there, or name a new directory"
        )
    there = whole_path.parent
    while not os.path.lexists(there):
        there = there.parent
    if not there.is_dir():
        raise InputError(f"{folder}: cannot be made: {there} is no directory; give another place with -o")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"{folder}: cannot be made: {there} may not be written to; give another place with -o")


def _others(folder: Path) -> list[str]:
    """Return the names in a directory that neuroanp did not write."""
    return sorted({path.name for path in folder.iterdir()} - _written(folder))


def _written(folder: Path) -> set[str]:
    """Return the names that neuroanp wrote into a directory, from its mark."""
    try:
        names = read_object(folder / MARK)["files"]
    except (InputError, RunError, KeyError):
        return set()
    return {MARK, *map(str, names)} if isinstance(names, list) else set()


@contextmanager
def whole(folder: Path, force: bool = False) -> Iterator[Path]:
    """Yield an empty directory that takes the name `folder` at the end, or is removed if anything is raised.

    What came to `folder` in the meantime is kept.

    Args:
        folder: the place. force: whether what neuroanp wrote there may be replaced.

    Raises:
        InputError: the place is taken, or was by the end; see `check_free`.
        RunError: the disk is full or fails; what was there before is intact.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as place:
    ...     with whole(Path(place) / "a") as building:
    ...         _ = (building / "b.txt").write_text("c")
    ...     sorted(path.name for path in Path(place).glob("*/*"))
    ['.neuroanp-export', 'b.txt']
    """
    with said(folder, _ELSEWHERE, _AGAIN):
        missing = [parent for parent in (folder.parent, *folder.parent.parents) if not parent.exists()]
    try:
        with said(folder, _ELSEWHERE, _AGAIN):
            folder.parent.mkdir(parents=True, exist_ok=True)
            _sweep(folder)
        check_free(folder, force)
        with _beside(folder) as place, _of(folder, place):
            building = place / _NEW
            building.mkdir()
            yield building
            write_object(building / MARK, {"files": sorted(path.name for path in building.iterdir())})
            _flush(building)
            _put(building, folder, place / _OLD, force)
    finally:
        for parent in missing:  # of a directory that came to be, they are not empty
            with suppress(OSError):
                parent.rmdir()


def _put(building: Path, folder: Path, old: Path, force: bool) -> None:
    """Rename a directory to its name; what neuroanp wrote there is moved to `old`, and goes once the new one stands."""
    check_free(folder, force)
    with said(folder, _ELSEWHERE, _AGAIN):
        with suppress(FileNotFoundError):
            os.rename(folder, old)
        _check_content(folder, old, force)  # again, where nobody writes to it any more
        try:
            os.rename(building, folder)  # replaces nothing but an empty directory
        except OSError:
            check_free(folder, False)  # says what is there
            raise
        flush_directory(folder.parent)


def _flush(folder: Path) -> None:
    """Flush the files of a directory to the disk, and their names."""
    for path in folder.iterdir():
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    flush_directory(folder)


@contextmanager
def _of(folder: Path, place: Path) -> Iterator[None]:
    """Say of the export what the system reports of files in its temporary directory `place`."""
    try:
        yield
    except (OSError, InputError, RunError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        about = getattr(error, "filename", None) or place if cause is error else str(error)
        if not isinstance(cause, OSError) or not str(about).startswith(str(place)):
            raise
        with said(folder, _ELSEWHERE, _AGAIN):
            raise cause from None


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """Yield a temporary directory that is locked, so that no other export sweeps it, and is cleared at the end."""
    with said(folder, _ELSEWHERE, _AGAIN):
        unlocked = Path(mkdtemp(prefix=_prefix(folder), dir=folder.parent))
    place = unlocked.with_name(f"{unlocked.name}.tmp")
    try:
        with _opened(unlocked) as handle:
            try:
                with suppress(OSError):  # a file system without locks: nor does a sweep get one there
                    fcntl.flock(handle, fcntl.LOCK_SH)
                with said(folder, _ELSEWHERE, _AGAIN):
                    os.rename(unlocked, place)  # to the name that a sweep looks for
                yield place
            finally:
                _clear(place, folder)
    finally:
        shutil.rmtree(unlocked, ignore_errors=True)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield handle
    finally:
        os.close(handle)


def _sweep(folder: Path) -> None:
    """Clear what killed exports to this place left beside it."""
    for left in folder.parent.iterdir():
        if left.name.startswith(_prefix(folder)) and left.suffix == ".tmp":
            with suppress(OSError), _opened(left) as handle:  # not ours, or alive
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _clear(left, folder)


def _clear(place: Path, folder: Path) -> None:
    """Remove the temporary directory of an export; what it moved aside comes back where nothing took its place."""
    old = place / _OLD
    if os.path.lexists(old):
        if not os.path.lexists(folder):
            os.rename(old, folder)
        elif not old.is_dir() or _others(old):  # neither can be thrown away
            return
    shutil.rmtree(place, ignore_errors=True)


def _prefix(folder: Path) -> str:
    return f".{folder.name}.neuroanp-"
