"""Wait for others no longer than so long: most of Dask's own calls wait for as long as it takes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import closing
from queue import Empty, SimpleQueue
from typing import TypeVar

T = TypeVar("T")
PAGE_S = 1.0
"""How long a page is waited for."""


def within(seconds: float, function: Callable[[], T]) -> T:
    """Return what a function returns, which is called in a thread of its own.

    Raises:
        TimeoutError: it takes longer, and is left to itself.
        Exception: what the function raises.

    >>> import time
    >>> within(5, lambda: 2 + 2)
    4
    >>> within(0.01, lambda: time.sleep(1))
    Traceback (most recent call last):
    ...
    TimeoutError: no answer within 0.01 s
    """
    box: SimpleQueue[tuple[T, None] | tuple[None, BaseException]] = SimpleQueue()

    def call() -> None:
        try:
            box.put((function(), None))
        except BaseException as error:
            box.put((None, error))

    threading.Thread(target=call, name="neuroanp-within", daemon=True).start()
    try:
        found, error = box.get(timeout=seconds)
    except Empty:
        raise TimeoutError(f"no answer within {seconds:g} s") from None
    if error is not None:
        raise error
    return found  # pyright: ignore[reportReturnType] - a function may well return None


def is_page(host: str, port: int) -> bool:
    """Tell whether a port answers as a web server does."""
    try:
        with closing(socket.create_connection((host, port), PAGE_S)) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return connection.recv(5) == b"HTTP/"
    except OSError:
        return False
