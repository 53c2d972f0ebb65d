"""Every benchmark can be started: what it imports is there. None is run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
# In a process of its own: scripts register what they need, and import one another by bare names.
IMPORT = """
import importlib, sys, traceback
sys.path.insert(0, sys.argv[1])
for name in sys.argv[2:]:
    try:
        importlib.import_module(name)
    except BaseException:
        print(name, traceback.format_exc(limit=-1))
"""


@pytest.mark.slow
def test_every_benchmark_can_be_imported() -> None:
    scripts = [path.stem for path in sorted(BENCHMARKS.glob("*.py"))]
    packages = [f"benchmarks.{path.parent.name}.{path.stem}" for path in sorted(BENCHMARKS.glob("*/*.py"))]
    assert len(scripts) > 20
    assert len(packages) > 20
    done = subprocess.run(
        [sys.executable, "-c", IMPORT, str(BENCHMARKS), *scripts, *packages],
        capture_output=True, text=True, timeout=120, cwd=BENCHMARKS.parent, env={**os.environ, "PYTHONPATH": "."},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
