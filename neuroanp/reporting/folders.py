"""A folder of a report: whether it can be written to, before anything is computed, and its files, at the end."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from neuroanp.errors import InputError
from neuroanp.records.atomic import OTHER_PLACE, REPEAT, said, write_bytes


def check_folder(folder: Path, names: Sequence[str], option: str) -> Path:
    """Return a folder that files can be written to; InputError for one that they cannot.

    Args:
        folder: which. names: of the files that are to be written. option: that names the folder, in messages.
    """
    if folder.is_dir():
        inside = [folder / name for name in names if (folder / name).is_dir()]
        if inside:
            raise InputError(f"{inside[0]}: a folder, where a file is to be written; name another folder with {option}")
        there = folder
    else:
        if os.path.lexists(folder):
            raise InputError(f"{folder}: is no folder; name another one with {option}")
        there = folder.parent
        if not there.is_dir():
            why = "is no folder" if os.path.lexists(there) else "does not exist"
            raise InputError(f"{folder}: {there} {why}; make it, or name another folder with {option}")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"{folder}: {there} is not writable for you; name another folder with {option}")
    return folder


def write_folder(folder: Path, contents: Mapping[str, bytes]) -> list[Path]:
    """Write files into a folder, which is made if it is missing, and return them; those of these names are replaced.

    Args:
        folder: which. contents: of each file, by name.

    Raises:
        InputError: the folder cannot be made or written to. RunError: the disk is full.
    """
    with said(folder, OTHER_PLACE, REPEAT):
        folder.mkdir(exist_ok=True)
    for name, content in contents.items():
        write_bytes(folder / name, content, elsewhere=OTHER_PLACE, again=REPEAT)
    return [folder / name for name in contents]
