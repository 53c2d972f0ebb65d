"""Start and end the `neuroanp` command; nothing heavy is loaded before signals are heard."""

import sys
from typing import Any

from neuroanp.cli import signals


def run() -> None:
    """Run the command line. Every end has the exit code 0, 1 or 2, and but for 0 a line that says why."""
    signals.listen()
    try:
        from neuroanp.cli.commands import app

        app()
    except SystemExit as end:
        if end.code == 130:  # typer's own, of an interrupt that came between two of our lines
            signals.end_now()
        raise
    except KeyboardInterrupt:
        signals.end_now()
    except Exception as error:  # only loading the commands raises: each of them tells its own errors
        sys.stderr.write(f"error: {_not_loaded(error)}\n")
        sys.exit(1)
    finally:
        signals.ignore()  # the command has ended, and its exit code says how


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
