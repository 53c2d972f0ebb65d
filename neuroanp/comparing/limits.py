"""What a run may take at most: time and memory. Beyond it is ended, whoever does it, and not tried again."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuroanp.errors import InputError
from neuroanp.units import Dimension

TIME = Dimension("time", "s", "10 min", positive=True)
MEMORY = Dimension("memory size", "B", "4 GB", positive=True)
LOOK_S = 0.2
"""Between two looks at what a run takes."""
GRACE_S = 30.0
"""How long a run may take to save its checkpoint once its time is over."""
PROC = Path("/proc")


@dataclass(frozen=True)
class Limits:
    """What a run may take at most.

    Args:
        time_s: seconds, of each go, without the start of its process: one that goes on from its checkpoint has them
            anew; None: any.
        memory_bytes: resident, of its process and those that it started, libraries among it; None: any.
    """

    time_s: float | None = None
    memory_bytes: float | None = None

    def __bool__(self) -> bool:
        return self.time_s is not None or self.memory_bytes is not None

    @classmethod
    def of(cls, time_limit: Any = None, memory_limit: Any = None) -> Limits:
        """Read limits as texts with a unit; InputError tells of all that is wrong.

        >>> Limits.of("10 min", "4 GB")
        Limits(time_s=600.0, memory_bytes=4000000000.0)
        >>> Limits.of("10")
        Traceback (most recent call last):
        ...
        neuroanp.errors.InputError: --time-limit (time_limit): '10' has no unit; write e.g. '10 min'
        """
        problems, found = [], []
        named = (("time", TIME, time_limit), ("memory", MEMORY, memory_limit))
        for name, dimension, given in named:
            try:
                found.append(None if given is None else dimension.parse(given))
            except ValueError as error:
                problems.append(f"--{name}-limit ({name}_limit): {error}")
        if memory_limit is not None and not problems and memory_of(os.getpid()) is None:
            problems.append(f"--memory-limit: what a process takes is read from /proc, which {sys.platform} has not")
        if problems:
            raise InputError(problems[0], problems[1:])
        return cls(*found)


NO_LIMITS = Limits()


class Watched:
    """Watches one run: whether it is beyond its limits, and what is done about it then.

    Args: limits: of the run. process: that does it, with pid, terminate and kill.
    """

    def __init__(self, limits: Limits, process: Any) -> None:
        self._limits, self._process = limits, process
        self._begun: float | None = None
        self._told_at: float | None = None
        self.why: str | None = None
        """Why it is being ended, in words; None: it is within its limits."""

    def begin(self) -> None:
        """Count time from now on: its process has loaded what it needs, and takes up the run."""
        self._begun = time.monotonic()

    def look(self) -> None:
        """End the run where it is beyond its limits: in order where its time is over, at once for its memory."""
        now, limits = time.monotonic(), self._limits
        if limits.memory_bytes is not None and self.why is None:
            taken = memory_of(self._process.pid) or 0
            if taken > limits.memory_bytes:
                self.why = (
                    f"it took {shown_bytes(taken)}, more than --memory-limit '{shown_bytes(limits.memory_bytes)}', and "
                    "was killed; its last checkpoint is kept: the same command with a larger limit goes on from it"
                )
                self._process.kill()
        if limits.time_s is None or self._begun is None:
            return
        if self.why is None and now - self._begun > limits.time_s:
            self._told_at = now
            self.why = (
                f"it took longer than --time-limit '{shown_time(limits.time_s)}' and was ended; its checkpoint is "
                "kept: the same command goes on from it, for as long again, or longer with a larger limit"
            )
            self._process.terminate()
        elif self._told_at is not None and now - self._told_at > GRACE_S:
            self._told_at = None
            self._process.kill()


def memory_of(pid: int) -> int | None:
    """Return the resident bytes of a process and of all that it started; None where the system does not tell."""
    try:
        pages = int((PROC / str(pid) / "statm").read_bytes().split()[1])
    except (OSError, IndexError, ValueError):
        return None
    total = pages * os.sysconf("SC_PAGE_SIZE")
    for task in _listed(PROC / str(pid) / "task"):
        with suppress(OSError):  # it has ended meanwhile
            for child in (PROC / str(pid) / "task" / task / "children").read_text().split():
                total += memory_of(int(child)) or 0
    return total


def _listed(folder: Path) -> list[str]:
    with suppress(OSError):
        return os.listdir(folder)
    return []


def shown_bytes(size: float) -> str:
    """Write a size.

    >>> shown_bytes(4e9), shown_bytes(250e6)
    ('4 GB', '250 MB')
    """
    return f"{size / 1e9:.4g} GB" if size >= 1e9 else f"{size / 1e6:.4g} MB"


def shown_time(seconds: float) -> str:
    """Write a duration.

    >>> shown_time(600), shown_time(90), shown_time(7200)
    ('10 min', '90 s', '2 h')
    """
    for size, unit in ((3600.0, "h"), (60.0, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
