"""A worker process: give it jobs, hear what it says, and tell why it ended."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from subprocess import TimeoutExpired
from typing import Any

from neuroanp.comparing.limits import NO_LIMITS, Limits, Watched
from neuroanp.comparing.needs import Needs
from neuroanp.training.processes import WITH_PARENT, Child

START = f"{WITH_PARENT}; from neuroanp.comparing.worker import serve; serve(int(sys.argv[1]), int(sys.argv[2]))"
"""What a worker runs: the modules it finds are its parent's, and the user's script is not among them."""
REMEDY = "lower --workers or the units of network if that is so"


class Worker:
    """A process that does one job after another and tells of them over its connection; started when first needed.

    Args: paths: where it finds modules besides where this process does.
    """

    def __init__(self, paths: Sequence[str] = ()) -> None:
        self.job: int | None = None
        self._paths = paths
        self._child: Child | None = None
        self._watched: Watched | None = None

    @property
    def process(self) -> Any:
        """The process, None where there is none."""
        return None if self._child is None else self._child.process

    @property
    def pipe(self) -> Any:
        """The connection to the process, None where there is none."""
        return None if self._child is None else self._child.pipe

    def give(self, index: int, needs: Needs, packed: bytes, limits: Limits = NO_LIMITS) -> None:
        """Hand over a job, in a new process if the last one died; `look` holds it to its limits.

        Raises:
            OSError: the system starts no further process, or has no file for it.
        """
        if self._child is None:
            self._child = Child(START, REMEDY, self._paths)
        self.hold(index)
        self._watched = Watched(limits, self._child.process) if limits else None
        with suppress(OSError):  # it died between two jobs: `hear` finds the end of the pipe
            self._child.pipe.send(needs)
            self._child.pipe.send_bytes(packed)

    def hold(self, index: int | None) -> None:
        """Note which job it holds, None: none."""
        self.job = index

    def look(self) -> None:
        """End the job that it does if it is beyond its limits; what is heard of it then is "limited"."""
        if self._watched is not None and self.job is not None:
            self._watched.look()

    def hear(self) -> tuple[str, Any]:
        """Return what the worker says next: (kind, content); ("died", why) after its death, ("limited", why) if asked.

        A run that ended well just before it was asked to has ended well.
        """
        try:
            kind, content = self.pipe.recv()
        except (EOFError, OSError):
            kind, content = "died", self.end()
        if kind == "began" and self._watched is not None:
            self._watched.begin()
        if kind in ("failed", "stopped", "died") and self._watched is not None and self._watched.why is not None:
            return "limited", self._watched.why
        return kind, content

    def written(self) -> str:
        """Return what the worker wrote to its output since this was last asked, the end of it where it is long."""
        return "" if self._child is None else self._child.written()

    def stop(self, seconds: float) -> None:
        """End the process, which may take so long to save a checkpoint."""
        if self._child is None:
            return
        self._child.process.terminate()
        with suppress(TimeoutExpired):
            self._child.pipe.close()  # it would wait for a further job
            self._child.process.wait(seconds)
        self._child.process.kill()
        self.end()

    def end(self) -> str:
        """Close the connection, wait for the process, and say how it ended."""
        if self._child is None:
            return "has not been started"
        child, self._child = self._child, None
        return child.end()
