"""transfer: weights trained off the chip, brought to devices, fine-tuned on them; beside learning on them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from neuroanp.cli import options
from neuroanp.cli.boundary import guarded
from neuroanp.cli.options import collect, seeds_from, split
from neuroanp.cli.runs import argv, end_many, show_dry_run, watched
from neuroanp.errors import InputError, all_of


@guarded
def transfer(
    config: options.Config = None,
    profiles: Annotated[
        str, typer.Option("--profiles", metavar="A,B", help="Devices: names or files.", show_default=False)
    ] = "",
    fine_tune: Annotated[int, typer.Option("--fine-tune", min=1, help="Updates on the device once programmed.")] = 200,
    fine_tune_lr: Annotated[
        float | None,
        typer.Option("--fine-tune-lr", help="Their learning rate; the config's if not given.", show_default=False),
    ] = None,
    seeds: options.Seeds = None,
    task: options.Task = None,
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
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print how many runs, and a queue's job script; run nothing.")
    ] = False,
    json: options.Json = False,
    no_progress: options.NoProgress = False,
    no_report: options.NoReport = False,
    debug: options.Debug = False,
) -> None:
    """Train by backpropagation off the chip, program devices with the weights, and fine-tune them there.

    For each seed one network is trained by bptt on the ideal profile. For each profile its loss is measured as
    programmed and after fine-tuning by the config's rule, beside the same rule learning on the device from scratch.
    """
    from neuroanp import api

    if not profiles:
        raise InputError("no devices to transfer to; name them, e.g. --profiles pcm,rram_hfo2")
    overrides, numbers, how = all_of(
        lambda: collect(
            sets, training__updates=updates, hardware__write=write, hardware__only=only, hardware__without=without
        ),
        lambda: seeds_from(seeds),
        lambda: options.how(cluster, time_limit, memory_limit, wait, share, dashboard),
    )
    chosen: dict[str, Any] = {} if numbers is None else {"seeds": numbers}
    if max_runs is not None:
        chosen["max_runs"] = max_runs
    count = numbers if isinstance(numbers, int) else len(numbers or [0])
    total = count * (1 + 3 * len(split(profiles)))
    if dry_run:
        show_dry_run(total, workers, how, json)
        return
    with watched(total, json, no_progress) as report_to:
        comparison = api.transfer(
            config, profiles=split(profiles), fine_tune=fine_tune, fine_tune_lr=fine_tune_lr, overrides=overrides,
            task=task, backend=backend, **chosen, workers=workers, **how, runs=runs, force=force,
            report=not no_report, progress=report_to or False, argv=argv(),
        )  # fmt: skip
    end_many(comparison, json)
