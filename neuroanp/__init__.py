"""neuroanp: recurrent networks that learn on noisy hardware by activity-based node perturbation."""

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
