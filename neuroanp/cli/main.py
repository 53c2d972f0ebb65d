"""Start and end the `neuroanp` command; nothing heavy is loaded before signals are heard."""

import os
import sys
from typing import Any

from neuroanp.cli import reserve, signals

LEAST_BYTES = 1_100_000_000
"""Address space without which nothing trains: torch, scipy and numba together were measured to take that (one thread).

Below it libraries end as they like while they are loaded, which no code of ours can tell: of thirteen limits from 717
to 1,229 MB the two about 890 MB hung for ever, as OpenBLAS asks for memory again and again, two aborted, six ended
with a line, and from 1,126 MB on all three trained.
"""


def run() -> None:
    """Run the command line. Every end has the exit code 0, 1 or 2, and but for 0 a line that says why."""
    signals.listen()
    _end_with_torchrun()
    try:
        _check_room(sys.argv[1:])
        reserve.keep()
        from neuroanp.cli.commands import app

        app()
    except SystemExit as end:
        if end.code == 130:  # typer's own, of an interrupt that came between two of our lines
            signals.end_now()
        raise
    except KeyboardInterrupt:
        signals.end_now()
    except Exception as error:  # only loading the commands raises: each of them tells its own errors
        reserve.release()
        sys.stderr.write(f"error: {_not_loaded(error)}\n")
        sys.exit(1)
    finally:
        signals.ignore()  # the command has ended, and its exit code says how


def _end_with_torchrun() -> None:
    """End with torchrun, where it started this process, from now on: libraries may load for longer than it lives."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return
    from neuroanp.training.processes import ENDS_S, end_with, ends_with

    parent = os.getppid()
    ends_with(parent)
    end_with(parent, ENDS_S)


def _check_room(words: list[str]) -> None:
    """End the command if its libraries cannot be loaded; help and version need none."""
    if "--help" in words or all(word.startswith("-") for word in words):
        return
    from neuroanp.errors import no_room_to_load

    refused = no_room_to_load(LEAST_BYTES)
    if refused is not None:
        sys.stderr.write(f"error: {refused}\n")
        sys.exit(1)


def _not_loaded(error: Exception) -> str:
    """Say why the program cannot start."""
    from neuroanp.errors import printable, refused_by_machine

    refused = refused_by_machine(error)
    if refused is not None:
        return refused
    said = printable(str(error)).strip().partition("\n")[0]
    return f"neuroanp cannot be loaded: {type(error).__name__}: {said}; install it again (pip install neuroanp)"


def __getattr__(name: str) -> Any:
    if name == "app":  # loaded when it is asked for: `run` listens to signals first
        from neuroanp.cli.commands import app

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
