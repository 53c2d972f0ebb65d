"""Start a process of this package on this machine, and tell why it ended."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.spawn import get_executable
from typing import IO, Any

MOST_SAID = 10_000
"""Bytes of what a process last wrote that are looked at."""
PR_SET_PDEATHSIG = 1
LOOK_S = 0.25
"""Between two looks at whether what started a process is there."""
ENDS_S = 3.0
"""How long a process of torchrun goes on once that is gone: to save a checkpoint, and end within 5 s even if busy."""
WITH_PARENT = (
    "import sys; sys.path[:] = sys.argv[3:]; "
    "from neuroanp.training.processes import ends_with; ends_with(int(sys.argv[2])) or sys.exit()"
)
"""How a process begins that ends with its parent: before libraries are loaded, which may take longer than it lives."""


class Child:
    """A process with a connection to it.

    It shares no lock with others, so that one killed at any moment holds up nobody. What it writes goes to a file
    without a name: libraries do so when they fail, and it says why a process died.

    Args:
        start: Python that it runs, with the handle of its end of the connection and this process's number as
            sys.argv[1] and [2], and the places where modules are found after them.
        remedy: what may help where it was killed.
        paths: further places where modules are found, after those of this process.

    Raises:
        OSError: the system starts no further process, or has no file for it.
    """

    def __init__(self, start: str, remedy: str, paths: Sequence[str] = ()) -> None:
        self._remedy, self._read = remedy, 0
        own = [path for path in sys.path if isinstance(path, str)]
        found = [*own, *(path for path in paths if path not in own)]
        with ExitStack() as undo:
            file = undo.enter_context(tempfile.TemporaryFile())
            ours, theirs = multiprocessing.Pipe()
            undo.enter_context(ours)
            words = [os.fsdecode(get_executable()), "-P", "-c", start, str(theirs.fileno()), str(os.getpid())]
            with theirs, held():  # closed here, so that the process's death is the end of the pipe
                self.process = subprocess.Popen(
                    [*words, *found], stdin=subprocess.DEVNULL, stdout=file, stderr=file, pass_fds=[theirs.fileno()]
                )
            self._file: IO[bytes] = file
            self.pipe: Any = ours
            undo.pop_all()

    def written(self) -> str:
        """Return what the process wrote to its output since this was last asked, the end of it where it is long."""
        size = os.fstat(self._file.fileno()).st_size
        start = max(self._read, size - MOST_SAID)
        self._read = size
        return os.pread(self._file.fileno(), size - start, start).decode("utf-8", "replace")

    def end(self) -> str:
        """Close the connection, wait for the process, and say how it ended."""
        self.pipe.close()
        code = self.process.wait()
        lines = [line.strip() for line in self.written().splitlines() if line.strip()]
        self._file.close()
        return how_it_ended(code, lines[-1] if lines else "", self._remedy)


def how_it_ended(code: int, last: str, remedy: str) -> str:
    """Say how a process ended: only one that was killed may have been for want of memory.

    Args: code: its exit code. last: the last line that it wrote. remedy: for want of memory.

    >>> how_it_ended(1, "ImportError: libtorch.so: file too short", "")
    'ended with exit code 1: ImportError: libtorch.so: file too short'
    >>> how_it_ended(-9, "", "lower --workers or the units of network if that is so")
    'was killed (SIGKILL), as systems do when memory runs out; lower --workers or the units of network if that is so'
    """
    said = f": {last[:500]}" if last else ""
    if code >= 0:
        return f"ended with exit code {code}{said}"
    try:
        name = signal.Signals(-code).name
    except ValueError:  # a real-time signal
        name = str(-code)
    if -code == signal.SIGKILL:
        return f"was killed ({name}), as systems do when memory runs out; {remedy}"
    return f"was ended by signal {name}{said}"


@contextmanager
def held() -> Iterator[None]:
    """Hold back in this thread what a terminal sends to all its processes; one started meanwhile never sees it.

    The parent decides when its processes end.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ends_with(parent: int) -> bool:
    """Ask the system to end this process with its parent, and return whether that is still there."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    return os.getppid() == parent


def end_with(parent: int, seconds: float) -> None:
    """Let this process end some seconds after the one that started it, whatever it waits for."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_S)
        time.sleep(seconds)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
