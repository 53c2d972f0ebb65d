"""Start a worker process, hear what it says, and tell why it ended."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.spawn import get_executable
from typing import IO, Any

from neuroanp.comparing.needs import Needs

START = (
    "import sys; sys.path[:] = sys.argv[3:]; "
    "from neuroanp.comparing.worker import serve; serve(int(sys.argv[1]), int(sys.argv[2]))"
)
"""What a worker runs: the modules it finds are its parent's, and the user's script is not among them."""
MOST_SAID = 10_000
"""Bytes of what a worker last wrote that are looked at."""


class Worker:
    """A process that does one job after another and tells of them over its connection; started when first needed.

    It shares no lock with the others, so that one killed at any moment holds up nobody. What it writes goes to a file
    without a name: libraries do so when they fail, and it says why a process died.
    """

    def __init__(self) -> None:
        self.job: int | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.pipe: Any = None
        self._file: IO[bytes] | None = None
        self._read = 0

    def give(self, index: int, needs: Needs, packed: bytes) -> None:
        """Hand over a job, in a new process if the last one died.

        Raises:
            OSError: the system starts no further process, or has no file for it.
        """
        if self.process is None:
            self._start()
        self.hold(index)
        with suppress(OSError):  # it died between two jobs: `hear` finds the end of the pipe
            self.pipe.send(needs)
            self.pipe.send_bytes(packed)

    def hold(self, index: int | None) -> None:
        """Note which job it holds, None: none."""
        self.job = index

    def _start(self) -> None:
        paths = [path for path in sys.path if isinstance(path, str)]
        with ExitStack() as undo:
            file = undo.enter_context(tempfile.TemporaryFile())
            ours, theirs = multiprocessing.Pipe()
            undo.enter_context(ours)
            words = [os.fsdecode(get_executable()), "-P", "-c", START, str(theirs.fileno()), str(os.getpid())]
            with theirs, _held():  # closed here, so that the worker's death is the end of the pipe
                self.process = subprocess.Popen(
                    [*words, *paths], stdin=subprocess.DEVNULL, stdout=file, stderr=file, pass_fds=[theirs.fileno()]
                )
            self._file, self.pipe, self._read = file, ours, 0
            undo.pop_all()

    def hear(self) -> tuple[str, Any]:
        """Return what the worker says next: (kind, content), or ("died", why) after its death."""
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            return "died", self.end()

    def written(self) -> str:
        """Return what the worker wrote to its output since this was last asked, the end of it where it is long."""
        if self._file is None:
            return ""
        size = os.fstat(self._file.fileno()).st_size
        start = max(self._read, size - MOST_SAID)
        self._read = size
        return os.pread(self._file.fileno(), size - start, start).decode("utf-8", "replace")

    def end(self) -> str:
        """Close the connection, wait for the process, and say how it ended."""
        if self.process is None:
            return "has not been started"
        self.pipe.close()
        code = self.process.wait()
        lines = [line.strip() for line in self.written().splitlines() if line.strip()]
        if self._file is not None:
            self._file.close()
        self.process = self._file = None
        return _how(code, lines[-1] if lines else "")


def _how(code: int, last: str) -> str:
    """Say how a process ended: only one that was killed may have been for want of memory.

    >>> _how(1, "ImportError: libtorch.so: file too short")
    'ended with exit code 1: ImportError: libtorch.so: file too short'
    >>> _how(-9, "")
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
        remedy = "lower --workers or the units of network if that is so"
        return f"was killed ({name}), as systems do when memory runs out; {remedy}"
    return f"was ended by signal {name}{said}"


@contextmanager
def _held() -> Iterator[None]:
    """Hold back in this thread what a terminal sends to all its processes; one started meanwhile never sees it.

    The parent decides when its workers end.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
