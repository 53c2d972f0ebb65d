"""Write trained networks in the formats of chips and of other tools, and say what was lost.

The package is also the word for it: `neuroanp.export(run, "nir")` is `neuroanp.api.export(run, "nir")`, whose help says
what it takes and returns (`help(neuroanp.api.export)`, or `neuroanp.api.export?` in a notebook).
"""

import inspect
import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """A package and a function have one name here; importing any of the package's modules would hide the function."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Export a run's network: `neuroanp.export(run, format, path=None, *, force=False, finetune=None, ...)`."""
        return sys.modules["neuroanp"].api.export(*args, **kwargs)

    @property
    def __signature__(self) -> inspect.Signature:
        """What the function takes, for completion."""
        return inspect.signature(sys.modules["neuroanp"].api.export)


sys.modules[__name__].__class__ = _Callable
