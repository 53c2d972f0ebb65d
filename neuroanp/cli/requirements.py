"""requirements: what a device must reach for a task, what it exceeds, and what pays."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neuroanp.cli import options
from neuroanp.cli.boundary import guarded
from neuroanp.cli.expected import show_estimate
from neuroanp.cli.options import collect, seeds_from
from neuroanp.cli.runs import argv, show_script, watched
from neuroanp.cli.screen import console, print_json, show, texts
from neuroanp.errors import all_of

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from neuroanp.api import Requirements


@guarded
def requirements(
    config: options.Config = None,
    target: Annotated[
        str,
        typer.Option(
            "--target", metavar="METRIC<NUMBER", show_default=False,
            help="What the median over seeds must be: a number of a run's result, <, <=, > or >=, a number.",
        ),
    ] = "",
    profile: options.Profile = None,
    seeds: Annotated[
        str | None,
        typer.Option("--seeds", metavar="N|A,B", show_default=False, help="N for 0..N-1, or a list; 3 if not given."),
    ] = None,
    decades: Annotated[float, typer.Option("--decades", help="Range on each side of a stated value.")] = 1.0,
    points: Annotated[int, typer.Option("--points", help="Values on each side.")] = 2,
    pairs: Annotated[int, typer.Option("--pairs", help="Pairs of parameters, at most.")] = 3,
    task: options.Task = None,
    rule: options.Rule = None,
    backend: options.Backend = None,
    updates: options.Updates = None,
    write: options.Write = None,
    only: options.Only = None,
    without: options.Without = None,
    sets: options.Sets = None,
    workers: options.Workers = None,
    cluster: options.Cluster = None,
    time_limit: options.TimeLimit = None,
    memory_limit: options.MemoryLimit = None,
    wait: options.Wait = False,
    share: options.Share = False,
    dashboard: options.Dashboard = False,
    max_runs: options.MaxRuns = None,
    runs: options.Runs = Path("runs"),
    force: options.Force = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
    no_progress: options.NoProgress = False,
    no_report: options.NoReport = False,
    debug: options.Debug = False,
) -> None:  # fmt: skip
    """Sweep each parameter of a device's profile, and say what it must reach for a target, and what it exceeds.

    Read noise, programming, steps and their spread, drift, endurance, converters, lines and stuck devices: whatever the
    profile states is varied alone over several seeds, set to its ideal, and then the worst pairs. Runs lie in
    RUNS/requirements, and are not repeated: the same command goes on.
    """
    from neuroanp.api.making import Making
    from neuroanp.api.required import SEEDS, done, expected_of, plan_of
    from neuroanp.comparing.size import MOST_RUNS

    overrides, numbers, how = all_of(
        lambda: collect(
            sets, training__updates=updates, hardware__write=write, hardware__only=only, hardware__without=without
        ),
        lambda: seeds_from(seeds),
        lambda: options.how(cluster, time_limit, memory_limit, wait, share, dashboard),
    )
    making = Making.of(runs, argv(), workers, force, not no_report, **how)
    words: dict[str, Any] = {"task": task, "rule": rule, "backend": backend}
    many = SEEDS if numbers is None else numbers
    planned = plan_of(config, target, profile, many, decades, points, pairs, overrides, runs, words)
    if dry_run:
        show_estimate(expected_of(planned, making.doing.executor.slots, runs), json)
        if not json:
            show_script(making.doing.executor.script)
        return
    with watched(planned.runs, json, no_progress) as report_to:
        made = done(planned, making, report_to or False, MOST_RUNS if max_runs is None else max_runs)
    if json:
        print_json([made.to_dict()])
        return
    show(*_on_screen(made, console()))
    if made.report is not None:
        show(f"report: {made.report}")


def _on_screen(made: "Requirements", out: "Console") -> Iterator["RenderableType"]:
    """Yield what shows a sweep: the specification, in parts where it is too wide, and what was found in words."""
    from neuroanp.cli.results import in_parts, sentences
    from neuroanp.requiring.report import BRINGS, NEEDS, table

    plan = made.found.plan
    yield texts((plan.profile.name, "bold"), (f"  {plan.config.task_name}, {plan.asked.target.text}", "dim"))
    yield from in_parts("", table(made.found), ((*NEEDS, "verdict"), BRINGS), out)
    yield sentences(made.words)
