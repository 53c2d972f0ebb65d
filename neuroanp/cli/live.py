"""live: the chip of a run lives on, drifts, and learns in place what it has lost."""

from pathlib import Path
from typing import Annotated

import typer

from neuroanp.cli import options
from neuroanp.cli.boundary import guarded
from neuroanp.cli.screen import console, log_to_stderr, print_json, show
from neuroanp.errors import InputError


@guarded
def live(
    run: options.Run,
    duration: Annotated[str, typer.Option("--for", metavar="T", help="How long it lives: '30 d'.")] = "30 d",
    every: Annotated[
        str | None,
        typer.Option(
            "--every",
            metavar="T",
            show_default=False,
            help="Time from one relearning to the next: '1 d' (default: times that grow, from an hour on).",
        ),
    ] = None,
    relearn: Annotated[int, typer.Option("--relearn", min=1, max=1_000_000, help="Updates of each relearning.")] = 200,
    lr: Annotated[
        float | None,
        typer.Option("--lr", help="Their learning rate, constant (default: the run's).", show_default=False),
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option("--rule", help="The rule that relearns (default: the run's).", show_default=False),
    ] = None,
    figure: Annotated[
        Path | None,
        typer.Option("--figure", metavar="FILE", help="Draw it: .png or .svg.", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a figure that exists.")] = False,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Let the chip of a run live on: it drifts, and relearns in place from time to time; beside it one left alone.

    Relearning shows the chip new sequences of its task and does updates of the rule on it, which are written, booked
    and wear as in training. The run is left as it is.
    """
    from neuroanp import api

    if figure is not None and figure.suffix not in (".png", ".svg"):
        raise InputError(f"--figure {figure}: a figure ends in .png or .svg; write e.g. --figure {figure.stem}.png")
    if figure is not None and figure.exists() and not force:
        raise InputError(f"--figure {figure}: exists already; choose another name, or --force to replace it")
    err = console(error=True)

    def told(done: int, of: int) -> None:
        if err.is_terminal:
            err.print(f"{done} of {of} times", end="\r", markup=False)

    with log_to_stderr(err):
        rows = api.live(run, duration, every=every, relearn=relearn, lr=lr, rule=rule, told=told)
    if figure is not None:
        from neuroanp.records.atomic import write_bytes
        from neuroanp.reporting.living import draw

        write_bytes(figure, draw(rows, figure.suffix))
    if json:
        print_json(rows)
        return
    from neuroanp.cli.results import lives_on_screen

    show(*lives_on_screen(rows))
