"""Turn what goes wrong inside a command into one message and an exit code."""

import functools
import inspect
import os
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from neuroanp.cli import reserve, signals
from neuroanp.cli.screen import complain
from neuroanp.errors import NeuroanpError, printable, refused_by_machine


def guarded(command: Callable[..., None]) -> Callable[..., None]:
    """Wrap a command so that it ends with a message and exit code 1 (a run) or 2 (the input), never a traceback.

    A command that takes `debug` shows the traceback besides. typer's own usage errors arise before
    the command is called and end with code 2 by themselves.
    """

    @functools.wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        warnings.showwarning = _warned
        try:
            with signals.in_order():
                command(*args, **kwargs)
            sys.stdout.flush()  # so that a reader that went away is noticed here
        except (typer.Exit, typer.Abort):
            raise
        except BrokenPipeError:
            # The reader (`| head`) has what it wants; Python must not complain again at its exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from None
        except (Exception, KeyboardInterrupt) as error:
            signals.ignore()
            reserve.release()
            if kwargs.get("debug"):
                sys.stderr.write(printable(traceback.format_exc()))
            message, code = explain(error)
            complain(message)
            raise typer.Exit(code) from None

    wrapper.__doc__ = in_paragraphs(command.__doc__ or "")
    return wrapper


def in_paragraphs(text: str) -> str:
    """Return a docstring with a line for each paragraph: help breaks it where the terminal ends, not where code did.

    >>> in_paragraphs("Do it.\\n\\n    What is done\\n    is done.\\n    ")
    'Do it.\\n\\nWhat is done is done.'
    """
    return "\n\n".join(" ".join(part.split()) for part in inspect.cleandoc(text).split("\n\n"))


def _warned(
    message: Any, category: type[Warning], filename: str, lineno: int, file: Any = None, line: Any = None
) -> None:
    """Show a warning of a library; it may quote what a file of others holds."""
    (file or sys.stderr).write(printable(warnings.formatwarning(message, category, filename, lineno, line)))


def explain(error: BaseException) -> tuple[str, int]:
    """Return the message for an exception and the exit code of the command that it ends.

    >>> from neuroanp.errors import InputError
    >>> explain(InputError("no rule 'anq'; did you mean 'anp'?"))
    ("no rule 'anq'; did you mean 'anp'?", 2)
    >>> explain(KeyError("w_out"))[0]
    "this is a bug in neuroanp: KeyError: 'w_out'; repeat the command with --debug and report what it prints"
    """
    if isinstance(error, KeyboardInterrupt):
        return str(error) or "interrupted", 1
    if isinstance(error, NeuroanpError):
        return str(error), error.exit_code
    refused = refused_by_machine(error)
    if refused is not None:
        return refused, 1
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename is not None else ""
        return f"{where}{error.strerror}; check the path, its permissions and the free disk space", 1
    place = _place(error)
    kind = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return f"this is a bug in neuroanp: {kind}{place}; repeat the command with --debug and report what it prints", 1


def _place(error: BaseException) -> str:
    """Name the last line of neuroanp's own code that the exception passed through."""
    package = Path(__file__).resolve().parent.parent
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename).resolve()
        if path.is_relative_to(package) and path != Path(__file__).resolve():
            return f" (neuroanp/{path.relative_to(package).as_posix()}:{frame.lineno})"
    return ""
