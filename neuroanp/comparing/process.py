"""A worker process: give it jobs, hear what it says, and tell why it ended."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from neuroanp.comparing.needs import Needs
from neuroanp.training.processes import WITH_PARENT, Child

START = f"{WITH_PARENT}; from neuroanp.comparing.worker import serve; serve(int(sys.argv[1]), int(sys.argv[2]))"
"""What a worker runs: the modules it finds are its parent's, and the user's script is not among them."""
REMEDY = "lower --workers or the units of network if that is so"


class Worker:
    """A process that does one job after another and tells of them over its connection; started when first needed."""

    def __init__(self) -> None:
        self.job: int | None = None
        self._child: Child | None = None

    @property
    def process(self) -> Any:
        """The process, None where there is none."""
        return None if self._child is None else self._child.process

    @property
    def pipe(self) -> Any:
        """The connection to the process, None where there is none."""
        return None if self._child is None else self._child.pipe

    def give(self, index: int, needs: Needs, packed: bytes) -> None:
        """Hand over a job, in a new process if the last one died.

        Raises:
            OSError: the system starts no further process, or has no file for it.
        """
        if self._child is None:
            self._child = Child(START, REMEDY)
        self.hold(index)
        with suppress(OSError):  # it died between two jobs: `hear` finds the end of the pipe
            self._child.pipe.send(needs)
            self._child.pipe.send_bytes(packed)

    def hold(self, index: int | None) -> None:
        """Note which job it holds, None: none."""
        self.job = index

    def hear(self) -> tuple[str, Any]:
        """Return what the worker says next: (kind, content), or ("died", why) after its death."""
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            return "died", self.end()

    def written(self) -> str:
        """Return what the worker wrote to its output since this was last asked, the end of it where it is long."""
        return "" if self._child is None else self._child.written()

    def end(self) -> str:
        """Close the connection, wait for the process, and say how it ended."""
        if self._child is None:
            return "has not been started"
        child, self._child = self._child, None
        return child.end()
