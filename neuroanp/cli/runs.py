"""train, resume, compare and report: the commands that make runs and show them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neuroanp.cli import options
from neuroanp.cli.boundary import guarded
from neuroanp.cli.expected import show_estimate
from neuroanp.cli.options import collect, for_rules, keyed, seed_list, seeds_from, split
from neuroanp.cli.progress import progress
from neuroanp.cli.screen import complain, console, log_to_stderr, print_json, show
from neuroanp.errors import DivergedError, InputError, RunError, all_of

if TYPE_CHECKING:
    from neuroanp.api import Comparison, Run
    from neuroanp.api.comparison import Size
    from neuroanp.training.config import RunConfig


@guarded
def train(
    config: options.Config = None,
    task: options.Task = None,
    profile: options.Profile = None,
    rule: options.Rule = None,
    backend: options.Backend = None,
    target: options.Target = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Seed of all streams.", show_default=False)] = None,
    updates: options.Updates = None,
    write: options.Write = None,
    only: options.Only = None,
    without: options.Without = None,
    sets: options.Sets = None,
    workers: options.Sharing = None,
    extend: Annotated[
        Path | None, options.place("--extend", of="RUN", said="Go on from a finished run: --updates more.")
    ] = None,
    adapt: Annotated[
        Path | None,
        options.place("--adapt", of="RUN", said="Train what --target can hold in the place of a run."),
    ] = None,
    tensorboard: Annotated[
        Path | None, options.place("--tensorboard", of="DIR", said="Write all numbers for TensorBoard.")
    ] = None,
    runs: options.Runs = Path("runs"),
    force: options.Force = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
    no_progress: options.NoProgress = False,
    no_report: options.NoReport = False,
    debug: options.Debug = False,
) -> None:
    """Train one network on one device, and show its result beside the controls."""
    from neuroanp import api
    from neuroanp.training import distributed

    if distributed.follows():  # torchrun started this process beside the one that does all that follows
        if not dry_run:
            distributed.follow()
        return
    overrides = collect(
        sets, seed=seed, training__updates=updates, hardware__write=write, hardware__only=only,
        hardware__without=without,
    )  # fmt: skip
    words: dict[str, Any] = {"task": task, "profile": profile, "rule": rule, "backend": backend, "target": target}
    given = {"CONFIG": config, "--adapt": adapt, "workers": workers, **words, **overrides}
    if adapt is not None and extend is None:
        _check_adapting(adapt, config, target)
    if dry_run:
        changes: list[str] = []
        if extend is not None:
            planned = _rest(_extended(extend, updates, given, runs), updates)
        elif adapt is not None:
            planned, changes = _adapted(adapt, runs, workers, overrides, words)
        else:
            planned = api.configure(config, overrides, workers=workers, **words)
        expected = api.estimate(planned)
        if changes:
            expected = {**expected, "notes": [*changes, *expected["notes"]]}
        show_estimate(expected, json)
        return
    heard = []
    if tensorboard is not None:
        from neuroanp.training.tensorboard import TensorBoard

        heard = [TensorBoard(tensorboard)]
    said: set[str] = set()
    with progress(not no_progress, quiet=json or no_progress, said=said) as report_to:
        how: dict[str, Any] = {
            "runs": runs, "force": force, "report": not no_report, "progress": report_to or False, "workers": workers,
            "callbacks": heard, "argv": argv(),
        }  # fmt: skip
        try:
            if extend is not None:
                run = api.train(_extended(extend, updates, given, runs), **how)
            elif adapt is not None:
                run = api.adapt(adapt, overrides=overrides, **how, **words)
            else:
                run = api.train(config, overrides=overrides, **how, **words)
        except DivergedError as error:
            run = _kept(error)
    _end_one(run, json, None if json or no_progress else said, no_report)


def _check_adapting(run: Path, config: Path | None, target: str | None) -> None:
    """Raise InputError where `--adapt` lacks something, or is given something that the run says."""
    if str(run).startswith("-"):
        raise InputError("--adapt: name a run, e.g. --adapt last")
    if config is not None:
        raise InputError(f"--adapt: takes the configuration of {run}; leave out {config}")
    if target is None:
        raise InputError("--adapt: say the chip or format that is to hold it, e.g. --target xylo")


def _adapted(
    run: Path, runs: Path, workers: int | None, overrides: Mapping[str, Any], words: Mapping[str, Any]
) -> tuple["RunConfig", list[str]]:
    """Return the configuration of a run with what its target needs, and what is another in it."""
    from neuroanp import api
    from neuroanp.records.finding import found
    from neuroanp.records.run_dir import RunDir
    from neuroanp.training.adapting import adapted

    others = {key: value for key, value in words.items() if key != "target"}
    made = adapted(RunDir.open(found(run, runs), check_code=False), words["target"], overrides, others)
    return api.configure(made.config, workers=workers), [f"{words['target']}: {line}" for line in made.changes]


def _extended(run: Path, updates: int | None, said: Mapping[str, Any], runs: Path) -> "RunConfig":
    """Return the configuration that goes on from a run; nothing else may be said beside how many updates."""
    from neuroanp.records.finding import found
    from neuroanp.records.run_dir import RunDir
    from neuroanp.training.extending import extended

    others = [key for key, value in said.items() if value is not None and key != "training.updates"]
    if others:
        raise InputError(f"--extend: goes on with the configuration of {run}; leave out {', '.join(others)}")
    if updates is None:
        raise InputError("--extend: say how many updates more, e.g. --updates 500")
    return extended(RunDir.open(found(run, runs), check_code=False), updates)


def _rest(config: "RunConfig", updates: int | None) -> "RunConfig":
    """Return what is left to do of a run that goes on, as a run of its own: what it takes is the same."""
    training = config.training.model_copy(update={"updates": updates, "extends": None})
    return config.model_copy(update={"training": training})


@guarded
def resume(
    run: options.Run,
    json: options.Json = False,
    no_progress: options.NoProgress = False,
    no_report: options.NoReport = False,
    debug: options.Debug = False,
) -> None:
    """Continue an interrupted run from its last good checkpoint; a finished one is shown."""
    from neuroanp import api
    from neuroanp.training import distributed

    if distributed.follows():
        distributed.follow()
        return
    said: set[str] = set()
    with progress(not no_progress, quiet=json or no_progress, said=said) as report_to:
        try:
            resumed = api.resume(run, report=not no_report, progress=report_to or False)
        except DivergedError as error:
            resumed = _kept(error)
    _end_one(resumed, json, None if json or no_progress else said, no_report)


@guarded
def compare(
    config: options.Config = None,
    profiles: options.Profiles = None,
    rules: options.Rules = None,
    seeds: options.Seeds = None,
    task: options.Tasks = None,
    backend: options.Backends = None,
    updates: options.Updates = None,
    write: options.Write = None,
    only: options.Only = None,
    without: options.Without = None,
    sets: options.Sets = None,
    axis: options.Axes = None,
    for_rule: options.ForRule = None,
    tune: options.Tune = None,
    tune_seeds: options.TuneSeeds = None,
    search: options.Search = None,
    trials: options.Trials = None,
    search_seed: options.SearchSeed = None,
    workers: options.Workers = None,
    cluster: options.Cluster = None,
    time_limit: options.TimeLimit = None,
    memory_limit: options.MemoryLimit = None,
    wait: options.Wait = False,
    share: options.Share = False,
    dashboard: options.Dashboard = False,
    max_runs: options.MaxRuns = None,
    runs: options.Runs = Path("runs"),
    ablate: Annotated[
        bool, typer.Option("--ablate", help="Also without each non-ideality, with each alone, and with none.")
    ] = False,
    controls: options.Controls = None,
    force: options.Force = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print how many runs, and a queue's job script; run nothing.")
    ] = False,
    json: options.Json = False,
    no_progress: options.NoProgress = False,
    no_report: options.NoReport = False,
    debug: options.Debug = False,
) -> None:
    """Train every backend x profile x rule x seed in parallel processes; compare them in one table and report.

    --tune chooses settings first, on seeds that are not reported, with as many trials for everything that is compared;
    the runs of the table are then made with them. Lists make a grid; of ranges --search draws --trials points. Trials
    lie in RUNS/tuning, and are not repeated either.
    """
    from neuroanp import api

    overrides, numbers, axes, settings, grid, tuned_on, how = all_of(
        lambda: collect(
            sets, training__updates=updates, hardware__write=write, hardware__only=only, hardware__without=without
        ),
        lambda: seeds_from(seeds),
        lambda: keyed(axis, "--axis"),
        lambda: for_rules(for_rule),
        lambda: keyed(tune, "--tune"),
        lambda: seed_list(tune_seeds, "--tune-seeds"),
        lambda: options.how(cluster, time_limit, memory_limit, wait, share, dashboard),
    )
    names = {"profiles": profiles, "rules": rules, "tasks": task, "backends": backend}
    chosen: dict[str, Any] = {name: split(text) for name, text in names.items() if text is not None}
    if numbers is not None:
        chosen["seeds"] = numbers
    total = 1
    for value in chosen.values():
        total *= value if isinstance(value, int) else len(value)
    besides = {
        "max_runs": max_runs, "axes": axes, "for_rule": settings, "tune": grid, "tune_seeds": tuned_on,
        "search": search, "trials": trials, "search_seed": search_seed,
    }  # fmt: skip
    chosen |= {name: value for name, value in besides.items() if value is not None}
    if ablate:
        chosen["ablate"] = True
    if dry_run and grid:
        from neuroanp.api.comparison import size_of_comparison

        size = size_of_comparison(config, overrides, **chosen)
        show_dry_run(size.total, workers, how, json, size)
        return
    if ablate or axes or grid:
        total = api.runs_of_comparison(config, overrides, **chosen)
    if dry_run:
        show_dry_run(total, workers, how, json)
        return
    if controls is not None:
        chosen["controls"] = controls
    with watched(total, json, no_progress) as report_to:
        comparison = api.compare(
            config, overrides=overrides, **chosen, workers=workers, **how, runs=runs, force=force,
            report=not no_report, progress=report_to or False, argv=argv(),
        )  # fmt: skip
    end_many(comparison, json)


def show_dry_run(
    total: int, workers: int | None, how: Mapping[str, Any], json: bool, size: "Size | None" = None
) -> None:
    """Print how many runs there would be and who would do them; of a queue, what it would be handed.

    Args: total, workers, how, json: of them. size: how many of them are trials, where something is tuned.
    """
    from neuroanp.api.doing import Doing

    executor = Doing.of(workers, **how).executor
    if json:
        trials = {} if size is None else {"trials": size.tuned * size.trials, "reported": size.reported}
        print_json([{"runs": total, **trials, "where": executor.where, "job_script": executor.script}])
        return
    of = "" if size is None else f" ({size.tuned:,} x {size.trials:,} trials, and {size.reported:,} that are reported)"
    show(f"{total:,} runs{of}, {executor.where}; nothing was run")
    show_script(executor.script)


def show_script(script: str | None) -> None:
    """Print what a queue is handed for each job."""
    if script is not None:
        show("", "each job:", "", script.rstrip())


@contextmanager
def watched(total: int, json: bool, no_progress: bool) -> Iterator[Any]:
    """Show the progress of `total` runs in parallel; yield what they report to. Ctrl-C says how to go on."""
    with progress(not no_progress, quiet=json or no_progress, runs=total) as report_to:
        try:
            yield report_to
        except KeyboardInterrupt:
            raise RunError("interrupted; the same command continues from the checkpoints") from None


@guarded
def report(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN|STORE...",
            help="Runs, by path, beginning, label or `last`, or folders of them.",
            parser=options.named,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="HTML file to write.", show_default=False, parser=options.named
        ),
    ] = None,
    json: options.Json = False,
    debug: options.Debug = False,
) -> None:
    """Write one HTML file that shows runs: curves, table with controls, energy and time, predictions."""
    from neuroanp import api

    with log_to_stderr(console(error=True)):
        written = api.report(paths, output)
    if json:
        print_json([{"report": str(written)}])
    else:
        show(f"report: {written}")


def argv() -> list[str]:
    """Return the command as a user would repeat it."""
    import sys

    return ["neuroanp", *sys.argv[1:]]


def _kept(error: DivergedError) -> "Run":
    """Return the run that diverged, whose record is shown as any other's; raise the error if it has none."""
    from neuroanp import api

    if error.path is None:
        raise error
    return api.load_run(error.path)


def _end_one(run: "Run", json: bool, said: set[str] | None, no_report: bool) -> None:
    """Say what the run's record notes and was not `said` while it ran (nothing if None); end with its result."""
    *notes, last = run.record.manifest["log"] or [""]
    stopped = run.result["status"] != "finished"
    err = console(error=True)
    for line in notes if stopped else [*notes, last]:
        if said is not None and line not in said:
            err.print(line, soft_wrap=True)
    if stopped:
        complain(last)
    written = run.path / "report.html"
    if not written.exists():
        written = None if no_report else run.report()
    _end([run], written, json)


def end_many(comparison: "Comparison", json: bool) -> None:
    """Print the results of several runs and where the report is; exit with 1 if one did not finish."""
    rows = comparison.results if json else None
    tuning = [one.to_dict() for one in comparison.tuning]
    _end(comparison.runs, comparison.report, json, comparison.failed, comparison.ablation, rows, tuning)


def _end(
    runs: Sequence["Run"],
    written: Path | None,
    json: bool,
    failed: Sequence[tuple[str, str]] = (),
    ablation: Sequence[Mapping[str, Any]] = (),
    rows: Sequence[Mapping[str, Any]] | None = None,
    tuning: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Print the results (`rows` as JSON, if given) and where a report is; exit with 1 if a run did not finish."""
    results = rows or [run.result for run in runs]
    if json:
        print_results(results, ablation, tuning)
    else:
        from neuroanp.cli.results import on_screen
        from neuroanp.reporting.reading import shown

        show(*on_screen([shown(run.record) for run in runs], console(), tuning))
        if written is not None:
            show(f"report: {written}")
    for label, message in failed:
        complain(f"{label}: {message}")
    if failed or any(result["status"] != "finished" for result in results):
        raise typer.Exit(1)


def print_results(
    results: Sequence[Mapping[str, Any]],
    ablation: Sequence[Mapping[str, Any]],
    tuning: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Print {"results": [...]} on stdout, with "ablation" and "tuning" beside it where there are any."""
    beside = {"ablation": [*ablation], "tuning": [*tuning]}
    if not any(beside.values()):
        print_json(results)
        return
    from json import dumps

    from neuroanp.records.json_io import finite

    whole = {"results": [*results], **{name: rows for name, rows in beside.items() if rows}}
    typer.echo(dumps(finite(whole), allow_nan=False))
