"""neuroanp: recurrent networks that learn on noisy hardware by activity-based node perturbation.

A first run:

    import neuroanp as na
    run = na.train(task="copy", profile="pcm", updates=500)
    run.metrics.plot()

What there is; `help(na.train)`, or `na.train?` in a notebook, says what each takes and returns:

    train, resume, extend               one network: train it, go on after a stop, train it further
    compare, transfer                   many side by side; weights trained elsewhere, programmed into devices
    task                                a task of your own arrays or data frame
    assess, requirements, characterize  a measured device: does it learn; what it must reach; how it behaves
    evaluate, live, diagnose            a run later: idle, relearning; how good a rule's updates are
    export, check_export                to chips and other tools, and back through their readers
    report, reproduce                   pages with figures; the paper's experiments
    runs, load_run, run_facts           what is in the store
    configure, estimate                 what a run would be, and take, before it is run

They return a Run, a Comparison, an Assessment, Requirements or an OwnTask, which show themselves in a notebook.
Names of tasks, rules, profiles and options: `neuroanp tasks list`, `rules list`, `profiles list` in a terminal.
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
    "Assessment", "Comparison", "OwnTask", "Requirements", "Run", "__version__", "assess", "characterize",
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
    return sorted({*globals(), *__all__, *_ROOMS} - {"Any", "TYPE_CHECKING", "_ROOMS"})
