"""Progress bars with ETA on stderr: one a run, and one for all runs of a comparison."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from neuroanp.cli.screen import console, log_to_stderr

if TYPE_CHECKING:
    from neuroanp.api.telling import Event


@contextmanager
def progress(
    enabled: bool, runs: int | None = None, quiet: bool = False, said: set[str] | None = None
) -> Iterator[Callable[["Event"], None] | None]:
    """Show bars while the block runs; yield the callable that `neuroanp.api` reports to, or None.

    Nothing moves where stderr is not a terminal; the log is shown either way.

    Args:
        enabled: False shows no bars (`--no-progress`).
        runs: how many runs there will be, for the bar of all; None shows no such bar.
        quiet: show no log but warnings.
        said: gets the lines of the log that were shown.
    """
    err = console(error=True)
    with log_to_stderr(err, logging.WARNING if quiet else logging.INFO, said):
        if not (enabled and err.is_terminal):
            yield None
            return
        from neuroanp.api.telling import bars

        with bars(err, runs) as shown:
            yield shown
