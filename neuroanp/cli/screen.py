"""What the commands print: results on stdout; messages, logs and progress on stderr."""

import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


def console(error: bool = False) -> "Console":
    """Return a console on stdout, or stderr: a new one each time, so that a replaced stream is seen.

    Where the output is a pipe or a file and nothing says how wide it is, lines are 120 columns.
    """
    from rich.console import Console

    stream = sys.stderr if error else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else 120
    return Console(file=stream, width=width, highlight=False)


def show(*things: "RenderableType") -> None:
    """Print texts and tables on stdout; plain strings are printed as they are, brackets included."""
    out = console()
    for thing in things:
        out.print(thing, markup=False, soft_wrap=isinstance(thing, str))


def complain(message: str) -> None:
    """Print an error on stderr."""
    console(error=True).print("[bold red]error:[/]", end=" ")
    console(error=True).print(message, markup=False, soft_wrap=True)


def print_json(results: Sequence[Mapping[str, Any]]) -> None:
    """Print {"results": [...]} on stdout, as strict JSON: numbers that are not finite become null.

    >>> print_json([{"run": "a", "test_loss": float("nan")}])
    {"results": [{"run": "a", "test_loss": null}]}
    """
    from neuroanp.records.json_io import finite

    sys.stdout.write(json.dumps({"results": finite([*results])}, allow_nan=False) + "\n")


def log_to_stderr(
    err: "Console", level: int = logging.INFO, said: set[str] | None = None
) -> AbstractContextManager[None]:
    """Show what neuroanp logs, of `level` and above, on stderr while a command runs; add its lines to `said`."""
    from neuroanp.reporting.live import log_to

    return log_to(err, level, said)
