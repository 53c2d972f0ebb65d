"""Work on files of strangers in a child that is watched: how it ended, what it wrote, its time and its memory."""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MOST_S, MOST_BYTES = 10.0, 2**30
STOP_BYTES = 6 * 2**30
"""Address space at which a child is stopped, so that no trial takes the machine along."""
GRACE_S = 20.0
"""A child is waited for so long: another process of the machine may hold it up, and its own time is what counts."""


@dataclass(frozen=True)
class Seen:
    """How a child ended.

    Args:
        code: its exit code, minus the signal that ended it, or None where it was stopped for its time.
        output: all that it and its own children wrote, as bytes.
        wall_s, cpu_s: time by the clock, and of the processor. peak: most bytes of memory (RSS) of it or a child of it.
    """

    code: int | None
    output: bytes
    wall_s: float
    cpu_s: float
    peak: int

    @property
    def text(self) -> str:
        """What it wrote."""
        return self.output.decode("utf-8", "replace")


def watched(work: Callable[[], object], log: Path, grace_s: float = GRACE_S) -> Seen:
    """Do something in a fork of this process, a group of its own that is ended with it.

    Args:
        work: what to do; an exception is printed as a traceback and ends it with 70.
        log: takes what is written, raw. grace_s: after which it is stopped.
    """
    began, child = time.monotonic(), os.fork()
    if not child:
        code = 70
        try:
            os.setsid()
            resource.setrlimit(resource.RLIMIT_AS, (STOP_BYTES, STOP_BYTES))
            handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(handle, 1)
            os.dup2(handle, 2)
            sys.stdout, sys.stderr = (os.fdopen(n, "w", encoding="utf-8", closefd=False) for n in (1, 2))
            code = _code(work)
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)
    done = 0
    while not done and time.monotonic() - began < grace_s:
        done, status, usage = os.wait4(child, os.WNOHANG)
        time.sleep(0.001 if time.monotonic() - began < 0.5 else 0.01)
    code = None
    if done:
        code = os.waitstatus_to_exitcode(status)
    _end_group(child)
    if not done:
        _, status, usage = os.wait4(child, 0)
    output = log.read_bytes() if log.exists() else b""
    spent = usage.ru_utime + usage.ru_stime
    return Seen(code, output, time.monotonic() - began, spent, usage.ru_maxrss * 1024)


def _end_group(leader: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def _code(work: Callable[[], object]) -> int:
    import traceback

    try:
        work()
    except SystemExit as ended:
        return int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
        return 70
    return 0


def raw_controls(output: bytes) -> list[str]:
    """Name characters that act on a terminal unseen: controls, changes of direction, ends of lines of Unicode.

    >>> raw_controls("pcm\\x1b[31m\\u202e\\tok\\n".encode())
    ['U+001B', 'U+202E']
    """
    text = output.decode("utf-8", "replace")
    hidden = {c for c in set(text) - set("\n\t\r") if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp")}
    return sorted(f"U+{ord(c):04X}" for c in hidden)


def misdeed(seen: Seen, fine: bool | None, floor: int = 0) -> str | None:
    """Say what is wrong with how a command took a stranger's file, or None.

    Args:
        seen: how it ended. fine: whether the file is to be taken; False: refused; None: either.
        floor: bytes that the process it was forked from had.
    """
    text = seen.text
    if seen.code is None:
        return f"not through after {seen.wall_s:.0f} s ({seen.cpu_s:.0f} s of processor time)"
    if seen.cpu_s > MOST_S:
        return f"{seen.cpu_s:.1f} s of processor time"
    if seen.peak > max(MOST_BYTES, floor + 2**28):
        return f"{seen.peak / 2**20:.0f} MB of memory"
    for word in ("Traceback", "this is a bug"):
        if word in text:
            return f"{word}: ...{text[-300:]}"
    if seen.code not in (0, 2):
        return f"exit code {seen.code}: {text[-300:]}"
    if seen.code == 2 and not any(word in text for word in ("error", "Error", "Invalid", "Usage")):
        return f"exit code 2 without a word: {text[-200:]}"
    if fine is not None and (seen.code == 0) != fine:
        return f"{'refused' if fine else 'taken'} (exit code {seen.code}): {text[-300:]}"
    found = raw_controls(seen.output)
    return f"raw on the terminal: {', '.join(found)}" if found else None
