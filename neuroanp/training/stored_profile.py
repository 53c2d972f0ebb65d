"""Give a profile that was loaded or built in Python a file, so that runs, workers and repeats can name it."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import yaml

from neuroanp.errors import InputError
from neuroanp.profiles.loader import available, load, loads
from neuroanp.profiles.schema import HardwareProfile
from neuroanp.records.atomic import said, write_text
from neuroanp.records.places import check_root

FOLDER = "profiles"
"""The folder of a store that such files lie in."""


def stored(profile: HardwareProfile, root: Path) -> str:
    """Return what a configuration names a profile by: its own name if it is a shipped one, else a file in the store.

    The file is named after its content, so that the same profile has one file.

    Args:
        profile: as `load` returned it, or changed since.
        root: the store; the file is written into root/profiles.

    Raises:
        InputError: the store cannot be written to, or the profile does not come back from its own text.

    >>> from neuroanp.profiles import load
    >>> stored(load("pcm"), Path("runs"))
    'pcm'
    """
    text = _text(profile)
    if profile.name in available() and load(profile.name).text == text:
        return profile.name
    path = root / FOLDER / f"{profile.name}-{sha256(text.encode()).hexdigest()[:16]}.yaml"
    with said(path):
        if not path.is_file() or path.read_bytes() != text.encode():
            check_root(root)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, text)
    return str(path)


def _text(profile: HardwareProfile) -> str:
    """Return a profile's text, which says the same when it is read: changes made past the checks are told here."""
    where = f"profile {profile.name}"
    try:
        text = profile.text
        comes_back = loads(text, where).text == text
    except (yaml.YAMLError, TypeError, ValueError) as error:
        raise InputError(
            f"{where}: holds what no file can ({str(error).splitlines()[0]:.80}); load it from a file"
        ) from error
    if not comes_back:
        raise InputError(
            f"{where}: reads back from its own text as another; write it as a YAML file, and pass its path"
        )
    return text
