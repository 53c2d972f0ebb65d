"""End the command in order, with exit code 1 and one line, whenever Ctrl-C, a request to end or a hang-up comes."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

from neuroanp.training.stopping import SIGNALS

IMPORTING = "<frozen importlib._bootstrap>"

_heard: list[int] = []
"""The signals that this process listens to; what it was told to ignore (nohup) it still ignores."""
_in_order = False


def listen() -> None:
    """Hear signals from now on."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)
            _heard.append(number)
    sys.unraisablehook = _unraisable


def ignore() -> None:
    """Hear no further signal: the command is ending by itself."""
    for number in _heard:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def in_order() -> Iterator[None]:
    """Let a signal raise KeyboardInterrupt in the body, which saves what there is; elsewhere it ends at once."""
    global _in_order
    _in_order = True
    try:
        yield
    finally:
        _in_order = False


def end_now() -> NoReturn:
    """Say that the command was interrupted and end it, without Python's own end, which would show a traceback."""
    if os.isatty(2):
        os.write(2, b"\x1b[?25h")  # a progress bar hides the cursor
    os.write(2, b"error: interrupted\n")
    os._exit(1)


def _end(number: int, frame: FrameType | None) -> None:
    if not _in_order or _importing(frame):
        end_now()
    raise KeyboardInterrupt


def _importing(frame: FrameType | None) -> bool:
    """Tell whether a module is being loaded: libraries in C++ may crash of an exception then, or swallow it."""
    while frame is not None:
        if frame.f_code.co_filename == IMPORTING:
            return True
        frame = frame.f_back
    return False


def _unraisable(said: Any) -> None:
    """End where Python would print and forget that a signal came, as in a finaliser."""
    if said.exc_type is not None and issubclass(said.exc_type, KeyboardInterrupt):
        end_now()
    sys.__unraisablehook__(said)
