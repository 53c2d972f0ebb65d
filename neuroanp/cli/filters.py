"""Options that choose among the runs of a store; `runs list`, `rm` and `export` share them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neuroanp.cli import options
from neuroanp.cli.screen import console, text

if TYPE_CHECKING:
    from neuroanp.records.listing import Listing


def _several(flag: str, said: str) -> Any:
    return typer.Option(flag, metavar="A,B", help=said, show_default=False)


Task = Annotated[str | None, _several("--task", "Of these tasks.")]
Profile = Annotated[str | None, _several("--profile", "On these profiles.")]
Backend = Annotated[str | None, _several("--backend", "On these simulators.")]
Rule = Annotated[str | None, _several("--rule", "By these rules.")]
Status = Annotated[str | None, _several("--status", "finished, running, interrupted, diverged, failed.")]
Seed = Annotated[str | None, _several("--seed", "Of these seeds.")]
Since = Annotated[
    str | None,
    typer.Option("--since", metavar="WHEN", help="Begun since: 2026-11-29, or 12 h, 7 d.", show_default=False),
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where", metavar="'KEY < N'", help="Whose number is so: 'test_loss < 0.01'; repeatable.", show_default=False
    ),
]
Sort = Annotated[
    str | None, typer.Option("--sort", metavar="KEY", help="By this key; --sort=-KEY downwards.", show_default=False)
]


def chosen(
    store: Path, task: str | None, profile: str | None, backend: str | None, rule: str | None, status: str | None,
    seed: str | None, since: str | None, where: list[str] | None, sort: str | None = None,
) -> "Listing":  # fmt: skip
    """Return the runs that the options choose, with messages of what is none."""
    from neuroanp.api import listed

    return listed.chosen(
        store, options.split_list(task, "--task"), options.split_list(profile, "--profile"),
        options.split_list(backend, "--backend"), options.split_list(rule, "--rule"),
        options.split_list(status, "--status"), options.seed_list(seed, "--seed"), since, where or (), sort,
    )  # fmt: skip


def tell_left_out(found: "Listing") -> None:
    """Warn of each directory of a store that is no valid run, and so is among none of those that are chosen."""
    for message in found.broken:
        console(error=True).print(text(f"warning: left out: {message}"), soft_wrap=True)
