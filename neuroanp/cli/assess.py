"""assess: from raw measurements of a device to the verdict whether it learns, and what it must reach."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neuroanp.cli import fit, options
from neuroanp.cli.boundary import guarded
from neuroanp.cli.expected import readable
from neuroanp.cli.options import collect, for_tasks, seeds_from, split_list
from neuroanp.cli.runs import argv, show_script, watched
from neuroanp.cli.screen import complain, console, print_json, show, text, texts
from neuroanp.errors import all_of

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from neuroanp.api import Assessment
    from neuroanp.assessing.plan import Plan

Output = Annotated[
    Path | None,
    typer.Option(
        "-o", "--output", metavar="DIR", show_default=False, parser=options.named,
        help="Folder of all that is made (default: assessments/NAME).",
    ),
]  # fmt: skip


@guarded
def assess(
    data: fit.Data,
    task: Annotated[
        str,
        typer.Option("--task", metavar="A,B", help="Tasks by name (tasks list), or YAML files of configurations."),
    ] = "copy,xor",
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the device (default: of the first file).", show_default=False)
    ] = None,
    output: Output = None,
    kind: fit.Kind = None,
    extends: fit.Extends = None,
    law: fit.Law = None,
    v_read: fit.ReadVoltage = None,
    volts_per_unit: fit.VoltsPerUnit = None,
    g_min: fit.Low = None,
    g_max: fit.High = None,
    t0: fit.T0 = None,
    missing: fit.Missing = None,
    anyway: Annotated[
        bool,
        typer.Option("--anyway", help="Go on with a law that does not describe the data; the page says so at its top."),
    ] = False,
    beside: Annotated[
        str | None,
        typer.Option(
            "--beside", metavar="A,B", show_default=False,
            help="Profiles to show it beside; pcm,smtj_koenders,ideal if not given, ideal always.",
        ),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option("--seeds", metavar="N|A,B", show_default=False, help="N for 0..N-1, or a list; 5 if not given."),
    ] = None,
    updates: options.Updates = None,
    write: Annotated[
        str | None,
        typer.Option("--write", show_default=False, help="How the device is written: auto, ideal, verify or pulse."),
    ] = None,
    sets: options.Sets = None,
    for_task: Annotated[
        list[str] | None,
        typer.Option(
            "--for", metavar="TASK:A.B=C", show_default=False,
            help="Set one value for one task (weather:task.path=my.csv); repeatable.",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            "--target", metavar="METRIC<NUMBER", show_default=False,
            help="What it must reach; the loss of the frozen recurrence on the ideal profile if not given.",
        ),
    ] = None,
    no_requirements: Annotated[
        bool, typer.Option("--no-requirements", help="Do not look for what it must reach where it misses the target.")
    ] = False,
    workers: options.Workers = None,
    cluster: options.Cluster = None,
    time_limit: options.TimeLimit = None,
    memory_limit: options.MemoryLimit = None,
    wait: options.Wait = False,
    share: options.Share = False,
    dashboard: options.Dashboard = False,
    max_runs: options.MaxRuns = None,
    force: Annotated[bool, typer.Option("--force", help="Fit again, and replace the fit that the folder has.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Fit, print runs, passes and time expected; write nothing.")
    ] = False,
    json: options.Json = False,
    no_progress: options.NoProgress = False,
    no_report: Annotated[
        bool, typer.Option("--no-report", help="Write no page; the same command without it makes one later.")
    ] = False,
    debug: options.Debug = False,
) -> None:  # fmt: skip
    """From measurements of a device to a verdict: fit a profile, train on it beside known devices, say what it lacks.

    The law is held to its data first; one that does not describe them gives no verdict, and exit code 2. Each task is
    learned on several seeds, on the device, pcm, smtj_koenders and ideal, and held to its controls. Where the device
    misses its target its parameters are swept, one at a time. Profile, figures, page, record and runs lie in one
    folder; what is there is not repeated: the same command goes on.
    """
    from neuroanp.api.assessed import asked_of, data_of, done, plan_of
    from neuroanp.api.making import Making
    from neuroanp.comparing.size import MOST_RUNS

    fitting = {
        "extends": extends, "law": law, "v_read": v_read, "volts_per_unit": volts_per_unit, "g_min": g_min,
        "g_max": g_max, "t0": t0, "missing": missing, "anyway": anyway,
    }  # fmt: skip
    overrides, own, numbers, tasks, others = all_of(
        lambda: collect(sets),
        lambda: for_tasks(for_task),
        lambda: seeds_from(seeds),
        lambda: split_list(task, "--task"),
        lambda: split_list(beside, "--beside"),
    )
    how = options.how(cluster, time_limit, memory_limit, wait, share, dashboard)
    read, asked, making = all_of(
        lambda: data_of(data, name, kind, fitting),
        lambda: asked_of(tasks, others, numbers, updates, write, overrides, own, target, not no_requirements),
        lambda: Making.of(Path(), argv(), workers, force, not no_report, **how),
    )
    most = MOST_RUNS if max_runs is None else max_runs
    planned = plan_of(read, asked, output, most, force)
    with _fitting(planned, ", ".join(Path(one).name for one in read.files), json or no_progress) as plan:
        if dry_run:
            _expect(plan, making.doing.executor.slots, json)
            if not json:
                show_script(making.doing.executor.script)
            return
        made = done(plan, making, lambda total: watched(total, json, no_progress), most)
    if json:
        print_json([made.to_dict()])
    else:
        show(*_on_screen(made, console()), f"profile: {made.path}")
        show(*([] if made.report is None else [f"report: {made.report}"]))
    for label, error in made.failed:
        complain(f"{label}: {error}")
    if made.failed:
        raise typer.Exit(1)


@contextmanager
def _fitting(planned: "AbstractContextManager[Plan]", files: str, quiet: bool) -> "Iterator[Plan]":
    """Yield what was laid out; a sign of life is shown while the fit takes its time."""
    with ExitStack() as stack:
        with nullcontext() if quiet else fit.busy(f"fitting {files}"):
            plan = stack.enter_context(planned)
        yield plan


def _on_screen(made: "Assessment", out: "Console") -> Iterator["RenderableType"]:
    """Yield what shows an assessment: the verdicts, in parts where they are too wide, and what was found in words."""
    from neuroanp.assessing.report import COSTS, LOSSES, marks, table
    from neuroanp.cli.results import in_parts, sentences

    found = made.found
    fitted = ", ".join(f"{one['section']}: {one['law']} fitted to {one['file']}" for one in found.measured.found)
    yield texts((found.measured.name, "bold"), (f"  {fitted}", "dim"))
    yield from in_parts("", table(found), (LOSSES, COSTS), out)
    yield sentences([*made.words, *marks(found)])


def _expect(plan: "Plan", workers: int, json: bool) -> None:
    """Print what an assessment would take, task by task."""
    from rich.table import Table

    from neuroanp.assessing.plan import expected

    told = expected(plan, workers)
    if json:
        print_json([told])
        return
    heads = {
        "task": "task", "runs": "runs", "there": "there", "passes": "passes", "seconds": "time",
        "sweep_runs": "sweep: runs", "sweep_passes": "passes", "sweep_seconds": "time",
    }  # fmt: skip
    table = Table(box=None, header_style="bold", pad_edge=False)
    for key, head in heads.items():
        table.add_column(head, justify="left" if key == "task" else "right")
    for row in (*told["tasks"], {**told, "task": "all"}):
        table.add_row(*(text(_readable(key, row[key])) for key in heads))
    show(
        texts(
            (told["device"], "bold"), f"  {told['seeds']} seeds on {', '.join(told['profiles'])}, {workers} at a time"
        )
    )
    show(table, "", "A sweep is made only where the device misses what it must reach. Nothing was written.")
    show(*(f"{one['task']}: {note}" for one in told["tasks"] for note in one["notes"]))


def _readable(key: str, value: Any) -> str:
    return str(value) if key == "task" else readable("seconds" if key.endswith("seconds") else key, value)
