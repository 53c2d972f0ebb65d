"""profiles list, show, validate, diff: what is known of a device, in units, with sources."""

from typing import TYPE_CHECKING, Annotated

import typer

from neuroanp.cli import fit, options, tabulate
from neuroanp.cli.boundary import guarded
from neuroanp.cli.screen import print_json, show, text
from neuroanp.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from neuroanp.profiles import HardwareProfile

app = typer.Typer(help="Hardware profiles: what is known of a device, in units, with sources.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A shipped profile's name, or a file.", show_default=False)]


@app.command("list", epilog="Example: neuroanp profiles list")
@guarded
def list_profiles(json: options.Json = False, debug: options.Debug = False) -> None:
    """List the shipped profiles."""
    from neuroanp.profiles import STATUSES, summaries

    found = summaries()
    if json:
        print_json([meta.model_dump(exclude={"status"}) | {"parameters": counted} for meta, counted in found])
        return
    table = _table("profile", *STATUSES, "what it is")
    for meta, counted in found:
        table.add_row(meta.name, *(str(counted[status] or "–") for status in STATUSES), meta.summary)
    show(table, "", "measured, fitted, illustrative: how many of a profile's parameters are")


@app.command("show", epilog="Example: neuroanp profiles show pcm")
@guarded
def show_profile(name: Name, json: options.Json = False, debug: options.Debug = False) -> None:
    """Show every parameter of a profile with its unit, its status and its source."""
    from neuroanp.profiles import load

    profile = load(name)
    if json:
        print_json([_as_dict(profile)])
    else:
        _print(profile)


@app.command(epilog="Example: neuroanp profiles validate my_device.yaml")
@guarded
def validate(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Profile files, or names.")],
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Check profiles: print OK for each, or everything that is wrong with file, line and remedy."""
    from neuroanp.profiles import load

    problems: dict[str, list[str]] = {}
    for path in paths:
        try:
            load(path)
        except InputError as error:
            problems[path] = [*error.problems] or [error.message]
    if json:
        print_json([{"path": p, "ok": p not in problems, "problems": problems.get(p, [])} for p in paths])
    else:
        show(*(f"{path}: OK" for path in paths if path not in problems))
    if problems:
        count = sum(map(len, problems.values()))
        raise InputError(
            f"{', '.join(problems)}: {count} problem{'s' * (count > 1)}",
            [line for of in problems.values() for line in of],
        )


@app.command(epilog="Example: neuroanp profiles diff pcm my_device.yaml")
@guarded
def diff(
    left: Annotated[str, typer.Argument(metavar="A", help="A profile's name, or a file.", show_default=False)],
    right: Annotated[str, typer.Argument(metavar="B", help="A profile's name, or a file.", show_default=False)],
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Show the parameters in which two profiles differ."""
    from neuroanp import profiles

    found = profiles.diff(profiles.load(left), profiles.load(right))
    if json:
        print_json([{"parameter": one.key, "left": one.left, "right": one.right} for one in found])
        return
    if not found:
        show(f"{left} and {right} hold the same values")
        return
    table = _table("parameter", left, right)
    for one in found:
        table.add_row(one.key, *("–" if side is None else side for side in (one.left, one.right)))
    show(table)


app.command("fit", epilog=fit.EPILOG)(fit.fit)
app.command("tabulate", epilog=tabulate.EPILOG)(tabulate.tabulate)


def _as_dict(profile: "HardwareProfile") -> dict:
    """Return the profile as plain values: SI numbers, their text, and where each is from."""
    from neuroanp.yaml_io import dotted

    origins, inherited = profile.provenance, profile.inherited
    return {
        **profile.meta.model_dump(),
        "hash": profile.hash,
        "parameters": [
            {
                "parameter": key,
                "value": leaf.value,
                "unit": leaf.dimension.unit if leaf.dimension else None,
                "text": leaf.text,
                "status": origins[key].status if key in origins else None,
                "source": origins[key].source if key in origins else None,
                "inherited": inherited.get(key),
            }
            for leaf in profile.leaves()
            for key in [dotted(leaf.key)]
        ],
    }


def _print(profile: "HardwareProfile") -> None:
    """Print the profile's head, its parameters, and below them the numbered sources."""
    from neuroanp.profiles.provenance import in_words

    meta, rows = profile.meta, _as_dict(profile)["parameters"]
    sources = list(dict.fromkeys(row["source"] for row in rows if row["source"]))
    head = [text(meta.name, style="bold"), text(meta.summary)]
    known = f"{sum(profile.shares.values())} parameters: {in_words(profile.shares)}"
    head += [text(f"{known}; doi:{meta.doi}" if meta.doi else known, style="dim"), text("")]
    table = _table("parameter", "value", "status", "source")
    section = ""
    for row in rows:
        here = row["parameter"].partition(".")[0]
        if section and here != section:
            table.add_row()
        section = here
        number = f"({sources.index(row['source']) + 1})" if row["source"] else ""
        status = f"{row['status']}, of {row['inherited']}" if row["inherited"] else row["status"]
        table.add_row(row["parameter"], row["text"], status, number)
    notes = _table("", "sources")
    for number, source in enumerate(sources, start=1):
        notes.add_row(f"({number})", source)
    show(*head, table, "", notes)


def _table(*headings: str) -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(text(heading), overflow="fold")
    return table
