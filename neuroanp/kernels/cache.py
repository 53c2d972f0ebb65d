"""Where numba keeps what it has compiled, and whether it can: else each process compiles anew, for seconds."""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple


class Compiled(NamedTuple):
    """What is known of the compiled loops.

    Args:
        numba: its version; None: it is not installed, or does not load, and `why` says so.
        folder: where it keeps what it has compiled; None: nowhere.
        switched_off: whether NUMBA_DISABLE_JIT leaves the loops to Python.
        why: what went wrong, or "".
    """

    numba: str | None
    folder: Path | None
    switched_off: bool
    why: str


def compiled_loops() -> Compiled:
    """Return where the compiled loops of this machine and user stand; nothing is compiled for it."""
    try:
        found = version("numba")
    except PackageNotFoundError as error:
        return Compiled(None, None, False, str(error))
    try:
        from neuroanp.kernels import compiled
    except ImportError as error:
        return Compiled(None, None, False, str(error))
    except RuntimeError as error:  # numba finds no folder that it could write to
        return Compiled(found, None, False, str(error))
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        return Compiled(found, None, True, "NUMBA_DISABLE_JIT is set")
    folder = Path(str(compiled.fill.stats.cache_path))
    if not writable(folder):
        return Compiled(found, None, False, f"{folder} cannot be written")
    return Compiled(found, folder, False, "")


def writable(folder: Path) -> bool:
    """Return whether files can be made in a folder, or it itself, where it is not there yet.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as there:
    ...     writable(Path(there) / "a" / "b"), writable(Path(there)), [*Path(there).iterdir()]
    (True, True, [])
    """
    while not folder.exists():
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
