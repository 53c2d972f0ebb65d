"""neuroanp: recurrent networks that learn on noisy hardware by activity-based node perturbation."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from neuroanp.api import (
        Comparison,
        Run,
        characterize,
        compare,
        configure,
        estimate,
        evaluate,
        load_run,
        report,
        resume,
        train,
        transfer,
    )

__all__ = [
    "Comparison", "Run", "__version__", "characterize", "compare", "configure", "estimate", "evaluate", "load_run",
    "report", "resume", "train", "transfer",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    # torch takes seconds to import: `neuroanp --help` must not pay for it.
    if name in __all__:
        from importlib import import_module

        return getattr(import_module("neuroanp.api"), name)
    raise AttributeError(f"module 'neuroanp' has no attribute {name!r}")
