"""A directory that appears under its name when all is in it, or not at all."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from neuroanp.errors import InputError, RunError
from neuroanp.records.atomic import said
from neuroanp.records.json_io import read_object, write_object

MARK = ".neuroanp-export"
"""A file that lists what neuroanp wrote beside it: that alone may be replaced."""


def check_free(folder: Path, force: bool) -> None:
    """Refuse a place that holds something.

    Args:
        folder: the place.
        force: whether what neuroanp wrote there may be replaced.

    Raises:
        InputError: there is something, or something that neuroanp did not write.
    """
    plain = folder.is_dir() and not folder.is_symlink()
    if not os.path.lexists(folder) or (plain and not any(folder.iterdir())):
        return
    if not force:
        raise InputError(f"{folder}: is there already; give another place with -o, or replace it with --force")
    others = sorted({path.name for path in folder.iterdir()} - _written(folder)) if plain else []
    if others or not plain:
        what = f"holds {', '.join(others[:3])}, which neuroanp did not write" if others else "is no directory"
        raise InputError(f"{folder}: {what}; --force replaces exports alone: give another place with -o")


def _written(folder: Path) -> set[str]:
    """Return the names that neuroanp wrote into a directory, from its mark."""
    try:
        names = read_object(folder / MARK)["files"]
    except (InputError, RunError, KeyError):
        return set()
    return {MARK, *map(str, names)} if isinstance(names, list) else set()


@contextmanager
def whole(folder: Path) -> Iterator[Path]:
    """Yield an empty directory that takes the name `folder` at the end, or is removed if anything is raised.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as place:
    ...     with whole(Path(place) / "a") as building:
    ...         _ = (building / "b.txt").write_text("c")
    ...     sorted(path.name for path in Path(place).glob("*/*"))
    ['.neuroanp-export', 'b.txt']
    """
    with said(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        building = Path(mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent))
    try:
        yield building
        write_object(building / MARK, {"files": sorted(path.name for path in building.iterdir())})
        with said(folder):
            building.chmod(0o777 & ~_umask())
            _put(building, folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _put(building: Path, folder: Path) -> None:
    """Rename a directory to its name; what lay there goes once the new one is whole."""
    old = None
    if folder.exists():
        old = Path(mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent))
        os.rename(folder, old / "old")
    try:
        os.rename(building, folder)
    except OSError:
        if old is not None:
            os.rename(old / "old", folder)
        raise
    finally:
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return stat.S_IMODE(mask)
