"""watch: how runs stand, live."""

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neuroanp.cli import options
from neuroanp.cli.boundary import guarded
from neuroanp.cli.screen import console, print_json, show, text

if TYPE_CHECKING:
    from rich.console import RenderableType

    from neuroanp.records.watching import Stand

MOST = 30
"""Runs that are shown line by line."""
Look = tuple[list["Stand"], dict[str, int], str | None]


@guarded
def watch(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|STORE", show_default=False, parser=options.named,
            help="A run, by path, beginning, label or `last`, or a folder of runs.",
        ),
    ] = Path("runs"),
    once: Annotated[bool, typer.Option("--once", help="Say how it stands now, and end.")] = False,
    every: Annotated[float, typer.Option("--every", min=0.1, max=3600.0, help="Seconds from look to look.")] = 1.0,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:  # fmt: skip
    """Show how runs stand while they run: updates, losses, time left. It ends when all have ended.

    It reads what runs write, and disturbs none: on the same machine or on another one that sees the files. "stopped" is
    a run that was killed, and can be resumed. Where the output is no terminal, each change is a line; with --json each
    look that brings a change is one object on a line. The exit code is 1 if a run that was watched ended badly; with
    --once it is 0.
    """
    look = _looker(path)
    if once:
        now = look()
        _print_once(now, path, json)
        return
    out = console()
    ended = _lines(look, every, json) if json or not out.is_terminal else _live(look, every, path)
    bad = [one for one in ended if one.status != "finished"]
    if bad:
        raise typer.Exit(1)


def _looker(path: Path) -> Any:
    """Return what looks at a run, or at the runs of a store."""
    from neuroanp.comparing.trials import FOLDER
    from neuroanp.errors import InputError
    from neuroanp.records.finding import found
    from neuroanp.records.manifest import is_there
    from neuroanp.records.watching import StoreWatcher, Watcher

    place = found(path)
    if is_there(place):
        one = Watcher(place)

        def look() -> Look:
            stand = one.look()
            return [stand], {stand.status: 1}, None

        return look
    if not place.is_dir():
        raise InputError(f"{path}: neither a run nor a folder of runs; name one that `neuroanp train` writes to")
    return StoreWatcher(place, (FOLDER,)).look


def _lines(look: Any, every: float, json: bool) -> list["Stand"]:
    """Print each change as a line until all have ended; return how those stand that were watched."""
    said: dict[str, tuple[str, int]] = {}
    while True:
        began = time.monotonic()
        stands, counts, holder = look()
        changed = [one for one in stands if said.get(one.run) != (one.status, one.update)]
        said |= {one.run: (one.status, one.update) for one in changed}
        if json and changed:
            print_json([one.row() for one in changed])
        elif not json:
            show(*map(_line, changed))
        sys.stdout.flush()
        if _over(stands, holder):
            if not stands and not json:
                show(_counted(counts))
            return stands
        _wait(every, began)


def _live(look: Any, every: float, path: Path) -> list["Stand"]:
    """Keep a table up to date until all have ended; return how those stand that were watched."""
    from rich.live import Live

    stands: list[Stand] = []
    with Live(console=console(), auto_refresh=False) as live:
        while True:
            began = time.monotonic()
            stands, counts, holder = look()
            live.update(_page(stands, counts, holder, path), refresh=True)
            if _over(stands, holder):
                return stands
            _wait(every, began)


def _over(stands: Sequence["Stand"], holder: str | None) -> bool:
    return holder is None and not any(one.runs for one in stands)


def _wait(every: float, began: float) -> None:
    """Wait until the next look: ten times as long as a look took, at least, so that a large store is not worn out."""
    time.sleep(max(every, 10 * (time.monotonic() - began)))


def _print_once(now: Look, path: Path, json: bool) -> None:
    stands, counts, holder = now
    if json:
        print_json([one.row() for one in stands])
        return
    show(_page(stands, counts, holder, path))


def _page(stands: Sequence["Stand"], counts: Mapping[str, int], holder: str | None, path: Path) -> "RenderableType":
    """Return what is shown: who does runs, a line for each run that runs, how many there are of each kind."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    from neuroanp.records.watching import curve

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("run", "status", "", "update", "train", "test", "left", "train loss"):
        table.add_column(name, no_wrap=name != "run", overflow="ellipsis")
    first = sorted(stands, key=lambda one: not one.runs)[:MOST]
    for one in first:
        table.add_row(
            text(Path(one.run).name), text(one.status, _style(one.status)),
            ProgressBar(total=one.updates or 1, completed=one.update, width=16), text(_updates(one)),
            text(_number(one.train_loss)), text(_number(one.test_loss)), text(_left(one)),
            text(curve(one.losses), "cyan"),
        )  # fmt: skip
    parts: list[RenderableType] = [] if holder is None else [text(f"{path}: in use by {holder}", "dim")]
    if first:
        parts.append(table)
    parts += [text(f"{Path(one.run).name}: {one.note}", "yellow") for one in first if one.note]
    if len(stands) > MOST:
        parts.append(text(f"and {len(stands) - MOST} more"))
    if sum(counts.values()) != 1 or not first:
        parts.append(text(_counted(counts)))
    return Group(*parts)


def _line(one: "Stand") -> str:
    """Return how a run stands in a line."""
    parts = [time.strftime("%H:%M:%S"), Path(one.run).name, one.status, _updates(one)]
    parts += [f"train {_number(one.train_loss)}"] * (one.train_loss is not None)
    parts += [f"test {_number(one.test_loss)}"] * (one.test_loss is not None)
    parts += [f"{_left(one)} left"] * (one.left_s is not None and one.runs)
    parts += [f": {one.note}"] * (one.note is not None)
    return "  ".join(parts)


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} {status}" for status, number in sorted(counts.items())) or "no run"


def _updates(one: "Stand") -> str:
    return f"{one.update:,}" if one.updates is None else f"{one.update:,}/{one.updates:,}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _left(one: "Stand") -> str:
    """Return the time left; of one whose updates are done, that controls are computed."""
    from neuroanp.cli.expected import readable

    if not one.runs:
        return ""
    if one.updates is not None and one.update >= one.updates:
        return "controls"
    return "–" if one.left_s is None else readable("seconds", one.left_s)


def _style(status: str) -> str:
    return {"running": "green", "finished": "", "stopped": "yellow"}.get(status, "red")
