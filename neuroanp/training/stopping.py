"""Turn the first Ctrl-C into a request to stop after the current update, the second into an end at once."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType

AT_ONCE_S = 1.0
"""Requests to end within this time are one: a system says once for each of its threads that a parent has died."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What ends a run in order: Ctrl-C, a request to end, a terminal that is closed."""


class StopRequested:
    """While entered, SIGINT, SIGTERM and SIGHUP set `requested`; a second one raises KeyboardInterrupt.

    SIGTERM that comes again within a second is the same request.

    One that the process ignores (`nohup`) stays ignored. Outside the main thread signals cannot be caught: there it
    never requests anything.
    """

    def __init__(self) -> None:
        self.requested = False
        self._since = 0.0
        self._before: dict[int, object] = {}

    def __enter__(self) -> StopRequested:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._request)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType]

    def ask(self) -> None:
        """Ask for the end after the current update, as the first Ctrl-C does."""
        self.requested = True

    def raise_if_requested(self) -> None:
        """Raise KeyboardInterrupt if a stop was asked for."""
        if self.requested:
            raise KeyboardInterrupt

    def _request(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.requested and not (number == signal.SIGTERM and now - self._since < AT_ONCE_S):
            raise KeyboardInterrupt
        self.requested, self._since = True, self._since if self.requested else now
