"""diagnose: how good the update of a rule is, against the exact gradient."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neuroanp.cli import options
from neuroanp.cli.boundary import guarded
from neuroanp.cli.progress import progress
from neuroanp.cli.screen import console, print_json, show, texts
from neuroanp.errors import InputError, all_of

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from neuroanp.diagnosing.result import Diagnosis


@guarded
def diagnose(
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="CONFIG|RUN",
            help="YAML file that describes a run, which is trained up to --at; or a run directory.",
            show_default=False,
            parser=options.named,
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at", metavar="N,N", show_default=False,
            help="Updates of the training, or shares of it (0.5, 100%); its start, or a run's newest checkpoint.",
        ),
    ] = None,
    K: Annotated[
        str | None,
        typer.Option(
            "--K", metavar="N,N", show_default=False, help="Replicas of the rule; 1,4,16 and its own if not given."
        ),
    ] = None,
    sigma: Annotated[
        str | None,
        typer.Option(
            "--sigma", metavar="S,S", show_default=False,
            help="Levels of the Gaussian on the units, where one is added; the config's own if not given.",
        ),
    ] = None,
    draws: Annotated[
        int | None,
        typer.Option("--draws", metavar="N", show_default=False, help="Draw so many updates for each of these."),
    ] = None,
    within: Annotated[
        float | None,
        typer.Option(
            "--within", metavar="X", show_default=False,
            help="Draw until cosine and sine of the mean update's angle are known to +- X; 0.05 if not given.",
        ),
    ] = None,
    most: Annotated[
        int | None,
        typer.Option("--most", metavar="N", show_default=False, help="... or N are drawn; 256 if not given."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", show_default=False, parser=options.named,
            help="Folder for table and figure; diagnosis-..., after the run, if not given.",
        ),
    ] = None,
    task: options.Task = None,
    profile: options.Profile = None,
    rule: options.Rule = None,
    backend: options.Backend = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Seed of all streams.", show_default=False)] = None,
    sets: options.Sets = None,
    json: options.Json = False,
    no_progress: options.NoProgress = False,
    debug: options.Debug = False,
) -> None:  # fmt: skip
    """Hold the updates of a rule to the exact gradient of the same batch: cosine, scale, bias and variance.

    Independent updates are drawn, with noise of their own, at the start of training or where --at says, against the
    passes an update takes and the noise level. No run is made or changed.
    """
    from neuroanp import api
    from neuroanp.api.diagnosis import folder_of
    from neuroanp.reporting.diagnosis import check_folder

    moments, replicas, levels = all_of(lambda: at_from(at), lambda: counts_from(K), lambda: numbers_from(sigma))
    overrides = options.collect(sets, seed=seed)
    words: dict[str, Any] = {"task": task, "profile": profile, "rule": rule, "backend": backend}
    folder = output if output is not None or source is None else folder_of(source)
    if folder is None:
        folder = Path(_named(api.configure(source, overrides, **words)))
    check_folder(folder)
    with progress(not no_progress, quiet=json or no_progress) as report_to:
        made = api.diagnose(
            source, at=moments, K=replicas, sigma=levels, draws=draws, within=within, most=most, overrides=overrides,
            output=folder, progress=report_to or False, **words,
        )  # fmt: skip
    if json:
        print_json([{**made.plain(), "output": str(folder)}])
        return
    show(*_on_screen(made, console()))
    show(f"written: {folder} (diagnosis.csv, .json, .png, .svg)")


def _named(config: Any) -> str:
    """Return the folder's name where none is given."""
    from neuroanp.profiles.loader import load

    name = f"diagnosis-{config.task_name}-{load(config.profile).name}-{config.rule_name}-s{config.seed}"
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)[:100]


def _on_screen(made: "Diagnosis", out: "Console") -> Iterator["RenderableType"]:
    """Yield what shows a diagnosis: a table, or two where one is too wide, and what it says."""
    from neuroanp.cli.results import in_parts, sentences
    from neuroanp.reporting.diagnosis import ALIGNED, SIZES, common, table
    from neuroanp.reporting.diagnosis import sentences as told

    yield texts((str(made.about["task"]), "bold"), (f"  {common(made)}", "dim"))
    yield from in_parts("", table(made), (ALIGNED, SIZES), out)
    yield sentences(told(made))


def at_from(text: str | None) -> list[int | float] | None:
    """Read `--at`: whole numbers are updates, numbers with a point or a per cent sign shares of the training.

    >>> at_from("0,100,0.5,100%"), at_from("1.0"), at_from(None)
    ([0, 100, 0.5, 1.0], [1.0], None)
    """
    parts = options.split_list(text, "--at")
    return None if parts is None else [_moment(part) for part in parts]


def _moment(part: str) -> int | float:
    if re.fullmatch(r"[0-9]+", part):
        return int(part)
    share = re.fullmatch(r"([0-9]*\.?[0-9]+|[0-9]+\.)(%?)", part)
    value = float(share[1]) / (100 if share[2] else 1) if share else 2.0
    if value > 1:
        raise InputError(
            f"--at: '{part}' is neither an update nor a share of the training; write e.g. --at 0,100 or --at 0,0.5,100%"
        )
    return value


def counts_from(text: str | None) -> list[int] | None:
    """Read `--K`: whole numbers.

    >>> counts_from("1,4")
    [1, 4]
    """
    parts = options.split_list(text, "--K")
    wrong = [part for part in parts or () if not re.fullmatch(r"0*[1-9][0-9]*", part)]
    if wrong:
        raise InputError(f"--K: '{wrong[0]}' is not a whole number of at least 1; write e.g. --K 1,4,16")
    return None if parts is None else [int(part) for part in parts]


def numbers_from(text: str | None) -> list[float] | None:
    """Read `--sigma`: numbers above 0.

    >>> numbers_from("1e-3,0.01")
    [0.001, 0.01]
    """
    parts = options.split_list(text, "--sigma")
    found = []
    for part in parts or ():
        plain = re.fullmatch(r"[0-9]*\.?[0-9]+([eE][+-]?[0-9]+)?", part)
        if not plain or not 0 < float(part) < float("inf"):
            raise InputError(f"--sigma: '{part}' is no standard deviation above 0; write e.g. --sigma 1e-3,1e-2")
        found.append(float(part))
    return None if parts is None else found
