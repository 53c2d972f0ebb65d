"""demo: the first minutes, three devices on tomorrow's weather, from nothing but an installed neuroanp."""

from pathlib import Path

from neuroanp.cli import options
from neuroanp.cli.boundary import guarded
from neuroanp.cli.options import collect
from neuroanp.cli.runs import argv, end_many, show_dry_run, watched
from neuroanp.cli.screen import console

EXAMPLE = "demo"
PROFILES = ("ideal", "pcm", "smtj_koenders")
SEEDS = 1


@guarded
def demo(
    updates: options.Updates = None,
    workers: options.Workers = None,
    runs: options.Runs = Path("runs"),
    force: options.Force = False,
    dry_run: options.DryRun = False,
    json: options.Json = False,
    no_progress: options.NoProgress = False,
    no_report: options.NoReport = False,
    debug: options.Debug = False,
) -> None:
    """Compare three devices on tomorrow's weather (real data, which come along) in one table and report.

    Takes 3 to 5 minutes on two cores; --updates 100 is a look in one. A second call shows what the first one found.
    `neuroanp examples demo` shows the configuration.
    """
    from neuroanp import api
    from neuroanp.scaffolding.examples import example

    if dry_run:
        show_dry_run(len(PROFILES) * SEEDS, workers, {}, json)
        return
    config = example(EXAMPLE).path
    if not (json or no_progress):
        what = f"{', '.join(PROFILES[:-1])} and {PROFILES[-1]} learn to forecast tomorrow's temperature at New York"
        console(error=True).print(f"{what}{': 3 to 5 minutes on two cores' if updates is None else ''}", soft_wrap=True)
    with watched(len(PROFILES) * SEEDS, json, no_progress) as report_to:
        comparison = api.compare(
            config, overrides=collect(None, training__updates=updates), profiles=PROFILES, seeds=SEEDS,
            workers=workers, runs=runs, force=force, report=not no_report, progress=report_to or False, argv=argv(),
        )  # fmt: skip
    end_many(comparison, json)
