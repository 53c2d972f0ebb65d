"""Numbers that several runs of a store report, each computed once: in `.shared/<key>/`, beside the runs.

Who needs a number looks for it by its key, and computes it while it holds the key's lock where it is not there; another
process that needs it meanwhile waits. A number counts if its file is as it was written.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuroanp.errors import HeldError, InputError
from neuroanp.records import lock
from neuroanp.records.atomic import said, sweep
from neuroanp.records.json_io import read_object, write_object
from neuroanp.records.places import make
from neuroanp.records.seal import of_fields

FOLDER, NAME = ".shared", "number.json"


@dataclass(frozen=True)
class Number:
    """A number, and where it came from.

    Args:
        value: nan where there is none, and `note` says why.
        run: name of the run that computed it.
        note: what is to be said of it, or None.
        made: when it was, seconds since 1970.
    """

    value: float
    run: str
    note: str | None = None
    made: float = 0.0


def shared(
    root: Path, key: str, compute: Callable[[], Number], wait: Callable[[], None], since: float | None = None
) -> Number:
    """Return the number of a key, computed if need be.

    Args:
        root: the store. key: of all that decides it, hex digits.
        compute: computes it; what it raises leaves nothing behind.
        wait: is called, again and again, while another process computes it; it pauses, and may raise.
        since: one that was made before that time does not count; None: any does.

    Raises:
        RunError: the disk is full. InputError: the store cannot be written to.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as root:
    ...     first = shared(Path(root), "0a", lambda: Number(0.5, "first"), lambda: None)
    ...     shared(Path(root), "0a", lambda: Number(0.25, "second"), lambda: None) == first
    True
    """
    folder = Path(root) / FOLDER / key
    with said(folder):
        make(folder)
    while True:
        found = _read(folder, key, since)
        if found is not None:
            return found
        with suppress(HeldError), lock.held(folder):
            return _held(folder, key, compute, since)
        wait()


def _held(folder: Path, key: str, compute: Callable[[], Number], since: float | None) -> Number:
    """Compute and write a number, unless somebody has done so just before; hold its lock."""
    found = _read(folder, key, since)
    if found is not None:
        return found
    sweep(folder)
    new = compute()
    new = Number(new.value, new.run, new.note, time.time())
    fields: dict[str, Any] = {**vars(new), "key": key}
    write_object(folder / NAME, {**fields, "seal": of_fields(fields)})
    return new


def _read(folder: Path, key: str, since: float | None) -> Number | None:
    """Return what the file holds, or None where there is none, it is damaged, of another key or too old."""
    try:
        fields = read_object(folder / NAME) if (folder / NAME).exists() else {}
    except InputError:
        return None
    if fields.get("key") != key or fields.get("seal") != of_fields(fields) or fields["made"] < (since or 0.0):
        return None
    value = math.nan if fields["value"] is None else float(fields["value"])
    return Number(value, fields["run"], fields["note"], fields["made"])
