"""runs label, rm and export: name runs, remove them, and hand on what they came to."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from neuroanp.cli import filters, options
from neuroanp.cli.boundary import guarded
from neuroanp.cli.listing import app
from neuroanp.cli.screen import print_json, show
from neuroanp.errors import InputError

SHOWN = 12
"""Runs that are named before the others are counted."""
Store = Annotated[
    Path, typer.Option("--store", metavar="DIR", help="Folder that runs were written to.", parser=options.named)
]


@app.command(epilog="\n\n".join(["[bold]Examples[/]", "neuroanp runs label last best", "neuroanp evaluate best"]))
@guarded
def label(
    run: options.Run,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The label; without it, show them.", show_default=False)
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take its labels away.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Take the label from another run that has it.")] = False,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Give a run a name of one's own, which every command takes in the place of its path; the run is left as it is."""
    from neuroanp.records import labels
    from neuroanp.records.finding import found
    from neuroanp.records.run_dir import RunDir

    if remove and name is not None:
        raise InputError("--remove takes all labels of the run away; leave NAME out")
    store = Path("runs") if run.parent == Path() else run.parent
    if remove and labels.is_of_none(store, run.name):  # the label of a run that is gone
        labels.take(store, {labels.read(store)[run.name]})
        _labelled(run, [], json)
        return
    path = RunDir.open(found(run), check_code=False, quiet=True).path
    if remove:
        labels.take(path.parent, {path.name})
    elif name is not None:
        labels.give(path.parent, path.name, name, force)
    _labelled(path, [one for one, of in labels.read(path.parent).items() if of == path.name], json)


def _labelled(run: Path, now: list[str], json: bool) -> None:
    if json:
        print_json([{"run": str(run), "labels": now}])
    else:
        show(f"{run}: {', '.join(now) or 'no label'}")


@app.command(
    "rm",
    epilog="\n\n".join([
        "[bold]Examples[/]", "neuroanp runs rm last", "neuroanp runs rm --status failed --since '7 d' --yes",
        "neuroanp runs rm --store sweep --where 'test_loss > 0.1' --dry-run",
    ]),
)  # fmt: skip
@guarded
def remove_runs(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="RUN...", help=options.OF_RUN, show_default=False, parser=options.named),
    ] = None,
    store: Store = Path("runs"),
    task: filters.Task = None,
    profile: filters.Profile = None,
    backend: filters.Backend = None,
    rule: filters.Rule = None,
    status: filters.Status = None,
    seed: filters.Seed = None,
    since: filters.Since = None,
    where: filters.Where = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go; remove nothing.")] = False,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Remove runs, named or chosen by filters, and say what that frees. It asks before; nothing brings them back.

    Runs that a process writes are refused, and what a link leads to stays.
    """
    from neuroanp.cli.runs import argv
    from neuroanp.records.finding import found
    from neuroanp.records.removing import carry_out, planned
    from neuroanp.units import format_quantity

    given = (task, profile, backend, rule, status, seed, since, where)
    filtered = any(one is not None for one in given)
    if bool(runs) == filtered:
        raise InputError("name runs, or choose them by filters such as --status failed (see --help): one of the two")
    if runs:
        removal = planned([found(one, store) for one in runs])
    else:
        chosen = filters.chosen(store, *given)
        filters.tell_left_out(chosen)
        removal = planned([store / row["name"] for row in chosen.rows])
    rows = [{"run": str(run), "bytes": size} for run, size in removal.runs.items()]
    size = format_quantity(removal.bytes, "B", digits=3)
    asks = not (yes or dry_run) and bool(rows)
    if asks and not sys.stdin.isatty():
        raise InputError("nobody is there to ask; add --yes to remove, or --dry-run to see")
    if not json:
        show(*(f"{row['run']}" for row in rows[:SHOWN]), *([f"and {len(rows) - SHOWN} more"] * (len(rows) > SHOWN)))
    if dry_run or not rows:
        _removed(rows, size, json, "would be removed" if rows else "removed", False)
        return
    if asks:
        typer.confirm(f"remove {_count(rows)} ({size}) for good?", abort=True, err=True)
    carry_out(removal, argv())
    _removed(rows, size, json, "removed", True)


def _removed(rows: list[dict[str, Any]], size: str, json: bool, how: str, done: bool) -> None:
    if json:
        print_json([row | {"removed": done} for row in rows])
    else:
        show(f"{_count(rows)} {how}, {size}")


def _count(rows: list[Any]) -> str:
    return f"{len(rows):,} run{'s' * (len(rows) != 1)}"


@app.command(
    "export",
    epilog="\n\n".join([
        "[bold]Examples[/]", "neuroanp runs export -o runs.csv --task copy",
        "neuroanp runs export sweep -o sweep.json --status finished",
    ]),
)  # fmt: skip
@guarded
def export_runs(
    store: Annotated[
        Path, typer.Argument(metavar="STORE", help="Folder that runs were written to.", parser=options.named)
    ] = Path("runs"),
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help=".csv or .json; as CSV to stdout if not given.", show_default=False,
            parser=options.named,
        ),
    ] = None,
    task: filters.Task = None,
    profile: filters.Profile = None,
    backend: filters.Backend = None,
    rule: filters.Rule = None,
    status: filters.Status = None,
    seed: filters.Seed = None,
    since: filters.Since = None,
    where: filters.Where = None,
    sort: filters.Sort = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:  # fmt: skip
    """Write what the runs of a store came to into a table: a row each, with every score and control in a column."""
    from neuroanp.records.atomic import OTHER_PLACE, REPEAT, write_text
    from neuroanp.records.facts_table import as_csv, as_json

    ending = ".csv" if output is None else output.suffix
    if ending not in (".csv", ".json"):
        raise InputError(f"--output {output}: its name ends in .csv or .json, which says how it is written")
    if output is not None and output.exists() and not force:
        raise InputError(f"--output {output}: exists already; choose another name, or --force to replace it")
    chosen = filters.chosen(store, task, profile, backend, rule, status, seed, since, where, sort)
    filters.tell_left_out(chosen)
    written = as_csv(chosen.rows) if ending == ".csv" else as_json(chosen.rows)
    if output is None:
        if json:
            print_json(chosen.rows)
        else:
            sys.stdout.write(written)
        return
    write_text(output, written, OTHER_PLACE, REPEAT)
    if json:
        print_json([{"path": str(output), "runs": len(chosen.rows)}])
    else:
        show(f"{output}: {_count(chosen.rows)}")
