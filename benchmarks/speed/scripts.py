"""Import a benchmark that is a script: those import one another by their bare names, as they do when run by path."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from benchmarks.common import HERE


def script(name: str) -> Any:
    """Return the module benchmarks/<name>.py, or None where there is none."""
    if not (HERE / f"{name}.py").is_file():
        return None
    if str(HERE) not in sys.path:
        sys.path.append(str(HERE))
    return importlib.import_module(name)
