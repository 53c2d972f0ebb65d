"""Keep a package that is imported and run from changing the process around it."""

from __future__ import annotations

import gc
import logging
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

LOG = logging.getLogger("neuroanp")


@contextmanager
def undisturbed() -> Iterator[None]:
    """Import inside: Ctrl+C, sys.excepthook and the way of warnings stay as they are. Works in any thread.

    >>> hook = sys.excepthook
    >>> with undisturbed():
    ...     sys.excepthook = print
    >>> sys.excepthook is hook
    True
    """
    handler, hook, thread = signal.signal, sys.excepthook, threading.get_ident()
    captured = getattr(warnings.showwarning, "__module__", "") == "logging"

    def elsewhere(number: int, action: Any) -> Any:  # a handler can be set in the main thread only
        return signal.getsignal(number) if threading.get_ident() == thread else handler(number, action)

    signal.signal = elsewhere
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        signal.signal, sys.excepthook = handler, hook
        logging.captureWarnings(captured)


@contextmanager
def without_deprecations() -> Iterator[None]:
    """Hide warnings of a package's own use of others."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


@cache
def warn_once(message: str) -> None:
    """Log a warning that this process has not logged before."""
    LOG.warning(message)


@contextmanager
def no_garbage_scan() -> Iterator[None]:
    """Hide what lives now from garbage collections inside; they then take no time."""
    ours = gc.get_freeze_count() == 0
    if ours:
        gc.freeze()
    try:
        yield
    finally:
        if ours:
            gc.unfreeze()


def quiet(logger: Any) -> None:
    """Leave of brian2's log (its class BrianLogger) the warnings on the console, and no file."""
    if logger.console_handler is not None:
        logging.getLogger("py.warnings").removeHandler(logger.console_handler)
    logging.getLogger("brian2").setLevel(logging.WARNING)
    logger.suppress_name("unused_brian_object")  # parts of a network that was refused
    logger.suppress_name("invalid_values")  # states that are no numbers: said by an error of ours
    if logger.file_handler is not None:
        logging.getLogger("brian2").removeHandler(logger.file_handler)
        logger.file_handler.close()
        logger.file_handler = None
    for file in (logger.tmp_log, logger.tmp_script):
        if file is not None:
            with suppress(OSError):
                Path(file).unlink()
    logger.tmp_log = logger.tmp_script = None


@contextmanager
def first_record(name: str) -> Iterator[Callable[[], str]]:
    """Keep a logger's records from the screen inside; what is yielded returns the first one's first line, or ""."""
    log, heard = logging.getLogger(name), []
    kept, spread = log.handlers[:], log.propagate

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage().partition("\n")[0])

    log.handlers[:], log.propagate = [Listener()], False
    try:
        yield lambda: heard[0] if heard else ""
    finally:
        log.handlers[:], log.propagate = kept, spread
