"""Hold a store for one command that does many runs; the system lets go of it when the process ends, however it ends."""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from shlex import join

from neuroanp.errors import InputError, printable
from neuroanp.records.atomic import said
from neuroanp.records.places import check_root, make

LOG = logging.getLogger("neuroanp")
NAME = ".sweep"
REFUSE, WAIT, SHARE = OTHERS = ("refuse", "wait", "share")
"""What a command does where another one holds the store: end, wait for it, or do runs beside it."""
POLL_S = 0.5
"""Between two looks at a store that another command holds."""
AGAIN = "repeat the command"
REMEDY = "wait for it (--wait), take another --runs DIR, or do runs beside it, each run once (--share)"
MOST = 2000
"""Bytes that are read of who holds it."""


@contextmanager
def held_for_sweep(root: Path, command: Sequence[str], others: str = REFUSE, remedy: str = REMEDY) -> Iterator[None]:
    """Hold a store, which is made if it is missing; single runs may still be trained in it.

    Args:
        root: the store. command: for those who come meanwhile. others: what to do if another command holds it. One that
            shares holds nothing: each run is done once all the same, by whoever has its record. remedy: what helps.

    Raises:
        InputError: another command holds it; the message says which, since when and where. Or it cannot be written to.
    """
    if others == SHARE:
        yield
        return
    check_root(root)
    new = not root.exists()
    make(root)
    handle = _taken(root, others, remedy)
    try:
        with said(root / NAME, again=AGAIN):
            _sign(handle, command)
        yield
    finally:
        with suppress(OSError):  # while we hold it: nobody else can have begun to
            os.unlink(root / NAME)
        os.close(handle)  # lets go of the lock
        if new:
            with suppress(OSError):  # runs are in it
                os.rmdir(root)


def _taken(root: Path, others: str, remedy: str) -> int:
    """Return the open file that is locked; wait for it, or say who holds it."""
    told = False
    while True:
        make(root)  # the one that was waited for may have removed it with its lock
        with said(root / NAME, again=AGAIN):
            handle = os.open(root / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise InputError(f"{root / NAME}: no file as neuroanp writes; move it away, or take another --runs DIR")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(handle, MOST, 0).decode("utf-8", "replace").strip() or "another command"
            os.close(handle)
            if others == REFUSE:
                raise InputError(f"{root}: in use by {printable(holder)}; {remedy}") from None
            if not told:
                LOG.info(f"{root}: in use by {holder}; waiting for it")
            told = True
            time.sleep(POLL_S)
            continue
        except OSError as error:
            os.close(handle)
            raise InputError(
                f"{root / NAME}: this file system gives no locks ({error.strerror}); mount it with them (Lustre: "
                "-o flock), take another --runs DIR, or do runs beside other commands (--share)"
            ) from error
        if _is_there(handle, root / NAME):
            return handle
        os.close(handle)  # its holder removed the file between our two calls: the next one is another file


def _is_there(handle: int, path: Path) -> bool:
    """Tell whether an open file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(handle), os.lstat(path))
    except FileNotFoundError:
        return False


def _sign(handle: int, command: Sequence[str]) -> None:
    """Write into the file who holds it."""
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    text = f"process {os.getpid()} on {socket.gethostname()} since {since}: {join(command)}"
    os.ftruncate(handle, 0)
    os.pwrite(handle, text.encode("utf-8", "replace")[:MOST], 0)
