"""Who holds a run or a store, as far as one can tell by looking: no lock is tried, so that nobody is disturbed."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

from neuroanp.errors import InputError
from neuroanp.files import read_regular
from neuroanp.records import lock, sweep_lock

_SAID = re.compile(r"process ([0-9]{1,10}) on (\S+)")
MOST = 4000


def of_run(root: Path) -> str | None:
    """Return who writes a run, in words; None: nobody, or a process of this machine that is no more."""
    return _alive(root / lock.NAME)


def of_store(root: Path) -> str | None:
    """Return the command that does runs of a store, in words; None: there is none."""
    return _alive(root / sweep_lock.NAME)


def _alive(path: Path) -> str | None:
    """Return what a file says of its holder, unless that was a process of this machine which has ended.

    The file is taken at its word: a later process of the same number passes for the holder.
    """
    try:
        if path.is_symlink():
            return None
        text = read_regular(path, MOST)[:MOST].decode("utf-8", "replace").strip()
    except (OSError, InputError):
        return None
    found = _SAID.match(text)
    if found is None:
        return None
    if found[2].rstrip(":") != socket.gethostname():
        return text  # of another machine nobody knows
    try:
        os.kill(int(found[1]), 0)
    except (ProcessLookupError, OverflowError):
        return None
    except PermissionError:  # somebody else's, and alive
        return text
    return text
