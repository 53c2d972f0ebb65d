"""evaluate: a stored run looked at again, after idle time, with less noise, or on another device."""

from typing import Annotated

import typer

from neuroanp.cli import options
from neuroanp.cli.boundary import guarded
from neuroanp.cli.options import split_list
from neuroanp.cli.screen import console, log_to_stderr, print_json, show
from neuroanp.errors import all_of


@guarded
def evaluate(
    run: options.Run,
    after: Annotated[
        str | None,
        typer.Option("--after", metavar="T,T", help="Idle times, such as '1 h,30 d'.", show_default=False),
    ] = None,
    only: options.Only = None,
    without: options.Without = None,
    profile: Annotated[
        str | None,
        typer.Option("--profile", help="Program a new chip of this profile with its weights.", show_default=False),
    ] = None,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Evaluate a run's last checkpoint on its held-out sequences: under its device's noise, and noise-free.

    The run is left as it is. Switched off can be what acts when the array is read; what acts when weights are
    written is in them.
    """
    from neuroanp import api

    times, on, off = all_of(
        lambda: split_list(after, "--after"),
        lambda: split_list(only, "--only"),
        lambda: split_list(without, "--without"),
    )
    with log_to_stderr(console(error=True)):
        rows = api.evaluate(run, after=times or (), only=on or (), without=off or (), profile=profile)
    if json:
        print_json(rows)
        return
    from neuroanp.cli.results import rows_on_screen

    show(*rows_on_screen(rows))
