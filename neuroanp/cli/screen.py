"""What the commands print: results on stdout; messages, logs and progress on stderr."""

import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cache
from typing import TYPE_CHECKING, Any

from neuroanp.errors import printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text


def console(error: bool = False) -> "Console":
    """Return a console on stdout, or stderr: a new one each time, so that a replaced stream is seen.

    Where the output is a pipe or a file and nothing says how wide it is, lines are 120 columns.
    """
    stream = sys.stderr if error else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else 120
    return _console()(file=stream, width=width, highlight=False, markup=False, emoji=False)


@cache
def _console() -> "type[Console]":
    """Return the kind of console that prints no hidden character, whoever's text it is, and takes no text as markup."""
    from rich.console import Console

    class Printable(Console):
        def render_str(self, text: str, **how: Any) -> "Text":
            return super().render_str(printable(text), **how)

        def render(self, renderable: "RenderableType", options: Any = None) -> Iterator[Any]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else segment._replace(text=printable(segment.text))

    return Printable


def text(plain: str, style: str = "", no_wrap: bool = False) -> "Text":
    """Return a text for a table or a line; its hidden characters are escapes, which take their place in the layout.

    >>> text("a\\x1b[31m").plain
    'a\\\\x1b[31m'
    """
    from rich.text import Text

    return Text(printable(plain), style=style, no_wrap=no_wrap)


def show(*things: "RenderableType") -> None:
    """Print texts and tables on stdout; plain strings are printed as they are, brackets included."""
    out = console()
    for thing in things:
        out.print(thing, soft_wrap=isinstance(thing, str))


def complain(message: str) -> None:
    """Print an error on stderr."""
    err = console(error=True)
    err.print(text("error:", "bold red"), end=" ")
    err.print(message, soft_wrap=True)


def print_json(results: Sequence[Mapping[str, Any]]) -> None:
    """Print {"results": [...]} on stdout, as strict JSON: numbers that are not finite become null.

    >>> print_json([{"run": "a", "test_loss": float("nan")}])
    {"results": [{"run": "a", "test_loss": null}]}
    """
    from neuroanp.records.json_io import finite

    sys.stdout.write(json.dumps({"results": finite([*results])}, allow_nan=False) + "\n")


def texts(*parts: "str | tuple[str, str]") -> "Text":
    """Return one text of parts, each plain or (plain, style), as `text` makes them."""
    from rich.text import Text

    return Text.assemble(*(printable(p) if isinstance(p, str) else (printable(p[0]), p[1]) for p in parts))


def log_to_stderr(
    err: "Console", level: int = logging.INFO, said: set[str] | None = None
) -> AbstractContextManager[None]:
    """Show what neuroanp logs, of `level` and above, on stderr while a command runs; add its lines to `said`."""
    from neuroanp.api.telling import log_to

    return log_to(err, level, said)
