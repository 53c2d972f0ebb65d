"""neuroanp: recurrent networks that learn on noisy hardware by activity-based node perturbation.

    import neuroanp as na

    run = na.train(task="copy", profile="pcm", rule="anp", updates=500, seed=0)
    run.metrics.plot()

What is there, by question; `help(na.train)` says what a word takes, what it returns, and shows it at work.

One network on one device
    train          train it; a run that is already there is shown
    configure      resolve a configuration without training, and see every default
    estimate       say what a run will take: passes, memory, seconds, chip time
    resume         go on where a run was interrupted
    extend         train a finished run on, with its optimiser's state
    task           make a task of your own arrays, rows or data frame; returns an OwnTask

A run, and what it learned
    Run            its result, curve, weights; predict, forward, export, report, to_dataframe
    load_run       open one that lies on the disk
    runs           list those of a store, filtered and sorted
    run_facts      say all about one: times, checkpoints, damage
    evaluate       look again after idle time, without some effects, or on another chip
    live           let the chip drift and relearn from time to time
    report         write one page of one run or of many

Which device, which rule
    compare        train all combinations side by side, tuned and ablated if you ask; returns a Comparison
    transfer       learn off the chip, program devices, fine-tune there
    characterize   measure a device of a profile: moments against closed forms, and curves
    adapt          train what a chip can hold in the place of a run; returns a Run
    assess         say whether a device that you measured learns; returns an Assessment
    requirements   say what a device must reach for a task; returns Requirements
    diagnose       hold the updates of a rule to the exact gradient
    reproduce      run the experiments of arXiv 2405.08967 again

To a chip or another tool
    export         write the network, and say what was lost
    check_export   run what was written in a reader that is not neuroanp's

Most of them are commands, too: `neuroanp --help`. Names that they take: `neuroanp tasks list`, `rules list`,
`profiles list`, `cells list`. Devices, tasks, rules and cells of your own: `neuroanp new --help`.
"""

from typing import TYPE_CHECKING, Any

from neuroanp.version import __version__

if TYPE_CHECKING:
    from neuroanp.api import (
        Assessment,
        Comparison,
        OwnTask,
        Requirements,
        Run,
        adapt,
        assess,
        characterize,
        check_export,
        compare,
        configure,
        diagnose,
        estimate,
        evaluate,
        export,
        extend,
        live,
        load_run,
        report,
        reproduce,
        requirements,
        resume,
        run_facts,
        runs,
        task,
        train,
        transfer,
    )

__all__ = [
    "Assessment", "Comparison", "OwnTask", "Requirements", "Run", "__version__", "adapt", "assess", "characterize",
    "check_export", "compare", "configure", "diagnose", "estimate", "evaluate", "export", "extend", "live", "load_run",
    "report", "reproduce", "requirements", "resume", "run_facts", "runs", "task", "train", "transfer",
]  # fmt: skip

_ROOMS = ("api", "export")
"""Rooms that are words too: neuroanp.export can be called."""


def __getattr__(name: str) -> Any:
    # torch takes seconds to import: `neuroanp --help` must not pay for it.
    if name in __all__ or name in _ROOMS:
        from importlib import import_module

        return import_module(f"neuroanp.{name}") if name in _ROOMS else getattr(import_module("neuroanp.api"), name)
    raise AttributeError(f"module 'neuroanp' has no attribute {name!r}")


def __dir__() -> list[str]:
    # Rooms that something has loaded are no words: what a session lists stays what it can ask for.
    return sorted({*(name for name in globals() if name.startswith("__")), *__all__, *_ROOMS})
