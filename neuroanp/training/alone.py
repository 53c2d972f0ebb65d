"""Drive an instrument from one process at a time."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from neuroanp.errors import InputError
from neuroanp.instruments.names import full_name
from neuroanp.records import lock
from neuroanp.records.atomic import said
from neuroanp.training.sections import Hardware


def instrument_of(hardware: Hardware) -> str | None:
    """Return the full name of the instrument that holds the weights; None: arrays are simulated.

    Whatever has the same one is the same instrument, whichever driver drives it.
    """
    return None if hardware.resource is None else full_name(hardware.resource)


@contextmanager
def alone(hardware: Hardware, record: Path | None = None) -> Iterator[None]:
    """Hold the instrument for this process; nothing where arrays are simulated.

    A process that dies lets go of it. Processes of one user on one machine keep off each other; those of others are
    the driver's to keep off (that of `visa` asks for an exclusive lock).

    Args: record: of the run that holds it, which the message names to others.

    Raises:
        HeldError: another process holds it; the message names it, its pid and its run.
    """
    name = instrument_of(hardware)
    if name is None:
        yield
        return
    folder = _folder() / hashlib.sha256(name.encode()).hexdigest()[:16]
    with said(folder):
        folder.mkdir(exist_ok=True)
    with lock.held(folder, f"hardware.resource: '{hardware.resource}'", "" if record is None else f", run {record}"):
        yield


def _folder() -> Path:
    """Return the user's folder of locks, made where it is missing: one that the system clears by itself.

    Raises:
        InputError: something of another user's is in its place.
    """
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR", ""))
    own = runtime.is_absolute() and os.access(runtime, os.W_OK)
    path = runtime / "neuroanp" if own else Path(tempfile.gettempdir()) / f"neuroanp-{os.getuid()}"
    with said(path):
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise InputError(f"{path}: is not a directory of yours, and the locks of instruments belong there; remove it")
    return path
