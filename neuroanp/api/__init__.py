"""neuroanp from Python: everything the command line does, in as few lines.

A first run:

    import neuroanp as na
    run = na.train(task="copy", profile="pcm", rule="anp", updates=500, seed=0)
    run.metrics.plot()

What is logged (choices made, warnings) is shown on stderr, in a notebook warnings alone are and the rest below the cell
as what it prints; and bars on a terminal or in a notebook. `progress=False` leaves warnings alone. Who configures the
logger "neuroanp", or the root logger, gets the log there instead.

Arguments are taken as Python code has them: paths as text or pathlib.Path, numbers and arrays of numpy, any sequence,
profiles by name, by file or loaded, a task or rule by name or as a mapping such as {"name": "anp", "K": 3}.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neuroanp.api.adapted import adapt
    from neuroanp.api.assessed import Assessment, assess
    from neuroanp.api.checking import check_export
    from neuroanp.api.compared import Comparison
    from neuroanp.api.comparison import compare, runs_of_comparison, transfer
    from neuroanp.api.data import OwnTask, task
    from neuroanp.api.diagnosis import diagnose
    from neuroanp.api.extended import extend
    from neuroanp.api.listed import run_facts, runs
    from neuroanp.api.pages import characterize, report
    from neuroanp.api.reproduction import reproduce
    from neuroanp.api.required import Requirements, requirements
    from neuroanp.api.revisited import evaluate, live
    from neuroanp.api.run import Run, configure, estimate, export, load_run, resume, train

__all__ = [
    "Assessment", "Comparison", "OwnTask", "Requirements", "Run", "adapt", "assess", "characterize", "check_export",
    "compare", "configure", "diagnose", "estimate", "evaluate", "export", "extend", "live", "load_run", "report",
    "reproduce", "requirements", "resume", "run_facts", "runs", "runs_of_comparison", "task", "train", "transfer",
]  # fmt: skip

_HOMES = {
    "adapted": ("adapt",),
    "assessed": ("Assessment", "assess"),
    "checking": ("check_export",),
    "compared": ("Comparison",),
    "comparison": ("compare", "runs_of_comparison", "transfer"),
    "data": ("OwnTask", "task"),
    "diagnosis": ("diagnose",),
    "extended": ("extend",),
    "listed": ("run_facts", "runs"),
    "pages": ("characterize", "report"),
    "reproduction": ("reproduce",),
    "required": ("Requirements", "requirements"),
    "revisited": ("evaluate", "live"),
    "run": ("Run", "configure", "estimate", "export", "load_run", "resume", "train"),
}
"""The module of each name."""


def __getattr__(name: str) -> Any:
    # Who trains one network must not pay for what compares many, nor for pages.
    for home, names in _HOMES.items():
        if name in names:
            from importlib import import_module

            return getattr(import_module(f"neuroanp.api.{home}"), name)
    raise AttributeError(f"module 'neuroanp.api' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__} - {"Any", "TYPE_CHECKING", "_HOMES"})
